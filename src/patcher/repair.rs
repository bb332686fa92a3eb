//! Bringing the files of an installed component back to what its manifest says.

use super::{Patcher, Update};
use crate::error::{Machine, Result};
use crate::trust;
use crate::values::rel_path::MANIFEST_NAME;

impl Patcher {
    /// Works out what it takes to repair a component: only what is missing or changed is fetched, and a file marked
    /// `preserve` only if it is missing. None when everything is as it should be.
    ///
    /// # Errors
    /// [`Machine::NotInstalled`]; [`Machine::InstalledManifest`] when no trusted key vouches for the manifest;
    /// [`Error::Busy`](crate::Error::Busy).
    pub fn repair(&self, component: impl AsRef<str>) -> Result<Option<Update>> {
        let name = super::component_name(component.as_ref())?;
        let (_state_dir, _lock) = self.lock()?;
        let installed = self.must_be_installed(&name)?;
        let Ok(verified) = trust::authenticate(installed.bytes.clone(), &self.inner.keys) else {
            let path = self.inner.root.component(&name).join(MANIFEST_NAME);
            let detail = "no trusted key signed it".to_owned();
            return Err(Machine::InstalledManifest { component: name.to_string(), path, detail }.into());
        };
        let mirrors = self.base_urls(&installed.manifest.meta);
        let update = self.plan_update(name, Some(installed), verified.installed(), mirrors)?;
        Ok((!update.plan.changes.is_empty()).then_some(Update { repairs: true, ..update }))
    }
}
