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

    /// Records the retry-after of an HTTP error, and returns the error.
    pub(super) fn record_retry_after(&self, state_dir: &Dir, seen: &mut SeenReleases, error: Error) -> Error {
        let Error::Network(Network::Status { url, retry_after: Some(delay), .. }) = &error else { return error };
        let Ok(url) = Url::parse(url) else { return error };
        let now = Timestamp::now();
        let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
        let until = Timestamp::from_unix(now.unix().saturating_add(seconds));
        seen.record_retry_after(RetryAfter { host: host_of(&url), until }, now);
        // A lost record costs the server one request too early; it must not hide the error.
        let _ = seen.save(state_dir);
        error
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
