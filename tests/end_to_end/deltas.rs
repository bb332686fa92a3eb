//! Updates by deltas: the bytes that clients fetch, and the fallbacks where a delta fails.

use crate::support::publisher::{Published, Publisher};
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::{Entry, Tree};
use crate::support::user::User;
use crate::support::world::World;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{ObjectKind, object_path};
use patcher::internal::manifest::Object;
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::time::Duration;

/// Returns build `build` of a program of 150,000 bytes. Each build changes a few places and adds a
/// line.
fn program(build: u64) -> Vec<u8> {
    let Some(Entry::File { mut bytes, .. }) = Tree::from_seed(1).0.remove("bin/app") else { panic!("no program") };
    for build in 1..=build {
        for place in [7, 31_111, 88_888] {
            bytes[(place + 1009 * build as usize) % 140_000] ^= build as u8;
        }
        bytes.splice(5000..5000, format!("build {build}\n").into_bytes());
    }
    bytes
}

/// Returns 32 unique bytes for each number.
fn news(numbers: Range<u64>) -> Vec<u8> {
    numbers.flat_map(|number| *Sha256::of(&number.to_le_bytes()).as_bytes()).collect()
}

/// Returns a program to which each build also adds 8,000 new bytes. Several deltas are as small as
/// one direct delta.
fn growing(build: u64) -> Vec<u8> {
    [program(build), news(0..build * 250)].concat()
}

/// Makes a release of two growing programs, each with its own new bytes.
fn growing_release(build: u64) -> Tree {
    let tool = [&program(build)[40_000..], &news(10_000..10_000 + build * 250)].concat();
    Tree::default().file("bin/app", &growing(build), 0o755).file("bin/tool", &tool, 0o755)
}

/// Makes the release of a build: the program, its script with a hash in the name, and unchanged
/// files.
fn release(build: u64) -> Tree {
    let script = program(build)[..40_000].to_vec();
    let hash = &Sha256::of(&script).to_string()[..20];
    Tree::default().file("bin/app", &program(build), 0o755).file(&format!("static/app.{hash}.js"), &script, 0o644).file(
        "share/data",
        b"the same in all releases",
        0o644,
    )
}

fn version(build: u64) -> String {
    format!("1.{build}.0")
}

fn is_delta(path: &str) -> bool {
    path.ends_with(".delta")
}

/// Keeps the paths of objects.
fn objects_of(requests: Vec<String>) -> Vec<String> {
    requests.into_iter().filter(|path| path.contains("/objects/")).collect()
}

/// Reads type, fallbacks and bytes from the newest entry of the history.
fn last_update(user: &User) -> (String, u64, u64) {
    let history = user.ok(&["history"]);
    let update = &history["updates"][0];
    let number = |name: &str| update[name].as_u64().unwrap();
    (update["type"].as_str().unwrap().to_owned(), number("fallbacks"), number("bytes"))
}

/// Creates a world in which build 1 is installed and build 2 is published.
fn outdated() -> (World<Scripted>, Published) {
    let world = World::honest();
    world.publish(&version(1), &release(1));
    world.install("core");
    let published = world.publish(&version(2), &release(2));
    world.server.take_paths();
    world.server.take_object_bytes();
    (world, published)
}

/// The promise of serverless-diffpatcher: `publish` a folder as a new version, and clients of older
/// versions get deltas, without computation on a server.
#[test]
fn a_signed_folder_updates_every_older_client_by_deltas() {
    let world = World::honest();
    let mut users = Vec::new();
    for build in 1..=6 {
        world.publish(&version(build), &release(build));
        let user = User::trusting(&world.publisher);
        user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
        users.push(user);
    }
    let latest = world.publish(&version(7), &release(7));
    let whole: u64 = latest.manifest.files.iter().map(|file| file.gz.size).sum();
    for (behind, user) in users.iter().rev().enumerate() {
        world.server.take_paths();
        world.server.take_object_bytes();
        user.ok(&["update"]);
        user.has("core", &release(7));
        let requests = objects_of(world.server.take_paths());
        let bytes = world.server.take_object_bytes();
        assert!(
            !requests.is_empty() && requests.iter().all(|path| is_delta(path)),
            "{} back: {requests:?}",
            behind + 1
        );
        assert!(bytes * 4 < whole, "{} back: {bytes} of {whole} bytes", behind + 1);
        assert_eq!(last_update(user), ("partial".to_owned(), 0, bytes), "{} back", behind + 1);
        // Deltas lead from the last three releases, and from the release for which several deltas
        // would cost the most.
        let direct = behind < 3 || behind == 5;
        assert_eq!(requests.len() == 2, direct, "{} back: {requests:?}", behind + 1);
    }
}

