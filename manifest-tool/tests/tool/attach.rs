//! Signatures by another program: openssl plays the device that never gives out its key.

use crate::publisher::{Publisher, ToolRun, is_missing};
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{Signature, SignedBytes, with_signatures};
use std::fs;

const LATEST: &str = "site/core/manifest.xml";

/// Creates a publisher whose only key is in openssl's hands.
fn with_device() -> Option<Publisher> {
    if is_missing("openssl") {
        return None;
    }
    let publisher = Publisher::new();
    fs::remove_file(publisher.path("release.key.pem")).unwrap();
    new_device(&publisher, "device");
    Some(publisher)
}

fn new_device(publisher: &Publisher, name: &str) {
    let (private, public) = (format!("{name}.secret"), format!("{name}.pub.pem"));
    publisher.openssl(&["genrsa", "-out", &private, "2048"]);
    publisher.openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
}

fn device_signs(publisher: &Publisher, body: &str, signature: &str) {
    publisher.openssl(&["dgst", "-sha256", "-sign", "device.secret", "-out", signature, body]);
}

fn attach(publisher: &Publisher, manifest: &str, more: &[&str]) -> ToolRun {
    let flags = ["attach", manifest, "--signature", "core.sig", "--key", "device.pub.pem"];
    publisher.run(&[&flags, more].concat())
}

#[test]
fn a_release_is_signed_by_a_key_on_a_device() {
    let Some(publisher) = with_device() else { return };
    let out = publisher.sign(&["--body", "core.body"]).ok();
    let next =
        "manifest-tool attach core.body --signature SIG --key PUB.pem --site ./site --output build/manifest.xml\n";
    assert!(out.ends_with(next), "{out}");
    assert_eq!(publisher.objects().len(), 3);
    assert!(!publisher.path(LATEST).exists() && !publisher.path("build/manifest.xml").exists());
    assert_eq!(publisher.run(&["body", "core.body"]).ok().as_bytes(), publisher.read("core.body"));
    assert!(publisher.run(&["inspect", "core.body"]).ok().contains("sequence   1\n"));

    device_signs(&publisher, "core.body", "core.sig");
    let out = attach(&publisher, "core.body", &["--site", "site", "--output", "build/manifest.xml"]).ok();
    assert!(out.contains("sequence 1") && out.contains("signed by "), "{out}");
    assert_eq!(publisher.read(LATEST), publisher.read("build/manifest.xml"));
    let first = publisher.verified(LATEST, &["device.pub.pem"], &[]).unwrap();
    assert_eq!(publisher.run(&["body", LATEST]).ok().as_bytes(), publisher.read("core.body"));
    publisher.run(&["verify", "site", "--key", "device.pub.pem"]).ok();

    publisher.run(&["resign", "core", "--body", "core.body"]).fails(21, "--trust");
    publisher.run(&["resign", "core", "--body", "core.body", "--trust", "device.pub.pem"]).ok();
    assert_eq!(publisher.read(LATEST), first.bytes());
    device_signs(&publisher, "core.body", "core.sig");
    attach(&publisher, "core.body", &["--site", "site"]).ok();
    assert_eq!(publisher.manifest(LATEST).meta.sequence, 2);
    assert_eq!(publisher.read("site/core/releases/1.xml"), first.bytes());
    assert_eq!(publisher.read("core.body"), publisher.read(LATEST), "without --output the result takes its place");
}

