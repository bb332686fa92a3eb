//! The file system of a folder: its mount, its free space, and attributes that prevent changes.

use super::{Dir, Error, Result, calls, permissions};
use rustix::fs::{AtFlags, Stat};
use rustix::io::Errno;

/// The permission bit of a folder whose entries only their owners and its owner can remove.
const STICKY: u32 = 0o1000;

impl Dir {
    /// Returns a number that is the same for all folders of one mount. Renames work among them.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn mount(&self) -> Result<u64> {
        Ok(self.mount_at("")?.unwrap_or_default())
    }

    /// Returns the number of the mount that an entry is on; `None` if the entry is absent.
    ///
    /// It differs from that of the folder if the entry is a mount point.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn mount_of(&self, name: &str) -> Result<Option<u64>> {
        self.mount_at(name)
    }

    /// Returns the number of the mount of an entry, or of the folder itself if the name is empty.
    #[cfg_attr(target_os = "linux", expect(clippy::unnecessary_cast, reason = "the field has other types on macOS"))]
    fn mount_at(&self, name: &str) -> Result<Option<u64>> {
        // A bind mount has the device of its file system, but no rename leads into it. Linux before
        // 5.8 does not distinguish mounts.
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::StatxFlags;
            let flags = if name.is_empty() { AtFlags::EMPTY_PATH } else { AtFlags::SYMLINK_NOFOLLOW };
            match calls::statx(&self.fd, name, flags, StatxFlags::MNT_ID) {
                Ok(found) if found.stx_mask & StatxFlags::MNT_ID.bits() != 0 => return Ok(Some(found.stx_mnt_id)),
                Err(Errno::NOENT) => return Ok(None),
                _ => {}
            }
        }
        let stat = match name {
            "" => calls::fstat(&self.fd),
            _ => calls::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW),
        };
        match stat {
            Ok(stat) => Ok(Some(stat.st_dev as u64)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("examine", if name.is_empty() { "." } else { name }, errno)),
        }
    }

    /// Returns `true` if this user cannot remove an entry: because of an attribute (`chattr +i`,
    /// `chattr +a`), or because the entry and the folder, which is sticky, belong to other users.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn is_fixed(&self, name: &str) -> Result<bool> {
        let user = rustix::process::geteuid();
        let folder = calls::fstat(&self.fd).map_err(|errno| self.error("examine", ".", errno))?;
        let is_others = |stat: &Stat| stat.st_uid != user.as_raw();
        if permissions(&folder) & STICKY != 0
            && !user.is_root()
            && is_others(&folder)
            && self.raw_stat(name)?.is_some_and(|found| is_others(&found))
        {
            return Ok(true);
        }
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{StatxAttributes, StatxFlags};
            let fixed = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
            match calls::statx(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) {
                Ok(found) => Ok(found.stx_attributes.intersects(fixed)),
                // A kernel before 4.11.
                Err(Errno::NOSYS | Errno::NOENT) => Ok(false),
                Err(errno) => Err(self.error("examine", name, errno)),
            }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = name;
            Ok(false)
        }
    }

    /// Does nothing: a release needs permission bits, which FAT and exFAT do not keep.
    ///
    /// # Errors
    /// None.
    pub fn check_file_system(&self) -> Result<()> {
        Ok(())
    }

    /// Returns the bytes that are free for this user on the folder's file system.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn free_space(&self) -> Result<u64> {
        #[cfg(test)]
        if let Some(bytes) = crate::disk::fs::simulated::free_space(self.path()) {
            return Ok(bytes);
        }
        fs2::available_space(self.path()).map_err(|error| Error::io("ask for the free space of", self.path(), error))
    }
}
