//! The publisher's private keys: RSA with 2048 to 4096 bits, in PEM files.
//!
//! Encrypted keys are PKCS#8 with PBES2 (RFC 8018), as openssl makes them. This tool encrypts with
//! PBKDF2-HMAC-SHA256 and AES-256-CBC. Unlike scrypt, every openssl reads these, also LibreSSL and
//! builds with FIPS.
//!
//! Signing is blinded. The time of the `rsa` crate's arithmetic depends on the key
//! (RUSTSEC-2023-0071), and random blinding hides that. The signature is the same each time.

use crate::error::{Error, KeyError, Result};
use crate::signing::passphrase::{Passphrase, Passphrases};
use patcher::internal::digest::Sha256;
use patcher::internal::error::Caller;
use patcher::internal::keys::PublicKey;
use patcher::internal::manifest::Signature;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::pkcs5::{self, pbes2::Parameters};
use rsa::pkcs8::{
    self, DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, EncryptedPrivateKeyInfo, LineEnding,
    PrivateKeyInfo, SecretDocument,
};
use rsa::rand_core::{OsRng, RngCore as _};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use std::fs;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The number of PBKDF2 iterations: OWASP's Password Storage Cheat Sheet recommends it for
/// HMAC-SHA256.
const ITERATIONS: u32 = 600_000;
/// The ending of the file of a private key.
const PRIVATE: &str = ".key.pem";
/// The ending of the file of a public key.
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
    /// [`KeyError::Generate`].
    pub fn generate(bits: usize) -> Result<Self> {
        let failed = |detail: String| KeyError::Generate { detail };
        let key = RsaPrivateKey::new(&mut OsRng, bits).map_err(|error| failed(error.to_string()))?;
        Ok(Self::new(key).map_err(failed)?)
    }

    /// Reads a PKCS#8 or PKCS#1 PEM; `passphrases` opens an encrypted one.
    ///
    /// # Errors
    /// [`KeyError::PrivateKey`], [`KeyError::EncryptedKey`], [`KeyError::WrongPassphrase`], those
    /// of [`Passphrases::of`], or an I/O error.
    pub fn load(path: &Path, passphrases: &Passphrases) -> Result<Self> {
        let pem = Zeroizing::new(fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?);
        let pem = pem.trim();
        let unusable = |detail: String| KeyError::PrivateKey { path: path.to_owned(), detail };
        // PKCS#1 itself has no encryption. openssl's old one is in the PEM's header.
        if pem.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::EncryptedKey { path: path.to_owned() }.into());
        }
        let key = if pem.contains("BEGIN RSA PRIVATE KEY") {
            RsaPrivateKey::from_pkcs1_pem(pem).map_err(|error| unusable(error.to_string()))?
        } else if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            let (_, der) = SecretDocument::from_pem(pem).map_err(|error| unusable(error.to_string()))?;
            let opened = open(path, der.as_bytes(), passphrases)?;
            RsaPrivateKey::from_pkcs8_der(opened.as_bytes()).map_err(|error| unusable(error.to_string()))?
        } else {
            RsaPrivateKey::from_pkcs8_pem(pem).map_err(|error| unusable(error.to_string()))?
        };
        Ok(Self::new(key).map_err(unusable)?)
    }

    /// Takes a key whose public half clients accept; otherwise returns the reason.
    fn new(key: RsaPrivateKey) -> Result<Self, String> {
        let pem = key.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|error| error.to_string())?;
        let public = PublicKey::from_pem(&pem).map_err(|error| match error {
            patcher::Error::Caller(Caller::BadKey { detail }) => detail,
            other => other.to_string(),
        })?;
        Ok(Self { key, public })
    }

    /// Returns the public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `body` with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 8017, 8.2).
    ///
    /// # Errors
    /// [`KeyError::Sign`].
    pub fn sign(&self, body: &[u8]) -> Result<Signature> {
        let scheme = Pkcs1v15Sign::new::<rsa::sha2::Sha256>();
        let key = self.public.id();
        match self.key.sign_with_rng(&mut OsRng, scheme, Sha256::of(body).as_bytes()) {
            Ok(bytes) => Ok(Signature { key, bytes }),
            Err(source) => Err(KeyError::Sign { key, source }.into()),
        }
    }

    /// Writes the private half as PKCS#8 and the public half as SPKI.
    ///
    /// Only the owner can read the private half. A passphrase encrypts it.
    ///
    /// # Errors
    /// [`Error::Exists`] if one of the files exists, before anything is written; an I/O error.
    pub fn save(&self, files: &KeyFiles, passphrase: Option<&Passphrase>) -> Result<()> {
        files.check_absent()?;
        let failed = |error: pkcs8::Error| KeyError::Generate { detail: error.to_string() };
        create(&files.private, self.to_pem(passphrase).map_err(failed)?.as_bytes(), 0o600)?;
        let public = self.key.to_public_key().to_public_key_pem(LineEnding::LF);
        create(&files.public, public.map_err(|error| failed(error.into()))?.as_bytes(), 0o644)
    }

    fn to_pem(&self, passphrase: Option<&Passphrase>) -> pkcs8::Result<Zeroizing<String>> {
        let Some(passphrase) = passphrase else { return self.key.to_pkcs8_pem(LineEnding::LF) };
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        OsRng.fill_bytes(&mut salt);
        OsRng.fill_bytes(&mut iv);
        let parameters = Parameters::pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, &iv)?;
        let plain = self.key.to_pkcs8_der()?;
        let encrypted = PrivateKeyInfo::try_from(plain.as_bytes())?.encrypt_with_params(parameters, passphrase)?;
        Ok(encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)?)
    }
}

/// The files of a key pair.
pub struct KeyFiles {
    /// `NAME.key.pem`.
    pub private: PathBuf,
    /// `NAME.pub.pem`.
    pub public: PathBuf,
}

impl KeyFiles {
    /// Returns the files of the key pair with this name.
    pub fn new(name: &Path) -> Self {
        Self { private: with_ending(name, PRIVATE), public: with_ending(name, PUBLIC) }
    }

    /// Fails if one of the files exists.
    ///
    /// # Errors
    /// [`Error::Exists`].
    pub fn check_absent(&self) -> Result<()> {
        match [&self.private, &self.public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
            Some(path) => Err(Error::Exists { path: path.clone() }),
            None => Ok(()),
        }
    }
}

/// Decrypts the private key that was at `path`, and returns its PKCS#8 DER.
fn open(path: &Path, der: &[u8], passphrases: &Passphrases) -> Result<SecretDocument> {
    let unsupported = || KeyError::EncryptedKey { path: path.to_owned() };
    let wrong = || KeyError::WrongPassphrase { path: path.to_owned() };
    let encrypted = EncryptedPrivateKeyInfo::try_from(der).map_err(|_| unsupported())?;
    let opened = encrypted.decrypt(passphrases.of(path)?).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs5::Error::UnsupportedAlgorithm { .. }
            | pkcs5::Error::AlgorithmParametersInvalid { .. }
            | pkcs5::Error::NoPbes1CryptSupport,
        ) => unsupported(),
        _ => wrong(),
    })?;
    // About 1 of 256 wrong passphrases gives bytes with a valid padding, which are no key.
    match PrivateKeyInfo::try_from(opened.as_bytes()) {
        Ok(_) => Ok(opened),
        Err(_) => Err(wrong().into()),
    }
}

fn with_ending(name: &Path, ending: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Creates a file and makes it durable, because a lost key cannot be made again.
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
