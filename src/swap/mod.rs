//! Swaps: staged files go live for all components of an update, or for none.
//!
//! 1. [`prepare`] writes plan and journal: `PREPARED`.
//! 2. [`make_live`] checks everything, gives every old file a second name, and writes `APPLYING`.
//! 3. It removes, makes folders, renames files over their targets, manifests last; it syncs and
//!    hashes again.
//! 4. It writes `COMMITTED`: the moment at which the new version is installed, on probation. A swap
//!    without a probation writes `CONFIRMED`.
//! 5. [`confirm`] ends the probation; [`roll_back`] returns to the old version by the undo of
//!    step 3.
//!
//! A crash before step 4 ends in the old version, and one after it in the new one: [`recover`]
//! compares the disk with the plan and never counts steps. Files of the user are never deleted and
//! never a reason to fail; see `side`. `docs/design/crash-safety.md` states the guarantees and how
//! they are proven.

#[cfg(feature = "client")]
pub mod backups;
mod check;
mod cleanup;
mod component;
mod exchange;
mod outline;
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
use crate::state::{self, RollbackReason, SeenReleases, StateFile as _, SwapOutcome, Verdicts};
use crate::values::timestamp::Timestamp;
use component::ComponentSwap;
use semver::Version;
use side::Side;
use std::time::Duration;

pub use cleanup::sweep;
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
    /// The new version is installed; the leftovers of the swap were removed.
    Finished,
}

/// Writes the plan of a swap whose files are all staged. The helper can then carry it out.
///
/// A version that is still on probation counts as confirmed: it has prepared the next update.
///
/// # Errors
/// [`Machine::Io`], also where a user's file cannot leave the backups of the swap before; then
/// nothing is prepared.
pub fn prepare(root: &InstallRoot, lock: &Lock, transaction: Transaction) -> Result<()> {
    confirm(root)?;
    // A confirmation without the updater's lock leaves the clean-up to the next one that holds it.
    recover(root, lock)?;
    let state_dir = state::open_or_create(root)?;
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
/// Returns `true` if it discarded one. The staged files are kept, and the history tells why the
/// swap did not happen.
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
/// The seen order only rises. So such a release is above the prepared one: it is newer, or it
/// retires a key of the prepared one. An unreadable `seen.xml` knows no release.
fn is_superseded(state_dir: &Dir, transaction: &Transaction) -> bool {
    let seen = SeenReleases::load_or_default(state_dir).unwrap_or_default();
    let of_components = transaction.components.iter().filter(|steps| steps.to.is_some());
    !transaction.seen.is_empty()
        && of_components.flat_map(|steps| seen.bodies(&steps.component)).any(|body| !transaction.seen.contains(&body))
}

/// Prepares the swap that the journal names while the program still runs; returns `None` if there
/// is none.
///
/// # Errors
/// The reason why the swap is not possible now. It may be possible after the program's end.
pub fn make_ready(root: &InstallRoot, _lock: &Lock) -> Result<Option<Ready>> {
    state::open(root)?.map_or(Ok(None), |state_dir| Ready::make(root, &state_dir))
}

/// Carries out the swap that [`prepare`] wrote; returns `None` if there is none.
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
/// The user may be waiting for the program to start.
///
/// If the swap was made `ready` and no file has changed since, the checks are not repeated.
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

/// Moves the files to the new version, and the journal from `PREPARED` to the state that says so.
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
    // The commit may or may not be on the disk. The journal must say `APPLYING`, durably, before a
    // file goes back.
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

/// Returns the prepared swap; `None` if there is none, or if it has begun.
fn prepared(state_dir: &Dir) -> Result<Option<Journal>> {
    Ok(Journal::read(state_dir)?.filter(|journal| journal.state == JournalState::Prepared))
}

fn check_and_back_up(root: &InstallRoot, transaction: &Transaction) -> Result<Vec<ComponentSwap>> {
    let parts = open_parts(root, transaction)?;
    parts.iter().try_for_each(check::check_forth)?;
    back_up(&parts)?;
    Ok(parts)
}

/// Makes everything that the way back needs, so that it needs no space.
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
                Ok(Recovery::Finished) => {}
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

/// Ends a swap that stopped between the versions.
///
/// The old version comes back. If one of its backups is damaged, the new version is completed.
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
            Ok(Recovery::Finished)
        }
        Err(error) => Err(error),
    }
}

/// The swap whose new version is on probation.
///
/// # Errors
/// As [`Journal::read`].
pub fn on_probation(root: &InstallRoot) -> Result<Option<Journal>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    Ok(Journal::read(&state_dir)?.filter(|journal| journal.state == JournalState::Committed))
}

