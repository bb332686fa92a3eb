//! Retries: repeats a request at one mirror after an error that may pass.

use super::CancelToken;
use crate::error::{Error, Network, Result};
use std::time::Duration;

/// The number of retries of a request, and the pauses before them.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// The number of retries after the first attempt.
    pub count: u32,
    /// The pause before the first retry. It doubles before each further one.
    pub pause: Duration,
}

impl Default for Retries {
    /// Returns the usual retries: three, after 0.5 s, 1 s and 2 s.
    fn default() -> Self {
        Self { count: 3, pause: Duration::from_millis(500) }
    }
}

impl Retries {
    /// Calls `attempt` until it succeeds, its error is permanent, or no retry is left.
    ///
    /// A response with `Retry-After` is not retried: its error is returned at once.
    ///
    /// # Errors
    /// The error of the last attempt; [`Error::Cancelled`].
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
    fn only_errors_that_may_pass_are_retried() {
        let status = |status, retry_after| move || Network::Status { url: "u".into(), status, retry_after }.into();
        assert_eq!(attempts(status(503, None)), 4);
        assert_eq!(attempts(status(404, None)), 1);
        assert_eq!(attempts(status(503, Some(Duration::from_secs(60)))), 1);
        assert_eq!(attempts(|| Network::CutOff { url: "u".into(), received: 1, detail: String::new() }.into()), 4);
        assert_eq!(attempts(|| Error::Cancelled), 1);
        assert_eq!(attempts(|| crate::error::Refused::SequenceConflict { sequence: 1 }.into()), 1);
    }
}
