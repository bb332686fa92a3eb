//! A disk in memory, for tests: the calls of [`system`](super::system) run on it unchanged.
//!
//! A [`Disk`] is mounted at `/simulated/N`, where N is the thread's number. Its [`calls`] have the
//! names and the signatures of `rustix::fs`, so that [`Dir`](super::Dir) cannot tell it from a real
//! file system.
//!
//! - It keeps the **volatile** state, which programs see, apart from the **durable** state, which a
//!   power cut leaves. A folder's entries last when the folder is synced, a file's bytes and mode
//!   when the file is. Between syncs any subset of the changes may last ([`Disk::power_cut`]).
//! - All disks of one thread are mounted at the same path, one at a time.
//! - Every call is a **step**. An [`Event`] can happen before a chosen step: the process dies, a
//!   fault begins and stays until it is cleared, or another program writes to the disk.
//! - Clones are cheap: a test continues from one state in many ways.
//!
//! An open folder or file is a `memfd`: a real descriptor, which names its node by its inode
//! number. The bytes of a file that is open for writing are those of its `memfd`.

pub mod calls;
pub mod locks;
mod node;

pub use node::{Kind, Node};

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// The folder below which disks are mounted. No real file is ever made there.
const MOUNTS: &str = "/simulated";
/// The node of a disk's root folder.
const ROOT: NodeId = 1;

/// The number of a file, folder or link of a disk.
pub type NodeId = u64;

/// A fault of the machine. It stays as long as the disk is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing new fits on the disk (`ENOSPC`).
    NoSpace,
    /// No file and no folder can be synced (`EIO`).
    NoSync,
    /// The disk is mounted read-only (`EROFS`).
    ReadOnly,
    /// The file or folder at a path cannot be changed, renamed or removed (`EPERM`, `chattr +i`).
    Immutable(String),
    /// Every call fails (`EIO`), as after a disk was pulled out.
    Gone,
}

