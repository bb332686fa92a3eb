//! The users who can change a folder, by its owner and its permission bits.

use super::{Dir, Result, calls, permissions};
use crate::disk::fs::FolderWriters;
use rustix::fs::FileType;

/// The permission bits by which the group and all users write.
const OTHERS_WRITE: u32 = 0o022;

impl Dir {
    /// Returns which users can change the folder's entries.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn writers(&self) -> Result<FolderWriters> {
        let stat = calls::fstat(&self.fd).map_err(|errno| self.error("examine", ".", errno))?;
        Ok(match permissions(&stat) & OTHERS_WRITE {
            _ if stat.st_uid != rustix::process::geteuid().as_raw() => FolderWriters::OtherOwner,
            0 => FolderWriters::Owner,
            _ => FolderWriters::Others,
        })
    }

    /// Returns an entry that belongs to another user or that another user can write.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn foreign_entry(&self) -> Result<Option<String>> {
        let user = rustix::process::geteuid().as_raw();
        for name in self.names()? {
            let Some(stat) = self.raw_stat(&name)? else { continue };
            // The permission bits of links have no meaning.
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            if stat.st_uid != user || (!is_link && permissions(&stat) & OTHERS_WRITE != 0) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}
