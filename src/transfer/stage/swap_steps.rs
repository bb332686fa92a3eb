//! Swap steps: turns a plan whose contents are staged into the steps of a swap.
//!
//! This is the end of a download and the beginning of `swap`. The steps go into the journal.

use super::{Stage, staged_names};
use crate::disk::fs::{Dir, Found, Tree};
use crate::disk::inventory::PathContent;
use crate::disk::layout::InstallRoot;
use crate::error::Result;
use crate::formats::manifest::Component;
use crate::state::journal::{ComponentSteps, ReleaseContent, Step, SwapPath};
use crate::transfer::plan::Plan;
use crate::values::rel_path::{MANIFEST_NAME, RelPath};
use semver::Version;
use std::collections::BTreeSet;

/// Returns the steps that apply a plan to one component. The step for the manifest is the last.
///
/// All staged files are durable when this function returns. `manifest` holds the old and the new
/// content of the manifest, `versions` the old version and the new release.
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io), also when a file is not staged.
pub fn swap_steps(
    root: &InstallRoot,
    component: &Component,
    stage: &Stage,
    plan: &Plan,
    manifest: (PathContent, PathContent),
    versions: (Option<Version>, Option<ReleaseContent>),
) -> Result<ComponentSteps> {
    let tree = Tree::open(&root.component(component))?;
    let mut steps = Vec::with_capacity(plan.changes.len() + 1);
    for (change, staged) in plan.changes.iter().zip(staged_names(&plan.changes)) {
        if let (Some(name), Some(from), Some(tree)) = (&staged, &change.saved_from, &tree) {
            stage_users_file(tree, from, &stage.files, name, &change.new)?;
        }
        let path = SwapPath::Listed(change.path.clone());
        steps.push(Step { path, old: change.old.clone(), new: change.new.clone(), staged });
    }
    let (old, new) = manifest;
    if old != new {
        let staged = (new != PathContent::Absent).then(|| MANIFEST_NAME.to_owned());
        if staged.is_some() {
            stage.files.remove_file(MANIFEST_NAME)?;
            stage.dir.copy(MANIFEST_NAME, &stage.files, MANIFEST_NAME, crate::disk::fs::PLAIN_MODE)?;
        }
        steps.push(Step { path: SwapPath::Manifest, old, new, staged });
    }
    let staged = steps.iter().filter_map(|step| match (&step.staged, &step.new) {
        (Some(name), PathContent::File { mode, .. }) => Some((name.as_str(), *mode)),
        _ => None,
    });
    stage.files.seal_files(&staged.collect::<Vec<_>>())?;
    stage.files.sync()?;
    let folders = folders(tree.as_ref(), plan)?;
    let (from, to) = versions;
    Ok(ComponentSteps {
        component: component.clone(),
        own_work_dir: stage.in_own_work_dir,
        elsewhere: root.elsewhere.contains_key(component),
        from,
        to,
        new_folders: folders.new,
        old_folders: folders.old,
        steps,
    })
}

/// Copies a user's file into the stage; the swap moves the copy to its new name.
///
/// The backup is a second name of the file itself. If the user writes into the moved copy during a
/// probation, the backup stays whole, and a rollback brings the file back.
fn stage_users_file(tree: &Tree, from: &RelPath, files: &Dir, name: &str, content: &PathContent) -> Result<()> {
    let (dir, old_name) = tree.parent(from.as_str())?;
    files.remove_file(name)?;
    match content {
        PathContent::File { mode, .. } => dir.copy(old_name, files, name, *mode),
        _ => Ok(()),
    }
}

/// The folders that a plan creates and removes.
#[derive(Default)]
struct Folders {
    /// The folders to create, outermost first.
    new: Vec<String>,
    /// The folders to remove if they are empty, innermost first, with their modes.
    old: Vec<(String, u32)>,
}

fn folders(tree: Option<&Tree>, plan: &Plan) -> Result<Folders> {
    let (mut needed, mut left) = (BTreeSet::new(), BTreeSet::new());
    for change in &plan.changes {
        let set = if change.new == PathContent::Absent { &mut left } else { &mut needed };
        set.extend(change.path.folders());
        if change.old == PathContent::Folder {
            left.insert(change.path.as_str());
        }
    }
    let found = |path: &str| tree.map_or(Ok(Found::Absent), |tree| tree.find(path));
    let mut folders = Folders::default();
    for path in &needed {
        if !matches!(found(path)?, Found::Folder { .. }) {
            folders.new.push((*path).to_owned());
        }
    }
    for path in left.iter().rev().filter(|path| !needed.contains(*path)) {
        if let Found::Folder { mode } = found(path)? {
            folders.old.push(((*path).to_owned(), mode));
        }
    }
    Ok(folders)
}
