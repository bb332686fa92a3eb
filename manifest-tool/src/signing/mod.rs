//! How a manifest gets its signatures: from keys that are read here, or from one that only another program can use.
//!
//! Nothing leaves [`Signing::seal`] that the client's own reader does not take for the very value that was meant: under
//! the public halves of all keys, where they sign here.

pub mod passphrase;
pub mod private_key;
pub mod public_key;

use crate::error::{Error, Result};
use crate::site::{self, ComponentSite};
use passphrase::Passphrases;
use patcher::internal::error::Refused;
use patcher::internal::keys::{PublicKey, TrustedKeys};
use patcher::internal::manifest::{self, Manifest};
use patcher::internal::trust::{self, VerifiedManifest};
use private_key::PrivateKey;
use std::env;
use std::path::{Path, PathBuf};

/// What the command line says of signing.
#[derive(Debug, clap::Args)]
pub struct SigningFlags {
    /// A private key; again for each further signature [default: $MANIFEST_KEY or ./release.key.pem]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    #[command(flatten)]
    passphrases: Passphrases,
    /// Publish nothing and write to FILE what is to be signed, for a key that is elsewhere; `attach` goes on from there
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keys", "passphrase_file"])]
    body: Option<PathBuf>,
    /// A public key that earlier releases may be signed by, beside those that sign now; again for each
    #[arg(long = "trust", value_name = "PUB")]
    trusted: Vec<PathBuf>,
}

/// Who signs, and who may have signed before.
pub struct Signing {
    /// Who signs.
    pub signer: Signer,
    trusted: Vec<PublicKey>,
}

/// Who signs.
pub enum Signer {
    /// These keys, all of them.
    Here(Vec<PrivateKey>),
    /// A key in a device or a service: what it is to sign goes to this file.
    Elsewhere(PathBuf),
}

/// A manifest that is ready for one of the two.
pub enum Sealed {
    /// Signed, and to be published.
    Signed(Box<VerifiedManifest>),
    /// To be signed: the bytes, and the file that they go to.
    Body(Vec<u8>, PathBuf),
}

impl SigningFlags {
    /// The files that must not be published: keys, the passphrase, what is to be signed.
    pub fn files(&self) -> Vec<PathBuf> {
        let more = [&self.passphrases.passphrase_file, &self.body].into_iter().flatten().cloned();
        self.key_paths().into_iter().chain(more).collect()
    }

    /// Reads the public keys and, if any are to be used, the private ones.
    ///
    /// # Errors
    /// Those of [`PrivateKey::load`] and [`public_key::load`].
    pub fn load(self) -> Result<Signing> {
        let trusted = self.trusted.iter().map(|path| public_key::load("--trust", path)).collect::<Result<_>>()?;
        let keys = self.key_paths();
        let signer = match self.body {
            Some(file) => Signer::Elsewhere(file),
            None => {
                let load = |path: &PathBuf| PrivateKey::load(path, &self.passphrases);
                Signer::Here(keys.iter().map(load).collect::<Result<_>>()?)
            }
        };
        Ok(Signing { signer, trusted })
    }

    fn key_paths(&self) -> Vec<PathBuf> {
        match &self.body {
            None if self.keys.is_empty() => {
                vec![env::var_os("MANIFEST_KEY").map_or_else(|| "./release.key.pem".into(), PathBuf::from)]
            }
            _ => self.keys.clone(),
        }
    }
}

impl Signing {
    /// The public halves of the keys that sign here.
    fn public_keys(&self) -> Vec<PublicKey> {
        match &self.signer {
            Signer::Here(keys) => keys.iter().map(|key| key.public().clone()).collect(),
            Signer::Elsewhere(_) => Vec::new(),
        }
    }

    /// Checks the manifest at `path`, which is to be vouched for again: signed by a key that signs now, or by a trusted one.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], or [`Error::ManifestFile`] with what `check` refuses.
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

    /// Signs with every key, or leaves that to others, and reads the result as a client does.
    ///
    /// # Errors
    /// Whatever a client would refuse; [`Error::ReadBack`]; those of [`PrivateKey::sign`].
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
}

impl Sealed {
    /// Publishes a signed manifest on `site` and, before that, writes it to `copy`; a body goes to its file alone.
    ///
    /// # Errors
    /// Those of [`ComponentSite::check_next`], before anything is written; those of [`ComponentSite::publish`], or the system's answer.
    pub fn publish(&self, site: &ComponentSite, copy: Option<&Path>) -> Result<()> {
        match self {
            Sealed::Signed(manifest) => {
                // Somebody else may have published since the sequence was chosen.
                site.check_next(manifest)?;
                copy.map_or(Ok(()), |path| site::replace(path, manifest.bytes()))?;
                site.publish(manifest)
            }
            Sealed::Body(body, file) => site::replace(file, body),
        }
    }
}