#[test]
fn attach_adds_a_signature_or_replaces_the_same_keys() {
    let Some(publisher) = with_device() else { return };
    publisher.run(&["keygen", "release-2", "--bits", "2048"]).ok();
    publisher.sign(&["--key", "release-2.key.pem"]).ok();
    publisher.sign(&["--key", "release-2.key.pem", "--channel", "beta"]).ok();
    let before = publisher.read(LATEST);
    publisher.write("core.body", publisher.run(&["body", LATEST]).ok());
    device_signs(&publisher, "core.body", "core.sig");
    attach(&publisher, LATEST, &["--output", "both.xml"]).ok();
    assert_eq!(publisher.read(LATEST), before);
    publisher.verified("both.xml", &["release-2.pub.pem", "device.pub.pem"], &[]).unwrap();

    let both = publisher.read("both.xml");
    attach(&publisher, "both.xml", &[]).ok();
    assert_eq!(publisher.read("both.xml"), both);
    let mut signed = SignedBytes::split(both.clone()).unwrap();
    signed.signatures[1].bytes[0] ^= 1;
    publisher.write("damaged.xml", with_signatures(&signed.body, &signed.signatures));
    attach(&publisher, "damaged.xml", &[]).ok();
    assert_eq!(publisher.read("damaged.xml"), both);

    // The latest release of its channel can get one more signature, even if another channel has a
    // newer one.
    attach(&publisher, "both.xml", &["--site", "site"]).fails(21, "--trust");
    attach(&publisher, "both.xml", &["--site", "site", "--trust", "release-2.pub.pem"]).ok();
    assert_eq!(publisher.read(LATEST), both);
    assert!(!publisher.path("site/core/releases/1.xml").exists());
    publisher.sign(&["--key", "release-2.key.pem"]).ok();
    assert_eq!(publisher.read("site/core/releases/1.xml"), both);
}

#[test]
fn a_wrong_signature_is_refused_before_any_write() {
    let Some(publisher) = with_device() else { return };
    publisher.sign(&["--body", "core.body"]).ok();
    let body = publisher.read("core.body");
    device_signs(&publisher, "core.body", "good.sig");
    publisher.openssl(&["base64", "-in", "good.sig", "-out", "text.sig"]);
    publisher.openssl(&["dgst", "-sha512", "-sign", "device.secret", "-out", "sha512.sig", "core.body"]);
    device_signs(&publisher, "device.pub.pem", "other.sig");
    publisher.write("empty.sig", "");
    for signature in ["text.sig", "sha512.sig", "other.sig", "empty.sig"] {
        fs::copy(publisher.path(signature), publisher.path("core.sig")).unwrap();
        attach(&publisher, "core.body", &["--site", "site"]).fails(21, "is not the signature");
    }
    fs::copy(publisher.path("good.sig"), publisher.path("core.sig")).unwrap();
    let by_release = ["attach", "core.body", "--signature", "core.sig", "--key", "release.pub.pem"];
    publisher.run(&by_release).fails(21, "is not the signature");
    attach(&publisher, "release.pub.pem", &[]).fails(21, "release.pub.pem");
    attach(&publisher, "missing", &[]).fails(22, "missing");
    assert_eq!(publisher.read("core.body"), body);
    assert!(!publisher.path(LATEST).exists());
    attach(&publisher, "core.body", &["--site", "site"]).ok();
}

#[test]
fn attach_does_not_publish_a_release_that_was_overtaken() {
    let Some(publisher) = with_device() else { return };
    publisher.run(&["keygen", "release-2", "--bits", "2048"]).ok();
    publisher.sign(&["--body", "core.body"]).ok();
    publisher.write("build/empty", "not any more");
    publisher.sign(&["--key", "release-2.key.pem"]).ok();
    device_signs(&publisher, "core.body", "core.sig");
    let body = publisher.read("core.body");
    let overtaken = ["--site", "site", "--trust", "release-2.pub.pem"];
    attach(&publisher, "core.body", &overtaken).fails(21, "sequence 1 is taken");
    assert_eq!(publisher.read("core.body"), body);

    publisher.sign(&["--key", "release-2.key.pem"]).ok();
    publisher.write("core.body", publisher.run(&["body", "site/core/releases/1.xml"]).ok());
    device_signs(&publisher, "core.body", "core.sig");
    let old = [&overtaken[..], &["--output", "old.xml"]].concat();
    attach(&publisher, "site/core/releases/1.xml", &old).fails(21, "sequence 1 is taken");
    assert!(!publisher.path("old.xml").exists());
}

