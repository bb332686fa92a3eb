//! A limit on the bytes per second of all transfers together.

use super::CancelToken;
use crate::error::Result;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a pause on the network may be made up for afterwards.
const CREDIT: Duration = Duration::from_millis(100);
/// How often a second bytes are read when they are held back.
const READS: u64 = 20;
/// The fewest bytes that are worth a read.
const LEAST_READ: usize = 1024;

/// A token bucket: every byte has its time, and whoever has read it waits until then.
#[derive(Debug)]
pub struct RateLimit {
    bytes_per_second: u64,
    /// When all bytes that were read so far are due.
    due: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// Allows so many bytes a second; at least one.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), due: Mutex::default() }
    }

    /// The most bytes to read at once, so that they come evenly.
    pub fn piece(&self) -> usize {
        usize::try_from(self.bytes_per_second / READS).unwrap_or(usize::MAX).max(LEAST_READ)
    }

    /// Waits until `count` more bytes are due.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::error::Error::Cancelled).
    pub fn wait_for(&self, count: usize, cancel: &CancelToken) -> Result<()> {
        cancel.wait(self.reserve(count, Instant::now()))
    }

    /// Counts bytes that were read at `now`, and tells how long to wait until they are due.
    fn reserve(&self, count: usize, now: Instant) -> Duration {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let start = due.map_or(now, |due| due.max(earliest));
        let nanos = count as u128 * 1_000_000_000 / u128::from(self.bytes_per_second);
        let end = start.checked_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))).unwrap_or(start);
        *due = Some(end);
        end.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that `readers` get in `length`, each reading pieces as soon as its last one was due; every `gap`th read
    /// takes `slow` on the network.
    fn received(rate: u64, readers: usize, length: Duration, gap: usize, slow: Duration) -> u64 {
        let bucket = RateLimit::new(rate);
        let start = Instant::now();
        let mut ready = vec![start; readers];
        let (mut bytes, mut reads) = (0, 0);
        loop {
            let reader = (0..readers).min_by_key(|reader| ready[*reader]).unwrap();
            reads += 1;
            let now = ready[reader] + if reads % gap == 0 { slow } else { Duration::ZERO };
            let due = now + bucket.reserve(bucket.piece(), now);
            if due >= start + length {
                return bytes;
            }
            bytes += bucket.piece() as u64;
            ready[reader] = due;
        }
    }

    #[test]
    fn the_rate_is_kept_within_a_twentieth_over_ten_seconds() {
        let ten = Duration::from_secs(10);
        for rate in [20_000, 500_000, 100_000_000] {
            for readers in [1, 4, 16] {
                for slow in [Duration::ZERO, Duration::from_millis(80)] {
                    let found = received(rate, readers, ten, 7, slow) as f64 / (rate * 10) as f64;
                    assert!((0.95..=1.05).contains(&found), "{rate} B/s, {readers} readers, {slow:?}: {found}");
                }
            }
        }
    }

    #[test]
    fn a_long_pause_is_not_made_up_for() {
        let bucket = RateLimit::new(1000);
        let start = Instant::now();
        assert_eq!(bucket.reserve(1000, start), Duration::from_secs(1));
        let later = start + Duration::from_secs(3600);
        assert_eq!(bucket.reserve(1000, later), Duration::from_secs(1) - CREDIT);
    }

    #[test]
    fn whoever_is_held_back_can_be_stopped() {
        let cancel = CancelToken::default();
        cancel.cancel();
        assert_eq!(RateLimit::new(1).wait_for(1 << 30, &cancel).unwrap_err().code(), "cancelled");
    }
}
