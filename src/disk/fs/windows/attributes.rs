//! The attribute "read-only", the only permission of a file that the updater keeps on Windows.

use super::{Dir, PLAIN_MODE, READ_ONLY_MODE, steps};
use crate::error::Result;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;
use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};

impl Dir {
    /// Clears the attribute of a file, because Windows neither removes nor replaces a read-only
    /// file.
    pub(super) fn make_writable(&self, name: &str, mode: u32) -> Result<()> {
        if mode == READ_ONLY_MODE { self.ensure_mode(name, PLAIN_MODE) } else { Ok(()) }
    }

    /// Sets or clears the attribute of a file: read-only means that the owner cannot write.
    ///
    /// # Errors
    /// `Machine::Io`, an absent file included.
    pub fn ensure_mode(&self, name: &str, mode: u32) -> Result<()> {
        steps::next("set the mode of")?;
        let set = set_read_only(&self.real(name), is_read_only(mode));
        set.map_err(|error| self.error("set the attributes of", name, error))
    }

    /// Writes the bytes of a file to the disk, then sets its mode.
    ///
    /// # Errors
    /// `Machine::Io`, an absent file included.
    pub fn seal(&self, name: &str, mode: u32) -> Result<()> {
        steps::next("sync")?;
        // Syncing needs a handle that can write.
        self.ensure_mode(name, PLAIN_MODE)?;
        let mut options = OpenOptions::new();
        let file = self.open_regular(name, options.access_mode(GENERIC_READ | GENERIC_WRITE))?;
        file.sync_all().map_err(|error| self.error("sync", name, error))?;
        self.ensure_mode(name, mode)
    }
}

/// Sets or clears the attribute of an open file.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    if permissions.readonly() == is_read_only(mode) {
        return Ok(());
    }
    permissions.set_readonly(is_read_only(mode));
    file.set_permissions(permissions)
}

/// Sets or clears the attribute of the file at `path`.
pub(super) fn set_read_only(path: &Path, read_only: bool) -> io::Result<()> {
    let mut permissions = fs::symlink_metadata(path)?.permissions();
    if permissions.readonly() == read_only {
        return Ok(());
    }
    permissions.set_readonly(read_only);
    fs::set_permissions(path, permissions)
}

fn is_read_only(mode: u32) -> bool {
    mode & 0o200 == 0
}
