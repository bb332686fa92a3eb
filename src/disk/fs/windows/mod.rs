//! Folders on Windows, by handle and path.
//!
//! While a [`Dir`] is open, no program can rename or remove its folder. So its path keeps leading
//! to this folder, which was no link when it was opened.
//!
//! - Names are compared exactly. An entry whose name differs only in case counts as absent, and
//!   nothing is created, replaced or removed in its place.
//! - Paths have the prefix `\\?\`: they may be longer than 260 characters, and Windows takes each
//!   name literally.
//! - There are no permission bits. Folders have the mode 0755 and files 0644; a file with the
//!   attribute "read-only" has 0444.
//! - Windows may refuse to change a file in use. Each change is retried for 30 s, and after 1 s
//!   also by moving the file aside, which Windows allows for running programs.
//! - Folders cannot be synced. Renames return when they are on the disk, and NTFS keeps the order
//!   of changes.

mod access;
mod attributes;
mod calls;
mod open;
mod replace;
mod retries;

use super::{Fingerprint, FolderWriters, Found, LINKS, PLAIN_MODE, steps};
use crate::error::{Error, Machine, Result};
pub(super) use attributes::set_mode;
use open::{open_folder, retry_open, verbatim};
use retries::{RETRY_TIMEOUT, is_in_use, retry_while_in_use};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_DIR_NOT_EMPTY, GENERIC_READ};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT,
};

/// The mode that every folder has.
const FOLDER_MODE: u32 = 0o755;
/// The mode of a file that has the attribute "read-only".
const READ_ONLY_MODE: u32 = 0o444;

/// `true` if [`Dir::fingerprint`] shows every change of a file. On Windows a program can set all
/// times of a file.
pub const FINGERPRINTS: bool = false;

/// An open folder.
///
/// Names are single segments. A link in the place of a folder or file is refused, never followed.
#[derive(Debug)]
pub struct Dir {
    /// Not shared for deletion, so the folder cannot be renamed or removed.
    handle: File,
    path: PathBuf,
    /// The same path without links, and with the prefix `\\?\`.
    real: PathBuf,
    /// The work folder that contains the folder for files moved aside.
    work: Option<Arc<Path>>,
}

