//! Repairs: the files of an installed component are made as its manifest lists them.

use super::{LOCK_TIMEOUT, Patcher, Update};
use crate::error::{Caller, Error, Machine, Result};
use crate::state;
use crate::state::journal::Journal;
use crate::swap;
use crate::trust;

impl Patcher {
    /// Plans the repair of a component; returns `None` if all files are as the manifest lists them.
    ///
    /// The repair is an [`Update`] to the installed release. It fetches only missing and changed
    /// files. The client restores a file marked `preserve` only if it is missing.
    ///
    /// While a version is on probation, it also fetches files of the version before whose backups
    /// are damaged. A journal that cannot be read is renamed to `journal.damaged`, and the backups
    /// to `txn.damaged`: the repair completes the version of the manifest.
    ///
    /// # Errors
    /// - [`Caller::OnProbation`] for a damaged version on probation: the repair would end that.
    /// - [`Machine::NotInstalled`](crate::Machine::NotInstalled) for a component that is not
    ///   installed.
    /// - [`Machine::InstalledManifest`](crate::Machine::InstalledManifest) if no trusted key signed
    ///   the manifest.
    /// - [`Error::Busy`](crate::Error::Busy) while another updater works on the install root.
    pub fn repair(&self, component: impl AsRef<str>) -> Result<Option<Update>> {
        let component = super::parse_component(component.as_ref())?;
        self.set_unreadable_journal_aside()?;
        self.fetch_damaged_backups()?;
        let (_state_dir, _lock) = self.lock()?;
        let installed = self.require_installed(&component)?;
        let Ok(verified) = trust::authenticate(installed.bytes.clone(), &self.shared.keys) else {
            return Err(self.untrusted_manifest(&component));
        };
        let mirrors = self.base_urls(&installed.manifest.meta);
        let update = self.plan_update(component, Some(installed), verified.installed(), mirrors)?;
        if update.plan.changes.is_empty() {
            return Ok(None);
        }
        if swap::on_probation(&self.shared.root)?.is_some() {
            return Err(Caller::OnProbation.into());
        }
        Ok(Some(Update { is_repair: true, ..update }))
    }

    fn set_unreadable_journal_aside(&self) -> Result<()> {
        let root = &self.shared.root;
        match (swap::pending(root), state::open(root)?) {
            (Err(Error::Machine(Machine::JournalUnreadable { .. })), Some(state_dir)) => {
                let _lock = state::lock_updater(&state_dir, LOCK_TIMEOUT)?;
                Journal::set_aside(&state_dir)
            }
            _ => Ok(()),
        }
    }
}
