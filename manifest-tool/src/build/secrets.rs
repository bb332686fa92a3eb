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
/// The beginning of a private key of age, before the base32 of the key.
const AGE: &[u8] = b"AGE-SECRET-KEY-1";
/// A member that every JSON Web Key has (RFC 7517, 4.1).
const JWK_TYPE: &[u8] = b"\"kty\"";
/// The member with the private exponent or key (RFC 7518, 6.2.2 and 6.3.2).
const JWK_PRIVATE: &[u8] = b"\"d\"";
/// The beginning of PKCS#12 (RFC 7292, 4) after the length: version 3, and the type of the content.
const PKCS12_VERSION: &[u8] = b"\x02\x01\x03\x30";
const PKCS12_CONTENT: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07";
/// The bytes in which that beginning lies.
const PKCS12_HEAD_BYTES: usize = 32;
/// The bytes of a file that are searched at a time.
const WINDOW_BYTES: usize = 1 << 20;
/// The bytes in which a key shows: its first lines, with the headers of old formats.
const HEAD_BYTES: usize = 1024;
/// The bytes that two windows share, for a key in UTF-16.
const OVERLAP_BYTES: usize = 2 * HEAD_BYTES;
/// The shortest run of base64 that counts as key material. A full line has 64 or more characters.
const MIN_BASE64_RUN: usize = 40;
/// The shortest of two runs in lines one after the other that count as key material.
const MIN_BASE64_LINE: usize = 24;
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
            let whole = usize::try_from(size).ok().filter(|size| *size == filled).map(|size| &window[..size]);
            has_private_key |= whole.is_some_and(|bytes| is_der_key(bytes) || is_pkcs12(bytes));
            return Ok(Scanned { sha256, size, has_private_key });
        }
        window.copy_within(filled - OVERLAP_BYTES..filled, 0);
        kept = OVERLAP_BYTES;
    }
}

/// Returns `true` if text or a program holds a private key in PEM, in JSON, or of PuTTY or age.
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
        || memmem::find_iter(bytes, AGE).any(|start| starts_with_run(head(start + AGE.len(), HEAD_BYTES)))
        || memmem::find_iter(bytes, JWK_TYPE).any(|start| {
            let from = start.saturating_sub(HEAD_BYTES);
            holds_private_member(head(from, 2 * HEAD_BYTES))
        })
}

fn opens_pem_key(head: &[u8]) -> bool {
    let rest = &head[BEGIN.len()..];
    let Some(end) = memmem::find(&rest[..rest.len().min(64)], b"-----") else { return false };
    let is_private = rest[..end].ends_with(b"PRIVATE KEY") || rest[..end].ends_with(b"PRIVATE KEY BLOCK");
    is_private && has_key_material(&rest[end..])
}

/// Returns `true` if these lines begin a key of PuTTY: its marker with the algorithm, and base64.
fn opens_putty_key(head: &[u8]) -> bool {
    let is_name = matches!(head[PUTTY.len()..], [b'1'..=b'9', b':', b' ', first, ..] if first.is_ascii_alphabetic());
    is_name && has_key_material(head)
}

/// Returns `true` if bytes contain a long run of base64, or two shorter ones line by line.
fn has_key_material(bytes: &[u8]) -> bool {
    let texts = bytes.split(|byte| !is_base64(byte) && !byte.is_ascii_whitespace());
    texts.into_iter().any(|text| {
        let runs = text.split(u8::is_ascii_whitespace).map(<[u8]>::len).filter(|length| *length > 0);
        let mut before = 0;
        runs.into_iter().any(|length| {
            let is_key = length >= MIN_BASE64_RUN || length.min(before) >= MIN_BASE64_LINE;
            before = length;
            is_key
        })
    })
}

/// Returns `true` if bytes start with a long run of base64, in the alphabet for URLs as well.
fn starts_with_run(bytes: &[u8]) -> bool {
    bytes.iter().take_while(|byte| is_base64(byte) || matches!(byte, b'-' | b'_')).count() >= MIN_BASE64_RUN
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Returns `true` if JSON has the private member of a JSON Web Key.
fn holds_private_member(json: &[u8]) -> bool {
    memmem::find_iter(json, JWK_PRIVATE).any(|start| {
        let rest = json[start + JWK_PRIVATE.len()..].trim_ascii_start();
        let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start).and_then(|rest| rest.strip_prefix(b"\""));
        value.is_some_and(starts_with_run)
    })
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

/// Returns `true` if a whole file is a store of keys in PKCS#12, under any name.
fn is_pkcs12(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(PKCS12_HEAD_BYTES)];
    let version = memmem::find(head, PKCS12_VERSION);
    bytes.first() == Some(&0x30) && version.is_some_and(|start| memmem::find(&head[start..], PKCS12_CONTENT).is_some())
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
    fn private_keys_of_other_programs_are_found() {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
        let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        // In lines of other lengths, and with spaces at the ends.
        for columns in [24, 32, 36, 76] {
            let lines: Vec<&str> =
                base64.as_bytes().chunks(columns).map(|line| str::from_utf8(line).unwrap()).collect();
            for kind in ["RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"] {
                assert!(
                    found(format!("-----BEGIN {kind}-----\n{}\n", lines.join(" \n")).as_bytes()),
                    "{kind} {columns}"
                );
            }
        }
        let private = &base64.replace('+', "-").replace('/', "_")[..43];
        let jwk = format!("{{\"kty\": \"EC\", \"crv\": \"P-256\", \"d\" : \"{private}\"}}");
        let reversed = format!("{{\"d\":\"{private}\",\"kty\":\"OKP\"}}");
        let age = format!("# created: 2026-01-01\nAGE-SECRET-KEY-1{}\n", "QPZRY9X8".repeat(7));
        // As `openssl pkcs12 -export` writes it, and a short one.
        let pkcs12 =
            b"\x30\x82\x0a\x1f\x02\x01\x03\x30\x82\x09\xd5\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x82";
        let short = b"\x30\x7d\x02\x01\x03\x30\x5b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0";
        for file in [jwk.as_bytes(), reversed.as_bytes(), age.as_bytes(), pkcs12, short] {
            assert!(found(file), "{}", String::from_utf8_lossy(file));
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
        let public_jwk = format!("{{\"kty\":\"EC\",\"x\":\"{}\",\"d\":1}}", "A".repeat(43));
        assert!(!found(public_jwk.as_bytes()) && !found(b"AGE-SECRET-KEY-1\0AGE-SECRET-KEY-1%s"));
        // A signature in CMS has another version.
        assert!(!found(b"\x30\x82\x0a\x1f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x82\x02\x01\x03\x30"));
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
