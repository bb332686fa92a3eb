//! Makes staged files live, for all components of an update or for none, whatever happens on the way.
//!
//! The order of a swap: plan and journal (`PREPARED`) are durable; everything is checked; everything old is backed up
//! under a second name; `APPLYING`; deletes, folders, renames, manifests last; every touched folder is synced and every
//! target hashed again; `COMMITTED`, the one moment at which the new version is installed.
//!
//! The backups stay while the new version is on probation: [`roll_back`] returns to the old one by the same undo as that of
//! a swap which failed. [`confirm`] ends the probation: `CONFIRMED`, then the clean-up. A swap without a probation goes from
//! `APPLYING` to `CONFIRMED`.
//!
//! A crash before `COMMITTED` or `CONFIRMED` ends in all old, one after it in all new: [`recover`] decides by the hashes on
//! disk, never by a count of steps, and may itself be interrupted and repeated at any point.

mod aside;
mod component;
mod exchange;
mod ready;
pub mod relaunch;
#[cfg(test)]
mod tests;

use crate::disk::fs::{Dir, Lock};
use crate::disk::layout::InstallRoot;
use crate::error::{Error, Machine, Result};
use crate::formats::manifest::Component;
use crate::state::journal::{ComponentSteps, Journal, State, TRANSACTIONS, Transaction};
use crate::state::{self, RollbackReason, StateFile as _, SwapOutcome, Verdicts};
use crate::values::timestamp::Timestamp;
use component::ComponentSwap;
use semver::Version;

pub use aside::sweep;
pub use ready::Ready;

/// The result of a swap: every component that it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The changed components.
    pub components: Vec<ComponentChange>,
}

/// A change of one component's version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentChange {
    /// The component.
    pub component: Component,
    /// The version before the change; `None` if the component was not installed.
    pub from: Option<Version>,
    /// The version after the change; `None` if the change removes the component.
    pub to: Option<Version>,
}

impl Applied {
    fn of(transaction: Transaction) -> Self {
        Self { components: transaction.components.into_iter().map(ComponentChange::from).collect() }
    }
}

impl From<ComponentSteps> for ComponentChange {
    fn from(steps: ComponentSteps) -> Self {
        Self { component: steps.component, from: steps.from, to: steps.to.map(|to| to.version) }
    }
}

impl ComponentChange {
    /// Returns the change that undoes this one.
    pub(crate) fn reversed(self) -> Self {
        Self { component: self.component, from: self.to, to: self.from }
    }
}

/// What [`recover`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// No swap was under way.
    Nothing,
    /// A swap had been prepared and had changed nothing; it was forgotten, what is staged is kept.
    Discarded,
    /// A swap was under way; everything is as it was before.
    RolledBack,
    /// The new version was installed; what was left of the swap was cleaned up.
    Finished,
}

/// Writes the plan of a swap whose files are all staged; from here on the helper can carry it out.
///
/// A version that is still on probation has got this far: it is kept.
///
/// # Errors
/// [`Machine::Io`]; then nothing is prepared.
pub fn prepare(root: &InstallRoot, lock: &Lock, transaction: Transaction) -> Result<()> {
    confirm(root, lock)?;
    Journal::begin(&state::open_or_create(root)?, transaction).map(drop)
}

/// Does what of the prepared swap can be done while the program still runs; none when none is prepared.
///
/// # Errors
/// What keeps it from being done now; the swap may be possible all the same when the program has ended.
pub fn make_ready(root: &InstallRoot, _lock: &Lock) -> Result<Option<Ready>> {
    state::open(root)?.map_or(Ok(None), |state_dir| Ready::make(root, &state_dir))
}

/// Carries out the swap that [`prepare`] wrote; none when there is none.
///
/// # Errors
/// As [`make_live`].
pub fn apply(root: &InstallRoot, lock: &Lock) -> Result<Option<Applied>> {
    let applied = make_live(root, lock, None)?;
    let _ = sync_history(root);
    Ok(applied)
}

