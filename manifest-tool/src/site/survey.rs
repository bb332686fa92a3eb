//! The survey: the facts of a site that the next release needs.

use super::latest::has_body_of;
use super::manifest_file::ManifestFile;
use super::objects::GzObjects;
use super::{ComponentSite, Manifests};
use crate::error::{Error, Result};
use patcher::internal::digest::Sha256;
use patcher::internal::layout::ObjectKind;
use patcher::internal::manifest::{Channel, Manifest, Meta, Object};
use patcher::internal::trust::VerifiedManifest;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// The facts of a site that the next release needs.
#[derive(Debug, Default)]
pub struct Survey {
    /// The highest sequence of all platforms and channels.
    pub last_sequence: Option<u64>,
    /// The key that the releases retire. Of several, it is the last one in the client's list.
    pub retires: Option<Sha256>,
    /// The freshness key that the release with the highest sequence names, as SPKI DER.
    freshness: Option<Vec<u8>>,
    /// For each wanted content, the objects that a release for any platform has already.
    pub packed: HashMap<Sha256, GzObjects>,
    /// The wanted contents that a release in a flat layout has already.
    pub known: HashSet<Sha256>,
    /// All releases for the platform.
    pub releases: Vec<SiteRelease>,
    /// Manifests that do not count: no trusted key has signed them, or only retired ones.
    pub ignored: Vec<PathBuf>,
}

impl Survey {
    /// Returns the freshness key that a new release of `channel` keeps, as SPKI DER.
    ///
    /// It is that of the channel's newest release, or of the site's newest one for a new channel.
    pub fn freshness_of(&self, channel: &Channel) -> Option<Vec<u8>> {
        let of_channel = self.releases.iter().map(|release| &release.meta).filter(|meta| meta.channel == *channel);
        let newest = of_channel.max_by_key(|meta| meta.sequence);
        newest.map_or_else(|| self.freshness.clone(), |meta| meta.freshness.clone())
    }

    /// Checks that no release of the same channel comes after `latest`.
    ///
    /// An attacker who can write to the site could put an old manifest in the place of the latest
    /// one, which has a lower version, and other stepping stones.
    ///
    /// # Errors
    /// [`Error::RolledBackSite`].
    pub fn check_is_newest(&self, latest: &ManifestFile) -> Result<()> {
        let Meta { channel, sequence, .. } = &latest.manifest.meta;
        match self.releases.iter().find(|other| other.meta.channel == *channel && other.meta.sequence > *sequence) {
            Some(newer) => Err(Error::RolledBackSite { latest: latest.path.clone(), newer: newer.path.clone() }),
            None => Ok(()),
        }
    }
}

/// A release on the site, as its manifest describes it.
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

impl ComponentSite {
    /// Reads all manifests, and looks for the contents that `is_wanted`.
    ///
    /// # Errors
    /// [`Error::OtherSigner`] and [`Error::ManifestFile`] for a latest manifest that no trusted key
    /// has signed: the next sequence would be a guess. Such files in `releases/` are ignored, and
    /// so are manifests by retired keys.
    pub fn survey(&self, is_wanted: impl Fn(&Sha256) -> bool) -> Result<Survey> {
        let mut survey = Survey::default();
        let mut packed: HashMap<Sha256, GzObjects> = HashMap::new();
        let Manifests { latest, past, ignored } = self.manifests()?;
        survey.ignored = ignored;
        let mut manifests: Vec<(ManifestFile, bool)> =
            latest.into_iter().chain(past).map(|file| (file, true)).collect();
        for other in self.other_platforms()? {
            let Manifests { latest, past, .. } = other.manifests()?;
            manifests.extend(latest.into_iter().chain(past).map(|file| (file, false)));
        }
        let retires = manifests.iter().map(|(file, _)| &file.manifest.meta).filter(|meta| meta.retires.is_some());
        let last = retires.max_by_key(|meta| (self.keys.retired_by(meta.retires), meta.sequence));
        survey.retires = last.and_then(|meta| meta.retires);
        for (ManifestFile { path, manifest, signed, .. }, is_own) in manifests {
            if survey.last_sequence < Some(manifest.meta.sequence) {
                survey.last_sequence = Some(manifest.meta.sequence);
                survey.freshness.clone_from(&manifest.meta.freshness);
            }
            for file in manifest.files.iter().filter(|file| is_wanted(&file.sha256)) {
                let has_size = |kind, object: &Object| self.object_size(kind, object) == Some(object.size);
                let has_chunks = || file.chunks.is_none_or(|chunks| has_size(ObjectKind::Chunks, &chunks));
                match file.gz {
                    Some(gz) if !packed.contains_key(&file.sha256) && has_size(ObjectKind::Gz, &gz) && has_chunks() => {
                        packed.insert(file.sha256, GzObjects { gz, chunks: file.chunks });
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
        let is_whole = |packed: &GzObjects| {
            let holds_chunks = || packed.chunks.is_none_or(|chunks| self.holds(ObjectKind::Chunks, &chunks));
            self.holds(ObjectKind::Gz, &packed.gz) && holds_chunks()
        };
        survey.packed = packed.into_par_iter().filter(|(_, packed)| is_whole(packed)).collect();
        Ok(survey)
    }

    /// Fails unless `manifest` comes after all others of the site, or is its channel's latest with
    /// other signatures.
    ///
    /// # Errors
    /// [`Error::SequenceTaken`], or those of [`survey`](Self::survey).
    pub fn check_next(&self, manifest: &VerifiedManifest) -> Result<()> {
        let latest = self.read_latest(&manifest.manifest().meta.channel)?;
        if latest.is_some_and(|latest| has_body_of(&latest, manifest)) {
            return Ok(());
        }
        let sequence = manifest.order().sequence;
        let Survey { releases, .. } = self.survey(|_| false)?;
        match releases.into_iter().find(|release| release.meta.sequence >= sequence) {
            Some(SiteRelease { path, .. }) => Err(Error::SequenceTaken { sequence, path }),
            None => Ok(()),
        }
    }
}