#[test]
fn a_ninth_signature_is_refused() {
    let Some(publisher) = with_device() else { return };
    publisher.sign(&["--body", "core.body"]).ok();
    device_signs(&publisher, "core.body", "core.sig");
    let signature = |index: u8| Signature { key: Sha256::of(&[index]), bytes: vec![index] };
    let signatures: Vec<_> = (0..8).map(signature).collect();
    publisher.write("full.xml", with_signatures(&publisher.read("core.body"), &signatures));
    attach(&publisher, "full.xml", &[]).fails(21, "more than 8 signatures");
}

#[test]
fn the_body_to_sign_lies_outside_of_the_build_folder() {
    let publisher = Publisher::new();
    publisher.sign(&["--body", "build/core.body"]).fails(2, "move it out");
    publisher.sign(&["--body", "core.body", "--key", "release.key.pem"]).usage_error();
    assert!(!publisher.path("site").exists());
}

#[test]
fn a_program_signs_the_digest_and_its_signature_is_verified() {
    let Some(publisher) = with_device() else { return };
    let sign = |version: &str, command: &str, more: &[&str]| {
        let signer = ["--signer", command, "--signer-key", "device.pub.pem"];
        publisher.sign_as(version, &[&signer, more].concat())
    };
    let device = "openssl pkeyutl -sign -inkey device.secret -pkeyopt digest:sha256 -pkeyopt rsa_padding_mode:pkcs1";
    sign("1.0.0", device, &[]).ok();
    let first = publisher.verified(LATEST, &["device.pub.pem"], &[]).unwrap();
    new_device(&publisher, "other");
    for (command, expected) in [
        (device.replace("device.secret", "other.secret").as_str(), "did not return the signature"),
        ("cat", "did not return the signature"),
        ("true", "did not return the signature"),
        ("echo no >/dev/null; exit 3", "ended with exit status: 3"),
        ("no-such-program-here 2>/dev/null", "ended with exit status: 127"),
    ] {
        sign("1.1.0", command, &[]).fails(22, expected);
        assert_eq!(publisher.read(LATEST), first.bytes());
    }
    // It signs one manifest, and no draft.
    sign("1.1.0", &format!("echo >>calls; {device}"), &[]).ok();
    assert_eq!(publisher.read("calls"), b"\n");
    let resign = ["resign", "core", "--signer", device, "--signer-key", "device.pub.pem"];
    publisher.run(&resign).ok();
    publisher.run(&["verify", "site", "--key", "device.pub.pem"]).ok();
    publisher.sign(&["--signer", device]).usage_error();
    sign("1.2.0", device, &["--key", "release.key.pem"]).usage_error();
}

/// A thief of one key of two must not block the honest publisher, nor publish alone.
#[test]
fn a_result_with_too_few_signatures_is_not_published() {
    let Some(publisher) = with_device() else { return };
    new_device(&publisher, "other");
    let trust = ["--trust", "device.pub.pem", "--trust", "other.pub.pem", "--threshold", "2"];
    publisher.sign(&[&["--body", "core.body"][..], &trust].concat()).ok();
    device_signs(&publisher, "core.body", "core.sig");
    attach(&publisher, "core.body", &["--output", "one.xml"]).ok();
    let site = [&["--site", "site"][..], &trust].concat();
    attach(&publisher, "core.body", &site).fails(21, "signed by 1 of the given keys");
    assert!(!publisher.path(LATEST).exists());

    // The thief of the device's key uses up the sequences.
    let forged = String::from_utf8(publisher.read("core.body")).unwrap();
    publisher.write("forged", forged.replace("sequence=\"1\"", "sequence=\"900\""));
    device_signs(&publisher, "forged", "core.sig");
    attach(&publisher, "forged", &["--output", "site/core/releases/900.xml"]).ok();
    publisher.openssl(&["dgst", "-sha256", "-sign", "other.secret", "-out", "other.sig", "core.body"]);
    let second = ["attach", "one.xml", "--signature", "other.sig", "--key", "other.pub.pem"];
    publisher.run(&[&second[..], &["--site", "site", "--trust", "device.pub.pem"]].concat()).fails(21, "900.xml");
    publisher.run(&[&second[..], &site].concat()).ok();
    publisher.verified(LATEST, &["device.pub.pem", "other.pub.pem"], &[]).unwrap();
}
