//! Leaving servers alone for as long as they ask for it (`Retry-After`), across calls and restarts.

use super::Patcher;
use crate::disk::fs::Dir;
use crate::error::{Error, Network, Result};
use crate::state::{RetryAfter, SeenReleases, StateFile as _};
use crate::transfer::fetch::MAX_RETRY_AFTER;
use crate::values::timestamp::Timestamp;
use url::Url;

impl Patcher {
    /// Fails while the server of `url` wants to be left alone.
    ///
    /// # Errors
    /// [`Network::Wait`].
    pub(super) fn may_ask(&self, seen: &SeenReleases, url: &Url) -> Result<()> {
        match seen.retry_after(&host(url), Timestamp::now(), MAX_RETRY_AFTER.as_secs()) {
            Some(until) => Err(Network::Wait { url: url.to_string(), until }.into()),
            None => Ok(()),
        }
    }

    /// Remembers what a server has asked for when it refused; gives the error back.
    pub(super) fn heed(&self, state_dir: &Dir, seen: &mut SeenReleases, error: Error) -> Error {
        let Error::Network(Network::Status { url, retry_after: Some(after), .. }) = &error else { return error };
        let Ok(url) = Url::parse(url) else { return error };
        let now = Timestamp::now();
        let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
        let until = Timestamp::from_unix(now.unix().saturating_add(seconds));
        seen.record_retry_after(RetryAfter { host: host(&url), until }, now);
        // That it could not be written down is no worse than a server that did not say it.
        let _ = seen.save(state_dir);
        error
    }
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
