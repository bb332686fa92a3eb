//! Machines that stand in the way of an update: rights, disk space, and other processes.

use crate::support::left_out;
use crate::support::programs;
use crate::support::publisher::Published;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use fs2::FileExt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

const NOBODY: u32 = 65534;

/// Creates a world with version 1 installed and version 2 published.
fn outdated() -> (World<Scripted>, Published, Tree) {
    let world = World::honest();
    let one = Tree::default().file("bin/app", b"app 1", 0o755).file("lib/inner/x", b"x 1", 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    let two = Tree::default().file("bin/app", b"app 2", 0o755).file("lib/inner/x", b"x 2", 0o644);
    let published = world.publish("2.0.0", &two);
    world.server.take_paths();
    (world, published, one)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `patcher` as the user `nobody`, because root ignores the modes that the tests set.
fn run_as_nobody(world: &World<Scripted>, arguments: &[&str]) -> Option<Run> {
    if !is_root() {
        return Some(world.user.run(arguments));
    }
    let mut command = Command::new(left_out::program("setpriv")?);
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    // The build folder may be closed to that user.
    let program = world.user.path("patcher");
    if !program.exists() {
        fs::copy(programs::patcher(), &program).unwrap();
    }
    command.arg(program);
    world.user.prepare(&mut command, arguments);
    Some(Run::of(&mut command))
}

fn give_to_nobody(path: &Path) {
    if is_root() {
        for entry in walkdir::WalkDir::new(path) {
            chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

#[test]
fn an_unwritable_folder_is_reported_before_any_object_request() {
    for folder in ["", "lib/inner", "bin"] {
        let (world, _, one) = outdated();
        fs::set_permissions(world.user.path("."), Permissions::from_mode(0o755)).unwrap();
        give_to_nobody(&world.user.root());
        let folder = world.user.component("core").join(folder);
        fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
        let run = run_as_nobody(&world, &["--json", "update"]);
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let Some(run) = run else { return };
        run.fails(22, "not-writable");
        assert!(!world.server.take_paths().iter().any(|path| path.contains("/objects/")));
        one.assert_is(&world.user.tree("core"));
    }
}

#[test]
fn another_users_install_root_is_not_updated() {
    if !is_root() {
        return left_out::report("files of two users need root");
    }
    let (world, _, one) = outdated();
    fs::set_permissions(world.user.path("."), Permissions::from_mode(0o755)).unwrap();
    let Some(run) = run_as_nobody(&world, &["--json", "update"]) else { return };
    assert_eq!(run.code, Some(22), "{run:#?}");
    assert!(world.server.take_paths().is_empty());
    one.assert_is(&world.user.tree("core"));
}

#[test]
fn too_little_space_is_reported_before_any_object_request() {
    let Some(unshare) = left_out::program("unshare") else { return };
    let (mut world, ..) = outdated();
    let large = Tree::default().file("large", &vec![7; 6 << 20], 0o644);
    world.publish("3.0.0", &large);
    let mount = world.user.path("small disk");
    fs::create_dir(&mount).unwrap();
    // The mount belongs to the command's namespace and ends with it.
    let in_mount = |script: &str| {
        let mut command = Command::new(&unshare);
        command.arg("--mount").args((!is_root()).then_some("--map-root-user")).args(["sh", "-c", script]);
        command
    };
    let script = format!("mount -t tmpfs -o size=4m none '{}'", mount.display());
    if Run::of(&mut in_mount(&script)).code != Some(0) {
        return left_out::report("a small file system cannot be mounted here");
    }
    let mut command = in_mount(&format!("{script} && exec \"$@\""));
    command.arg("sh").arg(programs::patcher());
    world.user.elsewhere.insert("core".into(), mount);
    let url = world.manifest_url("core");
    world.user.prepare(&mut command, &["--json", "install", "core", "--from", &url]);
    Run::of(&mut command).fails(22, "no-space");
    assert!(!world.server.take_paths().iter().any(|path| path.contains("/objects/")));
}

#[test]
fn a_second_updater_is_busy() {
    let (world, _, one) = outdated();
    let lock = File::options().read(true).write(true).open(world.user.state("lock")).unwrap();
    FileExt::lock_exclusive(&lock).unwrap();
    for command in [&["check"][..], &["update"], &["remove", "core"]] {
        world.user.fails(23, "busy", command);
    }
    one.assert_is(&world.user.tree("core"));
    // Commands that change no file need no lock.
    world.user.ok(&["status"]);
    world.user.ok(&["verify"]);
    drop(lock);
    world.user.ok(&["update"]);
}

#[test]
fn no_swap_happens_while_an_instance_of_the_program_runs() {
    let (world, _, one) = outdated();
    let running = File::create(world.user.state("running")).unwrap();
    FileExt::lock_shared(&running).unwrap();
    world.user.ok(&["download"]);
    world.user.fails(23, "busy", &["apply"]);
    world.user.fails(23, "busy", &["remove", "core"]);
    world.user.has("core", &one);
    drop(running);
    world.user.ok(&["update"]);
    assert_eq!(world.user.ok(&["status"])["components"][0]["version"], "2.0.0");
}

#[test]
fn a_users_folder_at_a_files_path_is_reported() {
    let (world, _, one) = outdated();
    let own = Tree::default().file("new/mine", b"mine", 0o644);
    own.write_into(&world.user.component("core"));
    world.publish("3.0.0", &one.clone().file("new", b"new", 0o644));
    world.user.fails(22, "folder-in-the-way", &["update"]);
    let mut all = one;
    all.0.extend(own.0);
    all.assert_is(&world.user.tree("core"));
}

#[test]
fn a_link_in_the_place_of_a_folder_is_not_followed() {
    let (world, _, _) = outdated();
    let outside = world.user.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x"), "not yours").unwrap();
    let inner = world.user.component("core").join("lib/inner");
    fs::remove_dir_all(&inner).unwrap();
    std::os::unix::fs::symlink(&outside, &inner).unwrap();
    world.user.fails(22, "unsafe-path", &["update"]);
    assert_eq!(fs::read_to_string(outside.join("x")).unwrap(), "not yours");
}

#[test]
fn an_unreadable_journal_deletes_nothing() {
    let (world, _, one) = outdated();
    for text in ["", "APPLYING\n", "APPLYING 00\n", "garbage"] {
        fs::write(world.user.state("journal"), text).unwrap();
        for command in ["recover", "update", "apply"] {
            world.user.fails(22, "journal-unreadable", &[command]);
        }
        assert_eq!(fs::read_to_string(world.user.state("journal")).unwrap(), text);
        one.assert_is(&world.user.tree("core"));
    }
}

/// Runs `patcher` with the component on its own small disk, which a shell command prepares.
fn on_a_small_disk(bytes: usize, world: &mut World<Scripted>, prepare: &str, arguments: &[&str]) -> Option<Run> {
    let unshare = left_out::program("unshare")?;
    let mount = world.user.path("small disk");
    fs::create_dir_all(&mount).unwrap();
    let script = format!("mount -t tmpfs -o size={bytes} none '{0}' && mkdir '{0}/core' && {prepare}", mount.display());
    let script = script.replace("DISK", &mount.display().to_string());
    let mut command = Command::new(&unshare);
    command.arg("--mount").args((!is_root()).then_some("--map-root-user")).args(["sh", "-c"]);
    command.arg(format!("({script}) || exit 99; exec \"$@\"")).arg("sh").arg(programs::patcher());
    world.user.elsewhere.insert("core".into(), mount.join("core"));
    world.user.prepare(&mut command, arguments);
    let run = Run::of(&mut command);
    if run.code == Some(99) {
        left_out::report("a small file system cannot be mounted here");
        return None;
    }
    Some(run)
}

#[test]
fn a_full_disk_at_any_point_is_reported_and_leaves_a_whole_version() {
    let tree = Tree::default().file("large", &vec![7; 2 << 20], 0o644).file("small", b"x", 0o644);
    for kilobytes in [64, 512, 2000, 3000, 3400, 4200] {
        let mut world = World::honest();
        world.publish("1.0.0", &tree);
        let url = world.manifest_url("core");
        let arguments = ["--json", "install", "core", "--from", &url];
        let Some(run) = on_a_small_disk(kilobytes << 10, &mut world, "true", &arguments) else { return };
        match run.code {
            Some(0) => assert!(kilobytes > 3000, "{run:#?}"),
            _ => run.fails(22, "no-space"),
        }
    }
}

#[test]
fn a_read_only_disk_is_reported_before_any_object_request() {
    let mut world = World::honest();
    world.publish("1.0.0", &Tree::default().file("a", b"a", 0o644));
    let url = world.manifest_url("core");
    let prepare = "mount -o remount,ro 'DISK'";
    let arguments = ["--json", "install", "core", "--from", &url];
    let Some(run) = on_a_small_disk(4 << 20, &mut world, prepare, &arguments) else { return };
    assert_eq!(run.code, Some(22), "{run:#?}");
    assert!(!world.server.take_paths().iter().any(|path| path.contains("/objects/")));
}

#[test]
fn another_owners_files_in_the_users_folder_are_replaced() {
    if !is_root() {
        return left_out::report("files of two users need root");
    }
    let (world, ..) = outdated();
    fs::set_permissions(world.user.path("."), Permissions::from_mode(0o755)).unwrap();
    give_to_nobody(&world.user.root());
    // The folder belongs to the user, who may replace any file in it, with any owner and mode.
    let file = world.user.component("core").join("bin/app");
    chown(&file, Some(0), Some(0)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
    let Some(run) = run_as_nobody(&world, &["--json", "update"]) else { return };
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert_eq!(fs::read(&file).unwrap(), b"app 2");
}

#[test]
fn an_immutable_file_leaves_the_old_version() {
    let Some(chattr) = left_out::program("chattr") else { return };
    let (world, _, one) = outdated();
    let file = world.user.component("core").join("lib/inner/x");
    if Run::of(Command::new(&chattr).arg("+i").arg(&file)).code != Some(0) {
        return left_out::report("no file can be made immutable here");
    }
    let run = world.user.run(&["--json", "update"]);
    Run::of(Command::new(&chattr).arg("-i").arg(&file)).ends(0);
    assert_eq!(run.code, Some(22), "{run:#?}");
    one.assert_is(&world.user.tree("core"));
    assert!(!world.user.state("journal").exists());
    world.user.ok(&["update"]);
}

#[test]
fn a_folder_that_lets_no_entry_go_is_found_before_the_first_change() {
    let Some(chattr) = left_out::program("chattr") else { return };
    let world = World::honest();
    // The new file comes first, so that an undo would have to remove it.
    let one = Tree::default().file("lib/b", b"b 1", 0o644);
    let two = Tree::default().file("lib/a", b"a 2", 0o644).file("lib/b", b"b 2", 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    let folder = world.user.component("core").join("lib");
    let set = |flag: &str| Run::of(Command::new(&chattr).arg(flag).arg(&folder)).code == Some(0);
    if !set("+a") {
        return left_out::report("no folder can be made append-only here");
    }
    let run = world.user.run(&["--json", "update"]);
    assert!(set("-a"));
    run.fails(22, "not-writable");
    one.assert_is(&world.user.tree("core"));
    assert!(!world.user.state("journal").exists());
    world.user.ok(&["update"]);
    assert!(set("+a"));
    let run = world.user.run(&["--json", "rollback"]);
    assert!(set("-a"));
    run.fails(22, "not-writable");
    two.assert_is(&world.user.tree("core"));
    assert_eq!(world.user.ok(&["status"])["swap"], "probation");
    world.user.ok(&["rollback"]);
    one.assert_is(&world.user.tree("core"));
}

#[test]
fn another_users_file_in_a_sticky_folder_is_found_before_the_first_change() {
    if !is_root() {
        return left_out::report("files of two users need root");
    }
    let (world, ..) = outdated();
    fs::set_permissions(world.user.path("."), Permissions::from_mode(0o755)).unwrap();
    give_to_nobody(&world.user.root());
    let Some(run) = run_as_nobody(&world, &["--json", "update"]) else { return };
    assert_eq!(run.code, Some(0), "{run:#?}");
    let folder = world.user.component("core").join("lib/inner");
    for path in [&folder, &folder.join("x")] {
        chown(path, Some(0), Some(0)).unwrap();
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o1777)).unwrap();
    let run = run_as_nobody(&world, &["--json", "rollback"]).unwrap();
    run.fails(22, "not-writable");
    assert_eq!(fs::read(world.user.component("core").join("bin/app")).unwrap(), b"app 2");
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let run = run_as_nobody(&world, &["--json", "rollback"]).unwrap();
    assert_eq!(run.code, Some(0), "{run:#?}");
}

#[test]
fn a_component_in_a_folder_that_the_user_may_not_change_is_removed() {
    let (world, ..) = outdated();
    fs::set_permissions(world.user.path("."), Permissions::from_mode(0o755)).unwrap();
    give_to_nobody(&world.user.root());
    fs::set_permissions(world.user.root(), Permissions::from_mode(0o555)).unwrap();
    let Some(run) = run_as_nobody(&world, &["--json", "remove", "core"]) else { return };
    assert_eq!(run.code, Some(0), "{run:#?}");
    // Its empty folder stays, and every command works.
    let url = world.manifest_url("core");
    for command in [&["status"][..], &["check"], &["recover"], &["install", "core", "--from", &url], &["verify"]] {
        let run = run_as_nobody(&world, &[&["--json"], command].concat()).unwrap();
        // A check says that nothing is installed.
        assert_eq!(run.code, Some(if command == ["check"] { 22 } else { 0 }), "{run:#?}");
    }
    fs::set_permissions(world.user.root(), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_folder_of_another_user_beside_a_component_stops_no_command() {
    let (world, ..) = outdated();
    fs::set_permissions(world.user.path("."), Permissions::from_mode(0o755)).unwrap();
    give_to_nobody(&world.user.root());
    let private = world.user.root().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, Permissions::from_mode(0o000)).unwrap();
    for command in ["verify", "update", "repair"] {
        let Some(run) = run_as_nobody(&world, &["--json", command]) else { return };
        assert_eq!(run.code, Some(0), "{run:#?}");
    }
    fs::set_permissions(&private, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_program_that_may_open_few_files_is_updated() {
    let world = World::honest();
    let tree = |text: &str| {
        let files = (0..60).map(|number| format!("folder {number}/file"));
        files.fold(Tree::default(), |tree, path| tree.file(&path, text.as_bytes(), 0o644))
    };
    world.publish("1.0.0", &tree("1"));
    world.install("core");
    let two = tree("2");
    world.publish("2.0.0", &two);
    world.user.ok(&["download"]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 24; exec \"$@\"", "sh"]).arg(programs::patcher());
    world.user.prepare(&mut command, &["--json", "apply"]);
    Run::of(&mut command).ends(0);
    two.assert_is(&world.user.tree("core"));
    // The rollback needs no more file descriptors than the swap.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 24; exec \"$@\"", "sh"]).arg(programs::patcher());
    world.user.prepare(&mut command, &["--json", "rollback"]);
    Run::of(&mut command).ends(0);
    tree("1").assert_is(&world.user.tree("core"));
}
