//! An install root with a component `core`, a new version staged, and the helper.

use crate::deadline::wait_for;
use patcher::internal::digest::Sha256;
use patcher::internal::fs::{Dir, PLAIN_MODE};
use patcher::internal::inventory::PathContent;
use patcher::internal::journal::{ComponentSteps, JournalState, ReleaseContent, Step, SwapPath, Transaction};
use patcher::internal::layout::InstallRoot;
use patcher::internal::rel_path::RelPath;
use patcher::internal::swap::{self, Recovery};
use patcher::{Applied, Result, Version, internal::state};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Files by path.
pub type Tree = BTreeMap<&'static str, Vec<u8>>;

pub fn tree<const N: usize>(files: [(&'static str, &[u8]); N]) -> Tree {
    files.map(|(path, bytes)| (path, bytes.to_vec())).into()
}

pub struct World {
    dir: TempDir,
    pub root: InstallRoot,
    old: Tree,
    new: Tree,
    probation: bool,
}

impl World {
    /// Installs `old` in the folder `root` of a temporary folder, stages `new`, and prepares the
    /// swap.
    pub fn prepared(root: &str, old: Tree, new: Tree) -> Self {
        Self::with(root, old, new, false)
    }

    /// Does as [`prepared`](Self::prepared), with a probation for the new version.
    pub fn on_probation(old: Tree, new: Tree) -> Self {
        Self::with("root", old, new, true)
    }

    fn with(root: &str, old: Tree, new: Tree, probation: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let root = InstallRoot::new(dir.path().join(root));
        let world = Self { dir, root, old, new, probation };
        for (path, bytes) in &world.old {
            write(&world.core(path), bytes);
        }
        for (path, bytes) in &world.new {
            write(&world.root.state.dir.join("stage/core/files").join(world.staged_name(path)), bytes);
        }
        swap::prepare(&world.root, &world.lock(), world.transaction()).unwrap();
        world
    }

    /// Returns a path in the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns a path in the component.
    pub fn core(&self, path: &str) -> PathBuf {
        self.root.dir.join("core").join(path.split('/').collect::<PathBuf>())
    }

    fn lock(&self) -> patcher::internal::fs::Lock {
        let state_dir = state::open_or_create(&self.root).unwrap();
        state::lock_updater(&state_dir, Duration::from_secs(10)).unwrap()
    }

    fn transaction(&self) -> Transaction {
        let content = |tree: &Tree, path: &str| {
            tree.get(path)
                .map_or(PathContent::Absent, |bytes| PathContent::File { sha256: Sha256::of(bytes), mode: PLAIN_MODE })
        };
        let folders = |tree: &Tree| -> BTreeSet<String> {
            let above = |path: &&str| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
            tree.keys().flat_map(above).collect()
        };
        let (before, after) = (folders(&self.old), folders(&self.new));
        let paths: BTreeSet<&str> = self.old.keys().chain(self.new.keys()).copied().collect();
        let step = |path: &str| Step {
            path: SwapPath::Listed(RelPath::new(path).unwrap()),
            old: content(&self.old, path),
            new: content(&self.new, path),
            staged: self.new.contains_key(path).then(|| self.staged_name(path)),
        };
        let component = ComponentSteps {
            component: "core".parse().unwrap(),
            own_work_dir: false,
            elsewhere: false,
            from: Some(Version::new(1, 0, 0)),
            to: Some(ReleaseContent { version: Version::new(2, 0, 0), sequence: 2, content: Sha256::of(b"2") }),
            new_folders: after.difference(&before).cloned().collect(),
            // In sorted order, a folder comes before the folders in it.
            old_folders: before
                .iter()
                .rev()
                .filter(|path| !after.contains(*path))
                .map(|path| (path.clone(), 0o755))
                .collect(),
            steps: paths.into_iter().map(step).filter(|step| step.old != step.new).collect(),
        };
        Transaction { probation: self.probation, components: vec![component], ..Transaction::default() }
    }

    /// Returns the staged name of a new file: the hash, and a number that no other file has.
    fn staged_name(&self, path: &str) -> String {
        format!("{}-{}", Sha256::of(&self.new[path]), self.new.keys().take_while(|other| **other != path).count())
    }

    pub fn apply(&self) -> Result<Option<Applied>> {
        swap::apply(&self.root, &self.lock())
    }

    /// Confirms the new version, as a program does that works.
    pub fn confirm(&self) -> Result<bool> {
        swap::confirm(&self.root)
    }

    pub fn recover(&self) -> Result<Recovery> {
        swap::recover(&self.root, &self.lock())
    }

    /// Returns the command of the helper with its root.
    pub fn helper(&self) -> Command {
        let mut command = Command::new(program("patcher-helper.exe"));
        command.arg("--root").arg(&self.root.dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Waits until files are being replaced.
    pub fn wait_for_swap(&self) {
        wait_for("the swap", || (swap::pending(&self.root).ok()? == Some(JournalState::Applying)).then_some(()));
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.root.state.dir.join("helper.log")).unwrap_or_default()
    }

    #[track_caller]
    pub fn is_old(&self) {
        self.holds(&self.old);
    }

    #[track_caller]
    pub fn is_new(&self) {
        self.holds(&self.new);
    }

    #[track_caller]
    fn holds(&self, tree: &Tree) {
        let core = self.root.dir.join("core");
        let mut found = BTreeSet::new();
        for entry in walkdir::WalkDir::new(&core) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let path = entry.path().strip_prefix(&core).unwrap();
                found.insert(path.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("/"));
            }
        }
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), tree.keys().copied().collect::<Vec<_>>());
        for (path, bytes) in tree {
            assert!(fs::read(self.core(path)).unwrap() == *bytes, "{path} has other bytes\n{}", self.log());
        }
        assert_eq!(swap::pending(&self.root).unwrap(), None);
    }

    /// Expects nothing of the swap to be left.
    #[track_caller]
    pub fn is_clean(&self) {
        let left: Vec<_> = walkdir::WalkDir::new(self.root.state.dir.join("txn")).into_iter().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(self.aside(), 0);
    }

    /// Returns the number of files that were moved aside and still exist.
    pub fn aside(&self) -> usize {
        match Dir::open(&self.root.state.dir).unwrap().folder("aside").unwrap() {
            Some(folder) => folder.names().unwrap().len(),
            None => 0,
        }
    }
}

/// Returns the path of a program of the workspace, which must be built.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join(name);
    assert!(path.is_file(), "{} is not built", path.display());
    path
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
