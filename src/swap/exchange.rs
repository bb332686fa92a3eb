//! The exchange: changes the live files until every component is on one side of the swap, the new
//! version or the old one.
//!
//! The same code serves both directions. It looks at the content of each path and never counts
//! steps. So it may be interrupted anywhere and run again, in the same direction or in the other
//! one.

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

/// Brings all components to one side, syncs every changed folder, and hashes every target.
///
/// On the way to the new side it stops at the first error, because the old side can still be
/// restored. On the way back it continues after errors, to restore as much as possible, and returns
/// the first one.
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
        // Removals come first: on a system that ignores case, a path of one side may be a path of
        // the other side in other letters.
        for step in part.steps.steps.iter().filter(|step| !is_file_or_link(side.wanted(step))) {
            follow(vacate(part, side, step))?;
        }
        for path in folders_in_the_way(part, side) {
            follow(remove_folder(&part.tree, path))?;
        }
        part.tree.forget();
        for (path, mode) in part.coming_folders(side) {
            follow(Exchange { part, side, saved }.make_folder(path, mode))?;
        }
    }
    for is_manifest in [false, true] {
        for part in parts {
            for (index, step) in part.steps.steps.iter().enumerate() {
                if is_file_or_link(side.wanted(step)) && (step.path == SwapPath::Manifest) == is_manifest {
                    follow(Exchange { part, side, saved }.fill(index, step))?;
                }
            }
        }
    }
    for part in parts {
        // Folders go last: on a full disk, an undo could not make them again.
        for path in part.leaving_folders(side) {
            follow(remove_folder(&part.tree, path))?;
        }
        part.tree.forget();
        follow(sync_folders(part, &part.changed_folders()))?;
        follow(verify(part, side))?;
    }
    first.map_or(Ok(()), Err)
}

/// Makes spare folders among the backups, one for each folder that the exchange may have to make.
///
/// Those are the folders that this side adds, and those that are removed early and that an undo
/// makes again. So a full disk shows before the first change, and a disk that fills later stops
/// neither direction.
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

/// Makes a folder; on a full disk, moves a spare folder there instead.
fn make_or_move_folder(part: &ComponentSwap, dir: &Dir, name: &str) -> Result<()> {
    dir.make_folder(name, FOLDER).or_else(|error| {
        let spares = part.backups.names().unwrap_or_default();
        let spare = spares.iter().find(|entry| entry.starts_with(SPARE));
        spare.map_or(Err(()), |spare| part.backups.rename(spare, dir, name).map_err(drop)).map_err(|()| error)
    })
}

/// Returns the folders of the other side at whose paths this side has an entry, innermost first.
///
/// Paths that differ only in case count as one path, as they are on some systems.
fn folders_in_the_way(part: &ComponentSwap, side: Side) -> Vec<&str> {
    let steps = part.steps.steps.iter().filter(|step| is_file_or_link(side.wanted(step)));
    let coming = part.coming_folders(side).into_iter().map(|(path, _)| path);
    let taken: BTreeSet<String> = steps.map(|step| step.path.as_str()).chain(coming).map(str::to_lowercase).collect();
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
        true => matches!(part.tree.find(step.path.as_str())?, Found::File { .. } | Found::Link { .. }),
        false => side.examine(part, step)? == Owner::Other,
    };
    if !is_other {
        return Ok(());
    }
    if side == Side::Old {
        keep_staged(part, step);
    }
    let (dir, name) = part.tree.parent(step.path.as_str())?;
    dir.remove_file(name)
}

/// Removes a folder of the other side, unless it holds an entry of the user.
fn remove_folder(tree: &Tree, path: &str) -> Result<()> {
    // The path may hold something else: the file that becomes this folder, or an entry of the user.
    if !matches!(tree.find(path)?, Found::Folder { .. }) {
        return Ok(());
    }
    tree.forget();
    let (dir, name) = tree.parent(path)?;
    dir.remove_folder(name).map(drop)
}

/// The changes of one component on the way to one side.
struct Exchange<'a> {
    part: &'a ComponentSwap,
    side: Side,
    /// The files of the user that were moved beside their paths.
    saved: &'a mut Vec<SavedFile>,
}

