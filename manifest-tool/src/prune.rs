//! Pruning: removes past releases of a component for one platform, and the objects that only they
//! name.
//!
//! - The latest release of every channel, the kept releases and the stepping stones of both stay,
//!   and so do all objects that they name.
//! - Manifests under names that this tool does not give stay.
//! - Objects that a release for another platform names stay.
//! - The tool removes manifests first and makes that durable, and then objects. So at any moment,
//!   no manifest names an object that is gone.
//! - Files stay whose names are neither those of past manifests nor those of objects.

use crate::error::{Error, Result};
use crate::site::manifest_file::ManifestFile;
use crate::site::{self, ComponentSite, Manifests, entries};
use patcher::internal::layout::{self, ObjectKind};
use patcher::internal::manifest::{Channel, Manifest};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
    /// Finds the files that can be removed if each channel keeps `keep` releases besides its
    /// latest.
    ///
    /// # Errors
    /// [`Error::EmptySite`] where no channel has a release, those of [`ComponentSite::read`] for a
    /// latest manifest, or an I/O error.
    pub fn find(site: &ComponentSite, keep: usize) -> Result<Self> {
        // Other files in `releases/` keep no object and are left alone.
        let Manifests { latest, past, .. } = site.manifests()?;
        let parts =
            |files: Vec<ManifestFile>| files.into_iter().map(|file| (file.path, file.manifest)).collect::<Vec<_>>();
        let (latest, past) = (parts(latest), parts(past));
        if latest.is_empty() {
            return Err(Error::EmptySite { path: site.release_path("") });
        }
        let kept = kept(&latest, &past, keep);
        let stays = |path: &Path| kept.contains(path);
        let manifests = past.iter().filter(|(path, _)| !stays(path));
        let manifests = manifests.map(|(path, _)| {
            let bytes = fs::metadata(path).map_err(|error| Error::io("read", path, error))?.len();
            Ok(DroppedFile { path: path.clone(), bytes })
        });
        let manifests = manifests.collect::<Result<_>>()?;
        let staying = latest.iter().chain(past.iter().filter(|(path, _)| stays(path)));
        let mut named: HashSet<String> =
            staying.flat_map(|(_, manifest)| site::objects(manifest)).map(|(path, _)| path).collect();
        for other in site.other_platforms()? {
            let Manifests { latest, past, .. } = other.manifests()?;
            let objects = latest.iter().chain(&past).flat_map(|file| site::objects(&file.manifest));
            named.extend(objects.map(|(path, _)| path));
        }
        let mut dropped = Self { manifests, ..Self::default() };
        dropped.find_objects(&site.path("objects"), &named)?;
        let newest: HashSet<u64> = latest.iter().map(|(_, manifest)| manifest.meta.sequence).collect();
        dropped.find_manifest_deltas(site, &newest)?;
        Ok(dropped)
    }

    /// Adds the objects below `dir` that are not `named`.
    fn find_objects(&mut self, dir: &Path, named: &HashSet<String>) -> Result<()> {
        for folder in entries(dir)?.into_iter().filter(|folder| site::is_folder(folder)) {
            let mut all_go = true;
            for file in entries(&folder)? {
                let path = object_path(&folder, &file).filter(|path| !named.contains(path));
                let metadata = file.symlink_metadata().map_err(|error| Error::io("read", &file, error))?;
                match path {
                    Some(_) if metadata.is_file() => {
                        self.objects.push(DroppedFile { path: file, bytes: metadata.len() });
                    }
                    _ => all_go = false,
                }
            }
            if all_go {
                self.folders.insert(folder);
            }
        }
        Ok(())
    }

    /// Adds the manifest deltas to releases that no head names.
    fn find_manifest_deltas(&mut self, site: &ComponentSite, newest: &HashSet<u64>) -> Result<()> {
        for (to, deltas) in site.manifest_deltas()? {
            if newest.contains(&to) {
                continue;
            }
            for path in deltas {
                let bytes = fs::metadata(&path).map_err(|error| Error::io("read", &path, error))?.len();
                self.objects.push(DroppedFile { path, bytes });
            }
            self.folders.insert(site.release_path(&format!("releases/{to}")));
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
            remove(&file.path)?;
        }
        if !self.manifests.is_empty() {
            site::sync(&site.release_path("releases"))?;
        }
        for file in &self.objects {
            remove(&file.path)?;
        }
        for folder in &self.folders {
            // A `sign` at the same time may have put something there again.
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
    let by_sequence: BTreeMap<u64, &(PathBuf, Manifest)> = past
        .iter()
        .filter(|(path, manifest)| is_named_by_sequence(path, manifest))
        .map(|it| (it.1.meta.sequence, it))
        .collect();
    let mut kept: HashSet<PathBuf> = past
        .iter()
        .filter(|(path, manifest)| !is_named_by_sequence(path, manifest))
        .map(|(path, _)| path.clone())
        .collect();
    for (path, manifest) in by_sequence.values().rev() {
        let known = contents.entry(&manifest.meta.channel).or_default();
        // A release that was only renewed counts once; the content of the latest one does not
        // count.
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

fn is_named_by_sequence(path: &Path, manifest: &Manifest) -> bool {
    path.ends_with(layout::release_manifest_path(manifest.meta.sequence))
}

/// Returns the path below the component's folder of a file with the name and place of an object.
fn object_path(folder: &Path, file: &Path) -> Option<String> {
    let hash = file.file_stem()?.to_str()?.parse().ok()?;
    let place = |kind| layout::object_path(kind, &hash);
    let mut places =
        [ObjectKind::Gz, ObjectKind::Chunks, ObjectKind::Update, ObjectKind::Install].into_iter().map(place);
    places.find(|place| folder.join(file.file_name().unwrap_or_default()).ends_with(place))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}
