//! A scene: an install root in the same state before every run of a program, and the two states
//! that are right afterwards.

use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use crate::tally::End;
use crate::trace::{Call, Point, Tracer, points};
use patcher::{Config, Patcher};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The tree of each component, and its manifest.
pub type TreeState = BTreeMap<String, (Tree, Option<Vec<u8>>)>;

/// The state that an exit code of the program promises.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    pub code: i32,
    pub end: End,
}

/// A program, the state before it runs, and the state after it has run undisturbed.
pub struct CrashScene {
    pub name: &'static str,
    pub world: World<Scripted>,
    /// `None` if another process than the first does the work.
    pub promise: Option<Promise>,
    /// `true` if the state before must be there after a failure that the program reports.
    pub failure_is_before: bool,
    tracer: Tracer,
    program: Command,
    before: TreeState,
    after: TreeState,
    /// The folder of the components elsewhere, which is deleted with the scene.
    elsewhere: Option<tempfile::TempDir>,
}

impl CrashScene {
    /// Makes a scene in which `program` starts from the present state of `world`.
    ///
    /// `complete` is the command that leads to the state after.
    pub fn new(
        name: &'static str,
        tracer: Tracer,
        world: World<Scripted>,
        program: Command,
        complete: &mut Command,
    ) -> Self {
        let before = state(&world.user);
        let mut scene = Self {
            name,
            world,
            promise: Some(Promise { code: 0, end: End::After }),
            failure_is_before: true,
            tracer,
            program,
            after: before.clone(),
            before,
            elsewhere: None,
        };
        scene.save("start");
        let run = Run::of(complete);
        assert_eq!(run.code, Some(0), "{run:#?}");
        scene.after = state(&scene.world.user);
        scene
    }

    /// Expects these trees after a program that was not disturbed.
    #[track_caller]
    pub fn ends_in(self, trees: &[(&str, &Tree)]) -> Self {
        for (component, tree) in trees {
            tree.assert_is(&self.after[*component].0);
        }
        self
    }

    /// Keeps a temporary folder with components until the end of the scene.
    pub fn keep(&mut self, dir: tempfile::TempDir) {
        self.elsewhere = Some(dir);
    }

    /// Accepts the state after only: for a program that only cleans up.
    pub fn only_after(mut self) -> Self {
        self.before = self.after.clone();
        self
    }

    /// Sets the state that the exit code of the first process promises.
    pub fn promising(mut self, promise: Option<Promise>) -> Self {
        self.promise = promise;
        self.failure_is_before = false;
        self
    }

    pub fn user(&self) -> &User {
        &self.world.user
    }

    /// Returns the text of the journal, which is empty without a journal.
    pub fn journal(&self) -> String {
        fs::read_to_string(self.user().state("journal")).unwrap_or_default()
    }

    /// Saves the install root, and components elsewhere, as they are now.
    pub fn save(&self, name: &str) {
        let user = self.user();
        copy(&user.root(), &user.path(name));
        for (component, dir) in &user.elsewhere {
            copy(dir, &user.path(&format!("{name} {component}")));
        }
    }

    /// Restores a saved state.
    pub fn bring_back(&self, name: &str) {
        let user = self.user();
        copy(&user.path(name), &user.root());
        for (component, dir) in &user.elsewhere {
            copy(&user.path(&format!("{name} {component}")), dir);
        }
    }

    /// Runs a program undisturbed from the present state, and returns all its calls.
    pub fn calls(&self, program: &Command) -> (Run, Vec<Call>) {
        self.calls_with(&[], program)
    }

    /// Does as [`calls`](Self::calls), with more options of strace.
    pub fn calls_with(&self, options: &[&str], program: &Command) -> (Run, Vec<Call>) {
        self.tracer.watch(options, program, &self.user().path("trace"))
    }

    /// Returns every point of the program when it starts from a saved state.
    pub fn points(&self, state: &str) -> Vec<Point> {
        self.bring_back(state);
        points(&self.calls(&self.program).1)
    }

    pub fn program(&self) -> &Command {
        &self.program
    }

    /// Runs a program and disturbs it at a point; returns `None` if it does not reach the point.
    pub fn disturb(&self, program: &Command, what: &str, point: &Point) -> Option<Run> {
        self.tracer.disturb(program, what, point, &self.user().path("trace"))
    }

    /// Recovers, ends a probation, and returns the state.
    ///
    /// The state must be the same before and after the end of the probation, and nothing of the
    /// swap may be left.
    pub fn settle(&self) -> Result<End, String> {
        let failed = |error: patcher::Error| format!("{} ({})", error, error.code());
        let patcher = self.patcher();
        patcher.recover().map_err(failed)?;
        let end = self.end()?;
        patcher.confirm().map_err(failed)?;
        if self.end()? != end {
            return Err("`confirm` changed the state".to_owned());
        }
        match ["journal", "txn"].iter().find(|left| self.user().state(left).exists()) {
            Some(left) => Err(format!("{left} is left")),
            None => Ok(end),
        }
    }

    /// Returns the program's own handle.
    fn patcher(&self) -> Patcher {
        let mut config = Config::new(self.user().root()).trusted_key(fs::read_to_string(self.user().key()).unwrap());
        for (name, dir) in &self.user().elsewhere {
            config = config.component(name, dir);
        }
        Patcher::new(config).unwrap()
    }

    /// Returns the state that the components are in.
    pub fn end(&self) -> Result<End, String> {
        let found = state(self.user());
        if found == self.after {
            return Ok(End::After);
        }
        if found == self.before {
            return Ok(End::Before);
        }
        let differences = |wanted: &TreeState| {
            let mut text = String::new();
            for (component, (tree, manifest)) in wanted {
                let empty = Default::default();
                let (found, found_manifest) = found.get(component).unwrap_or(&empty);
                text.push_str(&tree.differences(found));
                if manifest != found_manifest {
                    text.push_str("another manifest\n");
                }
            }
            text
        };
        let journal = self.journal();
        Err(format!(
            "mixed; the journal says {journal:?}\nnot as before:\n{}not as after:\n{}",
            differences(&self.before),
            differences(&self.after)
        ))
    }

    /// Compares the promise of the run's exit code with the state that was found.
    pub fn kept(&self, run: &Run, end: End) -> Result<End, String> {
        match self.promise {
            Some(Promise { code, end: promised }) if run.code == Some(code) && promised != end => {
                Err(format!("it ended with {code}, and this is {end:?}: {run:?}"))
            }
            _ => Ok(end),
        }
    }
}

fn state(user: &User) -> TreeState {
    let one = |name: &str| {
        let dir = user.component(name);
        (name.to_owned(), (Tree::read(&dir), fs::read(dir.join("manifest.xml")).ok()))
    };
    ["core", "addon"].map(one).into_iter().collect()
}

/// Makes `to` a copy of `from`, with modes, times and second names.
pub fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    if from.exists() {
        Run::of(Command::new("cp").arg("-a").arg(from).arg(to)).ends(0);
    }
}