/// Carries out the prepared swap and leaves for later what can wait, as a program may be waiting to be started: what was done
/// to make it `ready` is not done again, if it still holds, and the history is for [`sync_history`] to make last.
///
/// # Errors
/// [`Machine::Changed`] and others when the check before the first change fails: nothing was swapped.
/// [`Machine::SwapUndone`] when a step failed and everything is as before; [`Machine::UndoFailed`] when that could not be
/// reached: journal and backups are kept for [`recover`]. Each is counted against the release.
pub fn make_live(root: &InstallRoot, lock: &Lock, ready: Option<Ready>) -> Result<Option<Applied>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    let (mut journal, parts) = match ready.and_then(|ready| ready.if_untouched(root, &state_dir)) {
        Some(untouched) => untouched,
        None => {
            let Some(journal) = prepared(&state_dir)? else {
                recover(root, lock)?;
                return Ok(None);
            };
            match check_and_back_up(root, &journal.transaction) {
                Ok(parts) => (journal, parts),
                Err(error) => {
                    count_failure(&state_dir, &journal.transaction, error.code());
                    discard(root, &state_dir, &journal.transaction)?;
                    return Err(error);
                }
            }
        }
    };
    let end = journal.transaction.installed();
    let swapped = journal
        .advance(&state_dir, State::Applying)
        .and_then(|()| exchange::exchange(&parts))
        .and_then(|()| journal.advance(&state_dir, end));
    if let Err(cause) = swapped {
        count_failure(&state_dir, &journal.transaction, cause.code());
        // The journal may say anything by now; it must say APPLYING, durably, before a single file goes back.
        let undone = journal.advance(&state_dir, State::Applying).and_then(|()| exchange::undo(&parts));
        // Folders that are held open cannot be removed everywhere.
        drop(parts);
        return Err(match undone.and_then(|()| discard(root, &state_dir, &journal.transaction)) {
            Ok(()) => Machine::SwapUndone { cause: Box::new(cause) },
            Err(cause) => Machine::UndoFailed { cause: Box::new(cause) },
        }
        .into());
    }
    drop(parts);
    let components = &journal.transaction.components;
    // The new version is installed, whatever becomes of records and leftovers: the next recovery or download sweeps what stays.
    // The new version looks for this line when it starts; `sync_history` makes it last.
    let _ = state::record_outcome(&state_dir, components, SwapOutcome::Applied, Timestamp::now());
    let _ = match end {
        State::Committed => {
            components.iter().map(|steps| component::retire_stage(root, steps)).fold(Ok(()), Result::and)
        }
        _ => {
            record_outcome(&state_dir, &journal.transaction, SwapOutcome::Confirmed);
            clean_up(root, &state_dir, &journal.transaction)
        }
    };
    Ok(Some(Applied::of(journal.transaction)))
}

/// Makes last what [`make_live`] has told the history.
///
/// # Errors
/// [`Machine::Io`], also when an updater has entered it by now.
pub fn sync_history(root: &InstallRoot) -> Result<()> {
    state::open(root)?.map_or(Ok(()), |state_dir| state::sync_outcomes(&state_dir))
}

/// The prepared swap; none when none is, or when it has begun.
fn prepared(state_dir: &Dir) -> Result<Option<Journal>> {
    Ok(Journal::read(state_dir)?.filter(|journal| journal.state == State::Prepared))
}

fn check_and_back_up(root: &InstallRoot, transaction: &Transaction) -> Result<Vec<ComponentSwap>> {
    let parts = open_parts(root, transaction)?;
    parts.iter().try_for_each(ComponentSwap::check)?;
    parts.iter().try_for_each(ComponentSwap::back_up)?;
    Ok(parts)
}

/// Finishes or undoes a swap that was interrupted. A version on probation is left alone.
///
/// # Errors
/// [`Machine::JournalUnreadable`] with nothing changed; [`Machine::UndoFailed`] with journal and backups kept.
pub fn recover(root: &InstallRoot, _lock: &Lock) -> Result<Recovery> {
    let Some(state_dir) = state::open(root)? else { return Ok(Recovery::Nothing) };
    sweep(root)?;
    let Some(journal) = Journal::read(&state_dir)? else {
        // A crash between the journal's end and that of its leftovers.
        state_dir.remove_leftovers(TRANSACTIONS)?;
        return Ok(Recovery::Nothing);
    };
    match journal.state {
        State::Prepared => {
            discard(root, &state_dir, &journal.transaction)?;
            Ok(Recovery::Discarded)
        }
        State::Applying => {
            undo(root, &journal.transaction)?;
            count_failure(&state_dir, &journal.transaction, "interrupted");
            discard(root, &state_dir, &journal.transaction)?;
            Ok(Recovery::RolledBack)
        }
        State::Committed => Ok(Recovery::Nothing),
        State::Confirmed => {
            clean_up(root, &state_dir, &journal.transaction)?;
            Ok(Recovery::Finished)
        }
    }
}

/// The swap whose new version is on probation.
///
/// # Errors
/// As [`Journal::read`].
pub fn on_probation(root: &InstallRoot) -> Result<Option<Journal>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    Ok(Journal::read(&state_dir)?.filter(|journal| journal.state == State::Committed))
}

/// Ends the probation of a new version, which stays: its backups go. Tells whether there was one.
///
/// # Errors
/// As [`Journal::read`]; [`Machine::Io`].
pub fn confirm(root: &InstallRoot, _lock: &Lock) -> Result<bool> {
    let Some(mut journal) = on_probation(root)? else { return Ok(false) };
    let state_dir = state::open_or_create(root)?;
    journal.advance(&state_dir, State::Confirmed)?;
    record_outcome(&state_dir, &journal.transaction, SwapOutcome::Confirmed);
    clean_up(root, &state_dir, &journal.transaction)?;
    Ok(true)
}

