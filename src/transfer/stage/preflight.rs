//! Preflight checks: permissions, disk space and conflicting names, before the first byte is
//! fetched.

use super::{Stage, nearest_folder};
use crate::disk::fs::{Dir, Found, LINKS, Tree, set_mode};
use crate::disk::inventory::PathContent;
use crate::error::{Error, Machine, Result};
use crate::transfer::plan::{PathChange, Plan, PlannedObject};
use crate::values::rel_path::RelPath;
use std::collections::BTreeSet;
use std::path::Path;

/// Space for manifests, the plan and folders.
const SLACK_BYTES: u64 = 1 << 20;
/// The block size of the file system. Each file takes up to one block more than its size.
const BLOCK_BYTES: u64 = 4096;

/// Checks that the user can change every folder of the plan, and that the names are free.
///
/// # Errors
/// - [`Machine::NotWritable`] for the first folder that the user cannot change;
/// - [`Machine::FolderInTheWay`] for a folder with the user's files where the release has a file;
/// - [`Machine::MountInside`] for a file or folder on another mount than the component;
/// - [`Machine::NameTaken`] for a name that exists with other letter case, where that is the same;
/// - [`Machine::Unsupported`] for a symbolic link on Windows.
pub fn check_rights(dir: &Path, plan: &Plan) -> Result<()> {
    if cfg!(windows) && plan.changes.iter().any(|change| matches!(change.new, PathContent::Link { .. })) {
        return Err(Machine::Unsupported { what: LINKS }.into());
    }
    if !nearest_folder(dir)?.is_writable() {
        return Err(Machine::NotWritable { path: dir.to_owned() }.into());
    }
    let Some(tree) = Tree::open(dir)? else { return Ok(()) };
    check_mounts(&tree, plan.changes.iter().map(|change| change.path.as_str()))?;
    let folders: BTreeSet<&str> = plan.changes.iter().filter_map(|change| change.path.parent()).collect();
    for path in folders {
        // An absent folder is created in a parent that is checked too, or replaces a file.
        if let Ok(Some(folder)) = tree.folder(path)
            && !folder.is_writable()
        {
            return Err(Machine::NotWritable { path: dir.join(path) }.into());
        }
    }
    let leaving: BTreeSet<&str> = plan
        .changes
        .iter()
        .filter(|change| change.new == PathContent::Absent)
        .map(|change| change.path.as_str())
        .collect();
    for change in plan.changes.iter().filter(|change| change.old == PathContent::Folder) {
        if !is_vacated(&tree, change.path.as_str(), &leaving)? {
            return Err(Machine::FolderInTheWay { path: dir.join(change.path.as_str()) }.into());
        }
    }
    let added = plan.changes.iter().filter(|change| change.old == PathContent::Absent);
    added.map(|change| &change.path).try_for_each(|path| check_name_is_free(&tree, path, &leaving))
}

/// Checks that all these paths are on the component's mount: files are renamed into place, which no
/// system does from one mount to another.
///
/// # Errors
/// [`Machine::MountInside`], [`Machine::Io`].
pub fn check_mounts<'a>(tree: &Tree, paths: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mount = tree.root().mount()?;
    for path in paths {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        // A missing folder is created in the nearest one that exists.
        let mut path = parent;
        let folder = loop {
            match tree.find_folder(path)? {
                Some(folder) => break folder,
                None => path = path.rsplit_once('/').map_or("", |(above, _)| above),
            }
        };
        if folder.mount()? != mount {
            return Err(Machine::MountInside { path: folder.path().to_owned() }.into());
        }
        if path == parent && folder.mount_of(name)?.is_some_and(|of| of != mount) {
            return Err(Machine::MountInside { path: folder.join(name) }.into());
        }
    }
    Ok(())
}

/// Checks that the stage's file system keeps the permission bits of the release's files.
///
/// # Errors
/// [`Machine::Unsupported`] where it does not, as exFAT and NTFS often are mounted.
pub fn check_modes(stage: &Stage, plan: &Plan) -> Result<()> {
    let modes = plan.changes.iter().filter_map(|change| match change.new {
        PathContent::File { mode, .. } => Some(mode),
        _ => None,
    });
    modes.collect::<BTreeSet<u32>>().into_iter().try_for_each(|mode| check_mode(&stage.files, mode))
}

