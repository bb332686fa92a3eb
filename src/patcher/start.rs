//! The start of the program: it finishes the work of earlier runs, and reports what happened since
//! the last start.

use super::{Patcher, UpdatesOff};
use crate::disk::fs::{Dir, Lock};
use crate::error::{Error, Machine, Result};
use crate::formats::manifest::Component;
use crate::state::journal::{Journal, State};
use crate::state::{self, PendingNotice, RollbackReason, Starts, StateFile as _};
use crate::swap::relaunch::{self, Job};
use crate::swap::{self, Applied, Recovery};
use semver::Version;
use std::cmp::Reverse;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

/// The longest wait for the helper, which makes the history durable after it has started this
/// program. A shorter wait would report the update at the next start only.
const OUTCOMES_LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// The time that a starting program waits for the helper to finish a swap.
const SWAP_TIMEOUT: Duration = Duration::from_secs(60);
/// The starts of a version on probation after which the next start rolls it back.
const MAX_UNCONFIRMED_STARTS: u32 = 3;

/// The event since the program's last start; the most important one if there were several.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Started {
    /// Nothing happened.
    Normal,
    /// The program starts for the first time from this install root.
    FirstRun,
    /// A component was updated: the one with the running program, if there were several.
    Updated {
        /// The component.
        component: Component,
        /// The version before.
        from: Version,
        /// The version now.
        to: Version,
    },
    /// A new version failed, and the version before is installed again.
    RolledBack {
        /// The component.
        component: Component,
        /// The version that failed.
        from: Version,
        /// The version now.
        to: Version,
        /// The reason.
        reason: RollbackReason,
    },
    /// A crash or a power cut had interrupted a swap. It was undone, and the old version is
    /// complete.
    Recovered,
    /// The program runs without updates, for this reason. This is no error of the program.
    UpdatesOff(UpdatesOff),
}

impl Patcher {
    /// Starts the program: finishes the work of earlier runs, and registers this process as a
    /// running instance.
    ///
    /// Call it first in `main`. Until this process ends, no other process swaps its files. The work
    /// of earlier runs is:
    ///
    /// - An interrupted swap is finished or undone.
    /// - A prepared swap is carried out if no other instance runs.
    /// - A new version that was started three times and not confirmed is rolled back.
    ///
    /// If that replaces the component of the running program, this process ends; the helper
    /// replaces the files and starts the program again.
    ///
    /// It does nothing and returns [`Started::UpdatesOff`] if nothing is installed, or if the
    /// installation belongs to another user. It also returns that if there is no helper; the events
    /// then wait for the first start with a helper.
    ///
    /// # Errors
    /// - [`Error::Busy`] if a swap of another process takes longer than 60 s.
    /// - [`Machine::UndoFailed`] and [`Machine::JournalUnreadable`]: the program's files are not
    ///   complete.
    pub fn start(&self) -> Result<Started> {
        crate::helper::run_if_asked(&self.shared.helper);
        let root = &self.shared.root;
        if !self.is_installed()? {
            return Ok(Started::UpdatesOff(UpdatesOff::NotInstalled { dir: root.dir.clone() }));
        }
        let started = state::open_or_create(root).and_then(|state_dir| {
            state::check_entries(&state_dir)?;
            self.start_in(&state_dir)
        });
        started.or_else(|error| Ok(Started::UpdatesOff(UpdatesOff::from_error(error, &root.state.dir)?)))
    }