/// Lantern's autoupdate sends the checksum of a client's executable to a server that selects the
/// delta. Here the client selects it, and no server learns the checksum.
#[test]
fn a_client_selects_the_delta_by_the_checksum_of_its_own_executable() {
    let world = World::honest();
    let executable = |build| Tree::default().file("lantern", &program(build), 0o755);
    let mut steps = Vec::new();
    for build in 1..=4 {
        steps.push(world.publish(&version(build), &executable(build)));
    }
    let newest = &steps[3].manifest.files[0];
    for build in 1..=3 {
        let user = User::trusting(&world.publisher);
        executable(build).write(&user.component("core"));
        world.server.take_paths();
        user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
        let right = newest.deltas.iter().find(|delta| delta.from == Sha256::of(&program(build))).unwrap();
        let path = format!("/core/{}", object_path(ObjectKind::Delta, &right.object.sha256));
        assert_eq!(objects_of(world.server.take_paths()), [path], "build {build}");
        let installed = fs::read(user.component("core").join("lantern")).unwrap();
        assert_eq!(Sha256::of(&installed), newest.sha256);
    }
}

#[test]
fn a_client_whose_files_were_modified_gets_the_full_file() {
    let (world, published) = outdated();
    let app = world.user.component("core").join("bin/app");
    let mut bytes = fs::read(&app).unwrap();
    bytes[77] ^= 1;
    fs::write(&app, bytes).unwrap();
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
    let requests = objects_of(world.server.take_paths());
    assert!(requests.contains(&published.object("bin/app")), "{requests:?}");
    let others = requests.iter().filter(|path| **path != published.object("bin/app") && !path.ends_with(".chunks"));
    let others: Vec<&String> = others.collect();
    assert!(others.len() == 1 && is_delta(others[0]), "the script was not modified: {requests:?}");
    assert_eq!(last_update(&world.user).1, 0, "nothing failed: it was planned so");
}

#[test]
fn a_renamed_file_with_a_hash_in_its_name_is_made_from_the_old_one() {
    let world = World::honest();
    let base = Tree::default().file("app", b"app", 0o755);
    let one = base.clone().file("static/app.9f3c2d1e77.js", &program(1), 0o644);
    let two = base.clone().file("static/app.71be0c44aa.js", &program(2), 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    let deltas = world.publish("2.0.0", &two).deltas();
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    assert_eq!(BTreeSet::from_iter(objects_of(world.server.take_paths())), deltas);
    assert_eq!(deltas.len(), 1);
}

#[test]
fn a_file_under_an_unrelated_name_is_made_from_the_most_similar_one() {
    let world = World::honest();
    let one = Tree::default().file("engine.bin", &program(1), 0o755).file("other.bin", &program(0)[60_000..], 0o644);
    let two = Tree::default().file("programs/motor.bin", &program(2), 0o755);
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    let requests = objects_of(world.server.take_paths());
    assert!(requests.len() == 1 && is_delta(&requests[0]), "{requests:?}");
}

#[test]
fn a_new_file_is_made_from_a_similar_file() {
    let world = World::honest();
    // Texts in two languages: the same keys in the same order with different words.
    let texts = |language: u32| -> Vec<u8> {
        let line = |key: u32| {
            let hash = |number: u32| Sha256::of(&number.to_le_bytes()).to_string();
            format!("{} = {}\n", &hash(key)[..32], &hash(key * 10 + language)[..4])
        };
        (0..500).flat_map(|key| line(key).into_bytes()).collect()
    };
    let before = Tree::default().file("bin/app", b"app", 0o755).file("words/app_de.txt", &texts(1), 0o644);
    let before = before.file("words/zoo_kk.txt", &program(1)[..20_000], 0o644);
    let after = before.clone().file("words/app_kk.txt", &texts(2), 0o644);
    world.publish("1.0.0", &before);
    world.install("core");
    let published = world.publish("2.0.0", &after);
    let new = published.manifest.files.iter().find(|file| file.path.as_str() == "words/app_kk.txt").unwrap();
    assert_eq!(new.deltas.iter().map(|delta| delta.from).collect::<Vec<_>>(), [Sha256::of(&texts(1))]);
    assert!(new.deltas[0].object.size * 2 < new.gz.size, "{} of {}", new.deltas[0].object.size, new.gz.size);
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &after);
    assert!(objects_of(world.server.take_paths()).iter().all(|path| is_delta(path)));
}

