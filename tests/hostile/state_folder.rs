//! State folders that other users can change.

use super::publisher::Release;
use super::world::{HostileWorld, check};
use patcher::Patcher;
use patcher::internal::swap::Recovery;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

const REFUSED: &str = "writable-by-others with exit 22";

#[test]
fn a_state_folder_that_others_can_write_is_refused() {
    for mode in [0o770, 0o775, 0o757, 0o777, 0o1777, 0o720] {
        let world = HostileWorld::new();
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
        let world = HostileWorld::new();
        fs::set_permissions(world.root().join(".patcher"), Permissions::from_mode(mode)).unwrap();
        assert_eq!(world.update(), "updated to 2.0.0", "{mode:o}");
    }
}

#[test]
fn a_file_in_the_state_folder_that_others_can_write_is_refused() {
    for mode in [0o664, 0o646, 0o666, 0o620] {
        let world = HostileWorld::new();
        fs::set_permissions(world.state("seen.xml"), Permissions::from_mode(mode)).unwrap();
        assert_eq!(world.check(), REFUSED, "{mode:o}");
        fs::remove_file(world.state("seen.xml")).unwrap();
        assert_eq!(world.check(), "update to 2.0.0", "{mode:o}");
    }
}

/// Only the superuser can give a file away.
#[test]
fn a_file_of_another_user_in_the_state_folder_is_refused() {
    let world = HostileWorld::new();
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

/// A component on another file system than the state folder has a work folder of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_work_folder_that_others_can_write_is_refused() {
    use std::os::unix::fs::MetadataExt as _;
    let world = HostileWorld::new();
    let device = |path: &std::path::Path| path.metadata().map(|found| found.dev()).ok();
    let memory = std::path::Path::new("/dev/shm");
    if device(memory).is_none() || device(memory) == device(&world.root()) {
        println!("SKIPPED: /dev/shm is no other file system");
        return;
    }
    let there = tempfile::tempdir_in(memory).unwrap();
    let work = there.path().join("addon/.patcher");
    fs::create_dir_all(&work).unwrap();
    fs::set_permissions(&work, Permissions::from_mode(0o777)).unwrap();
    let url = format!("{}addon/", world.server.url());
    world.publish(&Release::new("addon", "1.0.0", 1, &url).file("x", b"x", false));
    let patcher = Patcher::new(world.config().component("addon", there.path().join("addon"))).unwrap();
    let install = || patcher.install("addon", &format!("{url}manifest.xml")).unwrap().download(|_| {});
    assert_eq!(install().unwrap_err().code(), "writable-by-others");
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0);
    fs::set_permissions(&work, Permissions::from_mode(0o700)).unwrap();
    install().unwrap().apply().unwrap();
    assert_eq!(fs::read(there.path().join("addon/x")).unwrap(), b"x");
}
