//! The steps that change live files: they bring every component to one side of the swap, forth or
//! back.
//!
//! Both directions are one piece of code. It looks at what each path holds and never counts steps,
//! so that it may be interrupted anywhere and run again, in the same direction or in the other one.

use super::component::{ComponentSwap, FOLDER, RETIRED};
use super::saved::{SavedFile, move_beside};
use super::side::{Owner, Side};
use crate::disk::fs::{self, Dir, Found, Tree};
use crate::disk::inventory::{Inventory, PathContent, content_at};
use crate::disk::layout::STAGED_FILES_DIR_NAME;
use crate::error::{Error, Machine, Result};
use crate::state::journal::{Step, SwapPath};
use std::collections::BTreeSet;

/// The name in the backup folder that a file or link is made ready under before it is renamed over
/// its target.
const READY: &str = "ready";
/// The start of the names of spare folders among the backups.
const SPARE: &str = "spare-";

/// Brings all components to one side, syncs every touched folder, and hashes every target again.
///
/// On the way to the new side it stops at the first error, as the old side is still whole. On the
/// way back it continues, so that as much as possible comes back, and returns the first error.
///
/// # Errors
/// [`Machine::Io`], [`Machine::StageDamaged`], [`Machine::ChangedInSwap`].
pub fn bring(parts: &[ComponentSwap], side: Side, saved: &mut Vec<SavedFile>) -> Result<()> {
    let mut first = None;
    let mut follow = |result: Result<()>| match result {
        Err(error) if side == Side::New => Err(error),
        Err(error) => {
            first.get_or_insert(error);
            Ok(())
        }
        done => Ok(done?),
    };
    for part in parts {
        part.tree.forget();
        // First, as on a system that ignores case a file of one side may stand under a name of the
        // other.
        for step in part.steps.steps.iter().filter(|step| !is_file_or_link(side.wanted(step))) {
            follow(vacate(part, side, step))?;
        }
        for path in folders_in_the_way(part, side) {
            follow(remove_folder(&part.tree, path))?;
        }
        part.tree.forget();
        for (path, mode) in part.coming_folders(side) {
            follow(make_folder(part, side, path, mode, saved))?;
        }
    }
    for is_manifest in [false, true] {
        for part in parts {
            for (index, step) in part.steps.steps.iter().enumerate() {
                if is_file_or_link(side.wanted(step)) && (step.place == SwapPath::Manifest) == is_manifest {
                    follow(fill(part, side, index, step, saved))?;
                }
            }
        }
    }
    for part in parts {
        // Last, as a full disk has no space to make a folder again.
        for path in part.leaving_folders(side) {
            follow(remove_folder(&part.tree, path))?;
        }
        part.tree.forget();
        follow(sync_folders(part, &part.changed_folders()))?;
        follow(verify(part, side))?;
    }
    first.map_or(Ok(()), Err)
}

/// Makes a spare folder among the backups for each folder that the way to this side must make, or
/// that it removes first and its undo must make again.
///
/// A full disk is then found before the first change, and one that fills later stops neither way.
///
/// # Errors
/// [`Machine::Io`].
pub fn make_spare_folders(part: &ComponentSwap, side: Side) -> Result<()> {
    let mut spares = folders_in_the_way(part, side).len();
    for (path, _) in part.coming_folders(side) {
        spares += usize::from(!matches!(part.tree.find(path)?, Found::Folder { .. }));
    }
    (0..spares).try_for_each(|number| part.backups.make_folder(&format!("{SPARE}{number}"), FOLDER))
}

/// Makes a folder, or moves a spare one there where the disk is full.
fn make_or_move_folder(part: &ComponentSwap, dir: &Dir, name: &str) -> Result<()> {
    dir.make_folder(name, FOLDER).or_else(|error| {
        let spares = part.backups.names().unwrap_or_default();
        let spare = spares.iter().find(|entry| entry.starts_with(SPARE));
        spare.map_or(Err(()), |spare| part.backups.rename(spare, dir, name).map_err(drop)).map_err(|()| error)
    })
}

/// Returns the folders of the other side in whose place this side has something, innermost first.
/// In a folder that ignores case the names may differ in that.
fn folders_in_the_way(part: &ComponentSwap, side: Side) -> Vec<&str> {
    let steps = part.steps.steps.iter().filter(|step| is_file_or_link(side.wanted(step)));
    let coming = part.coming_folders(side).into_iter().map(|(path, _)| path);
    let taken: BTreeSet<String> = steps.map(|step| step.place.as_str()).chain(coming).map(str::to_lowercase).collect();
    let is_in_the_way = |path: &&str| {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.map(|end| path[..end].to_lowercase()).any(|path| taken.contains(&path))
    };
    part.leaving_folders(side).into_iter().filter(is_in_the_way).collect()
}

fn is_file_or_link(content: &PathContent) -> bool {
    matches!(content, PathContent::File { .. } | PathContent::Link { .. })
}

