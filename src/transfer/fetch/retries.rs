//! Tries again what the network may do better the next time.

use super::CancelToken;
use crate::error::{Error, Network, Result};
use std::time::Duration;

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// How many times after the first.
    pub count: u32,
    /// How long before the first repetition; it doubles each time.
    pub pause: Duration,
}

impl Default for Retries {
    /// Three times, after 0.5, 1 and 2 seconds.
    fn default() -> Self {
        Self { count: 3, pause: Duration::from_millis(500) }
    }
}

impl Retries {
    /// Calls `attempt` until it succeeds, fails for good, or has failed often enough. A server that says when to come back
    /// is not asked again before: that error comes back at once.
    ///
    /// # Errors
    /// The last attempt's, or [`Error::Cancelled`].
    pub fn run<T>(&self, cancel: &CancelToken, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let mut pause = self.pause;
        for _ in 0..self.count {
            match attempt() {
                Err(Error::Network(Network::Status { status, retry_after: Some(after), url })) => {
                    return Err(Network::Status { status, retry_after: Some(after), url }.into());
                }
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) if error.is_retryable() => {}
                done => return done,
            }
            cancel.wait(pause)?;
            pause = pause.saturating_mul(2);
        }
        attempt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(error: impl Fn() -> Error) -> u32 {
        let mut calls = 0;
        let retries = Retries { count: 3, pause: Duration::ZERO };
        let result: Result<()> = retries.run(&CancelToken::default(), || {
            calls += 1;
            Err(error())
        });
        result.unwrap_err();
        calls
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let status = |status, retry_after| move || Network::Status { url: "u".into(), status, retry_after }.into();
        assert_eq!(attempts(status(503, None)), 4);
        assert_eq!(attempts(status(404, None)), 1);
        assert_eq!(attempts(status(503, Some(Duration::from_secs(60)))), 1);
        assert_eq!(attempts(|| Network::CutOff { url: "u".into(), received: 1, detail: String::new() }.into()), 4);
        assert_eq!(attempts(|| Error::Cancelled), 1);
        assert_eq!(attempts(|| crate::error::Refused::UnknownKey.into()), 1);
    }
}
