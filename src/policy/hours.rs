//! The part of the day in which clients download, such as `22:00-06:00`.

use std::fmt;
use std::str::FromStr;

const MINUTES_PER_DAY: u32 = 24 * 60;

/// A part of the day in local time; it may contain midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// The first minute of the day.
    start: u32,
    /// The minute of the day after the last one.
    end: u32,
}

/// The text is not a part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not two different times of the day, as in 22:00-06:00")]
pub struct NotHours;

impl Hours {
    /// Returns `true` if a minute of the day, 0 to 1439, is in this part of the day.
    pub fn contains(&self, minute: u32) -> bool {
        if self.start < self.end {
            (self.start..self.end).contains(&minute)
        } else {
            minute >= self.start || minute < self.end
        }
    }

    /// Returns the minutes from a minute of the day to the start.
    pub fn minutes_until_start(&self, minute: u32) -> u32 {
        (self.start + MINUTES_PER_DAY - minute) % MINUTES_PER_DAY
    }

    /// Returns the length in minutes.
    pub fn minutes(&self) -> u32 {
        (self.end + MINUTES_PER_DAY - self.start) % MINUTES_PER_DAY
    }
}

impl FromStr for Hours {
    type Err = NotHours;

    fn from_str(text: &str) -> Result<Self, NotHours> {
        let (start, end) = text.split_once('-').ok_or(NotHours)?;
        let (start, end) = (minute_of_day(start).ok_or(NotHours)?, minute_of_day(end).ok_or(NotHours)?);
        if start == end { Err(NotHours) } else { Ok(Self { start, end }) }
    }
}

/// Reads a time as in `06:30`.
fn minute_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
    };
    let (hour, minute): (u32, u32) = (number(hour)?, number(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> Hours {
        text.parse().unwrap()
    }

    #[test]
    fn a_part_of_the_day_may_contain_midnight() {
        let night = hours("22:00-06:00");
        let inside: Vec<u32> = (0..MINUTES_PER_DAY).filter(|minute| night.contains(*minute)).collect();
        assert_eq!(inside.len() as u32, night.minutes());
        assert!(night.contains(22 * 60) && night.contains(0) && night.contains(359));
        assert!(!night.contains(360) && !night.contains(22 * 60 - 1));
        assert_eq!(night.minutes_until_start(21 * 60), 60);
        assert_eq!(night.minutes_until_start(23 * 60), 23 * 60);
        let noon = hours("12:00-13:30");
        assert_eq!((0..MINUTES_PER_DAY).filter(|minute| noon.contains(*minute)).count(), 90);
    }

    #[test]
    fn only_two_different_times_are_a_part_of_the_day() {
        for text in ["", "22", "22:00", "22:00-22:00", "24:00-06:00", "2:00-06:00", "22:60-06:00", "+1:00-06:00"] {
            assert_eq!(text.parse::<Hours>(), Err(NotHours), "{text}");
        }
        assert_eq!(hours("00:05-23:59").to_string(), "00:05-23:59");
    }
}
