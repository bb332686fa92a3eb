//! A swap that stops before each of its steps, or whose steps fail, one after the other, and then
//! each step of the recovery: every end is the old tree or the new one.

use super::*;
use crate::disk::fs::{Steps, Stop};
use semver::Version;
use std::collections::BTreeMap;
use std::path::Path;

/// A tree: each path with the content of the file, or a slash for a folder.
type Contents = BTreeMap<String, String>;

/// A component before and after: files changed, added, dropped, moved, renamed in case only,
/// folders that go and come, and a file that becomes a folder as well as the other way round.
const OLD: [(&str, &str); 8] = [
    ("Component", "name"),
    ("app", "old app"),
    ("gone/deep/x", "x"),
    ("kept", "kept"),
    ("moved", "moved"),
    ("read-only", "old read-only"),
    ("to-file/x", "y"),
    ("to-folder", "z"),
];
const NEW: [(&str, &str); 8] = [
    ("app", "new app"),
    ("kept", "kept"),
    ("name", "name"),
    ("new/deep/x", "new x"),
    ("new/moved", "moved"),
    ("read-only", "new read-only"),
    ("to-file", "new file"),
    ("to-folder/x", "new z"),
];

struct SteppedSwap {
    _dir: tempfile::TempDir,
    root: InstallRoot,
}

impl SteppedSwap {
    /// Installs the old tree and stages the new one.
    fn new() -> Self {
        // Hundreds of swaps without a power cut need not wait for a disk.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let root = InstallRoot::new(dir.path().to_owned());
        for (path, content) in OLD {
            write(&dir.path().join("core").join(path), content);
        }
        let core = Dir::open(&dir.path().join("core")).unwrap();
        core.ensure_mode("read-only", 0o444).unwrap();
        let stage = dir.path().join(".patcher/stage/core/files");
        for (_, content) in NEW {
            write(&stage.join(staged_name(content)), content);
        }
        Self { _dir: dir, root }
    }

    fn transaction(&self) -> Transaction {
        let content = |tree: &[(&str, &str)], path: &str| {
            let found = tree.iter().find(|(name, _)| *name == path);
            let mode = if path == "read-only" && tree == OLD { 0o444 } else { 0o644 };
            found.map_or(PathContent::Absent, |(_, text)| PathContent::File {
                sha256: Sha256::of(text.as_bytes()),
                mode,
            })
        };
        let mut paths: Vec<&str> = OLD.iter().chain(&NEW).map(|(path, _)| *path).collect();
        paths.sort_unstable();
        paths.dedup();
        let mut steps = Vec::new();
        for path in paths {
            let (mut old, new) = (content(&OLD, path), content(&NEW, path));
            if path == "to-file" {
                old = PathContent::Folder;
            }
            if old != new {
                let staged = NEW.iter().find(|(name, _)| *name == path).map(|(_, text)| staged_name(text));
                steps.push(Step { path: SwapPath::Listed(RelPath::new(path).unwrap()), old, new, staged });
            }
        }
        let folder_mode = match Dir::open(&self.root.dir.join("core")).unwrap().find("gone").unwrap() {
            Found::Folder { mode } => mode,
            found => panic!("{found:?}"),
        };
        let component = ComponentSteps {
            component: "core".parse().unwrap(),
            own_work_dir: false,
            elsewhere: false,
            from: Some(Version::new(1, 0, 0)),
            to: Some(ReleaseContent { version: Version::new(2, 0, 0), sequence: 2, content: Sha256::of(b"2") }),
            new_folders: ["new", "new/deep", "to-folder"].map(str::to_owned).into(),
            old_folders: ["to-file", "gone/deep", "gone"].map(|path| (path.to_owned(), folder_mode)).into(),
            steps,
        };
        Transaction { probation: false, components: vec![component], ..Transaction::default() }
    }

    /// Prepares and applies, as a process that is stopped somewhere.
    fn swap(&self, transaction: Transaction) -> Result<bool> {
        let state_dir = state::open_or_create(&self.root)?;
        let lock = state::lock_updater(&state_dir, Duration::ZERO)?;
        prepare(&self.root, &lock, transaction)?;
        Ok(apply(&self.root, &lock)?.is_some())
    }

    fn recover(&self) -> Result<Recovery> {
        let state_dir = state::open_or_create(&self.root)?;
        recover(&self.root, &state::lock_updater(&state_dir, Duration::ZERO)?)
    }

