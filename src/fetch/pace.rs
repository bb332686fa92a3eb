//! A body that must keep coming: stoppable, and cut off when it trickles.

use super::CancelToken;
use crate::error::{Error, Network, Result};
use std::io::{self, Read};
use std::time::{Duration, Instant};
use url::Url;

/// How long a body may come slower than [`MIN_RATE`].
pub const WINDOW: Duration = Duration::from_secs(60);
/// The slowest that a body may come over a [`WINDOW`], in bytes a second.
pub const MIN_RATE: u64 = 1000;

/// Reads a body; one that stays below the minimum rate for a whole window is given up.
pub struct Paced<'a> {
    reader: Box<dyn Read + Send>,
    url: &'a Url,
    cancel: &'a CancelToken,
    received: u64,
    last_byte: Instant,
    /// When the window began, and the bytes since then.
    window: (Instant, u64),
}

impl<'a> Paced<'a> {
    /// Reads `reader`, which came from `url`, until `cancel` stops it.
    pub fn new(reader: Box<dyn Read + Send>, url: &'a Url, cancel: &'a CancelToken) -> Self {
        Self { reader, url, cancel, received: 0, last_byte: Instant::now(), window: (Instant::now(), 0) }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Network::Stalled`], [`Network::CutOff`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            self.cancel.check()?;
            match self.reader.read(buffer) {
                Ok(count) => {
                    self.received += count as u64;
                    self.last_byte = Instant::now();
                    self.keep_pace(count as u64)?;
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

    fn keep_pace(&mut self, count: u64) -> Result<()> {
        let (start, so_far) = self.window;
        self.window.1 = so_far + count;
        if start.elapsed() < WINDOW {
            return Ok(());
        }
        if self.window.1 < MIN_RATE * WINDOW.as_secs() {
            return Err(Network::Stalled { url: self.url.to_string(), limit: WINDOW }.into());
        }
        self.window = (Instant::now(), 0);
        Ok(())
    }

    fn cut_off(&self, error: &io::Error) -> Error {
        let url = self.url.to_string();
        if super::http::is_stall(error) {
            return Network::Stalled { url, limit: self.last_byte.elapsed() }.into();
        }
        Network::CutOff { url, received: self.received, detail: super::http::innermost(error) }.into()
    }
}