/// Returns from a version on probation to the one before, and remembers it as bad; none when there is none on probation.
///
/// # Errors
/// [`Machine::UndoFailed`] with journal and backups kept: [`recover`] goes on with the way back.
pub fn roll_back(root: &InstallRoot, _lock: &Lock, reason: RollbackReason) -> Result<Option<Applied>> {
    let Some(mut journal) = on_probation(root)? else { return Ok(None) };
    let state_dir = state::open_or_create(root)?;
    // First, so that a crash on the way back cannot end in the same release being offered again.
    let mut verdicts = Verdicts::load_or_default(&state_dir)?;
    verdicts.record_rollback(&journal.transaction.components, reason, Timestamp::now());
    verdicts.save(&state_dir)?;
    journal.advance(&state_dir, State::Applying)?;
    undo(root, &journal.transaction)?;
    record_outcome(&state_dir, &journal.transaction, SwapOutcome::RolledBack(reason));
    discard(root, &state_dir, &journal.transaction)?;
    let applied = Applied::of(journal.transaction);
    Ok(Some(Applied { components: applied.components.into_iter().map(ComponentChange::reversed).collect() }))
}

fn undo(root: &InstallRoot, transaction: &Transaction) -> Result<()> {
    let undone = open_parts(root, transaction).and_then(|parts| exchange::undo(&parts));
    undone.map_err(|cause| Machine::UndoFailed { cause: Box::new(cause) }.into())
}

/// Adds what has become of a swap to the history, durably. What cannot be written down is missing there and nowhere else.
fn record_outcome(state_dir: &Dir, transaction: &Transaction, outcome: SwapOutcome) {
    let _ = state::record_outcome(state_dir, &transaction.components, outcome, Timestamp::now())
        .and_then(|()| state::sync_outcomes(state_dir));
}

/// Counts a failure against the releases of a swap. One that cannot be written down is counted the next time.
fn count_failure(state_dir: &Dir, transaction: &Transaction, code: &'static str) {
    record_outcome(state_dir, transaction, SwapOutcome::Failed(code));
    let _ = Verdicts::load_or_default(state_dir).and_then(|mut verdicts| {
        verdicts.count_failed_swap(&transaction.components);
        verdicts.save(state_dir)
    });
}

/// Whether a swap is prepared, under way, on probation or not cleaned up.
///
/// # Errors
/// As [`Journal::read`].
pub fn pending(root: &InstallRoot) -> Result<Option<State>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    Ok(Journal::read(&state_dir)?.map(|journal| journal.state))
}

fn open_parts(root: &InstallRoot, transaction: &Transaction) -> Result<Vec<ComponentSwap>> {
    transaction.components.iter().map(|steps| ComponentSwap::open(root, steps.clone())).collect()
}

/// Ends a swap of which nothing is live: the journal goes first, so that no leftover can be taken for a backup.
fn discard(root: &InstallRoot, state_dir: &Dir, transaction: &Transaction) -> Result<()> {
    Journal::end(state_dir)?;
    for steps in &transaction.components {
        component::remove_backups(root, steps)?;
        component::remove_vacated(root, steps, steps.from.is_some())?;
    }
    state_dir.remove_leftovers(TRANSACTIONS)
}

/// Ends a swap that is live: the journal goes last, so that a crash on the way is followed by another clean-up.
fn clean_up(root: &InstallRoot, state_dir: &Dir, transaction: &Transaction) -> Result<()> {
    for steps in &transaction.components {
        component::remove_backups(root, steps)?;
        // After a probation the stage may be the next update's.
        if !transaction.probation {
            component::remove_stage(root, steps)?;
        }
        component::remove_vacated(root, steps, steps.to.is_some())?;
    }
    state_dir.remove_leftovers(TRANSACTIONS)?;
    Journal::end(state_dir)
}

impl From<Recovery> for Option<&'static str> {
    /// What to tell a person; none when there is nothing to tell.
    fn from(recovery: Recovery) -> Self {
        match recovery {
            Recovery::Nothing => None,
            Recovery::Discarded => Some("a prepared swap was forgotten; what is staged is kept"),
            Recovery::RolledBack => Some("an interrupted swap was undone; the old version is complete"),
            Recovery::Finished => Some("the new version was installed; what was left of the swap was cleaned up"),
        }
    }
}

/// An error that says that the plan and this machine do not fit together.
fn changed(path: std::path::PathBuf, detail: impl Into<String>) -> Error {
    Machine::Changed { path, detail: detail.into() }.into()
}
