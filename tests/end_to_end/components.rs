//! Several components in one install root.

use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use crate::watch::patcher;
use patcher::Update;
use serde_json::json;

fn tree(text: &str) -> Tree {
    Tree::default().file("content", text.as_bytes(), 0o644)
}

#[test]
fn a_required_component_must_be_installed_first() {
    let world = World::honest();
    world.publisher.release("core", "1.0.0", &tree("core")).requires("runtime", ">=1.2").sign();
    let install = ["install", "core", "--from", &world.manifest_url("core")];
    world.user.fails(21, "requires", &install);
    world.publisher.release("runtime", "1.1.0", &tree("runtime 1.1")).sign();
    world.install("runtime");
    world.user.fails(21, "requires", &install);
    assert!(!world.user.component("core").exists());
    assert!(!world.server.take_paths().iter().any(|path| path.contains("core/objects")));

    world.publisher.release("runtime", "1.2.0", &tree("runtime 1.2")).sign();
    world.user.ok(&["update"]);
    world.user.ok(&install);
    world.user.has("core", &tree("core"));
    world.user.fails(21, "requires", &["remove", "runtime"]);
    world.user.has("runtime", &tree("runtime 1.2"));
    world.user.ok(&["remove", "core"]);
    world.user.ok(&["remove", "runtime"]);
}

#[test]
fn components_that_need_each_other_are_updated_together_or_not_at_all() {
    let world = World::honest();
    let publish = |number: u32| {
        let (version, range) = (format!("{number}.0.0"), format!("^{number}"));
        world.publisher.release("core", &version, &tree(&format!("core {number}"))).requires("addon", &range).sign();
        world.publisher.release("addon", &version, &tree(&format!("addon {number}"))).sign();
    };
    world.publisher.release("addon", "1.0.0", &tree("addon 1")).sign();
    world.install("addon");
    publish(1);
    world.install("core");
    publish(2);
    for one in ["core", "addon"] {
        assert_eq!(world.user.json(0, &["check", one])["deferred"][0]["why"], "requires");
        assert_eq!(world.user.json(21, &["update", one])["deferred"][0]["why"], "requires");
    }
    world.user.has("core", &tree("core 1"));
    world.user.has("addon", &tree("addon 1"));

    let found = world.user.json(10, &["check"]);
    assert_eq!(found["updates"].as_array().map(Vec::len), Some(2));
    let applied = world.user.ok(&["update"]);
    let expected = ["addon", "core"].map(|name| json!({ "component": name, "from": "1.0.0", "to": "2.0.0" }));
    assert_eq!(applied["applied"], json!(expected));
    world.user.has("core", &tree("core 2"));
    world.user.has("addon", &tree("addon 2"));
}

/// Creates a world with version 1 of these components installed and version 2 of each published.
/// Version 2 of `core` requires version 2 of `addon`.
pub fn in_need(names: &[&str]) -> World<Scripted> {
    let world = World::honest();
    for name in names {
        world.publisher.release(name, "1.0.0", &tree(&format!("{name} 1"))).sign();
        world.install(name);
    }
    for name in names {
        let tree = tree(&format!("{name} 2"));
        let release = world.publisher.release(name, "2.0.0", &tree);
        if *name == "core" { release.requires("addon", "^2") } else { release }.sign();
    }
    world.server.take_paths();
    world
}

#[test]
fn a_program_may_leave_out_an_update_that_no_other_requires() {
    let world = in_need(&["addon", "core", "other"]);
    let patcher = patcher(&world.user);
    let all_but = |left_out: &str| {
        let updates = patcher.check_all().unwrap().updates.into_iter();
        updates.filter(|update| update.component() != left_out).collect::<Vec<_>>()
    };
    let wanted = all_but("addon");
    assert_eq!(wanted.len(), 2);
    world.server.take_paths();
    assert_eq!(Update::download_all(wanted, |_| ()).unwrap_err().code(), "requires");
    assert!(world.server.take_paths().is_empty());
    let _ = Update::download_all(all_but("core"), |_| ()).unwrap().apply().unwrap();
    for (name, version) in [("addon", 2), ("core", 1), ("other", 2)] {
        world.user.has(name, &tree(&format!("{name} {version}")));
    }
}

#[test]
fn components_that_require_each_other_are_not_applied_in_part() {
    let world = in_need(&["addon", "core", "other"]);
    world.user.ok(&["download"]);
    world.user.ok(&["skip", "addon"]);
    world.user.fails(21, "requires", &["apply"]);
    for name in ["addon", "core", "other"] {
        world.user.has(name, &tree(&format!("{name} 1")));
    }
    // A skipped version blocks the components that require it, and no others.
    let updated = world.user.ok(&["update"]);
    assert_eq!(updated["applied"], json!([{ "component": "other", "from": "1.0.0", "to": "2.0.0" }]));
    let why: Vec<_> = updated["deferred"].as_array().unwrap().iter().map(|deferred| &deferred["why"]).collect();
    assert_eq!(why, ["skipped", "requires"]);
    assert_eq!(world.user.ok(&["update"])["applied"], json!([]));
}

#[test]
fn a_file_that_another_component_has_costs_no_object() {
    let world = World::honest();
    let shared = "the same library ".repeat(1000);
    world.publisher.release("one", "1.0.0", &tree(&shared)).sign();
    world.publisher.release("two", "1.0.0", &tree(&shared).file("own", b"own", 0o644)).sign();
    world.install("one");
    world.server.take_paths();
    world.install("two");
    let requests = world.server.take_paths();
    assert_eq!(requests.len(), 2, "{requests:?}");
    world.user.has("two", &tree(&shared).file("own", b"own", 0o644));
}

#[test]
fn a_command_without_components_means_all_of_them() {
    let world = World::honest();
    for name in ["one", "two", "three"] {
        world.publisher.release(name, "1.0.0", &tree(name)).sign();
        world.install(name);
        world.publisher.release(name, "2.0.0", &tree(&format!("{name} 2"))).sign();
    }
    world.user.ok(&["update", "two", "one"]);
    world.user.has("one", &tree("one 2"));
    world.user.has("two", &tree("two 2"));
    world.user.has("three", &tree("three"));
    world.user.ok(&["update"]);
    world.user.has("three", &tree("three 2"));
    world.user.fails(22, "not-installed", &["update", "four"]);
}
