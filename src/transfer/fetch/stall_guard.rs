//! A body that must keep coming, and no faster than it may: stoppable, and cut off when it trickles.

use super::{Body, CancelToken, RateLimit};
use crate::error::{Error, Network, Result};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// How long a body may come slower than [`MIN_RATE`].
pub const WINDOW: Duration = Duration::from_secs(60);
/// The slowest that a body may come over a [`WINDOW`], in bytes a second.
pub const MIN_RATE: u64 = 1000;

/// How many bytes have come since when.
#[derive(Debug, Clone, Copy)]
struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// Counts bytes that came by `now`, and tells whether the last whole window had enough of them.
    fn keeps_up(&mut self, now: Instant, count: u64) -> bool {
        self.bytes += count;
        let window = now.saturating_duration_since(self.since);
        if window < WINDOW {
            return true;
        }
        let enough = u128::from(self.bytes) * 1000 >= u128::from(MIN_RATE) * window.as_millis();
        *self = Self { since: now, bytes: 0 };
        enough
    }
}

/// Reads a body; one that stays below the minimum rate for a whole window is given up. The time for which it is held back
/// is not the server's.
pub struct StallGuard<'a> {
    reader: Box<dyn Read + Send>,
    url: &'a Url,
    cancel: &'a CancelToken,
    rate: Option<Arc<RateLimit>>,
    received: u64,
    last_byte: Instant,
    pace: Pace,
}

impl<'a> StallGuard<'a> {
    /// Reads `body`, which was asked for at `url`, until `cancel` stops it.
    pub fn new(body: Body, url: &'a Url, cancel: &'a CancelToken) -> Self {
        let now = Instant::now();
        let Body { reader, rate, .. } = body;
        Self { reader, url, cancel, rate, received: 0, last_byte: now, pace: Pace { since: now, bytes: 0 } }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Network::Stalled`], [`Network::CutOff`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let most = self.rate.as_ref().map_or(buffer.len(), |rate| rate.piece().min(buffer.len()));
        loop {
            self.cancel.check()?;
            match self.reader.read(&mut buffer[..most]) {
                Ok(count) => {
                    self.received += count as u64;
                    self.last_byte = Instant::now();
                    if count > 0 && !self.pace.keeps_up(self.last_byte, count as u64) {
                        return Err(Network::Stalled { url: self.url.to_string(), limit: WINDOW }.into());
                    }
                    if let Some(rate) = &self.rate {
                        rate.wait_for(count, self.cancel)?;
                        self.pace.since += self.last_byte.elapsed();
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.cancel.check()?;
                    return Err(self.cut_off(&error));
                }
            }
        }
    }

    fn cut_off(&self, error: &io::Error) -> Error {
        let url = self.url.to_string();
        if super::http::is_stall(error) {
            return Network::Stalled { url, limit: self.last_byte.elapsed() }.into();
        }
        Network::CutOff { url, received: self.received, detail: super::http::innermost(error) }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_given_up_after_a_window() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace { since: start, bytes: 0 };
        assert!(pace.keeps_up(at(59), 1), "a window is not over");
        assert!(!pace.keeps_up(at(60), 1));
        let mut pace = Pace { since: start, bytes: 0 };
        assert!(pace.keeps_up(at(60), 60_000));
        assert!(!pace.keeps_up(at(120), 59_999), "each window counts for itself");
        assert!(pace.keeps_up(at(180), 1_000_000));
    }
}
