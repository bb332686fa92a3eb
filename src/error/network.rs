//! What the network or a server did not deliver.

use crate::values::timestamp::Timestamp;
use std::time::Duration;

/// A download that did not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Network {
    /// No connection: name, address, TLS or proxy.
    #[error("{url} cannot be reached: {detail}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// The reason as the layers below tell it.
        detail: String,
    },
    /// No byte for the stall limit, or too few for the minimum rate.
    #[error("{url} stalled for {} s", limit.as_secs())]
    Stalled {
        /// What was asked for.
        url: String,
        /// The limit that it broke.
        limit: Duration,
    },
    /// The connection ended before the body did.
    #[error("{url} was cut off after {received} bytes: {detail}")]
    CutOff {
        /// What was asked for.
        url: String,
        /// Bytes of the body that had come.
        received: u64,
        /// The reason as the layers below tell it.
        detail: String,
    },
    /// A status that is neither success nor "not modified".
    #[error("{url} answered with HTTP status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The server has asked, not long ago, to be left alone until then.
    #[error("{url} asked to be left alone until {until}")]
    Wait {
        /// What would have been asked for.
        url: String,
        /// When it may be asked again.
        until: Timestamp,
    },
    /// More than three redirects, or one from https to http.
    #[error("{url} was redirected where a client does not follow: {detail}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// The rule that it breaks.
        detail: String,
    },
}

impl Network {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Network::Unreachable { .. } => "unreachable",
            Network::Stalled { .. } => "stalled",
            Network::CutOff { .. } => "cut-off",
            Network::Status { .. } => "http-status",
            Network::Wait { .. } => "retry-later",
            Network::Redirect { .. } => "redirect",
        }
    }
}
