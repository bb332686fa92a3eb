//! Pruning: removes past releases of a component for one platform, and the objects that only they
//! name.
//!
//! - The latest release of every channel, the kept releases and the stepping stones of both stay,
//!   and so do all objects that they name.
//! - Objects that a release for another platform names stay.
//! - Manifests and other files whose names this tool does not give stay.
//! - The tool removes manifests first and makes that durable, and then objects. So at any moment,
//!   no manifest names an object that is gone.

use crate::error::{Error, Result};
use crate::site::manifest_file::ManifestFile;
use crate::site::{self, ComponentSite, ManifestDeltaFile, Manifests, entries};
use patcher::internal::layout::ObjectKind;
use patcher::internal::manifest::{Channel, Manifest, SiteLayout};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The number of digits of a hash in a name.
const HASH_DIGITS: usize = 64;

/// The files of a component that can be removed.
#[derive(Debug, Default)]
pub struct Dropped {
    /// The past manifests.
    pub manifests: Vec<DroppedFile>,
    /// The objects and manifest deltas.
    pub objects: Vec<DroppedFile>,
    /// The folders that are empty without the objects.
    folders: BTreeSet<PathBuf>,
}

/// A file that can be removed.
#[derive(Debug)]
pub struct DroppedFile {
    /// The path on the disk.
    pub path: PathBuf,
    /// The size in bytes.
    pub bytes: u64,
}

impl Dropped {
    /// Finds the files that can be removed if each channel keeps `keep` past releases.
    ///
    /// # Errors
    /// [`Error::EmptySite`] where no channel has a release, those of [`ComponentSite::read`] for a
    /// latest manifest, or an I/O error.
    pub fn find(site: &ComponentSite, keep: usize) -> Result<Self> {
        let Manifests { latest, past, ignored } = site.manifests()?;
        // Past releases by retired keys go. Copies under other names and latest releases of other
        // channels stay. Files that no trusted key has signed keep no object and are left alone.
        let signed = ignored.iter().filter_map(|path| site.read_counting_or_not(path).ok());
        let (retired, others): (Vec<_>, Vec<_>) =
            signed.partition(|file| is_named_by_sequence(site, &file.path, &file.manifest));
        let parts =
            |files: Vec<ManifestFile>| files.into_iter().map(|file| (file.path, file.manifest)).collect::<Vec<_>>();
        let (latest, past) = (parts(latest), parts(past));
        if latest.is_empty() {
            return Err(Error::EmptySite { path: site.path(&site.names().dir()) });
        }
        let kept = kept(&latest, &past, keep);
        let stays = |path: &Path| kept.contains(path);
        let retired = retired.iter().map(|file| &file.path);
        let manifests = past.iter().map(|(path, _)| path).filter(|path| !stays(path)).chain(retired);
        let manifests = manifests.map(|path| {
            let bytes = fs::metadata(path).map_err(|error| Error::io("read", path, error))?.len();
            Ok(DroppedFile { path: path.clone(), bytes })
        });
        let manifests = manifests.collect::<Result<_>>()?;
        let staying = latest.iter().chain(past.iter().filter(|(path, _)| stays(path)));
        let mut named: HashSet<String> =
            staying.flat_map(|(_, manifest)| site::objects(manifest)).map(|(path, _)| path).collect();
        named.extend(others.iter().flat_map(|file| site::objects(&file.manifest)).map(|(path, _)| path));
        for other in site.other_platforms()? {
            let Manifests { latest, past, ignored } = other.manifests()?;
            let ignored: Vec<_> = ignored.iter().filter_map(|path| other.read_counting_or_not(path).ok()).collect();
            let objects = latest.iter().chain(&past).chain(&ignored).flat_map(|file| site::objects(&file.manifest));
            named.extend(objects.map(|(path, _)| path));
        }
        let mut dropped = Self { manifests, ..Self::default() };
        match site.names().layout() {
            SiteLayout::Folders => {
                for folder in entries(&site.path("objects"))?.into_iter().filter(|folder| site::is_folder(folder)) {
                    if dropped.find_objects(site, &folder, &named)? {
                        dropped.folders.insert(folder);
                    }
                }
            }
            SiteLayout::Flat => drop(dropped.find_objects(site, site.dir(), &named)?),
        }
        let newest: HashSet<u64> = latest.iter().map(|(_, manifest)| manifest.meta.sequence).collect();
        dropped.find_manifest_deltas(site, &newest)?;
        Ok(dropped)
    }

