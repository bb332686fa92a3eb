//! A component on the site, for one platform: immutable objects, which all platforms share, the
//! manifests of past releases, and the latest one per channel.
//!
//! Everything appears whole, by a rename. Objects come first and are named by their own hash, so
//! that an interrupted run leaves nothing but objects that nobody names; the latest manifest comes
//! last.

pub mod contents;
pub mod heads;
mod listing;
pub mod manifest_deltas;
pub mod manifest_file;
pub mod site_keys;
mod writing;

pub use listing::{entries, is_file, is_folder, is_link, layout_of, platforms, releases};
pub(crate) use writing::temporary_in;
pub use writing::{TEMPORARY_PREFIX, replace, sync};

use crate::error::{Error, Result};
use crate::site::manifest_file::ManifestFile;
use crate::site::site_keys::SiteKeys;
use patcher::internal::digest::Sha256;
use patcher::internal::error::Refused;
use patcher::internal::fs::{Dir, Lock, read_regular};
use patcher::internal::layout::{ObjectKind, SiteNames};
use patcher::internal::manifest::{
    Channel, Component, MAX_MANIFEST_BYTES, Manifest, Meta, Object, Platform, SiteLayout,
};
use patcher::internal::trust::{self, VerifiedManifest};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::{NamedTempFile, TempPath};

/// The time that a command waits for another one that changes the same component.
const LOCK_TIMEOUT: Duration = Duration::from_secs(600);
/// The lock's file in the component's folder.
const LOCK_FILE: &str = ".lock";

/// The releases of one component for one platform.
#[derive(Debug)]
pub struct ComponentSite {
    /// The folder of the site.
    site: PathBuf,
    /// The folder that names are relative to: that of the component, or of the site if it is flat.
    dir: PathBuf,
    names: SiteNames,
    keys: SiteKeys,
}

/// The facts of a site that the next release needs.
#[derive(Debug, Default)]
pub struct Survey {
    /// The highest sequence of all platforms and channels.
    pub last_sequence: Option<u64>,
    /// The key that the release with the highest sequence retires.
    pub retires: Option<Sha256>,
    /// The freshness key that the release with the highest sequence names, as SPKI DER.
    pub freshness: Option<Vec<u8>>,
    /// For content that was asked for, the objects that a release for any platform has already.
    pub packed: HashMap<Sha256, Packed>,
    /// For content that was asked for, that which a release in a flat layout has already.
    pub known: HashSet<Sha256>,
    /// All releases for the platform.
    pub releases: Vec<SiteRelease>,
    /// Files in `releases/` that are no releases by a trusted key. They count for nothing.
    pub ignored: Vec<PathBuf>,
}

/// The manifests of a component that trusted keys vouch for.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The latest manifest of each channel.
    pub latest: Vec<ManifestFile>,
    /// The manifests of past releases.
    pub past: Vec<ManifestFile>,
    /// Other files in `releases/`.
    pub ignored: Vec<PathBuf>,
}

/// A release on the site, by what its manifest says of it.
#[derive(Debug)]
pub struct SiteRelease {
    /// The manifest's file.
    pub path: PathBuf,
    /// The manifest's description of the release.
    pub meta: Meta,
    /// The hash of the manifest's body.
    pub body: Sha256,
}

impl SiteRelease {
    /// Reads the manifest again.
    ///
    /// # Errors
    /// [`Error::Changed`] if it is no longer the verified one; those of [`ManifestFile::read`].
    pub fn manifest(&self) -> Result<Manifest> {
        let file = ManifestFile::read(&self.path)?;
        let is_same = Sha256::of(&file.signed.body) == self.body;
        if is_same { Ok(file.manifest) } else { Err(Error::Changed { path: self.path.clone() }) }
    }
}

/// A manifest delta on the site, by its name.
#[derive(Debug)]
pub struct ManifestDeltaFile {
    /// The sequence of the release that it makes.
    pub to: u64,
    /// The sequence of the release that it starts from.
    pub from: u64,
    /// The path of the file.
    pub path: PathBuf,
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
    /// Returns the number of objects.
    pub fn count(&self) -> usize {
        1 + usize::from(self.chunks.is_some())
    }

    /// Returns the size of all objects in bytes.
    pub fn bytes(&self) -> u64 {
        self.gz.size + self.chunks.map_or(0, |chunks| chunks.size)
    }
}

impl ComponentSite {
    /// The component with these names on `site`, which need not be there yet, and the keys whose
    /// releases there count.
    pub fn new(site: &Path, names: SiteNames, keys: SiteKeys) -> Self {
        let dir = match names.layout() {
            SiteLayout::Folders => site.join(names.component().as_str()),
            SiteLayout::Flat => site.to_owned(),
        };
        Self { site: site.to_owned(), dir, names, keys }
    }

