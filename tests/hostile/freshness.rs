//! Heads with and without stamps, of every age: a client whose release names a freshness key is
//! never told "up to date" without a proof, and a newer release is offered whatever the head says.

use super::publisher::{Key, Release, first, second, sign, stranger};
use super::world::{HEAD, HostileWorld, MANIFEST};
use crate::support::scripted::Reply;
use patcher::internal::digest::Sha256;
use patcher::internal::head::{Head, Stamp};
use patcher::internal::manifest::Requirement;
use patcher::internal::timestamp::Timestamp;
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use std::fs;

/// Returns the freshness key, which signs no release and is not among the client's keys.
fn online() -> &'static Key {
    stranger()
}

/// Returns `release` with the freshness key named.
fn fresh(release: &Release) -> Release {
    let mut release = release.clone();
    let key = rsa::RsaPublicKey::from_public_key_pem(&online().pem).unwrap();
    release.manifest.meta.freshness = Some(key.to_public_key_der().unwrap().as_bytes().to_vec());
    release
}

/// Creates a world in which release 11 names the freshness key, is installed, and is the newest.
fn up_to_date() -> (HostileWorld, Release) {
    let world = HostileWorld::new();
    let mut release = fresh(&world.old);
    release.manifest.meta.sequence = 11;
    let bytes = sign(release.body(), &[first()]);
    fs::write(world.core("manifest.xml"), &bytes).unwrap();
    world.server.put(MANIFEST, bytes);
    world.server.be_honest();
    (world, release)
}

fn head(release: &Release) -> Head {
    let meta = release.manifest.meta.clone();
    Head {
        component: meta.component,
        channel: meta.channel,
        sequence: meta.sequence,
        body: Sha256::of(release.body().as_bytes()),
        size: sign(release.body(), &[first()]).len() as u64,
        stamp: None,
    }
}

fn stamped(head: Head, key: &Key, until: Timestamp) -> Head {
    let signature = key.sign(&head.stamped_bytes(until));
    Head { stamp: Some(Stamp { until, signature }), ..head }
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_unix(Timestamp::now().unix() + seconds)
}

/// Returns the heads that prove nothing about `release`.
fn proofless(release: &Release) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let plain = || head(release);
    let valid = || stamped(plain(), online(), after(3600));
    let with = |change: fn(&mut Head)| {
        let mut head = valid();
        change(&mut head);
        head
    };
    let re_signed = |change: fn(&mut Head)| {
        let mut head = plain();
        change(&mut head);
        stamped(head, online(), after(3600))
    };
    let heads = vec![
        ("no stamp", plain()),
        ("a stamp by a release key", stamped(plain(), first(), after(3600))),
        ("a stamp by another release key", stamped(plain(), second(), after(3600))),
        ("a stamp that has ended", stamped(plain(), online(), after(-1))),
        ("a stamp that was made longer", with(|head| head.stamp.as_mut().unwrap().until = after(1 << 30))),
        ("a stamp of another sequence", with(|head| head.sequence += 1)),
        ("a stamp of another size", with(|head| head.size += 1)),
        ("a stamp with the id of another key", with(|head| head.stamp.as_mut().unwrap().signature.key = first().id)),
        ("a damaged stamp", with(|head| head.stamp.as_mut().unwrap().signature.bytes[9] ^= 1)),
        ("a stamp of no bytes", with(|head| head.stamp.as_mut().unwrap().signature.bytes.clear())),
        ("the stamp of another release", re_signed(|head| head.body = Sha256::of(b"another"))),
        ("the stamp of another component", re_signed(|head| head.component = "addon".parse().unwrap())),
        ("the stamp of another channel", re_signed(|head| head.channel = "beta".parse().unwrap())),
    ];
    let mut heads: Vec<_> = heads.into_iter().map(|(what, head)| (what, Some(head.to_bytes()))).collect();
    heads.push(("no head", None));
    heads.push(("a damaged head", Some(b"<latest/>".to_vec())));
    heads
}

fn put(world: &HostileWorld, head: Option<Vec<u8>>) {
    world.server.be_honest();
    match head {
        Some(bytes) => world.server.put(HEAD, bytes),
        None => world.server.lie(HEAD, Reply::status(404)),
    }
}

