//! The helper and the program that it starts.

use crate::deadline::wait_for;
use crate::program::{self, BODY, Program, with_talk};
use crate::world::{World, program as built, tree};
use patcher::internal::relaunch::{self, Job};
use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

fn world() -> World {
    let (one, two) = (program::bytes("1"), program::bytes("2"));
    World::prepared("root", tree([("app.exe", &one)]), tree([("app.exe", &two)]))
}

#[test]
fn the_program_is_waited_for_replaced_and_started_again_with_nothing_of_the_helpers() {
    let world = world();
    let mut old = Program::start(&world.core("app.exe"), &world.path("old"));
    let (pid, _) = old.started();
    let working_dir = world.path("working");
    fs::create_dir(&working_dir).unwrap();
    let mut helper = world.helper();
    helper.arg("--wait-pid").arg(pid.to_string()).arg("--working-dir").arg(&working_dir);
    helper.args(["--restart", "--"]).arg(world.core("app.exe")).args(BODY);
    let mut helper = with_talk(&mut helper, &world.path("new")).stdout(Stdio::piped()).spawn().unwrap();
    wait_for("the helper", || world.log().contains("waiting for process").then_some(()));
    assert!(!world.path("new").join("started").exists());
    old.stop();

    let mut new = Program::started_by_another(&world.path("new"));
    let (_, dir) = new.started();
    assert_eq!(dir.canonicalize().unwrap(), working_dir.canonicalize().unwrap());
    assert!(helper.wait().unwrap().success(), "{}", world.log());
    // Ends although the program runs on: it was not handed the pipe.
    helper.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    assert!(!world.path("new").join("stopped").exists());
    assert_eq!(world.aside(), 0);
    new.stop();
    world.is_new();
}

#[test]
fn the_helper_is_started_from_a_copy_and_a_second_one_while_the_first_still_runs() {
    let world = world();
    let mut app = Program::start(&world.core("app.exe"), &world.path("app"));
    let (pid, _) = app.started();
    let state_dir = patcher::internal::state::open(&world.root).unwrap().unwrap();
    for number in 1..=2 {
        let helper = built("patcher-helper.exe");
        let job = Job { wait_for: Some(pid), ..Job::default() };
        relaunch::start_helper(&world.root, &state_dir, &helper, job).unwrap();
        wait_for("the helper", || (world.log().matches("waiting for process").count() == number).then_some(()));
    }
    app.stop();
    wait_for("both helpers", || {
        let log = world.log();
        (log.contains("1.0.0 -> 2.0.0") && log.contains("no swap was prepared")).then_some(())
    });
    world.is_new();
}

#[test]
fn a_process_that_runs_or_has_ended_is_told_apart() {
    let world = world();
    let mut app = Program::start(&world.core("app.exe"), &world.path("app"));
    let (pid, _) = app.started();
    assert!(!relaunch::wait_for_exit(pid, Some(Duration::from_millis(100))));
    app.stop();
    assert!(relaunch::wait_for_exit(pid, Some(Duration::from_secs(30))));
}
