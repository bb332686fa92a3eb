//! Programs in a terminal, and short-lived tools: the process of a run stays the process of the
//! run.

use crate::scene::{Scene, assert_has};
use crate::support::deadline::wait_for;
use crate::terminal::Terminal;
use std::fs::{self, File};
use std::process::{Command, Stdio};

/// Returns the value of a word `name=value` in a line of the program.
fn word<'a>(line: &'a str, name: &str) -> &'a str {
    line.split(&format!("{name}=")).nth(1).unwrap().split(' ').next().unwrap()
}

#[test]
fn a_program_in_a_terminal_becomes_the_new_version_in_its_place() {
    let (scene, terminal) = (Scene::new(), Terminal::new());
    let mut child = terminal.start(&mut scene.command("update:restart / confirm exit:7"));
    let pid = child.id().to_string();
    // The one that started it gets the exit code of the new version.
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let lines = scene.lines(2);
    assert_has(&lines[1], &["version=2 started=Updated", &format!("pid={pid} "), "word=of mine"]);
    for name in ["session", "fd0", "fd1", "fd2"] {
        assert_eq!(word(&lines[0], name), word(&lines[1], name));
    }
    assert_eq!(word(&lines[1], "fd0"), terminal.name);
    scene.wait_for_log("the new version was confirmed");
    scene.world.user.has("core", &scene.two);
}

/// Returns the command for a program of a service with this main process.
fn as_service(main: &str, program: &Command) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("export SYSTEMD_EXEC_PID={main}; exec \"$@\"")).arg("sh");
    command.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null()).stdout(Stdio::null());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// systemd ends all other processes of a service when the main one ends. It sets this variable to
/// the id of the main process.
#[test]
fn the_main_process_of_a_service_becomes_the_new_version_in_its_place() {
    let start = |main: &str| {
        let scene = Scene::new();
        let mut child = as_service(main, &scene.command("update:restart exit:0 / confirm exit:7")).spawn().unwrap();
        let code = child.wait().unwrap().code();
        scene.wait_for_log("the new version was confirmed");
        scene.world.user.has("core", &scene.two);
        let lines = scene.lines(2);
        (code, word(&lines[1], "pid") == child.id().to_string())
    };
    assert_eq!(start("$$"), (Some(7), true));
    // A child of the main process inherits the variable. The helper starts its new version.
    assert_eq!(start("$PPID"), (Some(0), false));
}

#[test]
fn the_version_before_takes_the_place_of_the_main_process_of_a_service() {
    let scene = Scene::new();
    scene.world.user.ok(&["update"]);
    assert_eq!(as_service("$$", &scene.command("exit:9 / back")).status().unwrap().code(), Some(9));
    scene.world.user.has("core", &scene.one);
}

#[test]
fn a_program_that_is_its_own_helper_becomes_the_new_version() {
    let (scene, terminal) = (Scene::new(), Terminal::new());
    let command = || scene.command_with_helper("update:restart / confirm exit:7", "itself");
    assert_eq!(terminal.start(&mut command()).wait().unwrap().code(), Some(7));
    scene.wait_for_log("the new version was confirmed");
    scene.world.user.has("core", &scene.two);
    // Without a terminal, the copy starts the new version and learns its exit code.
    let scene = Scene::new();
    let mut command = scene.command_with_helper("update:restart exit:0 / exit:7", "itself");
    assert!(command.status().unwrap().success());
    assert_has(&scene.lines(3)[2], &["version=1 started=RolledBack", "reason: Exited(7)"]);
    scene.world.user.has("core", &scene.one);
}

#[test]
fn a_new_version_in_a_terminal_has_three_starts_to_confirm() {
    let (scene, terminal) = (Scene::new(), Terminal::new());
    assert_eq!(terminal.start(&mut scene.command("update:restart / exit:1")).wait().unwrap().code(), Some(1));
    scene.wait_for_log("it has more starts to do so");
    for _ in 0..2 {
        assert_eq!(terminal.start(&mut scene.command("exit:0 / exit:1")).wait().unwrap().code(), Some(1));
    }
    // The run continues as the old version, in the same process.
    let mut child = terminal.start(&mut scene.command("exit:9 / exit:1"));
    let pid = child.id();
    assert_eq!(child.wait().unwrap().code(), Some(9));
    assert_has(&scene.lines(5)[4], &["version=1 started=RolledBack", "reason: Unconfirmed", &format!("pid={pid} ")]);
}

#[test]
fn starts_without_the_terminal_of_the_version_before_do_not_convict() {
    let (scene, terminal) = (Scene::new(), Terminal::new());
    assert_eq!(terminal.start(&mut scene.command("update:restart / exit:0")).wait().unwrap().code(), Some(0));
    for _ in 0..5 {
        assert_eq!(scene.start("exit:0 / exit:1").wait().unwrap().code(), Some(1));
    }
    assert_has(&scene.lines(7)[6], &["version=2"]);
    scene.world.user.has("core", &scene.two);
}

