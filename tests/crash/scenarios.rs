//! The scenarios: each way in which a program swaps files, over a tree with every kind of change.

use crate::scene::{CrashScene, Promise};
use crate::support::left_out;
use crate::support::programs;
use crate::support::publisher::Publisher;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use crate::tally::End;
use crate::trace::{KILL, Point, Tracer};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

/// The published versions 1 and 2.
struct Releases {
    one: Tree,
    two: Tree,
}

/// Returns two versions between which every kind of change occurs.
///
/// Files are replaced, added, removed, moved, made executable or no longer executable, and renamed
/// in case alone, by themselves and with their folder. A file becomes a folder and a folder a file.
/// Links and folders come and go. One content occurs twice. The user changes some of the files.
fn releases(apps: Apps<'_>) -> Releases {
    let base = Tree::default().file("same", b"same", 0o644).file("settings", b"default", 0o644);
    let one = base.clone().file("bin/app", apps.0, 0o755).file("gone/deep/x", b"x", 0o644);
    let one = one.file("data", b"data", 0o644).file("folder/y", b"y", 0o644).file("mode", b"mode", 0o644);
    let one = one.file("no mode", b"no mode", 0o755).link("link", "data").link("link 1", "data");
    let one = one.file("moved", b"moved", 0o644).file("Readme", b"read", 0o644).file("Docs/a", b"a", 0o644);
    let one = one.file("read only", b"1", 0o644).file("edited", b"1", 0o644).file("left", b"left", 0o644);
    let one = one.file("shared/old", b"old", 0o644);
    let two = base.file("bin/app", apps.1, 0o755).file("data/inner", b"inner", 0o644).file("folder", b"file", 0o644);
    let two = two.file("mode", b"mode", 0o755).file("no mode", b"no mode", 0o644);
    let two = two.link("link", "bin/app").link("link 2", "folder");
    let two = two.file("fresh/moved", b"moved", 0o644).file("fresh/twice", b"brought", 0o755);
    let two = two.file("README", b"read", 0o644).file("docs/a", b"a", 0o644).file("brought", b"brought", 0o644);
    let two = two.file("read only", b"2", 0o644).file("edited", b"2", 0o644);
    Releases { one, two }
}

impl Releases {
    fn publish(&self, publisher: &Publisher, component: &str, number: u32) {
        let (version, tree) = (format!("{number}.0.0"), if number == 1 { &self.one } else { &self.two });
        publisher.release(component, &version, tree).preserve("settings").downgrade().whole().sign();
    }

    /// Changes version 1 as a user does.
    ///
    /// It adds files, one of them at a path of version 2. It changes files that version 2 replaces,
    /// drops and keeps, and makes one read-only.
    fn touch(dir: &Path) {
        let own = Tree::default().file("own", b"mine", 0o600).file("brought", b"mine too", 0o640);
        let own = own.file("shared/mine", b"my neighbour", 0o644).file("settings", b"mine", 0o644);
        own.file("edited", b"my edit", 0o644).file("left", b"my edit", 0o644).write_into(dir);
        fs::set_permissions(dir.join("read only"), fs::Permissions::from_mode(0o444)).unwrap();
    }

    /// Returns version 2 with the files of the user.
    fn two_touched(&self) -> Tree {
        let two = self.two.clone().file("own", b"mine", 0o600).file("brought.saved", b"mine too", 0o640);
        two.file("shared/mine", b"my neighbour", 0o644).file("settings", b"mine", 0o644).file("left", b"my edit", 0o644)
    }
}

/// A world with version 1 installed and touched, and version 2 published.
struct SwapSetup {
    tracer: Tracer,
    world: World<Scripted>,
    releases: Releases,
}

/// The program itself in both versions.
type Apps<'a> = (&'a [u8], &'a [u8]);
const WORKS: Apps<'_> = (b"#!/bin/sh\nexit 0 # 1\n", b"#!/bin/sh\nexit 0 # 2\n");
const FAILS: Apps<'_> = (WORKS.0, b"#!/bin/sh\nexit 3\n");

impl SwapSetup {
    fn outdated(apps: Apps<'_>, elsewhere: Option<&Path>) -> Option<Self> {
        let tracer = Tracer::find()?;
        let mut world = World::honest();
        world.user.elsewhere.extend(elsewhere.map(|dir| ("core".to_owned(), dir.to_owned())));
        let releases = releases(apps);
        releases.publish(&world.publisher, "core", 1);
        world.install("core");
        Releases::touch(&world.user.component("core"));
        releases.publish(&world.publisher, "core", 2);
        Some(Self { tracer, world, releases })
    }

    /// Returns [`outdated`](Self::outdated) with version 2 staged.
    fn staged(apps: Apps<'_>, elsewhere: Option<&Path>) -> Option<Self> {
        let stage = Self::outdated(apps, elsewhere)?;
        stage.world.user.ok(&["download"]);
        Some(stage)
    }

