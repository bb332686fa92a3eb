//! An update keeps the user's files and heals the release's files.

use crate::support::tree::{Entry, Tree};
use crate::support::world::World;
use serde_json::json;

fn simple() -> Tree {
    Tree::default().file("bin/app", b"app 1", 0o755).file("share/data", b"data 1", 0o644)
}

#[test]
fn files_that_no_release_lists_are_never_touched() {
    let world = World::honest();
    let one = simple().file("old/dropped", b"dropped", 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    let own = Tree::default()
        .file("own/notes", b"mine", 0o600)
        .file("share/mine", b"mine", 0o640)
        .file("old/mine", b"mine", 0o755)
        .link("to elsewhere", "/nowhere");
    own.write_into(&world.user.component("core"));
    let two = simple().file("share/data", b"data 2", 0o644);
    world.publish("2.0.0", &two);
    world.user.ok(&["update"]);
    let mut all = two.clone();
    all.0.extend(own.0.clone());
    all.assert_is(&world.user.tree("core"));

    let removed = world.user.ok(&["remove", "core"]);
    assert_eq!(removed, json!({ "removed": "core", "kept": [] }));
    own.assert_is(&world.user.tree("core"));
}

#[test]
fn verify_reports_a_changed_file_and_the_next_update_heals_it() {
    let world = World::honest();
    let one = simple().file("same", b"same", 0o644).file("gone", b"gone", 0o644).file("mode", b"mode", 0o755);
    world.publish("1.0.0", &one.clone().link("link", "same"));
    world.install("core");
    let dir = world.user.component("core");
    std::fs::remove_file(dir.join("gone")).unwrap();
    std::fs::remove_file(dir.join("link")).unwrap();
    Tree::default().file("same", b"else", 0o644).file("mode", b"mode", 0o644).link("link", "mode").write_into(&dir);
    let found = world.user.json(11, &["verify"]);
    let damaged = json!([
        { "path": "gone", "kind": "missing" },
        { "path": "link", "kind": "changed" },
        { "path": "mode", "kind": "mode" },
        { "path": "same", "kind": "changed" },
    ]);
    assert_eq!(found, json!({ "components": [{ "component": "core", "damaged": damaged }] }));

    let two = one.clone().file("new", b"new", 0o644).link("link", "same");
    world.publish("1.1.0", &two);
    world.user.ok(&["update"]);
    world.user.has("core", &two);
}

#[test]
fn a_users_file_at_a_new_path_is_saved_beside_it() {
    let world = World::honest();
    world.publish("1.0.0", &simple());
    world.install("core");
    let own = Tree::default().file("new", b"mine", 0o600).file("new folder", b"mine too", 0o644).link("new link", "x");
    let own = own.file("new.saved", b"mine of old", 0o644);
    own.write_into(&world.user.component("core"));
    let brought = simple().file("new", b"new", 0o644).file("new folder/new", b"new", 0o644).link("new link", "new");
    world.publish("2.0.0", &brought);
    let found = world.user.json(10, &["check"]);
    let saved = json!([
        { "component": "core", "path": "new", "saved_as": "new.saved-2" },
        { "component": "core", "path": "new folder", "saved_as": "new folder.saved" },
        { "component": "core", "path": "new link", "saved_as": "new link.saved" },
    ]);
    assert_eq!(found["updates"][0]["saved"], saved);
    world.user.ok(&["update"]);
    let all = brought.file("new.saved-2", b"mine", 0o600).file("new folder.saved", b"mine too", 0o644);
    let all = all.link("new link.saved", "x").file("new.saved", b"mine of old", 0o644);
    all.assert_is(&world.user.tree("core"));
}

#[test]
fn a_write_to_a_saved_file_does_not_bar_the_rollback() {
    let world = World::honest();
    world.publish("1.0.0", &simple());
    world.install("core");
    let dir = world.user.component("core");
    Tree::default().file("new", b"mine", 0o600).write_into(&dir);
    world.publish("2.0.0", &simple().file("new", b"new", 0o644));
    world.user.ok(&["download"]);
    world.user.ok(&["apply"]);
    std::fs::write(dir.join("new.saved"), "mine, edited").unwrap();
    world.user.ok(&["rollback"]);
    let all = simple().file("new", b"mine", 0o600).file("new.saved", b"mine, edited", 0o600);
    all.assert_is(&world.user.tree("core"));
}

#[test]
fn a_file_that_the_user_changed_stays_when_a_release_drops_it() {
    let world = World::honest();
    world.publish("1.0.0", &simple().file("config", b"default", 0o644).file("other", b"other", 0o644));
    world.install("core");
    let changed = Tree::default().file("config", b"tuned", 0o644);
    changed.write_into(&world.user.component("core"));
    world.publish("2.0.0", &simple());
    assert_eq!(world.user.ok(&["download"])["staged"][0]["kept"], json!(["config"]));
    world.user.ok(&["apply"]);
    simple().file("config", b"tuned", 0o644).assert_is(&world.user.tree("core"));
}

#[test]
fn a_preserved_file_is_installed_when_missing_and_otherwise_left_alone() {
    let world = World::honest();
    let publish = |version, text: &[u8]| {
        let tree = simple().file("config.ini", text, 0o644);
        world.publisher.release("core", version, &tree).preserve("config.ini").sign();
        tree
    };
    let one = publish("1.0.0", b"one");
    world.install("core");
    world.user.has("core", &one);
    let config = world.user.component("core").join("config.ini");
    std::fs::write(&config, "tuned").unwrap();
    world.user.ok(&["verify"]);
    let two = publish("2.0.0", b"two");
    world.user.ok(&["update"]);
    two.file("config.ini", b"tuned", 0o644).assert_is(&world.user.tree("core"));
    std::fs::remove_file(&config).unwrap();
    world.user.json(11, &["verify"]);
    let three = publish("3.0.0", b"three");
    world.user.ok(&["update"]);
    world.user.has("core", &three);
}

#[test]
fn remove_deletes_the_releases_files_and_keeps_changed_ones() {
    let world = World::honest();
    world.publish("1.0.0", &Tree::from_seed(1).file("a/b/config", b"default", 0o644));
    world.install("core");
    let changed = Tree::default().file("a/b/config", b"tuned", 0o600);
    changed.write_into(&world.user.component("core"));
    assert_eq!(world.user.ok(&["remove", "core"]), json!({ "removed": "core", "kept": ["a/b/config"] }));
    changed.assert_is(&world.user.tree("core"));
    world.user.fails(22, "not-installed", &["verify", "core"]);

    world.publish("2.0.0", &simple());
    world.install("core");
    std::fs::remove_dir_all(world.user.component("core").join("a")).unwrap();
    world.user.ok(&["remove", "core"]);
    assert!(!world.user.component("core").exists());
}

#[test]
fn a_hard_link_to_an_installed_file_keeps_its_bytes_and_mode() {
    let world = World::honest();
    world.publish("1.0.0", &simple());
    world.install("core");
    let (installed, other) = (world.user.component("core").join("bin/app"), world.user.path("other name"));
    std::fs::hard_link(&installed, &other).unwrap();
    let two = simple().file("bin/app", b"app 1", 0o644).file("share/data", b"data 2", 0o644);
    world.publish("2.0.0", &two);
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    let kept = Tree::read(other.parent().unwrap());
    assert_eq!(kept.0["other name"], Entry::File { bytes: b"app 1".to_vec(), mode: 0o755 });
}
