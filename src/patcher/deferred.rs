//! Deferred releases: newer ones that the client does not offer, each with the reason.

use crate::formats::manifest::{Component, Manifest, Meta};
use crate::policy::PolicyRule;
use crate::state::{MAX_SWAP_ATTEMPTS, RollbackReason};
use semver::Version;
use std::fmt;

/// A newer release that the client does not offer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deferred {
    /// The component.
    pub component: Component,
    /// The release's version.
    pub version: Version,
    /// The reason.
    pub reason: DeferralReason,
}

impl Deferred {
    pub(super) fn of(manifest: &Manifest, reason: DeferralReason) -> Self {
        let Meta { component, version, .. } = &manifest.meta;
        Self { component: component.clone(), version: version.clone(), reason }
    }
}

/// The reason why the client does not offer a newer release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeferralReason {
    /// The publisher has paused the release.
    RolloutPaused,
    /// The publisher offers the release to a share of all machines, and this machine is not among
    /// them.
    Rollout {
        /// The share of all machines in percent, 1 to 99.
        percent: u8,
    },
    /// The user has skipped this version.
    Skipped,
    /// The requirements of this release or of another component are not met; the text names them.
    Requires(String),
    /// The release was installed on this machine and rolled back. A release with other content is
    /// offered again.
    RolledBack(RollbackReason),
    /// The swap to the release failed three times. A release with a higher sequence is offered
    /// again.
    SwapFailed,
    /// A rule of the administrator's policy defers the release.
    Policy(PolicyRule),
}

impl fmt::Display for DeferralReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeferralReason::RolloutPaused => f.write_str("the publisher has paused it"),
            DeferralReason::Rollout { percent } => write!(f, "the publisher offers it to {percent} % of all machines"),
            DeferralReason::Skipped => f.write_str("it was skipped"),
            DeferralReason::Requires(detail) => f.write_str(detail),
            DeferralReason::RolledBack(reason) => write!(f, "it was rolled back: {reason}"),
            DeferralReason::Policy(rule) => write!(f, "{rule}"),
            DeferralReason::SwapFailed => write!(f, "the swap to it has failed {MAX_SWAP_ATTEMPTS} times"),
        }
    }
}
