//! Updates by update objects: the bytes that clients fetch, and the fallbacks where one fails.

use crate::support::publisher::{Published, Publisher};
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::{Entry, Tree};
use crate::support::user::User;
use crate::support::world::World;
use patcher::internal::digest::Sha256;
use patcher::internal::tables::{RowBase, UpdateTable};
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

fn is_update(path: &str) -> bool {
    path.ends_with(".update")
}

/// Returns the path of the delta between two manifests.
fn delta_of(to: u64, from: u64) -> String {
    format!("/core/releases/{to}/from-{from}.delta")
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
    let whole: u64 = latest.manifest.files.iter().map(|file| file.gz.unwrap().size).sum();
    for (behind, user) in users.iter().rev().enumerate() {
        world.server.take_paths();
        world.server.take_object_bytes();
        user.ok(&["update"]);
        user.has("core", &release(7));
        let requests = world.server.take_paths();
        let bytes = world.server.take_object_bytes();
        let expected =
            ["/core/latest.xml".to_owned(), delta_of(7, 6 - behind as u64), latest.update_from(6 - behind as u64)];
        assert_eq!(requests, expected, "{} back", behind + 1);
        assert!(bytes * 4 < whole, "{} back: {bytes} of {whole} bytes", behind + 1);
        assert_eq!(last_update(user), ("partial".to_owned(), 0, bytes), "{} back", behind + 1);
    }
}

