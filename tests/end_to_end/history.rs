//! The record of updates, as `status` and `history` show it, from intact and damaged files.

use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use std::fs;

/// Adds an attribute to the first update of a state file.
fn add_attribute(user: &User, file: &str) {
    let path = user.state(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("<update "), "{text}");
    fs::write(&path, text.replacen("<update ", "<update later=\"&lt;1&gt;\" ", 1)).unwrap();
}

fn has_attribute(user: &User, file: &str) -> bool {
    fs::read_to_string(user.state(file)).unwrap().contains(" later=\"&lt;1&gt;\"")
}

#[test]
fn the_history_lists_updates_newest_first() {
    let (world, published, ..) = World::outdated();
    let user = &world.user;
    let bytes = user.json(10, &["check"])["updates"][0]["bytes"].clone();
    user.ok(&["download"]);
    let update = user.ok(&["status"])["updates"][0].clone();
    assert_eq!(
        (&update["state"], &update["from"], &update["to"]),
        (&"staged".into(), &"1.0.0".into(), &"2.0.0".into())
    );
    assert_eq!((&update["bytes"], &update["sequence"]), (&bytes, &published.manifest.meta.sequence.into()));
    user.ok(&["apply"]);
    let history = user.ok(&["history"])["updates"].clone();
    let results: Vec<_> = history.as_array().unwrap().iter().map(|past| (&past["to"], &past["result"])).collect();
    assert_eq!(results, [(&"2.0.0".into(), &"applied".into()), (&"1.0.0".into(), &"confirmed".into())]);
    let newest = &history[0];
    assert_eq!((&newest["from"], &newest["bytes"]), (&"1.0.0".into(), &bytes));
    for time in ["found", "staged", "installed"] {
        assert!(newest[time].as_str().is_some_and(|time| time.ends_with('Z')), "{time}: {newest}");
    }
    assert_eq!(user.ok(&["status"])["updates"].as_array().map(Vec::len), Some(0));
    user.ok(&["rollback"]);
    let newest = user.ok(&["history"])["updates"][0].clone();
    assert_eq!((&newest["result"], &newest["error"]), (&"rolled-back".into(), &"asked".into()));

    let table = user.run(&["history"]).ends(0).out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{table}");
    assert!(lines[1].contains("1.0.0 -> 2.0.0") && lines[1].contains("rolled-back"), "{table}");
    let status = user.run(&["status"]).ends(0).out;
    assert!(status.contains("core") && status.contains("1.0.0"), "{status}");
}

#[test]
fn attributes_of_later_versions_survive_in_state_files() {
    let (world, _, one, two) = World::outdated();
    let user = &world.user;
    user.ok(&["download"]);
    add_attribute(user, "active-update.xml");
    add_attribute(user, "updates.xml");
    // A download that finds everything staged, and a swap, write the file anew.
    user.ok(&["download"]);
    assert!(has_attribute(user, "active-update.xml"));
    user.ok(&["apply"]);
    assert!(has_attribute(user, "updates.xml"));
    user.has("core", &two);
    user.ok(&["rollback"]);
    assert!(has_attribute(user, "updates.xml"));
    user.has("core", &one);
}

#[test]
fn a_damaged_state_file_is_set_aside_and_reported() {
    let files =
        ["active-update.xml", "updates.xml", "choices.xml", "watch.xml", "starts.xml", "verdicts.xml", "seen.xml"];
    for damage in ["", "<", "<updates format=\"9\"/>", "\0\u{fffd}"] {
        let (world, _, _, two) = World::outdated();
        let user = &world.user;
        user.ok(&["download"]);
        files.iter().for_each(|file| fs::write(user.state(file), damage).unwrap());
        user.ok(&["history"]);
        user.ok(&["status"]);
        user.json(10, &["check"]);
        user.ok(&["update"]);
        user.has("core", &two);
        let told = user.ok(&["status"])["damaged_files"].clone();
        for file in ["active-update.xml", "updates.xml", "choices.xml", "verdicts.xml", "seen.xml"] {
            let kept = format!("{file}.damaged");
            assert!(told.as_array().unwrap().contains(&kept.as_str().into()), "{damage:?}: {file}: {told}");
            assert_eq!(fs::read_to_string(user.state(&kept)).unwrap(), damage);
        }
        let words = user.run(&["status"]).ends(0).out;
        assert!(words.contains("updates.xml.damaged"), "{words}");
    }
}

#[test]
fn fifty_updates_are_remembered() {
    let world = World::honest();
    world.publish("1.0.0", &Tree::default().file("app", b"1", 0o755));
    world.install("core");
    // The next updater records the result of the installation.
    world.user.ok(&["check"]);
    let path = world.user.state("updates.xml");
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|line| line.contains("<update ")).unwrap().to_owned() + "\n";
    fs::write(&path, text.replace(&line, &line.repeat(50))).unwrap();
    world.publish("2.0.0", &Tree::default().file("app", b"2", 0o755));
    world.user.ok(&["update"]);
    let history = world.user.ok(&["history"])["updates"].clone();
    assert_eq!(history.as_array().map(Vec::len), Some(50));
    assert_eq!(history[0]["to"], "2.0.0");
}
