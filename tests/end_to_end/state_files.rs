//! Every state file, replaced by something that the updater did not write, meets the commands.
//!
//! Every file in every kind meets one of seven commands. With `STATE_FILES=all` it meets all seven,
//! which takes minutes.

use crate::support::left_out;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

fn tree(text: &str) -> Tree {
    Tree::default().file("app", text.as_bytes(), 0o755).file("data/x", text.as_bytes(), 0o644)
}

const COMMANDS: [&str; 7] = ["status", "check", "update", "repair", "recover", "rollback", "confirm"];

/// Files without which a command works as with them.
const DISPENSABLE: [&str; 14] = [
    "seen.xml",
    "sights.xml",
    "verdicts.xml",
    "starts.xml",
    "active-update.xml",
    "updates.xml",
    "choices.xml",
    "watch.xml",
    "waiting.xml",
    "outcomes",
    "helper.log",
    "output.log",
    "txn/journal.APPLYING",
    "txn/journal.CONFIRMED",
];
const LOCKS: [&str; 6] = ["lock", "downloading", "deciding", "choosing", "running", "watching"];
/// The record of the swap: it is either read or refused.
const RECORD: [&str; 2] = ["journal", "txn/plan.xml"];

type Plant = fn(&Path);
const PLANTS: [(&str, Plant); 6] = [
    ("a folder", |path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("mine"), "mine").unwrap();
    }),
    ("a pipe", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
    ("a link", |path| symlink("/etc/passwd", path).unwrap()),
    ("an empty file", |path| drop(File::create(path).unwrap())),
    ("garbage", |path| fs::write(path, [0xff; 5000]).unwrap()),
    ("1 GiB", |path| File::create(path).unwrap().set_len(1 << 30).unwrap()),
];

/// Puts a copy of the folder `base` in the place of the install root.
fn restore(world: &World<Scripted>, base: &Path) {
    fs::remove_dir_all(world.user.root()).unwrap();
    let copied = Command::new("cp").arg("-a").arg(base).arg(world.user.root()).status();
    assert!(copied.unwrap().success());
}

/// Runs a command that must end within a minute.
fn run(world: &World<Scripted>, timeout: &Path, command: &str) -> Run {
    let mut limited = Command::new(timeout);
    limited.args(["-s", "KILL", "60"]).arg(crate::support::programs::patcher());
    world.user.prepare(&mut limited, &["--json", command]);
    Run::of(&mut limited)
}

/// Returns the exit code and the stable code of an error.
fn code(run: &Run) -> (Option<i32>, Option<String>) {
    (run.code, run.json()["error"]["code"].as_str().map(str::to_owned))
}

#[test]
fn no_state_file_hangs_or_misleads_a_command() {
    let Some(timeout) = left_out::program("timeout") else { return };
    let world = World::honest();
    world.publish("1.0.0", &tree("1"));
    world.install("core");
    world.publish("2.0.0", &tree("2"));
    world.user.ok(&["update"]);
    world.publish("3.0.0", &tree("3"));
    let base = world.user.path("base");
    fs::rename(world.user.root(), &base).unwrap();
    fs::create_dir(world.user.root()).unwrap();
    let mut undisturbed = BTreeMap::new();
    for command in COMMANDS {
        restore(&world, &base);
        undisturbed.insert(command, (code(&run(&world, &timeout, command)), world.user.tree("core")));
    }
    let mut wrong = Vec::new();
    let every = if std::env::var("STATE_FILES").is_ok_and(|text| text == "all") { 1 } else { COMMANDS.len() };
    for (file, name) in DISPENSABLE.into_iter().chain(LOCKS).chain(RECORD).enumerate() {
        for (number, (kind, plant)) in PLANTS.into_iter().enumerate() {
            let commands = COMMANDS.into_iter().zip(file + number..);
            for command in commands.filter_map(|(command, at)| (at % every == 0).then_some(command)) {
                restore(&world, &base);
                let path = world.user.state(name);
                let _ = fs::remove_file(&path);
                plant(&path);
                let run = run(&world, &timeout, command);
                let (expected, expected_tree) = &undisturbed[command];
                let found = world.user.tree("core");
                let is_undisturbed = code(&run) == *expected && found == *expected_tree;
                let is_refused =
                    |stable: &str| code(&run) == (Some(22), Some(stable.to_owned())) && found == tree_of(&base);
                let is_right = is_undisturbed
                    || LOCKS.contains(&name) && is_refused("unsafe-path")
                    || RECORD.contains(&name) && is_refused("journal-unreadable")
                    // The repair sets the record of the swap aside.
                    || RECORD.contains(&name) && command == "repair" && run.code == Some(0);
                if !is_right || run.err.contains("panicked") {
                    wrong.push(format!(
                        "{kind} as {name}, {command}: {:?} instead of {expected:?}: {}",
                        code(&run),
                        run.out.trim()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn tree_of(base: &Path) -> Tree {
    Tree::read(&base.join("core"))
}