    /// As [`new`](Self::new), in the layout that the component has on the site.
    ///
    /// # Errors
    /// An I/O error.
    pub fn find(site: &Path, component: &Component, platform: Platform, keys: SiteKeys) -> Result<Self> {
        let layout = layout_of(site, component)?.unwrap_or_default();
        Ok(Self::new(site, SiteNames::new(layout, component.clone(), platform), keys))
    }

    /// Returns the names of the component's files.
    pub fn names(&self) -> &SiteNames {
        &self.names
    }

    /// Returns the folder that the names are relative to.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Locks the folder, which it creates, against other commands that change it.
    ///
    /// # Errors
    /// [`patcher::Error::Busy`] after `LOCK_TIMEOUT`, or an I/O error.
    pub fn lock(&self) -> Result<Lock> {
        fs::create_dir_all(&self.dir).map_err(|error| Error::io("create", &self.dir, error))?;
        self.lock_existing()
    }

    /// Locks a folder that exists.
    ///
    /// # Errors
    /// As [`lock`](Self::lock); [`Error::LinkInSite`].
    pub fn lock_existing(&self) -> Result<Lock> {
        let lock = Lock::exclusive(&Dir::open(&self.dir)?, LOCK_FILE, "the site", LOCK_TIMEOUT)?;
        // A site is hostile input: a link would lead writes and removals out of it.
        let platform_dir = self.names.dir();
        for path in [platform_dir.as_str(), "objects", &format!("{platform_dir}releases")].map(|dir| self.path(dir)) {
            if path != self.path("") && is_link(&path) {
                return Err(Error::LinkInSite { path });
            }
        }
        Ok(lock)
    }

    /// Reads a manifest of this component that a trusted key has signed.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], [`Error::ManifestFile`], or an I/O error.
    pub fn read(&self, path: &Path) -> Result<ManifestFile> {
        let bytes = read_regular(path, MAX_MANIFEST_BYTES).map_err(|error| Error::io("read", path, error))?;
        self.trusted(path, bytes)
    }

    /// Verifies a manifest of this component that came from `path`.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], [`Error::ManifestFile`].
    pub fn trusted(&self, path: &Path, bytes: Vec<u8>) -> Result<ManifestFile> {
        let verified = self.keys.verify(path, |keys| trust::authenticate(bytes, keys))?;
        let file = ManifestFile::from_bytes(path, verified.bytes().to_vec())?;
        let Meta { component, platform, layout, .. } = &file.manifest.meta;
        let wrong = |what, found: &str, expected: String| {
            let wrong = Refused::WrongTarget { what, found: found.to_owned(), expected };
            Err(Error::ManifestFile { path: path.to_owned(), source: Box::new(wrong) })
        };
        if component != self.names.component() {
            return wrong("component", component.as_str(), self.names.component().to_string());
        }
        if platform != self.names.platform() {
            return wrong("platform", platform.as_str(), self.names.platform().to_string());
        }
        if *layout != self.names.layout() {
            return wrong("layout", layout.as_str(), self.names.layout().to_string());
        }
        Ok(file)
    }

    /// Returns the path of a file by its name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the path of an object.
    pub fn object_path(&self, kind: ObjectKind, sha256: &Sha256) -> PathBuf {
        self.path(&self.names.object(kind, sha256))
    }

    /// Returns the path of the manifest of a past release.
    pub fn release_path(&self, sequence: u64) -> PathBuf {
        self.path(&self.names.release(sequence))
    }

    /// Returns the folder of the past manifests.
    pub fn releases_dir(&self) -> PathBuf {
        self.release_path(0).parent().unwrap_or(&self.dir).to_owned()
    }

    /// Returns the same component for each other platform that it has releases for.
    ///
    /// # Errors
    /// An I/O error.
    pub fn other_platforms(&self) -> Result<Vec<ComponentSite>> {
        let platforms = platforms(&self.site, &self.names)?.into_iter();
        let others = platforms.filter(|platform| platform != self.names.platform());
        let names = |platform| SiteNames::new(self.names.layout(), self.names.component().clone(), platform);
        Ok(others.map(|platform| Self::new(&self.site, names(platform), self.keys.clone())).collect())
    }

    /// Reads all manifests that trusted keys vouch for.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) for a latest manifest. Such files in `releases/` are ignored.
    pub fn manifests(&self) -> Result<Manifests> {
        let latest = self.latest_manifests()?.iter().map(|path| self.read(path)).collect::<Result<Vec<_>>>()?;
        let mut manifests = Manifests { latest, ..Manifests::default() };
        for path in self.past_manifests()? {
            match self.read(&path) {
                Err(Error::OtherSigner { .. } | Error::ManifestFile { .. }) => manifests.ignored.push(path),
                file => manifests.past.push(file?),
            }
        }
        // A stepping stone by an older key counts because a trusted manifest names its body.
        let named: HashSet<Sha256> = (manifests.latest.iter().chain(&manifests.past))
            .flat_map(|file| file.manifest.meta.stepping_stones.iter().map(|stone| stone.body))
            .collect();
        for path in std::mem::take(&mut manifests.ignored) {
            match ManifestFile::read(&path) {
                Ok(file) if named.contains(&Sha256::of(&file.signed.body)) => manifests.past.push(file),
                _ => manifests.ignored.push(path),
            }
        }
        Ok(manifests)
    }

