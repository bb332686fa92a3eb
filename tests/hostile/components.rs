//! Sets of components that do not fit together.

use super::publisher::{Release, first, sign};
use super::world::{HostileWorld, MANIFEST, code, outcome};
use crate::support::scripted::Reply;
use patcher::DeferralReason;
use patcher::internal::manifest::Requirement;
use std::fs;

#[test]
fn a_missing_required_component_is_refused() {
    for (component, range) in [
        ("unknown", "*"),
        ("core", ">=3"),
        ("core", "=0.1.0"),
        ("core", "<1"),
        ("core", "2.0.0-rc.1"),
        ("runtime", ">=0"),
    ] {
        let world = HostileWorld::new();
        // tuf: extraneous dependencies; a component set is the program's, never a manifest's
        let mut addon =
            Release::new("addon", "1.0.0", 1, &format!("{}addon/", world.server.url())).file("x", b"x", false);
        addon.manifest.meta.requires =
            vec![Requirement { component: component.parse().unwrap(), version: range.parse().unwrap() }];
        world.publish(&addon);
        let before = world.snapshot().tree;
        let url = format!("{}addon/manifest.xml", world.server.url());
        world.server.take_requests();
        let outcome = world.patcher().install("addon", &url).map(|_| ()).unwrap_err();
        assert_eq!(code(&outcome), "requires", "{component} {range}");
        assert_eq!(world.server.take_paths(), ["/addon/manifest.xml"]);
        assert_eq!(before.differences(&world.snapshot().tree), "");
        assert_eq!(world.update(), "updated to 2.0.0");
    }
}

#[test]
fn releases_that_do_not_fit_together_are_not_mixed() {
    let world = HostileWorld::new();
    let url = format!("{}addon/", world.server.url());
    let addon = |version: &str, sequence, range: &str| {
        let mut addon = Release::new("addon", version, sequence, &url).file("x", version.as_bytes(), false);
        addon.manifest.meta.requires =
            vec![Requirement { component: "core".parse().unwrap(), version: range.parse().unwrap() }];
        addon
    };
    world.publish(&addon("1.0.0", 1, "^1"));
    world.install("addon");
    let before = world.snapshot().tree;
    let refused = |components: &[&str], expected: &str| {
        let outcome = outcome(world.patcher().check(components).map(|check| match &check.deferred[..] {
            [deferred] if check.updates.is_empty() && matches!(deferred.reason, DeferralReason::Requires(_)) => {
                "requires".to_owned()
            }
            _ => "all".to_owned(),
        }));
        assert_eq!(outcome, expected, "{components:?}");
        assert_eq!(before.differences(&world.snapshot().tree), "");
    };
    // The new core without the add-on that requires it.
    refused(&["core"], "requires");
    refused(&["core", "addon"], "requires");
    // The new add-on without the core that it requires: the server offers an old core.
    world.publish(&addon("2.0.0", 2, "^2"));
    refused(&["addon"], "requires");
    world.server.lie(MANIFEST, Reply::Bytes(sign(world.old.body(), &[first()])));
    refused(&["addon", "core"], "rollback");
    world.server.lie(MANIFEST, Reply::status(404));
    refused(&["addon", "core"], "http-status");
    // One component's manifest at the other's address.
    world.server.lie(MANIFEST, Reply::Bytes(world.server.file("/addon/manifest.xml")));
    refused(&["core", "addon"], "wrong-component");
    world.server.be_honest();
    let updates = world.patcher().check(&["core", "addon"]).unwrap().updates;
    patcher::Update::download_all(updates, |_| {}).unwrap().apply().unwrap();
    assert_eq!(fs::read(world.root().join("addon/x")).unwrap(), b"2.0.0");
}

/// tuf: `test_unusual_role_name`.
#[test]
fn a_components_name_is_checked_before_any_request() {
    let world = HostileWorld::new();
    let url = format!("{}core/manifest.xml", world.server.url());
    let before = world.snapshot();
    for name in [
        "?",
        "#",
        "/x",
        "../core",
        "",
        ".",
        "..",
        "core/",
        "CORE",
        "nul",
        "core\0",
        "core manifest",
        ".patcher",
        "%2e%2e",
    ] {
        assert_eq!(code(&world.patcher().check_component(name).unwrap_err()), "bad-setting", "{name:?}");
        assert_eq!(code(&world.patcher().install(name, &url).unwrap_err()), "bad-setting", "{name:?}");
        assert_eq!(code(&world.patcher().verify(name).unwrap_err()), "bad-setting", "{name:?}");
        assert_eq!(code(&world.patcher().remove(name).unwrap_err()), "bad-setting", "{name:?}");
    }
    for url in ["", "core", "ftp://127.0.0.1/x", "javascript:x", "data:,x"] {
        assert_eq!(code(&world.patcher().install("core", url).unwrap_err()), "bad-setting", "{url:?}");
    }
    assert!(world.server.take_requests().is_empty());
    assert_eq!(before.differences(&world.snapshot()), "");
    let outcome = world.patcher().install("addon", &url).map(|_| ()).unwrap_err();
    assert_eq!(code(&outcome), "wrong-component");
    assert!(!world.root().join("addon").exists());
}
