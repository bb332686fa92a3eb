//! Secrets that must not be published: private keys, and files with the names of secrets.
//!
//! A build folder is hostile input: a step of the build, or a package that it fetched, may have put
//! a key there.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use memchr::memmem;
use patcher::internal::digest::{Sha256, Sha256Hasher};
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo};
use std::io::{self, Read};
use std::path::Path;
use std::sync::OnceLock;

/// Names of files and folders that hold secrets, without regard to case.
const NAMES: [&str; 30] = [
    ".env",
    ".env.*",
    ".git",
    ".hg",
    ".svn",
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".pgpass",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".htpasswd",
    "*.key.pem",
    "*.kdbx",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.ppk",
    "id_dsa",
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
];
/// The beginning of a line that opens a PEM block (RFC 7468).
const BEGIN: &[u8] = b"-----BEGIN ";
/// The same in UTF-16, as PowerShell redirects output. It is found in both byte orders.
const WIDE_BEGIN: &[u8] = b"-\0-\0-\0-\0-\0B\0E\0G\0I\0N\0 \0";
/// The beginning of a private key of PuTTY, before the number of the format.
const PUTTY: &[u8] = b"PuTTY-User-Key-File-";
/// The bytes of a file that are searched at a time.
const WINDOW_BYTES: usize = 1 << 20;
/// The bytes in which a key shows: its first lines, with the headers of old formats.
const HEAD_BYTES: usize = 1024;
/// The bytes that two windows share, for a key in UTF-16.
const OVERLAP_BYTES: usize = 2 * HEAD_BYTES;
/// The shortest run of base64 that counts as key material. A full line has 64 or more characters.
const MIN_BASE64_RUN: usize = 40;
/// The largest file that can be a private key in DER.
const MAX_DER_BYTES: usize = 16 << 10;

/// Returns `true` if a name promises a secret.
pub fn has_secret_name(path: &Path) -> bool {
    static GLOBS: OnceLock<GlobSet> = OnceLock::new();
    let globs = GLOBS.get_or_init(|| {
        let mut set = GlobSetBuilder::new();
        for name in NAMES {
            // Every pattern of the list is valid, as a test shows.
            GlobBuilder::new(name).case_insensitive(true).build().ok().map(|glob| set.add(glob));
        }
        set.build().unwrap_or_default()
    });
    path.file_name().is_some_and(|name| globs.is_match(Path::new(name)))
}

/// A file's hash and size, and whether it holds a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// The SHA-256 of its bytes.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// `true` if it holds a private key, encrypted or not.
    pub has_private_key: bool,
}

