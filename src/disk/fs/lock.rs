//! Locks between processes: locked files, which the system unlocks when the process ends.
//!
//! The locked file contains the id of the process that holds the lock. On Windows no other process
//! can read a locked file, so there the id is in a file beside it (`lock.pid`).

use super::Dir;
#[cfg(all(test, unix))]
use super::simulated::locks as simulated;
use crate::error::{Error, Result};
use fs2::FileExt;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::time::{Duration, Instant};

/// A lock that this process holds until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    what: &'static str,
    /// The lock on a simulated disk, where one thread plays two processes.
    #[cfg(all(test, unix))]
    _simulated: Option<simulated::Hold>,
}

/// The pauses between two attempts of a waiting process: the first one and the longest.
const POLL: Duration = Duration::from_millis(20);
const LONG_POLL: Duration = Duration::from_secs(1);

impl Lock {
    /// Takes the lock for this process alone, and writes the id of the process to the file.
    ///
    /// It waits for up to `patience`.
    ///
    /// # Errors
    /// [`Error::Busy`] with the id of the holder's process if it is known,
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn exclusive(dir: &Dir, name: &str, what: &'static str, patience: Duration) -> Result<Self> {
        #[cfg(all(test, unix))]
        let simulated = simulated::take(name, true).ok_or(Error::Busy { what, holder: None })?;
        let mut file = dir.open_or_create(name)?;
        wait(dir, name, &file, what, patience, |file| file.try_lock_exclusive())?;
        // A process that takes the lock again does not write to the disk.
        if holder(dir, name) != Some(std::process::id()) {
            let mut beside = if cfg!(windows) { Some(dir.open_or_create(&beside(name))?) } else { None };
            let file = beside.as_mut().unwrap_or(&mut file);
            // Only for messages. A full disk may have no block for it.
            let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        }
        Ok(Self {
            file,
            what,
            #[cfg(all(test, unix))]
            _simulated: simulated,
        })
    }

    /// Takes the lock, which other processes may share. It waits for up to `patience`.
    ///
    /// # Errors
    /// As [`exclusive`](Self::exclusive).
    pub fn shared(dir: &Dir, name: &str, what: &'static str, patience: Duration) -> Result<Self> {
        #[cfg(all(test, unix))]
        let simulated = simulated::take(name, false).ok_or(Error::Busy { what, holder: None })?;
        let file = dir.open_or_create(name)?;
        wait(dir, name, &file, what, patience, FileExt::try_lock_shared)?;
        let lock = Self {
            file,
            what,
            #[cfg(all(test, unix))]
            _simulated: simulated,
        };
        Ok(lock.nameless())
    }

    /// Takes a lock that another user has created, which other processes may share. It waits for up
    /// to `patience`.
    ///
    /// Returns `None` if the file does not exist.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Machine::Io`](crate::error::Machine::Io).
    #[cfg(feature = "client")]
    pub fn shared_of_other_user(dir: &Dir, name: &str, what: &'static str, patience: Duration) -> Result<Option<Self>> {
        let Some(file) = dir.open_file(name)? else { return Ok(None) };
        wait(dir, name, &file, what, patience, FileExt::try_lock_shared)?;
        Ok(Some(Self {
            file,
            what,
            #[cfg(all(test, unix))]
            _simulated: None,
        }))
    }

