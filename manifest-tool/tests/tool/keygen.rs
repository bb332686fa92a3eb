//! Key pairs.

use crate::publisher::Publisher;
use patcher::internal::keys::PublicKey;

#[test]
fn a_key_pair_is_private_and_printed_by_its_id() {
    let publisher = Publisher::new();
    let out = publisher.run(&["keygen", "other", "--bits", "2048"]).ok();
    let pem = String::from_utf8(publisher.read("other.pub.pem")).unwrap();
    assert!(out.contains(&PublicKey::from_pem(&pem).unwrap().id().to_string()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = publisher.path("other.key.pem").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn keygen_overwrites_neither_half_of_a_key() {
    let publisher = Publisher::new();
    for half in ["key", "pub"] {
        let name = format!("only-{half}");
        publisher.write(&format!("{name}.{half}.pem"), "precious");
        publisher.run(&["keygen", &name]).fails(22, "exists already");
        assert_eq!(publisher.read(format!("{name}.{half}.pem")), b"precious");
        let other = if half == "key" { "pub" } else { "key" };
        assert!(!publisher.path(format!("{name}.{other}.pem")).exists());
    }
}

#[test]
fn sign_refuses_sizes_that_clients_refuse() {
    let publisher = Publisher::new();
    for bits in ["1024", "2047", "4097", "8192"] {
        assert_eq!(publisher.run(&["keygen", "small", "--bits", bits]).code, 2);
    }
    assert!(!publisher.path("small.key.pem").exists());
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let publisher = Publisher::new();
    for (mode, warns) in [(0o600, false), (0o640, true), (0o604, true), (0o400, false)] {
        let key = publisher.path("release.key.pem");
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(mode)).unwrap();
        let out = publisher.sign(&["--allow-downgrade"]).ok();
        assert_eq!(out.contains("other users can read the private key"), warns, "{mode:o} {out}");
    }
}

#[test]
fn a_key_without_a_passphrase_is_told() {
    let publisher = Publisher::new();
    for more in [&[][..], &["--no-passphrase"]] {
        let name = format!("plain{}", more.len());
        let out = publisher.run(&[&["keygen", &name, "--bits", "2048"], more].concat()).ok();
        assert!(out.contains("not encrypted"), "{out}");
    }
    publisher.write("passphrase", "correct horse");
    let out = publisher.run(&["keygen", "safe", "--bits", "2048", "--passphrase-file", "passphrase"]).ok();
    assert!(!out.contains("not encrypted"), "{out}");
    assert!(publisher.read("safe.key.pem").starts_with(b"-----BEGIN ENCRYPTED"));
}
