//! Updates from release to release: the requests, and the files afterwards.

use crate::support::server::{LoggedRequest, Sent, ServerKind};
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use std::collections::BTreeSet;
use std::fs;

on_every_server!(
    updates_lead_through_every_release_and_past_one,
    a_check_that_finds_nothing_is_one_request,
    only_changed_objects_are_requested,
);

fn updates_lead_through_every_release_and_past_one(kind: ServerKind) {
    let Some(world) = World::on(kind) else { return };
    // Every server gets another tree.
    let seed = 10 * (kind as u64 + 1);
    let one = Tree::from_seed(seed);
    let (two, three) = (one.mutate(seed + 1), one.mutate(seed + 1).mutate(seed + 2));
    world.publish("1.0.0", &one);
    let late = User::trusting(&world.publisher);
    for user in [&world.user, &late] {
        user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
    }
    for (version, tree) in [("2.0.0", &two), ("3.0.0", &three)] {
        world.publish(version, tree);
        let found = world.user.json(10, &["check"]);
        assert_eq!(found["updates"][0]["to"], version);
        world.user.ok(&["update"]);
        world.user.has("core", tree);
        assert_eq!(world.user.ok(&["check"])["updates"].as_array().map(Vec::len), Some(0));
    }
    let updated = late.ok(&["update"]);
    assert_eq!(updated["applied"][0], serde_json::json!({ "component": "core", "from": "1.0.0", "to": "3.0.0" }));
    late.has("core", &three);
}

fn a_check_that_finds_nothing_is_one_request(kind: ServerKind) {
    let Some(world) = World::on(kind) else { return };
    world.publish("1.0.0", &Tree::from_seed(2));
    world.install("core");
    world.server.take_requests();
    for _ in 0..2 {
        world.user.ok(&["check"]);
        let requests = world.server.take_requests();
        // An ETag that came back would let the server recognize the client.
        assert_eq!(requests, [LoggedRequest { status: 200, path: "/core/latest.xml".into(), etag: "-".into() }]);
    }
    world.publish("1.1.0", &Tree::from_seed(2).mutate(1));
    world.user.ok(&["update"]);
    world.server.take_requests();
    world.user.ok(&["check"]);
    assert_eq!(world.server.take_requests().iter().map(|request| request.status).collect::<Vec<_>>(), [200]);
}

#[test]
fn a_manifest_arrives_compressed_if_the_server_compresses() {
    for (kind, packs) in [(ServerKind::Nginx, false), (ServerKind::NginxEncoding, true), (ServerKind::Apache, true)] {
        let Some(world) = World::on(kind) else { continue };
        let tree = Tree::from_seed(2);
        world.publish("1.0.0", &tree);
        world.install("core");
        world.user.has("core", &tree);
        // Without the head, the check fetches the whole manifest.
        fs::remove_file(world.publisher.site().join("core/latest.xml")).unwrap();
        world.user.ok(&["check"]);
        let size = fs::metadata(world.user.component("core").join("manifest.xml")).unwrap().len();
        let sent: Vec<Sent> = world.server.finish();
        let manifests: Vec<u64> =
            sent.iter().filter(|sent| sent.path == "/core/manifest.xml").map(|sent| sent.bytes).collect();
        let [first, second] = manifests[..] else { panic!("{kind:?}: {manifests:?}") };
        assert_eq!(first < size * 2 / 3, packs, "{kind:?}: {first} of {size} bytes");
        assert_eq!(first, second, "{kind:?}: every client sends the same request");
    }
}

fn only_changed_objects_are_requested(kind: ServerKind) {
    let Some(world) = World::on(kind) else { return };
    let one = Tree::from_seed(3);
    let two = one.mutate(4);
    let before = world.publish("1.0.0", &one).objects();
    world.install("core");
    world.server.take_requests();
    let after = world.publisher.release("core", "2.0.0", &two).whole().sign().objects();
    world.user.ok(&["update"]);
    let mut requests: Vec<String> = world.server.take_requests().into_iter().map(|request| request.path).collect();
    assert_eq!(requests.remove(0), "/core/latest.xml");
    assert_eq!(requests.remove(0), "/core/releases/2/from-1.delta");
    // For a large file the client reads the chunk index first. It has no chunk in common with the
    // old file.
    let requests: BTreeSet<String> = requests.into_iter().filter(|path| !path.ends_with(".chunks")).collect();
    let new: BTreeSet<String> = after.difference(&before).cloned().collect();
    assert!(!new.is_empty() && new.len() < after.len());
    assert_eq!(requests, new);
    world.user.has("core", &two);
}

