//! Rollbacks on a machine where other programs change files too.

use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use fs2::FileExt;
use std::fs::{self, File};

/// Creates version 2, with one more file, on probation over version 1.
fn on_probation() -> (World<Scripted>, Tree, Tree) {
    let world = World::honest();
    let one = Tree::default().file("app", b"1", 0o755).file("same", b"same", 0o644);
    let two = one.clone().file("app", b"2", 0o755).file("settings.ini", b"default", 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    world.user.ok(&["update"]);
    (world, one, two)
}

#[test]
fn a_version_that_writes_its_settings_is_rolled_back_and_every_command_works_afterwards() {
    let (world, one, _) = on_probation();
    fs::write(world.user.component("core").join("settings.ini"), "tuned").unwrap();
    world.user.ok(&["rollback"]);
    one.file("settings.ini", b"tuned", 0o644).assert_is(&world.user.tree("core"));
    world.user.ok(&["recover"]);
    assert_eq!(world.user.ok(&["status"])["swap"], serde_json::Value::Null);
    world.user.ok(&["repair"]);
}

#[test]
fn a_download_by_another_process_blocks_no_confirm_and_no_apply() {
    let (world, ..) = on_probation();
    let lock = File::create(world.user.state("downloading")).unwrap();
    lock.lock_exclusive().unwrap();
    assert_eq!(world.user.ok(&["confirm"])["confirmed"], true);
    world.user.ok(&["recover"]);
    world.user.fails(23, "busy", &["check"]);
}

#[test]
fn another_updater_blocks_no_confirm() {
    let (world, _, two) = on_probation();
    let lock = File::create(world.user.state("lock")).unwrap();
    lock.lock_exclusive().unwrap();
    assert_eq!(world.user.ok(&["confirm"])["confirmed"], true);
    drop(lock);
    world.user.ok(&["check"]);
    assert!(!world.user.state("journal").exists() && !world.user.state("txn").exists());
    world.user.has("core", &two);
}

#[test]
fn a_copy_of_a_component_beside_it_and_foreign_names_stop_no_command() {
    use std::os::unix::ffi::OsStrExt as _;
    let (world, _, two) = on_probation();
    two.write_into(&world.user.root().join("core-backup"));
    let manifest = world.user.component("core").join("manifest.xml");
    fs::copy(manifest, world.user.root().join("core-backup/manifest.xml")).unwrap();
    fs::write(world.user.root().join(std::ffi::OsStr::from_bytes(b"Gr\xfc\xdfe")), "latin 1").unwrap();
    for command in ["check", "verify", "repair"] {
        world.user.ok(&[command]);
    }
}

#[test]
fn links_and_manifests_of_other_programs_beside_a_component_stop_no_command() {
    let (world, ..) = on_probation();
    let root = world.user.root();
    std::os::unix::fs::symlink("core", root.join("current")).unwrap();
    let foreign = Tree::default().file("addin/manifest.xml", b"<?xml version=\"1.0\"?>\n<OfficeApp/>\n", 0o644);
    foreign.link("linked/manifest.xml", "../core/manifest.xml").write_into(&root);
    fs::create_dir_all(root.join("folder/manifest.xml")).unwrap();
    for command in ["check", "verify", "repair"] {
        world.user.ok(&[command]);
    }
    let status = world.user.ok(&["status"]);
    assert_eq!(status["components"].as_array().map(Vec::len), Some(1), "{status:#}");
    // A component whose manifest is damaged is still one.
    fs::write(world.user.component("core").join("manifest.xml"), "damaged").unwrap();
    world.user.fails(22, "installed-manifest", &["check"]);
}

#[test]
fn an_install_root_that_was_moved_during_a_probation_is_rolled_back() {
    let (world, one, _) = on_probation();
    let (root, moved) = (world.user.root(), world.user.path("moved"));
    fs::rename(&root, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &root).unwrap();
    world.user.ok(&["rollback"]);
    world.user.has("core", &one);
}
