//! The public keys whose releases on a site the tool uses.
//!
//! A site is hostile input: an attacker may have written to the folder or to the server that it is
//! copied from. The tool uses only manifests that enough of these keys have signed, and objects
//! whose hash such a manifest names. With one signature only, an attacker who has stolen one of
//! several keys could leave a release on the site that the others sign again.

use crate::error::{Error, Result};
use patcher::internal::digest::Sha256;
use patcher::internal::error::Refused;
use patcher::internal::keys::{PublicKey, TrustedKeys};
use patcher::internal::trust::VerifiedManifest;
use std::path::Path;

/// Trusted keys in the order of the client's list, and how many of them must have signed.
#[derive(Debug, Clone, Default)]
pub struct SiteKeys {
    keys: Vec<PublicKey>,
    threshold: usize,
    /// The number of keys, from the first one on, that count no longer.
    retired: usize,
    /// The key that the next release retires.
    retiring: Option<Sha256>,
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
        Self { keys: distinct, threshold: 1, retired: 0, retiring: None }
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

    /// Names the key that the next release retires.
    ///
    /// Releases by this key count until each channel and platform has a release that retires it.
    pub fn retiring(self, key: Option<Sha256>) -> Self {
        Self { retiring: key, ..self }
    }

    /// Leaves out the first `retired` keys.
    pub fn without_first(self, retired: usize) -> Self {
        Self { retired, ..self }
    }

    /// Returns how many keys a release that retires `key` retires: it, and all keys before it.
    ///
    /// A key that is not among these retires none.
    pub fn retired_by(&self, key: Option<Sha256>) -> usize {
        self.keys.iter().position(|known| Some(known.id()) == key).map_or(0, |place| place + 1)
    }

    /// Returns how many keys count no longer if these keys are retired one after the other.
    ///
    /// A manifest that retires keys is signed by enough later ones, so the highest number decides.
    pub fn retired_by_all(&self, retired: impl IntoIterator<Item = Option<Sha256>>) -> usize {
        let again = self.retiring.map_or(0, |key| self.retired_by(Some(key)));
        let counts = retired.into_iter().map(|key| self.retired_by(key)).filter(|count| *count != again);
        counts.max().unwrap_or(0)
    }

    /// Returns the key of two that retires more keys; `new` if the list does not tell.
    pub fn later_retired(&self, old: Option<Sha256>, new: Option<Sha256>) -> Option<Sha256> {
        if self.retired_by(new) >= self.retired_by(old) { new.or(old) } else { old }
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
    /// [`Error::OtherSigner`], [`Error::FewSigners`], [`Error::RetiredRelease`], or
    /// [`Error::ManifestFile`] with the reason that `check` gives.
    pub fn verify(
        &self,
        path: &Path,
        check: impl Fn(&TrustedKeys) -> Result<VerifiedManifest, Refused>,
    ) -> Result<VerifiedManifest> {
        let path = path.to_owned();
        if self.keys.is_empty() {
            return Err(Error::OtherSigner { path });
        }
        let verified =
            check(&TrustedKeys::new(self.keys.clone(), self.threshold)?).map_err(|refused| match refused {
                Refused::UnknownKey { .. } => Error::OtherSigner { path: path.clone() },
                Refused::Threshold { valid, needed } => Error::FewSigners { path: path.clone(), valid, needed },
                other => Error::ManifestFile { path: path.clone(), source: Box::new(other) },
            })?;
        let counting = &self.keys[self.retired..];
        if self.retired > 0 && check(&TrustedKeys::new(counting.to_vec(), self.threshold)?).is_err() {
            return Err(Error::RetiredRelease { path });
        }
        Ok(verified)
    }
}
