//! The same new bytes in several files: the site holds them once, in the delta of the smallest
//! file, and the other deltas read them there.

use crate::support::publisher::Published;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::{Entry, Tree};
use crate::support::user::User;
use crate::support::world::World;
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{Delta, File};
use std::fs;

const NEWS: usize = 12_000;

/// Returns the unique new bytes of one build.
fn news(build: u64) -> Vec<u8> {
    (0..NEWS as u64 / 32).flat_map(|number| *Sha256::of(&(build << 32 | number).to_le_bytes()).as_bytes()).collect()
}

/// Makes two bundles of the same code. Each build after the first adds its new bytes to both.
fn bundles(build: u64) -> Tree {
    let Some(Entry::File { bytes, .. }) = Tree::from_seed(1).0.remove("bin/app") else { panic!("no program") };
    let bundle = |start: usize| -> Vec<u8> {
        let news = (2..=build).flat_map(news);
        bytes[start..60_000].iter().copied().chain(news).chain(bytes[60_000..].iter().copied()).collect()
    };
    Tree::default().file("bin/all.js", &bundle(0), 0o755).file("bin/core.js", &bundle(20_000), 0o644).file(
        "share/data",
        b"the same in all releases",
        0o644,
    )
}

fn file<'a>(published: &'a Published, path: &str) -> &'a File {
    published.manifest.files.iter().find(|file| file.path.as_str() == path).unwrap()
}

/// Returns the deltas that have a second base.
fn with_companion(published: &Published) -> Vec<&Delta> {
    published.manifest.files.iter().flat_map(|file| &file.deltas).filter(|delta| delta.with.is_some()).collect()
}

fn is_delta(path: &str) -> bool {
    path.ends_with(".delta")
}

fn objects_of(world: &World<Scripted>) -> Vec<String> {
    world.server.take_paths().into_iter().filter(|path| path.contains("/objects/")).collect()
}

/// Creates a world in which build 1 is installed and build 2 is published.
fn outdated() -> (World<Scripted>, Published) {
    let world = World::honest();
    world.publish("1.1.0", &bundles(1));
    world.install("core");
    let published = world.publish("1.2.0", &bundles(2));
    world.server.take_paths();
    world.server.take_object_bytes();
    (world, published)
}

#[test]
fn the_same_new_bytes_in_two_files_are_sent_once() {
    let (world, published) = outdated();
    let second_bases: Vec<_> = with_companion(&published).iter().map(|delta| delta.with).collect();
    assert_eq!(second_bases, [Some(file(&published, "bin/core.js").sha256)], "the larger reads the smaller");
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(2));
    let requests = objects_of(&world);
    assert!(requests.len() == 2 && requests.iter().all(|path| is_delta(path)), "{requests:?}");
    let bytes = world.server.take_object_bytes() as usize;
    assert!(bytes > NEWS && bytes < NEWS + 2000, "{bytes}");
}

#[test]
fn a_client_many_releases_behind_takes_several_deltas() {
    let world = World::honest();
    let sign = |build: u64| {
        let version = format!("1.{build}.0");
        world.publisher.release("core", &version, &bundles(build)).deltas(1).sign()
    };
    sign(1);
    world.install("core");
    (2..=3).for_each(|build| drop(sign(build)));
    let latest = sign(4);
    let core = file(&latest, "bin/core.js").sha256;
    let second_bases = with_companion(&latest);
    assert!(
        second_bases.iter().all(|delta| delta.with == Some(core)),
        "those of earlier releases are of no use any more"
    );
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(4));
    let requests = objects_of(&world);
    assert!(!requests.is_empty() && requests.iter().all(|path| is_delta(path)), "{requests:?}");
    let with: Vec<_> = second_bases.iter().map(|delta| delta.object.sha256.to_string()).collect();
    let reads_other = |path: &&String| with.iter().any(|hash| path.contains(hash));
    assert_eq!(requests.iter().filter(reads_other).count(), 1, "the last one reads the other bundle: {requests:?}");
}

#[test]
fn deltas_to_unchanged_content_stay_for_later_releases() {
    let world = World::honest();
    let sign = |version: &str, tree: &Tree| world.publisher.release("core", version, tree).deltas(1).sign();
    sign("1.1.0", &bundles(1));
    world.install("core");
    sign("1.2.0", &bundles(2));
    for version in ["1.2.1", "1.2.2", "1.2.3"] {
        sign(version, &bundles(2).file("share/data", version.as_bytes(), 0o644));
    }
    sign("1.3.0", &bundles(3));
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(3));
    let requests = objects_of(&world);
    assert!(!requests.is_empty() && requests.iter().all(|path| is_delta(path)), "{requests:?}");
}

#[test]
fn a_second_base_that_is_installed_is_not_fetched() {
    let (world, published) = outdated();
    let core = bundles(2).0.remove("bin/core.js");
    let Some(Entry::File { bytes, .. }) = core else { panic!("no bundle") };
    fs::write(world.user.component("core").join("bin/core.js"), bytes).unwrap();
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(2));
    let requests = objects_of(&world);
    let only = with_companion(&published)[0].object.sha256.to_string();
    assert!(requests.len() == 1 && requests[0].contains(&only), "{requests:?}");
}

#[test]
fn a_second_base_may_be_made_in_another_way() {
    let (world, published) = outdated();
    let alone = file(&published, "bin/core.js").deltas[0].object.sha256.to_string();
    world.server.follow(move |request| match request.path.contains(&alone) {
        true => Reply::status(404),
        false => Reply::Site,
    });
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(2));
    let requests = objects_of(&world);
    let with = with_companion(&published)[0].object.sha256.to_string();
    assert!(requests.iter().any(|path| path.contains(&with)), "{requests:?}");
    assert!(requests.contains(&published.object("bin/core.js")), "{requests:?}");
    assert!(!requests.contains(&published.object("bin/all.js")), "{requests:?}");
}

#[test]
fn a_second_base_that_cannot_be_fetched_fails_the_update_at_once() {
    let (world, published) = outdated();
    let hashes = {
        let core = file(&published, "bin/core.js");
        let chunks = core.chunks.iter().map(|object| object.sha256);
        let deltas = core.deltas.iter().map(|delta| delta.object.sha256);
        [core.gz.sha256].into_iter().chain(chunks).chain(deltas).map(|hash| hash.to_string()).collect::<Vec<_>>()
    };
    world.server.follow(move |request| match hashes.iter().any(|hash| request.path.contains(hash)) {
        true => Reply::status(404),
        false => Reply::Site,
    });
    world.user.fails(20, "http-status", &["update"]);
    world.user.has("core", &bundles(1));
    world.server.follow(|_| Reply::Site);
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(2));
}

#[test]
fn a_delta_with_another_second_base_falls_back_to_the_whole_file() {
    let (world, published) = outdated();
    let other = file(&published, "share/data").sha256;
    world.publisher.forge("core", |manifest| {
        let deltas = manifest.files.iter_mut().flat_map(|file| &mut file.deltas);
        deltas.filter(|delta| delta.with.is_some()).for_each(|delta| delta.with = Some(other));
    });
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(2));
    assert!(objects_of(&world).contains(&published.object("bin/all.js")));
}

#[test]
fn a_users_file_is_no_second_base() {
    let world = World::honest();
    world.publish("1.1.0", &bundles(1));
    let published = world.publisher.release("core", "1.2.0", &bundles(2)).preserve("bin/core.js").sign();
    assert!(with_companion(&published).is_empty());
    let user = User::trusting(&world.publisher);
    user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
    user.has("core", &bundles(2));
}
