//! Names that differ in case only, and long ones.

use crate::world::{World, tree};
use patcher::internal::fs::{Dir, Found, PLAIN_MODE, Tree};
use std::fs;

#[test]
fn a_name_in_other_letters_is_told_and_never_taken_for_the_same() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("Folder")).unwrap();
    fs::write(dir.path().join("Folder/Name"), "mine").unwrap();
    let tree = Tree::open(dir.path()).unwrap().unwrap();
    assert_eq!(tree.find("Folder/Name").unwrap(), Found::File { size: 4, mode: PLAIN_MODE });
    assert_eq!(tree.find("Folder/name").unwrap(), Found::Absent);
    assert_eq!(tree.find("folder/Name").unwrap(), Found::Absent);
    let folder = tree.folder("Folder").unwrap().unwrap();
    assert!(folder.open_file("name").unwrap().is_none());
    folder.remove_file("NAME").unwrap();
    assert_eq!(folder.check_name("name").unwrap_err().code(), "name-taken");
    assert_eq!(folder.replace("name", b"new", PLAIN_MODE).unwrap_err().code(), "name-taken");
    assert_eq!(tree.root().make_folder("FOLDER", 0).unwrap_err().code(), "name-taken");
    assert_eq!(fs::read(dir.path().join("Folder/Name")).unwrap(), b"mine");
    assert_eq!(folder.names().unwrap(), ["Name"]);
}

#[test]
fn files_and_folders_are_renamed_in_case_alone() {
    let old = tree([("Readme", b"same"), ("Docs/One", b"1"), ("Docs/Two", b"2")]);
    let new = tree([("README", b"same"), ("docs/one", b"1"), ("docs/Two", b"22")]);
    let world = World::prepared("root", old, new);
    world.apply().unwrap().unwrap();
    world.is_new();
}

#[test]
fn a_folder_of_the_users_in_other_letters_stops_the_swap() {
    let world = World::prepared("root", tree([("Docs/One", b"1")]), tree([("docs/one", b"1")]));
    fs::write(world.core("Docs/mine"), "mine").unwrap();
    assert_eq!(world.apply().unwrap_err().code(), "swap-undone");
    fs::remove_file(world.core("Docs/mine")).unwrap();
    world.is_old();
}

#[test]
fn paths_of_more_than_260_characters_are_swapped_and_undone() {
    let root = &vec!["d".repeat(40); 8].join("\\");
    const OLD: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/cccccccccccccccccccccccccccccccccccccccc/old";
    const NEW: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee/cccccccccccccccccccccccccccccccccccccccc/new";
    let scene = || World::prepared(root, tree([(OLD, b"1"), ("a", b"1")]), tree([(NEW, b"2"), ("a", b"2")]));
    let world = scene();
    assert!(world.core(NEW).as_os_str().len() > 400);
    world.apply().unwrap().unwrap();
    world.is_new();

    // One step cannot be done: a folder is in the way of a new file.
    let world = scene();
    fs::create_dir_all(world.core(NEW)).unwrap();
    world.apply().unwrap_err();
    fs::remove_dir_all(world.core("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee")).unwrap();
    world.is_old();

    let world = scene();
    let ended = world.helper().status().unwrap();
    assert!(ended.success(), "{}", world.log());
    world.is_new();
}

#[test]
fn the_holder_of_a_lock_is_named_to_whoever_wants_it() {
    let world = World::prepared("root", tree([("a", b"1")]), tree([("a", b"2")]));
    let state_dir = Dir::open(&world.root.state.dir).unwrap();
    let _lock = patcher::internal::state::lock_updater(&state_dir, std::time::Duration::ZERO).unwrap();
    let second = patcher::internal::state::lock_updater(&state_dir, std::time::Duration::ZERO);
    match second {
        Err(patcher::Error::Busy { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
}