/// Lantern's autoupdate sends the checksum of a client's executable to a server that selects the
/// delta. Here the client selects it, and no server learns the checksum.
#[test]
fn a_client_selects_the_delta_by_the_checksum_of_its_own_executable() {
    let world = World::honest();
    let executable = |build| Tree::default().file("lantern", &program(build), 0o755);
    for build in 1..=4 {
        world.publish(&version(build), &executable(build));
    }
    let newest = world.publish(&version(5), &executable(5));
    let whole = newest.manifest.files[0].gz.unwrap().size;
    for build in 1..=4 {
        let user = User::trusting(&world.publisher);
        executable(build).write(&user.component("core"));
        world.server.take_paths();
        world.server.take_object_bytes();
        // The executable belongs to the user, because no manifest vouches for it.
        let updated = executable(5).file("lantern.saved", &program(build), 0o755);
        user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
        let requests = objects_of(world.server.take_paths());
        assert!(requests.iter().all(|path| is_update(path)), "build {build}: {requests:?}");
        assert_eq!(*requests.last().unwrap(), newest.update_from(build), "build {build}");
        let bytes = world.server.take_object_bytes();
        assert!(bytes * 4 < whole, "build {build}: {bytes} of {whole} bytes");
        user.has("core", &updated);
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
    let (object, update) = (published.object("bin/app"), published.update_from(1));
    let others = requests.iter().filter(|path| **path != object && !path.ends_with(".chunks"));
    assert!(
        others.clone().count() == 2 && others.clone().all(|path| *path == update),
        "the table and a row: {requests:?}"
    );
    assert_eq!(last_update(&world.user).1, 0, "nothing failed: it was planned so");
}

/// Two thirds of the deltas are for a file that was modified: only the other third is fetched.
#[test]
fn only_the_needed_rows_of_an_update_object_are_fetched() {
    let world = World::honest();
    let release = |build: u64| {
        let large = [program(build), news(build * 1000..build * 1000 + 2000)].concat();
        Tree::default().file("bin/app", &program(build), 0o755).file("bin/large", &large, 0o755)
    };
    world.publish(&version(1), &release(1));
    world.install("core");
    let published = world.publish(&version(2), &release(2));
    let large = world.user.component("core").join("bin/large");
    fs::write(&large, b"mine").unwrap();
    let size = published.manifest.meta.updates[0].object.object.size;
    world.server.take_requests();
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
    let update = published.update_from(1);
    let ranges: Vec<_> = world.server.take_requests().into_iter().filter(|request| request.path == update).collect();
    let asked: Vec<&str> = ranges.iter().map(|request| request.header("range").unwrap()).collect();
    assert_eq!(asked.len(), 2, "the table and one row: {asked:?}");
    assert!(asked.iter().all(|range| !range.ends_with(&format!("-{}", size - 1))), "{asked:?} of {size}");
}

#[test]
fn a_renamed_file_with_a_hash_in_its_name_is_made_from_the_old_one() {
    let world = World::honest();
    let base = Tree::default().file("app", b"app", 0o755);
    let one = base.clone().file("static/app.9f3c2d1e77.js", &program(1), 0o644);
    let two = base.clone().file("static/app.71be0c44aa.js", &program(2), 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    let published = world.publish("2.0.0", &two);
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    assert_eq!(objects_of(world.server.take_paths()), [published.update_from(1)]);
    assert!(published.manifest.meta.updates[0].object.object.size < 2000);
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
    world.server.take_object_bytes();
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    let requests = objects_of(world.server.take_paths());
    assert!(requests.len() == 1 && is_update(&requests[0]), "{requests:?}");
    assert!(world.server.take_object_bytes() < 3000);
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
    let update = published.manifest.meta.updates[0].object.object.size;
    assert!(update * 2 < new.gz.unwrap().size, "{update} of {}", new.gz.unwrap().size);
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &after);
    assert_eq!(objects_of(world.server.take_paths()), [published.update_from(1)]);
}

#[test]
fn a_damaged_or_missing_update_object_falls_back_to_whole_files_in_the_same_run() {
    type Lie = fn(Vec<u8>) -> Reply;
    let lies: [(&str, Lie); 6] = [
        ("a damaged table", |mut bytes| {
            bytes[40] ^= 1;
            Reply::Bytes(bytes)
        }),
        ("damaged deltas", |mut bytes| {
            let length = bytes.len();
            (length / 2..length).for_each(|at| bytes[at] ^= 1);
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
        world.server.follow(move |request| match is_update(&request.path) {
            true => lie(fs::read(site.join(request.path.trim_start_matches('/'))).unwrap()),
            false => Reply::Site,
        });
        world.user.ok(&["update"]);
        world.user.has("core", &release(2));
        let requests = objects_of(world.server.take_paths());
        assert!(is_update(&requests[0]), "{what}: the update object comes first");
        let fell_back = requests.iter().any(|path| path.ends_with(".gz"));
        assert!(fell_back || what == "long", "{what}: {requests:?}");
        let (kind, fallbacks, _) = last_update(&world.user);
        assert_eq!((kind.as_str(), fallbacks > 0), ("partial", fell_back), "{what}: {fallbacks}");
        assert!(published.manifest.meta.updates[0].rest == 0);
    }
}

#[test]
fn signed_deltas_to_other_content_fall_back_to_whole_files() {
    for damage in ["no deltas", "deltas in another order"] {
        let (world, published) = outdated();
        world.publisher.forge_updates("core", |table, deltas| match damage {
            "no deltas" => deltas.fill(b'x'),
            _ => {
                let first = table.rows[0].size as usize;
                deltas.rotate_left(first);
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
fn a_row_of_an_unknown_method_is_skipped() {
    let (world, published) = outdated();
    world.publisher.forge_updates("core", |table, _| {
        table.rows.last_mut().unwrap().method = "program9".parse().unwrap();
    });
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
    let requests = objects_of(world.server.take_paths());
    assert!(requests.contains(&published.object("bin/app")), "{requests:?}");
    let small = published.manifest.files.iter().find(|file| file.path.as_str().starts_with("static/")).unwrap();
    assert!(!requests.contains(&published.object(small.path.as_str())), "the other row is used: {requests:?}");
}

/// Hostile tables: signed by the publisher's key, and wrong in every way that a table can be.
#[test]
fn a_table_whose_rows_lie_never_leads_to_another_release() {
    type Lie = fn(&mut UpdateTable);
    let lies: [(&str, Lie); 5] = [
        ("other sizes of the results", |table| table.rows.iter_mut().for_each(|row| row.to.size += 1)),
        ("huge results", |table| table.rows.iter_mut().for_each(|row| row.to.size = u64::MAX)),
        ("the bases of other rows", |table| {
            let base = table.rows[0].base;
            table.rows.iter_mut().for_each(|row| row.base = base);
        }),
        ("no bases", |table| table.rows.iter_mut().for_each(|row| row.base = RowBase::Empty)),
        ("results as second bases", |table| {
            let rows = table.rows.len();
            (1..rows).for_each(|row| table.rows[row].second_base = Some(RowBase::Row(row - 1)));
        }),
    ];
    for (what, lie) in lies {
        let (world, _) = outdated();
        world.publisher.forge_updates("core", |table, _| lie(table));
        let run = world.user.ok(&["update"]);
        assert_eq!(run["applied"][0]["to"], version(2), "{what}: {run}");
        world.user.has("core", &release(2));
    }
}

#[test]
fn a_client_many_releases_behind_applies_several_deltas_from_one_object() {
    let world = World::honest();
    world.publisher.release("core", &version(1), &growing_release(1)).updates(1).sign();
    world.install("core");
    for build in 2..=3 {
        world.publisher.release("core", &version(build), &growing_release(build)).updates(2).sign();
    }
    let published = world.publisher.release("core", &version(4), &growing_release(4)).updates(4).sign();
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &growing_release(4));
    assert_eq!(objects_of(world.server.take_paths()), [published.update_from(1)]);
    assert_eq!(last_update(&world.user).1, 0);
}

#[test]
fn two_chains_with_a_row_in_common_do_not_disturb_each_other() {
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
    world.publisher.release("core", "1.0.0", &trees[0]).sign();
    world.install("core");
    world.publisher.release("core", "2.0.0", &trees[1]).sign();
    let published = world.publisher.release("core", "3.0.0", &trees[2]).sign();
    world.server.take_paths();
    world.server.follow(|request| {
        if is_update(&request.path) { Reply::Slowly(50, Duration::from_millis(5)) } else { Reply::Site }
    });
    world.user.ok(&["update"]);
    world.user.has("core", &trees[2]);
    assert_eq!(objects_of(world.server.take_paths()), [published.update_from(1)]);
    assert_eq!(last_update(&world.user).1, 0);
}

/// A download that is cut off continues at the byte where it ended.
#[test]
fn an_interrupted_update_object_is_resumed() {
    let world = World::honest();
    world.publish(&version(1), &growing_release(1));
    world.install("core");
    let published = world.publish(&version(2), &growing_release(2));
    let update = published.update_from(1);
    let size = published.manifest.meta.updates[0].object.object.size;
    let half = (size / 2) as usize;
    let path = update.clone();
    world.server.follow(move |request| match request.path == path {
        true => Reply::CutAfter(half),
        false if request.path.contains("/objects/") => Reply::status(503),
        false => Reply::Site,
    });
    world.user.json(20, &["--retries", "0", "update"]);
    world.server.be_honest();
    world.server.take_requests();
    world.user.ok(&["update"]);
    world.user.has("core", &growing_release(2));
    let requests = world.server.take_requests();
    let resumed: Vec<_> = requests.iter().filter(|request| request.path == update).collect();
    assert_eq!(resumed.len(), 1);
    assert!(resumed[0].first_byte() >= half as u64, "from byte {}", resumed[0].first_byte());
}

#[test]
fn update_objects_can_be_turned_off_for_one_release() {
    let world = World::honest();
    world.publish(&version(1), &release(1));
    world.install("core");
    let published = world.publisher.release("core", &version(2), &release(2)).updates(0).sign();
    assert!(published.manifest.meta.updates.is_empty());
    world.server.take_paths();
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
    assert!(!objects_of(world.server.take_paths()).iter().any(|path| is_update(path)));
    assert_eq!(last_update(&world.user).1, 0);
}

#[test]
fn an_update_object_comes_from_the_mirror_that_has_it() {
    let mut publisher = Publisher::new();
    let first = Scripted::serve(&publisher.site(), |_| Reply::Site);
    let second = Scripted::serve(&publisher.site(), |_| Reply::Site);
    publisher.serve_at([first.url(), second.url()]);
    let user = User::trusting(&publisher);
    publisher.release("core", &version(1), &release(1)).sign();
    user.ok(&["install", "core", "--from", &format!("{}core/manifest.xml", first.url())]);
    let published = publisher.release("core", &version(2), &release(2)).sign();
    second.take_paths();
    first.follow(|request| if is_update(&request.path) { Reply::status(404) } else { Reply::Site });
    user.ok(&["update"]);
    user.has("core", &release(2));
    assert_eq!(objects_of(second.take_paths()), [published.update_from(1)]);
    assert_eq!((last_update(&user).0.as_str(), last_update(&user).1), ("partial", 0));
}

#[test]
fn repair_uses_a_delta_where_an_old_file_came_back() {
    let (world, published) = outdated();
    world.user.ok(&["update"]);
    world.user.ok(&["confirm"]);
    fs::write(world.user.component("core").join("bin/app"), program(1)).unwrap();
    world.server.take_paths();
    world.user.ok(&["repair", "core"]);
    world.user.has("core", &release(2));
    let requests = objects_of(world.server.take_paths());
    let update = published.update_from(1);
    assert!(requests.iter().all(|path| *path == update), "the table and a row: {requests:?}");
}
