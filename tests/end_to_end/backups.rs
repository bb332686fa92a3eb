//! A program writes to files of the version before, which are backups during a probation: a
//! rollback fetches the damaged ones again.

use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::fs::{self, File};
use std::io::Write as _;

fn tree(text: &str) -> Tree {
    let tree = Tree::default().file("app", format!("app {text}").as_bytes(), 0o755);
    tree.file("data", format!("data {text}").as_bytes(), 0o644).file("same", b"same", 0o644)
}

/// Puts version 2 on probation while a program writes to two open files of version 1.
fn damaged() -> World<Scripted> {
    let mut world = World::honest();
    world.user.options = ["--retries", "0"].map(Into::into).to_vec();
    world.publish("1.0.0", &tree("1"));
    world.install("core");
    world.publish("2.0.0", &tree("2"));
    world.user.ok(&["download"]);
    let open = |name| File::options().write(true).open(world.user.component("core").join(name)).unwrap();
    let files = ["data", "manifest.xml"].map(open);
    world.user.ok(&["apply"]);
    for mut file in files {
        file.write_all(b"mine").unwrap();
    }
    assert_eq!(world.user.ok(&["status"])["swap"], "probation");
    world.server.take_paths();
    world
}

/// Runs a command that finds no server.
#[track_caller]
fn fails_offline(world: &World<Scripted>, exit: i32, code: &str, command: &str) {
    let nowhere = world.user.path("nowhere").display().to_string();
    world.user.fails(exit, code, &["--site", &nowhere, command]);
}

fn returned() -> Tree {
    tree("1").file("data.saved", b"mine 1", 0o644)
}

#[test]
fn a_rollback_fetches_what_a_program_has_overwritten_and_keeps_its_bytes() {
    let world = damaged();
    fails_offline(&world, 22, "backup-damaged", "rollback");
    // The new version is complete and still on probation.
    world.user.has("core", &tree("2"));
    assert_eq!(world.user.ok(&["status"])["swap"], "probation");
    let done = world.user.ok(&["rollback"]);
    assert_eq!(done["saved"], serde_json::json!([{ "component": "core", "path": "data", "saved_as": "data.saved" }]));
    returned().assert_is(&world.user.tree("core"));
    world.user.ok(&["verify"]);
    let objects = world.server.take_paths();
    assert_eq!(objects.len(), 1, "{objects:?}");
}

#[test]
fn a_repair_makes_the_version_before_whole_and_the_probation_goes_on() {
    let world = damaged();
    fails_offline(&world, 20, "http-status", "repair");
    world.user.ok(&["repair"]);
    assert_eq!(world.user.ok(&["status"])["swap"], "probation");
    world.user.has("core", &tree("2").file("data.saved", b"mine 1", 0o644));
    let nowhere = world.user.path("nowhere").display().to_string();
    world.user.ok(&["--site", &nowhere, "rollback"]);
    returned().assert_is(&world.user.tree("core"));
}

#[test]
fn a_repair_does_not_end_a_probation() {
    let world = World::honest();
    world.publish("1.0.0", &tree("1"));
    world.install("core");
    world.publish("2.0.0", &tree("2"));
    world.user.ok(&["update"]);
    fs::remove_file(world.user.component("core").join("data")).unwrap();
    world.user.fails(2, "on-probation", &["repair"]);
    assert_eq!(world.user.ok(&["status"])["swap"], "probation");
    world.user.ok(&["confirm"]);
    world.user.ok(&["repair"]);
    world.user.has("core", &tree("2"));
}

#[test]
fn an_interrupted_swap_that_leads_nowhere_is_undone_with_a_network() {
    let world = damaged();
    let journal = fs::read_to_string(world.user.state("journal")).unwrap();
    fs::write(world.user.state("journal"), journal.replace("COMMITTED", "APPLYING")).unwrap();
    // Neither is the new version complete.
    fs::remove_file(world.user.component("core").join("app")).unwrap();
    fails_offline(&world, 22, "undo-failed", "recover");
    world.user.ok(&["recover"]);
    returned().assert_is(&world.user.tree("core"));
    world.user.ok(&["verify"]);
}