/// Checks that the file system of `dir` keeps the permission bits of a file.
///
/// # Errors
/// [`Machine::Unsupported`], [`Machine::Io`].
pub fn check_mode(dir: &Dir, mode: u32) -> Result<()> {
    dir.check_file_system()?;
    let probe = "mode-probe";
    dir.remove_file(probe)?;
    let file = dir.create(probe)?;
    let set = set_mode(&file, mode);
    drop(file);
    let found = dir.find(probe);
    dir.remove_file(probe)?;
    if set.is_err() || !matches!(found?, Found::File { mode: found, .. } if found == mode) {
        return Err(Machine::Unsupported { what: "a file system that keeps no permission bits" }.into());
    }
    Ok(())
}

/// Checks that no component of a new path exists with other letter case.
///
/// A name that the update removes counts as free.
fn check_name_is_free(tree: &Tree, path: &RelPath, leaving: &BTreeSet<&str>) -> Result<()> {
    for path in path.folders().chain([path.as_str()]) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(dir) = tree.find_folder(folder)? else { return Ok(()) };
        match dir.check_name(name) {
            Err(Error::Machine(Machine::NameTaken { path, by })) => {
                let taken = if folder.is_empty() { by.clone() } else { format!("{folder}/{by}") };
                if !leaving.contains(taken.as_str()) && !is_vacated(tree, &taken, leaving).unwrap_or(false) {
                    return Err(Machine::NameTaken { path, by }.into());
                }
                return Ok(());
            }
            checked => checked?,
        }
    }
    Ok(())
}

/// Returns `true` if the update removes everything in a folder.
///
/// Returns `false` for an empty folder: the user may have created it for a purpose.
fn is_vacated(tree: &Tree, path: &str, leaving: &BTreeSet<&str>) -> Result<bool> {
    let Some(folder) = tree.folder(path)? else { return Ok(true) };
    let names = folder.names()?;
    for name in &names {
        let inner = format!("{path}/{name}");
        let is_removed = match folder.find(name)? {
            Found::Folder { .. } => is_vacated(tree, &inner, leaving)?,
            _ => leaving.contains(inner.as_str()),
        };
        if !is_removed {
            return Ok(false);
        }
    }
    Ok(!names.is_empty())
}

/// Checks that the disk has space for the stage, the backups and the objects in progress.
///
/// # Errors
/// [`Machine::NoSpace`] with the needed and the available bytes.
pub fn check_space(stage: &Stage, plan: &Plan, old_size: impl Fn(&PathChange) -> u64, parallel: usize) -> Result<()> {
    let rounded = |size: u64| size.saturating_add(BLOCK_BYTES);
    let add = |sum: u64, size: u64| sum.saturating_add(size);
    let size = |change: &PathChange| {
        change.new.sha256().and_then(|hash| plan.contents.get(&hash)).map_or(0, |content| content.size)
    };
    let new = plan.changes.iter().map(size).map(rounded).fold(0, add);
    let mut objects: Vec<u64> = plan.contents.values().map(|content| content.whole.cost()).collect();
    objects.sort_unstable_by(|a, b| b.cmp(a));
    // Blocks of the install object share one file.
    let count = if plan.install.is_some() { objects.len() } else { parallel };
    let objects = objects.into_iter().take(count).map(rounded).fold(0, add);
    let objects = add(
        objects,
        plan.object
            .iter()
            .flat_map(PlannedObject::objects)
            .map(|indexed| rounded(indexed.object.size))
            .max()
            .unwrap_or(0),
    );
    let backups = if can_link(&stage.files)? { 0 } else { plan.changes.iter().map(old_size).map(rounded).fold(0, add) };
    let needed = [new, objects, backups, SLACK_BYTES].into_iter().fold(0, add).saturating_sub(stage.bytes()?);
    let available = stage.files.free_space()?;
    if needed > available {
        return Err(Machine::NoSpace { path: stage.files.path().to_owned(), needed, available }.into());
    }
    Ok(())
}

/// Returns `true` if the file system supports hard links. Backups then take no space.
fn can_link(dir: &Dir) -> Result<bool> {
    let (probe, second) = ("link-probe", "link-probe-2");
    dir.remove_file(probe)?;
    dir.remove_file(second)?;
    drop(dir.create(probe)?);
    let can = dir.hard_link(probe, dir, second);
    dir.remove_file(probe)?;
    dir.remove_file(second)?;
    can
}
