//! `patcher doctor`: each cause that prevents updates is found, with its code.

use crate::support::left_out;
use crate::support::scripted::Reply;
use crate::support::world::World;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// Returns the findings about one subject: the verdict and the code of each.
fn about(found: &Value, subject: &str) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let findings = found["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|finding| finding["subject"] == subject);
    findings.map(|finding| (text(&finding["verdict"]).unwrap(), text(&finding["code"]))).collect()
}

#[track_caller]
fn assert_about(found: &Value, subject: &str, verdict: &str, code: Option<&str>) {
    let expected = [(verdict.to_owned(), code.map(str::to_owned))];
    assert_eq!(about(found, subject), expected, "{subject}: {found:#}");
}

#[test]
fn a_healthy_machine_has_no_problem_and_is_not_changed() {
    let (world, _, one, _) = World::outdated();
    let found = world.user.ok(&["doctor"]);
    for subject in
        ["installation", "policy", "rights", "file-system", "space", "state-folder", "processes", "swap", "pause"]
    {
        assert_about(&found, subject, "good", None);
    }
    for subject in ["proxy", "server", "release"] {
        assert_about(&found, subject, "good", None);
    }
    assert!(found.to_string().contains("core 2.0.0 is available"), "{found:#}");
    world.user.has("core", &one);
    assert_eq!(world.user.ok(&["status"])["staged"], serde_json::json!([]));
}

#[test]
fn each_problem_is_found_with_its_code() {
    let (world, ..) = World::outdated();
    world.user.ok(&["pause"]);
    assert_about(&world.user.ok(&["doctor"]), "pause", "notice", None);
    world.user.ok(&["resume"]);

    world.server.follow(|_| Reply::status(503));
    let found = world.user.json(12, &["--retries", "0", "doctor"]);
    assert_about(&found, "server", "problem", Some("http-status"));
    assert_about(&found, "release", "problem", Some("http-status"));
    world.server.be_honest();

    let found = world.user.json(12, &["--helper", "/nowhere/patcher-helper", "doctor"]);
    assert_about(&found, "helper", "problem", Some("helper-missing"));

    fs::set_permissions(world.user.root().join(".patcher"), fs::Permissions::from_mode(0o777)).unwrap();
    let found = world.user.json(12, &["doctor"]);
    assert_about(&found, "state-folder", "problem", Some("writable-by-others"));
    fs::set_permissions(world.user.root().join(".patcher"), fs::Permissions::from_mode(0o700)).unwrap();

    let manifest = world.user.component("core").join("manifest.xml");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap().replace("1.0.0", "1.0.1")).unwrap();
    let found = world.user.json(12, &["doctor"]);
    assert_about(&found, "installation", "problem", Some("installed-manifest"));
    fs::remove_dir_all(world.user.root()).unwrap();
    let found = world.user.json(12, &["doctor"]);
    assert_about(&found, "installation", "problem", Some("nothing-installed"));
    assert!(!world.user.root().exists(), "nothing is created");
}

#[test]
fn rights_are_examined_in_every_folder() {
    if rustix::process::geteuid().is_root() {
        return left_out::report("rights: root may change every folder");
    }
    let (world, ..) = World::outdated();
    fs::set_permissions(world.user.component("core"), fs::Permissions::from_mode(0o555)).unwrap();
    let found = world.user.json(12, &["doctor"]);
    fs::set_permissions(world.user.component("core"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_about(&found, "rights", "problem", Some("not-writable"));
}