/// Removes a file or link of the other side from a path that this side leaves free.
fn vacate(part: &ComponentSwap, side: Side, step: &Step) -> Result<()> {
    if !is_file_or_link(side.other(step)) {
        return Ok(());
    }
    let is_other = match part.was_checked(side) {
        true => matches!(part.tree.find(step.place.as_str())?, Found::File { .. } | Found::Link { .. }),
        false => side.examine(part, step)? == Owner::Other,
    };
    if !is_other {
        return Ok(());
    }
    if side == Side::Old {
        keep_staged(part, step);
    }
    let (dir, name) = part.tree.parent(step.place.as_str())?;
    dir.remove_file(name)
}

/// Removes a folder of the other side, unless it holds something of the user's.
fn remove_folder(tree: &Tree, path: &str) -> Result<()> {
    // Where a file becomes a folder, the file may still be there; a link or a file of the user's
    // may be, too.
    if !matches!(tree.find(path)?, Found::Folder { .. }) {
        return Ok(());
    }
    tree.forget();
    let (dir, name) = tree.parent(path)?;
    dir.remove_folder(name).map(drop)
}

/// Makes a folder of this side, with the folders above it.
fn make_folder(part: &ComponentSwap, side: Side, path: &str, mode: u32, saved: &mut Vec<SavedFile>) -> Result<()> {
    clear_way(part, side, path, true, saved)?;
    if let Found::Folder { mode: found } = part.tree.find(path)?
        && found & 0o777 != mode & 0o777
    {
        // The user's mask has taken bits away when it was made; the bits that it has from the
        // folder above stay. A mode is not content: where it cannot be set, the version is complete
        // all the same.
        let _ = part.tree.folder(path)?.map_or(Ok(()), |folder| folder.set_mode(found & 0o7000 | mode));
    }
    Ok(())
}

