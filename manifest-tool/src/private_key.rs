//! The publisher's private keys: RSA, kept as PEM, 2048 to 4096 bits as clients take them.
//!
//! Signing is blinded: the `rsa` crate's arithmetic takes a time that depends on the key (RUSTSEC-2023-0071), and with
//! random blinding that time says nothing about it. The signature is the same each time all the same.

use crate::error::{Error, Result};
use patcher::digest::Sha256;
use patcher::error::Caller;
use patcher::keys::PublicKey;
use patcher::manifest::Signature;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use std::fs;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What follows a key's name in the name of its secret file.
const PRIVATE: &str = ".key.pem";
/// What follows it in the name of the other one.
const PUBLIC: &str = ".pub.pem";

/// A key that signs manifests.
pub struct PrivateKey {
    key: RsaPrivateKey,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a new key of `bits` bits, 2048 to 4096, from the system's randomness.
    ///
    /// # Errors
    /// [`Error::Generate`].
    pub fn generate(bits: usize) -> Result<Self> {
        let failed = |detail: String| Error::Generate { detail };
        let key = RsaPrivateKey::new(&mut OsRng, bits).map_err(|error| failed(error.to_string()))?;
        Self::new(key).map_err(failed)
    }

    /// Reads a PKCS#8 or PKCS#1 PEM.
    ///
    /// # Errors
    /// [`Error::PrivateKey`], [`Error::EncryptedKey`], or the system's answer.
    pub fn load(path: &Path) -> Result<Self> {
        let pem = fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
        if pem.contains("ENCRYPTED") {
            return Err(Error::EncryptedKey { path: path.to_owned() });
        }
        let unusable = |detail: String| Error::PrivateKey { path: path.to_owned(), detail };
        let key = if pem.contains("BEGIN RSA PRIVATE KEY") {
            RsaPrivateKey::from_pkcs1_pem(pem.trim()).map_err(|error| unusable(error.to_string()))?
        } else {
            RsaPrivateKey::from_pkcs8_pem(pem.trim()).map_err(|error| unusable(error.to_string()))?
        };
        Self::new(key).map_err(unusable)
    }

    /// Takes a key whose public half a client would take; else says why not.
    fn new(key: RsaPrivateKey) -> Result<Self, String> {
        let pem = key.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|error| error.to_string())?;
        let public = PublicKey::from_pem(&pem).map_err(|error| match error {
            patcher::Error::Caller(Caller::BadKey { detail }) => detail,
            other => other.to_string(),
        })?;
        Ok(Self { key, public })
    }

    /// The half that clients hold.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2) over `body`.
    ///
    /// # Errors
    /// [`Error::Sign`].
    pub fn sign(&self, body: &[u8]) -> Result<Signature> {
        let scheme = Pkcs1v15Sign::new::<rsa::sha2::Sha256>();
        let key = self.public.id();
        match self.key.sign_with_rng(&mut OsRng, scheme, Sha256::of(body).as_bytes()) {
            Ok(bytes) => Ok(Signature { key, bytes }),
            Err(source) => Err(Error::Sign { key, source }),
        }
    }

    /// Fails when `NAME.key.pem` or `NAME.pub.pem` is there.
    ///
    /// # Errors
    /// [`Error::Exists`].
    pub fn check_free(name: &Path) -> Result<()> {
        match [PRIVATE, PUBLIC]
            .map(|ending| with_ending(name, ending))
            .into_iter()
            .find(|path| path.symlink_metadata().is_ok())
        {
            Some(path) => Err(Error::Exists { path }),
            None => Ok(()),
        }
    }

    /// Writes `NAME.key.pem` (PKCS#8, for its owner alone) and `NAME.pub.pem` (SPKI) and tells their paths.
    ///
    /// # Errors
    /// [`Error::Exists`] if either is there, before anything is written; or the system's answer.
    pub fn save(&self, name: &Path) -> Result<(PathBuf, PathBuf)> {
        Self::check_free(name)?;
        let (private, public) = (with_ending(name, PRIVATE), with_ending(name, PUBLIC));
        let failed = |detail: String| Error::Generate { detail };
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).map_err(|error| failed(error.to_string()))?;
        create(&private, pem.as_bytes(), 0o600)?;
        let pem =
            self.key.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|error| failed(error.to_string()))?;
        create(&public, pem.as_bytes(), 0o644)?;
        Ok((private, public))
    }
}

fn with_ending(name: &Path, ending: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Writes a file that must not be there yet, durably: a key that is lost after its first use is lost for good.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.to_owned() },
        _ => Error::io("create", path, error),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| Error::io("write", path, error))
}
