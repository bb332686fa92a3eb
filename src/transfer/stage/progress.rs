//! Progress: the bytes of a download, its rate and the time left.

use crate::values::rel_path::RelPath;
use std::time::{Duration, Instant};

/// The period over which the rate is averaged.
const RATE_PERIOD: Duration = Duration::from_secs(3);

/// The activity of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Copies a local file.
    Copying,
    /// Fetches an object from the site.
    Downloading,
    /// Makes a file from a local file and fetched objects.
    Patching,
}

/// The state of a download at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The activity for [`path`](Self::path).
    pub phase: Phase,
    /// The bytes fetched so far.
    pub bytes_done: u64,
    /// The bytes to fetch in all.
    ///
    /// The number changes when a local file was modified, or contains more chunks than planned.
    pub bytes_total: u64,
    /// The bytes per second over the last 3 s; 0 until a rate is known.
    pub rate: u64,
    /// The time left at this rate; `None` until a rate is known.
    pub time_left: Option<Duration>,
    /// The file in progress.
    pub path: RelPath,
}

/// A change of the byte counts, sent by a worker.
///
/// `done` and `total` are differences. They are negative when an object has to be fetched again or
/// costs less than planned.
pub struct ProgressEvent<'a> {
    pub phase: Phase,
    pub path: &'a RelPath,
    pub done: i64,
    pub total: i64,
}

/// The sums of all progress events.
pub struct ProgressTotals {
    done: i64,
    total: u64,
    /// Two times with the bytes fetched by then: the start and the middle of the rate period.
    marks: [(Instant, i64); 2],
}

impl ProgressTotals {
    /// Begins a download of `total` bytes.
    pub fn new(total: u64, now: Instant) -> Self {
        Self { done: 0, total, marks: [(now, 0); 2] }
    }

    /// Adds an event received at `now`.
    pub fn add(&mut self, ProgressEvent { phase, path, done, total }: ProgressEvent<'_>, now: Instant) -> Progress {
        self.done = self.done.saturating_add(done);
        self.total = self.total.saturating_add_signed(total);
        let [start, middle] = self.marks;
        if now.saturating_duration_since(middle.0) > RATE_PERIOD / 2 {
            self.marks = [middle, (now, self.done)];
        }
        let elapsed = now.saturating_duration_since(start.0).as_millis();
        let fetched = u128::try_from(self.done.saturating_sub(start.1)).unwrap_or(0);
        let rate = if elapsed < 200 { 0 } else { u64::try_from(fetched * 1000 / elapsed).unwrap_or(u64::MAX) };
        let bytes_done = u64::try_from(self.done).unwrap_or(0);
        let left = self.total.saturating_sub(bytes_done);
        let time_left = (rate > 0).then(|| Duration::from_secs(left.div_ceil(rate)));
        Progress { phase, bytes_done, bytes_total: self.total, rate, time_left, path: path.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_averaged_over_the_last_seconds() {
        let (start, path) = (Instant::now(), RelPath::new("a").unwrap());
        let mut totals = ProgressTotals::new(100_000, start);
        let mut add = |done, millis| {
            let event = ProgressEvent { phase: Phase::Downloading, path: &path, done, total: 0 };
            totals.add(event, start + Duration::from_millis(millis))
        };
        assert_eq!((add(0, 10).rate, add(0, 10).time_left), (0, None));
        let first = add(1000, 1000);
        assert_eq!((first.rate, first.time_left), (1000, Some(Duration::from_secs(99))));
        // Ten times the rate from now on: after 7 s, the slow start no longer counts.
        let last = (2..=8).map(|second| add(10_000, second * 1000)).last().unwrap();
        assert_eq!(last.bytes_done, 71_000);
        assert!((9_000..=11_000).contains(&last.rate), "{last:?}");
    }

    #[test]
    fn subtracted_bytes_give_no_negative_rate() {
        let (start, path) = (Instant::now(), RelPath::new("a").unwrap());
        let mut totals = ProgressTotals::new(10, start);
        let event = ProgressEvent { phase: Phase::Downloading, path: &path, done: -5, total: -100 };
        let progress = totals.add(event, start + RATE_PERIOD);
        assert_eq!((progress.bytes_done, progress.bytes_total, progress.rate), (0, 0, 0));
    }
}
