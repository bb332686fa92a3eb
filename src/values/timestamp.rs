//! A timestamp as manifests and state files write it: `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339).
//!
//! It is in UTC and in whole seconds.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// 0000-01-01T00:00:00Z.
const FIRST_UNIX_SECONDS: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z.
const LAST_UNIX_SECONDS: i64 = 253_402_300_799;

/// A point in time between the years 0000 and 9999, in whole seconds of UTC.
///
/// The number counts seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Reads the machine's clock.
    pub fn now() -> Self {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => Self::from_unix(i64::try_from(after.as_secs()).unwrap_or(i64::MAX)),
            Err(before) => Self::from_unix(-i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX)),
        }
    }

    /// Makes a timestamp from seconds since 1970-01-01T00:00:00Z.
    ///
    /// A value before the year 0000 or after 9999 becomes the first or last second of that range.
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(FIRST_UNIX_SECONDS, LAST_UNIX_SECONDS))
    }

    /// Returns the seconds since 1970-01-01T00:00:00Z.
    pub fn unix(self) -> i64 {
        self.0
    }

    /// Returns the week in UTC as ISO 8601 writes it: `2026-W01`.
    #[cfg(feature = "client")]
    pub fn week(self) -> String {
        let at = OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, week, _) = at.to_iso_week_date();
        format!("{year:04}-W{week:02}")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from_unix_timestamp(self.0).map_err(|_| fmt::Error)?;
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.to_hms();
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
    }
}

/// The text is not `YYYY-MM-DDTHH:MM:SSZ`, or names a day or time that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time as in 2026-11-21T00:00:00Z")]
pub struct NotATime;

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let bytes = text.as_bytes();
        let form = b"0000-00-00T00:00:00Z";
        let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
        if bytes.len() != form.len() || !bytes.iter().zip(form).all(fits) {
            return Err(NotATime);
        }
        let number = |from: usize, to: usize| bytes[from..to].iter().fold(0u16, |n, b| n * 10 + u16::from(b - b'0'));
        let small = |from: usize| number(from, from + 2) as u8;
        let month = Month::try_from(small(5)).map_err(|_| NotATime)?;
        let date = Date::from_calendar_date(i32::from(number(0, 4)), month, small(8)).map_err(|_| NotATime)?;
        let time = Time::from_hms(small(11), small(14), small(17)).map_err(|_| NotATime)?;
        Ok(Self(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_times_survive_a_round_trip() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2026-11-21T23:59:59Z",
            "2024-02-29T12:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[cfg(feature = "client")]
    #[test]
    fn a_week_belongs_to_the_year_of_its_thursday() {
        for (day, week) in [("2026-01-01", "2026-W01"), ("2027-01-03", "2026-W53"), ("2027-01-04", "2027-W01")] {
            assert_eq!(format!("{day}T00:00:00Z").parse::<Timestamp>().unwrap().week(), week);
        }
    }

    #[test]
    fn dates_and_times_that_do_not_exist_are_refused() {
        for text in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-1-01T00:00:00Z",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:00z",
            "",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATime), "{text}");
        }
    }
}
