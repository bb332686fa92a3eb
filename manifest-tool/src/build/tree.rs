//! The tree of a build folder: the files and links of a release, with names that every client
//! accepts.
//!
//! The tree leaves out `component.toml`, `manifest.xml`, `.patcher` and `.patcher-new-*` at the
//! top, and all entries that the ignore globs match. It also leaves out files of systems and
//! editors, such as `.DS_Store`, unless the allow globs match. Any other entry that cannot be
//! published is an error, because the release would lack a file.

use crate::build::component_file::COMPONENT_FILE;
use crate::build::links::{self, Shortened};
use crate::build::secrets::has_secret_name;
use crate::build::settings::Settings;
use crate::error::{Error, Result};
use crate::site::TEMPORARY_PREFIX;
use patcher::internal::fs::open_regular;
use patcher::internal::manifest::Link;
use patcher::internal::rel_path::{MANIFEST_NAME, RelPath, STATE_DIR_NAME};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use walkdir::{DirEntry, WalkDir};

/// The files and links of a build folder, each sorted by path.
#[derive(Debug)]
pub struct BuildTree {
    dir: PathBuf,
    /// The files, at least one.
    pub files: Vec<TreeFile>,
    /// The links, with the targets that the manifest will have.
    pub links: Vec<Link>,
    /// The links whose targets are shorter than in the build folder.
    pub shortened: Vec<Shortened>,
}

/// A file of a build folder, as it was at the time of reading.
#[derive(Debug)]
pub struct TreeFile {
    /// The path in the release.
    pub path: RelPath,
    /// The size in bytes.
    pub size: u64,
    modified: Option<SystemTime>,
    /// The device and the number of the file, where the system has them.
    identity: Option<(u64, u64)>,
    /// `true` if the manifest marks the file as executable.
    pub executable: bool,
    /// `true` if the file belongs to the user after the installation.
    pub preserve: bool,
    /// `true` if the file may hold a private key.
    pub may_hold_key: bool,
}

impl BuildTree {
    /// Reads the folder `dir`, following no links in it.
    ///
    /// # Errors
    /// [`Error::PublishedSecret`], [`Error::Path`], [`Error::NotUtf8`], [`Error::Special`] or
    /// [`Error::LinkTarget`] for the first thing that cannot be published, [`Error::NoFiles`], or
    /// an I/O error.
    pub fn scan(dir: &Path, settings: &Settings) -> Result<Self> {
        let mut tree = Self { dir: dir.to_owned(), files: Vec::new(), links: Vec::new(), shortened: Vec::new() };
        let relative = |entry: &DirEntry| entry.path().strip_prefix(dir).unwrap_or(entry.path()).to_owned();
        let updaters = [COMPONENT_FILE, MANIFEST_NAME, STATE_DIR_NAME];
        let walk = WalkDir::new(dir).min_depth(1).sort_by_file_name().into_iter().filter_entry(|entry| {
            // Another `sign` may be writing its manifest, under a temporary name.
            let is_temporary = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY_PREFIX));
            let is_own_name = updaters.iter().any(|name| entry.file_name() == *name);
            let is_updaters = entry.depth() == 1 && (is_own_name || is_temporary);
            let is_litter = is_litter(entry.file_name()) && !settings.allow.matches(&relative(entry));
            !is_updaters && !is_litter && !settings.ignore.matches(&relative(entry))
        });
        for entry in walk {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(dir).to_owned();
                Error::io("read", path, error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into()))
            })?;
            if has_secret_name(entry.path()) && !settings.allow.matches(&relative(&entry)) {
                return Err(Error::PublishedSecret { path: entry.path().to_owned() });
            }
            if !entry.file_type().is_dir() {
                tree.add(&entry, &relative(&entry), settings)?;
            }
        }
        if tree.files.is_empty() {
            return Err(Error::NoFiles { path: dir.to_owned() });
        }
        tree.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        tree.links.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        tree.shortened = links::shorten(tree.files.iter().map(|file| &file.path), &mut tree.links);
        match links::first_astray(tree.files.iter().map(|file| &file.path), &tree.links) {
            Some(Link { path, target }) => Err(Error::LinkTarget { path: path.under(dir), target: target.clone() }),
            None => Ok(tree),
        }
    }

    fn add(&mut self, entry: &DirEntry, relative: &Path, settings: &Settings) -> Result<()> {
        let path = || entry.path().to_owned();
        let text = published_path(relative).ok_or_else(|| Error::NotUtf8 { path: path() })?;
        let rel_path = RelPath::new(&text).map_err(|defect| Error::Path { path: path(), defect })?;
        if cfg!(unix) && entry.file_type().is_symlink() {
            let target = fs::read_link(entry.path()).map_err(|error| Error::io("read", path(), error))?;
            let target = target.into_os_string().into_string().map_err(|_| Error::NotUtf8 { path: path() })?;
            self.links.push(Link { path: rel_path, target });
            return Ok(());
        }
        if !entry.file_type().is_file() {
            return Err(Error::Special { path: path() });
        }
        let metadata = fs::symlink_metadata(entry.path()).map_err(|error| Error::io("read", path(), error))?;
        self.files.push(TreeFile {
            path: rel_path,
            size: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(&metadata),
            executable: settings
                .executable
                .as_ref()
                .map_or_else(|| may_start(&metadata), |globs| globs.matches(relative)),
            preserve: settings.preserve.matches(relative),
            may_hold_key: settings.allow_keys.matches(relative),
        });
        Ok(())
    }

    /// Returns the path of `file` on the disk.
    pub fn path(&self, file: &TreeFile) -> PathBuf {
        file.path.under(&self.dir)
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`Error::Changed`] if the path has another file than when the folder was read, or is a link
    /// now; an I/O error.
    pub fn open(&self, file: &TreeFile) -> Result<File> {
        let path = self.path(file);
        let opened = open_regular(&path).map_err(|error| Error::io("read", &path, error))?;
        let now = opened.metadata().map_err(|error| Error::io("read", &path, error))?;
        let is_same = now.len() == file.size && now.modified().ok() == file.modified && identity(&now) == file.identity;
        if is_same { Ok(opened) } else { Err(Error::Changed { path }) }
    }

    /// Fails if the size or the time of a file has changed since the folder was read.
    ///
    /// # Errors
    /// [`Error::Changed`].
    pub fn check_unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(|file| {
            let path = self.path(file);
            match fs::symlink_metadata(&path) {
                Ok(now) if now.is_file() && now.len() == file.size && now.modified().ok() == file.modified => Ok(()),
                _ => Err(Error::Changed { path }),
            }
        })
    }
}

/// Returns `true` for the name of a file that systems and editors leave behind.
fn is_litter(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let is_swap = name.starts_with('.') && [".swp", ".swo"].iter().any(|end| name.ends_with(end));
    matches!(name, ".DS_Store" | "Thumbs.db" | "desktop.ini")
        || is_swap
        || name.ends_with('~')
        || name.starts_with(".#")
}

/// Returns the path as manifests write it; `None` if it is not UTF-8.
fn published_path(relative: &Path) -> Option<String> {
    let segments: Option<Vec<&str>> = relative.iter().map(|segment| segment.to_str()).collect();
    Some(segments?.join("/"))
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}

#[cfg(unix)]
fn may_start(metadata: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
fn may_start(_: &Metadata) -> bool {
    false
}
