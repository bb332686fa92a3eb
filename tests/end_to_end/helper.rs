//! The helper waits for the program, swaps, and starts it again.

use crate::support::deadline::wait_for;
use crate::support::programs;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use fs2::FileExt;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

/// Creates a world with version 1 installed and version 2 staged.
fn staged() -> (World<Scripted>, Tree, Tree) {
    let world = World::honest();
    let (one, two) = (Tree::from_seed(1), Tree::from_seed(1).mutate(2));
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    world.user.ok(&["download"]);
    (world, one, two)
}

/// Starts a program that runs until the test ends it.
struct App(Child);

impl App {
    fn start() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn end(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits until the helper has written a line with `words`.
#[track_caller]
fn wait_for_log(world: &World<Scripted>, words: &str) {
    let log = world.user.state("helper.log");
    wait_for(words, || fs::read_to_string(&log).ok()?.contains(words).then_some(()));
}

#[test]
fn the_helper_waits_for_the_program_swaps_and_starts_it_again() {
    let (world, one, two) = staged();
    let mut app = App::start();
    let started = world.user.path("started");
    let script = format!("pwd > '{0}.new'; echo \"$@\" >> '{0}.new'; mv '{0}.new' '{0}'", started.display());
    let dir = world.user.path("");
    let arguments =
        ["--json", "apply", "--wait-pid", &app.pid(), "--restart", "--", "sh", "-c", &script, "sh", "a b", "--c"];
    let run = Run::of(world.user.command(&arguments).current_dir(&dir)).ends(0);
    assert_eq!(run.json(), serde_json::json!({ "scheduled": true }));

    wait_for_log(&world, &format!("waiting for process {}", app.pid()));
    assert_eq!(world.user.ok(&["status"])["swap"], "prepared");
    world.user.has("core", &one);
    assert!(!started.exists());
    app.end();
    let words = wait_for("the program", || fs::read_to_string(&started).ok());
    assert_eq!(words, format!("{}\na b --c\n", dir.canonicalize().unwrap().display()));
    world.user.has("core", &two);
    wait_for_log(&world, "core: 1.0.0 -> 2.0.0");
    assert_eq!(world.user.ok(&["status"])["swap"], "probation");
}

#[test]
fn the_helper_waits_for_every_instance_of_the_program() {
    let (world, one, two) = staged();
    let running = File::create(world.user.state("running")).unwrap();
    FileExt::lock_shared(&running).unwrap();
    let mut app = App::start();
    world.user.ok(&["apply", "--wait-pid", &app.pid()]);
    wait_for_log(&world, "waiting for process");
    app.end();
    world.user.has("core", &one);
    drop(running);
    wait_for_log(&world, "core: 1.0.0 -> 2.0.0");
    world.user.has("core", &two);
}

#[test]
fn the_old_version_starts_if_the_swap_fails() {
    let (world, ..) = staged();
    let mut app = App::start();
    let started = world.user.path("started");
    let script = format!("echo > '{}'", started.display());
    world.user.ok(&["apply", "--wait-pid", &app.pid(), "--restart", "--", "sh", "-c", &script]);
    wait_for_log(&world, "waiting for process");
    // A user changes a file that the swap would replace.
    let file = world.user.component("core").join("bin/app");
    fs::write(&file, "mine").unwrap();
    app.end();
    wait_for("the program", || started.exists().then_some(()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(world.user.ok(&["status"])["components"][0]["version"], "1.0.0");
    wait_for_log(&world, "(changed)");
}

#[test]
fn the_helper_without_a_prepared_swap_only_starts_the_program() {
    let (world, one, _) = staged();
    let started = world.user.path("started");
    let mut helper = Command::new(programs::helper());
    helper.arg("--root").arg(world.user.root()).args(["--restart", "--", "sh", "-c"]);
    Run::of(helper.arg(format!("echo > '{}'", started.display()))).ends(0);
    wait_for("the program", || started.exists().then_some(()));
    world.user.has("core", &one);
    Run::of(&mut Command::new(programs::helper())).ends(2);
    Run::of(Command::new(programs::helper()).arg("--help")).ends(0);
}

/// The user moves the install root while the helper watches the new version.
#[test]
fn a_journal_that_cannot_be_read_is_no_confirmation() {
    let (world, one, two) = staged();
    let mut app = App::start();
    let (alive, moved) = (world.user.path("alive"), world.user.path("moved"));
    fs::write(&alive, "").unwrap();
    let script = format!("while [ -e '{}' ]; do sleep 0.05; done", alive.display());
    world.user.ok(&["--probation", "600", "apply", "--wait-pid", &app.pid(), "--restart", "--", "sh", "-c", &script]);
    app.end();
    wait_for("the probation", || (world.user.ok(&["status"])["swap"] == "probation").then_some(()));
    wait_for_log(&world, "core: 1.0.0 -> 2.0.0");
    fs::rename(world.user.root(), &moved).unwrap();
    let log = moved.join(".patcher/helper.log");
    wait_for("the helper", || fs::read_to_string(&log).ok()?.contains("cannot be read any more").then_some(()));
    fs::remove_file(alive).unwrap();
    assert!(!fs::read_to_string(&log).unwrap().contains("was confirmed"));
    fs::rename(&moved, world.user.root()).unwrap();
    world.user.has("core", &two);
    world.user.ok(&["rollback"]);
    world.user.has("core", &one);
}
