//! The probation: the time in which a new version must be confirmed, or is rolled back.

use super::outcomes::{record_outcome, record_saved};
use super::side::Side;
use super::{Applied, ComponentChange, check, clean_up, discard, exchange, open_parts};
use crate::disk::fs::Lock;
use crate::disk::layout::InstallRoot;
use crate::error::{Machine, Result};
use crate::state::journal::{Journal, JournalState, Transaction};
use crate::state::{self, RollbackReason, StateFile as _, SwapOutcome, Verdicts};
use crate::values::timestamp::Timestamp;
use std::time::Duration;

/// Returns the journal of the swap whose new version is on probation.
///
/// # Errors
/// As [`Journal::read`].
pub fn on_probation(root: &InstallRoot) -> Result<Option<Journal>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    Ok(Journal::read(&state_dir)?.filter(|journal| journal.state == JournalState::Committed))
}

/// Confirms a new version, which then stays; returns `false` if none was on probation.
///
/// It needs no lock: neither a download nor another updater keeps a version that works from saying
/// so. It removes the backups, or the next start does if another updater holds the lock.
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

/// Ends the probation with a new state of the journal: `CONFIRMED`, or `APPLYING` for a rollback.
///
/// A lock puts a confirmation and a rollback at the same time in an order: the second one finds no
/// version on probation, and gets `None`. `check` runs before the journal changes.
fn decide<T>(
    root: &InstallRoot,
    state: JournalState,
    check: impl FnOnce(&Journal) -> Result<T>,
) -> Result<Option<(Journal, T)>> {
    if on_probation(root)?.is_none() {
        return Ok(None);
    }
    let state_dir = state::open_or_create(root)?;
    let _lock = state::lock_deciding(&state_dir)?;
    let Some(mut journal) = on_probation(root)? else { return Ok(None) };
    let checked = check(&journal)?;
    journal.advance(&state_dir, state)?;
    Ok(Some((journal, checked)))
}

/// Rolls a version on probation back to the one before; returns `None` if none is on probation.
///
/// It records a verdict against the release, so that the client does not offer it again.
///
/// # Errors
/// [`Machine::BackupDamaged`], [`Machine::NotWritable`], [`Machine::OtherTree`] before the first
/// change: the version on probation stays complete. [`Machine::UndoFailed`] with journal and
/// backups kept: [`super::recover`] continues.
pub fn roll_back(root: &InstallRoot, _lock: &Lock, reason: RollbackReason) -> Result<Option<Applied>> {
    let check = |journal: &Journal| {
        let parts = open_parts(root, &journal.transaction)?;
        parts.iter().try_for_each(check::recognise)?;
        parts.iter().try_for_each(check::check_back)?;
        parts.iter().try_for_each(|part| exchange::make_spare_folders(part, Side::Old))?;
        // The verdict comes before the journal's change. So the release is not offered again, even
        // if a crash interrupts the rollback. A full disk, on which the verdict cannot be written,
        // is no reason to keep a version that does not work.
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

/// Records the verdict against the releases of a swap that is rolled back.
fn condemn(root: &InstallRoot, transaction: &Transaction, reason: RollbackReason) -> Result<()> {
    let state_dir = state::open_or_create(root)?;
    let mut verdicts = Verdicts::load_or_default(&state_dir)?;
    verdicts.record_rollback(&transaction.components, reason, Timestamp::now());
    verdicts.save(&state_dir)
}
