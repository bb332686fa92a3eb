//! Network errors: no connection, a stall, an HTTP status, a redirect.

use crate::values::timestamp::Timestamp;
use std::time::Duration;

/// An error of the network or of a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Network {
    /// The client cannot connect: name lookup, address, TLS or proxy.
    #[error("{url} cannot be reached: {detail}")]
    Unreachable {
        /// The requested URL.
        url: String,
        /// The reason.
        detail: String,
    },
    /// No byte arrived for the stall timeout, or too few for the minimum rate.
    #[error("{url} stalled for {} s", limit.as_secs())]
    Stalled {
        /// The requested URL.
        url: String,
        /// The time limit that was exceeded.
        limit: Duration,
    },
    /// The time limit for a check is over.
    #[error("{url} did not answer within the time limit of the check, {limit:?}")]
    TimedOut {
        /// The URL that was requested last.
        url: String,
        /// The time limit of the whole check.
        limit: Duration,
    },
    /// The connection ended before the body was complete.
    #[error("{url} was cut off after {received} bytes: {detail}")]
    CutOff {
        /// The requested URL.
        url: String,
        /// The bytes of the body that arrived.
        received: u64,
        /// The reason.
        detail: String,
    },
    /// The server answered with an HTTP status other than success.
    #[error("{url} answered with HTTP status {status}")]
    Status {
        /// The requested URL.
        url: String,
        /// The status.
        status: u16,
        /// The retry-after of the server.
        retry_after: Option<Duration>,
    },
    /// An earlier answer of the server has a retry-after that is not over. The client sent nothing.
    #[error("the server of {url} allows no request before {until}")]
    Wait {
        /// The URL that was not requested.
        url: String,
        /// The end of the retry-after.
        until: Timestamp,
    },
    /// The server sent more than three redirects, or one from `https` to `http`.
    #[error("the client does not follow the redirect of {url}: {detail}")]
    Redirect {
        /// The requested URL.
        url: String,
        /// The rule that the redirect breaks.
        detail: String,
    },
}

impl Network {
    /// Returns `true` if the server does not have the file: status 403, 404 or 410.
    ///
    /// Object stores answer 403 for an absent file if the client may not list the bucket.
    pub fn is_absent(&self) -> bool {
        matches!(self, Network::Status { status: 403 | 404 | 410, .. })
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Network::Unreachable { .. } => "unreachable",
            Network::Stalled { .. } => "stalled",
            Network::TimedOut { .. } => "timed-out",
            Network::CutOff { .. } => "cut-off",
            Network::Status { .. } => "http-status",
            Network::Wait { .. } => "retry-later",
            Network::Redirect { .. } => "redirect",
        }
    }
}
