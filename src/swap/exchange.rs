//! The steps that change live files, and the way back.

use super::changed;
use super::component::ComponentSwap;
use crate::disk::fs::{self, Dir, Found, Tree};
use crate::disk::inventory::{Inventory, PathContent, content_at};
use crate::error::Result;
use crate::state::journal::{Step, SwapPath};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;

/// The name under which a file or link is made ready in the backup folder before it is renamed over its target.
const READY: &str = "ready";

/// Replaces everything in all parts: deletes, folders, files and links, manifests last; synced and verified.
pub fn exchange(parts: &[ComponentSwap]) -> Result<()> {
    for part in parts {
        for step in part.deletes() {
            let (dir, name) = part.tree.parent(step.place.as_str())?;
            dir.remove_file(name)?;
        }
        remove_folders(part)?;
        for path in &part.steps.new_folders {
            let (dir, name) = part.tree.parent(path)?;
            dir.make_folder(name, 0o755)?;
        }
    }
    let is_manifest = |step: &Step| step.place == SwapPath::Manifest;
    for last in [false, true] {
        for part in parts {
            part.puts().filter(|step| is_manifest(step) == last).try_for_each(|step| put(part, step))?;
        }
    }
    for part in parts {
        sync_folders(part)?;
        let is_new_folder = |step: &Step| part.steps.new_folders.iter().any(|path| path == step.place.as_str());
        // Where a file has become a folder, the step that removes the file leaves the folder behind.
        verify(part, &part.inventory()?, |step| if is_new_folder(step) { &PathContent::Folder } else { &step.new })?;
    }
    Ok(())
}

fn put(part: &ComponentSwap, step: &Step) -> Result<()> {
    let (dir, name) = part.tree.parent(step.place.as_str())?;
    match (&step.new, &step.staged, &part.staged) {
        (PathContent::Link { target }, ..) => {
            part.backups.remove_file(READY)?;
            part.backups.make_link(READY, target)?;
            part.backups.rename(READY, &dir, name)
        }
        (_, Some(staged), Some(stage)) => stage.rename(staged, &dir, name),
        _ => Err(changed(dir.join(name), "its new content is not staged")),
    }
}

/// Removes the folders that nothing of the new version is in; one that still holds something of the user's stays.
fn remove_folders(part: &ComponentSwap) -> Result<()> {
    for (path, _) in &part.steps.old_folders {
        if part.tree.folder(path)?.is_none() {
            continue;
        }
        part.tree.forget();
        let (dir, name) = part.tree.parent(path)?;
        dir.remove_folder(name)?;
    }
    part.tree.forget();
    Ok(())
}

/// Makes the entries of every folder last in which a step made, replaced or removed one.
fn sync_folders(part: &ComponentSwap) -> Result<()> {
    let changed = part.steps.steps.iter().map(|step| step.place.as_str());
    let made = part.steps.new_folders.iter().map(String::as_str);
    let removed = part.steps.old_folders.iter().map(|(path, _)| path.as_str());
    let parent = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let mut folders: Vec<String> = changed.chain(made).chain(removed).map(parent).collect();
    folders.sort_unstable();
    folders.dedup();
    let dir = part.tree.root().path();
    fs::in_parallel(&folders, |paths| {
        let Some(tree) = Tree::open(dir)? else { return Ok(()) };
        paths.iter().try_for_each(|path| match tree.find_folder(path)? {
            Some(folder) => folder.sync(),
            // It was removed, or a file stands there now.
            None => Ok(()),
        })
    })
}

fn verify(part: &ComponentSwap, found: &Inventory, expected: impl Fn(&Step) -> &PathContent) -> Result<()> {
    for step in &part.steps.steps {
        let (found, expected) = (found.content(step.place.as_str()), expected(step));
        if found != expected {
            let path = part.tree.root().join(step.place.as_str());
            return Err(changed(path, format!("after the swap {found}, not {expected}")));
        }
    }
    Ok(())
}

