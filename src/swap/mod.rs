//! Swaps: staged files go live for all components of an update, or for none.
//!
//! 1. [`prepare`] writes plan and journal: `PREPARED`.
//! 2. [`make_live`] checks everything, backs up every old file, and writes `APPLYING`.
//! 3. It then brings all components to the new version: it removes files, makes folders, renames
//!    staged files over their targets, and replaces the manifests last. It syncs and hashes what it
//!    has changed.
//! 4. It writes `COMMITTED`. From this moment the new version is installed, on probation. A swap
//!    without a probation writes `CONFIRMED`.
//! 5. [`confirm`] ends the probation. [`roll_back`] returns to the old version: it undoes step 3.
//!
//! A crash before step 4 ends in the old version, and one after it in the new one. [`recover`]
//! compares the disk with the plan and never counts steps. The swap never deletes a file of the
//! user, and never fails because of one. `docs/design/crash-safety.md` states the guarantees and
//! how they are proven.
//!
//! | file | noun |
//! |---|---|
//! | `side` | the old or the new version, and the owner of each path |
//! | `component` | the steps of one component, and its backups |
//! | `saved` | files of the user that were in the way |
//! | `outline`, `check` | a manifest's version; the checks before the first change |
//! | `exchange` | the change itself, and its undo |
//! | `ready` | backups and checks while the program still runs |
//! | `outcomes`, `cleanup` | the records of a swap; its leftovers |
//! | `probation` | confirmation and rollback |
//! | `backups` | backups that were damaged, and are fetched again |
//! | `relaunch` | the helper and the program, started by each other |

#[cfg(feature = "client")]
pub mod backups;
mod check;
mod cleanup;
mod component;
mod exchange;
mod outcomes;
mod outline;
mod probation;
mod ready;
pub mod relaunch;
mod saved;
mod side;
#[cfg(test)]
mod tests;

use crate::disk::fs::{Dir, Lock};
use crate::disk::layout::InstallRoot;
use crate::error::{Error, Machine, Result};
use crate::formats::manifest::Component;
use crate::state::journal::{ComponentSteps, Journal, JournalState, TRANSACTIONS, Transaction};
use crate::state::{self, SeenReleases, StateFile as _, SwapOutcome};
use crate::values::timestamp::Timestamp;
use component::ComponentSwap;
use outcomes::{count_failure, record_outcome, record_saved};
use semver::Version;
use side::Side;

pub use cleanup::sweep;
pub use probation::{confirm, on_probation, roll_back};
pub use ready::Ready;
pub use saved::SavedFile;

/// The result of a swap: every component that it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The changed components.
    pub components: Vec<ComponentChange>,
    /// Files of the user that were in the way and were moved beside their paths.
    pub saved: Vec<SavedFile>,
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
    fn new(transaction: Transaction, saved: Vec<SavedFile>) -> Self {
        Self { components: transaction.components.into_iter().map(ComponentChange::new).collect(), saved }
    }
}

impl ComponentChange {
    /// Returns the change that these steps make.
    pub(crate) fn new(steps: ComponentSteps) -> Self {
        Self { component: steps.component, from: steps.from, to: steps.to.map(|to| to.version) }
    }

    /// Returns the change that undoes this one.
    pub(crate) fn reversed(self) -> Self {
        Self { component: self.component, from: self.to, to: self.from }
    }
}

/// The result of [`recover`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// No swap was in progress.
    Nothing,
    /// A prepared swap was discarded. It had changed nothing, and the staged files are kept.
    Discarded,
    /// An interrupted swap was undone; the old version is installed.
    RolledBack,
    /// An interrupted swap was completed, because the old version could not be; the new version is
    /// installed.
    Completed,
    /// The new version was installed before; the leftovers of its swap were removed.
    Finished,
}

/// Writes plan and journal of a swap whose files are all staged, for [`apply`] or the helper.
///
/// It confirms a version on probation: a version that prepares the next update works.
///
/// # Errors
/// [`Machine::Io`], also where a user's file cannot leave the backups of the swap before; then
/// nothing is prepared.
pub fn prepare(root: &InstallRoot, lock: &Lock, transaction: Transaction) -> Result<()> {
    confirm(root)?;
    // A confirmation that did not get the updater's lock has left its clean-up undone.
    recover(root, lock)?;
    let state_dir = state::open_or_create(root)?;
    cleanup::clean_up_waiting(root, &state_dir)?;
    if let Some(Journal { state, transaction, .. }) = Journal::read(&state_dir)? {
        // A file of the user is only among the backups, which this swap would replace.
        let end = if state == JournalState::Confirmed { cleanup::clean_up } else { cleanup::discard };
        end(root, &state_dir, &transaction, &mut Vec::new())?;
    }
    // Creates the file of this lock: on a disk that is full later, the new version can be decided
    // about all the same.
    drop(state::lock_deciding(&state_dir)?);
    Journal::begin(&state_dir, transaction).map(drop)
}

