//! The command line as other programs use it: exit codes, JSON, and messages for people.

use crate::support::programs;
use crate::support::run::Run;
use crate::support::tree::Tree;
use crate::support::world::World;
use serde_json::json;
use std::process::Command;

#[test]
fn usage_errors_end_with_2() {
    let world = World::honest();
    world.publish("1.0.0", &Tree::from_seed(1));
    world.install("core");
    let wrong: [&[&str]; 13] = [
        &["frobnicate"],
        &["--frobnicate", "check"],
        &["install"],
        &["install", "core"],
        &["remove"],
        &["apply", "--wait-pid", "soon"],
        &["confirm", "--version", "new"],
        &["skip", "core", "new"],
        &["check", "No Name"],
        &["check", "../core"],
        &["--connect-timeout", "0", "check"],
        &["--channel", "No Channel", "check"],
        &["--component", "core", "check"],
    ];
    for arguments in wrong {
        let run = world.user.run(arguments).ends(2);
        assert!(!run.err.is_empty() && run.out.is_empty(), "{run:#?}");
    }
    Run::of(&mut Command::new(programs::patcher())).ends(2);
    // Before `--`, after which the words are those of another program.
    world.user.fails(2, "bad-setting", &["frobnicate"]);
    let run = world.user.run(&["frobnicate", "--", "--json"]).ends(2);
    assert!(run.out.is_empty(), "{run:#?}");
    let root = world.user.root();
    let patcher = |key: &[&str]| {
        Run::of(Command::new(programs::patcher()).arg("--root").arg(&root).args(key).args(["--json", "check"]))
    };
    patcher(&[]).fails(2, "no-key");
    let key = world.user.key().to_str().unwrap();
    patcher(&["--key", key, "--key", key]).fails(2, "bad-key");
    let private = world.publisher.public_key().with_file_name("release.key.pem");
    patcher(&["--key", private.to_str().unwrap()]).fails(2, "bad-key");
    world.user.fails(2, "bad-setting", &["install", "core", "--from", "ftp://127.0.0.1/"]);
    world.user.fails(2, "bad-setting", &["install", "core", "--from", "manifest.xml"]);
}

#[test]
fn help_and_version_exit_with_0() {
    for argument in ["--help", "--version", "help"] {
        let run = Run::of(Command::new(programs::patcher()).arg(argument)).ends(0);
        assert!(!run.out.is_empty() && run.err.is_empty());
    }
}

#[test]
fn the_help_of_a_command_has_its_own_options_first_and_two_examples() {
    let help = |arguments: &[&str]| Run::of(Command::new(programs::patcher()).args(arguments)).ends(0).out;
    let commands = help(&["--help"]);
    let commands = commands.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> =
        names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(names.contains(&"watch") && names.len() > 12, "{names:?}");
    for name in names {
        let text = help(&[name, "--help"]);
        let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{name}: no {word} in {text}"));
        let order = ["\nOptions:", "\nInstallation:", "\nTrust:", "\nNetwork:", "\nOutput:", "\nExamples:"].map(at);
        assert!(order.is_sorted(), "{name}: {text}");
        let examples: Vec<&str> = text[order[5]..].trim().lines().skip(1).collect();
        assert_eq!(examples.len(), 2, "{text}");
        for example in examples {
            let known: Vec<&str> = example.split(" -- ").next().unwrap().split_whitespace().skip(1).collect();
            assert!(known.contains(&name), "{example}");
            // `--help` succeeds only after known arguments.
            Run::of(Command::new(programs::patcher()).args(known).arg("--help")).ends(0);
        }
    }
}

