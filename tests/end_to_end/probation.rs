//! A new version must confirm that it works, or the old version returns.

use crate::support::deadline::wait_for;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use patcher::{Config, Patcher, RollbackReason, Started, Version};
use std::fs;

/// Returns a program that adds a line to `lives` when it runs, and then runs `then`.
fn program(version: &str, then: &str) -> Tree {
    let script = format!("#!/bin/sh\necho {version} \"$@\" >> \"$PATCHER_TEST_LIVES\"\n{then}\n");
    Tree::default().file("app", script.as_bytes(), 0o755).file("version", version.as_bytes(), 0o644)
}

/// Version 1 of a working program and a prepared swap to version 2, which runs `then`.
struct ProbationScene {
    world: World<Scripted>,
    one: Tree,
    two: Tree,
}

impl ProbationScene {
    fn new(then: &str) -> Self {
        let world = World::honest();
        let (one, two) = (program("1", ""), program("2", then));
        world.publish("1.0.0", &one);
        world.install("core");
        world.publish("2.0.0", &two);
        world.user.ok(&["download"]);
        Self { world, one, two }
    }

    fn user(&self) -> &User {
        &self.world.user
    }

    /// Lets the helper swap and start the program, which has `seconds` to confirm.
    fn restart(&self, seconds: &str) {
        let app = self.user().component("core").join("app");
        let arguments = ["--probation", seconds, "apply", "--restart", "--", app.to_str().unwrap(), "a b"];
        let mut command = self.user().command(&arguments);
        let run = command.env("PATCHER_TEST_LIVES", self.user().path("lives")).output().unwrap();
        assert!(run.status.success(), "{run:?}");
    }

    #[track_caller]
    fn wait_for_log(&self, words: &str) {
        let log = self.user().state("helper.log");
        wait_for(words, || fs::read_to_string(&log).ok()?.contains(words).then_some(()));
    }

    /// Expects that both versions have started, the old one last, and that the client no longer
    /// offers the new one.
    #[track_caller]
    fn has_returned(&self, reason: &str) {
        let lives = self.user().path("lives");
        wait_for("the old version", || fs::read_to_string(&lives).ok()?.ends_with("1 a b\n").then_some(()));
        self.user().has("core", &self.one);
        let check = self.user().json(25, &["check"]);
        assert_eq!(check["deferred"][0]["reason"], reason);
        self.user().json(25, &["update"]);
        assert_eq!(self.user().ok(&["status"])["swap"], serde_json::Value::Null);
    }
}

#[test]
fn a_version_that_exits_with_an_error_is_rolled_back_and_its_output_saved() {
    let scene = ProbationScene::new("echo some words; echo last words >&2; exit 3");
    scene.restart("60");
    scene.has_returned("exited:3");
    scene.wait_for_log("it ended with exit code 3");
    scene.wait_for_log("| some words");
    scene.wait_for_log("| last words");
    assert_eq!(fs::read_to_string(scene.user().path("lives")).unwrap(), "2 a b\n1 a b\n");
}

#[test]
fn a_version_that_is_killed_is_rolled_back() {
    let scene = ProbationScene::new("kill -SEGV $$");
    scene.restart("60");
    scene.has_returned("killed:11");
}

#[test]
fn a_version_that_does_not_confirm_in_time_is_ended_and_rolled_back() {
    let scene = ProbationScene::new("exec sleep 600");
    scene.restart("1");
    scene.has_returned("silent");
}