    /// Shares the lock, which this process has held alone, with other processes.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn share(self) -> Result<Self> {
        let shared = self.release().and_then(|()| FileExt::lock_shared(&self.file));
        shared.map_err(|error| Error::io("lock", self.what, error))?;
        Ok(self.nameless())
    }

    /// Removes the id of the process that held the lock alone before.
    ///
    /// Several processes may share the lock, and the id of one that has ended would mislead.
    pub fn nameless(self) -> Self {
        // The id is for messages only, so a failure is ignored.
        let _ = self.file.set_len(0);
        self
    }

    /// Runs `action` while this process holds the lock alone. It shares the lock before and after.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process shares the lock; the errors of `action`.
    pub fn alone<T>(&self, action: impl FnOnce() -> Result<T>) -> Result<T> {
        let failed = |error| Error::io("lock", self.what, error);
        self.release().map_err(failed)?;
        let result = match self.file.try_lock_exclusive() {
            Ok(()) => {
                let result = action();
                self.release().map_err(failed)?;
                result
            }
            Err(_) => Err(Error::Busy { what: self.what, holder: other_holder(&self.file) }),
        };
        FileExt::lock_shared(&self.file).map_err(failed)?;
        result
    }

    /// Releases the lock on systems that cannot turn one kind of lock into the other in one step.
    fn release(&self) -> io::Result<()> {
        if cfg!(windows) { FileExt::unlock(&self.file) } else { Ok(()) }
    }
}

/// Returns the name of the file beside a lock with the id of the holder's process.
fn beside(name: &str) -> String {
    format!("{name}.pid")
}

fn wait(
    dir: &Dir,
    name: &str,
    file: &File,
    what: &'static str,
    patience: Duration,
    try_lock: impl Fn(&File) -> io::Result<()>,
) -> Result<()> {
    let start = Instant::now();
    loop {
        match try_lock(file) {
            Ok(()) => return Ok(()),
            Err(error) if error.raw_os_error() != fs2::lock_contended_error().raw_os_error() => {
                return Err(Error::io("lock", dir.join(name), error));
            }
            Err(_) if start.elapsed() >= patience => {
                return Err(Error::Busy { what, holder: holder(dir, name).or_else(|| other_holder(file)) });
            }
            Err(_) => std::thread::sleep((start.elapsed() / 20).clamp(POLL, LONG_POLL)),
        }
    }
}

/// Returns the process id that the holder has written, if there is one.
fn holder(dir: &Dir, name: &str) -> Option<u32> {
    let text = dir.read_small(&if cfg!(windows) { beside(name) } else { name.to_owned() }, 16).ok()??;
    String::from_utf8(text).ok()?.parse().ok()
}

/// Returns the id of a process that shares the lock with this one, if the system knows it
/// (proc(5)).
fn other_holder(file: &File) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        let inode = std::os::unix::fs::MetadataExt::ino(&file.metadata().ok()?).to_string();
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let holder = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "->").collect();
            let [_, "FLOCK", _, _, pid, place, ..] = words[..] else { return None };
            if place.rsplit(':').next() == Some(&inode) { pid.parse().ok() } else { None }
        };
        locks.lines().filter_map(holder).find(|pid| *pid != std::process::id())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_learns_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        let first = Lock::exclusive(&dir, "lock", "the root", Duration::ZERO).unwrap();
        match Lock::exclusive(&dir, "lock", "the root", Duration::ZERO) {
            Err(Error::Busy { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(first);
        Lock::exclusive(&dir, "lock", "the root", Duration::ZERO).unwrap();
    }

    // On Windows the id is in a file beside the lock, and stays there.
    #[cfg(unix)]
    #[test]
    fn who_shares_it_is_not_named() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        drop(Lock::exclusive(&dir, "running", "the program", Duration::ZERO).unwrap());
        let _shared = Lock::shared(&dir, "running", "the program", Duration::ZERO).unwrap();
        match Lock::exclusive(&dir, "running", "the program", Duration::ZERO) {
            Err(Error::Busy { holder, .. }) => assert_eq!(holder, None),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn alone_needs_that_nobody_else_shares() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        let one = Lock::shared(&dir, "running", "the program", Duration::ZERO).unwrap();
        one.alone(|| Ok(())).unwrap();
        let two = Lock::shared(&dir, "running", "the program", Duration::ZERO).unwrap();
        assert_eq!(one.alone(|| Ok(())).unwrap_err().code(), "busy");
        drop(two);
        one.alone(|| Ok(())).unwrap();
    }
}
