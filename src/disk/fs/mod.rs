//! The disk: the only module that changes it.
//!
//! - [`Dir`] is an open folder. Below an install root, every path is walked from one open folder to
//!   the next, and no step follows a symbolic link. So a link that an attacker plants inside a
//!   component leads no access out of it.
//! - [`Tree`] is a component's folder with paths of many segments.
//! - [`Lock`] is a lock between processes.
//!
//! New files get a temporary name and are renamed into place. Modes are set on open files. A change
//! that must survive a power cut is synced before a later change relies on it.

#[cfg(feature = "client")]
mod administrators;
mod lock;
#[cfg(all(test, unix))]
pub(crate) mod simulated;
mod steps;
#[cfg(unix)]
#[path = "unix/mod.rs"]
mod system;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod system;
mod tree;
#[cfg(target_os = "linux")]
mod unseen;

#[cfg(feature = "client")]
pub use administrators::only_administrators_can_change;
pub use lock::Lock;
#[cfg(test)]
pub use steps::{Steps, Stop};
pub use system::{Dir, FINGERPRINTS};
pub use tree::{Tree, create_root, refuse_link};

use crate::error::{Error, Machine, Result};
use crate::values::digest::Sha256;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// The permission bits of an executable file.
pub const EXECUTABLE_MODE: u32 = 0o755;
/// The permission bits of every other file.
pub const PLAIN_MODE: u32 = 0o644;

/// The most temporary names beside one file, and the most attempts to replace it.
const TEMPORARY_NAMES: u32 = 1000;

/// The kind of release that a system without symbolic links cannot install.
pub const LINKS: &str = "a release with symbolic links";

/// Returns the permission bits for a manifest's `executable`.
///
/// Windows has no such bits, and every file counts as plain.
pub fn mode(executable: bool) -> u32 {
    if executable && cfg!(unix) { EXECUTABLE_MODE } else { PLAIN_MODE }
}

/// The users who can change the entries of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderWriters {
    /// Only this process's user, who owns the folder.
    Owner,
    /// Another user owns the folder.
    OtherOwner,
    /// This process's user owns the folder, and its group or all users can write to it.
    Others,
}

/// The kind of entry at a path.
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
    /// A file or a link stands where the path has a folder.
    Blocked {
        /// The path of that file or link.
        at: String,
        /// `true` for a symbolic link.
        link: bool,
    },
}

/// The traits of a file that stay the same until a program changes its bytes, mode, names or owner.
///
/// The system itself sets the time of the change. [`Dir::may_change_unseen`] tells which files can
/// change although their fingerprints stay the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Dir {
    /// Replaces a small file in one step.
    ///
    /// The new file is written beside the old one, synced and renamed, and the folder is synced.
    /// Several processes may replace the same file at once: each uses another temporary name.
    ///
    /// # Errors
    /// [`Machine::Io`]; the old file is unchanged.
    pub fn replace(&self, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let mut attempts = 0;
        loop {
            let (temporary, mut file) = self.create_temporary(name)?;
            let written = steps::next("write").and_then(|()| {
                let done =
                    file.write_all(bytes).and_then(|()| set_mode(&file, mode)).and_then(|()| system::sync_file(&file));
                done.map_err(|error| Error::io("write", self.join(&temporary), error))
            });
            drop(file);
            match written.and_then(|()| self.rename(&temporary, self, name)) {
                Ok(()) => return self.sync(),
                // Another process has removed the temporary file as a leftover of a crash.
                Err(error) if error.code() == "not-found" && attempts < TEMPORARY_NAMES => attempts += 1,
                Err(error) => {
                    // The error to report is the one that came first.
                    let _ = self.remove_file(&temporary);
                    return Err(error);
                }
            }
        }
    }

    /// Creates a file beside `name`, under the first free temporary name.
    fn create_temporary(&self, name: &str) -> Result<(String, File)> {
        let mut number = 1;
        loop {
            let temporary = temporary_name(name, number);
            match self.create(&temporary) {
                Ok(file) => return Ok((temporary, file)),
                Err(error) if number < TEMPORARY_NAMES && is_taken(&error) => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes the temporary files that a crash has left beside `name`, or beside all files if
    /// `name` is `None`.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn remove_temporaries(&self, name: Option<&str>) -> Result<()> {
        let entries = self.names()?;
        let left = entries.iter().filter(|entry| match (temporary_for(entry), name) {
            (Some(of), Some(name)) => of == name,
            (of, None) => of.is_some(),
            (None, Some(_)) => false,
        });
        left.map(|entry| self.remove_file(entry)).fold(Ok(()), Result::and)
    }

    /// Reads a whole file of at most `limit` bytes; returns `None` if it is absent.
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

    /// Gives a file a second name, or copies it if the file system cannot; `to_name` must be free.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn link_or_copy(&self, name: &str, to: &Dir, to_name: &str, mode: u32) -> Result<()> {
        // On Windows a read-only file must be made writable before one of its names can be removed,
        // which makes its other names writable as well.
        let may_share = cfg!(unix) || mode & 0o200 != 0;
        if may_share && self.hard_link(name, to, to_name)? { Ok(()) } else { self.copy(name, to, to_name, mode) }
    }

    /// Copies a file and makes its bytes and mode durable; `to_name` must be free.
    ///
    /// After a crash, `to_name` is still free or has the whole copy.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn copy(&self, name: &str, to: &Dir, to_name: &str, mode: u32) -> Result<()> {
        let absent = || Error::io("open", self.join(name), io::ErrorKind::NotFound.into());
        let mut source = self.open_file(name)?.ok_or_else(absent)?;
        let (temporary, mut target) = to.create_temporary(to_name)?;
        let copied = steps::next("write").and_then(|()| {
            let copied = io::copy(&mut source, &mut target);
            let kept = copied.and_then(|_| set_mode(&target, mode)).and_then(|()| system::sync_file(&target));
            kept.map_err(|error| Error::io("copy to", to.join(to_name), error))
        });
        drop(target);
        copied.and_then(|()| to.rename(&temporary, to, to_name)).inspect_err(|_| {
            let _ = to.remove_file(&temporary);
        })
    }

    /// Sets the modes of files, and makes their bytes and modes durable.
    ///
    /// A file whose sync fails is removed, so that the next attempt builds it again.
    ///
    /// # Errors
    /// [`Machine::Io`], an absent file included.
    pub fn seal_files(&self, files: &[(&str, u32)]) -> Result<()> {
        in_parallel(files, |files| {
            files.iter().try_for_each(|(name, mode)| {
                let sealed = self.seal(name, *mode);
                if sealed.is_err() && !is_out_of_descriptors(&sealed) {
                    // The system reports a failed sync once, and then serves bytes that the disk
                    // does not have.
                    let _ = self.remove_file(name);
                }
                sealed
            })
        })
    }

    /// Removes a folder of the updater that is no longer needed. Entries in use stay until the next
    /// call.
    ///
    /// # Errors
    /// [`Machine::Io`] for the first entry that stays for another reason.
    pub fn remove_leftovers(&self, name: &str) -> Result<()> {
        match self.remove_tree(name) {
            Err(Error::Machine(Machine::InUse { .. })) => Ok(()),
            removed => removed,
        }
    }

    /// Removes a folder of the updater with all its entries; does nothing if it is absent.
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

