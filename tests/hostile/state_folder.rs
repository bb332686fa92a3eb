//! State folders that other users can change.

use super::world::{World, check};
use patcher::internal::swap::Recovery;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

const REFUSED: &str = "writable-by-others with exit 22";

#[test]
fn a_state_folder_that_others_can_write_is_refused() {
    for mode in [0o770, 0o775, 0o757, 0o777, 0o1777, 0o720] {
        let world = World::new();
        let state = world.root().join(".patcher");
        fs::set_permissions(&state, Permissions::from_mode(mode)).unwrap();
        let before = world.snapshot();
        assert_eq!(world.check(), REFUSED, "{mode:o}");
        assert_eq!(world.update(), REFUSED, "{mode:o}");
        let recovered = world.patcher().recover();
        assert_eq!(recovered.unwrap_err().code(), "writable-by-others", "{mode:o}");
        assert_eq!(before.differences(&world.snapshot()), "", "{mode:o}");
        // As the advice says.
        fs::set_permissions(&state, Permissions::from_mode(mode & !0o022)).unwrap();
        assert_eq!(world.update(), "updated to 2.0.0", "{mode:o}");
    }
    for mode in [0o700, 0o750, 0o755] {
        let world = World::new();
        fs::set_permissions(world.root().join(".patcher"), Permissions::from_mode(mode)).unwrap();
        assert_eq!(world.update(), "updated to 2.0.0", "{mode:o}");
    }
}

#[test]
fn a_file_in_the_state_folder_that_others_can_write_is_refused() {
    for mode in [0o664, 0o646, 0o666, 0o620] {
        let world = World::new();
        fs::set_permissions(world.state("seen.xml"), Permissions::from_mode(mode)).unwrap();
        assert_eq!(world.check(), REFUSED, "{mode:o}");
        fs::remove_file(world.state("seen.xml")).unwrap();
        assert_eq!(world.check(), "update to 2.0.0", "{mode:o}");
    }
}

/// Only the superuser can give a file away.
#[test]
fn a_file_of_another_user_in_the_state_folder_is_refused() {
    let world = World::new();
    let foreign = world.state("choices.xml");
    fs::write(&foreign, "<choices format=\"1\"/>").unwrap();
    if std::os::unix::fs::chown(&foreign, Some(12_345), None).is_err() {
        println!("SKIPPED: this user cannot give a file away");
        return;
    }
    assert_eq!(world.check(), REFUSED);
    fs::remove_file(&foreign).unwrap();
    symlink("/nowhere", &foreign).unwrap();
    std::os::unix::fs::lchown(&foreign, Some(12_345), None).unwrap();
    assert_eq!(world.check(), REFUSED);
    fs::remove_file(&foreign).unwrap();
    assert_eq!(check(&world.patcher()), "update to 2.0.0");
    assert_eq!(world.patcher().recover().unwrap(), Recovery::Nothing);
}