/// A write by another program, at a path below the disk's root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForeignWrite {
    /// Writes to the file in place: other names of the same file have the new bytes, too.
    InPlace(String, &'static str),
    /// Replaces what is there by a new file.
    Replace(String, &'static str),
    /// Removes what is there, a folder with all it holds.
    Remove(String),
    /// Gives what is there other permission bits.
    SetMode(String, u32),
    /// Replaces what is there by a folder that holds one file.
    Folder(String, &'static str),
    /// Replaces what is there by a symbolic link.
    Link(String, &'static str),
}

/// An event that happens before a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The process ends: neither this step nor a later one happens.
    Death,
    /// A fault begins.
    Fault(Fault),
    /// Another program writes.
    Write(ForeignWrite),
}

/// The contents of a disk.
#[derive(Debug, Clone)]
pub struct Disk {
    nodes: BTreeMap<NodeId, Node>,
    next: NodeId,
    /// Counts changes, for the times of change that programs see.
    clock: i64,
    /// The changes of folders that no sync has made durable, oldest first.
    pending: Vec<EntryChange>,
    /// `true` if `readme` and `README` are one name.
    ignores_case: bool,
}

/// A change of one folder's entries: a rename within a folder is one change.
#[derive(Debug, Clone)]
struct EntryChange {
    folder: NodeId,
    /// The names and what they lead to from then on; `None` where the name is gone.
    entries: Vec<(String, Option<NodeId>)>,
}

/// A disk that is mounted. The mount ends when it is dropped.
#[derive(Debug)]
pub struct Mounted {
    number: u32,
    state: Arc<Mutex<State>>,
}

/// A mounted disk with all that may happen to it.
#[derive(Debug)]
struct State {
    number: u32,
    disk: Disk,
    /// The steps so far.
    steps: usize,
    events: Vec<(usize, Event)>,
    fault: Option<Fault>,
    dead: bool,
    /// Files that are open for writing; their bytes are those of the descriptor.
    writers: Vec<(NodeId, File)>,
}

type Mounts = HashMap<u32, Arc<Mutex<State>>>;
type Handles = HashMap<(u64, u64), (u32, NodeId)>;

static NUMBER: AtomicU32 = AtomicU32::new(0);
static MOUNTED: LazyLock<Mutex<Mounts>> = LazyLock::new(Mutex::default);
/// The disk and the node of each descriptor, by the device and inode number of its `memfd`.
static HANDLES: LazyLock<Mutex<Handles>> = LazyLock::new(Mutex::default);

thread_local! {
    /// The disk that this thread's process works on, for calls that name no descriptor.
    static CURRENT: Cell<Option<u32>> = const { Cell::new(None) };
    /// The number of this thread's mount.
    static OWN: u32 = NUMBER.fetch_add(1, Ordering::Relaxed);
}

impl Mounted {
    /// Mounts a disk. From now on this thread's writes are its steps.
    ///
    /// # Panics
    /// Where this thread has mounted another disk.
    pub fn new(disk: Disk) -> Self {
        let number = OWN.with(|own| *own);
        assert_eq!(CURRENT.get(), None, "this thread has mounted another disk");
        let state = State { number, disk, steps: 0, events: Vec::new(), fault: None, dead: false, writers: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        lock(&MOUNTED).insert(number, Arc::clone(&state));
        CURRENT.set(Some(number));
        Self { number, state }
    }

    /// The path of the disk's root folder.
    pub fn path(&self) -> PathBuf {
        Path::new(MOUNTS).join(self.number.to_string())
    }

    /// Lets an event happen before step `at` from now, the next one being 0.
    pub fn schedule(&self, at: usize, event: Event) {
        let mut state = lock(&self.state);
        let at = state.steps + at;
        state.events.push((at, event));
    }

    /// The steps so far.
    pub fn steps(&self) -> usize {
        lock(&self.state).steps
    }

    /// Returns `true` if every scheduled event has happened.
    pub fn has_happened(&self) -> bool {
        lock(&self.state).events.is_empty()
    }

    /// The disk as programs see it now.
    pub fn disk(&self) -> Disk {
        let mut state = lock(&self.state);
        state.flush();
        state.disk.clone()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        lock(&MOUNTED).remove(&self.number);
        lock(&HANDLES).retain(|_, (number, _)| *number != self.number);
        CURRENT.set(None);
    }
}

/// Returns `true` if this thread works on a disk in memory: what runs in parallel elsewhere runs in
/// order then.
pub fn is_current() -> bool {
    CURRENT.get().is_some()
}

/// The bytes that are free on a mounted disk; `None` for a real path.
pub fn free_space(path: &Path) -> Option<u64> {
    let (state, _) = mounted_at(path)?;
    let is_full = lock(&state).fault == Some(Fault::NoSpace);
    Some(if is_full { 0 } else { u64::MAX })
}

/// Tells whether the mounted disk of a descriptor ignores case; `None` for a real one.
pub fn ignores_case(fd: &impl AsFd) -> Option<bool> {
    let (state, _) = named_by(fd)?;
    Some(lock(&state).disk.ignores_case)
}

/// Counts a write to an open file as a step.
///
/// # Errors
/// The fault that keeps anything from being written.
pub fn before_write() -> io::Result<()> {
    let Some(number) = CURRENT.get() else { return Ok(()) };
    let state = lock(&MOUNTED).get(&number).cloned();
    let Some(state) = state else { return Ok(()) };
    let mut state = lock(&state);
    state.step(true)?;
    Ok(state.may_allocate()?)
}

impl State {
    /// Counts a call as a step, and lets the events of this step happen. `changes` is `false` for
    /// calls that only read.
    fn step(&mut self, changes: bool) -> Result<(), Errno> {
        if self.dead {
            return Err(Errno::IO);
        }
        self.flush();
        let now = self.steps;
        self.steps += 1;
        let due: Vec<Event> = self.events.extract_if(.., |(at, _)| *at <= now).map(|(_, event)| event).collect();
        for event in due {
            match event {
                Event::Death => {
                    self.writers.clear();
                    self.dead = true;
                    return Err(Errno::IO);
                }
                Event::Fault(fault) => self.fault = Some(fault),
                Event::Write(write) => self.disk.foreign_write(&write),
            }
        }
        match (&self.fault, changes) {
            (Some(Fault::Gone), _) => Err(Errno::IO),
            (Some(Fault::ReadOnly), true) => Err(Errno::ROFS),
            _ => Ok(()),
        }
    }

    /// Fails where the disk is full. Calls that make nothing new do not ask.
    fn may_allocate(&self) -> Result<(), Errno> {
        if self.fault == Some(Fault::NoSpace) { Err(Errno::NOSPC) } else { Ok(()) }
    }

    /// Fails where a fault protects what a change would touch.
    fn may_change(&self, node: NodeId) -> Result<(), Errno> {
        match &self.fault {
            Some(Fault::Immutable(path)) if self.disk.find(path) == Some(node) => Err(Errno::PERM),
            _ => Ok(()),
        }
    }

    /// Takes over the bytes that were written to open files.
    fn flush(&mut self) {
        let State { disk, writers, .. } = self;
        for (node, file) in writers {
            let length = file.metadata().map_or(0, |found| found.len());
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            if file.read_exact_at(&mut bytes, 0).is_ok() {
                disk.set_bytes(*node, bytes);
            }
        }
    }

    /// A descriptor that names a node.
    fn descriptor(&self, node: NodeId) -> Result<OwnedFd, Errno> {
        let fd = rustix::fs::memfd_create("simulated", MemfdFlags::CLOEXEC)?;
        let stat = rustix::fs::fstat(&fd)?;
        lock(&HANDLES).insert((stat.st_dev, stat.st_ino), (self.number, node));
        Ok(fd)
    }
}

/// The mounted disk and the node that a descriptor names; `None` for a real one.
fn named_by(fd: &impl AsFd) -> Option<(Arc<Mutex<State>>, NodeId)> {
    let stat = rustix::fs::fstat(fd).ok()?;
    let (number, node) = *lock(&HANDLES).get(&(stat.st_dev, stat.st_ino))?;
    let state = lock(&MOUNTED).get(&number).cloned()?;
    Some((state, node))
}

/// The mounted disk that a path lies on, and the path below its root; `None` for a real path.
fn mounted_at(path: &Path) -> Option<(Arc<Mutex<State>>, String)> {
    let inner = path.strip_prefix(MOUNTS).ok()?;
    let (number, rest) = inner.to_str()?.split_once('/').unwrap_or((inner.to_str()?, ""));
    let state = lock(&MOUNTED).get(&number.parse().ok()?).cloned()?;
    Some((state, rest.to_owned()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::folder(0o755))]),
            next: ROOT + 1,
            clock: 1,
            pending: Vec::new(),
            ignores_case: false,
        }
    }
}