/// Hashes and searches everything that `reader` has.
///
/// # Errors
/// An I/O error.
pub fn scan(reader: &mut impl Read) -> io::Result<Scanned> {
    let mut hasher = Sha256Hasher::default();
    let (mut window, mut kept, mut has_private_key) = (vec![0; WINDOW_BYTES], 0, false);
    loop {
        let count = match reader.read(&mut window[kept..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hasher.update(&window[kept..kept + count]);
        let filled = kept + count;
        if count > 0 && filled < window.len() {
            kept = filled;
            continue;
        }
        has_private_key |= holds_private_key(&window[..filled]);
        if count == 0 {
            let (sha256, size) = hasher.finish();
            has_private_key |= usize::try_from(size).is_ok_and(|size| size == filled && is_der_key(&window[..filled]));
            return Ok(Scanned { sha256, size, has_private_key });
        }
        window.copy_within(filled - OVERLAP_BYTES..filled, 0);
        kept = OVERLAP_BYTES;
    }
}

/// Returns `true` if text or a program holds a private key in PEM, or one of PuTTY.
///
/// The marker alone is no key: many programs and manuals name it.
pub fn holds_private_key(bytes: &[u8]) -> bool {
    let head = |start: usize, count: usize| &bytes[start..bytes.len().min(start + count)];
    memmem::find_iter(bytes, BEGIN).any(|start| opens_pem_key(head(start, HEAD_BYTES)))
        || memmem::find_iter(bytes, WIDE_BEGIN).any(|start| {
            let narrow: Vec<u8> = head(start, 2 * HEAD_BYTES).iter().step_by(2).copied().collect();
            opens_pem_key(&narrow)
        })
        || memmem::find_iter(bytes, PUTTY).any(|start| opens_putty_key(head(start, HEAD_BYTES)))
}

fn opens_pem_key(head: &[u8]) -> bool {
    let rest = &head[BEGIN.len()..];
    let Some(end) = memmem::find(&rest[..rest.len().min(64)], b"-----") else { return false };
    let is_private = rest[..end].ends_with(b"PRIVATE KEY") || rest[..end].ends_with(b"PRIVATE KEY BLOCK");
    is_private && longest_base64_run(&rest[end..]) >= MIN_BASE64_RUN
}

/// Returns `true` if these lines begin a key of PuTTY: its marker with the algorithm, and base64.
fn opens_putty_key(head: &[u8]) -> bool {
    let is_name = matches!(head[PUTTY.len()..], [b'1'..=b'9', b':', b' ', first, ..] if first.is_ascii_alphabetic());
    is_name && longest_base64_run(head) >= MIN_BASE64_RUN
}

fn longest_base64_run(bytes: &[u8]) -> usize {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    bytes.split(|byte| !is_base64(byte)).map(<[u8]>::len).max().unwrap_or(0)
}

/// Returns `true` if a whole file is a private key in DER, of any algorithm.
fn is_der_key(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_DER_BYTES
        && bytes.first() == Some(&0x30)
        && (PrivateKeyInfo::try_from(bytes).is_ok()
            || EncryptedPrivateKeyInfo::try_from(bytes).is_ok()
            || RsaPrivateKey::from_pkcs1_der(bytes).is_ok()
            || is_sec1_key(bytes))
}

/// Returns `true` if bytes are a private key of an elliptic curve (RFC 5915, 3): a sequence of the
/// version 1 and an octet string.
fn is_sec1_key(bytes: &[u8]) -> bool {
    let (length, content) = match bytes {
        [0x30, length @ 0..=0x7f, content @ ..] | [0x30, 0x81, length @ 0x80..=0xff, content @ ..] => {
            (usize::from(*length), content)
        }
        _ => return false,
    };
    content.len() == length && content.starts_with(&[0x02, 0x01, 0x01, 0x04])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::pkcs1::EncodeRsaPrivateKey as _;
    use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};

    fn found(bytes: &[u8]) -> bool {
        let scanned = scan(&mut &bytes[..]).unwrap();
        assert_eq!((scanned.sha256, scanned.size), (Sha256::of(bytes), bytes.len() as u64));
        scanned.has_private_key
    }

    #[test]
    fn private_keys_are_found_wherever_they_are() {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
        let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        assert!(found(pem.as_bytes()));
        assert!(found(pem.replace('\n', "\r\n").as_bytes()));
        assert!(found(format!("{{\"private_key\": \"{}\"}}", pem.replace('\n', "\\n")).as_bytes()));
        assert!(found(key.to_pkcs1_pem(LineEnding::LF).unwrap().as_bytes()));
        assert!(found(key.to_pkcs8_der().unwrap().as_bytes()) && found(key.to_pkcs1_der().unwrap().as_bytes()));
        let encrypted = pem.replace("PRIVATE", "ENCRYPTED PRIVATE");
        assert!(found(encrypted.as_bytes()));
        let old = pem.replacen("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1);
        assert!(found(old.as_bytes()));
        // In UTF-16, in both byte orders.
        let wide: Vec<u16> = format!("\u{feff}{}", pem.replace('\n', "\r\n")).encode_utf16().collect();
        let little: Vec<u8> = wide.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = wide.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert!(found(&little) && found(&big));
        assert!(found(&[vec![0; WINDOW_BYTES - 900], little].concat()));
        let lines = "AAAAB3NzaC1yc2EAAAADAQABAAABAQDaUxhcHgRvzCBFZzAOBpBxzWB6s8sfTgIN";
        let putty = format!("PuTTY-User-Key-File-2: ssh-rsa\r\nEncryption: none\r\nPublic-Lines: 6\r\n{lines}\r\n");
        assert!(found(putty.as_bytes()));
        // Across each border of two windows, and inside of a program.
        for before in [WINDOW_BYTES - pem.len(), WINDOW_BYTES - 100, WINDOW_BYTES - 20, WINDOW_BYTES - 1, WINDOW_BYTES]
        {
            assert!(found(&[&vec![0; before], pem.as_bytes(), &vec![0; WINDOW_BYTES]].concat()), "{before}");
        }
    }

    #[test]
    fn private_keys_of_other_algorithms_are_found_in_der() {
        let der = |head: &[u8], key: usize, curve: &[u8], public: usize| {
            [head, &vec![7; key], curve, &vec![4; public]].concat()
        };
        let ed25519 = der(b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", 32, b"", 0);
        // As in RFC 5915, in the form that `openssl ecparam -genkey` writes.
        let p256 = b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\xa1\x44\x03\x42\x00";
        let p256 = der(b"\x30\x77\x02\x01\x01\x04\x20", 32, p256, 65);
        let p521 = b"\xa0\x07\x06\x05\x2b\x81\x04\x00\x23\xa1\x81\x89\x03\x81\x86\x00";
        let p521 = der(b"\x30\x81\xdc\x02\x01\x01\x04\x42", 66, p521, 133);
        let encrypted = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
        let encrypted = encrypted.to_pkcs8_encrypted_der(rsa::rand_core::OsRng, "passphrase").unwrap();
        for key in [&ed25519[..], &p256, &p521, encrypted.as_bytes()] {
            assert!(found(key), "{key:02x?}");
            assert!(!found(&key[..key.len() - 1]) && !found(&[key, b"x"].concat()), "{key:02x?}");
        }
    }

    #[test]
    fn markers_and_public_keys_are_no_private_keys() {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
        let public = rsa::pkcs8::EncodePublicKey::to_public_key_pem(&key.to_public_key(), LineEnding::LF).unwrap();
        assert!(!found(public.as_bytes()));
        assert!(!found(b"-----BEGIN RSA PRIVATE KEY-----\0-----END RSA PRIVATE KEY-----\0PRIVATE KEY\0"));
        assert!(!found(b"openssl prints -----BEGIN PRIVATE KEY----- and then lines of base64"));
        let quoted = "PuTTY-User-Key-File-%d: %s\0PuTTY-User-Key-File-2: \0Private-Lines: \0Private-MAC: ";
        assert!(!found(quoted.as_bytes()));
        assert!(!found(b"") && !found(&[0x30; 100]) && !found(&vec![b'A'; 3 * WINDOW_BYTES]));
    }

    #[test]
    fn names_of_secrets_are_known_in_any_case() {
        for name in [".env", ".ENV", ".env.production", "a/.git", ".ssh", "x.key.pem", "b/Release.Key.PEM", "id_rsa"] {
            assert!(has_secret_name(Path::new(name)), "{name}");
        }
        for name in ["env", ".environment", "git", ".gitignore", "key.pem", "id_rsa.pub", "a.pub.pem"] {
            assert!(!has_secret_name(Path::new(name)), "{name}");
        }
    }
}
