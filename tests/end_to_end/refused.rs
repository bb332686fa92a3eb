//! The client refuses files that differ from the signed or requested ones, and changes nothing.

use crate::support::publisher::Publisher;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use std::fs;

/// Expects that the client refuses `bytes` as the manifest with this code, after no other request.
#[track_caller]
fn refuses(world: &World<Scripted>, before: &Tree, bytes: Vec<u8>, code: &str) {
    world.server.follow(move |_| Reply::Bytes(bytes.clone()));
    let run = world.user.run(&["--json", "update"]);
    run.fails(21, code);
    assert_eq!(world.server.take_paths(), ["/core/latest.xml", "/core/manifest.xml"]);
    world.user.has("core", before);
}

#[test]
fn a_manifest_with_any_flipped_byte_is_refused() {
    let (world, _, one, two) = World::outdated();
    let good = fs::read(world.publisher.manifest("core")).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    // One byte of each part: the declaration, the meta section, a hash, the signature's key and
    // value, the end.
    let at = |part: &str, plus: usize| text.find(part).unwrap() + plus;
    let places = [at("<?xml", 3), at("sequence=\"", 10), at("sha256=\"", 12), at("<signature", 2), at("</manifest", 3)];
    let places = places.into_iter().chain([at("<signature key=\"", 20), at("</signature>", 0) - 20]);
    for place in places.chain((0..good.len()).step_by(good.len() / 9)) {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        world.server.follow(move |_| Reply::Bytes(bytes.clone()));
        let run = world.user.run(&["--json", "update"]);
        assert_eq!(run.code, Some(21), "byte {place}: {run:#?}");
        assert_eq!(world.server.take_paths(), ["/core/latest.xml", "/core/manifest.xml"]);
        world.user.has("core", &one);
    }
    world.server.follow(|_| Reply::Site);
    world.user.ok(&["update"]);
    world.user.has("core", &two);
}

#[test]
fn a_manifest_that_is_cut_off_empty_or_a_web_page_is_refused() {
    let (world, _, one, _) = World::outdated();
    let good = fs::read(world.publisher.manifest("core")).unwrap();
    refuses(&world, &one, Vec::new(), "manifest-end");
    refuses(&world, &one, good[..good.len() / 2].to_vec(), "manifest-end");
    refuses(&world, &one, good[..good.len() - 1].to_vec(), "manifest-end");
    refuses(&world, &one, b"<html><body>Please log in</body></html>\n".to_vec(), "manifest-html");
    refuses(&world, &one, [&good[..], b"\n"].concat(), "manifest-end");
    let lines: Vec<&str> =
        std::str::from_utf8(&good).unwrap().lines().filter(|line| !line.contains("<signature")).collect();
    refuses(&world, &one, format!("{}\n", lines.join("\n")).into_bytes(), "signature-count");
}

#[test]
fn an_older_manifest_is_refused_as_a_rollback() {
    let world = World::honest();
    let (one, two) = (Tree::from_seed(1), Tree::from_seed(1).mutate(2));
    world.publish("1.0.0", &one);
    let old = fs::read(world.publisher.manifest("core")).unwrap();
    world.publish("2.0.0", &two);
    world.install("core");
    world.server.take_paths();
    refuses(&world, &two, old.clone(), "rollback");
    // The floor holds if either the state folder or the manifest is lost.
    fs::remove_dir_all(world.user.root().join(".patcher")).unwrap();
    refuses(&world, &two, old.clone(), "rollback");
    let manifest = world.user.component("core").join("manifest.xml");
    world.server.follow(|_| Reply::Site);
    world.user.ok(&["check"]);
    fs::remove_file(&manifest).unwrap();
    world.server.follow(move |_| Reply::Bytes(old.clone()));
    world.user.fails(21, "rollback", &["install", "core", "--from", &world.manifest_url("core")]);
    fs::write(&manifest, "").unwrap();
    world.user.fails(21, "rollback", &["install", "core", "--from", &world.manifest_url("core")]);
    two.assert_is(&world.user.tree("core"));
}