/// Waits until a process has ended.
#[track_caller]
fn wait_for_end(pid: &str) {
    let is_gone = || {
        !std::process::Command::new("kill")
            .args(["-0", pid])
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    wait_for("the end of a process", || is_gone().then_some(()));
}

#[test]
fn what_a_script_has_started_ends_with_it() {
    for (then, seconds, reason) in [
        ("sleep 600 & echo $! > \"$PATCHER_TEST_LIVES.pid\"; wait", "1", "silent"),
        ("sleep 600 & echo $! > \"$PATCHER_TEST_LIVES.pid\"; exit 3", "60", "exited:3"),
    ] {
        let scene = ProbationScene::new(then);
        scene.restart(seconds);
        scene.has_returned(reason);
        wait_for_end(fs::read_to_string(scene.user().path("lives.pid")).unwrap().trim());
    }
}

#[test]
fn a_program_that_ignores_the_request_is_ended_with_all_it_started() {
    let scene = ProbationScene::new(
        "trap '' TERM; (trap '' TERM; sleep 600) & echo $! > \"$PATCHER_TEST_LIVES.pid\"; wait; wait",
    );
    scene.restart("1");
    scene.has_returned("silent");
    wait_for_end(fs::read_to_string(scene.user().path("lives.pid")).unwrap().trim());
}

#[test]
fn a_version_that_cannot_start_is_rolled_back() {
    let scene = ProbationScene::new("");
    let two = scene.two.clone().file("app", b"#!/no/such/interpreter\n", 0o755);
    scene.world.publish("3.0.0", &two);
    scene.user().ok(&["download"]);
    scene.restart("60");
    let lives = scene.user().path("lives");
    wait_for("the old version", || lives.exists().then_some(()));
    scene.user().has("core", &scene.one);
    assert_eq!(scene.user().json(25, &["check"])["deferred"][0]["reason"], "not-started");
}

#[test]
fn a_version_that_confirms_stays() {
    let scene = ProbationScene::new("exec sleep 600");
    scene.restart("60");
    scene.wait_for_log("started ");
    assert_eq!(scene.user().ok(&["confirm"])["confirmed"], true);
    scene.wait_for_log("the new version was confirmed");
    scene.user().has("core", &scene.two);
    scene.user().fails(2, "nothing-to-roll-back", &["rollback"]);
    assert!(!scene.user().state("txn").exists());
    let pid = fs::read_to_string(scene.user().state("helper.log")).unwrap();
    let pid = pid.split("as process ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(std::process::Command::new("kill").arg(pid).status().unwrap().success());
}

#[test]
fn a_version_that_exits_with_0_gets_further_starts() {
    let scene = ProbationScene::new("");
    scene.restart("60");
    scene.wait_for_log("it has more starts");
    scene.user().has("core", &scene.two);
    assert_eq!(scene.user().ok(&["status"])["swap"], "probation");
}

#[test]
fn a_release_with_other_content_is_offered_after_a_bad_one_and_the_bad_one_signed_again_is_not() {
    let scene = ProbationScene::new("");
    scene.user().ok(&["apply"]);
    scene.user().ok(&["rollback", "core"]);
    scene.world.publish("2.0.0", &scene.two.clone());
    scene.user().json(25, &["check"]);
    scene.world.publish("2.0.1", &scene.two);
    assert_eq!(scene.user().json(10, &["check"])["updates"][0]["to"], "2.0.1");
    scene.user().ok(&["update"]);
    scene.user().fails(2, "nothing-to-roll-back", &["rollback", "other"]);
}

#[test]
fn without_a_probation_nothing_is_kept() {
    let scene = ProbationScene::new("");
    scene.user().ok(&["--probation", "0", "apply"]);
    scene.user().fails(2, "nothing-to-roll-back", &["rollback"]);
    assert!(!scene.user().state("txn").exists() && !scene.user().state("journal").exists());
}

/// Returns the program's own handle at its start.
fn start(user: &User) -> Started {
    let key = fs::read_to_string(user.key()).unwrap();
    Patcher::new(Config::new(user.root()).trusted_key(key)).unwrap().start().unwrap()
}

#[test]
fn a_starting_program_learns_the_result_of_the_swap() {
    let scene = ProbationScene::new("");
    assert_eq!(start(scene.user()), Started::FirstRun);
    assert_eq!(start(scene.user()), Started::Normal);
    scene.user().ok(&["apply"]);
    let component = || "core".parse().unwrap();
    let (one, two) = (|| Version::new(1, 0, 0), || Version::new(2, 0, 0));
    assert_eq!(start(scene.user()), Started::Updated { component: component(), from: one(), to: two() });
    // The version starts three times without a confirmation. The fourth start is the old version's.
    assert_eq!(start(scene.user()), Started::Normal);
    assert_eq!(start(scene.user()), Started::Normal);
    let reason = RollbackReason::Unconfirmed;
    assert_eq!(start(scene.user()), Started::RolledBack { component: component(), from: two(), to: one(), reason });
    scene.user().has("core", &scene.one);
    assert_eq!(start(scene.user()), Started::Normal);
    assert_eq!(scene.user().json(25, &["check"])["deferred"][0]["reason"], "unconfirmed");
}

#[test]
fn a_confirmed_version_starts_any_number_of_times() {
    let scene = ProbationScene::new("");
    scene.user().ok(&["apply"]);
    for _ in 0..3 {
        start(scene.user());
    }
    scene.user().ok(&["confirm"]);
    for _ in 0..3 {
        start(scene.user());
    }
    scene.user().has("core", &scene.two);
}
