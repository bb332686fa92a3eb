//! A rate limit: the bytes per second that all transfers together may read.

use super::CancelToken;
use crate::error::Result;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The lowest rate limit in bytes per second. Servers close slower connections.
pub const MIN_RATE_LIMIT: u64 = 1000;
/// Unused bandwidth that may be caught up after a stall.
const CATCH_UP_TIME: Duration = Duration::from_millis(100);
/// The reads per second of a transfer with a rate limit.
const READS_PER_SECOND: u64 = 20;
/// The smallest size of one read.
const MIN_READ_BYTES: usize = 1024;

/// A token bucket that all transfers share.
///
/// Each byte read moves the due time forward, and the reader sleeps until then.
#[derive(Debug)]
pub struct RateLimit {
    bytes_per_second: u64,
    /// The time at which all bytes read so far are allowed.
    due: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// Allows `bytes_per_second`, but at least 1.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), due: Mutex::default() }
    }

    /// Returns the largest size of one read: small enough for an even flow of bytes.
    pub fn read_bytes(&self) -> usize {
        usize::try_from(self.bytes_per_second / READS_PER_SECOND).unwrap_or(usize::MAX).max(MIN_READ_BYTES)
    }

    /// Waits until `count` more bytes are allowed.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::error::Error::Cancelled).
    pub fn wait_for(&self, count: usize, cancel: &CancelToken) -> Result<()> {
        cancel.wait(self.reserve(count, Instant::now()))
    }

    /// Counts bytes read at `now` and returns the time until they are allowed.
    fn reserve(&self, count: usize, now: Instant) -> Duration {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(CATCH_UP_TIME).unwrap_or(now);
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

    /// Simulates `readers` that share a limit, and returns the bytes they get in `length`.
    ///
    /// Each reader reads again as soon as its last bytes were due. Every `gap`th read takes `slow`
    /// on the network.
    fn received(rate: u64, readers: usize, length: Duration, gap: usize, slow: Duration) -> u64 {
        let limit = RateLimit::new(rate);
        let start = Instant::now();
        let mut ready = vec![start; readers];
        let (mut bytes, mut reads) = (0, 0);
        loop {
            let reader = (0..readers).min_by_key(|reader| ready[*reader]).unwrap();
            reads += 1;
            let now = ready[reader] + if reads % gap == 0 { slow } else { Duration::ZERO };
            let due = now + limit.reserve(limit.read_bytes(), now);
            if due >= start + length {
                return bytes;
            }
            bytes += limit.read_bytes() as u64;
            ready[reader] = due;
        }
    }

    #[test]
    fn the_rate_is_kept_within_5_percent_over_10_seconds() {
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
    fn a_long_stall_is_not_caught_up() {
        let limit = RateLimit::new(1000);
        let start = Instant::now();
        assert_eq!(limit.reserve(1000, start), Duration::from_secs(1));
        let later = start + Duration::from_secs(3600);
        assert_eq!(limit.reserve(1000, later), Duration::from_secs(1) - CATCH_UP_TIME);
    }

    #[test]
    fn a_waiting_transfer_can_be_cancelled() {
        let cancel = CancelToken::default();
        cancel.cancel();
        assert_eq!(RateLimit::new(1).wait_for(1 << 30, &cancel).unwrap_err().code(), "cancelled");
    }
}
