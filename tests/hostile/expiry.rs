//! Expired releases, renewed ones, and releases from the future.

use super::publisher::{first, sign};
use super::world::{HEAD, HostileWorld, MANIFEST};
use crate::support::scripted::Reply;
use std::fs;

/// tuf: `test_timestamp_expired`, `test_faketime`.
#[test]
fn an_expired_release_is_stale_however_it_is_served() {
    let world = HostileWorld::new();
    let mut expired = world.offered_as("2.0.0", 20);
    expired.manifest.meta.expires = Some("2024-01-02T00:00:00Z".parse().unwrap());
    world.offer(&expired, &[first()]);
    let before = world.snapshot();
    world.refuses("stale");
    let after = world.snapshot();
    // The release was verified, so it moves the floor and nothing else.
    assert_eq!(after.state.keys().collect::<Vec<_>>(), before.state.keys().collect::<Vec<_>>());
    assert_ne!(after.state["seen.xml"], before.state["seen.xml"]);
    for _ in 0..2 {
        world.refuses("stale");
    }
    world.server.lie(MANIFEST, Reply::status(304));
    world.refuses("http-status");
    assert_eq!(after.differences(&world.snapshot()), "");
    // An older release is a rollback even if it has not expired.
    world.offer(&world.offered_as("1.9.0", 19), &[first()]);
    world.refuses("rollback");
    world.offer(&world.offered_as("2.0.0", 20), &[first()]);
    world.refuses("sequence-conflict");
    world.offer(&world.offered_as("2.0.1", 21), &[first()]);
    assert_eq!(world.update(), "updated to 2.0.1");
}

/// tuf: `test_expired_local_timestamp`.
#[test]
fn an_installed_release_may_expire_and_be_renewed() {
    let world = HostileWorld::new();
    let mut expired = world.old.clone();
    expired.manifest.meta.sequence = 11;
    expired.manifest.meta.expires = Some("2024-01-02T00:00:00Z".parse().unwrap());
    let bytes = sign(expired.body(), &[first()]);
    fs::write(world.core("manifest.xml"), &bytes).unwrap();
    world.server.put(MANIFEST, bytes);
    world.refuses("stale");
    // A head that says that nothing is new does not make the release any fresher.
    world.put_head(&expired);
    world.server.take_requests();
    world.refuses("stale");
    assert_eq!(world.server.take_paths(), [HEAD]);
    // The files are unchanged: the client adopts a renewal silently, and takes a new release.
    let mut renewed = world.old.clone();
    renewed.manifest.meta.sequence = 12;
    world.offer(&renewed, &[first()]);
    world.put_head(&renewed);
    assert_eq!(world.check(), "up to date");
    assert_eq!(fs::read(world.core("manifest.xml")).unwrap(), sign(renewed.body(), &[first()]));
    world.offer(&world.new, &[first()]);
    world.put_head(&world.new);
    assert_eq!(world.update(), "updated to 2.0.0");
}

/// A clock that is behind cannot tell that a release has expired. The client warns and accepts.
#[test]
fn a_release_from_the_future_is_taken_with_a_warning() {
    let world = HostileWorld::new();
    let mut future = world.new.clone();
    future.manifest.meta.issued = "2998-01-01T00:00:00Z".parse().unwrap();
    world.offer(&future, &[first()]);
    let update = world.patcher().check_component("core").unwrap().update().unwrap();
    assert!(update.warning().is_some());
}

/// The warning also comes where an attacker hides the newer release: the client says "up to date".
#[test]
fn a_clock_before_the_installed_release_is_a_warning_although_nothing_is_newer() {
    let world = HostileWorld::new();
    let warning = || world.patcher().check_all().unwrap().warning;
    assert_eq!(warning(), None);
    let mut future = world.offered_as("2.1.0", 21);
    future.manifest.meta.issued = "2998-01-01T00:00:00Z".parse().unwrap();
    world.offer(&future, &[first()]);
    assert!(warning().is_some());
    assert_eq!(world.update(), "updated to 2.1.0");
    for has_head in [false, true] {
        if has_head {
            world.put_head(&future);
        }
        let check = world.patcher().check_all().unwrap();
        assert!(check.updates.is_empty() && check.warning.is_some(), "{check:?}");
    }
}