/// Makes sure that `path` is a folder: what stands in the way moves beside, and missing folders are
/// made.
fn clear_way(part: &ComponentSwap, side: Side, path: &str, is_planned: bool, saved: &mut Vec<SavedFile>) -> Result<()> {
    if path.is_empty() {
        return Ok(());
    }
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for folder in ends.map(|end| &path[..end]) {
        match part.tree.find(folder)? {
            Found::Folder { .. } => continue,
            Found::Absent => save_other_letters(part, side, folder, saved)?,
            _ => save(part, folder, saved)?,
        }
        let (dir, name) = part.tree.parent(folder)?;
        make_or_move_folder(part, &dir, name)?;
        // The folders of planned ones are synced with all others that change.
        if !is_planned || folder != path {
            dir.sync()?;
        }
    }
    Ok(())
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Moves something of the user's beside its path.
fn save(part: &ComponentSwap, path: &str, saved: &mut Vec<SavedFile>) -> Result<()> {
    part.tree.forget();
    let (dir, name) = part.tree.parent(path)?;
    let new_name = move_beside(&dir, name, &dir, name)?;
    saved.push(SavedFile::new(part, path, &new_name));
    Ok(())
}

/// Moves an entry beside that is the same name in other letters, in a folder that ignores case.
///
/// On the way to the new side it stops the swap instead, as the old side is whole.
fn save_other_letters(part: &ComponentSwap, side: Side, path: &str, saved: &mut Vec<SavedFile>) -> Result<()> {
    if side == Side::New {
        return Ok(());
    }
    let (dir, name) = part.tree.parent(path)?;
    match dir.check_name(name) {
        Err(Error::Machine(Machine::NameTaken { by, .. })) => {
            let folder = path.strip_suffix(name).unwrap_or_default();
            save(part, &(folder.to_owned() + &by), saved)
        }
        checked => checked,
    }
}

/// Puts this side's file or link at its path.
fn fill(part: &ComponentSwap, side: Side, index: usize, step: &Step, saved: &mut Vec<SavedFile>) -> Result<()> {
    let path = step.place.as_str();
    let owner = if part.was_checked(side) { Owner::Other } else { side.examine(part, step)? };
    if owner == Owner::Wanted {
        return Ok(());
    }
    clear_way(part, side, folder_of(path), false, saved)?;
    let (dir, name) = part.tree.parent(path)?;
    let is_in_the_way = match dir.find(name)? {
        Found::Absent => {
            save_other_letters(part, side, path, saved)?;
            false
        }
        Found::Folder { .. } => {
            part.tree.forget();
            !dir.remove_folder(name)?
        }
        Found::Special => true,
        // The manifest's name belongs to the updater: any other entry there is replaced.
        _ => owner == Owner::User && step.place != SwapPath::Manifest,
    };
    if is_in_the_way {
        save(part, path, saved)?;
    } else if side == Side::Old && owner == Owner::Other {
        keep_staged(part, step);
    }
    match (side.wanted(step), side) {
        (PathContent::Link { target }, _) => {
            part.backups.remove_file(READY)?;
            part.backups.make_link(READY, target)?;
            part.backups.rename(READY, &dir, name)
        }
        (_, Side::New) => match part.staged_file(step)? {
            Some((stage, staged)) => stage.rename(staged, &dir, name),
            None => Err(Machine::StageDamaged { path: dir.join(name), detail: "it is not staged".to_owned() }.into()),
        },
        (PathContent::File { mode, .. }, Side::Old) => put_backup(part, &index.to_string(), *mode, &dir, name),
        (PathContent::Absent | PathContent::Folder, Side::Old) => Ok(()),
    }
}

/// Renames a backup over its target. The backup keeps its own name where that takes no space.
fn put_backup(part: &ComponentSwap, backup: &str, mode: u32, dir: &Dir, name: &str) -> Result<()> {
    part.backups.remove_file(READY)?;
    match part.backups.link_or_copy(backup, &part.backups, READY, mode) {
        Ok(()) => part.backups.rename(READY, dir, name),
        // No space for another name or copy. Once its target is old again, the backup has done its
        // work.
        Err(_) => {
            let _ = part.backups.remove_file(READY);
            part.backups.rename(backup, dir, name)
        }
    }
}

/// Gives a new file that is about to go its staged name again.
///
/// The next attempt then need not download it, and a swap whose way back is barred can still go
/// forward. Failures do not matter to the version that comes back.
fn keep_staged(part: &ComponentSwap, step: &Step) {
    let Some(staged) = &step.staged else { return };
    let keep = || -> Result<()> {
        let (dir, name) = part.tree.parent(step.place.as_str())?;
        match part.stages.first() {
            Some(stage) => dir.hard_link(name, stage, staged).map(drop),
            None => {
                let stage = part.backups.folder_or_new(RETIRED, 0o700)?.folder_or_new(STAGED_FILES_DIR_NAME, 0o700)?;
                dir.hard_link(name, &stage, staged).map(drop)
            }
        }
    };
    let _ = keep();
}

/// Makes the entries of every folder durable in which a step made, replaced or removed one.
fn sync_folders(part: &ComponentSwap, folders: &[String]) -> Result<()> {
    let dir = part.tree.root().path();
    fs::in_parallel(folders, |paths| {
        let Some(tree) = Tree::open(dir)? else { return Ok(()) };
        paths.iter().try_for_each(|path| match tree.find_folder(path)? {
            Some(folder) => folder.sync(),
            // It was removed, or another entry is there now.
            None => Ok(()),
        })
    })
}

/// Makes sure of what the swap promises: every file and link of this side is there, and none of the
/// other side that this side does not have. Whatever else the user has put there is no concern of
/// the swap.
fn verify(part: &ComponentSwap, side: Side) -> Result<()> {
    // All at once, with several threads. A socket or an unreadable file stops that; then path by
    // path.
    let found: Option<Inventory> = part.inventory().ok();
    for step in &part.steps.steps {
        let owner = match &found {
            Some(found) => side.owner(step, Some(found.content(step.place.as_str()))),
            None => side.examine(part, step)?,
        };
        let keeps = match side.wanted(step) {
            // If only the mode differs between the sides, both have these bytes. The old file may
            // have got another mode after the plan was made.
            PathContent::File { .. } | PathContent::Link { .. } => {
                owner == Owner::Wanted || owner == Owner::Other && step.old.same_bytes(&step.new)
            }
            PathContent::Folder => matches!(part.tree.find(step.place.as_str())?, Found::Folder { .. }),
            PathContent::Absent => owner != Owner::Other,
        };
        if !keeps {
            let detail = format!("it is not {}", side.wanted(step));
            return Err(Machine::ChangedInSwap { path: part.tree.root().join(step.place.as_str()), detail }.into());
        }
    }
    Ok(())
}

/// Moves backups that were written to since they were made beside their targets: their bytes are
/// the user's.
///
/// # Errors
/// [`Machine::Io`].
pub fn save_written_backups(part: &ComponentSwap, saved: &mut Vec<SavedFile>) -> Result<()> {
    for (index, step) in part.steps.steps.iter().enumerate() {
        let (PathContent::File { sha256, .. }, SwapPath::Listed(path)) = (&step.old, &step.place) else { continue };
        let backup = index.to_string();
        match part.backups.find(&backup)? {
            Found::Absent => continue,
            Found::File { .. } => {
                let Some(mut file) = part.backups.open_file(&backup)? else { continue };
                let written = fs::hash(&mut file, &part.backups.join(&backup))?.0;
                // After an undo the backup may be a second name of the file at its path.
                let is_at_its_path =
                    || content_at(&part.tree, path.as_str()).is_ok_and(|content| content.sha256() == Some(written));
                if written == *sha256 || is_at_its_path() {
                    continue;
                }
            }
            // Another program has put it there between the check of the file and its backup.
            _ => {}
        }
        clear_way(part, Side::Old, folder_of(path.as_str()), false, saved)?;
        let (dir, name) = part.tree.parent(path.as_str())?;
        let saved_as = move_beside(&part.backups, &backup, &dir, name)?;
        dir.sync()?;
        saved.push(SavedFile::new(part, path.as_str(), &saved_as));
    }
    Ok(())
}
