//! Signing: turns a manifest into one that clients accept, with keys here or in another place.
//!
//! [`Signing::seal`] reads its own result with the client's reader and fails unless that gives
//! the manifest it was asked to sign. Where the private keys are here, it also checks the
//! signatures of all of them.

pub mod passphrase;
pub mod private_key;
pub mod public_key;

use crate::error::{Error, Result};
use crate::site::{self, ComponentSite};
use patcher::internal::error::Refused;
use patcher::internal::keys::{PublicKey, TrustedKeys};
use patcher::internal::manifest::{self, Manifest};
use patcher::internal::trust::{self, VerifiedManifest};
use private_key::PrivateKey;
use std::path::{Path, PathBuf};

/// The keys that sign a release, and those that may have signed earlier ones.
pub struct Signing {
    /// The keys that sign.
    pub signer: Signer,
    /// Further keys that may have signed earlier releases.
    pub trusted: Vec<PublicKey>,
}

/// The place of the signing keys.
pub enum Signer {
    /// Keys that this program has read; each one signs.
    Here(Vec<PrivateKey>),
    /// A key in a device or a service. The file receives the bytes to be signed.
    Elsewhere(PathBuf),
}

/// A checked manifest, signed or ready to be signed.
pub enum Sealed {
    /// A signed manifest, ready to be published.
    Signed(Box<VerifiedManifest>),
    /// The bytes to be signed, and the file that receives them.
    Body(Vec<u8>, PathBuf),
}

impl Signing {
    /// Verifies the earlier manifest at `path`, which a new one is going to vouch for.
    ///
    /// The keys that sign now and the trusted ones are accepted; `check` verifies with them.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], or [`Error::ManifestFile`] with the reason that `check` gives.
    pub fn check_earlier(
        &self,
        path: &Path,
        check: impl FnOnce(&TrustedKeys) -> Result<VerifiedManifest, Refused>,
    ) -> Result<VerifiedManifest> {
        let mut keys = self.public_keys();
        let further: Vec<_> = self.trusted.iter().filter(|key| !keys.contains(key)).cloned().collect();
        keys.extend(further);
        let path = path.to_owned();
        if keys.is_empty() {
            return Err(Error::OtherSigner { path });
        }
        check(&TrustedKeys::new(keys, 1)?).map_err(|refused| match refused {
            Refused::UnknownKey => Error::OtherSigner { path },
            other => Error::ManifestFile { path, source: Box::new(other) },
        })
    }

    /// Signs with every key that is here, and reads the result as a client does.
    ///
    /// # Errors
    /// Everything that a client would refuse; [`Error::ReadBack`]; those of [`PrivateKey::sign`].
    pub fn seal(&self, manifest: &Manifest) -> Result<Sealed> {
        let body = manifest::body(manifest);
        let (sealed, read) = match &self.signer {
            Signer::Here(keys) => {
                let trusted = TrustedKeys::new(self.public_keys(), keys.len().max(1))?;
                let signatures: Vec<_> = keys.iter().map(|key| key.sign(&body)).collect::<Result<_>>()?;
                let verified = trust::authenticate(manifest::with_signatures(&body, &signatures), &trusted)?;
                let read = verified.manifest().clone();
                (Sealed::Signed(Box::new(verified)), read)
            }
            Signer::Elsewhere(file) => {
                let read = manifest::parse(&body)?;
                (Sealed::Body(body, file.clone()), read)
            }
        };
        if read == *manifest { Ok(sealed) } else { Err(Error::ReadBack) }
    }

    /// The public halves of the private keys that are here.
    fn public_keys(&self) -> Vec<PublicKey> {
        match &self.signer {
            Signer::Here(keys) => keys.iter().map(|key| key.public().clone()).collect(),
            Signer::Elsewhere(_) => Vec::new(),
        }
    }
}

impl Sealed {
    /// Publishes a signed manifest on `site`, or writes the bytes to be signed to their file.
    ///
    /// A signed manifest is first written to `copy`, if there is one.
    ///
    /// # Errors
    /// Those of [`ComponentSite::check_next`], before anything is written; those of
    /// [`ComponentSite::publish`]; an I/O error.
    pub fn publish(&self, site: &ComponentSite, copy: Option<&Path>) -> Result<()> {
        match self {
            Sealed::Signed(manifest) => {
                // Another publisher may have used the sequence since it was chosen.
                site.check_next(manifest)?;
                copy.map_or(Ok(()), |path| site::replace(path, manifest.bytes()))?;
                site.publish(manifest)
            }
            Sealed::Body(body, file) => site::replace(file, body),
        }
    }
}
