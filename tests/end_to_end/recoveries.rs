//! Recoveries after events between two commands: other settings, other installers, lost state.

use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::{Serving, World};
use serde_json::json;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

fn tree(text: &str) -> Tree {
    let tree = Tree::default().file("app", format!("app {text}").as_bytes(), 0o755);
    tree.file("data", format!("data {text}").as_bytes(), 0o644).file("same", b"same", 0o644)
}

fn publish<S: Serving>(world: &World<S>, version: &str, text: &str) {
    for component in ["core", "addon"] {
        world.publisher.release(component, version, &tree(text)).sign();
    }
}

/// Installs version 1 of two components, and puts version 2 of both on probation.
fn on_probation(elsewhere: bool) -> World<Scripted> {
    let mut world = World::honest();
    if elsewhere {
        let dir = world.user.path("elsewhere/addon");
        world.user.elsewhere.insert("addon".to_owned(), dir);
    }
    publish(&world, "1.0.0", "1");
    world.install("core");
    world.install("addon");
    publish(&world, "2.0.0", "2");
    world.user.ok(&["download"]);
    world.user.ok(&["apply"]);
    assert_eq!(world.user.ok(&["status"])["swap"], "probation");
    world
}

/// Makes the journal say that the swap was interrupted.
fn interrupt(user: &User) {
    let journal = fs::read_to_string(user.state("journal")).unwrap();
    fs::write(user.state("journal"), journal.replace("COMMITTED", "APPLYING")).unwrap();
}

/// Puts version 3 of the addon over the installed one, as its own installer does.
fn install_addon_3(world: &World<Scripted>) {
    world.publisher.release("addon", "3.0.0", &tree("3")).sign();
    let other = User::trusting(&world.publisher);
    other.ok(&["install", "addon", "--from", &world.publisher.site().join("addon").display().to_string()]);
    let addon = world.user.component("addon");
    fs::remove_dir_all(&addon).unwrap();
    fs::rename(other.component("addon"), addon).unwrap();
}

#[test]
fn a_rollback_without_the_folder_of_a_component_is_refused() {
    let mut world = on_probation(true);
    let elsewhere = std::mem::take(&mut world.user.elsewhere);
    world.user.fails(22, "other-tree", &["rollback"]);
    interrupt(&world.user);
    world.user.fails(22, "undo-failed", &["recover"]);
    assert!(!world.user.root().join("addon").exists());
    world.user.elsewhere = elsewhere;
    world.user.ok(&["recover"]);
    world.user.has("core", &tree("1"));
    world.user.has("addon", &tree("1"));
}

#[test]
fn a_newer_release_of_one_component_does_not_end_the_recovery_of_the_others() {
    let world = on_probation(false);
    interrupt(&world.user);
    install_addon_3(&world);
    world.user.ok(&["recover"]);
    world.user.has("core", &tree("1"));
    world.user.has("addon", &tree("3"));
}

#[test]
fn a_newer_release_that_the_user_has_changed_bars_no_recovery() {
    let world = on_probation(false);
    interrupt(&world.user);
    install_addon_3(&world);
    let addon = world.user.component("addon");
    fs::write(addon.join("data"), "tuned").unwrap();
    fs::remove_file(addon.join("same")).unwrap();
    world.user.ok(&["recover"]);
    world.user.has("core", &tree("1"));
    world.user.json(11, &["verify", "addon"]);
    world.user.ok(&["repair", "addon"]);
    world.user.has("addon", &tree("3"));
}

#[test]
fn a_repair_sets_a_journal_without_its_plan_aside() {
    let world = on_probation(false);
    for round in [1, 2] {
        fs::remove_file(world.user.state("txn/plan.xml")).unwrap();
        world.user.fails(22, "journal-unreadable", &["recover"]);
        world.user.ok(&["repair"]);
        world.user.has("core", &tree("2"));
        let damaged = &world.user.ok(&["status"])["damaged_files"];
        assert_eq!(damaged.as_array().unwrap().len(), 2 * round, "{damaged}");
        let version = format!("{}.0.0", round + 2);
        publish(&world, &version, "2");
        world.user.ok(&["download"]);
        world.user.ok(&["apply"]);
    }
}

/// Opens a file of version 1 that version 2 drops, and writes to it during the probation.
fn written(world: &World<Scripted>, path: &Path) {
    let mut file = File::options().append(true).open(path).unwrap();
    world.publish("2.0.0", &tree("2"));
    world.user.ok(&["download"]);
    world.user.ok(&["apply"]);
    file.write_all(b", and the user's words").unwrap();
}

#[test]
fn a_rollback_saves_a_written_backup_whose_path_is_old_again() {
    let world = World::honest();
    let one = tree("1").file("dropped", b"dropped", 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    let path = world.user.component("core").join("dropped");
    written(&world, &path);
    fs::write(&path, "dropped").unwrap();
    let saved = json!([{ "component": "core", "path": "dropped", "saved_as": "dropped.saved" }]);
    assert_eq!(world.user.ok(&["rollback"])["saved"], saved);
    let all = one.file("dropped.saved", b"dropped, and the user's words", 0o644);
    all.assert_is(&world.user.tree("core"));
}

#[test]
fn a_failed_installation_blocks_no_other_component() {
    let mut world = World::honest();
    world.user.options = ["--retries", "0"].map(Into::into).to_vec();
    world.publish("1.0.0", &tree("1"));
    world.install("core");
    world.publisher.release("addon", "1.0.0", &Tree::from_seed(1)).sign();
    let addon = world.user.component("addon");
    fs::create_dir(&addon).unwrap();
    fs::write(addon.join("notes"), "mine").unwrap();
    let objects = world.publisher.site().join("addon/objects");
    let hidden = world.publisher.site().join("hidden");
    fs::rename(&objects, &hidden).unwrap();
    let from = world.publisher.site().join("addon").display().to_string();
    world.user.fails(20, "http-status", &["install", "addon", "--from", &from]);
    world.user.ok(&["check"]);
    world.user.ok(&["verify"]);
    world.user.ok(&["repair"]);
    fs::rename(&hidden, &objects).unwrap();
    world.user.ok(&["install", "addon", "--from", &from]);
    world.user.ok(&["check"]);
    // The component was seen complete, so its manifest is missed from now on.
    fs::remove_file(addon.join("manifest.xml")).unwrap();
    world.user.fails(22, "installed-manifest", &["check"]);
}