    /// Returns [`staged`](Self::staged) with the swap prepared for the helper.
    fn prepared(apps: Apps<'_>, elsewhere: Option<&Path>) -> Option<Self> {
        let stage = Self::staged(apps, elsewhere)?;
        stage.prepare();
        Some(stage)
    }

    /// Writes plan and journal as a program does that ends before its helper has done anything.
    fn prepare(&self) {
        let user = &self.world.user;
        let apply = user.command(&["apply"]);
        // Kill it at the first rename after the one that writes `PREPARED`.
        for number in 1.. {
            let point = Point::new("renameat", number);
            self.tracer.disturb(&apply, KILL, &point, &user.path("trace")).unwrap();
            if fs::read_to_string(user.state("journal")).is_ok_and(|journal| journal.starts_with("PREPARED")) {
                break;
            }
        }
        let _ = fs::remove_dir_all(user.state("txn/core"));
    }

    fn user(&self) -> &User {
        &self.world.user
    }

    fn helper(&self) -> Command {
        let mut command = Command::new(programs::helper());
        command.arg("--root").arg(self.user().root());
        for (name, dir) in &self.user().elsewhere {
            command.arg("--component").arg(format!("{name}={}", dir.display()));
        }
        command
    }

    /// Returns the helper with a process to wait for.
    ///
    /// The process ends when the helper logs that it waits, when the helper has ended, or after
    /// 1 s.
    fn waiting_helper(&self) -> Command {
        const APP: &str = r#"
            log=$1
            shift
            for _ in $(seq 50); do
                kill -0 $$ && ! grep -qs "waiting for process" "$log" || break
                sleep 0.02
            done &
            exec "$@" --wait-pid $!"#;
        let helper = self.helper();
        let mut command = Command::new("sh");
        command.args(["-c", APP, "sh"]).arg(self.user().state("helper.log"));
        command.arg(helper.get_program()).args(helper.get_args());
        command
    }

    /// Returns the scene of `program`. `complete` is the command that completes the swap.
    fn scene(self, name: &'static str, mut program: Command, complete: Option<Command>) -> CrashScene {
        let mut complete = complete.unwrap_or_else(|| again(&mut program));
        CrashScene::new(name, self.tracer, self.world, program, &mut complete)
    }
}

/// Returns a copy of a command.
fn again(command: &mut Command) -> Command {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    for (name, _) in command.get_envs() {
        again.env_remove(name);
    }
    again
}

/// The helper makes itself ready while the program runs, and swaps when it has ended.
pub fn helper() -> Option<CrashScene> {
    let stage = SwapSetup::prepared(WORKS, None)?;
    let (program, two) = (stage.waiting_helper(), stage.releases.two_touched());
    Some(stage.scene("helper", program, None).ends_in(&[("core", &two)]))
}

/// The program swaps the staged version.
pub fn apply() -> Option<CrashScene> {
    let stage = SwapSetup::staged(WORKS, None)?;
    let (program, two) = (stage.user().command(&["apply"]), stage.releases.two_touched());
    Some(stage.scene("apply in process", program, None).ends_in(&[("core", &two)]))
}

/// The program swaps the staged version without a probation.
pub fn apply_unwatched() -> Option<CrashScene> {
    let stage = SwapSetup::staged(WORKS, None)?;
    let (program, two) = (stage.user().command(&["--probation", "0", "apply"]), stage.releases.two_touched());
    Some(stage.scene("apply without probation", program, None).ends_in(&[("core", &two)]))
}

/// The program swaps the staged version over another prepared swap.
pub fn apply_over_prepared() -> Option<CrashScene> {
    let stage = SwapSetup::prepared(WORKS, None)?;
    let newer = Releases { one: Tree::default(), two: stage.releases.two.clone().file("bin/app", b"3", 0o755) };
    newer.publish(&stage.world.publisher, "core", 3);
    stage.user().ok(&["download"]);
    let program = stage.user().command(&["apply"]);
    Some(stage.scene("apply over a prepared swap", program, None).ends_in(&[("core", &newer.two_touched())]))
}

/// Two components change together.
pub fn two_components() -> Option<CrashScene> {
    let stage = SwapSetup::outdated(WORKS, None)?;
    let addon = Releases {
        one: Tree::default().file("a", b"1", 0o644).file("b/c", b"1", 0o755),
        two: Tree::default().file("a", b"2", 0o644).file("d/e", b"2", 0o755),
    };
    addon.publish(&stage.world.publisher, "addon", 1);
    stage.world.install("addon");
    addon.publish(&stage.world.publisher, "addon", 2);
    stage.user().ok(&["download"]);
    stage.prepare();
    let (program, two) = (stage.helper(), stage.releases.two_touched());
    Some(stage.scene("two components", program, None).ends_in(&[("core", &two), ("addon", &addon.two)]))
}

