//! A swap that is killed before any of its system calls ends, after `recover`, in all old or all new; one of whose calls
//! fails does so at once.
//!
//! strace kills the program, or lets the call fail, on entering the N-th call of one kind, for every kind that changes the
//! disk and for every N until the program gets to its end. A call that reads changes nothing, so these are all the states
//! that there are.

use crate::support::left_out;
use crate::support::programs;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The calls by which a swap changes the disk.
const CALLS: [&str; 9] =
    ["renameat", "linkat", "unlinkat", "symlinkat", "mkdirat", "write", "fsync", "fchmod", "ftruncate"];
const SIGKILL: i32 = 9;
/// What strace is asked to do with a call.
const KILL: &str = "signal=SIGKILL";

/// A world whose install root is brought back to the same state before every run.
struct Scene {
    world: World<Scripted>,
    strace: PathBuf,
    /// What the user's folder may hold afterwards.
    old: Tree,
    new: Tree,
}

/// What was there after a crash and `recover`.
#[derive(Debug, Default)]
struct Ends {
    old: usize,
    new: usize,
}

impl Scene {
    /// With `old` installed, `new` staged, and files of the user's in the way; none without strace.
    fn staged() -> Option<Self> {
        Self::staged_in(None)
    }

    /// The same, the component lying in `dir`.
    fn staged_in(dir: Option<&Path>) -> Option<Self> {
        let strace = left_out::program("strace")?;
        if Run::of(Command::new(&strace).args(["-f", "-o", "/dev/null", "true"])).code != Some(0) {
            left_out::say("strace may not trace here");
            return None;
        }
        let mut world = World::honest();
        world.user.elsewhere.extend(dir.map(|dir| ("core".to_owned(), dir.to_owned())));
        let base = Tree::default().file("same", b"same", 0o644);
        let old = base.clone().file("bin/app", b"app 1", 0o755).file("gone/deep/x", b"x", 0o644);
        let old = old.file("data", b"data", 0o644).file("folder/y", b"y", 0o644).file("mode", b"mode", 0o644);
        let old = old.link("link", "data").file("moved", b"moved", 0o644);
        // A file becomes a folder and a folder a file; the user has a file of their own where `brought` comes.
        let new = base.file("bin/app", b"app 2", 0o755).file("data/inner", b"inner", 0o644);
        let new = new.file("folder", b"file", 0o644).file("mode", b"mode", 0o755).link("link", "bin/app");
        let new = new.file("fresh/moved", b"moved", 0o644).file("fresh/twice", b"brought", 0o755);
        let new = new.file("brought", b"brought", 0o644);
        world.publish("1.0.0", &old);
        world.install("core");
        let own = Tree::default().file("own", b"mine", 0o600).file("brought", b"mine too", 0o640);
        own.write_into(&world.user.component("core"));
        world.publish("2.0.0", &new);
        world.user.ok(&["download"]);
        let with_own = |tree: &Tree, name| tree.clone().file("own", b"mine", 0o600).file(name, b"mine too", 0o640);
        let (old, new) = (with_own(&old, "brought"), with_own(&new, "brought.saved"));
        world.server.take_requests();
        Some(Self { world, strace, old, new })
    }

    /// The same, with the plan written and the helper's turn to come.
    fn prepared() -> Option<Self> {
        let scene = Self::staged()?;
        let apply = scene.patcher(&["apply"]);
        // Killed before the first backup is made; the user's file that moves aside is linked before that.
        let mut numbers = 1..;
        while !scene.journal().starts_with("PREPARED") {
            scene.disturb(&apply, KILL, "linkat", numbers.next().unwrap()).unwrap();
        }
        Some(scene)
    }

    /// What the journal says; nothing when there is none.
    fn journal(&self) -> String {
        fs::read_to_string(self.world.user.state("journal")).unwrap_or_default()
    }

    /// Remembers the install root, and components elsewhere, as they are now.
    fn save(&self, name: &str) {
        let user = &self.world.user;
        copy(&user.root(), &user.path(name));
        for (component, dir) in &user.elsewhere {
            copy(dir, &user.path(&format!("{name} {component}")));
        }
    }

    /// Brings back what was remembered.
    fn bring_back(&self, name: &str) {
        let user = &self.world.user;
        copy(&user.path(name), &user.root());
        for (component, dir) in &user.elsewhere {
            copy(&user.path(&format!("{name} {component}")), dir);
        }
    }

    fn patcher(&self, arguments: &[&str]) -> Command {
        self.world.user.command(arguments)
    }

    fn helper(&self) -> Command {
        let mut command = Command::new(programs::helper());
        command.arg("--root").arg(self.world.user.root());
        command
    }