    /// The paths of each channel's latest manifest.
    ///
    /// # Errors
    /// An I/O error.
    pub fn latest_manifests(&self) -> Result<Vec<PathBuf>> {
        listing::latest_manifests(&self.dir, &self.names)
    }

    /// The paths of the manifests of past releases.
    ///
    /// # Errors
    /// An I/O error.
    pub fn past_manifests(&self) -> Result<Vec<PathBuf>> {
        listing::past_manifests(&self.dir, &self.names)
    }

    /// The manifest deltas.
    ///
    /// # Errors
    /// An I/O error.
    pub fn manifest_deltas(&self) -> Result<Vec<ManifestDeltaFile>> {
        listing::manifest_deltas(&self.dir, &self.names)
    }

    /// Reads all manifests and keeps what they say of content that `is_wanted`.
    ///
    /// # Errors
    /// [`Error::OtherSigner`] and [`Error::ManifestFile`] for a latest manifest that no trusted key
    /// has signed: the next sequence would be a guess. Such files in `releases/` are ignored.
    pub fn survey(&self, is_wanted: impl Fn(&Sha256) -> bool) -> Result<Survey> {
        let mut survey = Survey::default();
        let mut packed: HashMap<Sha256, Packed> = HashMap::new();
        let Manifests { latest, past, ignored } = self.manifests()?;
        survey.ignored = ignored;
        let mut manifests: Vec<(ManifestFile, bool)> =
            latest.into_iter().chain(past).map(|file| (file, true)).collect();
        for other in self.other_platforms()? {
            let Manifests { latest, past, .. } = other.manifests()?;
            manifests.extend(latest.into_iter().chain(past).map(|file| (file, false)));
        }
        for (ManifestFile { path, manifest, signed, .. }, is_own) in manifests {
            if survey.last_sequence < Some(manifest.meta.sequence) {
                survey.last_sequence = Some(manifest.meta.sequence);
                survey.retires = manifest.meta.retires;
                survey.freshness.clone_from(&manifest.meta.freshness);
            }
            for file in manifest.files.iter().filter(|file| is_wanted(&file.sha256)) {
                let has_size = |kind, object: &Object| self.object_size(kind, object) == Some(object.size);
                let has_chunks = || file.chunks.is_none_or(|chunks| has_size(ObjectKind::Chunks, &chunks));
                match file.gz {
                    Some(gz) if !packed.contains_key(&file.sha256) && has_size(ObjectKind::Gz, &gz) && has_chunks() => {
                        packed.insert(file.sha256, Packed { gz, chunks: file.chunks });
                    }
                    Some(_) => {}
                    None => drop(survey.known.insert(file.sha256)),
                }
            }
            if is_own {
                survey.releases.push(SiteRelease { path, meta: manifest.meta, body: Sha256::of(&signed.body) });
            }
        }
        // A new release names these objects: their bytes must be those that the old one named.
        let is_whole = |packed: &Packed| {
            let holds_chunks = || packed.chunks.is_none_or(|chunks| self.holds(ObjectKind::Chunks, &chunks));
            self.holds(ObjectKind::Gz, &packed.gz) && holds_chunks()
        };
        survey.packed = packed.into_par_iter().filter(|(_, packed)| is_whole(packed)).collect();
        Ok(survey)
    }

    /// Tells by size and hash whether the site has an object.
    pub fn holds(&self, kind: ObjectKind, object: &Object) -> bool {
        let path = self.object_path(kind, &object.sha256);
        self.object_size(kind, object) == Some(object.size)
            && fs::File::open(path)
                .and_then(|mut file| Sha256::of_reader(&mut file))
                .is_ok_and(|found| found == (object.sha256, object.size))
    }

