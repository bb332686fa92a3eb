//! Publishing: copies a site to the folder or object store that clients read.
//!
//! - The order is objects, past manifests and manifest deltas, latest manifests, heads. So at any
//!   moment, each manifest at the destination names objects that are there, and each head names a
//!   manifest that is there.
//! - The tool sends new files only. It recognizes an object at the destination by the name and size
//!   in a listing.
//! - The tool checks each new object at the destination before it sends a manifest that names it.
//!   It reads the manifests back.
//! - The tool sends nothing to a destination that has a later release than the site: another
//!   publisher has published there.
//! - The tool removes nothing. After `prune`, a copying program can delete the files that the site
//!   no longer has.

#[cfg(feature = "cloud")]
mod cloud;
mod folder;
mod github;

#[cfg(feature = "cloud")]
pub use cloud::{Cloud, StoreAddress};
pub use folder::Folder;
pub use github::GitHub;

use crate::error::{Error, Result};
use crate::site::heads::head_with_stamp_of;
use crate::site::manifest_file::ManifestFile;
use crate::site::site_keys::SiteKeys;
use crate::site::{self, ComponentSite, ManifestDeltaFile, Manifests, manifest_deltas};
use patcher::internal::digest::Sha256;
use patcher::internal::fs::{Lock, open_regular, read_regular};
use patcher::internal::head::{Head, MAX_HEAD_BYTES};
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{Meta, Object, SiteLayout};
use patcher::internal::trust;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::{NamedTempFile, TempPath};

/// A folder or an object store that clients or their web server read.
///
/// Paths are relative to it and have slashes.
pub trait Destination: Send + Sync {
    /// Checks, before the first byte is sent, that the destination takes files of these names, of
    /// which the largest one has `largest` bytes.
    ///
    /// # Errors
    /// [`Error::NotTaken`].
    fn prepare(&self, paths: &BTreeSet<&str>, largest: u64) -> Result<()> {
        let _ = (paths, largest);
        Ok(())
    }

    /// Lists all files below the folder `below`, by path.
    ///
    /// # Errors
    /// [`Error::ObjectStore`], or the system's answer.
    fn list(&self, below: &str) -> Result<HashMap<String, Listed>>;

    /// Reads a small file; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::ObjectStore`], or an I/O error.
    fn read(&self, path: &str) -> Result<Option<Copied>>;

    /// Reads the small file that clients get until [`finish`](Self::finish) at a destination that
    /// appears as a whole; `None` elsewhere.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_before(&self, path: &str) -> Result<Option<Copied>> {
        let _ = path;
        Ok(None)
    }

    /// Replaces the small file `old`, or creates the file if `old` is `None`.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the file is no longer `old`; [`Error::ObjectStore`], or an I/O error.
    fn replace(&self, path: &str, bytes: &[u8], old: Option<&Copied>, served: Served) -> Result<()>;

    /// Locks a component against other publishers; `None` where there is no lock.
    ///
    /// # Errors
    /// [`patcher::Error::Busy`], or an I/O error.
    fn lock(&self, component: &SiteNames) -> Result<Option<Lock>>;

    /// Copies the file `from`, which appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::ObjectStore`], or the system's answer.
    fn put(&self, path: &str, from: &Path, served: Served) -> Result<()>;

    /// Checks that clients get a sent object as it should be.
    ///
    /// # Errors
    /// [`Error::CopyDiffers`], [`Error::ObjectStore`], or the system's answer.
    fn check(&self, path: &str, object: &Object, served: Served) -> Result<()>;

    /// Shows clients what was sent, at a destination that appears as a whole. `latest` are the
    /// newest releases.
    ///
    /// # Errors
    /// [`Error::ObjectStore`].
    fn finish(&self, latest: &[Meta]) -> Result<()> {
        let _ = latest;
        Ok(())
    }

    /// Returns the place of a path as people write it.
    fn name(&self, path: &str) -> String;
}

/// A small file at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The store's name for this version of the file.
    pub etag: Option<String>,
}

/// An entry of a listing.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// The size in bytes.
    pub bytes: u64,
    /// The time of the last change.
    pub modified: SystemTime,
}

/// The headers with which a server sends a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Cache-Control`.
    pub cache_control: &'static str,
}

impl Served {
    /// Returns the headers for a path of a site.
    ///
    /// Objects never change, so clients may cache them for ever. Manifests and heads do change.
    pub fn of(path: &str) -> Self {
        let (content_type, is_object) = match path.rsplit_once('.') {
            Some((_, "gz")) => ("application/gzip", true),
            Some((_, "xml")) => ("application/xml", false),
            _ => ("application/octet-stream", true),
        };
        let cache_control = if is_object { "public, max-age=31536000, immutable" } else { "no-cache" };
        Self { content_type, cache_control }
    }
}

