//! Public keys that a program must not trust, and impossible lists of them.

use super::publisher::{first, second};
use patcher::{Config, Patcher};
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::{BigUint, RsaPublicKey};

/// Keys of other kinds, as `openssl genpkey` makes them.
const OTHERS: &[(&str, &str)] = &[
    (
        "P-256",
        "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvCRHDJ2HNMpgk1LQw2PfvWCVX/sy
Ep4yIJrbyjE5dXuErS0WcF3j3byFBpfavAAkZiPl4tzPH/els2njnUNbuA==
-----END PUBLIC KEY-----
",
    ),
    (
        "Ed25519",
        "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAncGuXAIkysf18FdwnQuqMC1zWzAb090YpDuu9KICaKc=
-----END PUBLIC KEY-----
",
    ),
    (
        "RSA for PSS alone",
        "-----BEGIN PUBLIC KEY-----
MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBAJyL8nMPbkHtkMZcPDnBt59h
9csPUV+4m8SybOmVvyd//lMaYgVpxzN+4I0dJ7zdaRXGhcEgP1nxEAsHlA3gSX3f
UDeSITIGWOjUUBLeolv9lMXyP1YM38O2+1Aq3oRccE3yVNSST5Yltl24IaQJ9blA
pzMGe8YhTe5pKH1SxU9w9yFH8cG0oNFfnC76b5hPu0KSN2ny3ONAABzH+YdT92eW
AX/dmwkITnaj8cmIC28CmcYJ+fVnUOejrPTKMDJim2yBrHFag0ZTIxzoYfaMz6+v
+i04+0pXvFiBHTMZqoWLwsMO+0MVaaOt3J41cAioRhiX7cF1xTdaJcreyUsjBucC
AwEAAQ==
-----END PUBLIC KEY-----
",
    ),
    (
        "DSA",
        "-----BEGIN PUBLIC KEY-----
MIIBtjCCASsGByqGSM44BAEwggEeAoGBAJkcBdGGwAQFVNi8xmA9hP5m0FAG5//7
G0qcCCi3x+dXgJRvW+rzP7EaHRwbmE4dwaYK+NJKri9XgaUQD7dxevf/P2eUqvU1
57V052vWsqE9UXXTAEZRW3lHP3L8YCWJSuFtxlksqTByvjpfxvOpOiXVE2pFX1D0
Xfb9pVFDuKWxAhUAhFd5rPAs1aCk+fszMyFjEG1voH0CgYAlOsRNBmKUNTVcQOMQ
VAQ6jJ7Uvc3Tk61g/kzmN3GDeVHVCJ9X7aarkRIe68F8YTxdXP57ATNR0Xk+T0bi
i8OuMtsDoQ2FPGRhay/CmsKFRm0SKSkjgGbLudohUCLiDUOtatX6NG8UTgQoG/dK
M3RG7zVIxnclU/DN2KqwOnXUNQOBhAACgYBTvGKB8b80Sm1nCun1eCvB6VKq2k76
5/+IeYQ3ETjteHCe8of/2uIA8t8k6ljFCAVAcDU8/apMNehqSxaxbCEJir45ofc5
GxMmTjqx1uJEIXwH6jaU7k2uGTKNp4wmQN/Tc2S7966AP61RovywR1v+ucKQ4xNK
w/m7tVk/VghN7Q==
-----END PUBLIC KEY-----
",
    ),
];

/// Makes a public key of `bits` bits without a private half: its factors are unknown.
fn key(bits: usize, exponent: u64) -> String {
    let mut bytes = vec![0xa5; bits.div_ceil(8)];
    bytes[0] = 0xff >> (bytes.len() * 8 - bits);
    *bytes.last_mut().unwrap() |= 1;
    let key = RsaPublicKey::new_unchecked(BigUint::from_bytes_be(&bytes), BigUint::from(exponent));
    key.to_public_key_pem(LineEnding::LF).unwrap()
}

fn code(config: Config) -> &'static str {
    match Patcher::new(config) {
        Ok(_) => "taken",
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
            error.code()
        }
    }
}

