//! A component's folder on the site: immutable objects, the manifests of past releases, and the
//! latest one per channel.
//!
//! Everything appears whole, by a rename. Objects come first and are named by their own hash, so
//! that an interrupted run leaves nothing but objects that nobody names; the latest manifest comes
//! last.

pub mod manifest_file;

use crate::error::{Error, Result};
use crate::site::manifest_file::ManifestFile;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{self, ObjectKind};
use patcher::internal::manifest::{Channel, Manifest, Meta, Object};
use patcher::internal::trust::VerifiedManifest;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};

/// The folder of one component.
#[derive(Debug)]
pub struct ComponentSite {
    dir: PathBuf,
}

/// What the manifests on the site say, as far as it is of use for the next one.
#[derive(Debug, Default)]
pub struct Survey {
    /// The highest sequence of all.
    pub last_sequence: Option<u64>,
    /// For content that was asked for, the objects that are there already.
    pub packed: HashMap<Sha256, Packed>,
    /// All releases.
    pub releases: Vec<SiteRelease>,
}

/// A release on the site, by what its manifest says of it.
#[derive(Debug)]
pub struct SiteRelease {
    /// The manifest's file.
    pub path: PathBuf,
    /// What the release is.
    pub meta: Meta,
    /// The hash of the manifest's body.
    pub body: Sha256,
}

/// The objects of one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Its gzip.
    pub gz: Object,
    /// The index of its gzip's segments.
    pub chunks: Option<Object>,
}

impl Packed {
    /// How many objects it is.
    pub fn count(&self) -> usize {
        1 + usize::from(self.chunks.is_some())
    }

    /// How many bytes they are together.
    pub fn bytes(&self) -> u64 {
        self.gz.size + self.chunks.map_or(0, |chunks| chunks.size)
    }
}

impl ComponentSite {
    /// The folder `dir`, which need not be there yet.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Where something with this path below the base URL lies.
    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    /// The paths of all manifests: each channel's latest, then the past ones.
    ///
    /// # Errors
    /// The system's answer.
    pub fn manifests(&self) -> Result<Vec<PathBuf>> {
        Ok([self.latest_manifests()?, self.past_manifests()?].concat())
    }

    /// The paths of each channel's latest manifest.
    ///
    /// # Errors
    /// The system's answer.
    pub fn latest_manifests(&self) -> Result<Vec<PathBuf>> {
        xml_files(&self.dir)
    }

    /// The paths of the manifests of past releases.
    ///
    /// # Errors
    /// The system's answer.
    pub fn past_manifests(&self) -> Result<Vec<PathBuf>> {
        xml_files(&self.dir.join("releases"))
    }

    /// Reads all manifests and keeps what they say of content that `is_wanted`.
    ///
    /// # Errors
    /// [`Error::ManifestFile`] for one that is no manifest: the next sequence would be a guess.
    pub fn survey(&self, is_wanted: impl Fn(&Sha256) -> bool) -> Result<Survey> {
        let mut survey = Survey::default();
        for path in self.manifests()? {
            let ManifestFile { manifest, signed, .. } = ManifestFile::read(&path)?;
            survey.last_sequence = survey.last_sequence.max(Some(manifest.meta.sequence));
            for file in manifest.files.iter().filter(|file| is_wanted(&file.sha256)) {
                let holds_chunks = || file.chunks.is_none_or(|chunks| self.holds(ObjectKind::Chunks, &chunks));
                let is_known = survey.packed.contains_key(&file.sha256);
                if !is_known && self.holds(ObjectKind::Gz, &file.gz) && holds_chunks() {
                    survey.packed.insert(file.sha256, Packed { gz: file.gz, chunks: file.chunks });
                }
            }
            survey.releases.push(SiteRelease { path, meta: manifest.meta, body: Sha256::of(&signed.body) });
        }
        Ok(survey)
    }

