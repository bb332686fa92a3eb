//! The stall guard: reads a body, and gives up when its bytes come too slowly.
//!
//! The HTTP client already gives up when no byte comes for its stall timeout. An attacker can get
//! around that with one byte every few seconds. The guard therefore also demands an average of
//! [`MIN_BYTES_PER_SECOND`] over each [`STALL_WINDOW`]. Time that the client itself waits for its
//! rate limit does not count.

use super::{Body, CancelToken, RateLimit};
use crate::error::{Error, Network, Result};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// The period over which the average rate is checked.
const STALL_WINDOW: Duration = Duration::from_secs(60);
/// The lowest average rate over a [`STALL_WINDOW`].
const MIN_BYTES_PER_SECOND: u64 = 1000;
/// The size of one read.
const BUFFER_BYTES: usize = 64 * 1024;

/// Reads a body under the minimum rate, the rate limit and a cancel token.
pub struct StallGuard<'a> {
    reader: Box<dyn Read + Send>,
    url: &'a Url,
    cancel: &'a CancelToken,
    rate_limit: Option<Arc<RateLimit>>,
    received: u64,
    last_byte: Instant,
    window: StallWindow,
}

impl<'a> StallGuard<'a> {
    /// Wraps the body of the response to a request for `url`.
    pub fn new(body: Body, url: &'a Url, cancel: &'a CancelToken) -> Self {
        let now = Instant::now();
        let Body { reader, rate_limit, .. } = body;
        Self {
            reader,
            url,
            cancel,
            rate_limit,
            received: 0,
            last_byte: now,
            window: StallWindow { since: now, bytes: 0 },
        }
    }

    /// Passes the body to `sink` piece by piece, until it ends or exceeds `limit` bytes.
    ///
    /// The piece that exceeds the limit is passed on too, so that the caller can see the excess.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Network::Stalled`], [`Network::CutOff`]; errors of `sink`.
    pub fn read_to_end(&mut self, limit: u64, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut total: u64 = 0;
        while total <= limit {
            let count = self.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            sink(&buffer[..count])?;
            total += count as u64;
        }
        Ok(())
    }

    /// Passes the next `count` bytes of the body to `sink` piece by piece.
    ///
    /// # Errors
    /// As [`read_to_end`](Self::read_to_end); [`Network::CutOff`] for a body that is shorter.
    pub fn read_exact(&mut self, count: u64, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut left = count;
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = self.read(&mut buffer[..most])?;
            if read == 0 {
                let (url, detail) = (self.url.to_string(), format!("the server sent fewer than {count} bytes"));
                return Err(Network::CutOff { url, received: count - left, detail }.into());
            }
            sink(&buffer[..read])?;
            left -= read as u64;
        }
        Ok(())
    }

    /// Reads the next bytes; returns 0 at the end of the body.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let most = self.rate_limit.as_ref().map_or(buffer.len(), |limit| limit.read_bytes().min(buffer.len()));
        loop {
            self.cancel.check()?;
            match self.reader.read(&mut buffer[..most]) {
                Ok(count) => {
                    self.received += count as u64;
                    self.last_byte = Instant::now();
                    if count > 0 && !self.window.is_fast_enough(self.last_byte, count as u64) {
                        return Err(Network::Stalled { url: self.url.to_string(), limit: STALL_WINDOW }.into());
                    }
                    if let Some(limit) = &self.rate_limit {
                        limit.wait_for(count, self.cancel)?;
                        self.window.since += self.last_byte.elapsed();
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.cancel.check()?;
                    return Err(self.read_error(&error));
                }
            }
        }
    }

    fn read_error(&self, error: &io::Error) -> Error {
        let url = self.url.to_string();
        if super::http::is_timeout(error) {
            return Network::Stalled { url, limit: self.last_byte.elapsed() }.into();
        }
        Network::CutOff { url, received: self.received, detail: super::http::innermost(error) }.into()
    }
}

/// The bytes received since the start of the current [`STALL_WINDOW`].
#[derive(Debug, Clone, Copy)]
struct StallWindow {
    since: Instant,
    bytes: u64,
}

impl StallWindow {
    /// Counts bytes received at `now`; returns `false` when a whole window had too few.
    fn is_fast_enough(&mut self, now: Instant, count: u64) -> bool {
        self.bytes += count;
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < STALL_WINDOW {
            return true;
        }
        let enough = u128::from(self.bytes) * 1000 >= u128::from(MIN_BYTES_PER_SECOND) * elapsed.as_millis();
        *self = Self { since: now, bytes: 0 };
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickling_body_is_given_up_after_a_window() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = StallWindow { since: start, bytes: 0 };
        assert!(window.is_fast_enough(at(59), 1), "the window is not over yet");
        assert!(!window.is_fast_enough(at(60), 1));
        let mut window = StallWindow { since: start, bytes: 0 };
        assert!(window.is_fast_enough(at(60), 60_000));
        assert!(!window.is_fast_enough(at(120), 59_999), "each window is checked alone");
        assert!(window.is_fast_enough(at(180), 1_000_000));
    }
}