/// The result of publishing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The number of sent objects.
    pub objects: usize,
    /// The number of objects that were at the destination already.
    pub known: usize,
    /// The number of sent manifests, not counting heads and manifest deltas.
    pub manifests: usize,
    /// The size of all sent files in bytes.
    pub bytes: u64,
    /// The latest release of each component and channel.
    pub latest: Vec<Meta>,
    /// The releases that demand a stamp, and whose heads have none.
    pub unstamped: Vec<Meta>,
    /// The number of sent files: objects, manifests, manifest deltas and heads.
    pub uploads: usize,
}

/// A file of the site to be sent.
struct Item {
    from: PathBuf,
    path: String,
    bytes: u64,
    /// The time of the last change on the site.
    modified: Option<SystemTime>,
}

/// All files of a site, in the order of sending.
#[derive(Default)]
struct Cargo {
    objects: BTreeMap<String, (PathBuf, Object)>,
    past: Vec<Item>,
    latest: Vec<(Item, ManifestFile)>,
    /// The folders of objects and past manifests.
    dirs: BTreeSet<String>,
    /// A component for each folder that has a lock.
    locked: Vec<SiteNames>,
    /// Copies of manifest deltas, which are removed at the end.
    copies: Vec<TempPath>,
    /// Locks against other commands that change the site.
    locks: Vec<Lock>,
}

/// How a site is published.
#[derive(Debug, Clone, Copy)]
pub struct PublishOptions {
    /// The number of files to send at the same time.
    pub parallel: usize,
    /// `true` sends nothing, and returns what would be sent.
    pub is_dry_run: bool,
}

