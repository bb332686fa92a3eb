//! The same new bytes in several files: an update object holds them once, in the delta of the
//! smallest file, and the other deltas read them there.

use crate::support::publisher::Published;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::{Entry, Tree};
use crate::support::user::User;
use crate::support::world::World;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{ObjectKind, object_path};
use patcher::internal::manifest::UpdateObject;
use patcher::internal::tables::{RowBase, UpdateTable};
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

fn hash(tree: &Tree, path: &str) -> Sha256 {
    let Some(Entry::File { bytes, .. }) = tree.0.get(path) else { panic!("no {path}") };
    Sha256::of(bytes)
}

/// Returns the number of rows with a second base, in the table of each update object.
fn second_bases(world: &World<Scripted>, published: &Published) -> Vec<usize> {
    let count = |update: &UpdateObject| {
        let path = world.publisher.site().join("core");
        let bytes = fs::read(path.join(object_path(ObjectKind::Update, &update.object.object.sha256))).unwrap();
        let (table, deltas) = bytes.split_at(update.object.table.size as usize);
        let table = UpdateTable::parse(table, deltas.len() as u64).unwrap();
        table.rows.iter().filter(|row| row.second_base.is_some()).count()
    };
    published.manifest.meta.updates.iter().map(count).collect()
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
    assert_eq!(second_bases(&world, &published), [1], "the larger reads the smaller");
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(2));
    assert_eq!(objects_of(&world), [published.update_from(1)]);
    let bytes = world.server.take_object_bytes() as usize;
    assert!(bytes > NEWS && bytes < NEWS + 2000, "{bytes}");
}

#[test]
fn a_client_many_releases_behind_takes_several_deltas() {
    let world = World::honest();
    let sign = |build: u64| world.publish(&format!("1.{build}.0"), &bundles(build));
    sign(1);
    world.install("core");
    (2..=3).for_each(|build| drop(sign(build)));
    let latest = sign(4);
    assert!(second_bases(&world, &latest).iter().all(|count| *count >= 1), "{latest:?}", latest = latest.manifest.meta);
    world.server.take_paths();
    world.server.take_object_bytes();
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(4));
    assert_eq!(objects_of(&world), [latest.update_from(1)]);
    let bytes = world.server.take_object_bytes() as usize;
    assert!(bytes < 3 * NEWS + 4000, "{bytes}");
}

#[test]
fn a_second_base_that_is_installed_is_not_fetched() {
    let (world, published) = outdated();
    let core = bundles(2).0.remove("bin/core.js");
    let Some(Entry::File { bytes, .. }) = core else { panic!("no bundle") };
    fs::write(world.user.component("core").join("bin/core.js"), bytes).unwrap();
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(2));
    let update = published.update_from(1);
    assert!(objects_of(&world).iter().all(|path| *path == update));
    let bytes = world.server.take_object_bytes() as usize;
    assert!(bytes < 2000, "{bytes}: the new bytes are in the file that is there");
}

/// The row of the second base is damaged, so that its file comes whole. The other row still works.
#[test]
fn a_second_base_may_be_made_in_another_way() {
    let (world, published) = outdated();
    world.publisher.forge_updates("core", |table, deltas| {
        let first = table.rows[0].size as usize;
        deltas[..first].fill(b'x');
    });
    world.user.ok(&["update"]);
    world.user.has("core", &bundles(2));
    let requests = objects_of(&world);
    assert!(requests.contains(&published.object("bin/core.js")), "{requests:?}");
    assert!(!requests.contains(&published.object("bin/all.js")), "{requests:?}");
}

#[test]
fn a_second_base_that_cannot_be_fetched_fails_the_update_at_once() {
    let (world, published) = outdated();
    world.publisher.forge_updates("core", |table, deltas| {
        let first = table.rows[0].size as usize;
        deltas[..first].fill(b'x');
    });
    let object = published.object("bin/core.js");
    world.server.follow(move |request| match request.path == object || request.path.ends_with(".chunks") {
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
    let other = hash(&bundles(2), "share/data");
    world.publisher.forge_updates("core", |table, _| {
        let with_second_base = table.rows.iter_mut().filter(|row| row.second_base.is_some());
        with_second_base.for_each(|row| row.second_base = Some(RowBase::Content(other)));
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
    assert_eq!(second_bases(&world, &published), [0]);
    let user = User::trusting(&world.publisher);
    user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
    user.has("core", &bundles(2));
}