#[test]
fn a_release_that_was_seen_but_not_installed_raises_the_floor() {
    let (world, _, one, two) = World::outdated();
    let second = fs::read(world.publisher.manifest("core")).unwrap();
    world.publish("3.0.0", &two.mutate(3));
    world.user.json(10, &["check"]);
    world.server.take_paths();
    refuses(&world, &one, second, "rollback");
}

#[test]
fn two_manifests_with_one_sequence_are_an_attack() {
    let (world, _, one, two) = World::outdated();
    world.user.json(10, &["check"]);
    world.server.take_paths();
    let mut other = Publisher::new();
    other.serve_at([world.server.url()]);
    other.release("core", "1.0.0", &one).sign();
    other.release("core", "2.0.1", &two.mutate(3)).sign();
    refuses(&world, &one, fs::read(other.manifest("core")).unwrap(), "sequence-conflict");
}

#[test]
fn a_strangers_manifest_is_refused() {
    let (world, _, one, two) = World::outdated();
    let mut stranger = Publisher::stranger();
    stranger.serve_at([world.server.url()]);
    for version in ["7.0.0", "8.0.0", "9.0.0"] {
        stranger.release("core", version, &two).sign();
    }
    refuses(&world, &one, fs::read(stranger.manifest("core")).unwrap(), "unknown-key");
    let user = User::trusting(&world.publisher);
    user.fails(21, "unknown-key", &["install", "core", "--from", &world.manifest_url("core")]);
    assert!(!user.component("core").exists());
}

#[test]
fn a_manifest_of_another_component_channel_or_platform_is_refused() {
    let (world, _, one, two) = World::outdated();
    world.publisher.release("addon", "9.0.0", &two).sign();
    refuses(&world, &one, fs::read(world.publisher.manifest("addon")).unwrap(), "wrong-component");
    world.publisher.release("core", "9.0.0", &two).channel("beta").sign();
    let beta = world.publisher.site().join("core/beta.xml");
    refuses(&world, &one, fs::read(beta).unwrap(), "wrong-channel");
}

#[test]
fn an_expired_release_is_refused_and_the_installed_one_still_starts() {
    const LONG_AGO: u64 = 1_600_000_000;
    let (world, _, one, two) = World::outdated();
    world.publisher.release("core", "3.0.0", &two).good_for(LONG_AGO, 30).sign();
    world.user.fails(21, "stale", &["update"]);
    world.user.has("core", &one);
    // The same bytes again are not fresh either.
    world.user.fails(21, "stale", &["check"]);
    world.publish("3.0.0", &two);
    world.user.ok(&["update"]);
    world.user.has("core", &two);
}

#[test]
fn a_tampered_object_is_refused_and_changes_nothing() {
    let (world, published, one, two) = World::outdated();
    let object = published.object("bin/app");
    let good = fs::read(world.publisher.site().join(&object[1..])).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    let of_another = fs::read(world.publisher.site().join(&published.object("empty")[1..])).unwrap();
    let lies = [
        (flipped(good.len() / 2), "object-hash"),
        (flipped(0), "object-hash"),
        (flipped(good.len() - 1), "object-hash"),
        (good[..good.len() - 1].to_vec(), "object-size"),
        ([&good[..], &vec![0; 1 << 20]].concat(), "object-size"),
        (of_another, "object-size"),
        (Vec::new(), "object-size"),
    ];
    for (bytes, code) in lies {
        let object = object.clone();
        world
            .server
            .follow(move |request| if request.path == object { Reply::Bytes(bytes.clone()) } else { Reply::Site });
        world.user.fails(21, code, &["update"]);
        world.user.has("core", &one);
    }
    world.server.follow(|_| Reply::Site);
    world.user.ok(&["update"]);
    world.user.has("core", &two);
}
