//! Releases that move from one channel to another.

use crate::publisher::{Publisher, day};
use patcher::internal::trust::Floor;

const STABLE: &str = "site/core/manifest.xml";
const BETA: &str = "site/core/beta.xml";

/// Creates a site with 1.0.0 in `stable` and 2.0.0 in `beta`.
fn with_beta() -> Publisher {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    publisher.write("build/bin/app", "the new program");
    let beta = ["--channel", "beta", "--rollout", "10%", "--expires", "5d", "--notes", "en=https://example.com/"];
    publisher.sign_as("2.0.0", &beta).ok();
    publisher
}

fn promote(publisher: &Publisher, more: &[&str]) -> crate::publisher::ToolRun {
    publisher.run(&[&["promote", "core", "--from", "beta", "--to", "stable"], more].concat())
}

#[test]
fn another_channel_gets_the_same_release_under_the_next_sequence() {
    let publisher = with_beta();
    let stable = publisher.verified(STABLE, &["release.pub.pem"], &[]).unwrap();
    let (objects, beta) = (publisher.object_states(), publisher.read(BETA));
    promote(&publisher, &["--rollout", "20%"]).ok();
    let floor = Floor::Release(stable.order().clone());
    let promoted = publisher.verified(STABLE, &["release.pub.pem"], &[floor]).unwrap();
    let (meta, from) = (&promoted.manifest().meta, publisher.manifest(BETA));
    assert!(promoted.manifest().same_content(&from));
    assert_eq!((meta.sequence, meta.rollout, &meta.notes), (3, Some(20), &from.meta.notes));
    assert_eq!(meta.expires, Some(day(5)));
    assert_eq!((publisher.object_states(), publisher.read(BETA)), (objects, beta));
    assert_eq!(publisher.read("site/core/releases/1.xml"), stable.bytes());
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();

    promote(&publisher, &[]).ok();
    let meta = publisher.manifest(STABLE).meta;
    assert_eq!((meta.sequence, meta.rollout), (4, None), "the other channel's rollout is its own");
}

#[test]
fn a_version_is_lowered_only_on_request() {
    let publisher = with_beta();
    publisher.sign_as("2.1.0", &[]).ok();
    promote(&publisher, &[]).fails(2, "--allow-downgrade");
    assert_eq!(publisher.manifest(STABLE).meta.sequence, 3);
    promote(&publisher, &["--allow-downgrade"]).ok();
    assert_eq!(publisher.manifest(STABLE).meta.version.to_string(), "2.0.0");
}

#[test]
fn promote_accepts_only_an_existing_release_of_a_trusted_key() {
    let publisher = with_beta();
    publisher.run(&["promote", "core", "--from", "nightly", "--to", "stable"]).fails(22, "nightly.xml");
    publisher.run(&["promote", "core", "--from", "beta", "--to", "beta"]).fails(2, "already");
    let forged = String::from_utf8(publisher.read(BETA)).unwrap().replace("2.0.0", "2.0.1");
    let good = publisher.read(BETA);
    publisher.write(BETA, forged);
    promote(&publisher, &[]).fails(21, "does not match its content");
    publisher.write(BETA, good);
    publisher.run(&["keygen", "standby", "--bits", "2048"]).ok();
    promote(&publisher, &["--key", "standby.key.pem"]).fails(21, "--trust");
    promote(&publisher, &["--key", "standby.key.pem", "--trust", "release.pub.pem"]).ok();
    publisher.verified(STABLE, &["standby.pub.pem"], &[]).unwrap();
}

#[test]
fn older_versions_of_the_other_channel_go_through_a_release_of_their_own() {
    let publisher = with_beta();
    publisher.sign_as("3.0.0", &["--channel", "beta", "--min-version", "2.0.0"]).ok();
    assert_eq!(publisher.manifest(BETA).meta.stepping_stones[0].sequence, 2);
    promote(&publisher, &[]).fails(2, "below 2.0.0");
    publisher.sign_as("2.0.0", &[]).ok();
    promote(&publisher, &[]).ok();
    assert_eq!(publisher.manifest(STABLE).meta.stepping_stones[0].sequence, 4, "of the channel stable");
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
    publisher.run(&["promote", "core", "--from", "beta", "--to", "nightly"]).ok();
    let first = publisher.manifest("site/core/nightly.xml").meta;
    assert!(first.stepping_stones.is_empty(), "nobody follows a channel that is new");
}
