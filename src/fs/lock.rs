//! Locks between processes: files in the state folder, held by the system for as long as the process lives.

use super::Dir;
use crate::error::{Error, Result};
use fs2::FileExt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::time::{Duration, Instant};

/// A lock that this process holds until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    what: &'static str,
}

/// How often a waiting process looks again at first, and after a long wait.
const POLL: Duration = Duration::from_millis(20);
const LONG_POLL: Duration = Duration::from_secs(1);

impl Lock {
    /// Takes the lock for this process alone, waiting no longer than `patience`; leaves the process's id in the file.
    ///
    /// # Errors
    /// [`Error::Busy`] with the holder's process id as far as it is known, [`Machine::Io`](crate::error::Machine::Io).
    pub fn exclusive(dir: &Dir, name: &str, what: &'static str, patience: Duration) -> Result<Self> {
        let mut file = dir.open_or_create(name)?;
        wait(dir, name, &mut file, what, patience, |file| file.try_lock_exclusive())?;
        // A process that takes it again and again leaves the disk alone.
        if holder(&mut file) != Some(std::process::id()) {
            let left =
                file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
            left.map_err(|error| Error::io("write", dir.join(name), error))?;
        }
        Ok(Self { file, what })
    }

    /// Takes the lock together with others, waiting no longer than `patience`.
    ///
    /// # Errors
    /// As [`exclusive`](Self::exclusive).
    pub fn shared(dir: &Dir, name: &str, what: &'static str, patience: Duration) -> Result<Self> {
        let mut file = dir.open_or_create(name)?;
        wait(dir, name, &mut file, what, patience, FileExt::try_lock_shared)?;
        Ok(Self { file, what }.nameless())
    }

    /// Takes the lock that this process alone holds together with others from now on.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn share(self) -> Result<Self> {
        FileExt::lock_shared(&self.file).map_err(|error| Error::io("lock", self.what, error))?;
        Ok(self.nameless())
    }

    /// Takes away the number of whoever held the lock alone before: of those who share it none can speak for all, and a
    /// number of somebody who is gone is worse than none.
    fn nameless(self) -> Self {
        // Only for messages.
        let _ = self.file.set_len(0);
        self
    }

    /// Runs `action` while no other process shares the lock, which this one holds shared before and after.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process shares it, or what `action` fails with.
    pub fn alone<T>(&self, action: impl FnOnce() -> Result<T>) -> Result<T> {
        self.file.try_lock_exclusive().map_err(|_| Error::Busy { what: self.what, holder: None })?;
        let result = action();
        let again = FileExt::lock_shared(&self.file);
        result.and_then(|value| again.map(|()| value).map_err(|error| Error::io("lock", "running", error)))
    }
}

fn wait(
    dir: &Dir,
    name: &str,
    file: &mut File,
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
            Err(_) if start.elapsed() >= patience => return Err(Error::Busy { what, holder: holder(file) }),
            Err(_) => std::thread::sleep((start.elapsed() / 20).clamp(POLL, LONG_POLL)),
        }
    }
}

/// The process id that the holder left, if it left one.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.parse().ok()
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
