//! `stamp`: proofs by an online key that releases are the newest ones.

use crate::publisher::Publisher;
use patcher::internal::head::Head;

const HEAD: &str = "site/core/latest.xml";
const VERIFY: [&str; 4] = ["verify", "site", "--key", "release.pub.pem"];
const STAMP: [&str; 4] = ["stamp", "site", "--key", "fresh.key.pem"];

/// Creates a publisher whose first release names a freshness key.
fn with_freshness_key() -> Publisher {
    let publisher = Publisher::new();
    publisher.run(&["keygen", "fresh", "--bits", "2048"]).ok();
    let out = publisher.sign(&["--freshness-key", "fresh.pub.pem"]).ok();
    assert!(out.contains("the head has no stamp yet"), "{out}");
    publisher
}

fn is_stamped(publisher: &Publisher, path: &str) -> bool {
    Head::parse(&publisher.read(path)).unwrap().stamp.is_some()
}

#[test]
fn a_stamp_makes_the_head_of_every_channel_sound() {
    let publisher = with_freshness_key();
    publisher.run(&["promote", "core", "--from", "stable", "--to", "beta"]).ok();
    publisher.run(&VERIFY).fails(21, "2 of 5 manifests and objects");
    let out = publisher.run(&STAMP).ok();
    assert_eq!(out.matches("the newest release until").count(), 2, "{out}");
    assert!(is_stamped(&publisher, HEAD) && is_stamped(&publisher, "site/core/beta.latest.xml"));
    assert!(publisher.read(HEAD).len() < 1024);
    publisher.run(&VERIFY).ok();
    // The release key is not needed, and a second stamp replaces the first one.
    std::fs::remove_file(publisher.path("release.key.pem")).unwrap();
    let before = publisher.read(HEAD);
    publisher.run(&[&STAMP[..], &["--valid", "12h"]].concat()).ok();
    assert_ne!(publisher.read(HEAD), before);
}

#[test]
fn later_releases_keep_the_freshness_key_until_it_is_dropped() {
    let publisher = with_freshness_key();
    let named = || publisher.manifest("site/core/manifest.xml").meta.freshness;
    let first = named();
    publisher.sign_builds(1..=1, &[]);
    assert!(first.is_some() && named() == first);
    publisher.run(&["resign", "core"]).ok();
    assert_eq!(named(), first);
    publisher.run(&["keygen", "other", "--bits", "2048"]).ok();
    publisher.run(&["resign", "core", "--freshness-key", "other.pub.pem"]).ok();
    assert!(named().is_some() && named() != first);
    publisher.run(&STAMP).fails(2, "names");
    publisher.run(&["resign", "core", "--no-freshness-key"]).ok();
    assert_eq!(named(), None);
    publisher.run(&VERIFY).ok();
}

#[test]
fn a_release_key_is_no_freshness_key() {
    let publisher = Publisher::new();
    publisher.sign(&["--freshness-key", "release.pub.pem"]).fails(2, "must be another one");
    assert!(!publisher.path("site/core/manifest.xml").exists());
}

#[test]
fn a_stamp_is_made_for_releases_by_trusted_keys_only() {
    let publisher = with_freshness_key();
    publisher.run(&["keygen", "stranger", "--bits", "2048"]).ok();
    let manifest = publisher.manifest("site/core/manifest.xml");
    let head = publisher.read(HEAD);
    publisher.write("site/core/manifest.xml", publisher.signed(&manifest, "stranger.key.pem"));
    publisher.run(&STAMP).fails(21, "--trust");
    assert_eq!(publisher.read(HEAD), head);
}

#[test]
fn a_head_that_an_attacker_changed_is_made_anew_and_not_signed() {
    let publisher = with_freshness_key();
    let good = publisher.read(HEAD);
    let text = String::from_utf8(good).unwrap().replace("sequence=\"1\"", "sequence=\"7\"");
    publisher.write(HEAD, text);
    publisher.run(&STAMP).ok();
    publisher.run(&VERIFY).ok();
}

#[test]
fn publish_takes_the_stamp_along_and_leaves_a_later_one_alone() {
    let publisher = with_freshness_key();
    publisher.run(&STAMP).ok();
    publisher.run(&["publish", "site", "www"]).ok();
    assert_eq!(publisher.read("www/core/latest.xml"), publisher.read(HEAD));
    // A program on the server stamps the copy.
    publisher.run(&["stamp", "www", "--key", "fresh.key.pem", "--valid", "9d"]).ok();
    let on_server = publisher.read("www/core/latest.xml");
    publisher.run(&["publish", "site", "www"]).ok();
    assert_eq!(publisher.read("www/core/latest.xml"), on_server);
    // The stamp of one release is not moved to another one.
    publisher.sign_builds(1..=1, &[]);
    publisher.run(&["publish", "site", "www"]).ok();
    assert!(!is_stamped(&publisher, "www/core/latest.xml"));
}

#[test]
fn a_stamp_has_a_sensible_end() {
    let publisher = with_freshness_key();
    for wrong in ["0d", "3", "-1d", "367d", "soon"] {
        publisher.run(&[&STAMP[..], &[&format!("--valid={wrong}")]].concat()).fails(2, "hours as in 12h");
    }
}