impl Disk {
    /// Returns an empty disk on which `readme` and `README` are one name, as on macOS.
    pub fn ignoring_case() -> Self {
        Self { ignores_case: true, ..Self::default() }
    }

    /// Adds a file, and the folders that it lies in, all durable.
    pub fn add_file(&mut self, path: &str, bytes: &[u8], mode: u32) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.add_folder(folder, 0o755);
        let file = self.add(Node::file(bytes.to_vec(), mode));
        self.link(folder, name, Some(file));
        self.make_durable();
    }

    /// Adds a folder, and those that it lies in, all durable. One that is there stays as it is.
    pub fn add_folder(&mut self, path: &str, mode: u32) -> NodeId {
        let mut folder = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = match self.entry(folder, name) {
                Some(inner) => inner,
                None => {
                    let inner = self.add(Node::folder(mode));
                    self.link(folder, name, Some(inner));
                    inner
                }
            };
        }
        self.make_durable();
        folder
    }

    /// Every path below the root with its node; folders before what they hold.
    pub fn paths(&self) -> BTreeMap<String, &Node> {
        let mut paths = BTreeMap::new();
        let mut folders = vec![(String::new(), ROOT)];
        while let Some((above, folder)) = folders.pop() {
            let Some(entries) = self.nodes.get(&folder).and_then(Node::entries) else { continue };
            for (name, id) in entries {
                let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
                if let Some(node) = self.nodes.get(id) {
                    folders.push((path.clone(), *id));
                    paths.insert(path, node);
                }
            }
        }
        paths
    }

    /// A number that two disks share only if programs see the same on both, and power cuts leave
    /// the same.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (path, node) in self.paths() {
            (path, &node.kind_without_entries(), node.mode, &node.durable).hash(&mut hasher);
        }
        for change in &self.pending {
            change.entries.iter().map(|(name, to)| (name, to.is_some())).collect::<Vec<_>>().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The number of changes that a power cut may lose: see [`power_cut`](Self::power_cut).
    pub fn unsynced(&self) -> usize {
        self.pending.len() + self.unsynced_files().len()
    }

    /// The disk that a power cut leaves, where `lasts` tells for each unsynced change whether it is
    /// durable.
    pub fn power_cut(mut self, lasts: impl Fn(usize) -> bool) -> Disk {
        let files = self.unsynced_files();
        for (at, id) in files.iter().enumerate() {
            let kept = lasts(self.pending.len() + at);
            if let Some(node) = self.nodes.get_mut(id) {
                node.settle(kept);
            }
        }
        let mut folders: BTreeMap<NodeId, BTreeMap<String, NodeId>> =
            self.nodes.iter().filter_map(|(id, node)| Some((*id, node.durable_entries()?.clone()))).collect();
        for (_, change) in self.pending.iter().enumerate().filter(|(at, _)| lasts(*at)) {
            let entries = folders.entry(change.folder).or_default();
            for (name, to) in &change.entries {
                match to {
                    Some(id) => drop(entries.insert(name.clone(), *id)),
                    None => drop(entries.remove(name)),
                }
            }
        }
        for (id, entries) in folders {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.set_entries(entries);
            }
        }
        self.make_durable();
        self
    }

    /// What another program does, as far as it can.
    fn foreign_write(&mut self, write: &ForeignWrite) {
        let (ForeignWrite::InPlace(path, _)
        | ForeignWrite::Replace(path, _)
        | ForeignWrite::Remove(path)
        | ForeignWrite::SetMode(path, _)
        | ForeignWrite::Folder(path, _)
        | ForeignWrite::Link(path, _)) = write;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(folder) = self.find(folder).filter(|id| self.nodes[id].entries().is_some()) else { return };
        let found = self.entry(folder, name);
        let new = match write {
            ForeignWrite::InPlace(_, text) => {
                if let Some(id) = found.filter(|id| self.nodes[id].bytes().is_some()) {
                    self.set_bytes(id, text.as_bytes().to_vec());
                }
                return;
            }
            ForeignWrite::SetMode(_, mode) => {
                if let Some(id) = found {
                    self.set_mode(id, *mode);
                }
                return;
            }
            ForeignWrite::Remove(_) => None,
            ForeignWrite::Replace(_, text) => Some(self.add(Node::file(text.as_bytes().to_vec(), 0o644))),
            ForeignWrite::Link(_, target) => Some(self.add(Node::link(target))),
            ForeignWrite::Folder(_, text) => {
                let inner = self.add(Node::file(text.as_bytes().to_vec(), 0o644));
                let new = self.add(Node::folder(0o755));
                self.link(new, "inner", Some(inner));
                Some(new)
            }
        };
        self.link(folder, name, new);
    }

    /// The node at a path, which no link leads to.
    fn find(&self, path: &str) -> Option<NodeId> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(ROOT, |folder, name| self.entry(folder, name))
    }

    fn entry(&self, folder: NodeId, name: &str) -> Option<NodeId> {
        let entries = self.nodes.get(&folder)?.entries()?;
        let same = |stored: &&String| self.ignores_case && stored.to_lowercase() == name.to_lowercase();
        entries.get(name).or_else(|| entries.get(entries.keys().find(same)?)).copied()
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.clock += 1;
        self.nodes.insert(id, Node { changed: self.clock, ..node });
        id
    }

    /// Gives an entry another node, or none.
    fn link(&mut self, folder: NodeId, name: &str, to: Option<NodeId>) {
        self.change_entries(folder, vec![(name.to_owned(), to)]);
    }

    fn change_entries(&mut self, folder: NodeId, mut entries: Vec<(String, Option<NodeId>)>) {
        if self.ignores_case {
            // The entry that the name leads to makes room, whatever letters it is written in.
            let stored = |name: &String| {
                let present = self.nodes.get(&folder)?.entries()?;
                present.keys().find(|stored| *stored != name && stored.to_lowercase() == name.to_lowercase()).cloned()
            };
            let replaced: Vec<_> = entries.iter().filter_map(|(name, _)| Some((stored(name)?, None))).collect();
            entries.splice(0..0, replaced);
        }
        for (name, to) in &entries {
            let old = self.entry(folder, name);
            let Some(node) = self.nodes.get_mut(&folder) else { return };
            node.set_entry(name, *to);
            for id in [old, *to].into_iter().flatten() {
                self.touch(id);
            }
        }
        self.pending.push(EntryChange { folder, entries });
    }

    fn touch(&mut self, id: NodeId) {
        self.clock += 1;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.changed = self.clock;
        }
    }

    fn set_bytes(&mut self, id: NodeId, bytes: Vec<u8>) {
        if self.nodes.get_mut(&id).is_some_and(|node| node.set_bytes(bytes)) {
            self.touch(id);
        }
    }

    fn set_mode(&mut self, id: NodeId, mode: u32) {
        if let Some(node) = self.nodes.get_mut(&id).filter(|node| node.mode != mode) {
            node.mode = mode;
            self.touch(id);
        }
    }

    fn sync(&mut self, id: NodeId) {
        self.pending.retain(|change| {
            if change.folder == id
                && let Some(node) = self.nodes.get_mut(&id)
            {
                node.set_durable_entries(&change.entries);
            }
            change.folder != id
        });
        if let Some(node) = self.nodes.get_mut(&id) {
            node.settle(true);
        }
    }

    /// Files whose bytes or mode are not durable.
    fn unsynced_files(&self) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, node)| node.is_unsynced()).map(|(id, _)| *id).collect()
    }

    fn make_durable(&mut self) {
        self.pending.clear();
        self.nodes.values_mut().for_each(Node::make_durable);
    }
}
