//! Signing: makes a manifest that clients accept, by private keys that lie here or elsewhere.
//!
//! [`Signing::seal`] reads its own result with the client's reader, and fails unless that gives the
//! same manifest. It also verifies the signatures, unless another program adds them later
//! ([`Signer::Elsewhere`]).

pub mod passphrase;
pub mod private_key;
pub mod program;
pub mod public_key;

use crate::error::{Error, KeyError, Result};
use crate::site::site_keys::SiteKeys;
use crate::site::{self, ComponentSite, Survey};
use patcher::internal::digest::Sha256;
use patcher::internal::error::Refused;
use patcher::internal::keys::{PublicKey, TrustedKeys};
use patcher::internal::manifest::{self, Manifest, Meta};
use patcher::internal::trust::{self, VerifiedManifest};
use private_key::PrivateKey;
use program::SigningProgram;
use std::path::{Path, PathBuf};

/// The keys that sign a release, and those that may have signed earlier ones.
pub struct Signing {
    /// The keys that sign.
    pub signer: Signer,
    /// Further keys that may have signed earlier releases.
    pub trusted: Vec<PublicKey>,
    /// The number of keys that must have signed an earlier release; `None`: as many as sign now.
    pub threshold: Option<usize>,
    /// The key that the next release retires; `None` keeps the one of the newest release.
    pub retires: Option<Sha256>,
    /// The freshness key that the next release names.
    pub freshness: FreshnessKey,
    /// Files of private keys that other users can read.
    pub readable: Vec<PathBuf>,
    /// The sequence of the next release; `None` means one more than the highest of the site.
    pub sequence: Option<u64>,
}

/// The freshness key that a release names.
pub enum FreshnessKey {
    /// The freshness key of the newest release.
    Unchanged,
    /// This one.
    Key(PublicKey),
    /// None: clients demand no stamp.
    None,
}

/// The place of the signing keys.
pub enum Signer {
    /// Keys that this program has read; each one signs.
    Here(Vec<PrivateKey>),
    /// A program that signs digests with a key that it does not give out.
    Program(SigningProgram),
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
    /// Returns the keys whose releases on the site count: the trusted and the signing ones.
    ///
    /// The trusted ones come first: they are older, and a release may have retired them.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting) for a threshold that
    /// the keys cannot reach.
    pub fn site_keys(&self) -> Result<SiteKeys> {
        let keys = SiteKeys::new(self.trusted.iter().cloned().chain(self.public_keys())).retiring(self.retires);
        let signers = SiteKeys::new(self.public_keys()).count();
        match self.threshold {
            Some(threshold) => keys.needing(threshold),
            // Without a key here, the threshold is not known.
            None if signers == 0 => Ok(keys),
            None => keys.needing(signers),
        }
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
            Signer::Program(program) => {
                let trusted = TrustedKeys::new(vec![program.key.clone()], 1)?;
                let signed = manifest::with_signatures(&body, &[program.sign(&body)?]);
                let verified = trust::authenticate(signed, &trusted).map_err(|refused| match refused {
                    Refused::BadSignature { .. } | Refused::Manifest { .. } => {
                        let detail = format!("it did not return the signature of key {}", program.key.id());
                        Error::from(KeyError::SigningProgram { command: program.command.clone(), detail })
                    }
                    other => other.into(),
                })?;
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

    /// Sets the keys that a release inherits from the newest one, unless the publisher names
    /// others.
    ///
    /// # Errors
    /// [`KeyError::FreshnessSigner`] for a freshness key that also signs the release.
    pub fn inherit(&self, meta: &mut Meta, survey: &Survey) -> Result<()> {
        let keys = self.site_keys()?;
        meta.retires = keys.later_retired(survey.retires, self.retires);
        meta.freshness = match &self.freshness {
            FreshnessKey::Unchanged => survey.freshness_of(&meta.channel),
            FreshnessKey::Key(key) if keys.contains(key) => {
                return Err(KeyError::FreshnessSigner { key: key.id() }.into());
            }
            FreshnessKey::Key(key) => Some(key.to_spki()?),
            FreshnessKey::None => None,
        };
        Ok(())
    }

    /// Checks a draft of a manifest as [`seal`](Self::seal) does, without a signature.
    ///
    /// # Errors
    /// Everything that a client would refuse; [`Error::ReadBack`].
    pub fn check(&self, draft: &Manifest) -> Result<()> {
        let is_same = manifest::parse(&manifest::body(draft))? == *draft;
        let keys = self.public_keys();
        if !keys.is_empty() {
            TrustedKeys::new(keys.clone(), keys.len())?;
        }
        let retires = draft.meta.retires.filter(|id| keys.iter().any(|key| key.id() == *id));
        match retires {
            Some(key) => Err(KeyError::RetiredSigner { key }.into()),
            None if is_same => Ok(()),
            None => Err(Error::ReadBack),
        }
    }

    /// Returns the public halves of the keys that sign.
    fn public_keys(&self) -> Vec<PublicKey> {
        match &self.signer {
            Signer::Program(program) => vec![program.key.clone()],
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
