//! The disk: the only module that changes it.
//!
//! - [`Dir`] is an open folder. Below an install root every path is walked folder by folder from
//!   one, and no step follows a symbolic link: a link that an attacker plants inside a component
//!   leads nothing out of it.
//! - [`Tree`] is a component's folder with paths of many segments.
//! - [`Lock`] is a lock between processes.
//!
//! New files get a name of their own and are renamed into place. Modes are set on open files. What
//! must survive a power cut is synced before anything relies on it.

mod lock;
#[cfg(all(test, unix))]
pub(crate) mod simulated;
mod steps;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod system;
mod tree;

pub use lock::Lock;
#[cfg(test)]
pub use steps::{Steps, Stop};
pub use system::{Dir, STAMPS};
pub use tree::{Tree, create_root, refuse_link};

use crate::error::{Error, Machine, Result};
use crate::values::digest::Sha256;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// The permission bits of an executable file.
pub const EXECUTABLE: u32 = 0o755;
/// The permission bits of every other file.
pub const PLAIN: u32 = 0o644;

/// What a system without symbolic links cannot install.
pub const LINKS: &str = "a release with symbolic links";

/// The permission bits that a manifest's `executable` stands for: none of its own where the system
/// has no such bits.
pub fn mode(executable: bool) -> u32 {
    if executable && cfg!(unix) { EXECUTABLE } else { PLAIN }
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// In bytes.
        size: u64,
        /// The permission bits.
        mode: u32,
    },
    /// A symbolic link and what it says.
    Link {
        /// The text of the link.
        target: String,
    },
    /// A folder.
    Folder {
        /// The permission bits.
        mode: u32,
    },
    /// Something that no release brings: a device, a socket, a pipe.
    Special,
    /// A folder above the path is none: a file or a link stands at `at`.
    Blocked {
        /// The path of what is in the way.
        at: String,
        /// Whether it is a symbolic link.
        link: bool,
    },
}

