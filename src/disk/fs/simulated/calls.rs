//! The calls of `rustix::fs` that [`Dir`](crate::disk::fs::Dir) makes, on a disk in memory.
//!
//! A descriptor or a path of the real file system is passed on to `rustix`.

use super::disk::ROOT;
use super::{MountState, Node, NodeKind, lock, mounted_at, named_by};
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, Statx, StatxAttributes, StatxFlags};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

pub fn open(path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let Some((state, inner)) = mounted_at(path) else { return rustix::fs::open(path, flags, mode) };
    let mut state = lock(&state);
    state.step(false)?;
    let mut node = ROOT;
    for name in inner.split('/').filter(|name| !name.is_empty()) {
        node = state.disk.entry(node, name).ok_or(Errno::NOENT)?;
        if state.disk.nodes[&node].entries().is_none() {
            return Err(Errno::NOTDIR);
        }
    }
    state.descriptor(node)
}

pub fn openat(folder: &impl AsFd, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let Some((state, folder)) = named_by(folder) else { return rustix::fs::openat(folder, name, flags, mode) };
    let mut state = lock(&state);
    let creates = flags.contains(OFlags::CREATE);
    state.step(creates)?;
    let found = state.disk.entry(folder, name);
    let is_new = found.is_none();
    let node = match found {
        Some(_) if flags.contains(OFlags::EXCL) => return Err(Errno::EXIST),
        Some(node) => node,
        None if creates => {
            state.may_allocate()?;
            state.may_change(folder)?;
            let file = state.disk.add(Node::file(Vec::new(), mode.bits()));
            state.disk.link(folder, name, Some(file));
            file
        }
        None => return Err(Errno::NOENT),
    };
    let bytes = match (&state.disk.nodes[&node].kind, flags.contains(OFlags::DIRECTORY)) {
        (NodeKind::Link(_), false) => return Err(Errno::LOOP),
        (NodeKind::File(_) | NodeKind::Link(_), true) => return Err(Errno::NOTDIR),
        (NodeKind::Folder(_), _) if creates => return Err(Errno::ISDIR),
        (NodeKind::Folder(_), _) => None,
        (NodeKind::File(bytes), false) => Some(bytes.clone()),
    };
    let writes = flags.intersects(OFlags::RDWR | OFlags::WRONLY);
    if writes && !is_new {
        state.may_change(node)?;
    }
    let fd = state.descriptor(node)?;
    let Some(bytes) = bytes else { return Ok(fd) };
    let mut file = File::from(fd);
    let filled = if flags.contains(OFlags::APPEND) { file.write_all(&bytes) } else { file.write_all_at(&bytes, 0) };
    filled.map_err(|_| Errno::IO)?;
    if writes {
        let copy = file.try_clone().map_err(|_| Errno::MFILE)?;
        state.writers.push((node, copy));
    }
    Ok(file.into())
}

pub fn mkdir(path: &Path, mode: Mode) -> Result<()> {
    let Some((state, inner)) = mounted_at(path) else { return rustix::fs::mkdir(path, mode) };
    let mut state = lock(&state);
    state.step(true)?;
    let (above, name) = inner.rsplit_once('/').unwrap_or(("", &inner));
    let folder = state.disk.find(above).ok_or(Errno::NOENT)?;
    make(&mut state, folder, name, Node::folder(mode.bits() & !0o022))
}

pub fn mkdirat(folder: &impl AsFd, name: &str, mode: Mode) -> Result<()> {
    let Some((state, folder)) = named_by(folder) else { return rustix::fs::mkdirat(folder, name, mode) };
    let mut state = lock(&state);
    state.step(true)?;
    make(&mut state, folder, name, Node::folder(mode.bits() & !0o022))
}

pub fn symlinkat(target: &str, folder: &impl AsFd, name: &str) -> Result<()> {
    let Some((state, folder)) = named_by(folder) else { return rustix::fs::symlinkat(target, folder, name) };
    let mut state = lock(&state);
    state.step(true)?;
    make(&mut state, folder, name, Node::link(target))
}

fn make(state: &mut MountState, folder: u64, name: &str, node: Node) -> Result<()> {
    if state.disk.entry(folder, name).is_some() {
        return Err(Errno::EXIST);
    }
    state.may_allocate()?;
    state.may_change(folder)?;
    let node = state.disk.add(node);
    state.disk.link(folder, name, Some(node));
    Ok(())
}

