//! Cleaning up behind a swap: journal, backups, stages and empty folders.
//!
//! Nothing here returns an error to the caller: the version that is installed is complete whatever
//! stays. Leftovers are removed at the next start.

use super::component::{ComponentSwap, RETIRED, work_dir};
use super::exchange;
use super::saved::SavedFile;
use crate::disk::fs::{Dir, Tree};
use crate::disk::layout::{InstallRoot, STAGES_DIR_NAME};
use crate::error::{Error, Machine, Result};
use crate::state;
use crate::state::journal::{ComponentSteps, Journal, TRANSACTIONS, Transaction};
use crate::values::rel_path::STATE_DIR_NAME;

/// Ends a swap of which nothing is live.
///
/// The journal goes first, so that no leftover can be taken for a backup. A journal that cannot be
/// removed keeps its backups: the next recovery then finds everything old and ends the swap again.
pub fn discard(root: &InstallRoot, state_dir: &Dir, transaction: &Transaction) {
    if Journal::end(state_dir).is_err() {
        return;
    }
    for steps in &transaction.components {
        let _ = remove_work(root, steps, TRANSACTIONS);
        let _ = remove_vacated(root, steps, steps.from.is_some());
    }
    let _ = state_dir.remove_leftovers(TRANSACTIONS);
}

/// Ends a swap that is live, and returns files of the user's that were found among the backups.
///
/// The journal goes last, so that a crash on the way is followed by another clean-up. It stays
/// while a file of the user's has no other place.
pub fn clean_up(root: &InstallRoot, state_dir: &Dir, transaction: &Transaction) -> Vec<SavedFile> {
    let (mut saved, mut is_done) = (Vec::new(), true);
    for steps in &transaction.components {
        match save_written_backups(root, steps, &mut saved) {
            Ok(()) | Err(Error::Machine(Machine::OtherTree { .. })) => {
                let _ = remove_work(root, steps, TRANSACTIONS);
            }
            Err(_) => is_done = false,
        }
        // After a probation the stage may be the next update's.
        if !transaction.probation {
            let _ = remove_work(root, steps, STAGES_DIR_NAME);
        }
        let _ = remove_vacated(root, steps, steps.to.is_some());
    }
    if is_done {
        let _ = state_dir.remove_leftovers(TRANSACTIONS);
        let _ = Journal::end(state_dir);
    }
    saved
}

/// Moves backups that a program has written to since beside the paths that they came from: a backup
/// is a second name of the old file, and a program that held it open has changed the user's only
/// copy.
fn save_written_backups(root: &InstallRoot, steps: &ComponentSteps, saved: &mut Vec<SavedFile>) -> Result<()> {
    if !has_backups(root, steps)? {
        return Ok(());
    }
    let part = ComponentSwap::open(root, steps.clone())?;
    exchange::save_written_backups(&part, saved)
}

fn has_backups(root: &InstallRoot, steps: &ComponentSteps) -> Result<bool> {
    let dir = root.component(&steps.component);
    if steps.own_work_dir && Tree::open(&dir)?.is_none() {
        return Ok(false);
    }
    let Some(folder) = work_dir(root, steps)?.folder(TRANSACTIONS)? else { return Ok(false) };
    Ok(folder.folder(steps.component.as_str())?.is_some())
}

/// Puts what is left of a component's stage among its backups, with which it goes: moving a folder
/// takes less time than removing it with all that it holds.
pub fn retire_stage(root: &InstallRoot, steps: &ComponentSteps) -> Result<()> {
    // There a folder cannot be moved while anything in it is open.
    if cfg!(windows) {
        return remove_work(root, steps, STAGES_DIR_NAME);
    }
    let work = work_dir(root, steps)?;
    let name = steps.component.as_str();
    let backups = work.folder_or_new(TRANSACTIONS, 0o700)?.folder_or_new(name, 0o700)?;
    match work.folder(STAGES_DIR_NAME)? {
        Some(stages) => stages.rename(name, &backups, RETIRED),
        None => Ok(()),
    }
}

/// Removes a component's folder of one kind from the state or work folder.
fn remove_work(root: &InstallRoot, steps: &ComponentSteps, kind: &str) -> Result<()> {
    // A work folder of the component's own has gone with the component.
    if steps.own_work_dir && Tree::open(&root.component(&steps.component))?.is_none() {
        return Ok(());
    }
    match work_dir(root, steps)?.folder(kind)? {
        Some(folder) => folder.remove_leftovers(steps.component.as_str()),
        None => Ok(()),
    }
}

/// Removes the folder of a component that is not installed, if nothing of the user's is in it.
fn remove_vacated(root: &InstallRoot, steps: &ComponentSteps, installed: bool) -> Result<()> {
    let dir = root.component(&steps.component);
    let (false, Some(parent), Some(name)) = (installed, dir.parent(), dir.file_name().and_then(|name| name.to_str()))
    else {
        return Ok(());
    };
    if steps.own_work_dir
        && let Some(tree) = Tree::open(&dir)?
        && tree.root().names()? == [STATE_DIR_NAME]
    {
        tree.root().remove_tree(STATE_DIR_NAME)?;
    }
    let parent = Dir::open(parent)?;
    if parent.remove_folder(name)? { parent.sync() } else { Ok(()) }
}

/// Removes what earlier runs have left in the state folder and in the components' own: files that
/// were in use when they had to go, see [`Dir::with_aside`], and files that were to replace others
/// when their process died. What is still in use stays until the next time.
pub fn sweep(root: &InstallRoot) {
    if let Ok(Some(state_dir)) = state::open(root) {
        let _ = state_dir.sweep_aside();
        let _ = state_dir.remove_temporaries(None);
    }
    for dir in root.elsewhere.values() {
        if let Ok(Some(tree)) = Tree::open(dir)
            && let Ok(Some(work)) = tree.root().folder(STATE_DIR_NAME)
        {
            let _ = work.sweep_aside();
        }
    }
}
