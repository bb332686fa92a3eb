//! The site: the folder of plain files that the publisher uploads.
//!
//! A [`ComponentSite`] is one component for one platform: the latest manifest of each channel, the
//! manifests of past releases, and immutable objects. All platforms share the objects.
//!
//! Every file appears whole, by a rename. The tool writes objects first and the latest manifest
//! last. An interrupted run therefore leaves only objects that no manifest names.
//! `docs/reference/site.md` defines the names.
//!
//! | file | noun |
//! |---|---|
//! | `site_keys`, `manifest_file` | the keys whose releases count; a manifest on the disk |
//! | `listing`, `writing` | which files there are; how they appear |
//! | `objects`, `contents` | the objects, and the contents that they hold |
//! | `heads`, `manifest_deltas` | the files that lead clients to a manifest |
//! | `survey`, `latest` | what the next release needs to know, and its publication |

pub mod contents;
pub mod heads;
mod latest;
mod listing;
pub mod manifest_deltas;
pub mod manifest_file;
mod objects;
pub mod site_keys;
mod survey;
mod writing;

pub use listing::{check_way, entries, is_file, is_folder, layout_of, platforms, releases};
pub use objects::{GzObjects, objects};
pub use survey::{SiteRelease, Survey};
pub(crate) use writing::temporary_in;
pub use writing::{TEMPORARY_PREFIX, replace, sync};

use crate::error::{Error, Result};
use crate::site::manifest_file::ManifestFile;
use crate::site::site_keys::SiteKeys;
use patcher::internal::digest::Sha256;
use patcher::internal::error::Refused;
use patcher::internal::fs::{Dir, Lock, read_regular};
use patcher::internal::layout::{ObjectKind, SiteNames};
use patcher::internal::manifest::{Component, MAX_MANIFEST_BYTES, Meta, Platform, SiteLayout};
use patcher::internal::trust;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

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
    /// The keys that no release of the site retires.
    counting: OnceLock<SiteKeys>,
}

/// The manifests of a component that count: [`ComponentSite::read`].
#[derive(Debug, Default)]
pub struct Manifests {
    /// The latest manifest of each channel.
    pub latest: Vec<ManifestFile>,
    /// The manifests of past releases.
    pub past: Vec<ManifestFile>,
    /// Other files in `releases/`, and latest manifests by retired keys.
    pub ignored: Vec<PathBuf>,
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

impl ComponentSite {
    /// Names the component with these names on `site`, which need not exist yet.
    ///
    /// Only releases that `keys` have signed count.
    pub fn new(site: &Path, names: SiteNames, keys: SiteKeys) -> Self {
        let dir = match names.layout() {
            SiteLayout::Folders => site.join(names.component().as_str()),
            SiteLayout::Flat => site.to_owned(),
        };
        Self { site: site.to_owned(), dir, names, keys, counting: OnceLock::new() }
    }

    /// Names a component in the layout that it has on the site.
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

    /// Locks a folder that exists, and checks that it contains no links.
    ///
    /// # Errors
    /// As [`lock`](Self::lock); [`Error::LinkInSite`].
    pub fn lock_existing(&self) -> Result<Lock> {
        let lock = Lock::exclusive(&Dir::open(&self.dir)?, LOCK_FILE, "the site", LOCK_TIMEOUT)?;
        listing::check_no_links(&self.dir, self.names.layout())?;
        Ok(lock)
    }

    /// Checks again that no folder on the way to a file of the component is a link.
    ///
    /// An attacker may have made one since the folder was locked.
    ///
    /// # Errors
    /// [`Error::LinkInSite`].
    pub fn check_way(&self, path: &Path) -> Result<()> {
        listing::check_way(&self.dir, path)
    }

    /// Writes a file of the component in one step.
    ///
    /// # Errors
    /// [`Error::LinkInSite`], or an I/O error.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.check_way(path)?;
        replace(path, bytes)
    }

    /// Reads a manifest of this component that counts.
    ///
    /// Enough trusted keys have signed it, none of which a release of the site retires, and it has
    /// its own name.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], [`Error::FewSigners`], [`Error::RetiredRelease`],
    /// [`Error::MisplacedManifest`], [`Error::ManifestFile`], or an I/O error.
    pub fn read(&self, path: &Path) -> Result<ManifestFile> {
        let file = self.read_signed(path, self.counting_keys()?)?;
        self.check_place(&file)?;
        Ok(file)
    }

    /// Reads a manifest of this component that enough trusted keys have signed, under any name,
    /// and also if they are retired.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], [`Error::FewSigners`], [`Error::ManifestFile`], or an I/O error.
    pub fn read_counting_or_not(&self, path: &Path) -> Result<ManifestFile> {
        self.read_signed(path, &self.keys)
    }