impl Exchange<'_> {
    /// Makes a folder of this side, with the folders above it.
    fn make_folder(&mut self, path: &str, mode: u32) -> Result<()> {
        self.clear_way(path, true)?;
        if let Found::Folder { mode: found } = self.part.tree.find(path)?
            && found & 0o777 != mode & 0o777
        {
            // The user's mask took bits away when the folder was made. The bits from the folder
            // above, such as set-group-id, stay. A mode is not content: a failure here is ignored.
            let _ = self.part.tree.folder(path)?.map_or(Ok(()), |folder| folder.set_mode(found & 0o7000 | mode));
        }
        Ok(())
    }

    /// Makes `path` a folder, with all folders above it; moves the user's entries beside their
    /// paths.
    ///
    /// `is_planned` is `true` if the folder is one of the swap's.
    fn clear_way(&mut self, path: &str, is_planned: bool) -> Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for folder in ends.map(|end| &path[..end]) {
            match self.part.tree.find(folder)? {
                Found::Folder { .. } => continue,
                Found::Absent => self.save_other_letters(folder)?,
                _ => self.save(folder)?,
            }
            let (dir, name) = self.part.tree.parent(folder)?;
            make_or_move_folder(self.part, &dir, name)?;
            // The folder above a planned one is synced later, with all others that change.
            if !is_planned || folder != path {
                dir.sync()?;
            }
        }
        Ok(())
    }

    /// Moves an entry of the user beside its path.
    fn save(&mut self, path: &str) -> Result<()> {
        self.part.tree.forget();
        let (dir, name) = self.part.tree.parent(path)?;
        let new_name = move_beside(&dir, name, &dir, name)?;
        self.saved.push(SavedFile::new(self.part, path, &new_name));
        Ok(())
    }

    /// Moves the entry beside its path whose name is that of `path` in other letters.
    ///
    /// There is one only in a folder that ignores case. On the way to the new side it stays. The
    /// next change then fails with [`Machine::NameTaken`], and the swap is undone.
    fn save_other_letters(&mut self, path: &str) -> Result<()> {
        if self.side == Side::New {
            return Ok(());
        }
        let (dir, name) = self.part.tree.parent(path)?;
        match dir.check_name(name) {
            Err(Error::Machine(Machine::NameTaken { by, .. })) => {
                let folder = path.strip_suffix(name).unwrap_or_default();
                self.save(&(folder.to_owned() + &by))
            }
            checked => checked,
        }
    }

    /// Puts this side's file or link at its path.
    fn fill(&mut self, index: usize, step: &Step) -> Result<()> {
        let (part, side) = (self.part, self.side);
        let path = step.path.as_str();
        let owner = if part.was_checked(side) { Owner::Other } else { side.examine(part, step)? };
        if owner == Owner::Wanted {
            return Ok(());
        }
        self.clear_way(folder_of(path), false)?;
        let (dir, name) = part.tree.parent(path)?;
        let is_in_the_way = match dir.find(name)? {
            Found::Absent => {
                self.save_other_letters(path)?;
                false
            }
            Found::Folder { .. } => {
                part.tree.forget();
                !dir.remove_folder(name)?
            }
            Found::Special => true,
            // The manifest's name belongs to the updater: any other entry there is replaced.
            _ => owner == Owner::User && step.path != SwapPath::Manifest,
        };
        if is_in_the_way {
            self.save(path)?;
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
                None => {
                    Err(Machine::StageDamaged { path: dir.join(name), detail: "it is not staged".to_owned() }.into())
                }
            },
            (PathContent::File { mode, .. }, Side::Old) => put_backup(part, &index.to_string(), *mode, &dir, name),
            (PathContent::Absent | PathContent::Folder, Side::Old) => Ok(()),
        }
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Renames a backup over its target. The backup keeps its own name where that takes no space.
fn put_backup(part: &ComponentSwap, backup: &str, mode: u32, dir: &Dir, name: &str) -> Result<()> {
    part.backups.remove_file(READY)?;
    match part.backups.link_or_copy(backup, &part.backups, READY, mode) {
        Ok(()) => part.backups.rename(READY, dir, name),
        // There is no space for another name or copy. The backup itself takes its target's path:
        // it is not needed once the target is old again.
        Err(_) => {
            let _ = part.backups.remove_file(READY);
            part.backups.rename(backup, dir, name)
        }
    }
}

/// Gives a new file its staged name again, before an undo removes it.
///
/// The next attempt then need not download it. And if the undo fails, the swap can still be
/// completed. A failure here does not affect the old version.
fn keep_staged(part: &ComponentSwap, step: &Step) {
    let Some(staged) = &step.staged else { return };
    let keep = || -> Result<()> {
        let (dir, name) = part.tree.parent(step.path.as_str())?;
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

/// Syncs the folders in which a step made, replaced or removed an entry.
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

/// Verifies the result: all entries of this side are present, and no others of the other side.
///
/// Entries of the user are not checked.
fn verify(part: &ComponentSwap, side: Side) -> Result<()> {
    // Several threads hash all paths. If a socket or an unreadable file stops them, each path is
    // examined by itself.
    let found: Option<Inventory> = part.inventory().ok();
    for step in &part.steps.steps {
        let owner = match &found {
            Some(found) => side.owner(step, Some(found.content(step.path.as_str()))),
            None => side.examine(part, step)?,
        };
        let keeps = match side.wanted(step) {
            // If the sides differ only in the mode, the bytes decide: the mode of the old file may
            // have changed since the plan was made.
            PathContent::File { .. } | PathContent::Link { .. } => {
                owner == Owner::Wanted || owner == Owner::Other && step.old.same_bytes(&step.new)
            }
            PathContent::Folder => matches!(part.tree.find(step.path.as_str())?, Found::Folder { .. }),
            PathContent::Absent => owner != Owner::Other,
        };
        if !keeps {
            let detail = format!("it is not {}", side.wanted(step));
            return Err(Machine::ChangedInSwap { path: part.tree.root().join(step.path.as_str()), detail }.into());
        }
    }
    Ok(())
}

/// Moves backups that a program has written to beside their targets, as files of the user.
///
/// # Errors
/// [`Machine::Io`].
pub fn save_written_backups(part: &ComponentSwap, saved: &mut Vec<SavedFile>) -> Result<()> {
    for (index, step) in part.steps.steps.iter().enumerate() {
        let (PathContent::File { sha256, .. }, SwapPath::Listed(path)) = (&step.old, &step.path) else { continue };
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
            // Another program replaced the file between its check and its backup.
            _ => {}
        }
        Exchange { part, side: Side::Old, saved }.clear_way(folder_of(path.as_str()), false)?;
        let (dir, name) = part.tree.parent(path.as_str())?;
        let saved_as = move_beside(&part.backups, &backup, &dir, name)?;
        dir.sync()?;
        saved.push(SavedFile::new(part, path.as_str(), &saved_as));
    }
    Ok(())
}
