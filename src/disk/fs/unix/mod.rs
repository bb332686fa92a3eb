//! An open folder on Unix: `openat` and its family, never through a symbolic link (POSIX.1-2008).

mod case;
mod mount;
mod writers;

#[cfg(test)]
use super::simulated::calls;
use super::{Fingerprint, Found, steps};
use crate::error::{Error, Machine, Result};
#[cfg(not(test))]
use rustix::fs as calls;
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// `true` if [`Dir::fingerprint`] shows every change of a file, apart from those that
/// [`Dir::may_change_unseen`] names.
pub const FINGERPRINTS: bool = true;

/// An open folder. Names are single segments. A link in the place of a folder or file is refused
/// and never followed.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    /// `true` if `readme` and `README` are one name in this folder; unset until that is known.
    ignores_case: OnceLock<bool>,
}

/// The flags that open a folder.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Dir {
    /// Opens a folder by a path that the user has chosen, so it follows links on the way.
    ///
    /// # Errors
    /// [`Machine::Io`], an absent folder included.
    pub fn open(path: &Path) -> Result<Self> {
        let fd = calls::open(path, FOLDER, Mode::empty()).map_err(|errno| Error::io("open", path, errno.into()))?;
        Ok(Self { fd, path: path.to_owned(), ignores_case: OnceLock::new() })
    }

    /// Returns the same folder: Unix can remove and replace files in use, and moves none aside.
    pub fn with_aside(self, _work: &Dir) -> Self {
        self
    }

    /// Returns the same folder, as [`with_aside`](Self::with_aside) does.
    pub fn with_own_aside(self) -> Self {
        self
    }

    /// Does nothing: see [`with_aside`](Self::with_aside).
    ///
    /// # Errors
    /// None.
    pub fn sweep_aside(&self) -> Result<()> {
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

    /// Opens a subfolder; returns `None` if it is absent.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if the entry is no folder.
    pub fn folder(&self, name: &str) -> Result<Option<Self>> {
        match calls::openat(&self.fd, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) if self.is_other(name, &fd)? => Ok(None),
            Ok(fd) => Ok(Some(Self { fd, path: self.join(name), ignores_case: OnceLock::new() })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) if self.stat(name)?.is_none() => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => {
                Err(Machine::UnsafePath { path: self.join(name) }.into())
            }
            Err(errno) => Err(self.error("open", name, errno)),
        }
    }

    /// Opens a subfolder, or creates it with `mode`. The folder is durable when this returns.
    ///
    /// # Errors
    /// As [`folder`](Self::folder) and [`make_folder`](Self::make_folder).
    pub fn folder_or_new(&self, name: &str, mode: u32) -> Result<Self> {
        if let Some(dir) = self.folder(name)? {
            return Ok(dir);
        }
        self.make_folder(name, mode)?;
        self.sync()?;
        self.folder(name)?.ok_or_else(|| self.error("open", name, Errno::NOENT))
    }

    /// Creates a folder; an existing one stays unchanged.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn make_folder(&self, name: &str, mode: u32) -> Result<()> {
        steps::next("make the folder")?;
        match calls::mkdirat(&self.fd, name, Mode::from_raw_mode(mode as rustix::fs::RawMode)) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => self.check_name(name),
            Err(errno) => Err(self.error("make the folder", name, errno)),
        }
    }

    /// Sets the folder's own permission bits.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        steps::next("set the mode of")?;
        let done = calls::fchmod(&self.fd, Mode::from_raw_mode(mode as rustix::fs::RawMode));
        done.map_err(|errno| self.error("set the mode of", ".", errno))
    }

    /// Removes an empty folder; returns `false` if it stays because it has entries or is a mount
    /// point.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn remove_folder(&self, name: &str) -> Result<bool> {
        steps::next("remove the folder")?;
        if !self.may_touch(name)? {
            return Ok(true);
        }
        match calls::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            // BUSY: a mount point.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) => Ok(false),
            Err(errno) => Err(self.error("remove the folder", name, errno)),
        }
    }

    /// Opens a regular file for reading; returns `None` if it is absent.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if the entry is no regular file.
    pub fn open_file(&self, name: &str) -> Result<Option<File>> {
        // O_NONBLOCK: a pipe in the place of the file must not block the program.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match calls::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) if self.is_other(name, &fd)? => Ok(None),
            Ok(fd) => self.regular(name, fd).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => Err(Machine::UnsafePath { path: self.join(name) }.into()),
            Err(errno) => Err(self.error("open", name, errno)),
        }
    }

    /// Creates a file for writing that only this user can read; `name` must be free.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn create(&self, name: &str) -> Result<File> {
        steps::next("create")?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = calls::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR);
        fd.map(File::from).map_err(|errno| self.error("create", name, errno))
    }

    /// Opens a file of the updater for reading and appending, or creates it.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if the entry is no regular file, [`Machine::Io`].
    pub fn open_or_create(&self, name: &str) -> Result<File> {
        steps::next("open")?;
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match calls::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => self.regular(name, fd),
            Err(Errno::LOOP | Errno::MLINK | Errno::ISDIR) => Err(Machine::UnsafePath { path: self.join(name) }.into()),
            Err(errno) => Err(self.error("open", name, errno)),
        }
    }

    fn regular(&self, name: &str, fd: OwnedFd) -> Result<File> {
        let stat = calls::fstat(&fd).map_err(|errno| self.error("examine", name, errno))?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(Machine::UnsafePath { path: self.join(name) }.into());
        }
        Ok(File::from(fd))
    }

    /// Returns the kind of entry at `name`.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn find(&self, name: &str) -> Result<Found> {
        let Some(stat) = self.stat(name)? else { return Ok(Found::Absent) };
        let mode = permissions(&stat);
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::File { size: u64::try_from(stat.st_size).unwrap_or(0), mode },
            FileType::Directory => Found::Folder { mode },
            FileType::Symlink => Found::Link { target: self.read_link(name)? },
            _ => Found::Special,
        })
    }

    /// Returns the fingerprint of the entry at `name`; `None` if it is absent.
    ///
    /// # Errors
    /// [`Machine::Io`].
    #[cfg_attr(target_os = "linux", expect(clippy::unnecessary_cast, reason = "the fields have other types on macOS"))]
    pub fn fingerprint(&self, name: &str) -> Result<Option<Fingerprint>> {
        Ok(self.stat(name)?.map(|stat| Fingerprint {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }))
    }

    /// Returns `true` if the file at `name` can change without a new [`Fingerprint`].
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub fn may_change_unseen(&self, name: &str) -> Result<bool> {
        let file = self.open_file(name)?;
        #[cfg(target_os = "linux")]
        return Ok(file.is_some_and(|file| super::unseen::may_change_unseen(&file)));
        // macOS does not tell whether a program has mapped a file.
        #[cfg(not(target_os = "linux"))]
        return Ok(file.is_some());
    }

    /// Examines the entry of exactly this name.
    fn stat(&self, name: &str) -> Result<Option<Stat>> {
        let Some(found) = self.raw_stat(name)? else { return Ok(None) };
        Ok(if self.other_name(name, &found)?.is_some() { None } else { Some(found) })
    }

    fn raw_stat(&self, name: &str) -> Result<Option<Stat>> {
        match calls::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("examine", name, errno)),
        }
    }

    fn read_link(&self, name: &str) -> Result<String> {
        let target = calls::readlinkat(&self.fd, name, Vec::new()).map_err(|errno| self.error("read", name, errno))?;
        // No release has such a target, so a replacement for it is good enough.
        Ok(target.to_string_lossy().into_owned())
    }

    /// Creates a symbolic link; `name` must be free.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn make_link(&self, name: &str, target: &str) -> Result<()> {
        steps::next("make the link")?;
        calls::symlinkat(target, &self.fd, name).map_err(|errno| self.error("make the link", name, errno))
    }

    /// Renames an entry to `to_name` in `to`, and replaces a file there, in one step.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn rename(&self, name: &str, to: &Dir, to_name: &str) -> Result<()> {
        steps::next("replace")?;
        if !to.may_touch(to_name)? {
            to.check_name(to_name)?;
        }
        calls::renameat(&self.fd, name, &to.fd, to_name).map_err(|errno| to.error("replace", to_name, errno))
    }

    /// Renames an entry to a free name; returns `false` if the name is taken.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn rename_new(&self, name: &str, to: &Dir, to_name: &str) -> Result<bool> {
        steps::next("move")?;
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        match calls::renameat_with(&self.fd, name, &to.fd, to_name, rustix::fs::RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => return Ok(false),
            // A file system or kernel without this flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(to.error("move to", to_name, errno)),
        }
        if to.stat(to_name)?.is_some() {
            return Ok(false);
        }
        let moved = calls::renameat(&self.fd, name, &to.fd, to_name);
        moved.map(|()| true).map_err(|errno| to.error("move to", to_name, errno))
    }

    /// Gives a file a second name; returns `false` if this file system cannot.
    ///
    /// # Errors
    /// [`Machine::Io`], an existing `to_name` included.
    pub fn hard_link(&self, name: &str, to: &Dir, to_name: &str) -> Result<bool> {
        steps::next("link")?;
        match calls::linkat(&self.fd, name, &to.fd, to_name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            // PERM: a file system without hard links, or a kernel that protects the files of other
            // owners (fs.protected_hardlinks).
            Err(Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK | Errno::NOSYS) => Ok(false),
            Err(errno) => Err(to.error("link", to_name, errno)),
        }
    }

    /// Removes a file or a link; does nothing if it is absent.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn remove_file(&self, name: &str) -> Result<()> {
        steps::next("remove")?;
        if !self.may_touch(name)? {
            return Ok(());
        }
        match calls::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("remove", name, errno)),
        }
    }

    /// Sets the mode of a file, unless the file has it already.
    ///
    /// # Errors
    /// [`Machine::Io`], an absent file included.
    pub fn ensure_mode(&self, name: &str, mode: u32) -> Result<()> {
        steps::next("set the mode of")?;
        if matches!(self.find(name)?, Found::File { mode: found, .. } if found == mode) {
            return Ok(());
        }
        let file = self.open_file(name)?.ok_or_else(|| self.error("open", name, Errno::NOENT))?;
        super::set_mode(&file, mode).map_err(|error| Error::io("set the mode of", self.join(name), error))
    }

    /// Sets the mode of a file, and makes its bytes and mode durable.
    ///
    /// # Errors
    /// [`Machine::Io`], an absent file included.
    pub fn seal(&self, name: &str, mode: u32) -> Result<()> {
        steps::next("sync")?;
        let file = self.open_file(name)?;
        let seal = |file: File| super::set_mode(&file, mode).and_then(|()| sync_file(&file));
        let sealed = file.map_or(Err(io::ErrorKind::NotFound.into()), seal);
        sealed.map_err(|error| Error::io("sync", self.join(name), error))
    }

    /// Returns the names of all entries that are UTF-8.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn names(&self) -> Result<Vec<String>> {
        let failed = |errno| self.error("list", ".", errno);
        let mut names = Vec::new();
        for entry in calls::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Neither the updater nor a release has a name that is not UTF-8.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Makes all creations, renames and removals in the folder durable.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn sync(&self) -> Result<()> {
        steps::next("sync")?;
        calls::fsync(&self.fd).map_err(|errno| self.error("sync", ".", errno))
    }

    /// Returns `true` if this user may create and remove entries.
    pub fn is_writable(&self) -> bool {
        calls::accessat(&self.fd, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
    }

    fn error(&self, action: &'static str, name: &str, errno: Errno) -> Error {
        let path = if name == "." { self.path.clone() } else { self.join(name) };
        Error::io(action, path, errno.into())
    }
}

#[cfg_attr(target_os = "linux", expect(clippy::unnecessary_cast, reason = "the field has 16 bits on macOS"))]
fn permissions(stat: &Stat) -> u32 {
    (stat.st_mode as u32) & 0o7777
}

/// Creates a folder by its path.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    Ok(calls::mkdir(path, Mode::from_raw_mode(0o777))?)
}

/// Returns the permission bits of an open file.
pub(super) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(calls::fchmod(file, Mode::from_raw_mode(mode as rustix::fs::RawMode))?)
}

/// Makes the bytes and the mode of an open file durable.
pub(super) fn sync_file(file: &File) -> io::Result<()> {
    Ok(calls::fsync(file)?)
}
