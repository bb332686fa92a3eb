//! Publishing: copies a site to the folder or object store that clients read.
//!
//! `site_files` lists the files to send, and a [`Destination`] takes them.
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

mod checked_file;
#[cfg(feature = "cloud")]
mod cloud;
mod destination;
mod folder;
mod github;
mod site_files;

pub use checked_file::CheckedFile;
#[cfg(feature = "cloud")]
pub use cloud::{Cloud, StoreAddress};
pub use destination::{Destination, ListedFile, RemoteFile, ResponseHeaders};
pub use folder::Folder;
pub use github::GitHub;

use crate::error::{Error, Result};
use crate::site::heads::head_with_stamp_of;
use crate::site::manifest_file::ManifestFile;
use crate::site::site_keys::SiteKeys;
use patcher::internal::digest::Sha256;
use patcher::internal::fs::read_regular;
use patcher::internal::head::{Head, MAX_HEAD_BYTES};
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{Meta, Object};
use patcher::internal::trust;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use site_files::{SiteFile, SiteFiles};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

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
    let files = SiteFiles::of(site, keys)?;
    let _locks = files.locked.iter().map(|names| destination.lock(names)).collect::<Result<Vec<_>>>()?;
    // 1. Compare the latest manifests with those of the destination.
    let mut latest = Vec::new();
    for (item, manifest) in &files.latest {
        let theirs = destination.read(&item.path)?;
        if let Some(before) = destination.read_before(&item.path)? {
            must_replace(item, manifest, Some(&before), keys, destination)?;
        }
        if must_replace(item, manifest, theirs.as_ref(), keys, destination)? {
            latest.push((item, manifest, theirs));
        }
    }
    // 2. Check that the destination takes all names and sizes, and find the files that it lacks.
    let heads: Vec<String> = files.latest.iter().map(|(item, manifest)| head_path(&item.path, manifest)).collect();
    let items = || files.past.iter().chain(files.latest.iter().map(|(item, _)| item));
    let mut paths: BTreeSet<&str> = files.objects.keys().chain(&heads).map(String::as_str).collect();
    paths.extend(items().map(|item| item.path.as_str()));
    let sizes = files.objects.values().map(|(_, object)| object.size).chain(items().map(|item| item.content.size));
    destination.prepare(&paths, sizes.max().unwrap_or(0))?;
    let mut found = HashMap::new();
    for dir in &files.dirs {
        found.extend(destination.list(dir)?);
    }
    let is_there = |path: &String, object: &Object| found.get(path).is_some_and(|listed| listed.bytes == object.size);
    let new: Vec<_> = files.objects.iter().filter(|(path, (_, object))| !is_there(path, object)).collect();
    let past: Vec<&SiteFile> = files.past.iter().filter(|item| !is_current(item, found.get(&item.path))).collect();

    let mut sent = Sent {
        objects: new.len(),
        known: files.objects.len() - new.len(),
        manifests: past.iter().filter(|item| item.path.ends_with(".xml")).count() + latest.len(),
        bytes: new.iter().map(|(_, (_, object))| object.size).sum(),
        latest: files.latest.iter().map(|(_, file)| file.manifest.meta.clone()).collect(),
        unstamped: Vec::new(),
        uploads: new.len() + past.len() + latest.len(),
    };
    sent.bytes += past.iter().chain(latest.iter().map(|(item, ..)| item)).map(|item| item.content.size).sum::<u64>();
    if options.is_dry_run {
        for ((_, manifest), path) in files.latest.iter().zip(&heads) {
            sent.add(&NewHead::of(site, manifest, path, destination)?, manifest);
        }
        return Ok(sent);
    }
    // 3. Send objects, then past manifests, then latest manifests.
    let threads = rayon::ThreadPoolBuilder::new().num_threads(options.parallel.max(1)).build();
    let threads = threads.map_err(|error| Error::io("start", "threads", std::io::Error::other(error)))?;
    threads.install(|| {
        new.into_par_iter().try_for_each(|(path, (from, object))| {
            let headers = ResponseHeaders::of(path);
            let checked = CheckedFile::open(from, object)?;
            let checked = checked.ok_or_else(|| Error::DamagedObject { path: from.clone() })?;
            destination.put(path, &checked, headers)?;
            destination.check(path, object, headers)
        })?;
        past.into_par_iter().try_for_each(|item| {
            let checked = CheckedFile::open(&item.from, &item.content)?;
            let checked = checked.ok_or_else(|| Error::Changed { path: item.from.clone() })?;
            destination.put(&item.path, &checked, ResponseHeaders::of(&item.path))
        })
    })?;
    for (item, manifest, theirs) in &latest {
        destination.replace(&item.path, &manifest.bytes, theirs.as_ref(), ResponseHeaders::of(&item.path))?;
    }
    // 4. Read the latest manifests back, and send the heads that name them.
    for (item, manifest, _) in latest {
        if destination.read(&item.path)?.is_none_or(|there| there.bytes != manifest.bytes) {
            let detail = "it is another manifest than the site's".to_owned();
            return Err(Error::CopyDiffers { place: destination.name(&item.path), detail });
        }
    }
    for ((_, manifest), path) in files.latest.iter().zip(&heads) {
        let new = NewHead::of(site, manifest, path, destination)?;
        if new.must_replace() {
            destination.replace(path, &new.bytes, new.theirs.as_ref(), ResponseHeaders::of(path))?;
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
    theirs: Option<RemoteFile>,
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
    fn must_replace(&self) -> bool {
        self.theirs.as_ref().is_none_or(|theirs| theirs.bytes != self.bytes)
    }
}

impl Sent {
    /// Counts the head of a manifest.
    fn add(&mut self, new: &NewHead, manifest: &ManifestFile) {
        if new.must_replace() {
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

/// Returns `true` if the destination has another latest manifest than the site.
///
/// # Errors
/// [`Error::OtherSigner`] and [`Error::DestinationAhead`] if another publisher's release is there.
fn must_replace(
    item: &SiteFile,
    ours: &ManifestFile,
    theirs: Option<&RemoteFile>,
    keys: &SiteKeys,
    destination: &dyn Destination,
) -> Result<bool> {
    let Some(theirs) = theirs else { return Ok(true) };
    let path = destination.name(&item.path);
    let read = keys.verify(Path::new(&path), |keys| trust::authenticate(theirs.bytes.clone(), keys));
    let theirs = match read.and_then(|verified| ManifestFile::from_bytes(Path::new(&path), verified.bytes().to_vec())) {
        Ok(theirs) => theirs,
        // Another publisher has signed it. A person must decide which of the two stays.
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

/// Returns `true` if the destination has a past manifest of the same size that is not older than
/// that of the site.
fn is_current(item: &SiteFile, there: Option<&ListedFile>) -> bool {
    let (Some(there), Some(modified)) = (there, item.modified) else { return false };
    there.bytes == item.content.size && there.modified >= modified
}
