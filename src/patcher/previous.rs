//! The end of a new version's probation: it is confirmed, or the version before comes back.

use super::Patcher;
use crate::error::{Caller, Result};
use crate::state::RollbackReason;
use crate::swap::relaunch::{self, Job};
use crate::swap::{self, Applied, ComponentChange};
use std::convert::Infallible;

/// The versions before those that are on probation: what a rollback returns to.
#[derive(Debug)]
#[must_use = "nothing is rolled back until it is restored"]
pub struct Previous {
    patcher: Patcher,
    components: Vec<ComponentChange>,
}

impl Patcher {
    /// Tells that this version works: its probation ends, and the version before goes for good. Tells whether it was on
    /// probation. To be called when the program has shown that it runs: a window is open, a request was answered.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn confirm(&self) -> Result<bool> {
        swap::confirm(&self.inner.root)
    }

    /// What a rollback would return to; none when no version is on probation.
    ///
    /// # Errors
    /// [`Machine::JournalUnreadable`](crate::error::Machine::JournalUnreadable).
    pub fn previous(&self) -> Result<Option<Previous>> {
        let Some(journal) = swap::on_probation(&self.inner.root)? else { return Ok(None) };
        let components = journal.transaction.components.into_iter();
        let components = components.map(|steps| ComponentChange::from(steps).reversed()).collect();
        Ok(Some(Previous { patcher: self.clone(), components }))
    }
}

impl Previous {
    /// Returns what a rollback changes: the components that were updated together, which return together.
    ///
    /// `from` is the version on probation; `to` is the one before it, `None` if the component was not installed.
    pub fn components(&self) -> &[ComponentChange] {
        &self.components
    }

    /// Returns now, in this process: for components that this process does not run from. The version that goes is remembered
    /// as bad and not offered again.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::Error::Busy) while another instance of the program runs;
    /// [`Machine::UndoFailed`](crate::error::Machine::UndoFailed).
    pub fn restore(self) -> Result<Applied> {
        let (state_dir, lock) = self.patcher.lock()?;
        let root = &self.patcher.inner.root;
        let taken_back = self.patcher.alone(&state_dir, || swap::roll_back(root, &lock, RollbackReason::Asked))?;
        taken_back.ok_or_else(|| Caller::NothingToRollBack.into())
    }

    /// Ends this program at once, lets the helper return to the previous version, and starts that with the same arguments.
    ///
    /// # Errors
    /// [`Machine::HelperMissing`](crate::error::Machine::HelperMissing) and others; then the program runs on and nothing is
    /// changed.
    pub fn restart(self) -> Result<Infallible> {
        let (state_dir, _lock) = self.patcher.lock()?;
        let helper = self.patcher.helper()?;
        let (pid, command) = (Some(std::process::id()), Some(relaunch::this_program()?));
        let job = Job { wait_for: pid, roll_back: Some(RollbackReason::Asked), command, ..Job::default() };
        self.patcher.start_helper(&state_dir, &helper, job)?;
        std::process::exit(0);
    }
}