/// What is the same for as long as nobody touches a file: not its bytes, mode, names or owner. The
/// system sets the time of the change itself, so that no program can hide one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Dir {
    /// Replaces a small file in one step: written beside it, synced, renamed, the folder synced.
    ///
    /// # Errors
    /// [`Machine::Io`]; the old file is there unchanged.
    pub fn replace(&self, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let temporary = format!("{name}.new");
        self.remove_file(&temporary)?;
        let written = self.create(&temporary).and_then(|mut file| {
            steps::next("write")?;
            let done =
                file.write_all(bytes).and_then(|()| set_mode(&file, mode)).and_then(|()| system::sync_file(&file));
            done.map_err(|error| Error::io("write", self.join(&temporary), error))
        });
        if let Err(error) = written.and_then(|()| self.rename(&temporary, self, name)) {
            // The temporary file is nobody's; the error to report is the one that came first.
            let _ = self.remove_file(&temporary);
            return Err(error);
        }
        self.sync()
    }

    /// A whole file that has at most `limit` bytes; none when it is absent.
    ///
    /// # Errors
    /// [`Machine::StateDamaged`] for a larger one, [`Machine::UnsafePath`] for a link,
    /// [`Machine::Io`].
    pub fn read_small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, limit + 1), &mut bytes)
            .map_err(|error| Error::io("read", self.join(name), error))?;
        if bytes.len() as u64 > limit {
            let detail = format!("it has more than {limit} bytes");
            return Err(Machine::StateDamaged { path: self.join(name), detail }.into());
        }
        Ok(Some(bytes))
    }

    /// Gives a file a second name, or copies it where the file system cannot; there must be no
    /// `to_name`.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn link_or_copy(&self, name: &str, to: &Dir, to_name: &str, mode: u32) -> Result<()> {
        // On Windows a read-only file must be made writable before one of its names can go, and the
        // others are with it.
        let may_share = cfg!(unix) || mode & 0o200 != 0;
        if may_share && self.hard_link(name, to, to_name)? { Ok(()) } else { self.copy(name, to, to_name, mode) }
    }

    /// Copies a file, its bytes and mode durable when this returns; there must be no `to_name`.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn copy(&self, name: &str, to: &Dir, to_name: &str, mode: u32) -> Result<()> {
        let absent = || Error::io("open", self.join(name), io::ErrorKind::NotFound.into());
        let mut source = self.open_file(name)?.ok_or_else(absent)?;
        let mut target = to.create(to_name)?;
        steps::next("write")?;
        let copied = io::copy(&mut source, &mut target);
        let kept = copied.and_then(|_| set_mode(&target, mode)).and_then(|()| system::sync_file(&target));
        kept.map_err(|error| {
            let _ = to.remove_file(to_name);
            Error::io("copy to", to.join(to_name), error)
        })
    }

    /// Gives files their modes, and makes their bytes and modes durable. A file that cannot be
    /// synced is removed, so that it is built again.
    ///
    /// # Errors
    /// [`Machine::Io`], an absent file included.
    pub fn seal_files(&self, files: &[(&str, u32)]) -> Result<()> {
        in_parallel(files, |files| {
            files.iter().try_for_each(|(name, mode)| {
                self.seal(name, *mode).inspect_err(|_| {
                    // The system reports a failed sync once, and then serves bytes that the disk
                    // does not have.
                    let _ = self.remove_file(name);
                })
            })
        })
    }

    /// Removes a folder of the updater's own that nobody needs any more. What is in use stays until
    /// the next time.
    ///
    /// # Errors
    /// [`Machine::Io`] for the first entry that stays for another reason.
    pub fn remove_leftovers(&self, name: &str) -> Result<()> {
        match self.remove_tree(name) {
            Err(Error::Machine(Machine::InUse { .. })) => Ok(()),
            removed => removed,
        }
    }

    /// Removes a folder of the updater's own with all that it holds; nothing when it is absent.
    ///
    /// # Errors
    /// [`Machine::Io`] for the first entry that stays.
    pub fn remove_tree(&self, name: &str) -> Result<()> {
        match self.find(name)? {
            Found::Absent => return Ok(()),
            Found::Folder { .. } => {}
            _ => return self.remove_file(name),
        }
        if let Some(inner) = self.folder(name)? {
            for entry in inner.names()? {
                inner.remove_tree(&entry)?;
            }
        }
        self.remove_folder(name).map(drop)
    }
}

/// Sets the permission bits of an open file.
///
/// # Errors
/// What the system answers.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    system::set_mode(file, mode)
}

/// Shares `items` among a few threads, the caller's being one: what waits for the disk can wait
/// together, and a file system's journal takes many syncs in one go.
///
/// # Errors
/// The first share's that failed.
pub fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&[T]) -> Result<()> + Sync) -> Result<()> {
    const THREADS: usize = 16;
    // On a disk in memory the order of steps must be the same in every run.
    #[cfg(all(test, unix))]
    if simulated::is_current() {
        return work(items);
    }
    let steps = steps::handle();
    let work = |share| {
        steps::enter(&steps);
        work(share)
    };
    std::thread::scope(|scope| {
        let mut shares = items.chunks(items.len().div_ceil(THREADS).max(1));
        let own = shares.next();
        let workers: Vec<_> = shares.map(|share| scope.spawn(|| work(share))).collect();
        let done = own.map_or(Ok(()), &work);
        // A panic in a worker goes on in the caller, as it would without threads.
        let join = |worker: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).fold(done, Result::and)
    })
}

/// Hashes an open file from its start.
///
/// # Errors
/// [`Machine::Io`] naming `path`.
pub fn hash(file: &mut File, path: &Path) -> Result<(Sha256, u64)> {
    Sha256::of_reader(file).map_err(|error| Error::io("read", path, error))
}