    /// Returns the size of an object's file, or `None` if the file does not exist.
    fn object_size(&self, kind: ObjectKind, object: &Object) -> Option<u64> {
        let metadata = fs::symlink_metadata(self.object_path(kind, &object.sha256)).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// A file for an object whose name is not known before it is written.
    ///
    /// # Errors
    /// An I/O error.
    pub fn new_object(&self) -> Result<NamedTempFile> {
        match self.names.layout() {
            SiteLayout::Folders => temporary_in(&self.path("objects")),
            SiteLayout::Flat => temporary_in(&self.dir),
        }
    }

    /// Puts a complete object in its place. It is not synced: what a power failure takes, `verify`
    /// finds and the next `sign` makes again.
    ///
    /// # Errors
    /// An I/O error.
    pub fn add_object(&self, kind: ObjectKind, object: &Object, file: TempPath) -> Result<()> {
        let path = self.object_path(kind, &object.sha256);
        let dir = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
        file.persist(&path).map_err(|error| Error::io("create", &path, error.error))?;
        Ok(())
    }

    /// Fails unless `manifest` comes after all others of the site, or is its channel's latest with
    /// other signatures.
    ///
    /// # Errors
    /// [`Error::SequenceTaken`], or those of [`survey`](Self::survey).
    pub fn check_next(&self, manifest: &VerifiedManifest) -> Result<()> {
        let latest = self.read_latest(&manifest.manifest().meta.channel)?;
        if latest.is_some_and(|latest| is_same(&latest, manifest)) {
            return Ok(());
        }
        let sequence = manifest.order().sequence;
        let Survey { releases, .. } = self.survey(|_| false)?;
        match releases.into_iter().find(|release| release.meta.sequence >= sequence) {
            Some(SiteRelease { path, .. }) => Err(Error::SequenceTaken { sequence, path }),
            None => Ok(()),
        }
    }

    /// Checks that no past manifest of the same channel comes after `latest`.
    ///
    /// An attacker who can write to the site could put an old manifest in the place of the latest
    /// one, so that a command signs it again.
    ///
    /// # Errors
    /// [`Error::RolledBackSite`], or an I/O error.
    pub fn check_is_newest(&self, latest: &ManifestFile) -> Result<()> {
        let Meta { channel, sequence, .. } = &latest.manifest.meta;
        let is_newer =
            |past: &&ManifestFile| past.manifest.meta.channel == *channel && past.manifest.meta.sequence > *sequence;
        // A file that no trusted key has signed counts for nothing.
        let past: Vec<ManifestFile> = self.past_manifests()?.iter().filter_map(|path| self.read(path).ok()).collect();
        match past.iter().find(is_newer) {
            Some(newer) => Err(Error::RolledBackSite { latest: latest.path.clone(), newer: newer.path.clone() }),
            None => Ok(()),
        }
    }

    /// Makes `manifest` the latest one of its channel; the one that it supersedes is kept under its
    /// sequence.
    ///
    /// # Errors
    /// [`Error::SequenceTwice`] when another manifest is kept under that sequence, or an I/O
    /// error.
    pub fn publish(&self, manifest: &VerifiedManifest) -> Result<()> {
        let channel = &manifest.manifest().meta.channel;
        let latest = self.latest(channel);
        if let Some(superseded) = self.read_latest(channel)?.filter(|superseded| !is_same(superseded, manifest)) {
            self.keep(latest.clone(), &superseded)?;
        }
        manifest_deltas::write(self, manifest)?;
        replace(&latest, manifest.bytes())?;
        self.write_head(&heads::head(manifest.manifest(), manifest.order().body, manifest.bytes()))
    }

    fn keep(&self, latest: PathBuf, superseded: &ManifestFile) -> Result<()> {
        let kept = self.release_path(superseded.manifest.meta.sequence);
        // A file that no trusted key has signed is replaced.
        match self.read(&kept) {
            Ok(other) if other.signed.body != superseded.signed.body => Err(Error::SequenceTwice { latest, kept }),
            _ => replace(&kept, &superseded.bytes),
        }
    }

    /// The latest manifest of a channel, if there is one.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_latest(&self, channel: &Channel) -> Result<Option<ManifestFile>> {
        let path = self.latest(channel);
        if path.symlink_metadata().is_ok() { self.read(&path).map(Some) } else { Ok(None) }
    }

    /// Where the latest manifest of a channel lies.
    pub fn latest(&self, channel: &Channel) -> PathBuf {
        self.path(&self.names.manifest(channel))
    }
}

/// Returns whether both have the same body. Their signatures may differ.
fn is_same(file: &ManifestFile, manifest: &VerifiedManifest) -> bool {
    Sha256::of(&file.signed.body) == manifest.order().body
}

/// The objects that a manifest names, with their names.
pub fn objects(manifest: &Manifest) -> Vec<(String, Object)> {
    let mut objects = Vec::new();
    let names = SiteNames::of(&manifest.meta);
    let mut add = |kind, object: Object| objects.push((names.object(kind, &object.sha256), object));
    manifest.meta.updates.iter().for_each(|update| add(ObjectKind::Update, update.object.object));
    manifest.meta.install.iter().for_each(|install| add(ObjectKind::Install, install.object));
    for file in &manifest.files {
        file.gz.iter().for_each(|gz| add(ObjectKind::Gz, *gz));
        file.chunks.iter().for_each(|chunks| add(ObjectKind::Chunks, *chunks));
    }
    objects
}
