//! The start of the program: what was left to do for an update is done before the program's own work, and what has happened
//! since its last start is told.

use super::Patcher;
use crate::disk::fs::{Dir, Lock};
use crate::error::{Error, Machine, Result};
use crate::formats::manifest::Component;
use crate::state::journal::{Journal, State};
use crate::state::{self, PendingNotice, RollbackReason, Starts, StateFile as _};
use crate::swap::relaunch::{self, Job};
use crate::swap::{self, Applied, Recovery};
use semver::Version;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

/// How long a starting program waits for the helper to finish a swap.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a version on probation may be started without a word.
const UNCONFIRMED_STARTS: u32 = 3;

/// What has happened since the program's last start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Started {
    /// Nothing.
    Normal,
    /// It was never started from this install root before.
    FirstRun,
    /// A component was updated: the one that the program runs from, if there were several.
    Updated {
        /// The component.
        component: Component,
        /// Its version before.
        from: Version,
        /// Its version now.
        to: Version,
    },
    /// A new version did not work, and the one before has come back.
    RolledBack {
        /// The component.
        component: Component,
        /// The version that did not work.
        from: Version,
        /// The version now.
        to: Version,
        /// What was wrong with it.
        reason: RollbackReason,
    },
    /// A swap had been interrupted, by a crash or a power cut; it was undone, and the old version is complete.
    Recovered,
}

impl Patcher {
    /// Tells that an instance of the program has started, and until this process ends keeps others from swapping under it.
    ///
    /// First it does what was left to do: an interrupted swap is finished or undone, a prepared one carried out if nobody
    /// else runs, a new version that was started three times and never confirmed is rolled back. Where that replaces the
    /// component that this program runs from, the helper does it: this process ends, and the program starts again.
    ///
    /// A root that this user cannot write to has nothing to be done, and is used as it is.
    ///
    /// # Errors
    /// [`Error::Busy`] when a swap is under way for longer than a minute; [`Machine::UndoFailed`],
    /// [`Machine::JournalUnreadable`]: the program is not complete.
    pub fn start(&self) -> Result<Started> {
        let root = &self.inner.root;
        let state_dir = match state::open_or_create(root) {
            Err(Error::Machine(Machine::NotWritable { .. })) => return Ok(Started::Normal),
            state_dir => state_dir?,
        };
        let first_run = Starts::load(&state_dir)?.is_none();
        let state = Journal::peek(&state_dir)?.map(|(state, _)| state);
        let under_way = match state {
            Some(State::Prepared | State::Applying) => Journal::read(&state_dir)?,
            _ => None,
        };
        let mut recovery = Recovery::Nothing;
        match state {
            Some(State::Applying) => recovery = swap::recover(root, &state::lock_updater(&state_dir, PATIENCE)?)?,
            // Only cleaning up is left: nothing that a start waits for.
            Some(State::Confirmed) => {
                if let Ok(lock) = state::lock_updater(&state_dir, Duration::ZERO) {
                    recovery = swap::recover(root, &lock)?;
                }
            }
            _ => {}
        }
        let replaced = under_way.filter(|journal| self.runs_from(journal));
        if recovery == Recovery::RolledBack && replaced.is_some() {
            // This process may be of the new version, and everything around it is of the old one again.
            note(&state_dir, |starts| starts.set_recovered(true));
            self.hand_over(&state_dir, None);
        }
        let running = match state::lock_not_running(&state_dir, Duration::ZERO) {
            Ok(alone) => self.catch_up(&state_dir, alone)?,
            Err(Error::Busy { .. }) => state::lock_running(&state_dir, PATIENCE)?,
            Err(error) => return Err(error),
        };
        if recovery == Recovery::Nothing
            && let Some(journal) = replaced
            && !matches!(Journal::peek(&state_dir)?, Some((State::Prepared | State::Applying, plan)) if plan == journal.plan)
        {
            // While this process waited, the helper has replaced what it was started from.
            self.hand_over(&state_dir, None);
        }
        *self.inner.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        // What stays is in nobody's way, and no reason not to start.
        swap::sweep(root);
        self.what_happened(&state_dir, first_run, recovery == Recovery::RolledBack)
    }