    /// Adds the objects in `folder` that are not `named`, and returns whether those are all files
    /// there.
    fn find_objects(&mut self, site: &ComponentSite, folder: &Path, named: &HashSet<String>) -> Result<bool> {
        let mut all_go = true;
        for file in entries(folder)? {
            let name = object_name(site, &file).filter(|name| !named.contains(name));
            let metadata = file.symlink_metadata().map_err(|error| Error::io("read", &file, error))?;
            match name {
                Some(_) if metadata.is_file() => self.objects.push(DroppedFile { path: file, bytes: metadata.len() }),
                _ => all_go = false,
            }
        }
        Ok(all_go)
    }

    /// Adds the manifest deltas to releases that no head names.
    fn find_manifest_deltas(&mut self, site: &ComponentSite, newest: &HashSet<u64>) -> Result<()> {
        for ManifestDeltaFile { to, path, .. } in site.manifest_deltas()? {
            if newest.contains(&to) {
                continue;
            }
            let bytes = fs::metadata(&path).map_err(|error| Error::io("read", &path, error))?.len();
            let folder = path.parent().filter(|folder| *folder != site.dir());
            self.folders.extend(folder.map(Path::to_owned));
            self.objects.push(DroppedFile { path, bytes });
        }
        Ok(())
    }

    /// Returns the size of all files in bytes.
    pub fn bytes(&self) -> u64 {
        self.manifests.iter().chain(&self.objects).map(|file| file.bytes).sum()
    }

    /// Removes the files.
    ///
    /// # Errors
    /// An I/O error.
    pub fn carry_out(&self, site: &ComponentSite) -> Result<()> {
        for file in &self.manifests {
            remove(site, &file.path)?;
        }
        if !self.manifests.is_empty() {
            site::sync(&site.releases_dir())?;
        }
        for file in &self.objects {
            remove(site, &file.path)?;
        }
        for folder in self.folders.iter().filter(|folder| site::is_folder(folder)) {
            // A `sign` at the same time may have put an object there; then the folder stays.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

/// Returns the paths of the past manifests that stay.
fn kept(latest: &[(PathBuf, Manifest)], past: &[(PathBuf, Manifest)], keep: usize) -> HashSet<PathBuf> {
    let mut contents: HashMap<&Channel, HashSet<_>> = HashMap::new();
    for (_, manifest) in latest {
        contents.entry(&manifest.meta.channel).or_default().insert(manifest.content_id());
    }
    let by_sequence: BTreeMap<u64, &(PathBuf, Manifest)> =
        past.iter().map(|release| (release.1.meta.sequence, release)).collect();
    let mut kept: HashSet<PathBuf> = HashSet::new();
    for (path, manifest) in by_sequence.values().rev() {
        let known = contents.entry(&manifest.meta.channel).or_default();
        // A release and its renewals count as one. The content of the latest one does not count.
        let content = manifest.content_id();
        if known.contains(&content) || known.len() <= keep {
            known.insert(content);
            kept.insert(path.clone());
        }
    }
    let mut open: Vec<&Manifest> = latest.iter().map(|(_, manifest)| manifest).collect();
    open.extend(past.iter().filter(|(path, _)| kept.contains(path)).map(|(_, manifest)| manifest));
    while let Some(manifest) = open.pop() {
        let stones = manifest.meta.stepping_stones.iter().filter_map(|stone| by_sequence.get(&stone.sequence));
        for (path, stone) in stones {
            if kept.insert(path.clone()) {
                open.push(stone);
            }
        }
    }
    kept
}

fn is_named_by_sequence(site: &ComponentSite, path: &Path, manifest: &Manifest) -> bool {
    path == site.release_path(manifest.meta.sequence)
}

/// Returns the name of an object of the component; `None` for any other file.
fn object_name(site: &ComponentSite, file: &Path) -> Option<String> {
    let stem = file.file_stem()?.to_str()?;
    let hash = stem.get(stem.len().checked_sub(HASH_DIGITS)?..)?.parse().ok()?;
    let kinds = [ObjectKind::Gz, ObjectKind::Chunks, ObjectKind::Update, ObjectKind::Install];
    let mut names = kinds.into_iter().map(|kind| site.names().object(kind, &hash));
    names.find(|name| site.path(name) == file)
}

fn remove(site: &ComponentSite, path: &Path) -> Result<()> {
    site.check_way(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}