    /// Whether an object is there, by its size.
    pub fn holds(&self, kind: ObjectKind, object: &Object) -> bool {
        let metadata = fs::symlink_metadata(self.path(&layout::object_path(kind, &object.sha256)));
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() == object.size)
    }

    /// A file for an object whose name is not known before it is written.
    ///
    /// # Errors
    /// The system's answer.
    pub fn new_object(&self) -> Result<NamedTempFile> {
        temporary_in(&self.dir.join("objects"))
    }

    /// Puts a complete object in its place. It is not synced: what a power failure takes, `verify`
    /// finds and the next `sign` makes again.
    ///
    /// # Errors
    /// The system's answer.
    pub fn add_object(&self, kind: ObjectKind, object: &Object, file: TempPath) -> Result<()> {
        let path = self.path(&layout::object_path(kind, &object.sha256));
        let dir = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
        file.persist(&path).map_err(|error| Error::io("create", &path, error.error))?;
        Ok(())
    }

    /// Fails unless `manifest` comes after all others here, or is its channel's latest with other
    /// signatures.
    ///
    /// # Errors
    /// [`Error::SequenceTaken`], [`Error::ManifestFile`] for one that is no manifest, or the
    /// system's answer.
    pub fn check_next(&self, manifest: &VerifiedManifest) -> Result<()> {
        let latest = self.read_latest(&manifest.manifest().meta.channel)?;
        if latest.is_some_and(|latest| is_same(&latest, manifest)) {
            return Ok(());
        }
        let sequence = manifest.order().sequence;
        self.manifests()?.into_iter().try_for_each(|path| {
            let is_before = ManifestFile::read(&path)?.manifest.meta.sequence < sequence;
            if is_before { Ok(()) } else { Err(Error::SequenceTaken { sequence, path }) }
        })
    }

    /// Makes `manifest` the latest one of its channel; the one that it supersedes is kept under its
    /// sequence.
    ///
    /// # Errors
    /// [`Error::SequenceTwice`] when another manifest is kept under that sequence, or the system's
    /// answer.
    pub fn publish(&self, manifest: &VerifiedManifest) -> Result<()> {
        let channel = &manifest.manifest().meta.channel;
        let latest = self.latest(channel);
        if let Some(superseded) = self.read_latest(channel)?.filter(|superseded| !is_same(superseded, manifest)) {
            self.keep(latest.clone(), &superseded)?;
        }
        replace(&latest, manifest.bytes())
    }

    fn keep(&self, latest: PathBuf, superseded: &ManifestFile) -> Result<()> {
        let kept = self.path(&layout::release_manifest_path(superseded.manifest.meta.sequence));
        let is_other = |other: ManifestFile| other.signed.body != superseded.signed.body;
        if kept.symlink_metadata().is_ok() && is_other(ManifestFile::read(&kept)?) {
            return Err(Error::SequenceTwice { latest, kept });
        }
        replace(&kept, &superseded.bytes)
    }

    /// The latest manifest of a channel, if there is one.
    ///
    /// # Errors
    /// Those of [`ManifestFile::read`].
    pub fn read_latest(&self, channel: &Channel) -> Result<Option<ManifestFile>> {
        let path = self.latest(channel);
        if path.symlink_metadata().is_ok() { ManifestFile::read(&path).map(Some) } else { Ok(None) }
    }

    /// Where the latest manifest of a channel lies.
    pub fn latest(&self, channel: &Channel) -> PathBuf {
        self.path(&layout::latest_manifest_name(channel))
    }
}

/// Whether both have one body, whoever signed it.
fn is_same(file: &ManifestFile, manifest: &VerifiedManifest) -> bool {
    Sha256::of(&file.signed.body) == manifest.order().body
}

/// Writes a file in one step: complete and synced, or the old one stays.
///
/// # Errors
/// The system's answer.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = temporary_in(dir)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(|error| Error::io("write", path, error))?;
    file.persist(path).map_err(|error| Error::io("replace", path, error.error))?;
    sync(dir)
}

/// Makes what was renamed into or removed from a folder durable; Windows has no such call and needs
/// none.
///
/// # Errors
/// The system's answer.
pub fn sync(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("sync", dir, error))?;
    }
    Ok(())
}

/// The objects that a manifest names, with their paths below the component's folder.
pub fn objects(manifest: &Manifest) -> Vec<(String, Object)> {
    let mut objects = Vec::new();
    let mut add = |kind, object: Object| objects.push((layout::object_path(kind, &object.sha256), object));
    for file in &manifest.files {
        add(ObjectKind::Gz, file.gz);
        file.deltas.iter().for_each(|delta| add(ObjectKind::Delta, delta.object));
        file.chunks.iter().for_each(|chunks| add(ObjectKind::Chunks, *chunks));
    }
    objects
}

/// A file that is gone unless it is renamed; with the rights of any other new file, for a web
/// server has to read it.
pub(crate) fn temporary_in(dir: &Path) -> Result<NamedTempFile> {
    fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(dir).map_err(|error| Error::io("write to", dir, error))
}

/// The folders of a site, sorted: where there is an XML file, that is a component's.
///
/// # Errors
/// The system's answer.
pub fn components(dir: &Path) -> Result<Vec<PathBuf>> {
    let io = |error| Error::io("read", dir, error);
    let entries = fs::read_dir(dir).map_err(io)?;
    let mut components = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(io)?;
    components.retain(|path| path.is_dir());
    components.sort_unstable();
    Ok(components)
}

/// The XML files that lie in `dir` itself, sorted; none when there is no such folder.
pub fn xml_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", dir, error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::io("read", dir, error))?.path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}
