//! Errors, grouped by their cause: the publisher, the network, this machine or the caller.
//!
//! Every error has a stable [`code`](Error::code) and the exit code of the command line programs. A
//! message is one line that starts in lower case. It says what failed, where, and why. It gives no
//! advice: the programs map codes to advice.

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

/// Any error of this crate, grouped by its cause.
///
/// ```no_run
/// use patcher::Error;
///
/// match patcher::check_component("core") {
///     Ok(_) => {}
///     // The program works without a network, too; the next check tries again.
///     Err(error) if error.is_retryable() => eprintln!("no check this time: {error}"),
///     Err(Error::Refused(refused)) => eprintln!("the site may be damaged or under attack: {refused}"),
///     Err(error) => eprintln!("{error} ({})", error.code()),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client refused what it received: the site is damaged, or under attack. Exit code 21.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The network or the server did not deliver. Exit code 20.
    #[error(transparent)]
    Network(#[from] Network),
    /// This machine prevents it: rights, space, a file in use, damaged state. Exit code 22.
    #[error(transparent)]
    Machine(#[from] Machine),
    /// The call or the configuration is wrong. Exit code 2.
    #[error(transparent)]
    Caller(#[from] Caller),
    /// Another updater works on this install root, or the program still runs. Exit code 23.
    #[error("{what} is busy{}", holder.map(|pid| format!(", held by process {pid}")).unwrap_or_default())]
    Busy {
        /// The thing that is locked.
        what: &'static str,
        /// The id of the process that holds the lock, if known.
        holder: Option<u32>,
    },
    /// The user has paused downloads. Exit code 24.
    #[error("downloads are paused since {since}")]
    Paused {
        /// The time at which the user paused them.
        since: Timestamp,
    },
    /// The call was cancelled. The bytes downloaded so far are kept. Exit code 24.
    #[error("cancelled; the bytes downloaded so far are kept")]
    Cancelled,
}

/// An error of the caller: a wrong argument, setting or order of calls.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Caller {
    /// The configuration has no trusted key.
    #[error("the configuration has no trusted key")]
    NoKey,
    /// A trusted key is not a public key in PEM, is too weak, or is given twice.
    #[error("the public key is not usable: {detail}")]
    BadKey {
        /// The reason.
        detail: String,
    },
    /// A setting has a value out of its range.
    #[error("{setting} cannot be `{value}`: {detail}")]
    BadSetting {
        /// The setting.
        setting: &'static str,
        /// The value.
        value: String,
        /// The reason.
        detail: String,
    },
    /// A function was called before `init`, or `init` was called twice.
    #[error("{0}")]
    Init(&'static str),
    /// No update is staged.
    #[error("no update is staged")]
    NothingStaged,
    /// No version is on probation, so that nothing can be rolled back.
    #[error("no version is on probation, so that nothing can be rolled back")]
    NothingToRollBack,
    /// A version is on probation, which a repair would end.
    #[error("a version is on probation; a repair would end that")]
    OnProbation,
    /// One call got two updates of one component.
    #[error("two updates of {component} in one call")]
    ComponentTwice {
        /// The component.
        component: Component,
    },
}

impl Error {
    /// Returns the stable code of this kind of error, for scripts, logs and tests.
    ///
    /// A code never changes once released. `docs/reference/errors.md` lists all codes.
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

    /// Returns the exit code of the command line programs for this error.
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

    /// Returns `true` if the same call may succeed soon without any change.
    ///
    /// Such errors are most errors of the network, a busy install root, and a cancelled download.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Network(Network::Status { status, .. }) => *status == 408 || *status == 429 || *status >= 500,
            Error::Network(Network::Redirect { .. } | Network::Wait { .. }) => false,
            Error::Network(_) | Error::Busy { .. } | Error::Cancelled => true,
            Error::Paused { .. } | Error::Refused(_) | Error::Machine(_) | Error::Caller(_) => false,
        }
    }

    /// Makes the error for a failed operation on `path`; `action` is a verb.
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
            Caller::OnProbation => "on-probation",
            Caller::ComponentTwice { .. } => "component-twice",
        }
    }
}
