//! The removal of a component.

use super::Patcher;
use crate::disk::inventory::PathContent;
use crate::error::Result;
use crate::state::journal::Transaction;
use crate::transfer::stage::{self, Stage, preflight};
use crate::values::rel_path::{MANIFEST_NAME, RelPath};

impl Patcher {
    /// Removes a component: its unchanged files, its manifest, and the folders that are empty
    /// afterwards.
    ///
    /// Returns the files of the release that the user has changed; they stay, as do files that the
    /// user added.
    ///
    /// # Errors
    /// - [`Refused::Requires`](crate::Refused::Requires) if another component requires it.
    /// - [`Machine::NotInstalled`](crate::Machine::NotInstalled) for a component that is not
    ///   installed.
    /// - [`Error::Busy`](crate::Error::Busy) while the program runs.
    /// - [`Machine::SwapUndone`](crate::Machine::SwapUndone) and
    ///   [`Machine::UndoFailed`](crate::Machine::UndoFailed) if a step failed.
    pub fn remove(&self, component: impl AsRef<str>) -> Result<Vec<RelPath>> {
        let component = super::parse_component(component.as_ref())?;
        let (state_dir, lock) = self.lock()?;
        let installed = self.require_installed(&component)?;
        self.check_requirements_with(std::iter::empty(), Some(&component))?;
        let (plan, inventory) = self.plan(&component, Some(&installed), None)?;
        let root = &self.shared.root;
        preflight::check_rights(&root.component(&component), &plan)?;
        let stage = Stage::open(root, &state_dir, &component)?;
        let manifests = (inventory.content(MANIFEST_NAME).clone(), PathContent::Absent);
        let versions = (Some(installed.manifest.meta.version.clone()), None);
        let steps = stage::swap_steps(root, &component, &stage, &plan, manifests, versions)?;
        drop(stage);
        // Without this record, checks report a lost manifest if files of the user stay.
        let record = |is_removed| self.change_choices(|choices| choices.set_removed(&component, is_removed));
        let _ = record(true);
        let transaction = Transaction { probation: false, components: vec![steps], ..Transaction::default() };
        self.swap(&state_dir, &lock, transaction).inspect_err(|_| drop(record(false)))?;
        Ok(plan.kept)
    }
}