/// Copies the site in the folder `site` to `destination`.
///
/// # Errors
/// [`Error::EmptySite`], [`Error::NoObject`], [`Error::OtherSigner`] and
/// [`Error::DestinationAhead`] before anything is sent; [`Error::DamagedObject`] and
/// [`Error::CopyDiffers`]; those of the [`Destination`].
pub fn publish(site: &Path, keys: &SiteKeys, destination: &dyn Destination, options: PublishOptions) -> Result<Sent> {
    let cargo = Cargo::of(site, keys)?;
    let _locks = cargo.locked.iter().map(|names| destination.lock(names)).collect::<Result<Vec<_>>>()?;
    let mut latest = Vec::new();
    for (item, manifest) in &cargo.latest {
        let theirs = destination.read(&item.path)?;
        if let Some(before) = destination.read_before(&item.path)? {
            is_news(item, manifest, Some(&before), keys, destination)?;
        }
        if is_news(item, manifest, theirs.as_ref(), keys, destination)? {
            latest.push((item, manifest, theirs));
        }
    }
    let heads: Vec<String> = cargo.latest.iter().map(|(item, manifest)| head_path(&item.path, manifest)).collect();
    let items = || cargo.past.iter().chain(cargo.latest.iter().map(|(item, _)| item));
    let mut paths: BTreeSet<&str> = cargo.objects.keys().chain(&heads).map(String::as_str).collect();
    paths.extend(items().map(|item| item.path.as_str()));
    let sizes = cargo.objects.values().map(|(_, object)| object.size).chain(items().map(|item| item.bytes));
    destination.prepare(&paths, sizes.max().unwrap_or(0))?;
    let mut there = HashMap::new();
    for dir in &cargo.dirs {
        there.extend(destination.list(dir)?);
    }
    let is_there = |path: &String, object: &Object| there.get(path).is_some_and(|listed| listed.bytes == object.size);
    let new: Vec<_> = cargo.objects.iter().filter(|(path, (_, object))| !is_there(path, object)).collect();
    let past: Vec<&Item> = cargo.past.iter().filter(|item| !is_current(item, there.get(&item.path))).collect();

    let mut sent = Sent {
        objects: new.len(),
        known: cargo.objects.len() - new.len(),
        manifests: past.iter().filter(|item| item.path.ends_with(".xml")).count() + latest.len(),
        bytes: new.iter().map(|(_, (_, object))| object.size).sum(),
        latest: cargo.latest.iter().map(|(_, file)| file.manifest.meta.clone()).collect(),
        unstamped: Vec::new(),
        uploads: new.len() + past.len() + latest.len(),
    };
    sent.bytes += past.iter().chain(latest.iter().map(|(item, ..)| item)).map(|item| item.bytes).sum::<u64>();
    if options.is_dry_run {
        for ((_, manifest), path) in cargo.latest.iter().zip(&heads) {
            sent.add(&NewHead::of(site, manifest, path, destination)?, manifest);
        }
        return Ok(sent);
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(options.parallel.max(1)).build();
    let threads = threads.map_err(|error| Error::io("start", "threads", std::io::Error::other(error)))?;
    threads.install(|| {
        new.into_par_iter().try_for_each(|(path, (from, object))| {
            let served = Served::of(path);
            check_object(from, object)?;
            destination.put(path, from, served)?;
            destination.check(path, object, served)
        })?;
        past.into_par_iter().try_for_each(|item| destination.put(&item.path, &item.from, Served::of(&item.path)))
    })?;
    for (item, manifest, theirs) in &latest {
        destination.replace(&item.path, &manifest.bytes, theirs.as_ref(), Served::of(&item.path))?;
    }
    for (item, manifest, _) in latest {
        if destination.read(&item.path)?.is_none_or(|there| there.bytes != manifest.bytes) {
            let detail = "it is another manifest than the site's".to_owned();
            return Err(Error::CopyDiffers { place: destination.name(&item.path), detail });
        }
    }
    for ((_, manifest), path) in cargo.latest.iter().zip(&heads) {
        let new = NewHead::of(site, manifest, path, destination)?;
        if new.is_news() {
            destination.replace(path, &new.bytes, new.theirs.as_ref(), Served::of(path))?;
        }
        sent.add(&new, manifest);
    }
    destination.finish(&sent.latest)?;
    Ok(sent)
}

/// A head to send.
struct NewHead {
    head: Head,
    bytes: Vec<u8>,
    /// The head at the destination.
    theirs: Option<Copied>,
}

impl NewHead {
    /// Makes the head of a manifest, with the last stamp of both sides.
    fn of(site: &Path, manifest: &ManifestFile, path: &str, destination: &dyn Destination) -> Result<Self> {
        let theirs = destination.read(path)?;
        // A program at the destination may have stamped its head.
        let ours = read_regular(&site.join(path), MAX_HEAD_BYTES);
        let stamped = [ours.ok(), theirs.as_ref().map(|theirs| theirs.bytes.clone())];
        let stamped: Vec<&[u8]> = stamped.iter().flatten().map(Vec::as_slice).collect();
        let head = head_with_stamp_of(manifest, &stamped);
        Ok(Self { bytes: head.to_bytes(), head, theirs })
    }

    /// Returns `true` if the destination has another head.
    fn is_news(&self) -> bool {
        self.theirs.as_ref().is_none_or(|theirs| theirs.bytes != self.bytes)
    }
}

impl Sent {
    /// Counts the head of a manifest.
    fn add(&mut self, new: &NewHead, manifest: &ManifestFile) {
        if new.is_news() {
            self.bytes += new.bytes.len() as u64;
            self.uploads += 1;
        }
        if new.head.stamp.is_none() && manifest.manifest.meta.freshness.is_some() {
            self.unstamped.push(manifest.manifest.meta.clone());
        }
    }
}

/// Returns the path of the head that names the manifest at `manifest_path`.
fn head_path(manifest_path: &str, manifest: &ManifestFile) -> String {
    let (names, channel) = (SiteNames::of(&manifest.manifest.meta), &manifest.manifest.meta.channel);
    let dir = manifest_path.strip_suffix(&names.manifest(channel)).unwrap_or_default();
    format!("{dir}{}", names.head(channel))
}

impl Cargo {
    fn of(dir: &Path, keys: &SiteKeys) -> Result<Self> {
        let mut cargo = Self::default();
        for site in site::releases(dir, keys)? {
            cargo.add(dir, &site)?;
        }
        if cargo.latest.is_empty() { Err(Error::EmptySite { path: dir.to_owned() }) } else { Ok(cargo) }
    }

    /// Adds the releases of a component for one platform.
    fn add(&mut self, dir: &Path, site: &ComponentSite) -> Result<()> {
        // No file of a component has a name that is not UTF-8.
        let below = |path: &Path| {
            let parts = path.strip_prefix(dir).unwrap_or(path).components();
            let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
            parts.join("/")
        };
        // The platforms of a component share its lock, and so do all components of a flat layout.
        let is_same = |names: &SiteNames| match names.layout() {
            SiteLayout::Folders => names.component() == site.names().component(),
            SiteLayout::Flat => site.names().layout() == SiteLayout::Flat,
        };
        if !self.locked.iter().any(is_same) {
            self.locks.push(site.lock()?);
            self.locked.push(site.names().clone());
        }
        let objects = match site.names().layout() {
            SiteLayout::Folders => site.path("objects"),
            SiteLayout::Flat => dir.to_owned(),
        };
        self.dirs.extend([objects, site.releases_dir()].map(|path| below(&path)));
        let Manifests { latest, past, .. } = site.manifests()?;
        self.add_deltas(site, &latest, &past, below)?;
        let past = past.into_iter().map(|file| (file, false));
        for (file, is_latest) in latest.into_iter().map(|file| (file, true)).chain(past) {
            for (object, signed) in site::objects(&file.manifest) {
                let place = site.path(&object);
                if !place.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() == signed.size) {
                    return Err(Error::NoObject { manifest: file.path, object });
                }
                self.objects.entry(below(&place)).or_insert((place, signed));
            }
            let (path, bytes) = (below(&file.path), file.bytes.len() as u64);
            let item = Item { from: file.path.clone(), path, bytes, modified: modified(&file.path) };
            if is_latest { self.latest.push((item, file)) } else { self.past.push(item) }
        }
        Ok(())
    }

    /// Adds the manifest deltas that make one of the latest manifests.
    ///
    /// Nothing signs a delta, so a file of the site could be anything, such as a link to a private
    /// key. The verified bytes are sent from a copy.
    fn add_deltas(
        &mut self,
        site: &ComponentSite,
        latest: &[ManifestFile],
        past: &[ManifestFile],
        below: impl Fn(&Path) -> String,
    ) -> Result<()> {
        for ManifestDeltaFile { to, from, path } in site.manifest_deltas()? {
            let Some(new) = latest.iter().find(|file| file.manifest.meta.sequence == to) else { continue };
            let old = latest.iter().chain(past).find(|file| file.manifest.meta.sequence == from);
            let Some(bytes) = old.and_then(|old| manifest_deltas::verified(&path, old, new)) else { continue };
            let modified = modified(&path);
            let mut copy = NamedTempFile::new().map_err(|error| Error::io("create", "a temporary file", error))?;
            copy.write_all(&bytes).map_err(|error| Error::io("write", copy.path(), error))?;
            let (from, bytes) = (copy.path().to_owned(), bytes.len() as u64);
            self.past.push(Item { from, path: below(&path), bytes, modified });
            self.copies.push(copy.into_temp_path());
        }
        Ok(())
    }
}

