//! `repair` restores a damaged installation, and fetches only the wrong files.

use crate::support::publisher::Published;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// Creates an installation with a missing file, a changed file, a file with another mode, and a
/// file of the user.
fn damaged() -> (World<Scripted>, Published, Tree) {
    let world = World::honest();
    let tree = Tree::from_seed(1);
    let published = world.publish("1.0.0", &tree);
    world.install("core");
    let core = world.user.component("core");
    fs::remove_file(core.join("bin/app")).unwrap();
    fs::write(core.join("größe/naïve ßtraße.txt"), "something else").unwrap();
    fs::set_permissions(core.join("lib/libapp.so.1.0"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(core.join("mine"), "mine").unwrap();
    world.server.take_paths();
    (world, published, tree.file("mine", b"mine", 0o644))
}

#[test]
fn repair_fetches_only_wrong_files() {
    let (world, published, whole) = damaged();
    let user = &world.user;
    world.server.take_object_bytes();
    user.json(11, &["verify"]);
    user.ok(&["repair"]);
    user.has("core", &whole);
    let wrong = ["bin/app", "größe/naïve ßtraße.txt"];
    let asked: BTreeSet<String> = world.server.take_paths().into_iter().collect();
    assert_eq!(asked, wrong.iter().map(|path| published.object(path)).collect());
    let size = |path: &&str| {
        published.manifest.files.iter().find(|file| file.path.as_str() == *path).unwrap().gz.unwrap().size
    };
    assert_eq!(world.server.take_object_bytes(), wrong.iter().map(size).sum::<u64>());
    // The installation is intact and not on probation, so the next repair sends no request.
    assert_eq!(user.ok(&["repair"])["applied"].as_array().map(Vec::len), Some(0));
    assert_eq!(user.ok(&["confirm"])["confirmed"], false);
    assert!(world.server.take_paths().is_empty());
}

#[test]
fn a_folder_repairs_as_well_as_a_server() {
    let (mut world, _, whole) = damaged();
    drop(world.server);
    world.user.options = ["--retries", "0"].map(Into::into).to_vec();
    world.user.fails(20, "unreachable", &["repair"]);
    world.user.options.extend(["--site".into(), world.publisher.site().display().to_string()]);
    world.user.ok(&["repair"]);
    world.user.has("core", &whole);
}

#[test]
fn a_repair_ignores_a_newer_release() {
    let (world, _, whole) = damaged();
    world.publish("2.0.0", &Tree::from_seed(2));
    world.user.ok(&["repair"]);
    world.user.has("core", &whole);
    assert_eq!(world.user.json(10, &["check"])["updates"][0]["to"], "2.0.0");
}