#[test]
fn a_damaged_or_missing_delta_falls_back_to_the_whole_file_in_the_same_run() {
    type Lie = fn(Vec<u8>) -> Reply;
    let lies: [(&str, Lie); 5] = [
        ("flipped", |mut bytes| {
            bytes[40] ^= 1;
            Reply::Bytes(bytes)
        }),
        ("short", |bytes| Reply::Bytes(bytes[..bytes.len() - 1].to_vec())),
        ("long", |bytes| Reply::Bytes([bytes, vec![0]].concat())),
        ("a web page", |_| Reply::Bytes(b"<html>Welcome to the hotel's network</html>".to_vec())),
        ("missing", |_| Reply::status(404)),
    ];
    for (what, lie) in lies {
        let (world, published) = outdated();
        let site = world.publisher.site();
        world.server.follow(move |request| match is_delta(&request.path) {
            true => lie(fs::read(site.join(request.path.trim_start_matches('/'))).unwrap()),
            false => Reply::Site,
        });
        world.user.ok(&["update"]);
        world.user.has("core", &release(2));
        let requests = objects_of(world.server.take_paths());
        assert!(requests.iter().any(|path| is_delta(path)), "{what}: patches come first");
        assert!(requests.contains(&published.object("bin/app")), "{what}: {requests:?}");
        let (kind, fallbacks, _) = last_update(&world.user);
        assert!(kind == "partial" && fallbacks >= 2, "{what}: both files fall back: {kind}, {fallbacks}");
    }
}

