//! The scene of tests with a real program: a world whose component holds the program.

use crate::support::deadline::wait_for;
use crate::support::programs;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::fs;
use std::process::{Child, Command, Stdio};

/// The program with version 1 installed and version 2 published. The last byte of its file names
/// its version.
pub struct Scene {
    pub world: World<Scripted>,
    pub one: Tree,
    pub two: Tree,
}

impl Scene {
    pub fn new() -> Self {
        let world = World::honest();
        let scribe = fs::read(programs::scribe()).unwrap();
        let version = |number: &str| Tree::default().file("app", &[&scribe[..], number.as_bytes()].concat(), 0o755);
        let (one, two) = (version("1"), version("2").file("new/file", b"2", 0o644));
        world.publish("1.0.0", &one);
        world.install("core");
        // This test is not about deltas.
        world.publisher.release("core", "2.0.0", &two).whole().sign();
        Self { world, one, two }
    }

    /// Creates the same with version 2 downloaded.
    pub fn staged() -> Self {
        let scene = Self::new();
        scene.world.user.ok(&["download"]);
        scene
    }

    /// Creates the same after a logoff that ended the helper before its first action: the plan
    /// exists without a helper.
    pub fn prepared() -> Self {
        let scene = Self::staged();
        assert!(scene.start("exit:0 / exit:0").wait().unwrap().success());
        fs::remove_file(scene.world.user.path("lines")).unwrap();
        scene.prepare();
        assert_eq!(scene.world.user.ok(&["status"])["swap"], "prepared");
        scene
    }

    /// Writes the plan and ends the helper at once.
    pub fn prepare(&self) {
        self.prepare_for(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap());
    }

    /// Writes the plan for the end of a process, ends the helper at once, and then the process.
    pub fn prepare_for(&self, mut app: Child) {
        let _ = fs::remove_file(self.world.user.state("helper.log"));
        self.world.user.ok(&["apply", "--wait-pid", &app.id().to_string()]);
        let helper = self.helper_that_waits();
        assert!(Command::new("kill").args(["-KILL", &helper]).status().unwrap().success());
        wait_for("the helper's end", || is_gone(&helper).then_some(()));
        app.kill().unwrap();
        app.wait().unwrap();
    }

    /// Returns the process id of the helper that waits for the program.
    pub fn helper_that_waits(&self) -> String {
        let log = self.world.user.state("helper.log");
        let line = wait_for("the helper", || {
            let text = fs::read_to_string(&log).ok()?;
            text.lines().find(|line| line.contains("waiting for process")).map(str::to_owned)
        });
        line.split(['[', ']']).nth(1).unwrap().to_owned()
    }

    /// Starts the program as its user does, with its actions in each version.
    pub fn command(&self, todo: &str) -> Command {
        self.command_with_helper(todo, programs::helper().to_str().unwrap())
    }

    /// Prepares a start of the program with another helper.
    pub fn command_with_helper(&self, todo: &str, helper: &str) -> Command {
        let user = &self.world.user;
        let mut command = Command::new(user.component("core").join("app"));
        command.arg(user.root()).arg(user.key()).arg(helper).arg(user.path("lines"));
        command.args(todo.split(' ')).env("SCRIBE_WORD", "of mine").stdin(Stdio::null()).stdout(Stdio::null());
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command
    }

    pub fn start(&self, todo: &str) -> Child {
        self.command(todo).current_dir(self.world.user.path("")).spawn().unwrap()
    }

    /// Returns the lines that the program has written, once there are `count` of them.
    #[track_caller]
    pub fn lines(&self, count: usize) -> Vec<String> {
        let path = self.world.user.path("lines");
        wait_for("the program's lines", || {
            let lines: Vec<String> = fs::read_to_string(&path).ok()?.lines().map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        })
    }

    #[track_caller]
    pub fn wait_for_log(&self, words: &str) {
        let log = self.world.user.state("helper.log");
        wait_for(words, || fs::read_to_string(&log).ok()?.contains(words).then_some(()));
    }
}

pub fn is_gone(pid: &str) -> bool {
    !Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
}

#[track_caller]
pub fn assert_has(line: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(line.contains(word), "{word} is not in {line}"));
}