/// Discards a prepared swap if a newer release of one of its components has been seen since.
///
/// Returns `true` if it discarded one. The staged files are kept. The history says that the swap
/// was `superseded`.
///
/// # Errors
/// As [`Journal::read`].
pub fn discard_superseded(root: &InstallRoot, _lock: &Lock) -> Result<bool> {
    let Some(state_dir) = state::open(root)? else { return Ok(false) };
    let Some(journal) = prepared(&state_dir)? else { return Ok(false) };
    let is_superseded = is_superseded(&state_dir, &journal.transaction);
    if is_superseded {
        discard(root, &state_dir, &journal.transaction);
        record_outcome(&state_dir, &journal.transaction, SwapOutcome::Failed("superseded"));
    }
    Ok(is_superseded)
}

/// Returns `true` if `seen.xml` has a release that was not seen when the swap was prepared.
///
/// The order of seen releases only rises. So such a release is above the prepared one: it is newer,
/// or it retires a key that signed the prepared one. If `seen.xml` is unreadable, the result is
/// `false`.
fn is_superseded(state_dir: &Dir, transaction: &Transaction) -> bool {
    let seen = SeenReleases::load_or_default(state_dir).unwrap_or_default();
    let of_components = transaction.components.iter().filter(|steps| steps.to.is_some());
    !transaction.seen.is_empty()
        && of_components.flat_map(|steps| seen.bodies(&steps.component)).any(|body| !transaction.seen.contains(&body))
}

/// Makes backups and checks of the prepared swap while the program still runs.
///
/// Returns `None` if no swap is prepared.
///
/// # Errors
/// The reason why the swap is not possible now. It may be possible after the program's end.
pub fn make_ready(root: &InstallRoot, _lock: &Lock) -> Result<Option<Ready>> {
    state::open(root)?.map_or(Ok(None), |state_dir| Ready::make(root, &state_dir))
}

/// Carries out the prepared swap, with all its clean-up; returns `None` if none is prepared.
///
/// # Errors
/// As [`make_live`].
pub fn apply(root: &InstallRoot, lock: &Lock) -> Result<Option<Applied>> {
    let mut applied = make_live(root, lock, None)?;
    let saved = finish(root, lock);
    if let Some(applied) = &mut applied {
        applied.saved.extend(saved);
    }
    Ok(applied)
}

/// Carries out the prepared swap, and leaves all work that can wait to [`finish`].
///
/// The user may be waiting for the program to start. If the swap was made `ready` and no file has
/// changed since, the checks are not repeated.
///
/// # Errors
/// - [`Machine::Changed`], [`Machine::NotWritable`] and others if the check before the first change
///   fails: nothing was swapped.
/// - [`Machine::SwapUndone`] if a step failed and the old version is complete.
/// - [`Machine::UndoFailed`] if it is not complete: journal and backups are kept for [`recover`].
///
/// Each of them counts as a failed swap of the release.
pub fn make_live(root: &InstallRoot, lock: &Lock, ready: Option<Ready>) -> Result<Option<Applied>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    if discard_superseded(root, lock)? {
        return Ok(None);
    }
    let (mut journal, mut parts) = match ready.and_then(|ready| ready.if_untouched(root, &state_dir)) {
        Some(untouched) => untouched,
        None => {
            let Some(journal) = prepared(&state_dir)? else {
                recover(root, lock)?;
                return Ok(None);
            };
            match check_and_back_up(root, &journal.transaction) {
                Ok(parts) => (journal, parts),
                Err(error) => {
                    discard(root, &state_dir, &journal.transaction);
                    count_failure(&state_dir, &journal.transaction, error.code());
                    return Err(error);
                }
            }
        }
    };
    parts.iter_mut().for_each(|part| part.checked = true);
    let mut saved = Vec::new();
    match swap(&state_dir, &mut journal, &parts, &mut saved) {
        Ok(()) => {}
        Err(failed) => {
            let Failed { cause, undone } = *failed;
            // Windows cannot remove a folder that is open.
            drop(parts);
            if undone.is_ok() {
                discard(root, &state_dir, &journal.transaction);
            }
            count_failure(&state_dir, &journal.transaction, cause.code());
            record_saved(&state_dir, &journal.transaction, &saved);
            return Err(match undone {
                Ok(()) => Machine::SwapUndone { cause: Box::new(cause) },
                Err(cause) => Machine::UndoFailed { cause: Box::new(cause) },
            }
            .into());
        }
    }
    drop(parts);
    let components = &journal.transaction.components;
    // The new version is installed, even if this record fails. The program reads the lines when it
    // starts; `finish` makes them durable.
    let _ = state::record_outcome(&state_dir, components, SwapOutcome::Applied, Timestamp::now());
    record_saved(&state_dir, &journal.transaction, &saved);
    if journal.state == JournalState::Committed {
        for steps in components {
            let _ = cleanup::retire_stage(root, steps);
        }
    }
    Ok(Some(Applied::new(journal.transaction, saved)))
}