/// Returns `true` if the destination has another latest manifest than the site.
///
/// # Errors
/// [`Error::OtherSigner`] and [`Error::DestinationAhead`] if another publisher's release is there.
fn is_news(
    item: &Item,
    ours: &ManifestFile,
    theirs: Option<&Copied>,
    keys: &SiteKeys,
    destination: &dyn Destination,
) -> Result<bool> {
    let Some(theirs) = theirs else { return Ok(true) };
    let path = destination.name(&item.path);
    let read = keys.verify(Path::new(&path), |keys| trust::authenticate(theirs.bytes.clone(), keys));
    let theirs = match read.and_then(|verified| ManifestFile::from_bytes(Path::new(&path), verified.bytes().to_vec())) {
        Ok(theirs) => theirs,
        // Another publisher's. A human must decide which of the two stays.
        Err(error @ Error::OtherSigner { .. }) => return Err(error),
        // It is no manifest, and no client takes it.
        Err(_) => return Ok(true),
    };
    let (found, sequence) = (theirs.manifest.meta.sequence, ours.manifest.meta.sequence);
    let is_other = found == sequence && Sha256::of(&theirs.signed.body) != Sha256::of(&ours.signed.body);
    if found > sequence || is_other {
        return Err(Error::DestinationAhead { place: destination.name(&item.path), found, sequence });
    }
    Ok(theirs.bytes != ours.bytes)
}

/// Returns the time of the last change of a file.
fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Checks the bytes of an object on the site.
fn check_object(path: &Path, object: &Object) -> Result<()> {
    let failed = |error| Error::io("read", path, error);
    let found = Sha256::of_reader(&mut open_regular(path).map_err(failed)?).map_err(failed)?;
    if found == (object.sha256, object.size) { Ok(()) } else { Err(Error::DamagedObject { path: path.to_owned() }) }
}

/// Returns `true` if the destination has a past manifest of the same size that is not older than
/// that of the site.
fn is_current(item: &Item, there: Option<&Listed>) -> bool {
    let (Some(there), Some(modified)) = (there, item.modified) else { return false };
    there.bytes == item.bytes && there.modified >= modified
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_kept_for_ever_and_manifests_are_asked_for_again() {
        let of = |path| (Served::of(path).content_type, Served::of(path).cache_control);
        let for_ever = "public, max-age=31536000, immutable";
        assert_eq!(of("core/manifest.xml"), ("application/xml", "no-cache"));
        assert_eq!(of("core/releases/41.xml"), ("application/xml", "no-cache"));
        assert_eq!(of("core/objects/ab/ab12.gz"), ("application/gzip", for_ever));
        assert_eq!(of("core/objects/ab/ab12.delta"), ("application/octet-stream", for_ever));
        assert_eq!(of("core/objects/ab/ab12.chunks"), ("application/octet-stream", for_ever));
    }
}