    fn read_signed(&self, path: &Path, keys: &SiteKeys) -> Result<ManifestFile> {
        let bytes = read_regular(path, MAX_MANIFEST_BYTES).map_err(|error| Error::io("read", path, error))?;
        keys.verify(path, |keys| trust::authenticate(bytes.clone(), keys))?;
        let file = ManifestFile::from_bytes(path, bytes)?;
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

    /// Checks that a manifest has the name of its channel, or of its sequence.
    ///
    /// A copy under another name would count as the latest release of another channel.
    fn check_place(&self, file: &ManifestFile) -> Result<()> {
        let Meta { channel, sequence, .. } = &file.manifest.meta;
        let (latest, past) = (self.latest_path(channel), self.release_path(*sequence));
        if file.path == latest || file.path == past {
            return Ok(());
        }
        let is_past = file.path.parent() == past.parent() && self.names.layout() == SiteLayout::Folders;
        let place = if is_past { past } else { latest };
        Err(Error::MisplacedManifest { path: file.path.clone(), place })
    }

    /// Returns the trusted keys without those that a release of the site retires.
    fn counting_keys(&self) -> Result<&SiteKeys> {
        if let Some(counting) = self.counting.get() {
            return Ok(counting);
        }
        let retired = self.retired()?;
        Ok(self.counting.get_or_init(|| self.keys.clone().without_first(retired)))
    }

    /// Returns the number of trusted keys that the releases for all platforms retire.
    fn retired(&self) -> Result<usize> {
        // A release by the only key cannot retire it.
        if self.keys.count() < 2 {
            return Ok(0);
        }
        let platforms = platforms(&self.site, &self.names)?;
        let names = |platform| SiteNames::new(self.names.layout(), self.names.component().clone(), platform);
        let sites = platforms.into_iter().map(|platform| Self::new(&self.site, names(platform), self.keys.clone()));
        let mut retired = Vec::new();
        for site in sites {
            for path in site.latest_manifests()?.into_iter().chain(site.past_manifests()?) {
                let Ok(file) = site.read_counting_or_not(&path) else { continue };
                if site.check_place(&file).is_ok() {
                    retired.push(file.manifest.meta.retires);
                }
            }
        }
        Ok(self.keys.retired_by_all(retired))
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
        let counting = self.counting_keys()?;
        let site = |platform| Self {
            counting: OnceLock::from(counting.clone()),
            ..Self::new(&self.site, names(platform), self.keys.clone())
        };
        Ok(others.map(site).collect())
    }

    /// Reads all manifests that count.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) for a latest manifest, unless retired keys have signed it.
    /// Such files and all others in `releases/` are ignored.
    pub fn manifests(&self) -> Result<Manifests> {
        let mut manifests = Manifests::default();
        for path in self.latest_manifests()? {
            match self.read(&path) {
                Err(Error::RetiredRelease { .. }) => manifests.ignored.push(path),
                file => manifests.latest.push(file?),
            }
        }
        for path in self.past_manifests()? {
            match self.read(&path) {
                Err(
                    Error::OtherSigner { .. }
                    | Error::FewSigners { .. }
                    | Error::RetiredRelease { .. }
                    | Error::MisplacedManifest { .. }
                    | Error::ManifestFile { .. },
                ) => manifests.ignored.push(path),
                file => manifests.past.push(file?),
            }
        }
        // A stepping stone by an older key counts because a trusted manifest names its body.
        let named: HashSet<Sha256> = (manifests.latest.iter().chain(&manifests.past))
            .flat_map(|file| file.manifest.meta.stepping_stones.iter().map(|stone| stone.body))
            .collect();
        let is_stone = |file: &ManifestFile| {
            file.path == self.release_path(file.manifest.meta.sequence)
                && named.contains(&Sha256::of(&file.signed.body))
        };
        for path in std::mem::take(&mut manifests.ignored) {
            match ManifestFile::read(&path) {
                Ok(file) if is_stone(&file) => manifests.past.push(file),
                _ => manifests.ignored.push(path),
            }
        }
        Ok(manifests)
    }

    /// Returns the paths of each channel's latest manifest.
    ///
    /// # Errors
    /// An I/O error.
    pub fn latest_manifests(&self) -> Result<Vec<PathBuf>> {
        listing::latest_manifests(&self.dir, &self.names)
    }

    /// Returns the paths of the manifests of past releases.
    ///
    /// # Errors
    /// An I/O error.
    pub fn past_manifests(&self) -> Result<Vec<PathBuf>> {
        listing::past_manifests(&self.dir, &self.names)
    }

    /// Returns the manifest deltas.
    ///
    /// # Errors
    /// An I/O error.
    pub fn manifest_deltas(&self) -> Result<Vec<ManifestDeltaFile>> {
        listing::manifest_deltas(&self.dir, &self.names)
    }
}
