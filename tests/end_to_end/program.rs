//! A real program that links the library and runs from the component that the swap replaces.

use crate::scene::{Scene, assert_has, is_gone};
use crate::support::deadline::wait_for;
use crate::support::programs;
use std::fs;
use std::process::Command;

#[test]
fn an_update_whose_helper_was_killed_is_applied_at_the_next_start() {
    let scene = Scene::prepared();
    assert!(scene.start("exit:1 / confirm exit:0").wait().unwrap().success());
    let lines = scene.lines(1);
    // Version 1 hands over before it writes a line.
    assert_has(
        &lines[0],
        &["version=2 started=Updated", "to: Version { major: 2, minor: 0, patch: 0 }", "relaunched=true"],
    );
    scene.wait_for_log("the new version was confirmed");
    scene.world.user.has("core", &scene.two);
    assert_eq!(scene.lines(1).len(), 1);
}

#[test]
fn a_mark_of_the_helper_that_was_set_by_hand_or_is_old_means_nothing() {
    for mark in ["1", "PREPARED 0000000000000000000000000000000000000000000000000000000000000000"] {
        let scene = Scene::prepared();
        let mut command = scene.command("exit:1 / confirm exit:0");
        assert!(command.env("PATCHER_RELAUNCHED", mark).status().unwrap().success());
        assert_has(&scene.lines(1)[0], &["version=2 started=Updated"]);
        scene.world.user.has("core", &scene.two);
    }
}

