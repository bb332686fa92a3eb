//! The start of the program: it finishes the work of earlier runs, and reports what happened since
//! the last start.

use super::{Patcher, UpdatesOff};
use crate::disk::fs::{Dir, Lock};
use crate::error::{Error, Machine, Result};
use crate::formats::manifest::Component;
use crate::state::journal::{Journal, JournalState, Transaction};
use crate::state::{self, PendingNotice, RollbackReason, Starts, StateFile as _};
use crate::swap::relaunch::{self, Job};
use crate::swap::{self, Applied, Recovery};
use semver::Version;
use std::cmp::Reverse;
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
    /// The helper waits for the end of the program, and starts it again as another version.
    ///
    /// The program must end now. [`init`](crate::init) ends it and never returns this.
    HandedOver,
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
    /// If that replaces the component of the running program, the helper replaces the files and
    /// starts the program again. On Unix the helper takes the place of this process. On Windows,
    /// and with [`Config::process`](crate::Config::process), it returns [`Started::HandedOver`].
    ///
    /// It does nothing and returns [`Started::UpdatesOff`] if nothing is installed, or if the
    /// installation belongs to another user. It also returns that if there is no helper, or if the
    /// administrator's policy turns updates off; the events then wait for a later start.
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
        started.or_else(|error| {
            let off = UpdatesOff::from_error(error, &root.state.dir)?;
            let is_other_users = matches!(off, UpdatesOff::NotOurs { .. });
            Ok(Started::UpdatesOff(if is_other_users { self.begin_user_session().unwrap_or(off) } else { off }))
        })
    }

    /// Starts the program in an install root whose state folder is this user's.
    fn start_in(&self, state_dir: &Dir) -> Result<Started> {
        let root = &self.shared.root;
        let is_first_run = Starts::load(state_dir)?.is_none();
        let state = Journal::peek(state_dir)?.map(|(state, _)| state);
        let unfinished = match state {
            Some(JournalState::Prepared | JournalState::Applying) => Journal::read(state_dir)?,
            _ => None,
        };
        let mut recovery = Recovery::Nothing;
        match state {
            Some(JournalState::Applying) => recovery = self.recover_with_network(SWAP_TIMEOUT)?,
            // Only the deletion of backups is left; the start does not wait for it.
            Some(JournalState::Confirmed) => {
                if let Ok(lock) = state::lock_updater(state_dir, Duration::ZERO) {
                    recovery = swap::recover(root, &lock)?;
                }
            }
            _ => {}
        }
        let own_swap = unfinished.filter(|journal| self.runs_from(&journal.transaction));
        if recovery == Recovery::RolledBack && own_swap.is_some() {
            // This process may be the new version, while all its files are of the old version
            // again.
            change_starts(state_dir, |starts| starts.set_recovered(true));
            if self.hand_over(state_dir, None) {
                return Ok(Started::HandedOver);
            }
        }
        let running = match state::lock_not_running(state_dir, Duration::ZERO) {
            Ok(alone) => {
                if self.finish_earlier_work(state_dir)? {
                    return Ok(Started::HandedOver);
                }
                alone.share()?
            }
            Err(Error::Busy { .. }) => state::lock_running(state_dir, SWAP_TIMEOUT)?,
            Err(error) => return Err(error),
        };
        if recovery == Recovery::Nothing
            && let Some(journal) = own_swap
            && !matches!(Journal::peek(state_dir)?, Some((JournalState::Prepared | JournalState::Applying, plan)) if plan == journal.plan)
            // While this process waited for the lock, the helper has replaced the file of its
            // program.
            && self.hand_over(state_dir, None)
        {
            return Ok(Started::HandedOver);
        }
        *self.shared.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        // Leftovers do no harm and are no reason not to start.
        swap::sweep(root);
        if let Some(reason) = self.policy_off().or_else(|| self.missing_helper()) {
            return Ok(Started::UpdatesOff(reason));
        }
        self.take_event(state_dir, is_first_run, recovery == Recovery::RolledBack)
    }

    /// Carries out a prepared swap, or rolls back a version that was not confirmed. This must be
    /// the only instance.
    ///
    /// Returns `true` if the helper does it when the program has ended.
    fn finish_earlier_work(&self, state_dir: &Dir) -> Result<bool> {
        let root = &self.shared.root;
        self.discard_superseded_swap(state_dir);
        match Journal::peek(state_dir)? {
            // It waits until the policy allows updates again.
            Some((JournalState::Prepared, _)) if self.policy_off().is_some() => {}
            Some((JournalState::Prepared, _)) => return self.replace(state_dir, None, |lock| swap::apply(root, lock)),
            Some((JournalState::Committed, plan)) => {
                let starts = Starts::load_or_default(state_dir)?;
                if starts.unconfirmed(&plan) >= MAX_UNCONFIRMED_STARTS {
                    let reason = RollbackReason::Unconfirmed;
                    return self.replace(state_dir, Some(reason), |lock| swap::roll_back(root, lock, reason));
                }
                if !starts.had_terminal(&plan) || self.shared.program.uses_terminal() {
                    change_starts(state_dir, |starts| starts.count_unconfirmed(plan));
                } else if !starts.has_started(&plan) {
                    // The helper rolls back a version that never comes to `init`.
                    change_starts(state_dir, |starts| starts.record_start(plan));
                }
            }
            _ => {}
        }
        Ok(false)
    }

    /// Replaces files here, or lets the helper do it if this process runs from them.
    ///
    /// A swap that fails and is undone is no reason not to start: the old files are complete.
    /// Returns `true` if the helper does it.
    fn replace(
        &self,
        state_dir: &Dir,
        roll_back: Option<RollbackReason>,
        swap: impl FnOnce(&Lock) -> Result<Option<Applied>>,
    ) -> Result<bool> {
        if Journal::read(state_dir)?.is_some_and(|journal| self.runs_from(&journal.transaction)) {
            return Ok(self.hand_over(state_dir, roll_back));
        }
        match state::lock_updater(state_dir, Duration::ZERO).and_then(|lock| swap(&lock)) {
            Err(error @ Error::Machine(Machine::UndoFailed { .. } | Machine::JournalUnreadable { .. })) => Err(error),
            _ => Ok(false),
        }
    }

    /// Lets the helper swap or roll back, and start the program again.
    ///
    /// Returns `true` if the program must end for that. If the process can become another program,
    /// this method does not return: the process becomes the helper, and then the other version. The
    /// run keeps its terminal and its outputs.
    ///
    /// It returns `false` if there is no helper, or if the helper started the program for the swap
    /// as it is now: a second round would change nothing.
    fn hand_over(&self, state_dir: &Dir, roll_back: Option<RollbackReason>) -> bool {
        let mark = Journal::mark(state_dir);
        if mark.is_some() && std::env::var(relaunch::RELAUNCHED).ok() == mark {
            return false;
        }
        self.restart_by_helper(state_dir, roll_back, self.shared.program.is_replaceable()).is_ok()
    }

    /// Starts the helper, which does its work when the program has ended, and starts it again. With
    /// `is_in_place` the helper takes the place of this process.
    pub(super) fn restart_by_helper(
        &self,
        state_dir: &Dir,
        roll_back: Option<RollbackReason>,
        is_in_place: bool,
    ) -> Result<()> {
        let program = &self.shared.program;
        let (helper, command) = (self.helper()?, Some(program.command()?));
        let loses_terminal = program.uses_terminal() && !is_in_place;
        let job = Job { wait_for: Some(program.process()), roll_back, command, loses_terminal, ..Job::default() };
        if is_in_place {
            return self.become_helper(state_dir, &helper, job).map(|never| match never {});
        }
        self.start_helper(state_dir, &helper, job)
    }

    /// Returns `true` if the program of this process is in a component that the swap changes.
    pub(super) fn runs_from(&self, transaction: &Transaction) -> bool {
        let Some(program) = self.shared.program.resolved_path() else { return false };
        transaction.components.iter().any(|steps| self.contains(&steps.component, &program))
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
        let program = self.shared.program.resolved_path().unwrap_or_default();
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

/// Resolves the links in the folders of a path, but not its last name.
pub(super) fn resolve(program: &Path) -> Option<PathBuf> {
    Some(program.parent()?.canonicalize().ok()?.join(program.file_name()?))
}

/// Remembers that the program that asked for the prepared swap uses a terminal.
///
/// A later start without one does not count as a failure of the new version.
pub(super) fn record_terminal(state_dir: &Dir) {
    if let Ok(Some((JournalState::Prepared, plan))) = Journal::peek(state_dir) {
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