/// A script runs the tool first after a user's run in a terminal has downloaded the update.
#[test]
fn a_first_start_without_the_terminal_of_the_version_before_does_not_convict() {
    let (scene, terminal) = (Scene::staged(), Terminal::new());
    scene.prepare_for(terminal.start(Command::new("sleep").arg("600")));
    // The run continues as the new version, in the same process.
    assert_eq!(scene.start("exit:9 / exit:1").wait().unwrap().code(), Some(1));
    scene.wait_for_log("it has more starts to do so");
    scene.world.user.has("core", &scene.two);
}

#[test]
fn a_version_that_the_command_line_starts_without_the_terminal_is_not_convicted() {
    let (scene, terminal) = (Scene::staged(), Terminal::new());
    let stop = scene.world.user.path("stop");
    let mut old = terminal.start(&mut scene.command(&format!("wait:{} / exit:0", stop.display())));
    scene.lines(1);
    let app = scene.world.user.component("core").join("app");
    let new = scene.command("exit:0 / exit:3");
    let mut arguments = vec!["apply".into(), "--wait-pid".into(), old.id().to_string()];
    arguments.extend(["--restart".into(), "--".into(), app.display().to_string()]);
    arguments.extend(new.get_args().map(|argument| argument.to_str().unwrap().to_owned()));
    scene.world.user.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    fs::write(&stop, "").unwrap();
    old.wait().unwrap();
    scene.wait_for_log("the new version had no terminal");
    scene.world.user.has("core", &scene.two);
}

#[test]
fn a_new_version_that_ends_before_init_is_rolled_back() {
    let (scene, terminal) = (Scene::new(), Terminal::new());
    let broken = scene.one.clone().file("app", b"#!/bin/sh\nexit 4\n", 0o755);
    scene.world.publisher.release("core", "3.0.0", &broken).whole().sign();
    assert_eq!(terminal.start(&mut scene.command("update:restart / exit:0")).wait().unwrap().code(), Some(4));
    scene.wait_for_log("ended before it called `init`");
    scene.wait_for_log("rolled back");
    scene.world.user.has("core", &scene.one);
}

#[test]
fn a_run_of_a_tool_is_not_lost_by_an_update_or_a_rollback() {
    let scene = Scene::prepared();
    let output = scene.world.user.path("output");
    // The first start installs the update whose helper was killed; the fourth one rolls it back.
    for start in 0..5 {
        let mut command = scene.command("say:one exit:0 / say:two exit:0");
        command.stdout(File::create(&output).unwrap());
        assert!(command.status().unwrap().success());
        let said = fs::read_to_string(&output).unwrap();
        assert_eq!(said, if start < 3 { "two\n" } else { "one\n" }, "start {start}");
    }
    assert_has(&scene.lines(5)[3], &["version=1 started=RolledBack"]);
}

#[test]
fn a_restart_is_refused_while_another_instance_runs() {
    let scene = Scene::new();
    let stop = scene.world.user.path("stop");
    let mut other = scene.start(&format!("wait:{} / exit:0", stop.display()));
    scene.lines(1);
    let mut command = scene.command("update:restart / exit:0");
    let run = command.stderr(Stdio::piped()).output().unwrap();
    let words = String::from_utf8(run.stderr).unwrap();
    assert!(!run.status.success() && words.contains("Busy"), "{words}");
    if cfg!(target_os = "linux") {
        assert!(words.contains(&format!("holder: Some({})", other.id())), "{words}");
    }
    fs::write(&stop, "").unwrap();
    other.wait().unwrap();
    // Nothing was prepared, and the update is still staged.
    wait_for("the status", || scene.world.user.ok(&["status"])["swap"].is_null().then_some(()));
    scene.world.user.has("core", &scene.one);
}

#[test]
fn a_tool_checks_once_a_day_also_when_the_check_fails() {
    let scene = Scene::new();
    let daily = || {
        let output = scene.command("daily exit:0 / exit:0").stdout(Stdio::piped()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    scene.world.server.take_paths();
    assert_eq!(daily(), "daily: Some(\"2.0.0\")\n");
    assert!(!scene.world.server.take_paths().is_empty());
    assert_eq!(daily(), "daily: None\n");
    assert!(scene.world.server.take_paths().is_empty());
    fs::remove_file(scene.world.user.state("watch.xml")).unwrap();
    scene.world.server.follow(|_| crate::support::scripted::Reply::status(404));
    assert_eq!(daily(), "daily: http-status\n");
    assert_eq!(daily(), "daily: None\n");
}