#[test]
fn a_signed_delta_to_other_content_falls_back_to_the_whole_file() {
    for damage in ["no patch", "another patch"] {
        let (world, published) = outdated();
        let other = published.manifest.files.iter().rev().flat_map(|file| &file.deltas).next().unwrap().object;
        let site = world.publisher.site().join("core");
        world.publisher.forge("core", |manifest| {
            let file = manifest.files.iter_mut().find(|file| file.path.as_str() == "bin/app").unwrap();
            for delta in &mut file.deltas {
                let bytes = match damage {
                    "no patch" => b"this is no patch at all".repeat(10),
                    _ => fs::read(site.join(object_path(ObjectKind::Delta, &other.sha256))).unwrap(),
                };
                delta.object = Object { size: bytes.len() as u64, sha256: Sha256::of(&bytes) };
                let path = site.join(object_path(ObjectKind::Delta, &delta.object.sha256));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        });
        world.user.ok(&["update"]);
        world.user.has("core", &release(2));
        let requests = objects_of(world.server.take_paths());
        assert!(requests.contains(&published.object("bin/app")), "{damage}: {requests:?}");
        assert!(last_update(&world.user).1 >= 1, "{damage}");
    }
}

#[test]
fn a_delta_of_an_unknown_method_is_not_requested() {
    let (world, published) = outdated();
    world.publisher.forge("core", |manifest| {
        for delta in manifest.files.iter_mut().flat_map(|file| &mut file.deltas) {
            delta.method = "program9".parse().unwrap();
        }
    });
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
    let requests = objects_of(world.server.take_paths());
    assert!(!requests.is_empty() && !requests.iter().any(|path| is_delta(path)), "{requests:?}");
    assert!(requests.contains(&published.object("bin/app")));
    assert_eq!(last_update(&world.user).1, 0, "nothing failed: it was planned so");
}

#[test]
fn a_chain_of_deltas_with_a_missing_one_falls_back_to_the_whole_file() {
    let world = World::honest();
    world.publisher.release("core", &version(1), &growing_release(1)).deltas(1).sign();
    world.install("core");
    for build in 2..=4 {
        world.publisher.release("core", &version(build), &growing_release(build)).deltas(1).sign();
    }
    let late = User::trusting(&world.publisher);
    growing_release(1).write(&late.component("core"));
    fs::copy(world.user.component("core").join("manifest.xml"), late.component("core").join("manifest.xml")).unwrap();
    world.server.take_paths();
    world.user.ok(&["update"]);
    let hops = objects_of(world.server.take_paths());
    assert!(hops.len() == 6 && hops.iter().all(|path| is_delta(path)), "three hops for each of two files: {hops:?}");
    // No client holds the last object of the update yet.
    let last = hops.last().cloned().unwrap();
    world.server.follow(move |request| if request.path == last { Reply::status(404) } else { Reply::Site });
    late.ok(&["update"]);
    late.has("core", &growing_release(4));
    assert!(last_update(&late).1 >= 1);
    let requests = objects_of(world.server.take_paths());
    let whole: BTreeSet<_> = requests.iter().filter(|path| path.ends_with(".gz")).collect();
    assert_eq!(whole.len(), 1, "the other file's chain is whole: {requests:?}");
}

#[test]
fn two_chains_with_a_hop_in_common_do_not_disturb_each_other() {
    let world = World::honest();
    let base = Tree::default().file("app", b"app", 0o755);
    let (mut one, mut other) = (growing(3), growing(3));
    one.drain(20_000..29_000);
    other.drain(..9000);
    let trees = [
        base.clone().file("engine.bin", &growing(1), 0o644),
        base.clone().file("engine.bin", &growing(2), 0o644),
        base.clone().file("left.bin", &one, 0o644).file("right.bin", &other, 0o644),
    ];
    world.publisher.release("core", "1.0.0", &trees[0]).deltas(1).sign();
    world.install("core");
    world.publisher.release("core", "2.0.0", &trees[1]).deltas(1).sign();
    world.publisher.release("core", "3.0.0", &trees[2]).deltas(1).sign();
    // Without second bases, so that each program has its own delta.
    world.publisher.forge("core", |manifest| {
        manifest.files.iter_mut().for_each(|file| file.deltas.retain(|delta| delta.with.is_none()));
    });
    world.server.take_paths();
    world.server.follow(|request| {
        if is_delta(&request.path) { Reply::Slowly(50, Duration::from_millis(5)) } else { Reply::Site }
    });
    world.user.ok(&["update"]);
    world.user.has("core", &trees[2]);
    let requests = objects_of(world.server.take_paths());
    assert!(requests.len() == 4 && requests.iter().all(|path| is_delta(path)), "{requests:?}");
    assert_eq!(BTreeSet::from_iter(&requests).len(), 3, "both go through the first");
    assert_eq!(last_update(&world.user).1, 0);
}

#[test]
fn deltas_can_be_turned_off_for_one_release() {
    let world = World::honest();
    world.publish(&version(1), &release(1));
    world.install("core");
    let published = world.publisher.release("core", &version(2), &release(2)).deltas(0).sign();
    assert!(published.deltas().is_empty());
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
    assert!(!objects_of(world.server.take_paths()).iter().any(|path| is_delta(path)));
    assert_eq!(last_update(&world.user).1, 0);
}

#[test]
fn a_delta_comes_from_the_mirror_that_has_it() {
    let mut publisher = Publisher::new();
    let first = Scripted::serve(&publisher.site(), |_| Reply::Site);
    let second = Scripted::serve(&publisher.site(), |_| Reply::Site);
    publisher.serve_at([first.url(), second.url()]);
    let user = User::trusting(&publisher);
    publisher.release("core", &version(1), &release(1)).sign();
    user.ok(&["install", "core", "--from", &format!("{}core/manifest.xml", first.url())]);
    let published = publisher.release("core", &version(2), &release(2)).sign();
    second.take_paths();
    first.follow(|request| if is_delta(&request.path) { Reply::status(404) } else { Reply::Site });
    user.ok(&["update"]);
    user.has("core", &release(2));
    assert_eq!(BTreeSet::from_iter(objects_of(second.take_paths())), published.deltas());
    assert_eq!((last_update(&user).0.as_str(), last_update(&user).1), ("partial", 0));
}

#[test]
fn repair_uses_a_delta_where_an_old_file_came_back() {
    let (world, published) = outdated();
    world.user.ok(&["update"]);
    fs::write(world.user.component("core").join("bin/app"), program(1)).unwrap();
    world.server.take_paths();
    world.user.ok(&["repair", "core"]);
    world.user.has("core", &release(2));
    let requests = objects_of(world.server.take_paths());
    assert!(requests.len() == 1 && published.deltas().contains(&requests[0]), "{requests:?}");
}
