//! The clean-up after a swap: journal, backups, stages and empty folders.
//!
//! Leftovers are no error: the installed version is complete, and the next start removes them. Only
//! a file of the user that lies among the backups and cannot leave them is one.

use super::component::{ComponentSwap, RETIRED, existing_work_dir, is_lost, work_dir};
use super::exchange;
use super::outcomes::record_saved;
use super::saved::SavedFile;
use crate::disk::fs::{Dir, Tree};
use crate::disk::layout::{InstallRoot, STAGES_DIR_NAME};
use crate::error::{Error, Machine, Result};
use crate::state::journal::{ComponentSteps, Journal, TRANSACTIONS, Transaction};
use crate::state::{self, StateFile as _, WaitingCleanups};
use crate::values::rel_path::STATE_DIR_NAME;

/// Ends a swap that has changed no file, or was undone.
///
/// The journal goes first, so that no leftover can be taken for a backup. A journal that cannot be
/// removed keeps its backups: the next recovery then finds everything old and ends the swap again.
/// Adds the files of the user among the backups.
///
/// # Errors
/// As [`clean_up`]; [`Machine::Io`] for a journal that cannot be removed.
pub fn discard(
    root: &InstallRoot,
    state_dir: &Dir,
    transaction: &Transaction,
    saved: &mut Vec<SavedFile>,
) -> Result<()> {
    transaction.components.iter().try_for_each(|steps| save_written_backups(root, steps, saved))?;
    Journal::end(state_dir)?;
    for steps in &transaction.components {
        let _ = remove_work(root, steps, TRANSACTIONS);
        let _ = remove_vacated(root, steps, steps.from.is_some());
    }
    let _ = state_dir.remove_leftovers(TRANSACTIONS);
    Ok(())
}

/// Ends a swap whose new version is installed; adds the files of the user among the backups.
///
/// The journal is removed last, so that another clean-up follows a crash. The clean-up of a
/// component whose disk is not mounted waits for it, and bars no swap of the others.
///
/// # Errors
/// [`Machine::Io`], [`Machine::OtherTree`]: a file of the user is only among the backups, and the
/// journal stays with them.
pub fn clean_up(
    root: &InstallRoot,
    state_dir: &Dir,
    transaction: &Transaction,
    saved: &mut Vec<SavedFile>,
) -> Result<()> {
    let mut first = Ok(());
    let mut waiting = Vec::new();
    for steps in &transaction.components {
        match remove_backups(root, steps, saved) {
            Ok(()) => {}
            Err(error) if waits(&error, steps) => waiting.push(steps.clone()),
            Err(error) => first = first.and(Err(error)),
        }
        // After a probation the stage may belong to the next update.
        if !transaction.probation {
            let _ = remove_work(root, steps, STAGES_DIR_NAME);
        }
        let _ = remove_vacated(root, steps, steps.to.is_some());
    }
    if first.is_ok() && !waiting.is_empty() {
        first = WaitingCleanups::add(state_dir, waiting);
    }
    if first.is_ok() {
        let _ = state_dir.remove_leftovers(TRANSACTIONS);
        let _ = Journal::end(state_dir);
    }
    first
}

/// Cleans up behind earlier swaps of components that were lost then, and are back now.
///
/// # Errors
/// As [`clean_up`]. A component that is still lost is no error.
pub fn clean_up_waiting(root: &InstallRoot, state_dir: &Dir) -> Result<()> {
    let Some(WaitingCleanups(transaction)) = WaitingCleanups::load(state_dir)? else { return Ok(()) };
    let mut saved = Vec::new();
    let (mut first, mut waiting) = (Ok(()), Vec::new());
    for steps in &transaction.components {
        if let Err(error) = remove_backups(root, steps, &mut saved) {
            if !waits(&error, steps) {
                first = first.and(Err(error));
            }
            waiting.push(steps.clone());
        }
    }
    record_saved(state_dir, &transaction, &saved);
    if waiting.len() < transaction.components.len() {
        WaitingCleanups::keep(state_dir, waiting)?;
    }
    first
}

/// Returns `true` if the component's backups are on another disk, which is not mounted now.
fn waits(error: &Error, steps: &ComponentSteps) -> bool {
    steps.own_work_dir && matches!(error, Error::Machine(Machine::OtherTree { .. }))
}

/// Removes the backups of a component, once no file of the user is only among them.
fn remove_backups(root: &InstallRoot, steps: &ComponentSteps, saved: &mut Vec<SavedFile>) -> Result<()> {
    save_written_backups(root, steps, saved)?;
    let _ = remove_work(root, steps, TRANSACTIONS);
    Ok(())
}

/// Moves backups that a program has written to beside the paths that they came from.
///
/// A backup is a second name of the old file. So a program that had the file open wrote to the
/// backup as well, and the backup is the only copy of these bytes.
fn save_written_backups(root: &InstallRoot, steps: &ComponentSteps, saved: &mut Vec<SavedFile>) -> Result<()> {
    if !has_backups(root, steps)? {
        return Ok(());
    }
    match ComponentSwap::open(root, steps.clone()) {
        Ok(part) => exchange::save_written_backups(&part, saved),
        // The component is gone, and its backups with it.
        Err(Error::Machine(Machine::OtherTree { .. })) if is_gone(root, steps) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns `true` if a component that no configuration has named does not exist any more.
fn is_gone(root: &InstallRoot, steps: &ComponentSteps) -> bool {
    !steps.elsewhere && !steps.own_work_dir && !root.elsewhere.contains_key(&steps.component)
}

fn has_backups(root: &InstallRoot, steps: &ComponentSteps) -> Result<bool> {
    // After a removal the folder is bare, with its disk and without.
    if steps.to.is_some() && is_lost(root, steps)? {
        let (component, dir) = (steps.component.clone(), root.component(&steps.component));
        return Err(Machine::OtherTree { component, dir }.into());
    }
    let Some(work) = existing_work_dir(root, steps)? else { return Ok(false) };
    let Some(folder) = work.folder(TRANSACTIONS)? else { return Ok(false) };
    Ok(folder.folder(steps.component.as_str())?.is_some())
}

/// Moves the rest of a component's stage among its backups, which are removed later.
///
/// The user waits meanwhile, and moving a folder takes less time than removing its entries.
pub fn retire_stage(root: &InstallRoot, steps: &ComponentSteps) -> Result<()> {
    // Windows cannot move a folder while a file in it is open.
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
    // A work folder inside the component was removed with it.
    let Some(work) = existing_work_dir(root, steps)? else { return Ok(()) };
    match work.folder(kind)? {
        Some(folder) => folder.remove_leftovers(steps.component.as_str()),
        None => Ok(()),
    }
}

/// Removes the folder of a component that is not installed, unless it holds files of the user.
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

/// Removes the leftovers of earlier runs in the state folder and in the components' work folders.
///
/// Leftovers are files that were in use when they had to be removed ([`Dir::with_aside`]), and
/// temporary files of killed processes. Files that are still in use stay until the next start.
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
