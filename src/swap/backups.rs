//! Damaged backups: backups that another program has written to or removed.
//!
//! Their contents can be fetched again, because the manifest of the old version is kept.

use super::component::ComponentSwap;
use super::{SavedFile, check, exchange, open_parts, record_saved};
use crate::disk::fs::Lock;
use crate::disk::inventory::PathContent;
use crate::disk::layout::InstallRoot;
use crate::error::{Machine, Result};
use crate::formats::manifest::{Component, MAX_MANIFEST_BYTES};
use crate::state;
use crate::state::journal::{Journal, JournalState, SwapPath};
use crate::values::digest::Sha256;

/// The damaged backups of one component, and the manifest that tells how to fetch their contents.
#[derive(Debug)]
pub struct DamagedBackups {
    /// The component.
    pub component: Component,
    /// The bytes of the old manifest.
    pub manifest: Vec<u8>,
    /// The contents that are missing, each with the mode of the file.
    pub contents: Vec<(Sha256, u32)>,
    /// The hash of the swap's plan.
    plan: Sha256,
    /// The indexes of the steps whose backups are damaged, in the order of `contents`.
    steps: Vec<usize>,
}

/// Finds the damaged backups of a version on probation, or of an interrupted swap.
///
/// # Errors
/// [`Machine::BackupDamaged`] where the old manifest is damaged, too; [`Machine::OtherTree`],
/// [`Machine::Io`].
pub fn damaged(root: &InstallRoot, _lock: &Lock) -> Result<Vec<DamagedBackups>> {
    let Some(journal) = current(root)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for part in open_parts(root, &journal.transaction)? {
        check::recognise(&part)?;
        let mut found = DamagedBackups {
            component: part.steps.component.clone(),
            manifest: Vec::new(),
            contents: Vec::new(),
            plan: journal.plan,
            steps: Vec::new(),
        };
        for (index, step) in part.steps.steps.iter().enumerate() {
            if let PathContent::File { sha256, mode } = step.old
                && check::is_backup_damaged(&part, index)?
            {
                found.contents.push((sha256, mode));
                found.steps.push(index);
            }
        }
        if !found.steps.is_empty() {
            found.manifest = old_manifest(&part)?;
            all.push(found);
        }
    }
    Ok(all)
}

/// Replaces damaged backups by fetched contents, and returns the files that it moved for that.
///
/// `staged` has the names of the fetched contents in the component's stage, in the order of
/// `damaged`. A damaged backup first moves beside its target, because its bytes are the user's.
///
/// # Errors
/// [`Machine::StageDamaged`] for a content that is not as it should be; [`Machine::Io`].
pub fn replace(
    root: &InstallRoot,
    _lock: &Lock,
    damaged: &DamagedBackups,
    staged: &[String],
) -> Result<Vec<SavedFile>> {
    let Some(journal) = current(root)?.filter(|journal| journal.plan == damaged.plan) else { return Ok(Vec::new()) };
    let mut saved = Vec::new();
    for part in open_parts(root, &journal.transaction)? {
        if part.steps.component != damaged.component {
            continue;
        }
        exchange::save_written_backups(&part, &mut saved)?;
        for ((index, name), (sha256, _)) in damaged.steps.iter().zip(staged).zip(&damaged.contents) {
            let backup = index.to_string();
            let Some(stage) = part.stages.iter().find(|stage| stage.open_file(name).is_ok_and(|file| file.is_some()))
            else {
                let path = part.tree.root().join(part.steps.steps[*index].path.as_str());
                let detail = format!("{sha256} is not staged");
                return Err(Machine::StageDamaged { path, detail }.into());
            };
            stage.rename(name, &part.backups, &backup)?;
        }
        part.backups.sync()?;
        // The hashes decide whether the old version is complete, not the names in the stage.
        check::check_backups(&part)?;
    }
    if let Some(state_dir) = state::open(root)? {
        record_saved(&state_dir, &journal.transaction, &saved);
    }
    Ok(saved)
}

/// Reads the journal of a swap that may still need its backups.
fn current(root: &InstallRoot) -> Result<Option<Journal>> {
    let Some(state_dir) = state::open(root)? else { return Ok(None) };
    let matters = |journal: &Journal| matches!(journal.state, JournalState::Applying | JournalState::Committed);
    Ok(Journal::read(&state_dir)?.filter(matters))
}

/// Reads the manifest of the old version, from its backup or from the component's folder.
fn old_manifest(part: &ComponentSwap) -> Result<Vec<u8>> {
    let steps = &part.steps.steps;
    let at = steps.iter().position(|step| step.path == SwapPath::Manifest);
    let damaged = || Machine::BackupDamaged { path: part.tree.root().join(SwapPath::Manifest.as_str()) };
    let at = at.ok_or_else(damaged)?;
    let backup = part.backups.read_small(&at.to_string(), MAX_MANIFEST_BYTES)?;
    let in_place = part.tree.root().read_small(SwapPath::Manifest.as_str(), MAX_MANIFEST_BYTES)?;
    let is_old = |bytes: &Vec<u8>| steps[at].old.sha256() == Some(Sha256::of(bytes));
    let found = backup.into_iter().chain(in_place).find(is_old);
    Ok(found.ok_or_else(damaged)?)
}
