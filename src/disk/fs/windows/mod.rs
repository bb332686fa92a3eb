//! Folders by handle and path. While a [`Dir`] is open, no program can rename or remove its folder,
//! so its path keeps leading to this folder, which was no link when it was opened.
//!
//! - Names are taken as they are written: an entry whose name differs in case is another one, which
//!   is not there, and nothing is made, replaced or removed in its place.
//! - Paths are verbatim (`\\?\`), so that they may be longer than 260 characters and nothing in
//!   them has a second meaning.
//! - There are no permission bits. Files have the mode 0644, folders 0755; a file with the
//!   attribute "read-only" has 0444.
//! - A file that is in use may refuse to go: each change is tried again for 30 seconds, after the
//!   first one also by moving the file aside, which the system allows for running programs.
//! - There is no way to sync a folder. Renames return when they are on the disk, and NTFS keeps the
//!   order of changes.

mod access;
mod calls;
mod patience;

use super::{Fingerprint, FolderWriters, Found, LINKS, PLAIN, steps};
use crate::error::{Error, Machine, Result};
use patience::{LITTLE_PATIENCE, PATIENCE, insist, is_in_use};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_DIR_NOT_EMPTY, ERROR_DIRECTORY, ERROR_FILE_EXISTS,
    ERROR_INVALID_FUNCTION, ERROR_NOT_SAME_DEVICE, ERROR_NOT_SUPPORTED, ERROR_TOO_MANY_LINKS, GENERIC_READ,
    GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES,
    FILE_SHARE_READ, FILE_SHARE_WRITE, READ_CONTROL, SYNCHRONIZE,
};

/// The mode that every folder has.
const FOLDER: u32 = 0o755;
/// The mode of a file that has the attribute "read-only".
const READ_ONLY: u32 = 0o444;
/// The folder, in the updater's own, of files that were in use when they had to go.
const ASIDE: &str = "aside";

/// `true` if [`Dir::fingerprint`] shows every change of a file. On Windows a program can set all
/// times of a file.
pub const FINGERPRINTS: bool = false;

/// An open folder. Names are single segments. A link in the place of a folder or file is refused
/// and never followed.
#[derive(Debug)]
pub struct Dir {
    /// Not shared for deletion: that is what holds the folder in its place.
    handle: File,
    path: PathBuf,
    /// The same, verbatim and without links.
    real: PathBuf,
    /// The updater's own folder that has the one for files aside.
    work: Option<Arc<Path>>,
}

