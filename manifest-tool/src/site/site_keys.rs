//! The public keys whose releases on a site the tool uses.
//!
//! A site is hostile input: an attacker may have written to the folder or to the server that it is
//! copied from. The tool uses only manifests that one of these keys has signed, and objects whose
//! hash such a manifest names.

use crate::error::{Error, Result};
use patcher::internal::error::Refused;
use patcher::internal::keys::{PublicKey, TrustedKeys};
use patcher::internal::trust::VerifiedManifest;
use std::path::Path;

/// Trusted keys in the order of the client's list.
#[derive(Debug, Clone, Default)]
pub struct SiteKeys(Vec<PublicKey>);

impl SiteKeys {
    /// Takes keys and leaves out those given twice.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let mut distinct: Vec<PublicKey> = Vec::new();
        for key in keys {
            if !distinct.contains(&key) {
                distinct.push(key);
            }
        }
        Self(distinct)
    }

    /// Returns `true` if `key` is one of the keys.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.0.contains(key)
    }

    /// Verifies the manifest at `path`: `check` gets the keys, of which one must have signed.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], or [`Error::ManifestFile`] with the reason that `check` gives.
    pub fn verify(
        &self,
        path: &Path,
        check: impl FnOnce(&TrustedKeys) -> Result<VerifiedManifest, Refused>,
    ) -> Result<VerifiedManifest> {
        let path = path.to_owned();
        if self.0.is_empty() {
            return Err(Error::OtherSigner { path });
        }
        check(&TrustedKeys::new(self.0.clone(), 1)?).map_err(|refused| match refused {
            Refused::UnknownKey { .. } => Error::OtherSigner { path },
            other => Error::ManifestFile { path, source: Box::new(other) },
        })
    }
}
