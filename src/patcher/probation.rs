//! Probation: a new version runs until the program confirms it, or the version before comes back.

use super::Patcher;
use crate::error::{Caller, Result};
use crate::state::RollbackReason;
use crate::swap::{self, Applied, ComponentChange, SavedFile};
use std::convert::Infallible;

/// A possible rollback: the versions before those that are on probation.
#[derive(Debug)]
#[must_use = "nothing is rolled back until `restore` or `restart`"]
pub struct Previous {
    patcher: Patcher,
    components: Vec<ComponentChange>,
}

impl Patcher {
    /// Confirms that this version works, which ends its probation and deletes the version before.
    ///
    /// Returns `true` if a version was on probation. Call it when the program has shown that it
    /// works: a window is open, a request was answered. It does not wait for another updater and
    /// needs no network.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::Machine::Io).
    pub fn confirm(&self) -> Result<bool> {
        swap::confirm(&self.shared.root)
    }

    /// Returns the rollback that is possible now; `None` if no version is on probation.
    ///
    /// # Errors
    /// [`Machine::JournalUnreadable`](crate::Machine::JournalUnreadable).
    pub fn previous(&self) -> Result<Option<Previous>> {
        let components = self.rollback_changes()?;
        Ok((!components.is_empty()).then(|| Previous { patcher: self.clone(), components }))
    }

    /// Returns the changes that a rollback would make.
    pub(super) fn rollback_changes(&self) -> Result<Vec<ComponentChange>> {
        let Some(journal) = swap::on_probation(&self.shared.root)? else { return Ok(Vec::new()) };
        let components = journal.transaction.components.into_iter();
        Ok(components.map(|steps| ComponentChange::new(steps).reversed()).collect())
    }
}

impl Previous {
    /// Returns what a rollback changes: the components that were updated together and return
    /// together.
    ///
    /// `from` is the version on probation; `to` is the one before it, `None` if the component was
    /// not installed.
    pub fn components(&self) -> &[ComponentChange] {
        &self.components
    }

    /// Rolls back now, in this process. The components must not contain the running program.
    ///
    /// The client fetches old files whose backups a program has written to. It moves the written
    /// ones beside their paths.
    ///
    /// Checks no longer offer the version that is rolled back.
    ///
    /// # Errors
    /// - [`Error::Busy`](crate::Error::Busy) while another instance of the program runs.
    /// - [`Machine::BackupDamaged`](crate::Machine::BackupDamaged) if an old file cannot be
    ///   fetched; the new version stays complete.
    /// - [`Machine::UndoFailed`](crate::Machine::UndoFailed) if a step failed; the backups are
    ///   kept.
    /// - [`Caller::NothingToRollBack`] if the version was confirmed meanwhile.
    pub fn restore(self) -> Result<Applied> {
        let saved = self.mend_backups();
        let (state_dir, lock) = self.patcher.lock()?;
        let root = &self.patcher.shared.root;
        let applied =
            self.patcher.while_not_running(&state_dir, || swap::roll_back(root, &lock, RollbackReason::Asked))?;
        let mut applied = applied.ok_or(Caller::NothingToRollBack)?;
        applied.saved.extend(saved);
        Ok(applied)
    }

    /// Ends this program; the helper rolls back and starts the previous version with the same
    /// arguments.
    ///
    /// It returns only on an error. A program that ends itself uses [`hand_over`](Self::hand_over).
    ///
    /// # Errors
    /// [`Error::Busy`](crate::Error::Busy) while another instance of the program runs,
    /// [`Machine::HelperMissing`](crate::Machine::HelperMissing) and other
    /// [`Machine`](crate::Machine) errors. Then nothing has changed, and the program continues.
    pub fn restart(self) -> Result<Infallible> {
        self.hand_over()?;
        std::process::exit(0);
    }

    /// Starts the helper, which rolls back when the program has ended, and starts the previous
    /// version. The caller ends the program.
    ///
    /// In a terminal on Unix, and in the main process of a systemd service, it does not return: the
    /// helper takes the place of this process.
    ///
    /// # Errors
    /// As [`restart`](Self::restart).
    pub fn hand_over(self) -> Result<()> {
        self.mend_backups();
        let (state_dir, _lock) = self.patcher.lock()?;
        self.patcher.while_not_running(&state_dir, || Ok(()))?;
        let is_in_place = self.patcher.shared.program.keeps_process();
        self.patcher.restart_by_helper(&state_dir, Some(RollbackReason::Asked), is_in_place)
    }

    /// Fetches the damaged files of the version before.
    ///
    /// If that fails, the rollback reports which file is missing.
    fn mend_backups(&self) -> Vec<SavedFile> {
        self.patcher.fetch_damaged_backups().unwrap_or_default()
    }
}