impl Dir {
    /// Opens a folder by a path that the user has chosen, so it follows links on the way.
    ///
    /// # Errors
    /// [`Machine::Io`], an absent folder included.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("open", path, error);
        let handle = open_folder(path, 0).map_err(failed)?;
        if !handle.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        // Some volumes do not tell where they are; then the path is taken as it is given.
        let real = fs::canonicalize(path).or_else(|_| verbatim(path)).map_err(failed)?;
        Ok(Self { handle, path: path.to_owned(), real, work: None })
    }

    /// Lets files that are in use and must go be moved to a folder in `work`, on a system that does
    /// not let them be removed. Folders opened in this one do the same.
    pub fn with_aside(mut self, work: &Dir) -> Self {
        self.work = Some(work.real.as_path().into());
        self
    }

    /// Lets files in this folder, one of the updater's own, be moved aside within it.
    pub fn with_own_aside(mut self) -> Self {
        self.work = Some(self.real.as_path().into());
        self
    }

    /// Removes the files that were moved aside in this folder and are no longer in use.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if the entry for such files is no folder.
    pub fn sweep_aside(&self) -> Result<()> {
        let Some(aside) = self.folder(ASIDE)? else { return Ok(()) };
        for name in aside.names()? {
            let path = aside.real(&name);
            // A file in use stays until the next call.
            let _ = set_read_only(&path, false).and_then(|()| fs::remove_file(&path));
        }
        drop(aside);
        let _ = fs::remove_dir(self.real(ASIDE));
        Ok(())
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

    /// Returns `true` if there is an entry of exactly this name.
    fn has(&self, name: &str) -> Result<bool> {
        Ok(self.stored(name)?.is_some_and(|stored| stored == OsStr::new(name)))
    }

    fn stored(&self, name: &str) -> Result<Option<OsString>> {
        calls::stored_name(&self.real(name)).map_err(|error| self.error("examine", name, error))
    }

    /// Checks that no entry has the same name in other letters.
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

    /// Opens a folder in it, made when it is absent.
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

    /// Makes a folder, with the rights that the one above it hands down; one that is there is left
    /// as it is. With a `mode` that gives others no right, only trusted users can write to it.
    ///
    /// # Errors
    /// [`Machine::NameTaken`], [`Machine::Io`].
    pub fn make_folder(&self, name: &str, mode: u32) -> Result<()> {
        steps::next("make the folder")?;
        self.check_name(name)?;
        let real = self.real(name);
        let is_private = mode & 0o077 == 0;
        let create = || if is_private { access::create_folder(&real, &self.handle) } else { fs::create_dir(&real) };
        match insist(PATIENCE, |_| self.unless_denied(create())) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done.map_err(|error| self.error("make the folder", name, error)),
        }
    }

    /// Nothing: folders have no permission bits here.
    ///
    /// # Errors
    /// None.
    pub fn set_mode(&self, _mode: u32) -> Result<()> {
        Ok(())
    }

    /// Removes an empty folder and tells whether it is gone: one that holds something stays.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn remove_folder(&self, name: &str) -> Result<bool> {
        steps::next("remove the folder")?;
        if !self.has(name)? {
            return Ok(true);
        }
        let real = self.real(name);
        match insist(PATIENCE, |_| self.unless_denied(fs::remove_dir(&real))) {
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
        // With "backup semantics" a folder opens too, and can be told from a file that may not be
        // read.
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
        // No link, but content that the file system keeps elsewhere (deduplication, cloud storage):
        // it has to be opened as any other program does.
        options.custom_flags(flags).open(&real).map_err(failed)
    }

    /// Makes a new file for writing; there must be none.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn create(&self, name: &str) -> Result<File> {
        steps::next("create")?;
        let real = self.real(name);
        let create = || OpenOptions::new().read(true).write(true).create_new(true).open(&real);
        retry_open(create).map_err(|error| self.error("create", name, error))
    }

    /// Opens a file of the updater's own for reading and writing, made when absent.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if the entry is no regular file, [`Machine::Io`].
    pub fn open_or_create(&self, name: &str) -> Result<File> {
        steps::next("open")?;
        let mut options = OpenOptions::new();
        self.open_regular(name, options.read(true).write(true).create(true).truncate(false))
    }

    /// Nothing: there are no fingerprints.
    ///
    /// # Errors
    /// None.
    pub fn fingerprint(&self, _name: &str) -> Result<Option<Fingerprint>> {
        Ok(None)
    }

    /// Always: there are no fingerprints.
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
        // To the standard library a junction is one too.
        Ok(if kind.is_symlink() {
            // No release has a link on Windows, so the target of an unreadable one does not matter.
            let target = fs::read_link(&real).unwrap_or_default();
            Found::Link { target: target.to_string_lossy().into_owned() }
        } else if found.is_dir() {
            Found::Folder { mode: FOLDER }
        } else {
            let mode = if found.permissions().readonly() { READ_ONLY } else { PLAIN };
            Found::File { size: found.len(), mode }
        })
    }

    /// Refuses: making links takes a right here that programs do not have, and a release with links
    /// is refused before.
    ///
    /// # Errors
    /// [`Machine::Unsupported`].
    pub fn make_link(&self, _name: &str, _target: &str) -> Result<()> {
        Err(Machine::Unsupported { what: LINKS }.into())
    }

    /// Renames an entry over whatever file `to_name` is in `to`.
    ///
    /// The target is absent for a moment only where it is in use and must be moved aside.
    ///
    /// # Errors
    /// [`Machine::InUse`], [`Machine::NameTaken`], [`Machine::Io`].
    pub fn rename(&self, name: &str, to: &Dir, to_name: &str) -> Result<()> {
        steps::next("replace")?;
        to.check_name(to_name)?;
        let failed = |error| to.error("replace", to_name, error);
        match to.find(to_name)? {
            Found::Folder { .. } => return Err(failed(io::ErrorKind::IsADirectory.into())),
            Found::File { mode, .. } => to.make_writable(to_name, mode)?,
            _ => {}
        }
        let (from, target) = (self.real(name), to.real(to_name));
        insist(PATIENCE, |is_late| {
            let moved = to.unless_denied(calls::move_file(&from, &target, true));
            match moved {
                Err(error) if is_late && is_in_use(&error) => {
                    let Ok(aside) = to.move_aside(to_name) else { return Err(error) };
                    calls::move_file(&from, &target, false).inspect_err(|_| {
                        // Back, so that the target is absent no longer than it must be.
                        let _ = calls::move_file(&aside, &target, false);
                    })
                }
                moved => moved,
            }
        })
        .map_err(failed)
    }

    /// Renames an entry to a free name; returns `false` if the name is taken.
    ///
    /// # Errors
    /// [`Machine::InUse`], [`Machine::Io`].
    pub fn rename_new(&self, name: &str, to: &Dir, to_name: &str) -> Result<bool> {
        steps::next("move")?;
        let (from, target) = (self.real(name), to.real(to_name));
        let mut is_taken = false;
        let moved = insist(PATIENCE, |_| match to.unless_denied(calls::move_file(&from, &target, false)) {
            Err(error) if calls::is(&error, &[ERROR_ALREADY_EXISTS, ERROR_FILE_EXISTS]) => {
                is_taken = true;
                Ok(())
            }
            moved => moved,
        });
        moved.map(|()| !is_taken).map_err(|error| to.error("move to", to_name, error))
    }

    /// Gives a file a second name; returns `false` if this file system cannot.
    ///
    /// # Errors
    /// [`Machine::Io`], an existing `to_name` included.
    pub fn hard_link(&self, name: &str, to: &Dir, to_name: &str) -> Result<bool> {
        steps::next("link")?;
        const CANNOT: [u32; 5] = [
            ERROR_INVALID_FUNCTION,
            ERROR_NOT_SUPPORTED,
            ERROR_NOT_SAME_DEVICE,
            ERROR_TOO_MANY_LINKS,
            ERROR_ACCESS_DENIED,
        ];
        match fs::hard_link(self.real(name), to.real(to_name)) {
            Ok(()) => Ok(true),
            Err(error) if calls::is(&error, &CANNOT) => Ok(false),
            Err(error) => Err(to.error("link", to_name, error)),
        }
    }

    /// Removes a file or a link; does nothing if it is absent. One that is in use is moved aside.
    ///
    /// # Errors
    /// [`Machine::InUse`], [`Machine::Io`].
    pub fn remove_file(&self, name: &str) -> Result<()> {
        steps::next("remove")?;
        let real = self.real(name);
        let remove: fn(&Path) -> io::Result<()> = match self.find(name)? {
            Found::Absent => return Ok(()),
            Found::File { mode, .. } => {
                self.make_writable(name, mode)?;
                |path| fs::remove_file(path)
            }
            // A junction is a folder to the system, and removed as one.
            Found::Link { .. }
                if fs::symlink_metadata(&real)
                    .is_ok_and(|found| found.file_attributes() & FILE_ATTRIBUTE_DIRECTORY != 0) =>
            {
                |path| fs::remove_dir(path)
            }
            _ => |path| fs::remove_file(path),
        };
        let own = self.work.as_deref().is_some_and(|work| real.starts_with(work));
        let patience = if own { LITTLE_PATIENCE } else { PATIENCE };
        let done = insist(patience, |is_late| match self.unless_denied(remove(&real)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if is_late && is_in_use(&error) => self.move_aside(name).map(drop).map_err(|_| error),
            done => done,
        });
        done.map_err(|error| self.error("remove", name, error))
    }

    /// Moves a file that is in use to the updater's own folder, where it stays until
    /// [`sweep_aside`](Self::sweep_aside).
    fn move_aside(&self, name: &str) -> io::Result<PathBuf> {
        let work = self.work.as_deref().ok_or(io::ErrorKind::Unsupported)?;
        let opened = Dir::open(work).and_then(|work| work.folder_or_new(ASIDE, 0));
        let aside = opened.map_err(|error| io::Error::other(error.to_string()))?;
        let mut number = 0_u32;
        loop {
            let path = aside.real(&number.to_string());
            match calls::move_file(&self.real(name), &path, false) {
                Err(error) if calls::is(&error, &[ERROR_ALREADY_EXISTS, ERROR_FILE_EXISTS]) => number += 1,
                moved => return moved.map(|()| path),
            }
        }
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

    /// Takes the attribute "read-only" off a file that is about to go: the system would keep it.
    fn make_writable(&self, name: &str, mode: u32) -> Result<()> {
        if mode == READ_ONLY { self.ensure_mode(name, PLAIN) } else { Ok(()) }
    }

    /// Gives a file the attribute "read-only" or takes it off, as `mode` says.
    ///
    /// # Errors
    /// [`Machine::Io`], an absent file included.
    pub fn ensure_mode(&self, name: &str, mode: u32) -> Result<()> {
        steps::next("set the mode of")?;
        let set = set_read_only(&self.real(name), is_read_only(mode));
        set.map_err(|error| self.error("set the attributes of", name, error))
    }

    /// Gives a file its mode, and makes its bytes last.
    ///
    /// # Errors
    /// [`Machine::Io`], an absent file included.
    pub fn seal(&self, name: &str, mode: u32) -> Result<()> {
        steps::next("sync")?;
        // Only who may write may sync.
        self.ensure_mode(name, PLAIN)?;
        let mut options = OpenOptions::new();
        let file = self.open_regular(name, options.access_mode(GENERIC_READ | GENERIC_WRITE))?;
        file.sync_all().map_err(|error| self.error("sync", name, error))?;
        self.ensure_mode(name, mode)
    }

    /// The names of all entries.
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

    /// Nothing: the system has no such call. Renames are on the disk when they return, and what was
    /// changed before one is in the file system's log before it.
    ///
    /// # Errors
    /// None.
    pub fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// Returns `false`: no attribute keeps a file from being replaced for good here.
    ///
    /// # Errors
    /// None.
    pub fn is_fixed(&self, _name: &str) -> Result<bool> {
        Ok(false)
    }

    /// Returns `true` if this user may make entries.
    pub fn is_writable(&self) -> bool {
        let mut options = OpenOptions::new();
        options.access_mode(FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
        options.open(&self.real).is_ok()
    }

    /// A number that is the same for all folders of one volume: entries can be renamed among them.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn mount(&self) -> Result<u64> {
        calls::volume(&self.handle).map_err(|error| Error::io("examine", &self.path, error))
    }

    /// Checks that the file system keeps the order of changes through a power cut.
    ///
    /// FAT and exFAT have no log of changes and no second names of files.
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

    /// The folder's own volume: one that is mounted in a folder is a reparse point, and no folder
    /// to the updater.
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

    /// The bytes that are free for this user on the folder's volume.
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

/// Returns `true` if a file or folder belongs to the administrators or the system itself.
#[cfg(feature = "client")]
pub fn belongs_to_administrators(path: &Path) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options.access_mode(READ_CONTROL).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    access::belongs_to_administrators(&options.open(path)?)
}

