//! Checks: whether a swap or its undo can succeed. They come before the first change, and change
//! nothing.

use super::changed;
use super::component::{ComponentSwap, THREADS};
use super::outline::Outline;
use super::side::{Owner, Side};
use crate::disk::fs::{Found, hash};
use crate::disk::inventory::{Inventory, PathContent};
use crate::error::{Error, Machine, Result};
use crate::formats::manifest;
use crate::state::journal::{Step, SwapPath};
use crate::values::rel_path::MANIFEST_NAME;
use std::path::PathBuf;

/// Checks that a component is ready for the new version.
///
/// Every target is old, every staged file is whole, no other file is in the way, and this user can
/// change every folder.
///
/// # Errors
/// [`Machine::Changed`], [`Machine::StageDamaged`], [`Machine::UnsafePath`],
/// [`Machine::NotWritable`], [`Machine::MountInside`], [`Machine::Io`].
pub fn check_forth(part: &ComponentSwap) -> Result<()> {
    let dir = part.tree.root().path();
    let targets = part.inventory()?;
    for step in &part.steps.steps {
        let found = targets.content(step.path.as_str());
        if *found != step.old && !found.same_bytes(&step.old) {
            return Err(changed(dir.join(step.path.as_str()), format!("{found}, not {}", step.old)));
        }
    }
    for (at, content) in targets.blocked() {
        let goes = |step: &Step| step.new == PathContent::Absent && step.path.as_str() == at && step.old == *content;
        if !part.steps.steps.iter().any(goes) {
            return Err(Machine::UnsafePath { path: dir.join(at) }.into());
        }
    }
    check_staged(part, &part.steps.steps.iter().collect::<Vec<_>>())?;
    check_rights(part, Side::New)
}

/// Checks that the staged files of these steps are whole.
fn check_staged(part: &ComponentSwap, steps: &[&Step]) -> Result<()> {
    let damaged = |path, detail: String| Error::from(Machine::StageDamaged { path, detail });
    let needed: Vec<&Step> =
        steps.iter().copied().filter(|step| matches!(step.new, PathContent::File { .. })).collect();
    let mut unseen = needed;
    for stage in &part.stages {
        let files = Inventory::take(stage.path(), unseen.iter().filter_map(|step| step.staged.as_deref()), THREADS)?;
        let mut rest = Vec::new();
        for step in unseen {
            match step.staged.as_deref().map(|name| (name, files.content(name))) {
                Some((_, PathContent::Absent)) | None => rest.push(step),
                Some((_, found)) if *found == step.new => {}
                Some((name, found)) => {
                    return Err(damaged(stage.join(name), format!("{found}, not {}", step.new)));
                }
            }
        }
        unseen = rest;
    }
    let missing = |step: &Step| damaged(part.tree.root().join(step.path.as_str()), "it is not staged".to_owned());
    unseen.first().map_or(Ok(()), |step| Err(missing(step)))
}

/// Checks that a component's old version can be restored.
///
/// Every missing file has a whole backup, and this user can change every folder.
///
/// # Errors
/// [`Machine::BackupDamaged`], [`Machine::NotWritable`], [`Machine::Io`].
pub fn check_back(part: &ComponentSwap) -> Result<()> {
    check_backups(part)?;
    check_rights(part, Side::Old)
}

/// Checks that every old file that is missing has a whole backup.
///
/// # Errors
/// [`Machine::BackupDamaged`], [`Machine::Io`].
pub fn check_backups(part: &ComponentSwap) -> Result<()> {
    for index in 0..part.steps.steps.len() {
        if is_backup_damaged(part, index)? {
            let path = part.tree.root().join(part.steps.steps[index].path.as_str());
            return Err(Machine::BackupDamaged { path }.into());
        }
    }
    Ok(())
}

/// Returns `true` if the old file of a step is neither at its path nor among the backups.
///
/// # Errors
/// [`Machine::Io`].
pub fn is_backup_damaged(part: &ComponentSwap, index: usize) -> Result<bool> {
    let step = &part.steps.steps[index];
    let PathContent::File { sha256, .. } = &step.old else { return Ok(false) };
    let name = index.to_string();
    let found = match part.backups.open_file(&name) {
        Ok(Some(mut file)) => Some(hash(&mut file, &part.backups.join(&name))?.0),
        Ok(None) | Err(Error::Machine(Machine::UnsafePath { .. })) => None,
        Err(error) => return Err(error),
    };
    Ok(found != Some(*sha256) && Side::Old.examine(part, step)? != Owner::Wanted)
}

/// Checks that a component's new version can be completed from installed and staged files.
///
/// # Errors
/// [`Machine::StageDamaged`], [`Machine::Io`].
pub fn check_completion(part: &ComponentSwap) -> Result<()> {
    let mut missing = Vec::new();
    for step in &part.steps.steps {
        if Side::New.examine(part, step)? != Owner::Wanted {
            missing.push(step);
        }
    }
    check_staged(part, &missing)
}

