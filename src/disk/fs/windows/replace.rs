//! Renames and removals, also of files that another program holds open.
//!
//! Windows refuses to remove or replace a file in use, but it allows to rename a running program.
//! So such a file is *moved aside*: to the folder `aside` of the updater's work folder, where it
//! stays until [`Dir::sweep_aside`] finds that no program uses it any more.

use super::retries::{LEFTOVER_RETRY_TIMEOUT, RETRY_TIMEOUT, is_in_use, retry_while_in_use};
use super::{Dir, Found, attributes, calls, steps};
use crate::error::Result;
use std::fs;
use std::io;
use std::os::windows::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_FILE_EXISTS, ERROR_INVALID_FUNCTION, ERROR_NOT_SAME_DEVICE,
    ERROR_NOT_SUPPORTED, ERROR_TOO_MANY_LINKS,
};
use windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_DIRECTORY;

/// The folder for files moved aside, in the updater's work folder.
const ASIDE: &str = "aside";

impl Dir {
    /// Sets the work folder to which files in use are moved aside.
    ///
    /// Subfolders that are opened through this folder use the same work folder.
    pub fn with_aside(mut self, work: &Dir) -> Self {
        self.work = Some(work.real.as_path().into());
        self
    }

    /// Makes this folder its own work folder: files in use are moved aside within it.
    pub fn with_own_aside(mut self) -> Self {
        self.work = Some(self.real.as_path().into());
        self
    }

    /// Removes the files that were moved aside to this work folder and are no longer in use.
    ///
    /// # Errors
    /// `Machine::UnsafePath` if `aside` is no folder.
    pub fn sweep_aside(&self) -> Result<()> {
        let Some(aside) = self.folder(ASIDE)? else { return Ok(()) };
        for name in aside.names()? {
            let path = aside.real(&name);
            // A file in use stays until the next call.
            let _ = attributes::set_read_only(&path, false).and_then(|()| fs::remove_file(&path));
        }
        drop(aside);
        let _ = fs::remove_dir(self.real(ASIDE));
        Ok(())
    }

    /// Renames an entry to `to_name` in the folder `to`, and replaces a file of that name.
    ///
    /// The target is absent for a moment only if it is in use and must be moved aside.
    ///
    /// # Errors
    /// `Machine::InUse`, `Machine::NameTaken`, `Machine::Io`.
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
        retry_while_in_use(RETRY_TIMEOUT, |is_late| {
            let moved = to.unless_denied(calls::move_file(&from, &target, true));
            match moved {
                Err(error) if is_late && is_in_use(&error) => {
                    let Ok(aside) = to.move_aside(to_name) else { return Err(error) };
                    calls::move_file(&from, &target, false).inspect_err(|_| {
                        // The old file returns, because the target must not stay absent.
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
    /// `Machine::InUse`, `Machine::Io`.
    pub fn rename_new(&self, name: &str, to: &Dir, to_name: &str) -> Result<bool> {
        steps::next("move")?;
        let (from, target) = (self.real(name), to.real(to_name));
        let mut is_taken = false;
        let moved =
            retry_while_in_use(RETRY_TIMEOUT, |_| match to.unless_denied(calls::move_file(&from, &target, false)) {
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
    /// `Machine::Io`, an existing `to_name` included.
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

    /// Removes a file or a link; does nothing if it is absent. A file in use is moved aside.
    ///
    /// # Errors
    /// `Machine::InUse`, `Machine::Io`.
    pub fn remove_file(&self, name: &str) -> Result<()> {
        steps::next("remove")?;
        let real = self.real(name);
        let remove: fn(&Path) -> io::Result<()> = match self.find(name)? {
            Found::Absent => return Ok(()),
            Found::File { mode, .. } => {
                self.make_writable(name, mode)?;
                |path| fs::remove_file(path)
            }
            // Windows removes a junction by the call for folders.
            Found::Link { .. }
                if fs::symlink_metadata(&real)
                    .is_ok_and(|found| found.file_attributes() & FILE_ATTRIBUTE_DIRECTORY != 0) =>
            {
                |path| fs::remove_dir(path)
            }
            _ => |path| fs::remove_file(path),
        };
        let own = self.work.as_deref().is_some_and(|work| real.starts_with(work));
        let timeout = if own { LEFTOVER_RETRY_TIMEOUT } else { RETRY_TIMEOUT };
        let done = retry_while_in_use(timeout, |is_late| match self.unless_denied(remove(&real)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if is_late && is_in_use(&error) => self.move_aside(name).map(drop).map_err(|_| error),
            done => done,
        });
        done.map_err(|error| self.error("remove", name, error))
    }

    /// Moves a file in use aside, and returns its new path.
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
}
