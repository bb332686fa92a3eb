//! The reasons why a program runs without updates: none of them is an error of the program.

use super::Patcher;
use crate::disk::fs::Dir;
use crate::error::{Error, Machine, Result};
use crate::formats::manifest::Component;
use crate::state::{self, journal::Journal};
use crate::values::rel_path::MANIFEST_NAME;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The reason why a program runs without updates.
///
/// The program itself works. Checks and downloads fail with the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdatesOff {
    /// No component is installed, for example in a developer's checkout.
    NotInstalled {
        /// The folder without components.
        dir: PathBuf,
    },
    /// The installation belongs to another user, or this user cannot write to it.
    NotOurs {
        /// The folder that this user cannot use.
        path: PathBuf,
    },
    /// A service of the administrator updates the program for all users of the machine.
    ///
    /// [`Watcher`](crate::Watcher) reports when the service has installed a new version.
    Service {
        /// The install root.
        root: PathBuf,
    },
    /// The program was installed without the helper, which swaps its files.
    NoHelper {
        /// The path at which the client looked for it.
        path: PathBuf,
    },
    /// The administrator's policy turns updates off.
    Policy {
        /// The policy file.
        path: PathBuf,
    },
}

impl fmt::Display for UpdatesOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { dir } => write!(f, "nothing is installed in {}", dir.display()),
            Self::NotOurs { path } => write!(f, "{} belongs to another user or cannot be changed", path.display()),
            Self::Service { root } => write!(f, "a service of the administrator updates {}", root.display()),
            Self::NoHelper { path } => write!(f, "the helper program {} does not exist", path.display()),
            Self::Policy { path } => write!(f, "the policy {} turns updates off", path.display()),
        }
    }
}

impl UpdatesOff {
    /// Returns the reason behind an error of the state folder; the error itself if it is another.
    pub(super) fn from_error(error: Error, state_dir: &Path) -> Result<Self> {
        match error {
            Error::Machine(
                Machine::NotWritable { path } | Machine::OtherOwner { path } | Machine::WritableByOthers { path },
            ) => Ok(Self::NotOurs { path }),
            error if matches!(error.code(), "permission-denied" | "read-only") => {
                Ok(Self::NotOurs { path: state_dir.to_owned() })
            }
            error => Err(error),
        }
    }
}

impl Patcher {
    /// Returns `true` if a component is installed, or a swap has begun.
    ///
    /// It reads no manifest, because every start of the program asks.
    pub(super) fn is_installed(&self) -> Result<bool> {
        let root = &self.shared.root;
        let has_manifest = |dir: &Path| dir.join(MANIFEST_NAME).symlink_metadata().is_ok();
        if root.elsewhere.values().any(|dir| has_manifest(dir)) {
            return Ok(true);
        }
        let names = match Dir::open(&root.dir) {
            Err(Error::Machine(Machine::Io { source, .. })) if source.kind() == ErrorKind::NotFound => Vec::new(),
            dir => dir?.names()?,
        };
        let is_component = |name: &String| name.parse::<Component>().is_ok() && has_manifest(&root.dir.join(name));
        if names.iter().any(is_component) {
            return Ok(true);
        }
        match state::open(root) {
            Ok(Some(state_dir)) => Ok(Journal::peek(&state_dir)?.is_some()),
            Ok(None) => Ok(false),
            // The state folder of another user is a sign of an installation.
            Err(_) => Ok(true),
        }
    }

    /// Returns the reason if the administrator's policy turns updates off.
    ///
    /// A policy that cannot be used is no such reason: each check fails with its error.
    pub(super) fn policy_off(&self) -> Option<UpdatesOff> {
        let off = self.policy_rules().is_ok_and(|rules| !rules.allows_updates());
        off.then(|| UpdatesOff::Policy { path: self.shared.policy.clone() })
    }

    /// Returns the reason if the running program is in a component and has no helper.
    pub(super) fn missing_helper(&self) -> Option<UpdatesOff> {
        match self.helper() {
            Err(Error::Machine(Machine::HelperMissing { path })) if self.is_running_from_a_component() => {
                Some(UpdatesOff::NoHelper { path })
            }
            _ => None,
        }
    }

    /// Returns `true` if the program of this process is in an installed component.
    fn is_running_from_a_component(&self) -> bool {
        let program = self.shared.program.resolved_path();
        let components = self.components().unwrap_or_default();
        program.is_some_and(|program| components.iter().any(|component| self.contains(component, &program)))
    }
}