/// tuf: `test_keytype_and_scheme`.
#[test]
fn weak_odd_and_other_keys_are_not_trusted() {
    let good = &first().pem;
    let lines: Vec<&str> = good.lines().collect();
    let inner = lines[1..lines.len() - 1].join("\n");
    let private = first().private.to_pkcs8_pem(LineEnding::LF).unwrap();
    let pkcs1 = first().private.to_public_key().to_pkcs1_pem(LineEnding::LF).unwrap();
    let rows: Vec<(&str, String)> = vec![
        ("512 bits", key(512, 65_537)),
        ("1024 bits", key(1024, 65_537)),
        ("2040 bits", key(2040, 65_537)),
        ("2047 bits", key(2047, 65_537)),
        ("4097 bits", key(4097, 65_537)),
        ("8192 bits", key(8192, 65_537)),
        ("16384 bits", key(16_384, 65_537)),
        ("e = 1", key(2048, 1)),
        ("e = 3", key(2048, 3)),
        ("e = 17", key(2048, 17)),
        ("e = 65536", key(2048, 65_536)),
        ("e = 65539", key(2048, 65_539)),
        ("e of 33 bits", key(2048, 1 << 32 | 1)),
        ("a private key", private.to_string()),
        (
            "a private key's name only",
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n".to_owned(),
        ),
        (
            "an encrypted private key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned(),
        ),
        ("a private key behind a public one", format!("{good}{}", *private)),
        ("the older PEM of RSA", pkcs1),
        ("a certificate", good.replace("PUBLIC KEY", "CERTIFICATE")),
        ("nothing", String::new()),
        ("a space", " ".to_owned()),
        ("a file's name", "release.pub.pem".to_owned()),
        ("base64 alone", inner.clone()),
        ("no end", good.replace("-----END PUBLIC KEY-----", "")),
        ("no begin", good.replace("-----BEGIN PUBLIC KEY-----", "")),
        ("cut off", good[..good.len() / 2].to_owned()),
        ("a line less", good.replacen(&format!("{}\n", lines[2]), "", 1)),
        ("a byte of its DER more", good.replacen("IDAQAB", "IDAQABAA", 1)),
        ("a character that is no base64", good.replacen('M', "*", 1)),
        ("two keys in one", format!("{good}{}", second().pem)),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("zero bytes", "\0".repeat(500)),
        ("a web page", "<html></html>".to_owned()),
    ];
    let others = OTHERS.iter().map(|(name, pem)| (*name, (*pem).to_owned()));
    let rows: Vec<_> = rows.into_iter().chain(others).collect();
    let count = rows.len();
    let config = || Config::new("/nowhere");
    for (name, pem) in rows {
        assert_eq!(code(config().trusted_key(pem.clone())), "bad-key", "{name}");
        // A good key beside it makes it no better.
        assert_eq!(code(config().trusted_key(good.clone()).trusted_key(pem)), "bad-key", "{name}");
    }
    println!("{count} rows");
    assert_eq!(code(config().trusted_key(good.clone())), "taken");
    assert_eq!(code(config().trusted_key(key(2048, 65_537))), "taken");
    assert_eq!(code(config().trusted_key(key(4096, 65_537))), "taken");
}

/// tuf: `test_duplicate_keys`, `test_snapshot_has_too_few_keys`.
#[test]
fn an_impossible_list_of_keys_is_refused() {
    let (one, two) = (&first().pem, &second().pem);
    let config = || Config::new("/nowhere");
    assert_eq!(code(config()), "no-key");
    assert_eq!(code(config().threshold(0)), "no-key");
    assert_eq!(code(config().trusted_keys([one, one])), "bad-key");
    assert_eq!(code(config().trusted_keys([one, two, one])), "bad-key");
    assert_eq!(code(config().trusted_keys([one.clone(), format!("\n{one}\n")])), "bad-key");
    assert_eq!(code(config().trusted_keys([one, two]).threshold(0)), "bad-setting");
    assert_eq!(code(config().trusted_keys([one, two]).threshold(3)), "bad-setting");
    assert_eq!(code(config().trusted_keys([one, two]).threshold(usize::MAX)), "bad-setting");
    assert_eq!(code(config().trusted_keys([one, two]).threshold(2)), "taken");
}
