//! Requirements: the versions of other components that a release needs.

use super::{Patcher, Update};
use crate::error::Result;
use crate::formats::manifest::{Component, Meta};
use crate::trust;
use std::collections::BTreeMap;

impl Patcher {
    /// Checks the requirements of all components as they would be with these updates.
    ///
    /// A repair changes no version and is not counted.
    pub(super) fn check_requirements(&self, updates: &[Update]) -> Result<()> {
        let changed = updates.iter().filter(|update| !update.is_repair);
        self.check_requirements_with(changed.map(|update| &update.trusted.manifest().meta), None)
    }

    /// Checks the requirements of all components as they would be with `changed` and without
    /// `removed`.
    pub(super) fn check_requirements_with<'a>(
        &self,
        changed: impl Iterator<Item = &'a Meta>,
        removed: Option<&Component>,
    ) -> Result<()> {
        let changed = changed.map(|meta| (meta.component.clone(), meta.clone()));
        let mut releases: BTreeMap<Component, Meta> = changed.collect();
        if releases.is_empty() && removed.is_none() {
            return Ok(());
        }
        for component in self.components()? {
            // A damaged manifest states no requirements; it must not block the other components.
            if Some(&component) != removed
                && !releases.contains_key(&component)
                && let Ok(Some(installed)) = self.installed(&component)
            {
                releases.insert(component, installed.manifest.meta);
            }
        }
        Ok(trust::check_requires(releases.values())?)
    }
}
