//! Site files: everything of a site that clients read, as it is sent to a destination.

use crate::error::{Error, Result};
use crate::site::manifest_file::ManifestFile;
use crate::site::site_keys::SiteKeys;
use crate::site::{self, ComponentSite, ManifestDeltaFile, Manifests, manifest_deltas};
use patcher::internal::digest::Sha256;
use patcher::internal::fs::Lock;
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{Object, SiteLayout, SteppingStone};
use patcher::internal::trust::authenticate;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::{NamedTempFile, TempPath};

/// A manifest or a manifest delta of the site.
pub(super) struct SiteFile {
    /// The file to read.
    pub from: PathBuf,
    /// The path at the destination.
    pub path: String,
    /// The size and the hash of the verified bytes.
    pub content: Object,
    /// The time of the last change on the site.
    pub modified: Option<SystemTime>,
}

/// All files of a site but the heads, in the order of sending.
#[derive(Default)]
pub(super) struct SiteFiles {
    /// The objects that the manifests name, by their paths at the destination.
    pub objects: BTreeMap<String, (PathBuf, Object)>,
    /// Past manifests, and manifest deltas.
    pub past: Vec<SiteFile>,
    /// The latest manifests.
    pub latest: Vec<(SiteFile, ManifestFile)>,
    /// The folders of objects and past manifests.
    pub dirs: BTreeSet<String>,
    /// A component for each folder that has a lock.
    pub locked: Vec<SiteNames>,
    /// Copies of manifest deltas, which are removed at the end.
    copies: Vec<TempPath>,
    /// Locks against other commands that change the site.
    locks: Vec<Lock>,
}

impl SiteFiles {
    /// Locks a site and reads its manifests.
    pub fn of(dir: &Path, keys: &SiteKeys) -> Result<Self> {
        let mut files = Self::default();
        for site in site::releases(dir, keys)? {
            files.add(dir, &site, keys)?;
        }
        if files.latest.is_empty() { Err(Error::EmptySite { path: dir.to_owned() }) } else { Ok(files) }
    }

    /// Adds the releases of a component for one platform.
    fn add(&mut self, dir: &Path, site: &ComponentSite, keys: &SiteKeys) -> Result<()> {
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
        check_stones(&latest, &past, keys)?;
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
            let (path, content) = (below(&file.path), content(&file.bytes));
            let item = SiteFile { from: file.path.clone(), path, content, modified: modified(&file.path) };
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
            let (from, content) = (copy.path().to_owned(), content(&bytes));
            self.past.push(SiteFile { from, path: below(&path), content, modified });
            self.copies.push(copy.into_temp_path());
        }
        Ok(())
    }
}

/// Checks that the site has every stepping stone of the latest manifests, signed by trusted keys.
///
/// The latest manifest names only the body of a stepping stone. An attacker could exchange its
/// signature lines, so that older clients refuse it.
fn check_stones(latest: &[ManifestFile], past: &[ManifestFile], keys: &SiteKeys) -> Result<()> {
    for SteppingStone { below, sequence, body } in latest.iter().flat_map(|file| &file.manifest.meta.stepping_stones) {
        let Some(stone) = past.iter().find(|file| Sha256::of(&file.signed.body) == *body) else {
            let (release, detail) = (format!("sequence {sequence}"), "the site no longer has it".to_owned());
            return Err(Error::NoSteppingStone { below: below.clone(), release, detail });
        };
        keys.verify(&stone.path, |keys| authenticate(stone.bytes.clone(), keys))?;
    }
    Ok(())
}

fn content(bytes: &[u8]) -> Object {
    Object { size: bytes.len() as u64, sha256: Sha256::of(bytes) }
}

/// Returns the time of the last change of a file.
fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
