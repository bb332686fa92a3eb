//! The deadline of a check: a silent server must not keep the program waiting.

use crate::error::{Error, Network};
use crate::transfer::fetch::CancelToken;
use std::time::{Duration, Instant};
use url::Url;

/// The time at which a check gives up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
    /// `true` if no user waits for the answer.
    pub is_background: bool,
}

impl Deadline {
    /// Starts a check that may take `limit`.
    pub fn after(limit: Duration) -> Self {
        let now = Instant::now();
        // A time beyond the range of the clock counts as 100 years.
        let at = now.checked_add(limit).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 24 * 3600));
        Self { at, limit, is_background: false }
    }

    /// Makes it the deadline of a check that no user waits for.
    pub fn in_background(self) -> Self {
        Self { is_background: true, ..self }
    }

    /// Returns a token for the next of `mirrors` mirrors, which gets an equal share of the time.
    ///
    /// Otherwise a silent first mirror would use the time of all others.
    pub fn share(&self, cancel: &CancelToken, mirrors: usize) -> CancelToken {
        let now = Instant::now();
        let left = self.at.saturating_duration_since(now);
        cancel.child_until(now + left / u32::try_from(mirrors.max(1)).unwrap_or(u32::MAX))
    }

    /// Returns the error of a server that was too slow, in place of the cancellation by its token.
    pub fn explain(&self, error: Error, cancel: &CancelToken, url: &Url) -> Error {
        match error {
            Error::Cancelled if cancel.is_timed_out() => {
                Network::TimedOut { url: url.to_string(), limit: self.limit }.into()
            }
            error => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mirror_gets_its_share_and_a_cancellation_stays_one() {
        let (user, url) = (CancelToken::default(), Url::parse("http://host/").unwrap());
        let deadline = Deadline::after(Duration::from_secs(3600));
        let token = deadline.share(&user, 2);
        assert!(!token.is_cancelled());
        user.cancel();
        assert_eq!(deadline.explain(Error::Cancelled, &token, &url).code(), "cancelled");
        let over = Deadline::after(Duration::ZERO);
        assert_eq!(over.explain(Error::Cancelled, &over.share(&user, 1), &url).code(), "cancelled");
        let token = over.share(&CancelToken::default(), 1);
        assert!(token.is_cancelled());
        assert_eq!(over.explain(Error::Cancelled, &token, &url).code(), "timed-out");
        Deadline::after(Duration::MAX);
    }
}
