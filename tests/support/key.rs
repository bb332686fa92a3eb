//! A publisher's key pair in memory, which signs any bytes.

use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{self, Signature};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};

/// A key pair.
pub struct Key {
    pub private: RsaPrivateKey,
    /// The hash of the public key, as signature lines have it.
    pub id: Sha256,
    /// The public key.
    pub pem: String,
}

impl Key {
    /// Generates a key of 2048 bits.
    pub fn generate() -> Self {
        Self::new(RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap())
    }

    /// Reads a private key without a passphrase.
    pub fn from_pem(pem: &str) -> Self {
        Self::new(RsaPrivateKey::from_pkcs8_pem(pem).unwrap())
    }

    fn new(private: RsaPrivateKey) -> Self {
        let public = private.to_public_key();
        let id = Sha256::of(public.to_public_key_der().unwrap().as_bytes());
        Self { id, pem: public.to_public_key_pem(LineEnding::LF).unwrap(), private }
    }

    /// Signs `body`.
    pub fn sign(&self, body: &[u8]) -> Signature {
        let scheme = Pkcs1v15Sign::new::<rsa::sha2::Sha256>();
        Signature { key: self.id, bytes: self.private.sign(scheme, Sha256::of(body).as_bytes()).unwrap() }
    }
}

/// Returns a manifest file: `body` with a signature by each of `keys`.
pub fn sign(body: impl AsRef<[u8]>, keys: &[&Key]) -> Vec<u8> {
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(body.as_ref())).collect();
    manifest::with_signatures(body.as_ref(), &signatures)
}