/// Brings everything back, whatever part of the exchange was done; may be repeated from any point.
///
/// Goes on after a failure, so that as much as possible comes back, and reports the first one.
pub fn undo(parts: &[ComponentSwap]) -> Result<()> {
    let mut first = None;
    let mut note = |result: Result<()>| {
        if let Err(error) = result {
            first.get_or_insert(error);
        }
    };
    for part in parts {
        part.tree.forget();
        // What the new version added goes first: on a system that ignores case it may stand under an old name.
        for step in part.puts().filter(|step| matches!(step.old, PathContent::Absent | PathContent::Folder)) {
            note(remove_added(part, step));
        }
        for path in part.steps.new_folders.iter().rev() {
            note(remove_new_folder(&part.tree, path));
        }
        for (path, mode) in part.steps.old_folders.iter().rev() {
            note(restore_folder(&part.tree, path, *mode));
        }
        for (index, step) in part.steps.steps.iter().enumerate() {
            note(restore(part, index, step));
        }
        note(sync_folders(part));
        note(part.inventory().and_then(|found| verify(part, &found, |step| &step.old)));
    }
    first.map_or(Ok(()), Err)
}

/// Removes an added file, back into the stage where that is easy, unless it is something else by now.
fn remove_added(part: &ComponentSwap, step: &Step) -> Result<()> {
    let path = step.place.as_str();
    if content_at(&part.tree, path)? != step.new {
        return Ok(());
    }
    keep_staged(part, step);
    let (dir, name) = part.tree.parent(path)?;
    dir.remove_file(name)
}

/// Puts a new file that is about to go under its staged name again, so that the next attempt need not download it. Only a
/// convenience: where it fails, the file is downloaded once more.
fn keep_staged(part: &ComponentSwap, step: &Step) {
    if let (Some(staged), Some(stage)) = (&step.staged, &part.staged)
        && let Ok((dir, name)) = part.tree.parent(step.place.as_str())
    {
        let _ = dir.hard_link(name, stage, staged);
    }
}

fn remove_new_folder(tree: &Tree, path: &str) -> Result<()> {
    // Where a file was to become a folder, the file may still be there.
    if !matches!(tree.find(path)?, Found::Folder { .. }) {
        return Ok(());
    }
    tree.forget();
    let (dir, name) = tree.parent(path)?;
    dir.remove_folder(name).map(drop)
}

fn restore_folder(tree: &Tree, path: &str, mode: u32) -> Result<()> {
    let (dir, name) = tree.parent(path)?;
    dir.make_folder(name, mode)?;
    // What the user's mask took away when it was made.
    dir.folder(name)?.map_or(Ok(()), |folder| folder.set_mode(mode))
}

/// Makes sure that a backup is what was put aside, before anything is replaced by it.
fn check_backup(backups: &Dir, name: &str, expected: Sha256) -> Result<()> {
    let path = backups.join(name);
    let found = match backups.open_file(name)? {
        Some(mut file) => Some(fs::hash(&mut file, &path)?.0),
        None => None,
    };
    if found == Some(expected) {
        return Ok(());
    }
    Err(changed(path, found.map_or("the backup is missing".to_owned(), |found| format!("{found}, not {expected}"))))
}

/// Renames an old file's backup over its target, keeping the backup under its own name until the swap has ended.
fn restore(part: &ComponentSwap, index: usize, step: &Step) -> Result<()> {
    let path = step.place.as_str();
    let found = content_at(&part.tree, path)?;
    if matches!(step.old, PathContent::Absent | PathContent::Folder) || found == step.old {
        return Ok(());
    }
    part.backups.remove_file(READY)?;
    match &step.old {
        PathContent::Link { target } => part.backups.make_link(READY, target)?,
        PathContent::File { sha256, mode } => {
            let backup = index.to_string();
            check_backup(&part.backups, &backup, *sha256)?;
            part.backups.link_or_copy(&backup, &part.backups, READY, *mode)?;
        }
        PathContent::Absent | PathContent::Folder => return Ok(()),
    }
    let (dir, name) = part.tree.parent(path)?;
    if found == step.new {
        keep_staged(part, step);
    } else if let (PathContent::File { .. } | PathContent::Link { .. }, SwapPath::Listed(path)) = (&found, &step.place)
    {
        // Somebody has changed it since the swap. That the program is whole again matters more than a name to keep it by.
        if let Some(free) = free_name(&dir, path)? {
            dir.rename(name, &dir, &free)?;
        }
    }
    part.backups.rename(READY, &dir, name)
}

/// A name beside `path` that nothing has yet; none in the unlikely case that a hundred are taken.
fn free_name(dir: &Dir, path: &RelPath) -> Result<Option<String>> {
    for candidate in path.saved_names() {
        let name = candidate.segments().next_back().unwrap_or_default();
        if dir.find(name)? == Found::Absent {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}
