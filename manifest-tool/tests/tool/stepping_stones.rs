//! Releases that older versions must install first.

use crate::publisher::{Publisher, ToolRun};
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{Signature, SignedBytes, with_signatures};
use std::fs;

const LATEST: &str = "site/core/manifest.xml";

/// Creates a site with the versions 1.0.0, 2.0.0 and 2.1.0 as sequences 1 to 3.
fn with_history() -> Publisher {
    let publisher = Publisher::new();
    for version in ["1.0.0", "2.0.0", "2.1.0"] {
        publisher.write("build/bin/app", format!("the program {version}"));
        publisher.sign_as(version, &[]).ok();
    }
    publisher.write("build/bin/app", "the program 3.0.0");
    publisher
}

/// Returns the stones of the latest release as `BELOW=SEQUENCE`.
fn stones(publisher: &Publisher) -> Vec<String> {
    let stones = publisher.manifest(LATEST).meta.stepping_stones;
    stones.iter().map(|stone| format!("{}={}", stone.below, stone.sequence)).collect()
}

fn verify(publisher: &Publisher) -> ToolRun {
    publisher.run(&["verify", "site", "--key", "release.pub.pem"])
}

#[test]
fn the_stepping_stone_is_the_newest_release_from_the_minimum_on() {
    let publisher = with_history();
    let out = publisher.sign_as("3.0.0", &["--min-version", "2.0.0"]).ok();
    assert!(out.contains("below 2.0.0 first to releases/3.xml\n"), "{out}");
    assert_eq!(stones(&publisher), ["2.0.0=3"], "the release that it supersedes is kept as releases/3.xml");
    assert_eq!(verify(&publisher).ok(), "2 manifests and 4 objects are sound\n");
    publisher.sign_as("3.1.0", &["--min-version", "2.0.0"]).ok();
    assert_eq!(stones(&publisher), ["2.0.0=3"], "3.0.0 may know no more what to do with 1.0.0");
    publisher.sign_as("4.0.0", &["--min-version", "3.0.0"]).ok();
    assert_eq!(stones(&publisher), ["2.0.0=3", "3.0.0=5"]);
    publisher.run(&["resign", "core", "--rollout", "50%"]).ok();
    assert_eq!(stones(&publisher), ["2.0.0=3", "3.0.0=5"]);
    publisher.sign_as("2.5.0", &["--allow-downgrade"]).ok();
    assert_eq!(stones(&publisher), ["2.0.0=3"], "what lies above the version falls away");
    publisher.sign_as("4.1.0", &["--no-stepping-stones"]).ok();
    assert_eq!(stones(&publisher), [""; 0]);
}

#[test]
fn a_forgotten_stepping_stone_is_set_by_signing_the_version_again() {
    let publisher = with_history();
    publisher.sign_as("3.0.0", &[]).ok();
    publisher.sign_as("3.0.0", &["--min-version", "2.0.0"]).ok();
    assert_eq!(stones(&publisher), ["2.0.0=3"], "3.0.0 is no way to itself");
    publisher.sign_as("3.1.0", &["--min-version", "3.1.0"]).fails(2, "before this version");
}

#[test]
fn a_release_is_named_by_its_sequence_on_the_command_line_or_in_the_file() {
    let publisher = with_history();
    publisher.sign_as("3.0.0", &["--stepping-stone", "2.0.0=2", "--stepping-stone", "1.0.0=1"]).ok();
    assert_eq!(stones(&publisher), ["1.0.0=1", "2.0.0=2"]);
    publisher.sign_as("3.1.0", &["--stepping-stone", "2.0.0=3"]).ok();
    assert_eq!(stones(&publisher), ["1.0.0=1", "2.0.0=3"], "it wins over the one that is taken over");
    publisher.write("build/component.toml", "min-version = '2.1.0'\n[stepping-stones]\n'2.0.0' = 2\n");
    publisher.sign_as("3.2.0", &[]).ok();
    assert_eq!(stones(&publisher), ["1.0.0=1", "2.0.0=2", "2.1.0=5"]);
    publisher.sign_as("3.3.0", &["--no-stepping-stones", "--stepping-stone", "1.0.0=3"]).ok();
    assert_eq!(stones(&publisher), ["1.0.0=3"]);
}

