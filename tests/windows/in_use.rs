//! Files that are in use when they have to go.

use crate::program::{self, Library, Program, hold};
use crate::world::{World, tree};
use patcher::internal::swap::{self, Recovery};
use std::fs;

#[test]
fn a_running_program_and_a_loaded_library_are_replaced_and_their_old_files_swept_later() {
    let (one, two) = (program::bytes("1"), program::bytes("2"));
    let old = tree([("app.exe", &one), ("plugin.dll", &one), ("dropped.exe", &one), ("data", b"1")]);
    let new = tree([("app.exe", &two), ("plugin.dll", &two), ("data", b"2")]);
    let world = World::prepared("root", old, new);
    let mut running = ["app.exe", "dropped.exe"].map(|name| Program::start(&world.core(name), &world.path(name)));
    let library = Library::load(&world.core("plugin.dll"));
    // Neither can be written to nor removed.
    fs::remove_file(world.core("app.exe")).unwrap_err();
    fs::remove_file(world.core("plugin.dll")).unwrap_err();

    let ended = world.helper().status().unwrap();
    assert!(ended.success(), "{}", world.log());
    world.is_new();
    // The program and the library that were replaced, at least: wine says of some of the others
    // that they are removed.
    assert!(world.aside() >= 2, "{}", world.aside());
    // Still in use: nothing to be done yet, and nothing to complain about.
    swap::sweep(&world.root);
    assert!(world.aside() > 0);
    // The new one can be started while the old one runs.
    drop(Program::start(&world.core("app.exe"), &world.path("again")));

    running.iter_mut().for_each(Program::stop);
    drop(library);
    assert_eq!(world.recover().unwrap(), Recovery::Nothing);
    world.is_clean();
    world.is_new();
}

#[test]
fn a_file_that_somebody_holds_for_a_moment_is_replaced_as_soon_as_it_is_let_go() {
    let world = World::prepared("root", tree([("a", b"1"), ("b", b"1")]), tree([("a", b"2"), ("b", b"2")]));
    let held = hold(&world.core("b"));
    let mut helper = world.helper().spawn().unwrap();
    world.wait_for_swap();
    assert_eq!(fs::read(world.core("b")).unwrap(), b"1");
    drop(held);
    assert!(helper.wait().unwrap().success(), "{}", world.log());
    world.is_new();
    world.is_clean();
}

#[test]
fn a_file_that_somebody_holds_for_good_ends_in_the_old_version() {
    let world =
        World::prepared("root", tree([("a", b"1"), ("b", b"1")]), tree([("a", b"2"), ("b", b"2"), ("c", b"2")]));
    let held = hold(&world.core("b"));
    let ended = world.helper().status().unwrap();
    assert_eq!(ended.code(), Some(22), "{}", world.log());
    assert!(world.log().contains("(swap-undone)"), "{}", world.log());
    // The backup of the held file is that file: it goes when it can.
    assert!(world.core("a").exists() && world.root.state.dir.join("txn").exists());
    drop(held);
    assert_eq!(world.recover().unwrap(), Recovery::Nothing);
    world.is_old();
    world.is_clean();
}

#[test]
fn a_helper_that_is_killed_in_the_middle_leaves_a_swap_that_recovery_undoes() {
    let world =
        World::prepared("root", tree([("a", b"1"), ("b", b"1"), ("x/y", b"1")]), tree([("a", b"2"), ("b", b"2")]));
    let held = hold(&world.core("b"));
    let mut helper = world.helper().spawn().unwrap();
    crate::deadline::wait_for("the first file", || (fs::read(world.core("a")).ok()? == b"2").then_some(()));
    helper.kill().unwrap();
    helper.wait().unwrap();
    drop(held);
    // Its folder goes last.
    assert!(!world.core("x/y").exists());
    assert_eq!(world.recover().unwrap(), Recovery::RolledBack);
    world.is_old();
    world.is_clean();
}