    /// Starts the program in an install root whose state folder is this user's.
    fn start_in(&self, state_dir: &Dir) -> Result<Started> {
        let root = &self.shared.root;
        let is_first_run = Starts::load(state_dir)?.is_none();
        let state = Journal::peek(state_dir)?.map(|(state, _)| state);
        let unfinished = match state {
            Some(State::Prepared | State::Applying) => Journal::read(state_dir)?,
            _ => None,
        };
        let mut recovery = Recovery::Nothing;
        match state {
            Some(State::Applying) => recovery = self.recover_with_network(SWAP_TIMEOUT)?,
            // Only the deletion of backups is left; the start does not wait for it.
            Some(State::Confirmed) => {
                if let Ok(lock) = state::lock_updater(state_dir, Duration::ZERO) {
                    recovery = swap::recover(root, &lock)?;
                }
            }
            _ => {}
        }
        let own_swap = unfinished.filter(|journal| self.runs_from(journal));
        if recovery == Recovery::RolledBack && own_swap.is_some() {
            // This process may be the new version, while all its files are of the old version
            // again.
            change_starts(state_dir, |starts| starts.set_recovered(true));
            self.hand_over(state_dir, None);
        }
        let running = match state::lock_not_running(state_dir, Duration::ZERO) {
            Ok(alone) => self.finish_earlier_work(state_dir, alone)?,
            Err(Error::Busy { .. }) => state::lock_running(state_dir, SWAP_TIMEOUT)?,
            Err(error) => return Err(error),
        };
        if recovery == Recovery::Nothing
            && let Some(journal) = own_swap
            && !matches!(Journal::peek(state_dir)?, Some((State::Prepared | State::Applying, plan)) if plan == journal.plan)
        {
            // While this process waited for the lock, the helper has replaced the file of its
            // program.
            self.hand_over(state_dir, None);
        }
        *self.shared.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        // Leftovers do no harm and are no reason not to start.
        swap::sweep(root);
        if let Some(reason) = self.missing_helper() {
            return Ok(Started::UpdatesOff(reason));
        }
        self.take_event(state_dir, is_first_run, recovery == Recovery::RolledBack)
    }

    /// Carries out a prepared swap, or rolls back a version that was not confirmed, if this is the
    /// only instance.
    fn finish_earlier_work(&self, state_dir: &Dir, alone: Lock) -> Result<Lock> {
        let root = &self.shared.root;
        self.discard_superseded_swap(state_dir);
        match Journal::peek(state_dir)? {
            Some((State::Prepared, _)) => self.replace(state_dir, None, |lock| swap::apply(root, lock))?,
            Some((State::Committed, plan)) => {
                let starts = Starts::load_or_default(state_dir)?;
                if starts.unconfirmed(&plan) >= MAX_UNCONFIRMED_STARTS {
                    let reason = RollbackReason::Unconfirmed;
                    self.replace(state_dir, Some(reason), |lock| swap::roll_back(root, lock, reason))?;
                } else if !starts.had_terminal(&plan) || relaunch::uses_terminal(std::process::id()) {
                    change_starts(state_dir, |starts| starts.count_unconfirmed(plan));
                }
            }
            _ => {}
        }
        alone.share()
    }

    /// Replaces files here, or lets the helper do it if this process runs from them.
    ///
    /// A swap that fails and is undone is no reason not to start: the old files are complete.
    fn replace(
        &self,
        state_dir: &Dir,
        roll_back: Option<RollbackReason>,
        swap: impl FnOnce(&Lock) -> Result<Option<Applied>>,
    ) -> Result<()> {
        if Journal::read(state_dir)?.is_some_and(|journal| self.runs_from(&journal)) {
            self.hand_over(state_dir, roll_back);
            return Ok(());
        }
        match state::lock_updater(state_dir, Duration::ZERO).and_then(|lock| swap(&lock)) {
            Err(error @ Error::Machine(Machine::UndoFailed { .. } | Machine::JournalUnreadable { .. })) => Err(error),
            _ => Ok(()),
        }
    }

    /// Ends this process; the helper does the work and starts the program again.
    ///
    /// Where a process can become another program, the helper does it in this process, so that the
    /// run with its terminal and its outputs goes on as the other version.
    ///
    /// It returns if there is no helper, or if the helper started this process for the swap as it
    /// is now: a second round would change nothing.
    fn hand_over(&self, state_dir: &Dir, roll_back: Option<RollbackReason>) {
        let mark = Journal::mark(state_dir);
        if mark.is_some() && std::env::var(relaunch::RELAUNCHED).ok() == mark {
            return;
        }
        let _ = self.restart_by_helper(state_dir, roll_back, relaunch::CAN_REPLACE);
    }

