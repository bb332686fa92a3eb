//! The public keys that a program trusts: RSA, 2048 to 4096 bits, e = 65537, in the order in which
//! they take over.
//!
//! A key's id is the SHA-256 of its SPKI DER, as `openssl pkey -pubin -outform DER | sha256sum`
//! prints it. A release can retire a key, and with it all keys before it in the list.

use crate::error::{Caller, Result};
use crate::values::digest::Sha256;
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use std::fmt;

/// The smallest accepted modulus, in bits.
pub const MIN_BITS: usize = 2048;
/// The largest accepted modulus, in bits.
pub const MAX_BITS: usize = 4096;
/// The only accepted public exponent.
pub const EXPONENT: u32 = 65_537;
/// The first line of a public key (RFC 7468, section 13).
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";

/// A public key that may sign manifests.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: RsaPublicKey,
    id: Sha256,
}

impl PublicKey {
    /// Reads an SPKI PEM (`-----BEGIN PUBLIC KEY-----`), as `manifest-tool keygen` and
    /// `openssl pkey -pubout` write it.
    ///
    /// # Errors
    /// [`Caller::BadKey`] for anything that is not such a PEM, not RSA, not 2048 to 4096 bits, or
    /// has another exponent.
    pub fn from_pem(pem: &str) -> Result<Self> {
        let bad = |detail: String| Caller::BadKey { detail };
        if pem.contains("PRIVATE KEY") {
            return Err(bad("it is a private key; the program takes the .pub.pem".into()).into());
        }
        if !pem.contains(PEM_BEGIN) {
            return Err(bad(format!("it has no line `{PEM_BEGIN}`")).into());
        }
        // The limits below are checked on the parsed key; the crate's own are wider.
        let key = RsaPublicKey::from_public_key_pem(pem.trim()).map_err(|error| bad(error.to_string()))?;
        Self::new(key)
    }

    /// Reads an SPKI DER, the form in which a manifest names a freshness key.
    ///
    /// # Errors
    /// [`Caller::BadKey`] as in [`from_pem`](Self::from_pem).
    pub fn from_spki(der: &[u8]) -> Result<Self> {
        let bad = |error: rsa::pkcs8::spki::Error| Caller::BadKey { detail: error.to_string() };
        Self::new(RsaPublicKey::from_public_key_der(der).map_err(bad)?)
    }

    /// Returns the key as SPKI DER.
    ///
    /// # Errors
    /// [`Caller::BadKey`] for a key that cannot be written in this form.
    pub fn to_spki(&self) -> Result<Vec<u8>> {
        let bad = |error: rsa::pkcs8::spki::Error| Caller::BadKey { detail: error.to_string() };
        Ok(self.key.to_public_key_der().map_err(bad)?.as_bytes().to_vec())
    }

    /// Accepts an RSA key within the limits.
    fn new(key: RsaPublicKey) -> Result<Self> {
        let bad = |detail: String| Caller::BadKey { detail };
        let bits = key.n().bits();
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(bad(format!("it has {bits} bits, not {MIN_BITS} to {MAX_BITS}")).into());
        }
        if *key.e() != BigUint::from(EXPONENT) {
            return Err(bad(format!("its exponent is not {EXPONENT}")).into());
        }
        let der = key.to_public_key_der().map_err(|error| bad(error.to_string()))?;
        Ok(Self { id: Sha256::of(der.as_bytes()), key })
    }

    /// Returns the SHA-256 of the key's SPKI DER.
    pub fn id(&self) -> Sha256 {
        self.id
    }

    /// Returns `true` if `signature` is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2) over bytes
    /// with this hash.
    pub(crate) fn verifies(&self, hash: &Sha256, signature: &[u8]) -> bool {
        self.key.verify(Pkcs1v15Sign::new::<sha2::Sha256>(), hash.as_bytes(), signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

/// The trusted keys, at least one, in the order in which they take over, and the threshold.
#[derive(Debug, Clone)]
pub struct TrustedKeys {
    keys: Vec<PublicKey>,
    threshold: usize,
}

impl TrustedKeys {
    /// Accepts distinct keys and a threshold that they can reach.
    ///
    /// # Errors
    /// [`Caller::NoKey`], [`Caller::BadKey`] for a key given twice, [`Caller::BadSetting`] for the
    /// threshold.
    pub fn new(keys: Vec<PublicKey>, threshold: usize) -> Result<Self> {
        if keys.is_empty() {
            return Err(Caller::NoKey.into());
        }
        if let Some(twice) = keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key)) {
            return Err(Caller::BadKey { detail: format!("key {} is given twice", twice.1.id) }.into());
        }
        if !(1..=keys.len()).contains(&threshold) {
            let detail = format!("{} trusted keys are given", keys.len());
            return Err(Caller::BadSetting { setting: "threshold", value: threshold.to_string(), detail }.into());
        }
        Ok(Self { keys, threshold })
    }

    /// Returns the key with this id, and its index in the list.
    pub(crate) fn find(&self, id: &Sha256) -> Option<(usize, &PublicKey)> {
        self.keys.iter().enumerate().find(|(_, key)| key.id == *id)
    }

    /// Returns the id of the key at this index, which is the first one left in this epoch.
    pub(crate) fn id(&self, epoch: usize) -> Sha256 {
        self.keys[epoch].id
    }

    /// Returns the id of the last key of the list.
    pub(crate) fn newest_id(&self) -> Sha256 {
        self.id(self.keys.len() - 1)
    }

    /// Returns the number of distinct keys that must sign.
    pub fn threshold(&self) -> usize {
        self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::RsaPrivateKey;
    use rsa::pkcs8::LineEnding;

    fn pem(bits: usize, exponent: u32) -> String {
        let mut random = rsa::rand_core::OsRng;
        let key = RsaPrivateKey::new_with_exp(&mut random, bits, &BigUint::from(exponent)).unwrap();
        key.to_public_key().to_public_key_pem(LineEnding::LF).unwrap()
    }

    fn code(pem: &str) -> &'static str {
        PublicKey::from_pem(pem).unwrap_err().code()
    }

    #[test]
    fn weak_and_odd_keys_are_refused() {
        assert_eq!(code(&pem(1024, EXPONENT)), "bad-key");
        assert_eq!(code(&pem(2040, EXPONENT)), "bad-key");
        assert_eq!(code(&pem(2048, 3)), "bad-key");
        assert_eq!(code("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "bad-key");
        assert!(
            PublicKey::from_pem("").unwrap_err().to_string().contains("it has no line `-----BEGIN PUBLIC KEY-----`")
        );
        assert_eq!(code("-----BEGIN PRIVATE KEY-----\n"), "bad-key");
    }

    #[test]
    fn a_list_has_a_reachable_threshold_and_no_key_twice() {
        let key = PublicKey::from_pem(&pem(2048, EXPONENT)).unwrap();
        let code = |keys, threshold| TrustedKeys::new(keys, threshold).err().map(|error| error.code());
        assert_eq!(code(vec![], 1), Some("no-key"));
        assert_eq!(code(vec![key.clone(), key.clone()], 1), Some("bad-key"));
        assert_eq!(code(vec![key.clone()], 0), Some("bad-setting"));
        assert_eq!(code(vec![key.clone()], 2), Some("bad-setting"));
        assert_eq!(code(vec![key], 1), None);
    }
}