/// Ends the probation of a new version, which stays: its backups go. Returns `false` when no
/// version was on probation.
///
/// Needs no lock: a download or another updater does not keep a good version from saying so. Where
/// another updater is at work, the backups go at the next start.
///
/// # Errors
/// As [`Journal::read`]; [`Machine::Io`].
pub fn confirm(root: &InstallRoot) -> Result<bool> {
    let Some((journal, ())) = decide(root, JournalState::Confirmed, |_| Ok(()))? else { return Ok(false) };
    let state_dir = state::open_or_create(root)?;
    record_outcome(&state_dir, &journal.transaction, SwapOutcome::Confirmed);
    // Meanwhile another updater may have cleaned up, and begun the next swap.
    let is_current = || Journal::peek(&state_dir).is_ok_and(|now| now == Some((journal.state, journal.plan)));
    if let Ok(_lock) = state::lock_updater(&state_dir, Duration::ZERO)
        && is_current()
    {
        clean_up(root, &state_dir, &journal.transaction);
    }
    Ok(true)
}

/// Decides about the version on probation: `CONFIRMED` or, for a rollback, `APPLYING`. Of a
/// confirmation and a rollback at the same time one comes first, and the other finds no version on
/// probation.
fn decide<T>(
    root: &InstallRoot,
    state: JournalState,
    check: impl FnOnce(&Journal) -> Result<T>,
) -> Result<Option<(Journal, T)>> {
    if on_probation(root)?.is_none() {
        return Ok(None);
    }
    let state_dir = state::open_or_create(root)?;
    let _turn = state::lock_deciding(&state_dir)?;
    let Some(mut journal) = on_probation(root)? else { return Ok(None) };
    let checked = check(&journal)?;
    journal.advance(&state_dir, state)?;
    Ok(Some((journal, checked)))
}

/// Returns from a version on probation to the one before, and holds it against the release; returns
/// `None` when no version is on probation.
///
/// # Errors
/// [`Machine::BackupDamaged`], [`Machine::NotWritable`], [`Machine::OtherTree`] before the first
/// change: the version on probation stays complete. [`Machine::UndoFailed`] with journal and
/// backups kept: [`recover`] continues.
pub fn roll_back(root: &InstallRoot, _lock: &Lock, reason: RollbackReason) -> Result<Option<Applied>> {
    let check = |journal: &Journal| {
        let parts = open_parts(root, &journal.transaction)?;
        parts.iter().try_for_each(check::recognise)?;
        parts.iter().try_for_each(check::check_back)?;
        parts.iter().try_for_each(|part| exchange::make_spare_folders(part, Side::Old))?;
        // Before the journal, so that a crash on the way back cannot end in the same release being
        // offered again. A full disk is no reason to keep a version that does not work.
        let _ = condemn(root, &journal.transaction, reason);
        Ok(parts)
    };
    let Some((journal, parts)) = decide(root, JournalState::Applying, check)? else { return Ok(None) };
    let state_dir = state::open_or_create(root)?;
    let mut saved = Vec::new();
    let undone = exchange::bring(&parts, Side::Old, &mut saved);
    drop(parts);
    record_saved(&state_dir, &journal.transaction, &saved);
    undone.map_err(|cause| Machine::UndoFailed { cause: Box::new(cause) })?;
    record_outcome(&state_dir, &journal.transaction, SwapOutcome::RolledBack(reason));
    saved.extend(discard(root, &state_dir, &journal.transaction));
    let Applied { components, saved } = Applied::new(journal.transaction, saved);
    Ok(Some(Applied { components: components.into_iter().map(ComponentChange::reversed).collect(), saved }))
}

/// Holds a rollback against the releases of a swap.
fn condemn(root: &InstallRoot, transaction: &Transaction, reason: RollbackReason) -> Result<()> {
    let state_dir = state::open_or_create(root)?;
    let mut verdicts = Verdicts::load_or_default(&state_dir)?;
    verdicts.record_rollback(&transaction.components, reason, Timestamp::now());
    verdicts.save(&state_dir)
}

/// Cleans up behind a swap that is live, and records the user's files that were found among its
/// backups.
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

/// Adds the user's files that were moved aside to the history, durably as far as the disk allows.
fn record_saved(state_dir: &Dir, transaction: &Transaction, saved: &[SavedFile]) {
    for SavedFile { component, path, saved_as } in saved {
        let of = |steps: &&ComponentSteps| steps.component == *component;
        let steps = transaction.components.iter().find(of).cloned();
        let steps: Vec<ComponentSteps> = steps.into_iter().collect();
        let _ = state::record_outcome(state_dir, &steps, SwapOutcome::Saved { path, saved_as }, Timestamp::now());
    }
}

/// Adds the outcome of a swap to the history and makes it durable.
///
/// After a failure, the outcome is missing in the history and nothing else suffers.
fn record_outcome(state_dir: &Dir, transaction: &Transaction, outcome: SwapOutcome) {
    let _ = state::record_outcome(state_dir, &transaction.components, outcome, Timestamp::now())
        .and_then(|()| state::sync_outcomes(state_dir));
}

/// Counts a failure against the releases of a swap.
///
/// If that cannot be written, the next failure counts.
fn count_failure(state_dir: &Dir, transaction: &Transaction, code: &'static str) {
    record_outcome(state_dir, transaction, SwapOutcome::Failed(code));
    let _ = Verdicts::load_or_default(state_dir).and_then(|mut verdicts| {
        verdicts.count_failed_swap(&transaction.components);
        verdicts.save(state_dir)
    });
}

/// Returns `true` if a swap is prepared, under way, on probation or not cleaned up.
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