/// The path as the system keeps it, with nothing in it that has a second meaning.
fn verbatim(path: &Path) -> io::Result<PathBuf> {
    use std::path::{Component, Prefix};
    let absolute = std::path::absolute(path)?;
    let start = match absolute.components().next() {
        Some(Component::Prefix(prefix)) => match prefix.kind() {
            Prefix::Disk(_) => r"\\?\",
            Prefix::UNC(..) => r"\\?\UNC",
            _ => "",
        },
        _ => "",
    };
    let mut verbatim = OsString::from(start);
    let rest = absolute.as_os_str();
    match start {
        // One of the two backslashes before the server's name stays.
        r"\\?\UNC" => verbatim.push(OsString::from_wide(&rest.encode_wide().skip(1).collect::<Vec<_>>())),
        _ => verbatim.push(rest),
    }
    Ok(verbatim.into())
}

fn open_folder(path: &Path, flags: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.access_mode(FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | READ_CONTROL | SYNCHRONIZE);
    options.share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS | flags);
    match retry_open(|| options.open(path)) {
        // A file with a slash after it.
        Err(error) if calls::is(&error, &[ERROR_DIRECTORY]) => Err(io::ErrorKind::NotADirectory.into()),
        opened => opened,
    }
}

/// Opens what another program may hold for a moment; a refusal for want of rights is final.
fn retry_open(mut open: impl FnMut() -> io::Result<File>) -> io::Result<File> {
    let mut opened = None;
    let tried = insist(PATIENCE, |_| match open() {
        Err(error) if calls::is(&error, &[ERROR_ACCESS_DENIED]) => {
            opened = Some(Err(error));
            Ok(())
        }
        Err(error) => Err(error),
        Ok(file) => {
            opened = Some(Ok(file));
            Ok(())
        }
    });
    match opened {
        Some(opened) => opened,
        None => Err(tried.err().unwrap_or_else(|| io::ErrorKind::Other.into())),
    }
}

fn is_read_only(mode: u32) -> bool {
    mode & 0o200 == 0
}

fn set_read_only(path: &Path, read_only: bool) -> io::Result<()> {
    let mut permissions = fs::symlink_metadata(path)?.permissions();
    if permissions.readonly() == read_only {
        return Ok(());
    }
    permissions.set_readonly(read_only);
    fs::set_permissions(path, permissions)
}

/// Creates a folder by its path.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// The attribute "read-only" of an open file, by the bit that lets its owner write.
pub(super) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    if permissions.readonly() == is_read_only(mode) {
        return Ok(());
    }
    permissions.set_readonly(is_read_only(mode));
    file.set_permissions(permissions)
}

/// Makes the bytes of an open file durable.
pub(super) fn sync_file(file: &File) -> io::Result<()> {
    file.sync_all()
}
