//! The public keys whose releases on a site the tool uses.
//!
//! A site is hostile input: an attacker may have written to the folder or to the server that it is
//! copied from. The tool uses only manifests that enough of these keys have signed, and objects
//! whose hash such a manifest names. With one signature only, an attacker who has stolen one of
//! several keys could leave a release on the site that the others sign again.

use crate::error::{Error, Result};
use patcher::internal::error::Refused;
use patcher::internal::keys::{PublicKey, TrustedKeys};
use patcher::internal::trust::VerifiedManifest;
use std::path::Path;

/// Trusted keys in the order of the client's list, and how many of them must have signed.
#[derive(Debug, Clone, Default)]
pub struct SiteKeys {
    keys: Vec<PublicKey>,
    threshold: usize,
}

impl SiteKeys {
    /// Takes keys, of which one must have signed, and leaves out those given twice.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let mut distinct: Vec<PublicKey> = Vec::new();
        for key in keys {
            if !distinct.contains(&key) {
                distinct.push(key);
            }
        }
        Self { keys: distinct, threshold: 1 }
    }

    /// Sets how many of the keys must have signed a release.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting) for more than there
    /// are, or none.
    pub fn needing(self, threshold: usize) -> Result<Self> {
        TrustedKeys::new(self.keys.clone(), threshold)?;
        Ok(Self { threshold, ..self })
    }

    /// Returns the number of keys.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Returns `true` if `key` is one of the keys.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }

    /// Verifies the manifest at `path`: `check` gets the keys and how many of them must have
    /// signed.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], [`Error::FewSigners`], or [`Error::ManifestFile`] with the reason
    /// that `check` gives.
    pub fn verify(
        &self,
        path: &Path,
        check: impl FnOnce(&TrustedKeys) -> Result<VerifiedManifest, Refused>,
    ) -> Result<VerifiedManifest> {
        let path = path.to_owned();
        if self.keys.is_empty() {
            return Err(Error::OtherSigner { path });
        }
        check(&TrustedKeys::new(self.keys.clone(), self.threshold)?).map_err(|refused| match refused {
            Refused::UnknownKey { .. } => Error::OtherSigner { path },
            Refused::Threshold { valid, needed } => Error::FewSigners { path, valid, needed },
            other => Error::ManifestFile { path, source: Box::new(other) },
        })
    }
}
