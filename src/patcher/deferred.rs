//! Newer releases that are not offered, and why.

use crate::formats::manifest::{Manifest, Meta};
use crate::state::{MAX_SWAP_ATTEMPTS, Reason};
use semver::Version;
use std::fmt;

/// A newer release that is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferred {
    /// The component.
    pub component: String,
    /// The release's version.
    pub version: Version,
    /// DeferralReason it is left alone.
    pub why: DeferralReason,
}

impl Deferred {
    pub(super) fn of(manifest: &Manifest, why: DeferralReason) -> Self {
        let Meta { component, version, .. } = &manifest.meta;
        Self { component: component.to_string(), version: version.clone(), why }
    }
}

/// DeferralReason a release is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeferralReason {
    /// It goes to this percentage of all machines for now, and this one is not among them.
    NotYet(u8),
    /// The user has skipped this version.
    Skipped,
    /// It needs a version of another component that is not to be had, or another one cannot live with it.
    Requires(String),
    /// It was installed here before and rolled back; one with other content is offered again.
    RolledBack(Reason),
    /// The swap to it has failed three times; a release with a higher sequence is offered again.
    SwapFailed,
}

impl fmt::Display for DeferralReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeferralReason::RolledBack(reason) => write!(f, "it was rolled back: {reason}"),
            DeferralReason::NotYet(0) => f.write_str("the publisher has paused it"),
            DeferralReason::NotYet(percent) => write!(f, "it goes to {percent} % of all machines for now"),
            DeferralReason::Skipped => f.write_str("it was skipped"),
            DeferralReason::Requires(detail) => f.write_str(detail),
            DeferralReason::SwapFailed => write!(f, "the swap to it has failed {MAX_SWAP_ATTEMPTS} times"),
        }
    }
}