#[test]
fn without_a_proof_the_installed_release_is_never_up_to_date() {
    let (world, release) = up_to_date();
    for (what, head) in proofless(&release) {
        put(&world, head);
        let before = world.snapshot().tree;
        assert_eq!(world.check(), "stale", "{what}");
        assert_eq!(before.differences(&world.snapshot().tree), "", "{what}");
    }
    put(&world, Some(stamped(head(&release), online(), after(3600)).to_bytes()));
    world.server.take_requests();
    assert_eq!(world.check(), "up to date");
    assert_eq!(world.server.take_paths(), [HEAD], "a stamp costs no request");
}

#[test]
fn a_renewed_release_needs_the_proof_that_it_names() {
    let (world, release) = up_to_date();
    let mut renewed = release.clone();
    renewed.manifest.meta.sequence = 12;
    world.offer(&renewed, &[first()]);
    put(&world, Some(head(&renewed).to_bytes()));
    assert_eq!(world.check(), "stale");
    // The client has seen the renewed release, about which the stamp of the one before says
    // nothing.
    put(&world, Some(stamped(head(&release), online(), after(3600)).to_bytes()));
    assert_eq!(world.check(), "stale");
    put(&world, Some(stamped(head(&renewed), online(), after(3600)).to_bytes()));
    assert_eq!(world.check(), "up to date");
    assert_eq!(fs::read(world.core("manifest.xml")).unwrap(), sign(renewed.body(), &[first()]));
}

#[test]
fn a_newer_release_is_offered_whatever_the_head_says() {
    let (_, release) = up_to_date();
    for (what, _) in proofless(&release) {
        let (world, old) = up_to_date();
        let new = fresh(&world.new);
        world.publish(&new);
        let head_of = |release: &Release| {
            proofless(release).into_iter().find(|(other, _)| *other == what).and_then(|(_, head)| head)
        };
        // The head leads to the new release, or claims that the old one is the newest.
        put(&world, head_of(&new));
        assert_eq!(world.check(), "update to 2.0.0", "{what}");
        put(&world, head_of(&old));
        assert!(["update to 2.0.0", "stale"].contains(&world.check().as_str()), "{what}");
    }
}

#[test]
fn a_release_without_a_freshness_key_needs_no_stamp() {
    let world = HostileWorld::new();
    world.server.put(MANIFEST, sign(world.old.body(), &[first()]));
    for (what, head) in proofless(&world.old) {
        put(&world, head);
        assert_eq!(world.check(), "up to date", "{what}");
    }
    let without = world.offered_as("2.0.0", 20);
    world.publish(&without);
    put(&world, None);
    assert_eq!(world.update(), "updated to 2.0.0");
}

#[test]
fn a_release_that_is_deferred_needs_the_proof_as_well() {
    let (world, _) = up_to_date();
    // An attacker shows a release that was offered to few clients, and hides the later ones.
    let mut few = fresh(&world.new);
    few.manifest.meta.rollout = Some(0);
    world.offer(&few, &[first()]);
    for (what, head) in proofless(&few) {
        put(&world, head);
        assert_eq!(world.check(), "stale", "{what}");
    }
    put(&world, Some(stamped(head(&few), online(), after(3600)).to_bytes()));
    assert!(world.check().contains("RolloutPaused"), "{}", world.check());
}

#[test]
fn a_release_that_is_deferred_for_its_requirements_needs_the_proof_as_well() {
    let (world, _) = up_to_date();
    // An attacker shows a release that does not fit what is installed, and hides the later ones.
    let mut unfit = fresh(&world.new);
    unfit.manifest.meta.requires =
        vec![Requirement { component: "addon".parse().unwrap(), version: ">=2".parse().unwrap() }];
    world.offer(&unfit, &[first()]);
    for (what, head) in proofless(&unfit) {
        put(&world, head);
        assert_eq!(world.check(), "stale", "{what}");
    }
    put(&world, Some(stamped(head(&unfit), online(), after(3600)).to_bytes()));
    assert!(world.check().contains("Requires"), "{}", world.check());
}