    /// Runs a program with something done to its `number`-th `call`; none when it did not make so many.
    fn disturb(&self, program: &Command, what: &str, call: &str, number: usize) -> Option<Run> {
        let trace = self.world.user.path("trace");
        let inject = format!("inject={call}:{what}:when={number}");
        let mut command = Command::new(&self.strace);
        command.arg("-f").arg("-o").arg(&trace).args(["-e", &format!("trace={call}"), "-e", &inject]);
        let run = Run::of(command.arg(program.get_program()).args(program.get_args()));
        let happened = run.signal == Some(SIGKILL) || fs::read_to_string(trace).unwrap().contains("(INJECTED)");
        assert!(happened || run.code == Some(0), "{call} {number}: {run:#?}");
        happened.then_some(run)
    }

    /// Runs a program again and again from a remembered state, disturbed at the first, second, … call of each kind, and
    /// gives every run to `look`, with words that tell which one it is.
    fn disturb_everywhere(
        &self,
        what: &str,
        state: &str,
        calls: &[&str],
        program: &Command,
        mut look: impl FnMut(&Run, &str),
    ) {
        let mut runs = 0;
        for call in calls {
            for number in 1.. {
                self.bring_back(state);
                let Some(run) = self.disturb(program, what, call, number) else { break };
                runs += 1;
                look(&run, &format!("{what} at {call} {number}, journal {:?}", self.journal()));
            }
        }
        assert!(runs > 20, "only {runs} calls");
    }

    /// The same, the program being killed.
    fn kill_everywhere(&self, state: &str, calls: &[&str], program: &Command, mut look: impl FnMut(&str)) {
        self.disturb_everywhere(KILL, state, calls, program, |_, what| look(what));
    }

    /// Recovers, keeps a new version, and expects all old or all new and nothing left of the swap.
    fn recover(&self, what: &str, ends: &mut Ends) {
        for verb in ["recover", "confirm"] {
            let run = self.world.user.run(&[verb]);
            assert_eq!(run.code, Some(0), "{what}: {run:#?}");
        }
        for left in ["journal", "txn"] {
            assert!(!self.world.user.state(left).exists(), "{what}: {left} is left");
        }
        self.is_old_or_new(what, ends);
        let run = self.world.user.run(&["verify"]);
        assert_eq!(run.code, Some(0), "{what}: {run:#?}");
    }

    /// Expects all old or all new.
    fn is_old_or_new(&self, what: &str, ends: &mut Ends) {
        let found = self.world.user.tree("core");
        let (not_old, not_new) = (self.old.differences(&found), self.new.differences(&found));
        match (not_old.is_empty(), not_new.is_empty()) {
            (true, _) => ends.old += 1,
            (_, true) => ends.new += 1,
            _ => panic!("{what}: mixed\nnot old:\n{not_old}not new:\n{not_new}"),
        }
    }
}

/// Makes `to` a copy of `from`, with modes and times.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    if from.exists() {
        Run::of(Command::new("cp").arg("-a").arg(from).arg(to)).ends(0);
    }
}

#[test]
fn an_apply_that_is_killed_anywhere_leaves_all_old_or_all_new() {
    let Some(scene) = Scene::staged() else { return };
    scene.save("staged");
    let mut ends = Ends::default();
    scene.kill_everywhere("staged", &CALLS, &scene.patcher(&["apply"]), |what| scene.recover(what, &mut ends));
    assert!(ends.old > 20 && ends.new > 5, "{ends:?}");
    scene.new.assert_is(&scene.world.user.tree("core"));
}

#[test]
fn a_helper_that_is_killed_anywhere_leaves_all_old_or_all_new() {
    let Some(scene) = Scene::prepared() else { return };
    scene.save("prepared");
    let mut ends = Ends::default();
    scene.kill_everywhere("prepared", &CALLS, &scene.helper(), |what| {
        scene.recover(what, &mut ends);
        // Whatever came back: the way forward is open, and what is staged still is.
        let requests = scene.world.server.take_requests();
        assert!(requests.is_empty(), "{requests:?}");
        let run = scene.world.user.run(&["update"]);
        assert_eq!(run.code, Some(0), "{what}: {run:#?}");
        scene.new.assert_is(&scene.world.user.tree("core"));
        let requests = scene.world.server.take_requests();
        assert_eq!(requests, ["/core/manifest.xml"], "{what}");
    });
    assert!(ends.old > 20 && ends.new > 5, "{ends:?}");
}

#[test]
fn a_swap_of_which_a_call_fails_is_undone_at_once_or_done() {
    let Some(scene) = Scene::prepared() else { return };
    scene.save("prepared");
    for error in ["error=EIO", "error=ENOSPC"] {
        let mut ends = Ends::default();
        scene.disturb_everywhere(error, "prepared", &CALLS, &scene.helper(), |run, what| {
            let before = ends.new;
            scene.is_old_or_new(what, &mut ends);
            let done = ends.new > before;
            assert_eq!(run.code, Some(if done { 0 } else { 22 }), "{what}: {run:#?}");
            scene.recover(what, &mut Ends::default());
        });
        assert!(ends.old > 20 && ends.new > 5, "{ends:?}");
    }
}