pub fn unlinkat(folder: &impl AsFd, name: &str, flags: AtFlags) -> Result<()> {
    let Some((state, folder)) = named_by(folder) else { return rustix::fs::unlinkat(folder, name, flags) };
    let mut state = lock(&state);
    state.step(true)?;
    let node = state.disk.entry(folder, name).ok_or(Errno::NOENT)?;
    match (state.disk.nodes[&node].entries(), flags.contains(AtFlags::REMOVEDIR)) {
        (Some(_), false) => return Err(Errno::ISDIR),
        (None, true) => return Err(Errno::NOTDIR),
        (Some(entries), true) if !entries.is_empty() => return Err(Errno::NOTEMPTY),
        _ => {}
    }
    state.may_change(node)?;
    state.may_change(folder)?;
    state.disk.link(folder, name, None);
    Ok(())
}

pub fn renameat(from: &impl AsFd, name: &str, to: &impl AsFd, to_name: &str) -> Result<()> {
    let (Some((state, source)), Some((_, target))) = (named_by(from), named_by(to)) else {
        return rustix::fs::renameat(from, name, to, to_name);
    };
    let mut state = lock(&state);
    state.step(true)?;
    let node = state.disk.entry(source, name).ok_or(Errno::NOENT)?;
    if let Some(old) = state.disk.entry(target, to_name) {
        match (state.disk.nodes[&node].entries(), state.disk.nodes[&old].entries()) {
            (None, Some(_)) => return Err(Errno::ISDIR),
            (Some(_), None) => return Err(Errno::NOTDIR),
            (Some(_), Some(entries)) if !entries.is_empty() => return Err(Errno::NOTEMPTY),
            _ => {}
        }
        // A rename over another name of the same file does nothing (POSIX.1-2008, `rename`).
        if old == node {
            return Ok(());
        }
        state.may_change(old)?;
    }
    [node, source, target].into_iter().try_for_each(|id| state.may_change(id))?;
    let (gone, new) = ((name.to_owned(), None), (to_name.to_owned(), Some(node)));
    if source == target {
        state.disk.change_entries(source, vec![gone, new]);
    } else {
        state.disk.change_entries(target, vec![new]);
        state.disk.change_entries(source, vec![gone]);
    }
    Ok(())
}

pub fn renameat_with(from: &impl AsFd, name: &str, to: &impl AsFd, to_name: &str, flags: RenameFlags) -> Result<()> {
    let Some((state, target)) = named_by(to) else {
        return rustix::fs::renameat_with(from, name, to, to_name, flags);
    };
    if flags.contains(RenameFlags::NOREPLACE) && lock(&state).disk.entry(target, to_name).is_some() {
        return Err(Errno::EXIST);
    }
    renameat(from, name, to, to_name)
}

pub fn linkat(from: &impl AsFd, name: &str, to: &impl AsFd, to_name: &str, flags: AtFlags) -> Result<()> {
    let (Some((state, source)), Some((_, target))) = (named_by(from), named_by(to)) else {
        return rustix::fs::linkat(from, name, to, to_name, flags);
    };
    let mut state = lock(&state);
    state.step(true)?;
    let node = state.disk.entry(source, name).ok_or(Errno::NOENT)?;
    if state.disk.nodes[&node].entries().is_some() {
        return Err(Errno::PERM);
    }
    if state.disk.entry(target, to_name).is_some() {
        return Err(Errno::EXIST);
    }
    state.may_allocate()?;
    [node, target].into_iter().try_for_each(|id| state.may_change(id))?;
    state.disk.link(target, to_name, Some(node));
    Ok(())
}

pub fn fstat(fd: &impl AsFd) -> Result<Stat> {
    let real = rustix::fs::fstat(fd)?;
    let Some((state, node)) = named_by(fd) else { return Ok(real) };
    let mut state = lock(&state);
    state.step(false)?;
    Ok(describe(&state, node, real))
}

pub fn statat(folder: &impl AsFd, name: &str, flags: AtFlags) -> Result<Stat> {
    let Some((state, id)) = named_by(folder) else { return rustix::fs::statat(folder, name, flags) };
    let real = rustix::fs::fstat(folder)?;
    let mut state = lock(&state);
    state.step(false)?;
    let node = state.disk.entry(id, name).ok_or(Errno::NOENT)?;
    Ok(describe(&state, node, real))
}

