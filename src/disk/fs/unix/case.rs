//! Names on a file system that ignores case, such as APFS, or ext4 with `casefold`.
//!
//! The updater treats `readme` and `README` as two entries everywhere: it finds an entry only by
//! its own letters.

use super::{Dir, Machine, Result, calls};
use rustix::fs::Stat;
use std::os::fd::OwnedFd;

impl Dir {
    /// Checks that no entry has the same name in other letters.
    ///
    /// # Errors
    /// [`Machine::NameTaken`].
    pub fn check_name(&self, name: &str) -> Result<()> {
        match self.raw_stat(name)?.map_or(Ok(None), |found| self.other_name(name, &found))? {
            Some(by) => Err(Machine::NameTaken { path: self.join(name), by }.into()),
            None => Ok(()),
        }
    }

    /// Returns the name of the entry that was found at `name`, if it has other letters.
    ///
    /// The updater treats it as another entry, as on a system that distinguishes them.
    pub(super) fn other_name(&self, name: &str, found: &Stat) -> Result<Option<String>> {
        if !self.ignores_case(name, found)? {
            return Ok(None);
        }
        let names = self.names()?;
        if names.iter().any(|entry| entry == name) {
            return Ok(None);
        }
        // Otherwise the file system has only normalized the accents.
        let same = |entry: &String| entry.to_lowercase() == name.to_lowercase();
        Ok(names.into_iter().find(same))
    }

    /// Returns whether the folder ignores case, if that is known.
    fn known_case(&self) -> Option<bool> {
        #[cfg(test)]
        if let Some(known) = crate::disk::fs::simulated::ignores_case(&self.fd) {
            return Some(known);
        }
        self.ignores_case.get().copied()
    }

    /// Returns `true` if the folder ignores case.
    ///
    /// To find out, it looks for the entry `found` under its name with the letters in the other
    /// case.
    fn ignores_case(&self, name: &str, found: &Stat) -> Result<bool> {
        if let Some(known) = self.known_case() {
            return Ok(known);
        }
        let flip = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        let flipped: String = name.chars().map(flip).collect();
        if flipped == name {
            return Ok(false);
        }
        let is_same = |other: &Stat| (other.st_dev, other.st_ino) == (found.st_dev, found.st_ino);
        // A file can also have both names. The list of names shows that.
        let ignores = self.raw_stat(&flipped)?.as_ref().is_some_and(is_same) && {
            let names = self.names()?;
            !names.contains(&flipped) || !names.iter().any(|entry| entry == name)
        };
        Ok(*self.ignores_case.get_or_init(|| ignores))
    }

    /// Returns `true` if the entry that was opened by `name` has other letters in its name.
    pub(super) fn is_other(&self, name: &str, fd: &OwnedFd) -> Result<bool> {
        if self.known_case() == Some(false) {
            return Ok(false);
        }
        let stat = calls::fstat(fd).map_err(|errno| self.error("examine", name, errno))?;
        Ok(self.other_name(name, &stat)?.is_some())
    }

    /// Returns `false` if the only entry at `name` has other letters in its name.
    ///
    /// The updater then changes nothing there.
    pub(super) fn may_touch(&self, name: &str) -> Result<bool> {
        Ok(self.known_case() == Some(false) || self.raw_stat(name)?.is_none() || self.stat(name)?.is_some())
    }
}
