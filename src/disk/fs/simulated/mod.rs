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
mod disk;
mod event;
pub mod locks;
mod node;

pub use disk::{Disk, NodeId};
pub use event::{Event, Fault, ForeignWrite};
pub use node::{Node, NodeKind};

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// The folder below which disks are mounted. No real file is ever made there.
const MOUNTS: &str = "/simulated";
/// A disk that is mounted. The mount ends when it is dropped.
#[derive(Debug)]
pub struct Mounted {
    number: u32,
    state: Arc<Mutex<MountState>>,
}

/// A mounted disk, its events and its open files.
#[derive(Debug)]
struct MountState {
    number: u32,
    disk: Disk,
    /// The number of steps so far.
    steps: usize,
    events: Vec<(usize, Event)>,
    fault: Option<Fault>,
    dead: bool,
    /// Files that are open for writing; their bytes are those of the descriptor.
    writers: Vec<(NodeId, File)>,
}

type Mounts = HashMap<u32, Arc<Mutex<MountState>>>;
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
    /// If this thread has mounted another disk.
    pub fn new(disk: Disk) -> Self {
        let number = OWN.with(|own| *own);
        assert_eq!(CURRENT.get(), None, "this thread has mounted another disk");
        let state =
            MountState { number, disk, steps: 0, events: Vec::new(), fault: None, dead: false, writers: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        lock(&MOUNTED).insert(number, Arc::clone(&state));
        CURRENT.set(Some(number));
        Self { number, state }
    }

    /// Returns the path of the disk's root folder.
    pub fn path(&self) -> PathBuf {
        Path::new(MOUNTS).join(self.number.to_string())
    }

    /// Lets an event happen before step `at` from now, the next one being 0.
    pub fn schedule(&self, at: usize, event: Event) {
        let mut state = lock(&self.state);
        let at = state.steps + at;
        state.events.push((at, event));
    }

    /// Returns the number of steps so far.
    pub fn steps(&self) -> usize {
        lock(&self.state).steps
    }

    /// Returns `true` if every scheduled event has happened.
    pub fn has_happened(&self) -> bool {
        lock(&self.state).events.is_empty()
    }

    /// Returns a copy of the disk as programs see it now.
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

/// Returns `true` if this thread works on a disk in memory.
///
/// Work that is parallel on a real disk then runs in a fixed order.
pub fn is_current() -> bool {
    CURRENT.get().is_some()
}

/// Returns the free bytes of a mounted disk; `None` for a real path.
pub fn free_space(path: &Path) -> Option<u64> {
    let (state, _) = mounted_at(path)?;
    let is_full = lock(&state).fault == Some(Fault::NoSpace);
    Some(if is_full { 0 } else { u64::MAX })
}

/// Returns whether the mounted disk of a descriptor ignores case; `None` for a real one.
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

impl MountState {
    /// Counts a call as a step, and lets the events of this step happen.
    ///
    /// `changes` is `false` for calls that only read.
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

    /// Fails if the disk is full. Only calls that create something ask.
    fn may_allocate(&self) -> Result<(), Errno> {
        if self.fault == Some(Fault::NoSpace) { Err(Errno::NOSPC) } else { Ok(()) }
    }

    /// Fails if a fault protects the node from changes.
    fn may_change(&self, node: NodeId) -> Result<(), Errno> {
        match &self.fault {
            Some(Fault::Immutable(path)) if self.disk.find(path) == Some(node) => Err(Errno::PERM),
            _ => Ok(()),
        }
    }

    /// Takes over the bytes that were written to open files.
    fn flush(&mut self) {
        let MountState { disk, writers, .. } = self;
        for (node, file) in writers {
            let length = file.metadata().map_or(0, |found| found.len());
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            if file.read_exact_at(&mut bytes, 0).is_ok() {
                disk.set_bytes(*node, bytes);
            }
        }
    }

    /// Opens a descriptor that names a node.
    fn descriptor(&self, node: NodeId) -> Result<OwnedFd, Errno> {
        let fd = rustix::fs::memfd_create("simulated", MemfdFlags::CLOEXEC)?;
        let stat = rustix::fs::fstat(&fd)?;
        lock(&HANDLES).insert((stat.st_dev, stat.st_ino), (self.number, node));
        Ok(fd)
    }
}

/// Returns the mounted disk and the node that a descriptor names; `None` for a real one.
fn named_by(fd: &impl AsFd) -> Option<(Arc<Mutex<MountState>>, NodeId)> {
    let stat = rustix::fs::fstat(fd).ok()?;
    let (number, node) = *lock(&HANDLES).get(&(stat.st_dev, stat.st_ino))?;
    let state = lock(&MOUNTED).get(&number).cloned()?;
    Some((state, node))
}

/// Returns the mounted disk of a path, and the path below its root; `None` for a real path.
fn mounted_at(path: &Path) -> Option<(Arc<Mutex<MountState>>, String)> {
    let inner = path.strip_prefix(MOUNTS).ok()?;
    let (number, rest) = inner.to_str()?.split_once('/').unwrap_or((inner.to_str()?, ""));
    let state = lock(&MOUNTED).get(&number.parse().ok()?).cloned()?;
    Some((state, rest.to_owned()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