/// A component is installed for the first time.
pub fn first_install() -> Option<CrashScene> {
    let stage = SwapSetup::outdated(WORKS, None)?;
    let (user, two) = (stage.user(), stage.releases.two.clone());
    fs::remove_dir_all(user.root()).unwrap();
    fs::create_dir(user.root()).unwrap();
    let program = user.command(&["install", "core", "--from", &stage.world.manifest_url("core")]);
    Some(stage.scene("first install", program, None).ends_in(&[("core", &two)]))
}

/// A component is removed.
pub fn remove() -> Option<CrashScene> {
    let stage = SwapSetup::outdated(WORKS, None)?;
    let program = stage.user().command(&["remove", "core"]);
    let left = Tree::default().file("own", b"mine", 0o600).file("brought", b"mine too", 0o640);
    let left = left.file("shared/mine", b"my neighbour", 0o644).file("settings", b"mine", 0o644);
    let left = left.file("edited", b"my edit", 0o644).file("left", b"my edit", 0o644);
    Some(stage.scene("remove", program, None).ends_in(&[("core", &left)]))
}

/// Makes a scene whose component lies on another file system than the install root.
fn elsewhere(make: impl FnOnce(&Path) -> Option<CrashScene>) -> Option<CrashScene> {
    let device = |path: &Path| path.metadata().map(|found| found.dev()).ok();
    let here = device(&std::env::temp_dir());
    let other = |path: &&str| device(Path::new(path)).is_some_and(|device| Some(device) != here);
    let Some(other) = ["/dev/shm", "/var/tmp", "/tmp"].into_iter().find(other) else {
        left_out::report("there is no second file system");
        return None;
    };
    let dir = tempfile::tempdir_in(other).unwrap();
    let mut scene = make(&dir.path().join("core"))?;
    scene.keep(dir);
    Some(scene)
}

/// The helper swaps a component on another file system.
pub fn other_disk() -> Option<CrashScene> {
    elsewhere(|dir| {
        let stage = SwapSetup::prepared(WORKS, Some(dir))?;
        assert!(dir.join(".patcher/stage").is_dir());
        let (program, two) = (stage.helper(), stage.releases.two_touched());
        Some(stage.scene("another file system", program, None).ends_in(&[("core", &two)]))
    })
}

/// A component on another file system is removed, with its folder.
pub fn remove_other_disk() -> Option<CrashScene> {
    elsewhere(|dir| {
        let stage = SwapSetup::outdated(WORKS, Some(dir))?;
        stage.releases.publish(&stage.world.publisher, "core", 1);
        stage.releases.one.write(dir);
        stage.world.install("core");
        let program = stage.user().command(&["remove", "core"]);
        Some(stage.scene("remove, another file system", program, None).ends_in(&[("core", &Tree::default())]))
    })
}

/// The new version is confirmed.
pub fn keep() -> Option<CrashScene> {
    let stage = SwapSetup::staged(WORKS, None)?;
    stage.user().ok(&["apply"]);
    let (program, two) = (stage.user().command(&["confirm"]), stage.releases.two_touched());
    let scene = stage.scene("confirm", program, None).ends_in(&[("core", &two)]).only_after();
    Some(scene.promising(Some(Promise { code: 0, end: End::After })))
}

/// The new version is rolled back.
pub fn take_back() -> Option<CrashScene> {
    let stage = SwapSetup::staged(WORKS, None)?;
    let old = Tree::read(&stage.user().component("core"));
    stage.user().ok(&["apply"]);
    let program = stage.user().command(&["rollback"]);
    let scene = stage.scene("rollback", program, None).ends_in(&[("core", &old)]);
    Some(scene.promising(Some(Promise { code: 0, end: End::After })))
}

/// The helper swaps, starts the new version, which fails, and rolls back.
pub fn failing_version() -> Option<CrashScene> {
    let stage = SwapSetup::prepared(FAILS, None)?;
    let (mut program, complete) = (stage.helper(), stage.helper());
    program.args(["--restart", "--"]).arg(stage.user().component("core").join("bin/app"));
    let two = stage.releases.two_touched();
    let scene = stage.scene("a version that fails", program, Some(complete)).ends_in(&[("core", &two)]);
    Some(scene.promising(Some(Promise { code: 25, end: End::Before })))
}

/// A program starts after its helper has failed to run: it hands over, and the new version starts.
pub fn next_start() -> Option<CrashScene> {
    let scribe = fs::read(programs::scribe()).unwrap();
    let stage = SwapSetup::prepared((&[&scribe[..], b"1"].concat(), &[&scribe[..], b"2"].concat()), None)?;
    let user = stage.user();
    let mut program = Command::new(user.component("core").join("bin/app"));
    program.arg(user.root()).arg(user.key()).arg(programs::helper()).arg(user.path("lines"));
    let (complete, two) = (stage.helper(), stage.releases.two_touched());
    Some(stage.scene("apply at the next start", program, Some(complete)).ends_in(&[("core", &two)]).promising(None))
}