#[test]
fn an_unreachable_stepping_stone_is_refused_before_any_write() {
    let publisher = with_history();
    publisher.sign_as("2.9.0", &["--channel", "beta"]).ok();
    let before = publisher.read(LATEST);
    for (flag, value, code, text) in [
        ("--min-version", "2.2.0", 2, "not below"),
        ("--min-version", "2", 2, "min-version"),
        ("--stepping-stone", "2.0.0=9", 2, "no such release"),
        ("--stepping-stone", "2.0.0=4", 2, "no such release"),
        ("--stepping-stone", "2.0.0=1", 2, "is itself below that"),
        ("--stepping-stone", "2.0.0", 2, "BELOW=SEQUENCE"),
        ("--stepping-stone", "2.0.0=two", 2, "stepping-stone"),
    ] {
        publisher.sign_as("3.0.0", &[flag, value]).fails(code, text);
    }
    publisher.sign_as("2.2.0", &["--stepping-stone", "2.1.0=3", "--min-version", "2.3.0"]).fails(2, "below 2.3.0");
    assert_eq!(publisher.read(LATEST), before);
}

#[test]
fn a_stepping_stone_must_be_signed_by_a_trusted_key() {
    let publisher = with_history();
    publisher.run(&["keygen", "standby", "--bits", "2048"]).ok();
    let standby = ["--key", "standby.key.pem", "--min-version", "2.0.0"];
    publisher.sign_as("3.0.0", &standby).fails(21, "--trust");
    publisher.sign_as("3.0.0", &[&standby[..], &["--trust", "release.pub.pem"]].concat()).ok();
    publisher.sign_as("3.1.0", &standby).ok();
    assert_eq!(stones(&publisher), ["2.0.0=3"], "the manifest that names it is signed by the standby key");
    publisher.run(&["verify", "site", "--key", "release.pub.pem", "--key", "standby.pub.pem"]).ok();

    let forged = String::from_utf8(publisher.read(LATEST)).unwrap().replace("below=\"2.0.0\"", "below=\"3.0.0\"");
    publisher.write(LATEST, forged);
    publisher.sign_as("3.2.0", &standby).fails(21, "does not match its content");
}

#[test]
fn a_body_for_a_key_elsewhere_names_what_a_trusted_key_signed() {
    let publisher = with_history();
    let body = ["--body", "core.body", "--min-version", "2.0.0"];
    fs::rename(publisher.path("release.pub.pem"), publisher.path("key.pub.pem")).unwrap();
    publisher.sign_as("3.0.0", &body).fails(21, "--trust");
    publisher.sign_as("3.0.0", &[&body[..], &["--trust", "key.pub.pem"]].concat()).ok();
    let out = publisher.run(&["inspect", "core.body"]).ok();
    assert!(out.contains("first to   releases/3.xml, when below 2.0.0\n"), "{out}");
}

#[test]
fn a_stepping_stone_with_other_signatures_is_not_published() {
    let publisher = with_history();
    publisher.sign_as("3.0.0", &["--min-version", "2.0.0"]).ok();
    let kept = "site/core/releases/3.xml";
    let good = publisher.read(kept);
    let publish = || publisher.run(&["publish", "site", "copy", "--trust", "release.pub.pem"]);
    let thief = Signature { key: Sha256::of(b"thief"), bytes: vec![1; 256] };
    publisher.write(kept, with_signatures(&SignedBytes::split(good.clone()).unwrap().body, &[thief]));
    publish().fails(21, "3.xml");
    fs::remove_file(publisher.path(kept)).unwrap();
    publish().fails(2, "no longer has it");
    assert!(!publisher.path("copy").exists());
    publisher.write(kept, good);
    publish().ok();
}

#[test]
fn a_missing_or_exchanged_stepping_stone_is_found() {
    let publisher = with_history();
    publisher.sign_as("3.0.0", &["--min-version", "2.0.0"]).ok();
    let kept = publisher.path("site/core/releases/3.xml");
    let good = fs::read(&kept).unwrap();
    fs::copy(publisher.path("site/core/releases/2.xml"), &kept).unwrap();
    assert!(verify(&publisher).out.contains("not the stepping stone"));
    publisher.sign_as("3.1.0", &[]).fails(2, "no longer has it");
    fs::write(&kept, String::from_utf8(good.clone()).unwrap().replace("2.1.0", "2.1.1")).unwrap();
    assert!(verify(&publisher).out.contains("does not match its content"));
    fs::remove_file(&kept).unwrap();
    assert!(verify(&publisher).out.contains("3.xml is missing"));
    publisher.sign_as("3.1.0", &[]).fails(2, "no longer has it");

    fs::write(&kept, good).unwrap();
    verify(&publisher).ok();
    let program = &publisher.manifest("site/core/releases/3.xml").files[0];
    let object =
        patcher::internal::layout::object_path(patcher::internal::layout::ObjectKind::Gz, &program.gz.unwrap().sha256);
    fs::remove_file(publisher.path(format!("site/core/{object}"))).unwrap();
    assert!(verify(&publisher).out.contains("is missing"), "its objects are looked at too");
}