#[test]
fn a_recovery_that_is_killed_anywhere_is_finished_by_the_next() {
    let Some(scene) = Scene::prepared() else { return };
    scene.save("prepared");
    // The state with the most to undo, and the one with the most to clean up.
    scene.kill_everywhere("prepared", &["renameat", "unlinkat"], &scene.helper(), |_| {
        let journal = scene.journal();
        if journal.starts_with("APPLYING") {
            scene.save("applying");
        } else if journal.starts_with("COMMITTED") && !scene.world.user.path("committed").exists() {
            scene.save("committed");
        }
    });
    for state in ["applying", "committed"] {
        let mut ends = Ends::default();
        let recover = scene.patcher(&["recover"]);
        scene.kill_everywhere(state, &CALLS, &recover, |what| scene.recover(&format!("{state}, {what}"), &mut ends));
        assert_eq!((ends.old > 0, ends.new > 0), (state == "applying", state == "committed"), "{ends:?}");
    }
}

#[test]
fn an_apply_over_another_prepared_swap_that_is_killed_anywhere_can_be_recovered() {
    let Some(mut scene) = Scene::prepared() else { return };
    let newer = scene.new.clone().without("brought.saved").without("own").file("bin/app", b"app 3", 0o755);
    scene.world.publish("3.0.0", &newer);
    scene.world.user.ok(&["download"]);
    assert!(scene.journal().starts_with("PREPARED"));
    scene.new = scene.new.file("bin/app", b"app 3", 0o755);
    scene.save("prepared");
    let mut ends = Ends::default();
    let calls = ["renameat", "unlinkat"];
    scene.kill_everywhere("prepared", &calls, &scene.patcher(&["apply"]), |what| scene.recover(what, &mut ends));
    assert!(ends.old > 0 && ends.new > 0, "{ends:?}");
}

#[test]
fn a_remove_that_is_killed_anywhere_leaves_all_or_nothing() {
    let Some(mut scene) = Scene::staged() else { return };
    scene.save("installed");
    scene.new = Tree::default().file("own", b"mine", 0o600).file("brought", b"mine too", 0o640);
    let mut ends = Ends::default();
    let remove = scene.patcher(&["remove", "core"]);
    let calls = ["renameat", "unlinkat", "linkat"];
    scene.kill_everywhere("installed", &calls, &remove, |what| scene.recover(what, &mut ends));
    assert!(ends.old > 0 && ends.new > 0, "{ends:?}");
}

#[test]
fn a_first_install_that_is_killed_anywhere_leaves_all_or_nothing() {
    let Some(mut scene) = Scene::staged() else { return };
    let user = &scene.world.user;
    fs::remove_dir_all(user.root()).unwrap();
    fs::create_dir(user.root()).unwrap();
    scene.new = scene.new.without("own").without("brought.saved");
    scene.old = Tree::default();
    scene.save("empty");
    let mut ends = Ends::default();
    let install = scene.patcher(&["install", "core", "--from", &scene.world.manifest_url("core")]);
    scene.kill_everywhere("empty", &["renameat", "unlinkat", "mkdirat"], &install, |what| {
        scene.recover(what, &mut ends)
    });
    assert!(ends.old > 0 && ends.new > 0, "{ends:?}");
}

/// Runs a verb on a component that lies on another file system than the install root.
fn on_another_file_system(calls: &[&str], verb: &[&str], look: impl Fn(&mut Scene)) {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return left_out::say("there is no /dev/shm");
    };
    let device = |path: &Path| path.metadata().unwrap().dev();
    if device(dir.path()) == device(&std::env::temp_dir()) {
        return left_out::say("/dev/shm is the file system of temporary files");
    }
    let component = dir.path().join("core");
    let Some(mut scene) = Scene::staged_in(Some(&component)) else { return };
    assert!(component.join(".patcher/stage").is_dir());
    look(&mut scene);
    scene.save("before");
    let mut ends = Ends::default();
    scene.kill_everywhere("before", calls, &scene.patcher(verb), |what| scene.recover(what, &mut ends));
    assert!(ends.old > 0 && ends.new > 0, "{ends:?}");
}

#[test]
fn an_apply_on_another_file_system_that_is_killed_anywhere_leaves_all_old_or_all_new() {
    on_another_file_system(&["renameat", "unlinkat", "linkat"], &["apply"], |_| {});
}

#[test]
fn a_remove_on_another_file_system_that_is_killed_anywhere_leaves_all_or_nothing() {
    on_another_file_system(&["renameat", "unlinkat", "linkat"], &["remove", "core"], |scene| {
        // Nothing of the user's, so that the component's folder goes too.
        for name in ["own", "brought"] {
            fs::remove_file(scene.world.user.component("core").join(name)).unwrap();
            scene.old = scene.old.clone().without(name);
        }
        scene.new = Tree::default();
    });
}