/// Returns the `number`-th temporary name of a file that will replace `name`.
fn temporary_name(name: &str, number: u32) -> String {
    if number == 1 { format!("{name}.new") } else { format!("{name}.new-{number}") }
}

/// Returns the name of the file that a temporary file will replace; `None` for other names.
fn temporary_for(entry: &str) -> Option<&str> {
    let (of, number) = entry.rsplit_once(".new")?;
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    (number.is_empty() || number.strip_prefix('-').is_some_and(is_number)).then_some(of)
}

fn is_taken(error: &Error) -> bool {
    matches!(error, Error::Machine(Machine::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists)
}

/// Sets the permission bits of an open file.
///
/// # Errors
/// An I/O error.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    system::set_mode(file, mode)
}

/// Shares `items` among up to 16 threads, the caller's included.
///
/// The threads wait for the disk at the same time, and a file system's journal takes many syncs at
/// once. If this process may not open enough files (`ulimit -n`), the caller's thread does the work
/// alone.
///
/// # Errors
/// The error of the first share that failed.
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
        // A panic in a worker continues in the caller, as it would without threads.
        let join = |worker: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let results = std::iter::once(done).chain(workers.into_iter().map(join)).collect::<Vec<_>>();
        let (few, others): (Vec<_>, Vec<_>) = results.into_iter().partition(is_out_of_descriptors);
        // The system reports a failed sync once: it must not be tried again.
        others.into_iter().fold(Ok(()), Result::and)?;
        if few.is_empty() { Ok(()) } else { work(items) }
    })
}

/// Returns `true` if this process may not open another file.
fn is_out_of_descriptors(result: &Result<()>) -> bool {
    const EMFILE: i32 = 24;
    matches!(result, Err(Error::Machine(Machine::Io { source, .. })) if cfg!(unix) && source.raw_os_error() == Some(EMFILE))
}

/// Opens a regular file by a path that the user has chosen.
///
/// A pipe in its place would block the caller forever.
///
/// # Errors
/// An I/O error, also for anything but a regular file.
#[cfg(feature = "client")]
pub fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let file = options.read(true).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

/// Reads a regular file of at most `max_bytes` by a path that the user has chosen.
///
/// # Errors
/// As [`open_regular`]; an I/O error for a larger file.
#[cfg(feature = "client")]
pub fn read_regular(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(open_regular(path)?, max_bytes + 1), &mut bytes)?;
    let is_small = bytes.len() as u64 <= max_bytes;
    if is_small { Ok(bytes) } else { Err(io::Error::other(format!("it has more than {max_bytes} bytes"))) }
}

/// Hashes an open file from its start.
///
/// # Errors
/// [`Machine::Io`] naming `path`.
pub fn hash(file: &mut File, path: &Path) -> Result<(Sha256, u64)> {
    Sha256::of_reader(file).map_err(|error| Error::io("read", path, error))
}