    /// Returns which of the two trees is installed, and expects that nothing of the swap is left.
    #[track_caller]
    fn outcome(&self, when: &str) -> &'static str {
        let found = read(&self.root.dir.join("core"));
        let read_only = Dir::open(&self.root.dir.join("core")).unwrap().find("read-only").unwrap();
        for leftover in ["journal", "txn", "aside"] {
            assert!(!self.root.state.dir.join(leftover).exists(), "{leftover} is left {when}");
        }
        if found == contents(&OLD) {
            assert!(matches!(read_only, Found::File { mode: 0o444, .. }), "the old mode did not come back {when}");
            return "old";
        }
        assert_eq!(found, contents(&NEW), "neither old nor new {when}");
        assert!(matches!(read_only, Found::File { mode: 0o644, .. }));
        "new"
    }
}

fn staged_name(content: &str) -> String {
    format!("{}-0", Sha256::of(content.as_bytes()))
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    let folder = Dir::open(path.parent().unwrap()).unwrap();
    folder.ensure_mode(path.file_name().unwrap().to_str().unwrap(), 0o644).unwrap();
}

fn contents(tree: &[(&str, &str)]) -> Contents {
    let mut contents: Contents = tree.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    for (path, _) in tree {
        let folders = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        contents.extend(folders.map(|folder| (folder, "/".to_owned())));
    }
    contents
}

fn read(dir: &Path) -> Contents {
    let mut contents = Contents::new();
    for entry in walkdir::WalkDir::new(dir).min_depth(1) {
        let entry = entry.unwrap();
        let path: Vec<&str> =
            entry.path().strip_prefix(dir).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
        let folder = entry.file_type().is_dir();
        let text = if folder { "/".to_owned() } else { fs::read_to_string(entry.path()).unwrap() };
        contents.insert(path.join("/"), text);
    }
    contents
}

#[test]
fn whatever_step_is_the_last_the_tree_is_old_or_new_after_recovery() {
    let mut outcomes = BTreeMap::new();
    for at in 0.. {
        let world = SteppedSwap::new();
        let transaction = world.transaction();
        let steps = Steps::stopping(Stop::Dead, at);
        let swapped = world.swap(transaction);
        let stopped = steps.stopped();
        drop(steps);
        world.recover().unwrap();
        let outcome = world.outcome(&format!("after a death at step {at}"));
        *outcomes.entry(outcome).or_insert(0) += 1;
        // A swap that reported success has led to the new version.
        assert!(outcome == "new" || !swapped.is_ok_and(|swapped| swapped), "step {at}");
        if !stopped {
            break;
        }
    }
    assert!(outcomes["old"] > 40 && outcomes["new"] > 5, "{outcomes:?}");
}

#[test]
fn whatever_step_fails_the_tree_is_old_or_new_at_once_or_after_recovery() {
    for at in 0.. {
        let world = SteppedSwap::new();
        let transaction = world.transaction();
        let steps = Steps::stopping(Stop::Refused, at);
        let swapped = world.swap(transaction);
        let stopped = steps.stopped();
        drop(steps);
        world.recover().unwrap();
        let outcome = world.outcome(&format!("after step {at} failed"));
        assert!(outcome == "new" || swapped.is_err(), "step {at}");
        if !stopped {
            break;
        }
    }
}

#[test]
fn whatever_step_of_the_recovery_is_the_last_the_next_one_ends_it() {
    // The deaths in the swap that leave the most to undo, and one after the commit.
    let total = (0..).find(|at| {
        let world = SteppedSwap::new();
        let transaction = world.transaction();
        let steps = Steps::stopping(Stop::Dead, *at);
        let _ = world.swap(transaction);
        !steps.stopped()
    });
    let total = total.unwrap();
    for death in [total / 2, total * 3 / 4, total - 5] {
        for at in 0.. {
            let world = SteppedSwap::new();
            let transaction = world.transaction();
            let steps = Steps::stopping(Stop::Dead, death);
            let _ = world.swap(transaction);
            drop(steps);
            let steps = Steps::stopping(Stop::Dead, at);
            let _ = world.recover();
            let stopped = steps.stopped();
            drop(steps);
            world.recover().unwrap();
            world.outcome(&format!("after deaths at step {death} of the swap and {at} of the recovery"));
            if !stopped {
                break;
            }
        }
    }
}