/// Checks that this user can change every folder and remove every file of the steps.
///
/// No other file system may be mounted at one of their paths.
fn check_rights(part: &ComponentSwap, side: Side) -> Result<()> {
    let refused = |path: PathBuf| Err(Machine::NotWritable { path }.into());
    let mount = part.tree.root().mount()?;
    // The component may have been moved to another disk since the plan was made.
    if part.backups.mount()? != mount {
        return Err(Machine::MountInside { path: part.tree.root().path().to_owned() }.into());
    }
    if !part.backups.is_writable() || part.backups.is_fixed(".")? {
        return refused(part.backups.path().to_owned());
    }
    for path in part.changed_folders() {
        // A missing folder is created in the nearest one that exists.
        let mut path = path.as_str();
        let folder = loop {
            match part.tree.find_folder(path)? {
                Some(folder) => break folder,
                None => path = path.rsplit_once('/').map_or("", |(above, _)| above),
            }
        };
        // An append-only folder takes new entries, but none can be removed.
        if !folder.is_writable() || folder.is_fixed(".")? {
            return refused(folder.path().to_owned());
        }
        if folder.mount()? != mount {
            return Err(Machine::MountInside { path: folder.path().to_owned() }.into());
        }
    }
    let steps = part.steps.steps.iter().filter(|step| side.wanted(step) != side.other(step));
    for path in steps.map(|step| step.path.as_str()).chain(part.leaving_folders(side)) {
        if !matches!(part.tree.find(path)?, Found::Absent | Found::Blocked { .. }) {
            let (dir, name) = part.tree.parent(path)?;
            if dir.is_fixed(name)? {
                return refused(dir.join(name));
            }
            if dir.mount_of(name)?.is_some_and(|of| of != mount) {
                return Err(Machine::MountInside { path: dir.join(name) }.into());
            }
        }
    }
    Ok(())
}

/// Checks that a component's files are those of one of the swap's versions.
///
/// The user may have restored the journal from a copy, or moved the component. Only the contents of
/// the files show that.
///
/// # Errors
/// [`Machine::OtherTree`], [`Machine::Io`].
pub fn recognise(part: &ComponentSwap) -> Result<()> {
    let other = || Err(other_tree(part));
    if third_release(part).is_some() {
        return other();
    }
    // A state folder in its install root moves with the root. Only one outside of it can belong to
    // another tree. A component that is added or removed has no files on one side to compare.
    if !part.may_be_elsewhere || part.steps.from.is_none() || part.steps.to.is_none() {
        return Ok(());
    }
    for step in part.steps.steps.iter().rev() {
        let is_content = |content: &PathContent| matches!(content, PathContent::File { .. } | PathContent::Link { .. });
        let is_known = match Side::Old.examine(part, step)? {
            Owner::Wanted => is_content(&step.old),
            Owner::Other => is_content(&step.new),
            Owner::Nobody | Owner::User => false,
        };
        if is_known {
            return Ok(());
        }
    }
    other()
}

fn other_tree(part: &ComponentSwap) -> Error {
    let (component, dir) = (part.steps.component.clone(), part.tree.root().path().to_owned());
    Machine::OtherTree { component, dir }.into()
}

/// Returns the component's manifest if it is that of neither version of the swap.
///
/// Then the component is a *third release*, and the journal is older than the tree.
fn third_release(part: &ComponentSwap) -> Option<String> {
    let step = part.steps.steps.iter().find(|step| step.path == SwapPath::Manifest)?;
    if Side::Old.examine(part, step).ok()? != Owner::User {
        return None;
    }
    let bytes = part.tree.root().read_small(MANIFEST_NAME, manifest::MAX_MANIFEST_BYTES).ok().flatten()?;
    let text = String::from_utf8(bytes).ok()?;
    let outline = Outline::read(&text)?;
    // A renewed manifest brings the same version under new dates.
    let versions = part.steps.from.iter().chain(part.steps.to.as_ref().map(|to| &to.version));
    let is_known = versions.map(ToString::to_string).any(|version| version == outline.version);
    (outline.component == part.steps.component.as_str() && !is_known).then_some(text)
}

/// Returns `true` if the component is a third release, which the user may have changed since.
///
/// The journal of the interrupted swap is out of date then. No listed path holds a content that
/// only the swap can have left there.
pub fn is_third_release(part: &ComponentSwap) -> bool {
    let Some(text) = third_release(part) else { return false };
    let files = Outline::read(&text).map(|outline| outline.files()).unwrap_or_default();
    let paths = files.iter().map(|(path, _)| path.as_str());
    let Ok(found) = Inventory::take(part.tree.root().path(), paths, THREADS) else { return false };
    let is_of_swap = |path: &str, content: &PathContent| {
        let mut steps = part.steps.steps.iter().filter(|step| step.path.as_str() == path);
        steps.any(|step| content.same_bytes(&step.old) || content.same_bytes(&step.new))
    };
    files.iter().all(|(path, sha256)| {
        let content = found.content(path);
        let is_users = *content == PathContent::Absent || !is_of_swap(path, content);
        sha256.is_some() && (content.sha256() == *sha256 || is_users)
    })
}