    /// Ends this process, or lets the helper take its place; then starts this program again.
    ///
    /// It returns only on an error.
    pub(super) fn restart_by_helper(
        &self,
        state_dir: &Dir,
        roll_back: Option<RollbackReason>,
        is_in_place: bool,
    ) -> Result<Infallible> {
        let (helper, command) = (self.helper()?, Some(relaunch::this_program()?));
        let pid = std::process::id();
        let loses_terminal = relaunch::uses_terminal(pid);
        let job = Job { wait_for: Some(pid), roll_back, command, loses_terminal, ..Job::default() };
        if is_in_place {
            return self.become_helper(state_dir, &helper, Job { loses_terminal: false, ..job });
        }
        self.start_helper(state_dir, &helper, job)?;
        std::process::exit(0);
    }

    /// Returns `true` if the program of this process is in a component that the swap changes.
    fn runs_from(&self, journal: &Journal) -> bool {
        let Some(program) = running_program() else { return false };
        journal.transaction.components.iter().any(|steps| self.contains(&steps.component, &program))
    }

    pub(super) fn contains(&self, component: &Component, program: &Path) -> bool {
        self.shared.root.component(component).canonicalize().is_ok_and(|dir| program.starts_with(dir))
    }

    /// Takes the most important event that the program does not know yet.
    fn take_event(&self, state_dir: &Dir, is_first_run: bool, is_undone: bool) -> Result<Started> {
        // While another updater works, new outcomes wait for the next start. A start without any
        // does not wait for the lock.
        if state::has_outcomes(state_dir)? {
            let _ = state::lock_updater(state_dir, OUTCOMES_LOCK_TIMEOUT)
                .and_then(|_lock| state::move_outcomes_to_history(state_dir, self.shared.history));
        }
        let mut starts = Starts::load_or_default(state_dir)?;
        let is_recovered = starts.recovered() || is_undone;
        let notices = starts.take_notices();
        if is_first_run || starts.recovered() || !notices.is_empty() {
            change_starts(state_dir, |starts| {
                starts.set_recovered(false);
                starts.take_notices();
            });
        }
        let program = running_program().unwrap_or_default();
        let importance = |notice: &PendingNotice| {
            let is_own = self.contains(&notice.component, &program);
            (notice.rolled_back.is_some(), is_own, Reverse(notice.component.clone()))
        };
        Ok(match notices.into_iter().max_by_key(importance) {
            Some(PendingNotice { component, from, to, rolled_back: Some(reason) }) => {
                Started::RolledBack { component, from, to, reason }
            }
            _ if is_recovered => Started::Recovered,
            Some(PendingNotice { component, from, to, .. }) => Started::Updated { component, from, to },
            None if is_first_run => Started::FirstRun,
            None => Started::Normal,
        })
    }
}

/// Returns the path of this process's program with links resolved. The file itself may have been
/// replaced.
fn running_program() -> Option<PathBuf> {
    resolve(&relaunch::running_program().ok()?)
}

/// Resolves the links in the folders of a path, but not its last name.
pub(super) fn resolve(program: &Path) -> Option<PathBuf> {
    Some(program.parent()?.canonicalize().ok()?.join(program.file_name()?))
}

/// Remembers that the program that asked for the prepared swap uses a terminal.
///
/// A later start without one does not count as a failure of the new version.
pub(super) fn record_terminal(state_dir: &Dir) {
    if let Ok(Some((State::Prepared, plan))) = Journal::peek(state_dir) {
        change_starts(state_dir, |starts| starts.set_terminal(plan));
    }
}

/// Changes the record of starts. The program starts even if the record cannot be written.
fn change_starts(state_dir: &Dir, change: impl FnOnce(&mut Starts)) {
    let _ = Starts::load_or_default(state_dir).and_then(|mut starts| {
        change(&mut starts);
        starts.save(state_dir)
    });
}
