//! How far a download has got, how fast it goes, and when it will be done.

use crate::values::rel_path::RelPath;
use std::time::{Duration, Instant};

/// Over how long a time the rate is taken.
const SPAN: Duration = Duration::from_secs(3);

/// What a download is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Copying a file that is on the disk already.
    Copying,
    /// Fetching from the site.
    Downloading,
    /// Making a file out of an older one and what was fetched.
    Patching,
}

/// How far a download has got.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done with [`path`](Self::path).
    pub phase: Phase,
    /// Bytes fetched so far.
    pub bytes_done: u64,
    /// Bytes to fetch in all; changes when a local file turns out not to be what it was, or has more than was known.
    pub bytes_total: u64,
    /// Bytes per second, lately; 0 until it is known.
    pub rate: u64,
    /// How long it will take at that rate; none until it is known.
    pub time_left: Option<Duration>,
    /// The file that the news is about.
    pub path: RelPath,
}

/// ProgressEvent from a worker; bytes may be taken back when an object is fetched again.
pub struct ProgressEvent<'a> {
    pub phase: Phase,
    pub path: &'a RelPath,
    pub done: i64,
    pub total: i64,
}

/// Sums news up.
pub struct ProgressTotals {
    done: i64,
    total: u64,
    /// When how many bytes had been fetched: at the start of the span that the rate is taken over, and in its middle.
    marks: [(Instant, i64); 2],
}

impl ProgressTotals {
    /// For a download of so many bytes.
    pub fn new(total: u64, now: Instant) -> Self {
        Self { done: 0, total, marks: [(now, 0); 2] }
    }

    /// Adds news that come at a time.
    pub fn add(&mut self, ProgressEvent { phase, path, done, total }: ProgressEvent<'_>, now: Instant) -> Progress {
        self.done = self.done.saturating_add(done);
        self.total = self.total.saturating_add_signed(total);
        let [start, middle] = self.marks;
        if now.saturating_duration_since(middle.0) > SPAN / 2 {
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
    fn the_rate_is_that_of_the_last_seconds() {
        let (start, path) = (Instant::now(), RelPath::new("a").unwrap());
        let mut totals = ProgressTotals::new(100_000, start);
        let mut add = |done, millis| {
            let news = ProgressEvent { phase: Phase::Downloading, path: &path, done, total: 0 };
            totals.add(news, start + Duration::from_millis(millis))
        };
        assert_eq!((add(0, 10).rate, add(0, 10).time_left), (0, None));
        let first = add(1000, 1000);
        assert_eq!((first.rate, first.time_left), (1000, Some(Duration::from_secs(99))));
        // Ten times as fast from then on: after some seconds, nothing is left of the slow start.
        let last = (2..=8).map(|second| add(10_000, second * 1000)).last().unwrap();
        assert_eq!(last.bytes_done, 71_000);
        assert!((9_000..=11_000).contains(&last.rate), "{last:?}");
    }

    #[test]
    fn bytes_that_are_taken_back_are_no_rate_below_zero() {
        let (start, path) = (Instant::now(), RelPath::new("a").unwrap());
        let mut totals = ProgressTotals::new(10, start);
        let news = ProgressEvent { phase: Phase::Downloading, path: &path, done: -5, total: -100 };
        let progress = totals.add(news, start + SPAN);
        assert_eq!((progress.bytes_done, progress.bytes_total, progress.rate), (0, 0, 0));
    }
}
