//! The status of an install root: everything that is installed, staged, in progress or decided.

use super::Update;
use crate::formats::manifest::Component;
use crate::state::ActiveUpdate;
use semver::Version;

/// A release of a component, by its version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentVersion {
    /// The component.
    pub component: Component,
    /// The release's version.
    pub version: Version,
}

impl ComponentVersion {
    pub(super) fn of(update: &Update) -> Self {
        Self { component: update.component().clone(), version: update.to().clone() }
    }

    /// Checks whether an update in progress leads to this release.
    pub(super) fn is(&self, update: &ActiveUpdate) -> bool {
        update.component == self.component && update.version == self.version
    }
}
