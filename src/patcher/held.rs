//! Newer releases that are not offered, and why.

use crate::formats::manifest::{Manifest, Meta};
use crate::state::{MAX_ATTEMPTS, Reason};
use semver::Version;
use std::fmt;

/// A newer release that is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The component.
    pub component: String,
    /// The release's version.
    pub version: Version,
    /// Why it is left alone.
    pub why: Why,
}

impl Held {
    pub(super) fn of(manifest: &Manifest, why: Why) -> Self {
        let Meta { component, version, .. } = &manifest.meta;
        Self { component: component.to_string(), version: version.clone(), why }
    }
}

/// Why a release is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
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

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::RolledBack(reason) => write!(f, "it was rolled back: {reason}"),
            Why::NotYet(0) => f.write_str("the publisher has paused it"),
            Why::NotYet(percent) => write!(f, "it goes to {percent} % of all machines for now"),
            Why::Skipped => f.write_str("it was skipped"),
            Why::Requires(detail) => f.write_str(detail),
            Why::SwapFailed => write!(f, "the swap to it has failed {MAX_ATTEMPTS} times"),
        }
    }
}
