//! What can go wrong, grouped by who must act: the publisher, the network, this machine, or the
//! caller.
//!
//! Every error has a [`code`](Error::code) that never changes once released, and the exit code that
//! the command line programs end with. A message is one line, says what happened to what, and
//! starts in lower case.

mod machine;
mod network;
mod refused;

pub use machine::Machine;
pub use network::Network;
pub use refused::{Defect, Refused};

use crate::values::names::Component;
use crate::values::timestamp::Timestamp;
use std::path::Path;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any failure of this crate, grouped by who must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What arrived is not what a trusted key signed: the publisher's fault, or an attacker's. Exit
    /// code 21.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The network or the server did not deliver. Exit code 20.
    #[error(transparent)]
    Network(#[from] Network),
    /// This machine is in the way: rights, space, a file in use, damaged state. Exit code 22.
    #[error(transparent)]
    Machine(#[from] Machine),
    /// The call itself is wrong. Exit code 2.
    #[error(transparent)]
    Caller(#[from] Caller),
    /// Another updater works on this install root, or the program still runs. Exit code 23.
    #[error("{what} is busy{}", holder.map(|pid| format!(", held by process {pid}")).unwrap_or_default())]
    Busy {
        /// What could not be had.
        what: &'static str,
        /// The process that has it, where it is known.
        holder: Option<u32>,
    },
    /// The user has stopped downloads for a while. Exit code 24.
    #[error("updates are paused since {since}; `resume` goes on")]
    Paused {
        /// Since when.
        since: Timestamp,
    },
    /// The user stopped it; what was downloaded is kept. Exit code 24.
    #[error("stopped; what was downloaded is kept")]
    Cancelled,
}

/// A call that cannot be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Caller {
    /// No key to trust.
    #[error("no trusted key is given")]
    NoKey,
    /// A public key that is none, is too weak, or is given twice.
    #[error("the public key is not usable: {detail}")]
    BadKey {
        /// What is wrong with it.
        detail: String,
    },
    /// A setting that cannot be.
    #[error("{setting} cannot be `{value}`: {detail}")]
    BadSetting {
        /// The setting.
        setting: &'static str,
        /// What it was set to.
        value: String,
        /// DeferralReason not.
        detail: String,
    },
    /// A free function before [`init`](crate::init), or a second `init`.
    #[error("{0}")]
    Init(&'static str),
    /// Nothing is staged that could be applied.
    #[error("nothing is staged to be applied")]
    NothingStaged,
    /// No version is on probation, so that there is none to return to.
    #[error("no version is on probation: there is none to return to")]
    NothingToRollBack,
    /// Two releases of one component in one swap.
    #[error("{component} stands twice in one update")]
    ComponentTwice {
        /// The component.
        component: Component,
    },
}

impl Error {
    /// A short name for this kind of failure that never changes once released: for scripts, logs
    /// and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Refused(refused) => refused.code(),
            Error::Network(network) => network.code(),
            Error::Machine(machine) => machine.code(),
            Error::Caller(caller) => caller.code(),
            Error::Busy { .. } => "busy",
            Error::Paused { .. } => "paused",
            Error::Cancelled => "cancelled",
        }
    }

    /// The exit code of the command line programs for this failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Caller(_) => 2,
            Error::Network(_) => 20,
            Error::Refused(_) => 21,
            Error::Machine(_) => 22,
            Error::Busy { .. } => 23,
            Error::Paused { .. } | Error::Cancelled => 24,
        }
    }

    /// Whether the same call may succeed when it is repeated soon, without anybody's doing: the
    /// network, a busy root, a stopped download.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Network(Network::Status { status, .. }) => *status == 408 || *status == 429 || *status >= 500,
            Error::Network(Network::Redirect { .. } | Network::Wait { .. }) => false,
            Error::Network(_) | Error::Busy { .. } | Error::Cancelled => true,
            Error::Paused { .. } | Error::Refused(_) | Error::Machine(_) | Error::Caller(_) => false,
        }
    }

    /// Wraps the system's answer to an operation on `path`; `action` is a verb.
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Machine::Io { action, path: path.as_ref().to_owned(), source }.into()
    }
}

impl Caller {
    fn code(&self) -> &'static str {
        match self {
            Caller::NoKey => "no-key",
            Caller::BadKey { .. } => "bad-key",
            Caller::BadSetting { .. } => "bad-setting",
            Caller::Init(_) => "init",
            Caller::NothingStaged => "nothing-staged",
            Caller::NothingToRollBack => "nothing-to-roll-back",
            Caller::ComponentTwice { .. } => "component-twice",
        }
    }
}
