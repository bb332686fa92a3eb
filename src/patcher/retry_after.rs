//! Retry-after: the time until which a server asks clients not to call again (`Retry-After`).
//!
//! The client records it, so that it holds across calls and restarts of the program.

use super::Patcher;
use crate::disk::fs::Dir;
use crate::error::{Error, Network, Result};
use crate::state::{RetryAfter, SeenReleases, StateFile as _};
use crate::transfer::fetch::MAX_RETRY_AFTER;
use crate::values::timestamp::Timestamp;
use url::Url;

impl Patcher {
    /// Fails if the server of `url` asked the client to wait longer than until now.
    ///
    /// # Errors
    /// [`Network::Wait`].
    pub(super) fn check_retry_after(&self, seen: &SeenReleases, url: &Url) -> Result<()> {
        match seen.retry_after(&host_of(url), Timestamp::now(), MAX_RETRY_AFTER.as_secs()) {
            Some(until) => Err(Network::Wait { url: url.to_string(), until }.into()),
            None => Ok(()),
        }
    }

    /// Checks the retry-after of the server of `url` before a check.
    ///
    /// A user who waits for the answer may ask again after 1 minute. A background check may not.
    ///
    /// # Errors
    /// [`Network::Wait`].
    pub(super) fn check_retry_after_of(
        &self,
        state_dir: &Dir,
        seen: &mut SeenReleases,
        url: &Url,
        is_background: bool,
    ) -> Result<()> {
        let Err(wait) = self.check_retry_after(seen, url) else { return Ok(()) };
        if is_background || !seen.ask_again(&host_of(url), Timestamp::now()) {
            return Err(wait);
        }
        // The record limits the requests of a user who repeats a command.
        seen.save(state_dir)
    }

    /// Forgets the retry-after of a server that has answered.
    pub(super) fn forget_retry_after(&self, state_dir: &Dir, seen: &mut SeenReleases, url: &Url) {
        if seen.forget_retry_after(&host_of(url)) {
            // A lost record costs one delayed request.
            let _ = seen.save(state_dir);
        }
    }

    /// Records the retry-after of an HTTP error, and returns the error.
    pub(super) fn record_retry_after(&self, state_dir: &Dir, seen: &mut SeenReleases, error: Error) -> Error {
        let Error::Network(Network::Status { url, retry_after: Some(delay), .. }) = &error else { return error };
        let Ok(url) = Url::parse(url) else { return error };
        let now = Timestamp::now();
        let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
        let until = Timestamp::from_unix(now.unix().saturating_add(seconds));
        seen.record_retry_after(RetryAfter { host: host_of(&url), until, asked: now }, now);
        // A lost record costs the server one request too early; it must not hide the error.
        let _ = seen.save(state_dir);
        error
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
