//! Sites on which a thief has put releases by a retired key.

use crate::publisher::{Publisher, program};
use patcher::internal::manifest::Meta;
use std::fs;

const LATEST: &str = "site/core/manifest.xml";
const NEXT: [&str; 4] = ["--key", "standby.key.pem", "--trust", "release.pub.pem"];
const RETIRE: [&str; 2] = ["--retire", "release.pub.pem"];

/// Creates a publisher with version 1.1.0 by the first key. Version 1.2.0 by the second key retires
/// the first one, and names a freshness key.
fn with_retired_key() -> Publisher {
    let publisher = Publisher::new();
    for name in ["standby", "fresh"] {
        publisher.run(&["keygen", name, "--bits", "2048"]).ok();
    }
    publisher.sign_builds(1..=1, &[]);
    publisher.sign_builds(2..=2, &[&NEXT[..], &RETIRE, &["--freshness-key", "fresh.pub.pem"]].concat());
    publisher
}

/// Signs what the thief of the retired key wants clients to install.
fn forged(publisher: &Publisher, change: impl FnOnce(&mut Meta)) -> Vec<u8> {
    let mut manifest = publisher.manifest(LATEST);
    (manifest.meta.retires, manifest.meta.freshness) = (None, None);
    change(&mut manifest.meta);
    publisher.signed(&manifest, "release.key.pem")
}

#[test]
fn a_release_by_a_retired_key_decides_neither_sequence_nor_keys() {
    for sequence in [9000, u64::MAX] {
        let publisher = with_retired_key();
        let past = forged(&publisher, |meta| {
            (meta.sequence, meta.channel) = (sequence, "beta".parse().unwrap());
        });
        publisher.write(&format!("site/core/releases/{sequence}.xml"), &past);
        publisher.write("site/core/beta.xml", past);
        let other = forged(&publisher, |meta| {
            (meta.sequence, meta.platform) = (sequence, "x86_64-linux".parse().unwrap());
        });
        publisher.write("site/core/x86_64-linux/manifest.xml", other);
        let kept = |expected: u64| {
            let meta = publisher.manifest(LATEST).meta;
            assert!(meta.retires.is_some() && meta.freshness.is_some());
            assert_eq!(meta.sequence, expected);
        };
        let out = publisher.sign_as("1.3.0", &NEXT).ok();
        assert!(out.contains("beta.xml is not a release by a trusted key that counts"), "{out}");
        kept(3);
        publisher.run(&[&["resign", "core", "--platform", "any"][..], &NEXT].concat()).ok();
        kept(4);
        let both = ["--trust", "release.pub.pem", "--trust", "standby.pub.pem"];
        publisher.run(&[&["stamp", "site", "--key", "fresh.key.pem"], &both[..]].concat()).ok();
        publisher.run(&[&["publish", "site", "www"], &both[..]].concat()).ok();
        assert!(!publisher.path("www/core/beta.xml").exists());
        assert!(!publisher.path("www/core/x86_64-linux").exists());
        publisher.run(&[&["prune", "core", "--keep", "9", "--platform", "any"], &both[..]].concat()).ok();
        assert!(!publisher.path(format!("site/core/releases/{sequence}.xml")).exists());
        // It is not signed again without a word of the publisher.
        let resign = [&["resign", "core", "--channel", "beta"][..], &NEXT].concat();
        publisher.run(&resign).fails(21, "beta.xml counts no longer");
    }
}

#[test]
fn a_release_by_a_retired_key_is_no_stepping_stone() {
    let publisher = with_retired_key();
    let stone = forged(&publisher, |meta| (meta.sequence, meta.version) = (1, "1.1.5".parse().unwrap()));
    publisher.write("site/core/releases/1.xml", stone);
    let stones = |flag: &str, value: &str| publisher.sign_as("1.3.0", &[&NEXT[..], &[flag, value]].concat());
    stones("--stepping-stone", "1.1.2=1").fails(2, "no such release");
    stones("--min-version", "1.1.2").ok();
    let chosen = &publisher.manifest(LATEST).meta.stepping_stones;
    assert_eq!(chosen.iter().map(|stone| stone.sequence).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_key_is_retired_in_one_channel_and_platform_after_the_other() {
    let publisher = with_retired_key();
    // Releases that the honest publisher has not signed again yet.
    let beta = forged(&publisher, |meta| (meta.sequence, meta.channel) = (3, "beta".parse().unwrap()));
    publisher.write("site/core/beta.xml", beta);
    let linux = forged(&publisher, |meta| (meta.sequence, meta.platform) = (4, "x86_64-linux".parse().unwrap()));
    publisher.write("site/core/x86_64-linux/manifest.xml", linux);
    let resign = |more: &[&str]| publisher.run(&[&["resign", "core"], &NEXT[..], more].concat());
    resign(&["--channel", "beta"]).fails(21, "counts no longer");
    resign(&[&RETIRE[..], &["--channel", "beta"]].concat()).ok();
    resign(&RETIRE).ok();
    resign(&["--channel", "beta"]).ok();
    resign(&[]).ok();
    for latest in [LATEST, "site/core/beta.xml", "site/core/x86_64-linux/manifest.xml"] {
        assert!(publisher.manifest(latest).meta.retires.is_some(), "{latest}");
    }
}

#[test]
fn an_earlier_key_cannot_be_retired_in_the_place_of_a_later_one() {
    let publisher = with_retired_key();
    publisher.run(&["keygen", "third", "--bits", "2048"]).ok();
    let keys = ["--key", "third.key.pem", "--trust", "release.pub.pem", "--trust", "standby.pub.pem"];
    publisher.run(&[&["resign", "core", "--retire", "standby.pub.pem"], &keys[..]].concat()).ok();
    let retired = publisher.manifest(LATEST).meta.retires;
    publisher.run(&[&["resign", "core", "--retire", "release.pub.pem"], &keys[..]].concat()).ok();
    assert_eq!(publisher.manifest(LATEST).meta.retires, retired);
}

/// Such a release is not forged: the publisher has signed it, for another site.
#[test]
fn a_release_of_another_channel_takes_no_freshness_key_away() {
    let publisher = with_retired_key();
    let mut manifest = publisher.manifest(LATEST);
    (manifest.meta.sequence, manifest.meta.channel) = (7, "beta".parse().unwrap());
    (manifest.meta.retires, manifest.meta.freshness) = (None, None);
    publisher.write("site/core/releases/7.xml", publisher.signed(&manifest, "standby.key.pem"));
    publisher.write("build/bin/app", program(3));
    publisher.sign_as("1.3.0", &NEXT).ok();
    let meta = publisher.manifest(LATEST).meta;
    assert!(meta.retires.is_some() && meta.freshness.is_some());
    fs::remove_file(publisher.path("site/core/releases/7.xml")).unwrap();
}
