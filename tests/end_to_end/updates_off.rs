//! Programs that cannot be updated: they start, and say why there are no updates.

use crate::scene::{Scene, assert_has};
use crate::support::left_out;
use crate::support::programs;
use crate::support::run::Run;
use crate::support::world::World;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

#[test]
fn another_users_program_starts_with_updates_off() {
    if !rustix::process::geteuid().is_root() {
        return left_out::report("files of two users need root");
    }
    let Some(setpriv) = left_out::program("setpriv") else { return };
    let scene = Scene::new();
    let user = &scene.world.user;
    fs::set_permissions(user.path("."), Permissions::from_mode(0o777)).unwrap();
    let lines = user.path("lines");
    // Its owner has started it before in the second run.
    for owner_has_started in [false, true] {
        if owner_has_started {
            assert!(scene.start("exit:0 / exit:0").wait().unwrap().success());
            assert!(user.state("starts.xml").exists());
        }
        let _ = fs::remove_file(&lines);
        let mut command = Command::new(&setpriv);
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(user.component("core").join("app")).arg(user.root()).arg(user.key()).arg(programs::helper());
        command.arg(&lines).args(["exit:7", "/", "exit:0"]);
        assert_eq!(command.status().unwrap().code(), Some(7));
        assert_has(&scene.lines(1)[0], &["version=1 started=UpdatesOff(NotOurs { path: "]);
        fs::remove_file(&lines).unwrap();
    }
    scene.world.user.has("core", &scene.one);
}

#[test]
fn a_program_that_is_not_installed_starts_with_updates_off_and_creates_nothing() {
    let scene = Scene::new();
    let user = &scene.world.user;
    for root in [user.path("empty"), user.path("absent")] {
        if root.ends_with("empty") {
            fs::create_dir(&root).unwrap();
        }
        let _ = fs::remove_file(user.path("lines"));
        let mut command = Command::new(programs::scribe());
        command.arg(&root).arg(user.key()).arg(programs::helper()).arg(user.path("lines")).args(["exit:7", "/"]);
        command.args(["exit:7"]);
        command.status().unwrap();
        assert_has(&scene.lines(1)[0], &["started=UpdatesOff(NotInstalled { dir: "]);
        assert_eq!(fs::read_dir(&root).map_or(0, Iterator::count), 0);
    }
}

#[test]
fn a_program_that_is_installed_without_its_helper_says_so_at_every_start() {
    let scene = Scene::new();
    let user = &scene.world.user;
    for start in 0..2 {
        let mut command = Command::new(user.component("core").join("app"));
        command.arg(user.root()).arg(user.key()).arg("/no/such/helper").arg(user.path("lines"));
        assert!(command.args(["exit:0", "/", "exit:0"]).status().unwrap().success());
        let line = &scene.lines(start + 1)[start];
        assert_has(line, &["started=UpdatesOff(NoHelper { path: \"/no/such/helper\" })"]);
    }
    assert!(scene.start("exit:0 / exit:0").wait().unwrap().success());
    assert_has(&scene.lines(3)[2], &["started=FirstRun"]);
}

#[test]
fn a_root_without_components_is_no_success_and_stays_as_it_is() {
    let world = World::honest();
    let user = &world.user;
    let run = |root: &str, command: &str, code: &str| {
        let mut patcher = Command::new(programs::patcher());
        patcher.arg("--root").arg(user.path(root)).arg("--key").arg(user.key()).args(["--json", command]);
        Run::of(&mut patcher).fails(22, code);
    };
    fs::create_dir(user.path("empty")).unwrap();
    for command in ["check", "download", "update", "verify", "repair", "watch"] {
        for root in ["empty", "absent"] {
            run(root, command, "nothing-installed");
        }
    }
    assert_eq!(fs::read_dir(user.path("empty")).unwrap().count(), 0);
    assert!(!user.path("absent").exists());
}

#[test]
fn a_component_that_lost_its_manifest_is_reported_until_it_is_removed_or_adopted() {
    let scene = Scene::new();
    let user = &scene.world.user;
    fs::remove_file(user.component("core").join("manifest.xml")).unwrap();
    for arguments in [&["check"][..], &["check", "core"], &["verify"], &["repair"], &["update"]] {
        user.fails(22, "installed-manifest", arguments);
    }
    user.ok(&["install", "core", "--from", &scene.world.manifest_url("core")]);
    user.ok(&["verify"]);
    fs::write(user.component("core").join("mine"), "mine").unwrap();
    user.ok(&["remove", "core"]);
    user.fails(22, "nothing-installed", &["check"]);
}
