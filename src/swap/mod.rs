//! Makes staged files live, for all components of an update or for none, whatever happens on the way.
//!
//! The order of a swap: plan and journal (`PREPARED`) are durable; everything is checked; everything old is backed up
//! under a second name; `APPLYING`; deletes, folders, renames, manifests last; every touched folder is synced and every
//! target hashed again; `COMMITTED`, the one moment at which the new version is installed; only then the clean-up.
//!
//! A crash before `COMMITTED` ends in all old, one after it in all new: [`recover`] decides by the hashes on disk, never
//! by a count of steps, and may itself be interrupted and repeated at any point.

mod aside;
mod exchange;
mod part;
#[cfg(test)]
mod tests;

use crate::error::{Error, Machine, Result};
use crate::fs::{Dir, Lock};
use crate::journal::{Journal, State, TRANSACTIONS, Transaction};
use crate::layout::Root;
use crate::state;
use part::Part;

pub use aside::sweep;

/// What a swap did, by component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Component, version before, version after; no version where the component was or is not installed.
    pub components: Vec<(crate::manifest::Name, Option<String>, Option<String>)>,
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
/// # Errors
/// [`Machine::Io`]; then nothing is prepared.
pub fn prepare(root: &Root, _lock: &Lock, transaction: Transaction) -> Result<()> {
    Journal::begin(&state::open_or_create(root)?, transaction).map(drop)
}

/// Carries out the swap that [`prepare`] wrote; none when there is none.
///
/// # Errors
/// [`Machine::Changed`] and others when the check before the first change fails: nothing was swapped.
/// [`Machine::SwapUndone`] when a step failed and everything is as before; [`Machine::UndoFailed`] when that could not be
/// reached: journal and backups are kept for [`recover`].
pub fn apply(root: &Root, lock: &Lock) -> Result<Option<Applied>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    let mut journal = match Journal::read(&state_dir)? {
        Some(journal) if journal.state == State::Prepared => journal,
        _ => {
            recover(root, lock)?;
            return Ok(None);
        }
    };
    let checked = open_parts(root, &journal.transaction).and_then(|parts| {
        parts.iter().try_for_each(Part::check)?;
        parts.iter().try_for_each(Part::back_up)?;
        Ok(parts)
    });
    let parts = match checked {
        Ok(parts) => parts,
        Err(error) => {
            discard(root, &state_dir, &journal.transaction)?;
            return Err(error);
        }
    };
    let swapped = journal
        .advance(&state_dir, State::Applying)
        .and_then(|()| exchange::exchange(&parts))
        .and_then(|()| journal.advance(&state_dir, State::Committed));
    if let Err(cause) = swapped {
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
    let versions = |part: crate::journal::ComponentSteps| (part.component, part.from, part.to);
    // The new version is installed, whatever becomes of the leftovers: the next recovery sweeps what stays.
    let _ = clean_up(root, &state_dir, &journal.transaction);
    Ok(Some(Applied { components: journal.transaction.components.into_iter().map(versions).collect() }))
}

/// Finishes or undoes a swap that was interrupted.
///
/// # Errors
/// [`Machine::JournalUnreadable`] with nothing changed; [`Machine::UndoFailed`] with journal and backups kept.
pub fn recover(root: &Root, _lock: &Lock) -> Result<Recovery> {
    let Some(state_dir) = state::open(root)? else { return Ok(Recovery::Nothing) };
    sweep(root)?;
    let Some(journal) = Journal::read(&state_dir)? else {
        // A crash between the journal's end and that of its leftovers.
        state_dir.remove_tree(TRANSACTIONS)?;
        return Ok(Recovery::Nothing);
    };
    match journal.state {
        State::Prepared => {
            discard(root, &state_dir, &journal.transaction)?;
            Ok(Recovery::Discarded)
        }
        State::Applying => {
            let undone = open_parts(root, &journal.transaction).and_then(|parts| exchange::undo(&parts));
            undone.map_err(|cause| Machine::UndoFailed { cause: Box::new(cause) })?;
            discard(root, &state_dir, &journal.transaction)?;
            Ok(Recovery::RolledBack)
        }
        State::Committed => {
            clean_up(root, &state_dir, &journal.transaction)?;
            Ok(Recovery::Finished)
        }
    }
}

/// Whether a swap is prepared, under way or not cleaned up.
///
/// # Errors
/// As [`Journal::read`].
pub fn pending(root: &Root) -> Result<Option<State>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    Ok(Journal::read(&state_dir)?.map(|journal| journal.state))
}

fn open_parts(root: &Root, transaction: &Transaction) -> Result<Vec<Part>> {
    transaction.components.iter().map(|steps| Part::open(root, steps.clone())).collect()
}

/// Ends a swap of which nothing is live: the journal goes first, so that no leftover can be taken for a backup.
fn discard(root: &Root, state_dir: &Dir, transaction: &Transaction) -> Result<()> {
    Journal::end(state_dir)?;
    for steps in &transaction.components {
        part::remove_backups(root, steps)?;
        part::remove_vacated(root, steps, steps.from.is_some())?;
    }
    state_dir.remove_tree(TRANSACTIONS)
}

/// Ends a swap that is live: the journal goes last, so that a crash on the way is followed by another clean-up.
fn clean_up(root: &Root, state_dir: &Dir, transaction: &Transaction) -> Result<()> {
    for steps in &transaction.components {
        part::remove_backups(root, steps)?;
        part::remove_stage(root, steps)?;
        part::remove_vacated(root, steps, steps.to.is_some())?;
    }
    state_dir.remove_tree(TRANSACTIONS)?;
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