#[test]
fn every_answer_in_json_has_its_fields() {
    let world = World::honest();
    let (one, two) = (Tree::default().file("a", b"one", 0o644), Tree::default().file("a", b"two", 0o644));
    let user = &world.user;
    let status = |components: serde_json::Value| {
        json!({
            "components": components, "staged": [], "swap": null, "rollback": [], "updates": [], "paused": null,
            "adoption": false, "damaged_files": [], "policy": null,
        })
    };
    assert_eq!(user.ok(&["status"]), status(json!([])));
    let published = world.publish("1.0.0", &one);
    let first = user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
    assert_eq!(
        first,
        json!({ "applied": [{ "component": "core", "from": null, "to": "1.0.0" }], "saved": [], "deferred": [] })
    );
    let installed = json!({
        "component": "core", "version": "1.0.0", "sequence": 1, "channel": "stable", "trusted": true,
    });
    assert_eq!(user.ok(&["status"]), status(json!([installed])));
    assert_eq!(user.ok(&["check"]), json!({ "updates": [], "deferred": [] }));
    assert_eq!(user.ok(&["update"]), json!({ "applied": [], "saved": [], "deferred": [] }));
    assert_eq!(user.ok(&["confirm"]), json!({ "confirmed": false }));
    assert_eq!(user.ok(&["recover"]), json!({ "recovery": "nothing" }));
    assert_eq!(user.ok(&["verify"]), json!({ "components": [{ "component": "core", "damaged": [] }] }));

    assert_eq!(published.manifest.files.len(), 1);
    let bytes = world.publish("2.0.0", &two).manifest.files[0].gz.unwrap().size;
    let update = json!({
        "component": "core", "from": "1.0.0", "to": "2.0.0", "files": 1, "bytes": bytes, "saved": [], "kept": [],
        "type": "complete", "critical": false, "stepping_stone_to": null, "notes": null,
    });
    assert_eq!(user.json(10, &["check"]), json!({ "updates": [update], "deferred": [] }));
    assert_eq!(user.ok(&["download"]), json!({ "staged": [update], "deferred": [] }));
    assert_eq!(user.ok(&["status"])["staged"], json!([{ "component": "core", "version": "2.0.0" }]));
    let swapped = |from: &str, to: &str| json!({ "applied": [{ "component": "core", "from": from, "to": to }], "saved": [], "deferred": [] });
    assert_eq!(user.ok(&["apply"]), swapped("1.0.0", "2.0.0"));
    assert_eq!(user.ok(&["download"]), json!({ "staged": [], "deferred": [] }));
    let status = user.ok(&["status"]);
    assert_eq!(status["swap"], "probation");
    assert_eq!(status["rollback"], json!([{ "component": "core", "from": "2.0.0", "to": "1.0.0" }]));
    assert_eq!(user.ok(&["rollback"]), swapped("2.0.0", "1.0.0"));
    let deferred = json!([{ "component": "core", "version": "2.0.0", "why": "rolled-back", "reason": "asked" }]);
    assert_eq!(user.json(25, &["check"]), json!({ "updates": [], "deferred": deferred }));
    user.fails(2, "nothing-to-roll-back", &["rollback"]);
    user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
    assert_eq!(user.ok(&["confirm"]), json!({ "confirmed": true }));

    std::fs::write(user.component("core").join("manifest.xml"), "").unwrap();
    let status = user.ok(&["status"]);
    assert_eq!(status["components"][0]["error"]["code"], "installed-manifest");
}

#[test]
fn people_get_one_line_per_result_or_error() {
    let world = World::honest();
    world.publish("1.0.0", &Tree::from_seed(1));
    world.install("core");
    world.publish("2.0.0", &Tree::from_seed(1).mutate(2));
    let check = world.user.run(&["check"]).ends(10);
    assert!(check.out.starts_with("core: 1.0.0 -> 2.0.0, ") && check.out.lines().count() == 1, "{check:#?}");
    world.user.run(&["update"]).ends(0);
    assert_eq!(world.user.run(&["check"]).ends(0).out, "up to date\n");
    assert_eq!(world.user.run(&["verify"]).ends(0).out, "core: complete\n");
    let failed = world.user.run(&["check", "other"]).ends(22);
    assert!(failed.out.is_empty() && failed.err.starts_with("patcher: other is not installed in "), "{failed:#?}");
    let lines: Vec<_> = failed.err.lines().collect();
    assert!(lines.len() == 2 && lines[1].starts_with("hint: install it with "), "{lines:?}");
}