    /// Does what was left for a start at which nobody else runs.
    fn catch_up(&self, state_dir: &Dir, alone: Lock) -> Result<Lock> {
        let root = &self.inner.root;
        match Journal::peek(state_dir)? {
            Some((State::Prepared, _)) => self.replace(state_dir, None, |lock| swap::apply(root, lock))?,
            Some((State::Committed, plan)) => {
                let starts = Starts::load_or_default(state_dir)?;
                if starts.unconfirmed(&plan) >= UNCONFIRMED_STARTS {
                    let reason = RollbackReason::Unconfirmed;
                    self.replace(state_dir, Some(reason), |lock| swap::roll_back(root, lock, reason))?;
                } else {
                    note(state_dir, |starts| starts.count_unconfirmed(plan));
                }
            }
            _ => {}
        }
        alone.share()
    }

    /// Replaces the program's files: by the helper, if this process runs from them, else here. What cannot be replaced now
    /// is no reason not to start: the old files are complete.
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

    /// Ends this process; the helper does what is to be done and starts the program again. Returns only if there is no
    /// helper, or if it was the helper that started this process: then another round would not change anything.
    fn hand_over(&self, state_dir: &Dir, roll_back: Option<RollbackReason>) {
        if std::env::var_os(relaunch::RELAUNCHED).is_some() {
            return;
        }
        let start = || {
            let command = Some(relaunch::this_program()?);
            let job = Job { wait_for: Some(std::process::id()), roll_back, command, ..Job::default() };
            self.start_helper(state_dir, &self.helper()?, job)
        };
        if start().is_ok() {
            std::process::exit(0);
        }
    }

    /// Whether this process's program lies in a component that a swap changes.
    fn runs_from(&self, journal: &Journal) -> bool {
        let Some(program) = running_program() else { return false };
        journal.transaction.components.iter().any(|part| self.holds(&part.component, &program))
    }

    fn holds(&self, component: &Component, program: &Path) -> bool {
        self.inner.root.component(component).canonicalize().is_ok_and(|dir| program.starts_with(dir))
    }

    /// What the program has not been told yet, the most important first.
    fn what_happened(&self, state_dir: &Dir, first_run: bool, undone: bool) -> Result<Started> {
        // Where another updater is at work, the news are told at the next start.
        let _ = state::lock_updater(state_dir, Duration::ZERO)
            .and_then(|_lock| state::move_outcomes_to_history(state_dir, self.inner.history));
        let mut starts = Starts::load_or_default(state_dir)?;
        let recovered = starts.recovered() || undone;
        let news = starts.take_notices();
        if first_run || starts.recovered() || !news.is_empty() {
            note(state_dir, |starts| {
                starts.set_recovered(false);
                starts.take_notices();
            });
        }
        let program = running_program().unwrap_or_default();
        let most_important = news.into_iter().max_by_key(|news| {
            (
                news.rolled_back.is_some(),
                self.holds(&news.component, &program),
                std::cmp::Reverse(news.component.clone()),
            )
        });
        Ok(match most_important {
            Some(PendingNotice { component, from, to, rolled_back: Some(reason) }) => {
                Started::RolledBack { component, from, to, reason }
            }
            _ if recovered => Started::Recovered,
            Some(PendingNotice { component, from, to, .. }) => Started::Updated { component, from, to },
            None if first_run => Started::FirstRun,
            None => Started::Normal,
        })
    }
}

/// Where this process's program lies, links resolved; its folder may have lost the very file.
fn running_program() -> Option<PathBuf> {
    let program = relaunch::running_program().ok()?;
    Some(program.parent()?.canonicalize().ok()?.join(program.file_name()?))
}

/// Changes what is remembered of starts. A program starts even where nothing can be written.
fn note(state_dir: &Dir, change: impl FnOnce(&mut Starts)) {
    let _ = Starts::load_or_default(state_dir).and_then(|mut starts| {
        change(&mut starts);
        starts.save(state_dir)
    });
}