/// Reports the attributes, and the same mount everywhere.
pub fn statx(folder: &impl AsFd, name: &str, flags: AtFlags, mask: StatxFlags) -> Result<Statx> {
    let Some((state, id)) = named_by(folder) else { return rustix::fs::statx(folder, name, flags, mask) };
    let mut found = rustix::fs::statx(folder, "", AtFlags::EMPTY_PATH, mask)?;
    let mut state = lock(&state);
    state.step(false)?;
    let node = if name.is_empty() { id } else { state.disk.entry(id, name).ok_or(Errno::NOENT)? };
    let is_fixed = state.may_change(node).is_err();
    found.stx_attributes = if is_fixed { StatxAttributes::IMMUTABLE } else { StatxAttributes::empty() };
    Ok(found)
}

fn describe(state: &MountState, id: u64, mut stat: Stat) -> Stat {
    let node = &state.disk.nodes[&id];
    let (kind, size) = match &node.kind {
        NodeKind::File(bytes) => (FileType::RegularFile, bytes.len()),
        NodeKind::Folder(entries) => (FileType::Directory, entries.len()),
        NodeKind::Link(target) => (FileType::Symlink, target.len()),
    };
    stat.st_size = i64::try_from(size).unwrap_or(i64::MAX);
    stat.st_mode = kind.as_raw_mode() | node.mode;
    (stat.st_dev, stat.st_ino) = (u64::MAX, id);
    (stat.st_ctime, stat.st_ctime_nsec) = (node.changed, 0);
    stat
}

pub fn readlinkat(folder: &impl AsFd, name: &str, buffer: Vec<u8>) -> Result<CString> {
    let Some((state, id)) = named_by(folder) else { return rustix::fs::readlinkat(folder, name, buffer) };
    let mut state = lock(&state);
    state.step(false)?;
    let node = state.disk.entry(id, name).ok_or(Errno::NOENT)?;
    match &state.disk.nodes[&node].kind {
        NodeKind::Link(target) => CString::new(target.as_str()).map_err(|_| Errno::INVAL),
        _ => Err(Errno::INVAL),
    }
}

pub fn fchmod(fd: impl AsFd, mode: Mode) -> Result<()> {
    let Some((state, node)) = named_by(&fd) else { return rustix::fs::fchmod(fd, mode) };
    let mut state = lock(&state);
    state.step(true)?;
    state.may_change(node)?;
    state.disk.set_mode(node, mode.bits());
    Ok(())
}

pub fn fsync(fd: impl AsFd) -> Result<()> {
    let Some((state, node)) = named_by(&fd) else { return rustix::fs::fsync(fd) };
    let mut state = lock(&state);
    // A full or read-only disk can be synced.
    state.step(false)?;
    if state.fault == Some(super::Fault::NoSync) {
        return Err(Errno::IO);
    }
    state.disk.sync(node);
    // Files are not written to after they were synced.
    state.writers.retain(|(open, _)| *open != node);
    Ok(())
}

pub fn accessat(folder: &impl AsFd, path: &str, access: Access, flags: AtFlags) -> Result<()> {
    let Some((state, _)) = named_by(folder) else { return rustix::fs::accessat(folder, path, access, flags) };
    let mut state = lock(&state);
    state.step(false)?;
    if state.fault == Some(super::Fault::ReadOnly) { Err(Errno::ROFS) } else { Ok(()) }
}

/// The entries of a folder.
pub struct Dir(Vec<CString>);

/// One entry of a folder.
pub struct DirEntry(CString);

impl Dir {
    pub fn read_from(folder: &impl AsFd) -> Result<Self> {
        if let Some((state, id)) = named_by(folder) {
            let mut state = lock(&state);
            state.step(false)?;
            let names = state.disk.nodes[&id].entries().into_iter().flatten();
            return Ok(Self(names.filter_map(|(name, _)| CString::new(name.as_str()).ok()).collect()));
        }
        let entries = rustix::fs::Dir::read_from(folder)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_owned())).collect::<Result<_>>()?;
        Ok(Self(names))
    }
}

impl IntoIterator for Dir {
    type Item = Result<DirEntry>;
    type IntoIter = std::iter::Map<std::vec::IntoIter<CString>, fn(CString) -> Result<DirEntry>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|name| Ok(DirEntry(name)))
    }
}

impl DirEntry {
    pub fn file_name(&self) -> &CStr {
        &self.0
    }
}
