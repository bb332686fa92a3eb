//! The flat layout: an installation, updates, repairs and fallbacks without folders and `.gz`.

use crate::support::publisher::Published;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::{Tree, noise};
use crate::support::world::World;
use std::fs;

/// Returns the release number `number`. Two files change with each.
fn release(number: u64) -> Tree {
    let text = format!("release {number}\n").repeat(2000);
    let file = |seed: u64| [&noise(seed, 100_000)[..], text.as_bytes()].concat();
    Tree::from_seed(1).file("bin/tool", &file(7), 0o755).file("share/other", &file(8), 0o644)
}

/// Returns a release of two blocks: a small file in the first, and most of the bytes in the second.
fn two_blocks() -> Tree {
    Tree::default().file("first.a", &noise(1, 50_000), 0o644).file("second.b", &vec![0; 17_000_000], 0o644).file(
        "third.c",
        &noise(3, 200_000),
        0o644,
    )
}

fn publish(world: &World<Scripted>, number: u64) -> Published {
    world.publisher.release("core", &format!("{number}.0.0"), &release(number)).flat().sign()
}

/// Creates a world with release 1 installed from a flat site.
fn world() -> (World<Scripted>, Published) {
    let world = World::honest();
    let published = publish(&world, 1);
    let url = format!("{}core.manifest.xml", world.server.url());
    world.user.ok(&["install", "core", "--from", &url]);
    world.user.has("core", &release(1));
    (world, published)
}

fn install(published: &Published) -> String {
    format!("/core-{}.install", published.manifest.meta.install.unwrap().object.sha256)
}

fn update(published: &Published) -> String {
    format!("/core-{}.update", published.manifest.meta.updates[0].object.object.sha256)
}

#[test]
fn an_installation_takes_two_requests_and_an_update_three() {
    let (world, one) = world();
    assert_eq!(world.server.take_paths(), ["/core.manifest.xml".to_owned(), install(&one)]);
    let two = publish(&world, 2);
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
    let expected = ["/core.latest.xml".to_owned(), "/core-2-from-1.delta".to_owned(), update(&two)];
    assert_eq!(world.server.take_paths(), expected);
    world.user.ok(&["check"]);
    assert_eq!(world.server.take_paths(), ["/core.latest.xml"]);
}

#[test]
fn a_client_finds_the_manifest_in_a_flat_folder() {
    let world = World::honest();
    publish(&world, 1);
    world.user.ok(&["install", "core", "--from", &world.server.url()]);
    world.user.has("core", &release(1));
    let url = format!("file://{}/", world.publisher.site().display());
    publish(&world, 2);
    world.server.take_paths();
    world.user.ok(&["--site", &url, "update"]);
    world.user.has("core", &release(2));
    assert!(world.server.take_paths().is_empty(), "a copy of the site in a folder serves the update");
}

/// A repair fetches the table and the blocks with what is damaged, and not the whole object.
#[test]
fn a_damaged_file_comes_from_its_blocks() {
    let world = World::honest();
    let one = world.publisher.release("core", "1.0.0", &two_blocks()).flat().sign();
    world.user.ok(&["install", "core", "--from", &format!("{}core.manifest.xml", world.server.url())]);
    fs::write(world.user.component("core").join("first.a"), "damaged").unwrap();
    world.server.take_requests();
    world.server.take_sent();
    world.user.ok(&["repair", "core"]);
    world.user.has("core", &two_blocks());
    let requests = world.server.take_requests();
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, [install(&one), install(&one)], "the table and one range");
    assert!(requests.iter().all(|request| request.header("range").is_some()));
    let (sent, size) = (world.server.take_sent(), one.manifest.meta.install.unwrap().object.size);
    assert!(sent < size / 2, "{sent} of {size}");
}

/// A damaged file and a new release together: the update object and blocks of the install object.
#[test]
fn an_update_makes_good_a_damaged_file_as_well() {
    let (world, _) = world();
    fs::write(world.user.component("core").join("share/other"), "damaged").unwrap();
    publish(&world, 2);
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
}

/// Whatever is wrong with the update object, the install object makes good in the same run.
#[test]
fn an_update_object_that_fails_is_replaced_by_blocks() {
    let lies: [fn(&[u8]) -> Reply; 4] = [
        |_| Reply::status(404),
        |good| Reply::Bytes(good[..good.len() / 2].to_vec()),
        |good| Reply::Bytes(good.iter().map(|byte| byte ^ 1).collect()),
        |_| Reply::Bytes(Vec::new()),
    ];
    for lie in lies {
        let (world, _) = world();
        let two = publish(&world, 2);
        let path = update(&two);
        world.server.lie(&path, lie(&world.server.file(&path)));
        world.user.ok(&["--retries", "0", "update"]);
        world.user.has("core", &release(2));
    }
}

/// A server without ranges, and one whose ranges are wrong: the whole object is verified.
#[test]
fn wrong_ranges_lead_to_the_whole_install_object() {
    for is_wrong in [false, true] {
        let (world, one) = world();
        let (path, good) = (install(&one), world.server.file(&install(&one)));
        fs::write(world.user.component("core").join("bin/tool"), "damaged").unwrap();
        world.server.follow(move |request| match (request.path == path, request.header("range").is_some()) {
            (true, true) if is_wrong => Reply::Bytes(good.iter().map(|byte| byte ^ 1).collect()),
            (true, _) => Reply::Bytes(good.clone()),
            _ => Reply::Site,
        });
        world.user.ok(&["--retries", "0", "repair", "core"]);
        world.user.has("core", &release(1));
    }
}

#[test]
fn an_install_object_that_is_missing_everywhere_is_an_error() {
    let (world, one) = world();
    fs::write(world.user.component("core").join("bin/tool"), "damaged").unwrap();
    world.server.lie(&install(&one), Reply::status(404));
    world.user.fails(20, "http-status", &["--retries", "0", "repair", "core"]);
    world.server.lie(&install(&one), Reply::Bytes(b"forged".to_vec()));
    world.user.fails(21, "object-size", &["--retries", "0", "repair", "core"]);
    world.server.be_honest();
    world.user.ok(&["repair", "core"]);
    world.user.has("core", &release(1));
}
