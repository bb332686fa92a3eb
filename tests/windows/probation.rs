//! The probation: the time between a swap and the confirmation of the new version.

use crate::deadline::wait_for;
use crate::program::{self, BODY, BROKEN, FAILURE, Program, with_talk};
use crate::world::{World, tree};
use patcher::internal::state::{RollbackReason, StateFile as _, Verdicts};
use patcher::internal::swap;
use std::path::Path;
use std::process::Command;

/// Installs version 1, and stages the version whose program ends with `last`.
fn world(last: &str) -> World {
    let (one, other) = (program::bytes("1"), program::bytes(last));
    World::on_probation(tree([("app.exe", &one), ("old", b"1")]), tree([("app.exe", &other), ("new", b"2")]))
}

/// Returns the helper, which starts the program and watches it for `seconds`.
fn helper(world: &World, talk: &Path, seconds: &str) -> Command {
    let mut helper = world.helper();
    helper.args(["--probation", seconds, "--restart", "--"]).arg(world.core("app.exe")).args(BODY);
    with_talk(&mut helper, talk);
    helper
}

/// Expects the old version to be back and to run, and the new one to be known as bad.
#[track_caller]
fn came_back(world: &World, talk: &Path, reason: RollbackReason) {
    assert!(world.log().contains(&format!("rolled back: {reason}")), "{}", world.log());
    let log = world.log();
    let pid = log.rsplit("as process ").next().and_then(|rest| rest.lines().next()).unwrap();
    let mut old = Program::started_by_another(talk);
    wait_for("the old version", || (old.started().0.to_string() == pid).then_some(()));
    world.is_old();
    old.stop();
    let state_dir = patcher::internal::state::open(&world.root).unwrap().unwrap();
    assert!(Verdicts::load(&state_dir).unwrap().unwrap().write().contains(&reason.word()));
}

#[test]
fn a_version_that_ends_with_an_error_is_taken_back_and_the_old_one_runs() {
    let world = world(BROKEN);
    let talk = world.path("talk");
    let ended = helper(&world, &talk, "120").status().unwrap();
    assert_eq!(ended.code(), Some(25), "{}", world.log());
    assert!(world.log().contains("this version is broken"), "{}", world.log());
    came_back(&world, &talk, RollbackReason::Exited(FAILURE));
}

#[test]
fn a_version_that_says_nothing_is_ended_and_taken_back() {
    let world = world("2");
    let talk = world.path("talk");
    let ended = helper(&world, &talk, "5").status().unwrap();
    assert_eq!(ended.code(), Some(25), "{}", world.log());
    came_back(&world, &talk, RollbackReason::Silent);
}

#[test]
fn a_version_that_confirms_stays() {
    let world = world("2");
    let talk = world.path("talk");
    let mut helper = helper(&world, &talk, "120").spawn().unwrap();
    let mut new = Program::started_by_another(&talk);
    new.started();
    assert!(swap::on_probation(&world.root).unwrap().is_some());
    assert!(world.confirm().unwrap());
    assert!(helper.wait().unwrap().success(), "{}", world.log());
    assert!(world.log().contains("the new version was confirmed"), "{}", world.log());
    world.is_new();
    new.stop();
}
