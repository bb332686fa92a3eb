//! The latest manifest of a channel: the one that clients ask for.

use super::manifest_file::ManifestFile;
use super::{ComponentSite, heads, manifest_deltas};
use crate::error::{Error, Result};
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{Channel, Meta};
use patcher::internal::trust::VerifiedManifest;
use std::path::PathBuf;

impl ComponentSite {
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

    /// Makes `manifest` the latest one of its channel.
    ///
    /// The superseded manifest stays, named by its sequence.
    ///
    /// # Errors
    /// [`Error::SequenceTwice`] if another manifest has the sequence of the superseded one, or an
    /// I/O error.
    pub fn publish(&self, manifest: &VerifiedManifest) -> Result<()> {
        let channel = &manifest.manifest().meta.channel;
        let latest = self.latest_path(channel);
        if let Some(superseded) = self.read_latest(channel)?.filter(|superseded| !has_body_of(superseded, manifest)) {
            self.keep_past(latest.clone(), &superseded)?;
        }
        manifest_deltas::write(self, manifest)?;
        self.replace(&latest, manifest.bytes())?;
        self.write_head(&heads::head(manifest.manifest(), manifest.order().body, manifest.bytes()))
    }

    /// Writes a superseded manifest to the path of past ones.
    fn keep_past(&self, latest: PathBuf, superseded: &ManifestFile) -> Result<()> {
        let kept = self.release_path(superseded.manifest.meta.sequence);
        // A file that no trusted key has signed is replaced.
        match self.read(&kept) {
            Ok(other) if other.signed.body != superseded.signed.body => Err(Error::SequenceTwice { latest, kept }),
            _ => self.replace(&kept, &superseded.bytes),
        }
    }

    /// Reads the latest manifest of a channel; returns `None` if it does not exist.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_latest(&self, channel: &Channel) -> Result<Option<ManifestFile>> {
        let path = self.latest_path(channel);
        if path.symlink_metadata().is_ok() { self.read(&path).map(Some) } else { Ok(None) }
    }

    /// Returns the path of the latest manifest of a channel.
    pub fn latest_path(&self, channel: &Channel) -> PathBuf {
        self.path(&self.names.manifest(channel))
    }
}

/// Returns `true` if both have the same body. Their signatures may differ.
pub(super) fn has_body_of(file: &ManifestFile, manifest: &VerifiedManifest) -> bool {
    Sha256::of(&file.signed.body) == manifest.order().body
}