/// A swap whose step failed, and the outcome of its undo.
struct Failed {
    cause: Error,
    undone: Result<()>,
}

/// Brings the files to the new version, and the journal to `COMMITTED` or `CONFIRMED`.
fn swap(
    state_dir: &Dir,
    journal: &mut Journal,
    parts: &[ComponentSwap],
    saved: &mut Vec<SavedFile>,
) -> Result<(), Box<Failed>> {
    // If this fails, no file has changed, in either state of the journal.
    journal.advance(state_dir, JournalState::Applying).map_err(|cause| Box::new(Failed { cause, undone: Ok(()) }))?;
    if let Err(cause) = exchange::bring(parts, Side::New, saved) {
        return Err(Box::new(Failed { cause, undone: exchange::bring(parts, Side::Old, saved) }));
    }
    let end = journal.transaction.installed();
    let Err(cause) = journal.advance(state_dir, end) else { return Ok(()) };
    // The commit may or may not be on the disk. The journal must say `APPLYING`, durably, before
    // the undo changes a file.
    let undone =
        journal.advance(state_dir, JournalState::Applying).and_then(|()| exchange::bring(parts, Side::Old, saved));
    Err(Box::new(Failed { cause, undone }))
}

/// Makes the history durable, and cleans up if the new version has no probation.
///
/// [`make_live`] leaves this for the time when the program runs again. Returns the files of the
/// user that were among the backups.
pub fn finish(root: &InstallRoot, _lock: &Lock) -> Vec<SavedFile> {
    let Ok(Some(state_dir)) = state::open(root) else { return Vec::new() };
    // The outcomes that an updater has moved to the history need no sync.
    let _ = state::sync_outcomes(&state_dir);
    match Journal::read(&state_dir) {
        Ok(Some(journal)) if journal.state == JournalState::Confirmed => {
            record_outcome(&state_dir, &journal.transaction, SwapOutcome::Confirmed);
            clean_up(root, &state_dir, &journal.transaction)
        }
        Ok(Some(journal)) if journal.state == JournalState::Committed => {
            // So that neither decision needs space for its journal.
            for state in [JournalState::Applying, JournalState::Confirmed] {
                let _ = journal.write_ahead(&state_dir, &[state]);
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Returns the journal of the prepared swap; `None` if no swap is prepared.
fn prepared(state_dir: &Dir) -> Result<Option<Journal>> {
    Ok(Journal::read(state_dir)?.filter(|journal| journal.state == JournalState::Prepared))
}

fn check_and_back_up(root: &InstallRoot, transaction: &Transaction) -> Result<Vec<ComponentSwap>> {
    let parts = open_parts(root, transaction)?;
    parts.iter().try_for_each(check::check_forth)?;
    back_up(&parts)?;
    Ok(parts)
}

/// Makes the backups and the spare folders, so that an undo needs no disk space.
fn back_up(parts: &[ComponentSwap]) -> Result<()> {
    parts.iter().try_for_each(ComponentSwap::back_up)?;
    parts.iter().try_for_each(|part| exchange::make_spare_folders(part, Side::New))
}

/// Finishes or undoes an interrupted swap. A version on probation stays on probation.
///
/// # Errors
/// - [`Machine::JournalUnreadable`]; nothing has changed.
/// - [`Machine::UndoFailed`]; journal and backups are kept.
pub fn recover(root: &InstallRoot, _lock: &Lock) -> Result<Recovery> {
    let Some(state_dir) = state::open(root)? else { return Ok(Recovery::Nothing) };
    sweep(root);
    let _ = cleanup::clean_up_waiting(root, &state_dir);
    let Some(mut journal) = Journal::read(&state_dir)? else {
        // A crash after the journal was removed and before its leftovers were.
        let _ = state_dir.remove_leftovers(TRANSACTIONS);
        return Ok(Recovery::Nothing);
    };
    match journal.state {
        JournalState::Prepared => {
            discard(root, &state_dir, &journal.transaction);
            Ok(Recovery::Discarded)
        }
        JournalState::Applying => {
            let mut saved = Vec::new();
            let recovered = undo_or_complete(root, &state_dir, &mut journal, &mut saved);
            record_saved(&state_dir, &journal.transaction, &saved);
            match recovered {
                Ok(Recovery::Completed) => {}
                Ok(recovery) => {
                    discard(root, &state_dir, &journal.transaction);
                    if recovery == Recovery::RolledBack {
                        count_failure(&state_dir, &journal.transaction, "interrupted");
                    }
                }
                Err(_) => {}
            }
            recovered.map_err(|cause| Machine::UndoFailed { cause: Box::new(cause) }.into())
        }
        JournalState::Committed => Ok(Recovery::Nothing),
        JournalState::Confirmed => {
            clean_up(root, &state_dir, &journal.transaction);
            Ok(Recovery::Finished)
        }
    }
}

/// Ends an interrupted swap: restores the old version.
///
/// If a backup is damaged, it completes the new version instead.
fn undo_or_complete(
    root: &InstallRoot,
    state_dir: &Dir,
    journal: &mut Journal,
    saved: &mut Vec<SavedFile>,
) -> Result<Recovery> {
    let mut parts = open_parts(root, &journal.transaction)?;
    // The state folder is older than these components: their swap ended long ago.
    parts.retain(|part| !check::is_third_release(part));
    if parts.is_empty() {
        return Ok(Recovery::Discarded);
    }
    parts.iter().try_for_each(check::recognise)?;
    match parts.iter().try_for_each(check::check_backups) {
        Ok(()) => {
            exchange::bring(&parts, Side::Old, saved)?;
            Ok(Recovery::RolledBack)
        }
        Err(damaged) if damaged.code() == "backup-damaged" => {
            if parts.iter().any(|part| check::check_completion(part).is_err()) {
                return Err(damaged);
            }
            exchange::bring(&parts, Side::New, saved)?;
            let end = journal.transaction.installed();
            journal.advance(state_dir, end)?;
            let _ = state::record_outcome(
                state_dir,
                &journal.transaction.components,
                SwapOutcome::Applied,
                Timestamp::now(),
            );
            Ok(Recovery::Completed)
        }
        Err(error) => Err(error),
    }
}

/// Cleans up after a confirmed swap, and records the user's files that were among its backups.
fn clean_up(root: &InstallRoot, state_dir: &Dir, transaction: &Transaction) -> Vec<SavedFile> {
    let mut saved = Vec::new();
    let _ = cleanup::clean_up(root, state_dir, transaction, &mut saved);
    record_saved(state_dir, transaction, &saved);
    saved
}

/// Ends a swap that has changed no file, or was undone, and records the user's files that were
/// found among its backups.
fn discard(root: &InstallRoot, state_dir: &Dir, transaction: &Transaction) -> Vec<SavedFile> {
    let mut saved = Vec::new();
    let _ = cleanup::discard(root, state_dir, transaction, &mut saved);
    record_saved(state_dir, transaction, &saved);
    saved
}

/// Returns the state of the journal; `None` if no swap is prepared, in progress or on probation.
///
/// # Errors
/// As [`Journal::read`].
pub fn pending(root: &InstallRoot) -> Result<Option<JournalState>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    Ok(Journal::read(&state_dir)?.map(|journal| journal.state))
}

fn open_parts(root: &InstallRoot, transaction: &Transaction) -> Result<Vec<ComponentSwap>> {
    transaction.components.iter().map(|steps| ComponentSwap::open(root, steps.clone())).collect()
}

impl From<Recovery> for Option<&'static str> {
    /// Returns a message for the user; `None` if nothing was recovered.
    fn from(recovery: Recovery) -> Self {
        match recovery {
            Recovery::Nothing => None,
            Recovery::Discarded => Some("a prepared swap was discarded; the staged files are kept"),
            Recovery::RolledBack => Some("an interrupted swap was undone; the old version is complete"),
            Recovery::Completed => Some("an interrupted swap was completed; the new version is complete"),
            Recovery::Finished => Some("the new version is installed; the leftovers of the swap were removed"),
        }
    }
}

/// Makes the error for a path that is not as the plan says.
fn changed(path: std::path::PathBuf, detail: impl Into<String>) -> Error {
    Machine::Changed { path, detail: detail.into() }.into()
}