#[test]
fn a_program_is_started_again_with_its_arguments_folder_and_environment_in_a_session_of_its_own() {
    let scene = Scene::new();
    let mut first = scene.start("update:restart / confirm exit:0");
    assert!(first.wait().unwrap().success());
    let lines = scene.lines(2);
    assert_has(&lines[0], &["version=1 started=FirstRun", "relaunched=false"]);
    let dir = scene.world.user.path("").canonicalize().unwrap();
    let dir = format!("dir={} ", dir.display());
    let session = |line: &str| line.split("session=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_has(&lines[1], &["version=2 started=Updated", &dir, "word=of mine", "fd0=null", "fd1=output.log"]);
    assert_ne!(session(&lines[0]), session(&lines[1]));
    scene.world.user.has("core", &scene.two);
    scene.wait_for_log("the new version was confirmed");
}

#[test]
fn the_old_version_learns_exit_code_and_output_of_a_failed_one() {
    let scene = Scene::new();
    // Version 1 updates at its first start only. After the rollback the client offers no update.
    assert!(scene.start("update:restart exit:0 / say:oh-no exit:7").wait().unwrap().success());
    let lines = scene.lines(3);
    assert_has(&lines[1], &["version=2 started=Updated"]);
    assert_has(&lines[2], &["version=1 started=RolledBack", "reason: Exited(7)"]);
    scene.wait_for_log("it ended with exit code 7");
    scene.wait_for_log("| oh-no");
    scene.world.user.has("core", &scene.one);
}

#[test]
fn an_update_on_exit_waits_for_the_last_instance() {
    let scene = Scene::staged();
    let stop = scene.world.user.path("stop");
    let mut other = scene.start(&format!("wait:{} / exit:0", stop.display()));
    scene.lines(1);
    assert!(scene.start("staged:on-exit exit:0 / exit:0").wait().unwrap().success());
    scene.helper_that_waits();
    scene.world.user.has("core", &scene.one);
    fs::write(&stop, "").unwrap();
    other.wait().unwrap();
    scene.wait_for_log("core: 1.0.0 -> 2.0.0");
    scene.world.user.has("core", &scene.two);
}

/// Waits until a version is pending and the watcher has checked a few more times.
fn wait_for_pending(scene: &Scene, version: &str) {
    wait_for("the update to wait for the program's end", || {
        let status = scene.world.user.run(&["--json", "status"]).json();
        let update = &status["updates"][0];
        (update["state"] == "pending" && update["to"] == version).then_some(())
    });
    scene.world.server.take_paths();
    let mut requests = Vec::new();
    wait_for("more checks", || {
        requests.extend(scene.world.server.take_paths());
        (requests.len() > 2).then_some(())
    });
    assert!(!requests.iter().any(|path| path.contains("/objects/")), "{requests:?}");
}

#[test]
fn a_watchers_update_is_applied_at_the_programs_end_without_a_restart() {
    let scene = Scene::new();
    let stop = scene.world.user.path("stop");
    let mut program = scene.start(&format!("watch:{} exit:0 / confirm exit:0", stop.display()));
    wait_for_pending(&scene, "2.0.0");
    scene.world.user.has("core", &scene.one);
    fs::write(&stop, "").unwrap();
    assert!(program.wait().unwrap().success());
    scene.wait_for_log("core: 1.0.0 -> 2.0.0");
    scene.world.user.has("core", &scene.two);
    wait_for("the helper's end", || is_gone(&scene.helper_that_waits()).then_some(()));
    assert_eq!(scene.lines(1).len(), 1);
    assert!(scene.start("exit:1 / confirm exit:0").wait().unwrap().success());
    assert_has(&scene.lines(2)[1], &["version=2 started=Updated", "relaunched=false"]);
}

#[test]
fn a_newer_release_replaces_a_pending_update() {
    let scene = Scene::new();
    let mut program = scene.start("watch:/no/such/file exit:0 / exit:0");
    wait_for_pending(&scene, "2.0.0");
    let three = scene.two.clone().file("new/file", b"3", 0o644);
    scene.world.publisher.release("core", "3.0.0", &three).whole().sign();
    wait_for_pending(&scene, "3.0.0");
    // The program may end in any way.
    program.kill().unwrap();
    program.wait().unwrap();
    scene.wait_for_log("core: 1.0.0 -> 3.0.0");
    scene.world.user.has("core", &three);
}

#[test]
fn three_starts_without_a_confirmation_roll_back() {
    let scene = Scene::staged();
    scene.world.user.ok(&["apply"]);
    for start in 0..3 {
        assert!(scene.start("exit:0 / exit:0").wait().unwrap().success());
        assert_has(&scene.lines(start + 1)[start], &["version=2"]);
    }
    assert!(scene.start("exit:0 / exit:0").wait().unwrap().success());
    assert_has(&scene.lines(4)[3], &["version=1", "reason: Unconfirmed"]);
    scene.world.user.has("core", &scene.one);
}

#[test]
fn a_program_whose_swap_crashed_halfway_starts_as_the_old_version() {
    let Some(strace) = crate::support::left_out::program("strace") else { return };
    let scene = Scene::prepared();
    let exe = scene.world.user.component("core").join("app");
    let two = fs::read(&exe).unwrap();
    // The kill comes at the first rename after that of the program's own file.
    for number in 1.. {
        let mut command = Command::new(&strace);
        command.args(["-f", "-o", "/dev/null", "-e", &format!("inject=renameat:signal=SIGKILL:when={number}")]);
        command.arg(programs::helper()).arg("--root").arg(scene.world.user.root());
        command.status().unwrap();
        if fs::read(&exe).unwrap() != two {
            break;
        }
        scene.world.user.ok(&["recover"]);
        scene.world.user.ok(&["download"]);
        scene.prepare();
    }
    assert!(scene.start("exit:0 / exit:0").wait().unwrap().success());
    let lines = scene.lines(1);
    assert_has(&lines[0], &["version=1 started=Recovered"]);
    scene.world.user.has("core", &scene.one);
}

#[test]
fn a_program_without_its_helper_starts_exactly_once() {
    let scene = Scene::prepared();
    let user = &scene.world.user;
    let mut command = Command::new(user.component("core").join("app"));
    command.arg(user.root()).arg(user.key()).arg("/no/such/helper").arg(user.path("lines"));
    assert!(command.args(["exit:0", "/", "exit:0"]).status().unwrap().success());
    assert_has(&scene.lines(1)[0], &["version=1"]);
    assert_eq!(scene.lines(1).len(), 1);
    user.has("core", &scene.one);
}
