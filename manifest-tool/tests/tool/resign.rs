//! Releases that are issued again.

use crate::publisher::{Publisher, ToolRun, day};
use patcher::internal::trust::Floor;
use std::fs;

const LATEST: &str = "site/core/manifest.xml";

/// Resigns `core`, `days` after it was signed.
fn resign(publisher: &Publisher, days: i64, more: &[&str]) -> ToolRun {
    let at = day(days).unix().to_string();
    publisher.run_with(&[&["resign", "core"], more].concat(), &[("SOURCE_DATE_EPOCH", &at)])
}

/// Creates a publisher with a signed release and a second key, `standby`.
fn with_standby_key() -> Publisher {
    let publisher = Publisher::new();
    publisher.run(&["keygen", "standby", "--bits", "2048"]).ok();
    publisher.sign(&[]).ok();
    publisher
}

#[test]
fn a_renewed_release_has_a_new_term_and_nothing_else() {
    let publisher = Publisher::new();
    publisher.sign(&["--expires", "10d"]).ok();
    let first = publisher.verified(LATEST, &["release.pub.pem"], &[]).unwrap();
    let objects = publisher.object_states();
    let out = resign(&publisher, 9, &[]).ok();
    assert_eq!(out, format!("core 1.0.0, sequence 2, channel stable, platform any\nexpires {}\n", day(19)));

    let floor = Floor::Release(first.order().clone());
    let second = publisher.verified(LATEST, &["release.pub.pem"], &[floor]).unwrap();
    let meta = &second.manifest().meta;
    assert_eq!((meta.sequence, meta.issued), (2, day(9)));
    assert!(second.manifest().same_content(first.manifest()));
    assert_eq!(second.manifest().files, first.manifest().files);
    assert_eq!(publisher.object_states(), objects);
    assert_eq!(publisher.read("site/core/releases/1.xml"), first.bytes());
    assert_eq!(publisher.read("build/manifest.xml"), first.bytes(), "the build folder is not asked for");
}

#[test]
fn an_expired_release_can_be_renewed() {
    let publisher = Publisher::new();
    publisher.sign(&["--expires", "1d"]).ok();
    resign(&publisher, 100, &[]).ok();
    assert_eq!(publisher.manifest(LATEST).meta.expires, Some(day(101)));
}

#[test]
fn resign_can_set_an_expiry_and_keeps_a_missing_one() {
    let publisher = Publisher::new();
    publisher.sign(&["--expires", "10d"]).ok();
    let expires = |more: &[&str]| {
        resign(&publisher, 1, more).ok();
        publisher.manifest(LATEST).meta.expires
    };
    assert_eq!(expires(&["--expires", "1d"]), Some(day(2)));
    assert_eq!(expires(&["--expires", &day(180).to_string()]), Some(day(180)));
    assert_eq!(expires(&["--expires", "never"]), None);
    assert_eq!(expires(&[]), None);
    resign(&publisher, 1, &["--expires", &day(1).to_string()]).fails(2, "before it is issued");
    assert_eq!(publisher.manifest(LATEST).meta.sequence, 5);
}

#[test]
fn resign_renews_one_channel_under_a_sequence_above_all_channels() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    publisher.sign(&["--channel", "beta"]).ok();
    let stable = publisher.read(LATEST);
    resign(&publisher, 1, &["--channel", "beta"]).ok();
    assert_eq!(publisher.manifest("site/core/beta.xml").meta.sequence, 3);
    assert_eq!(publisher.read(LATEST), stable);
    resign(&publisher, 1, &["--channel", "nightly"]).fails(22, "nightly.xml");
    publisher.run(&["resign", "addon"]).fails(22, "addon");
}

#[test]
fn a_second_key_is_added_by_naming_both() {
    let publisher = with_standby_key();
    let both = ["--key", "release.key.pem", "--key", "standby.key.pem"];
    resign(&publisher, 1, &both).fails(21, "--threshold");
    resign(&publisher, 1, &[&both[..], &["--threshold", "1"]].concat()).ok();
    publisher.verified(LATEST, &["release.pub.pem", "standby.pub.pem"], &[]).unwrap();
    resign(&publisher, 1, &["--key", "standby.key.pem"]).ok();
    publisher.verified(LATEST, &["standby.pub.pem"], &[]).unwrap();
    resign(&publisher, 1, &["--key", "standby.key.pem", "--key", "./standby.key.pem"]).fails(2, "twice");
}

#[test]
fn a_release_by_another_signer_is_renewed_only_if_that_one_is_trusted() {
    let publisher = with_standby_key();
    let before = publisher.read(LATEST);
    resign(&publisher, 1, &["--key", "standby.key.pem"]).fails(21, "--trust");
    resign(&publisher, 1, &["--key", "standby.key.pem", "--trust", "standby.pub.pem"]).fails(21, "--trust");
    resign(&publisher, 1, &["--key", "standby.key.pem", "--trust", "standby.key.pem"]).fails(2, "private key");
    assert_eq!(publisher.read(LATEST), before);
    resign(&publisher, 1, &["--key", "standby.key.pem", "--trust", "release.pub.pem"]).ok();
    publisher.verified(LATEST, &["standby.pub.pem"], &[]).unwrap();
    assert_eq!(publisher.read("site/core/releases/1.xml"), before);
}

#[test]
fn a_forged_or_misplaced_release_is_not_renewed() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let signed = String::from_utf8(publisher.read(LATEST)).unwrap();
    publisher.write(LATEST, signed.replace("1.0.0", "1.0.1"));
    resign(&publisher, 1, &[]).fails(21, "does not match its content");
    publisher.write("site/core/beta.xml", &signed);
    resign(&publisher, 1, &["--channel", "beta"]).fails(21, "beta.xml is a copy");
    fs::rename(publisher.path("site/core"), publisher.path("site/addon")).unwrap();
    publisher.write("site/addon/manifest.xml", &signed);
    publisher.run(&["resign", "addon"]).fails(21, "`core`, not `addon`");
    publisher.run(&["resign", "../core"]).usage_error();
}