impl Dir {
    /// Opens a folder by a path that the user has chosen, and follows links in it.
    ///
    /// # Errors
    /// [`Machine::Io`], also for an absent folder.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("open", path, error);
        let handle = open_folder(path, 0).map_err(failed)?;
        if !handle.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        // Some volumes cannot resolve a path to its canonical form.
        let real = fs::canonicalize(path).or_else(|_| verbatim(path)).map_err(failed)?;
        Ok(Self { handle, path: path.to_owned(), real, work: None })
    }

    /// Returns the path that the folder was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of an entry, for messages.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn real(&self, name: &str) -> PathBuf {
        self.real.join(name)
    }

    /// Returns `true` if an entry has exactly this name.
    fn has(&self, name: &str) -> Result<bool> {
        Ok(self.stored(name)?.is_some_and(|stored| stored == OsStr::new(name)))
    }

    /// Returns the name of an entry as its folder stores it, which may differ in case.
    fn stored(&self, name: &str) -> Result<Option<OsString>> {
        calls::stored_name(&self.real(name)).map_err(|error| self.error("examine", name, error))
    }

    /// Checks that no entry has a name that differs only in case.
    ///
    /// # Errors
    /// [`Machine::NameTaken`].
    pub fn check_name(&self, name: &str) -> Result<()> {
        match self.stored(name)? {
            Some(stored) if stored != OsStr::new(name) => {
                Err(Machine::NameTaken { path: self.join(name), by: stored.to_string_lossy().into_owned() }.into())
            }
            _ => Ok(()),
        }
    }

    /// Opens a subfolder; returns `None` if it is absent.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if the entry is no folder.
    pub fn folder(&self, name: &str) -> Result<Option<Self>> {
        if !self.has(name)? {
            return Ok(None);
        }
        let real = self.real(name);
        let handle = match open_folder(&real, FILE_FLAG_OPEN_REPARSE_POINT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            handle => handle.map_err(|error| self.error("open", name, error))?,
        };
        let found = handle.metadata().map_err(|error| self.error("examine", name, error))?;
        if !found.is_dir() || found.is_symlink() {
            return Err(Machine::UnsafePath { path: self.join(name) }.into());
        }
        Ok(Some(Self { handle, path: self.join(name), real, work: self.work.clone() }))
    }

    /// Opens a subfolder, and creates it if it is absent.
    ///
    /// # Errors
    /// As [`folder`](Self::folder) and [`make_folder`](Self::make_folder).
    pub fn folder_or_new(&self, name: &str, mode: u32) -> Result<Self> {
        if let Some(dir) = self.folder(name)? {
            return Ok(dir);
        }
        self.make_folder(name, mode)?;
        self.folder(name)?.ok_or_else(|| self.error("open", name, io::ErrorKind::NotFound.into()))
    }

    /// Creates a folder that inherits the rights of its parent; an existing folder stays as it is.
    ///
    /// If `mode` gives other users no right, only trusted users can write to the new folder.
    ///
    /// # Errors
    /// [`Machine::NameTaken`], [`Machine::Io`].
    pub fn make_folder(&self, name: &str, mode: u32) -> Result<()> {
        steps::next("make the folder")?;
        self.check_name(name)?;
        let real = self.real(name);
        let is_private = mode & 0o077 == 0;
        let create = || if is_private { access::create_folder(&real, &self.handle) } else { fs::create_dir(&real) };
        match retry_while_in_use(RETRY_TIMEOUT, |_| self.unless_denied(create())) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done.map_err(|error| self.error("make the folder", name, error)),
        }
    }

    /// Does nothing: folders have no permission bits on Windows.
    ///
    /// # Errors
    /// None.
    pub fn set_mode(&self, _mode: u32) -> Result<()> {
        Ok(())
    }

    /// Removes an empty folder; returns `false` if it is not empty and stays.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn remove_folder(&self, name: &str) -> Result<bool> {
        steps::next("remove the folder")?;
        if !self.has(name)? {
            return Ok(true);
        }
        let real = self.real(name);
        match retry_while_in_use(RETRY_TIMEOUT, |_| self.unless_denied(fs::remove_dir(&real))) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) if calls::is(&error, &[ERROR_DIR_NOT_EMPTY]) => Ok(false),
            Err(error) => Err(self.error("remove the folder", name, error)),
        }
    }

    /// Opens a regular file for reading; returns `None` if it is absent.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if the entry is no regular file.
    pub fn open_file(&self, name: &str) -> Result<Option<File>> {
        if !self.has(name)? {
            return Ok(None);
        }
        let mut options = OpenOptions::new();
        options.access_mode(GENERIC_READ);
        match self.open_regular(name, &mut options) {
            Err(Error::Machine(Machine::Io { source, .. })) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn open_regular(&self, name: &str, options: &mut OpenOptions) -> Result<File> {
        let real = self.real(name);
        let failed = |error| self.error("open", name, error);
        // With "backup semantics" folders open as well. Otherwise a folder would look like a file
        // without read permission.
        let flags = FILE_FLAG_BACKUP_SEMANTICS;
        let file =
            retry_open(|| options.custom_flags(flags | FILE_FLAG_OPEN_REPARSE_POINT).open(&real)).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(Machine::UnsafePath { path: self.join(name) }.into());
        }
        if found.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT == 0 {
            return Ok(file);
        }
        // This reparse point is no link: the file system keeps its content elsewhere, for
        // deduplication or in a cloud. Without the flag, Windows fetches the content.
        options.custom_flags(flags).open(&real).map_err(failed)
    }

    /// Creates a file for writing.
    ///
    /// # Errors
    /// [`Machine::Io`], also if the name exists.
    pub fn create(&self, name: &str) -> Result<File> {
        steps::next("create")?;
        let real = self.real(name);
        let create = || OpenOptions::new().read(true).write(true).create_new(true).open(&real);
        retry_open(create).map_err(|error| self.error("create", name, error))
    }

    /// Opens a state file for reading and writing, and creates it if it is absent.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if the entry is no regular file, [`Machine::Io`].
    pub fn open_or_create(&self, name: &str) -> Result<File> {
        steps::next("open")?;
        let mut options = OpenOptions::new();
        self.open_regular(name, options.read(true).write(true).create(true).truncate(false))
    }

    /// Returns `None`: Windows has no fingerprints.
    ///
    /// # Errors
    /// None.
    pub fn fingerprint(&self, _name: &str) -> Result<Option<Fingerprint>> {
        Ok(None)
    }

    /// Returns `true`: without fingerprints any change may go unseen.
    ///
    /// # Errors
    /// None.
    pub fn may_change_unseen(&self, _name: &str) -> Result<bool> {
        Ok(true)
    }

    /// Returns the kind of entry at `name`.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn find(&self, name: &str) -> Result<Found> {
        if !self.has(name)? {
            return Ok(Found::Absent);
        }
        let real = self.real(name);
        let found = match fs::symlink_metadata(&real) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
            found => found.map_err(|error| self.error("examine", name, error))?,
        };
        let kind = found.file_type();
        // The standard library counts a junction as a link.
        Ok(if kind.is_symlink() {
            // Releases for Windows have no links, so the target of an unreadable link is not
            // needed.
            let target = fs::read_link(&real).unwrap_or_default();
            Found::Link { target: target.to_string_lossy().into_owned() }
        } else if found.is_dir() {
            Found::Folder { mode: FOLDER_MODE }
        } else {
            let mode = if found.permissions().readonly() { READ_ONLY_MODE } else { PLAIN_MODE };
            Found::File { size: found.len(), mode }
        })
    }

    /// Fails always: Windows lets few users create links, and refuses releases with links earlier.
    ///
    /// # Errors
    /// [`Machine::Unsupported`].
    pub fn make_link(&self, _name: &str, _target: &str) -> Result<()> {
        Err(Machine::Unsupported { what: LINKS }.into())
    }

    /// Turns "access denied" into a final error if this user may not change the folder at all.
    fn unless_denied(&self, done: io::Result<()>) -> io::Result<()> {
        match done {
            Err(error) if calls::is(&error, &[ERROR_ACCESS_DENIED]) && !self.is_writable() => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, error.to_string()))
            }
            done => done,
        }
    }

    /// Returns the names of all entries, sorted.
    ///
    /// # Errors
    /// [`Machine::Io`]; [`Machine::UnsafePath`] for a name that is not Unicode.
    pub fn names(&self) -> Result<Vec<String>> {
        let failed = |error| Error::io("list", &self.path, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.real).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.push(name.into_string().map_err(|_| Machine::UnsafePath { path: self.path.clone() })?);
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Does nothing: Windows has no such call.
    ///
    /// Renames are on the disk when they return, and earlier changes precede them in the file
    /// system's log.
    ///
    /// # Errors
    /// None.
    pub fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// Returns `false`: no attribute of Windows prevents a replacement permanently.
    ///
    /// # Errors
    /// None.
    pub fn is_fixed(&self, _name: &str) -> Result<bool> {
        Ok(false)
    }

    /// Returns `true` if this user may create entries.
    pub fn is_writable(&self) -> bool {
        let mut options = OpenOptions::new();
        options.access_mode(FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
        options.open(&self.real).is_ok()
    }

    /// Returns the serial number of the volume; files can be renamed within one volume.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn mount(&self) -> Result<u64> {
        calls::volume(&self.handle).map_err(|error| Error::io("examine", &self.path, error))
    }

    /// Checks that the file system keeps the order of changes through a power cut.
    ///
    /// FAT and exFAT have neither a log of changes nor hard links.
    ///
    /// # Errors
    /// [`Machine::Unsupported`], [`Machine::Io`].
    pub fn check_file_system(&self) -> Result<()> {
        let name = calls::file_system(&self.handle).map_err(|error| Error::io("examine", &self.path, error))?;
        let has_log = !name.to_ascii_uppercase().contains("FAT");
        if has_log {
            Ok(())
        } else {
            Err(Machine::Unsupported { what: "a file system without a log (FAT, exFAT)" }.into())
        }
    }

    /// Returns the folder's own volume.
    ///
    /// A volume that is mounted in a folder is a reparse point, which the updater refuses as a
    /// folder.
    ///
    /// # Errors
    /// As [`mount`](Self::mount).
    pub fn mount_of(&self, _name: &str) -> Result<Option<u64>> {
        self.mount().map(Some)
    }

    /// Returns which users can change the folder's entries.
    ///
    /// The administrators and the system can always do so, and count as the owner.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn writers(&self) -> Result<FolderWriters> {
        access::writers(&self.handle).map_err(|error| Error::io("examine", &self.path, error))
    }

    /// Returns `None`: the access list of a folder holds for its entries, too.
    ///
    /// # Errors
    /// None.
    pub fn foreign_entry(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// Returns the bytes that are free for this user on the folder's volume.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn free_space(&self) -> Result<u64> {
        calls::free_space(&self.real).map_err(|error| Error::io("ask for the free space of", &self.path, error))
    }

    fn error(&self, action: &'static str, name: &str, error: io::Error) -> Error {
        if is_in_use(&error) && !calls::is(&error, &[ERROR_ACCESS_DENIED]) {
            return Machine::InUse { path: self.join(name) }.into();
        }
        Error::io(action, self.join(name), error)
    }
}

/// Returns `true` if a file, folder or link belongs to the administrators or the system itself.
#[cfg(feature = "client")]
pub fn belongs_to_administrators(path: &Path) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options
        .access_mode(windows_sys::Win32::Storage::FileSystem::READ_CONTROL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
    access::belongs_to_administrators(&options.open(path)?)
}

/// Creates a folder by its path.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Makes the bytes of an open file durable.
pub(super) fn sync_file(file: &File) -> io::Result<()> {
    file.sync_all()
}