#[test]
fn random_trees_are_installed_and_updated() {
    let world = World::honest();
    for seed in 100..110 {
        let user = User::trusting(&world.publisher);
        let (one, two) = (Tree::from_seed(seed), Tree::from_seed(seed).mutate(seed + 1));
        world.publisher.release("core", "1.0.0", &one).downgrade().sign();
        user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
        user.has("core", &one);
        world.publish("2.0.0", &two);
        user.ok(&["update"]);
        user.has("core", &two);
    }
}

#[test]
fn a_release_without_common_files_replaces_all_files() {
    let world = World::honest();
    world.publish("1.0.0", &Tree::from_seed(7));
    world.install("core");
    let other = Tree::default().file("other/place", b"other", 0o644).link("a", "other/place");
    world.publish("2.0.0", &other);
    world.user.ok(&["update"]);
    world.user.has("core", &other);
}

#[test]
fn files_and_folders_can_swap_their_names() {
    let world = World::honest();
    let base = Tree::default().file("bin/app", b"app", 0o755);
    let one = base.clone().file("x", b"file", 0o644).file("y/inner/deep", b"deep", 0o644).link("z", "x");
    let two = base.clone().file("x/inner", b"file", 0o644).file("y", b"deep", 0o644).file("z", b"no link", 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    world.publish("3.0.0", &one);
    world.user.ok(&["update"]);
    world.user.has("core", &one);
}

#[test]
fn a_renamed_file_costs_no_object() {
    let world = World::honest();
    let one = Tree::from_seed(8);
    let two = one.clone().renamed("bin/app", "programs/new name/app").renamed("empty", "nothing");
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    world.server.take_requests();
    let found = world.user.json(10, &["check"]);
    assert_eq!(found["updates"][0]["bytes"], 0);
    world.user.ok(&["update"]);
    let both = ["/core/latest.xml", "/core/releases/2/from-1.delta"].repeat(2);
    assert_eq!(world.server.take_paths(), both);
    world.user.has("core", &two);
}

#[test]
fn a_changed_mode_costs_no_object() {
    let world = World::honest();
    let one = Tree::default().file("script", b"#!/bin/sh\n", 0o644).file("app", b"app", 0o755);
    let two = Tree::default().file("script", b"#!/bin/sh\n", 0o755).file("app", b"app", 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    world.server.take_requests();
    world.user.ok(&["update"]);
    assert_eq!(world.server.take_paths(), ["/core/latest.xml", "/core/releases/2/from-1.delta"]);
    world.user.has("core", &two);
}

#[test]
fn a_renewed_release_is_adopted_silently() {
    let world = World::honest();
    let tree = Tree::from_seed(9);
    world.publish("1.0.0", &tree);
    world.install("core");
    world.publish("1.0.0", &tree);
    assert_eq!(world.user.ok(&["check"])["updates"].as_array().map(Vec::len), Some(0));
    assert_eq!(world.user.ok(&["status"])["components"][0]["sequence"], 2);
    world.user.has("core", &tree);
}

#[test]
fn an_honest_downgrade_is_an_update() {
    let world = World::honest();
    let (one, two) = (Tree::from_seed(11), Tree::from_seed(11).mutate(1));
    world.publish("1.0.0", &one);
    world.publish("2.0.0", &two);
    world.install("core");
    world.publisher.release("core", "1.0.0", &one).downgrade().sign();
    world.user.ok(&["update"]);
    world.user.has("core", &one);
    assert_eq!(world.user.ok(&["status"])["components"][0]["version"], "1.0.0");
}

#[test]
fn an_update_is_staged_by_one_run_and_applied_by_another() {
    let world = World::honest();
    let (one, two) = (Tree::from_seed(12), Tree::from_seed(12).mutate(1));
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    let staged = world.user.ok(&["download"]);
    assert_eq!(staged["staged"][0]["to"], "2.0.0");
    world.user.has("core", &one);
    assert_eq!(world.user.ok(&["status"])["staged"][0]["version"], "2.0.0");
    world.server.take_requests();
    world.user.ok(&["apply"]);
    assert!(world.server.take_requests().is_empty());
    world.user.has("core", &two);
    assert_eq!(world.user.ok(&["apply"])["applied"].as_array().map(Vec::len), Some(0));
}

#[test]
fn another_channel_is_another_line_of_releases() {
    let world = World::honest();
    let (stable, beta) = (Tree::from_seed(13), Tree::from_seed(13).mutate(1));
    world.publish("1.0.0", &stable);
    world.publisher.release("core", "2.0.0-beta.1", &beta).channel("beta").sign();
    world.install("core");
    world.user.ok(&["check"]);
    world.user.has("core", &stable);
    let mut user = User::trusting(&world.publisher);
    user.options = vec!["--channel".into(), "beta".into()];
    user.ok(&["install", "core", "--from", &world.manifest_url("core").replace("manifest", "beta")]);
    user.has("core", &beta);
    user.ok(&["check"]);
}
