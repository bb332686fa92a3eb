//! Other programs write into a component between an update and its rollback.

use super::*;
use crate::swap::{SavedFile, finish};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A component before: a file to replace, one to drop with its folder, one that stays, one that
/// becomes a folder, a folder that becomes a file, a link, and a file whose mode alone changes.
const OLD: [(&str, &str); 7] = [
    ("a", "old a"),
    ("file-to-folder", "f"),
    ("folder-to-file/x", "x"),
    ("gone/deep/x", "dropped"),
    ("mode", "mode"),
    ("same", "same"),
    ("shared/old", "old shared"),
];
const NEW: [(&str, &str); 8] = [
    ("a", "new a"),
    ("added", "added"),
    ("file-to-folder/y", "y"),
    ("folder-to-file", "file"),
    ("fresh/deep/y", "fresh"),
    ("mode", "mode"),
    ("same", "same"),
    ("shared/new", "new shared"),
];

struct ForeignWrites {
    dir: tempfile::TempDir,
    root: InstallRoot,
}

fn content(text: &str, mode: u32) -> PathContent {
    PathContent::File { sha256: Sha256::of(text.as_bytes()), mode }
}

/// Returns a manifest of a version, without files.
fn manifest(version: &str) -> String {
    format!("<manifest format=\"1\">\n  <meta component=\"core\" version=\"{version}\" sequence=\"1\"/>\n</manifest>\n")
}

impl ForeignWrites {
    /// Installs the old version and swaps to the new one, which is then on probation.
    fn on_probation() -> Self {
        let world = Self::prepared();
        world.make_live();
        world
    }

    /// The old version, with the new one staged and the swap prepared.
    fn prepared() -> Self {
        let memory = std::env::var_os("FOREIGN_DIR").map_or(PathBuf::from("/dev/shm"), PathBuf::from);
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let world = Self { root: InstallRoot::new(dir.path().to_owned()), dir };
        for (path, text) in OLD {
            world.put(path, text);
        }
        std::os::unix::fs::symlink("a", world.at("link")).unwrap();
        let stage = world.dir.path().join(".patcher/stage/core/files");
        fs::create_dir_all(&stage).unwrap();
        fs::set_permissions(world.dir.path().join(".patcher"), fs::Permissions::from_mode(0o700)).unwrap();
        let mut steps = Vec::new();
        let paths: BTreeSet<&str> = OLD.iter().chain(&NEW).map(|(path, _)| *path).collect();
        for path in paths {
            let of = |tree: &[(&str, &str)], mode| {
                tree.iter().find(|(name, _)| *name == path).map_or(PathContent::Absent, |(_, text)| content(text, mode))
            };
            let (mut old, new) = (of(&OLD, 0o644), of(&NEW, if path == "mode" { 0o755 } else { 0o644 }));
            if path == "folder-to-file" {
                old = PathContent::Folder;
            }
            if old != new {
                let staged = new.sha256().map(|hash| format!("{hash}-0"));
                if let (Some(name), Some((_, text))) = (&staged, NEW.iter().find(|(name, _)| *name == path)) {
                    fs::write(stage.join(name), text).unwrap();
                    let mode = if path == "mode" { 0o755 } else { 0o644 };
                    fs::set_permissions(stage.join(name), fs::Permissions::from_mode(mode)).unwrap();
                }
                steps.push(Step { path: SwapPath::Listed(RelPath::new(path).unwrap()), old, new, staged });
            }
        }
        let link = PathContent::Link { target: "a".into() };
        let path = SwapPath::Listed(RelPath::new("link").unwrap());
        steps.push(Step { path, old: link, new: PathContent::Link { target: "added".into() }, staged: None });
        world.put("manifest.xml", &manifest("1.0.0"));
        fs::write(stage.join("manifest.xml"), manifest("2.0.0")).unwrap();
        let manifests = (content(&manifest("1.0.0"), 0o644), content(&manifest("2.0.0"), 0o644));
        let staged = Some("manifest.xml".to_owned());
        steps.push(Step { path: SwapPath::Manifest, old: manifests.0, new: manifests.1, staged });
        let component = ComponentSteps {
            component: "core".parse().unwrap(),
            own_work_dir: false,
            elsewhere: false,
            from: Some(Version::new(1, 0, 0)),
            to: Some(ReleaseContent { version: Version::new(2, 0, 0), sequence: 2, content: Sha256::of(b"2") }),
            new_folders: ["file-to-folder", "fresh", "fresh/deep"].map(str::to_owned).into(),
            old_folders: ["folder-to-file", "gone/deep", "gone"].map(|path| (path.to_owned(), 0o755)).into(),
            steps,
        };
        prepare(
            &world.root,
            &world.lock(),
            Transaction { probation: true, components: vec![component], ..Transaction::default() },
        )
        .unwrap();
        world
    }

    fn make_live(&self) {
        make_live(&self.root, &self.lock(), None).unwrap().unwrap();
        finish(&self.root, &self.lock());
    }

    fn lock(&self) -> Lock {
        state::lock_updater(&state::open_or_create(&self.root).unwrap(), Duration::ZERO).unwrap()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join("core").join(path)
    }

    fn put(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn roll_back(&self) -> Result<Vec<SavedFile>> {
        Ok(roll_back(&self.root, &self.lock(), RollbackReason::Asked)?.expect("a version on probation").saved)
    }

    /// Every old file is there with its bytes, nothing of the swap is left, and another recovery
    /// finds nothing to do.
    #[track_caller]
    fn is_old(&self, when: &str) {
        for (path, text) in OLD {
            assert_eq!(fs::read_to_string(self.at(path)).ok().as_deref(), Some(text), "{path} {when}");
        }
        assert_eq!(fs::read_link(self.at("link")).ok(), Some(PathBuf::from("a")), "{when}");
        assert_eq!(fs::read_to_string(self.at("manifest.xml")).ok(), Some(manifest("1.0.0")), "{when}");
        assert!(!self.dir.path().join(".patcher/journal").exists(), "{when}");
        assert_eq!(recover(&self.root, &self.lock()).unwrap(), Recovery::Nothing, "{when}");
    }

    /// Returns every text below the root, so that the test finds the user's bytes wherever they
    /// are.
    fn texts(&self) -> BTreeSet<String> {
        let entries = walkdir::WalkDir::new(self.dir.path()).into_iter().filter_map(std::result::Result::ok);
        entries.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect()
    }
}

/// A change that another program makes, and the text of the user's that it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Write,
    Append,
    Rewrite,
    Delete,
    Chmod,
    ReadOnly,
    ToFolder,
    ToFilledFolder,
    ToLink,
    ToBrokenLink,
    ToSocket,
}

const CHANGES: [Change; 11] = [
    Change::Write,
    Change::Append,
    Change::Rewrite,
    Change::Delete,
    Change::Chmod,
    Change::ReadOnly,
    Change::ToFolder,
    Change::ToFilledFolder,
    Change::ToLink,
    Change::ToBrokenLink,
    Change::ToSocket,
];

/// Paths that the swap knows, their folders, and one that it does not.
const PATHS: [&str; 17] = [
    "a",
    "added",
    "file-to-folder",
    "file-to-folder/y",
    "folder-to-file",
    "fresh",
    "fresh/deep",
    "fresh/deep/y",
    "gone",
    "gone/deep",
    "gone/deep/x",
    "link",
    "mode",
    "mine",
    "shared",
    "shared/new",
    "shared/old",
];

fn remove(path: &Path) {
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
}

impl Change {
    /// Makes the change and returns the user's text that must not get lost.
    fn make(self, world: &ForeignWrites, path: &str, text: &str) -> Option<String> {
        let at = world.at(path);
        // Through a link another file would change, maybe one that the swap leaves alone.
        let is_file = at.symlink_metadata().is_ok_and(|found| found.is_file());
        if matches!(self, Change::Chmod | Change::ReadOnly | Change::Append) && !is_file {
            return None;
        }
        // A file on the way makes the path impossible, as it does for every program.
        let ancestors = at.ancestors().skip(1).take_while(|above| *above != world.dir.path());
        if ancestors.into_iter().any(|above| above.symlink_metadata().is_ok_and(|found| !found.is_dir())) {
            return None;
        }
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match self {
            // Deletes files of the program, which the user may do; nothing of the user's is below.
            Change::Delete => remove(&at),
            Change::Write => {
                remove(&at);
                fs::write(&at, text).unwrap();
            }
            Change::Append => {
                let before = fs::read_to_string(&at).unwrap();
                fs::write(&at, before + text).unwrap();
                return Some(fs::read_to_string(&at).unwrap());
            }
            Change::Rewrite => {
                remove(&at);
                fs::write(at.with_extension("tmp"), text).unwrap();
                fs::rename(at.with_extension("tmp"), &at).unwrap();
            }
            Change::Chmod => fs::set_permissions(&at, fs::Permissions::from_mode(0o700)).unwrap(),
            Change::ReadOnly => fs::set_permissions(&at, fs::Permissions::from_mode(0o444)).unwrap(),
            Change::ToFolder => {
                remove(&at);
                fs::create_dir(&at).unwrap();
            }
            Change::ToFilledFolder => {
                remove(&at);
                fs::create_dir(&at).unwrap();
                fs::write(at.join("inner"), text).unwrap();
            }
            Change::ToLink => {
                remove(&at);
                std::os::unix::fs::symlink(world.at("same"), &at).unwrap();
            }
            Change::ToBrokenLink => {
                remove(&at);
                std::os::unix::fs::symlink("/no/such/file", &at).unwrap();
            }
            Change::ToSocket => {
                remove(&at);
                let _ = std::os::unix::net::UnixListener::bind(&at);
            }
        }
        let has_text = [Change::Write, Change::Rewrite, Change::ToFilledFolder].contains(&self);
        has_text.then(|| text.to_owned())
    }
}

#[test]
fn a_version_that_writes_its_settings_can_be_rolled_back_and_they_stay() {
    let world = ForeignWrites::on_probation();
    world.put("added", "settings of the new version");
    assert_eq!(world.roll_back().unwrap(), []);
    world.is_old("after settings");
    assert_eq!(fs::read_to_string(world.at("added")).unwrap(), "settings of the new version");
}

#[test]
fn every_kind_of_change_at_every_path_leads_back_and_loses_nothing() {
    for change in CHANGES {
        for path in PATHS {
            let world = ForeignWrites::on_probation();
            let text = change.make(&world, path, "a text of the user's");
            world.roll_back().unwrap_or_else(|error| panic!("{change:?} at {path}: {error}"));
            world.is_old(&format!("after {change:?} at {path}"));
            assert!(text.is_none_or(|text| world.texts().contains(&text)), "{change:?} at {path} lost a text");
        }
    }
}

#[test]
fn something_in_the_way_moves_beside_and_is_reported() {
    let world = ForeignWrites::on_probation();
    world.put("a", "mine");
    remove(&world.at("gone"));
    world.put("gone", "mine too");
    let saved = world.roll_back().unwrap();
    let of = |path: &str| SavedFile {
        component: "core".parse().unwrap(),
        path: path.into(),
        saved_as: format!("{path}.saved"),
    };
    assert_eq!(BTreeSet::from_iter(saved), BTreeSet::from([of("a"), of("gone")]));
    assert_eq!(fs::read_to_string(world.at("gone.saved")).unwrap(), "mine too");
    let outcomes = fs::read_to_string(world.dir.path().join(".patcher/outcomes")).unwrap();
    assert!(outcomes.contains(" saved a:a.saved\n"), "{outcomes}");
}

#[test]
fn a_damaged_backup_is_found_before_anything_changes() {
    let world = ForeignWrites::on_probation();
    let backups = world.dir.path().join(".patcher/txn/core");
    let backup = fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().path());
    let backup = backup.into_iter().find(|path| fs::read_to_string(path).is_ok_and(|text| text == "old a")).unwrap();
    fs::write(&backup, "written through an open file").unwrap();
    assert_eq!(world.roll_back().unwrap_err().code(), "backup-damaged");
    for (path, text) in NEW {
        assert_eq!(fs::read_to_string(world.at(path)).unwrap(), text, "{path}");
    }
    let journal = fs::read_to_string(world.dir.path().join(".patcher/journal")).unwrap();
    assert!(journal.starts_with("COMMITTED"), "{journal}");
    // The program's bytes survive the end of the probation.
    assert!(confirm(&world.root).unwrap());
    assert_eq!(fs::read_to_string(world.at("a.saved")).unwrap(), "written through an open file");
    assert_eq!(fs::read_to_string(world.at("a")).unwrap(), "new a");
}

#[test]
fn a_mode_that_changed_after_the_plan_was_made_does_not_bar_the_way_back() {
    // Of `mode`, the swap changes the mode alone. The last one is that of the new version.
    for mode in [0o600, 0o755] {
        let set = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let world = ForeignWrites::prepared();
        set(&world.at("mode"));
        world.make_live();
        assert_eq!(world.roll_back().unwrap(), [], "{mode:o}");
        world.is_old(&format!("after {mode:o} before the swap"));
        // A program that has the old file open changes the mode of its backup.
        let world = ForeignWrites::on_probation();
        let backups = fs::read_dir(world.dir.path().join(".patcher/txn/core")).unwrap();
        let mut backups = backups.map(|entry| entry.unwrap().path());
        set(&backups.find(|path| fs::read_to_string(path).is_ok_and(|text| text == "mode")).unwrap());
        assert_eq!(world.roll_back().unwrap(), [], "{mode:o}");
        world.is_old(&format!("after {mode:o} of the backup"));
    }
}

#[test]
fn an_older_state_folder_leaves_a_newer_tree_untouched() {
    let world = ForeignWrites::on_probation();
    world.put("a", "a of version 3");
    world.put("manifest.xml", &manifest("3.0.0"));
    assert_eq!(world.roll_back().unwrap_err().code(), "other-tree");
    assert_eq!(fs::read_to_string(world.at("a")).unwrap(), "a of version 3");
    assert_eq!(fs::read_to_string(world.at("added")).unwrap(), "added");
    // The journal of a swap in its middle, from before the tree: there is nothing to undo.
    let state_dir = state::open_or_create(&world.root).unwrap();
    let mut journal = Journal::read(&state_dir).unwrap().unwrap();
    journal.advance(&state_dir, JournalState::Applying).unwrap();
    assert_eq!(recover(&world.root, &world.lock()).unwrap(), Recovery::Discarded);
    assert_eq!(fs::read_to_string(world.at("a")).unwrap(), "a of version 3");
}

#[test]
fn a_renewed_manifest_does_not_bar_the_way_back() {
    let world = ForeignWrites::on_probation();
    world.put("manifest.xml", &format!("{}\n", manifest("2.0.0")));
    assert_eq!(world.roll_back().unwrap(), []);
    world.is_old("after a renewed manifest");
}

#[test]
fn a_swap_whose_way_back_is_barred_is_completed() {
    let world = ForeignWrites::on_probation();
    fs::write(world.dir.path().join(".patcher/txn/core/0"), "damaged").unwrap();
    let state_dir = state::open_or_create(&world.root).unwrap();
    let mut journal = Journal::read(&state_dir).unwrap().unwrap();
    journal.advance(&state_dir, JournalState::Applying).unwrap();
    fs::remove_file(world.at("link")).unwrap();
    assert_eq!(recover(&world.root, &world.lock()).unwrap(), Recovery::Completed);
    assert_eq!(fs::read_link(world.at("link")).unwrap(), PathBuf::from("added"));
    assert!(crate::swap::on_probation(&world.root).unwrap().is_some());
}

#[test]
fn an_install_root_may_move_during_a_probation() {
    let world = ForeignWrites::on_probation();
    let moved = tempfile::tempdir_in(world.dir.path().parent().unwrap()).unwrap();
    let to = moved.path().join("another root");
    fs::create_dir(&to).unwrap();
    for name in ["core", ".patcher"] {
        fs::rename(world.dir.path().join(name), to.join(name)).unwrap();
    }
    let root = InstallRoot::new(to.clone());
    let lock = state::lock_updater(&state::open_or_create(&root).unwrap(), Duration::ZERO).unwrap();
    roll_back(&root, &lock, RollbackReason::Asked).unwrap().unwrap();
    assert_eq!(fs::read_to_string(to.join("core/a")).unwrap(), "old a");
}

#[test]
fn a_confirmation_needs_no_lock_and_a_rollback_after_it_finds_nothing() {
    let world = ForeignWrites::on_probation();
    let lock = world.lock();
    assert!(confirm(&world.root).unwrap());
    assert_eq!(roll_back(&world.root, &lock, RollbackReason::Silent).unwrap(), None);
    assert_eq!(recover(&world.root, &lock).unwrap(), Recovery::Finished);
    assert_eq!(fs::read_to_string(world.at("a")).unwrap(), "new a");
    assert!(!world.dir.path().join(".patcher/txn").exists());
}

/// A generator of numbers that are the same for the same seed (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// `FOREIGN_RUNS` chooses how many runs there are, `FOREIGN_SEED` the first one, and `FOREIGN_DIR`
/// the file system.
#[test]
fn one_to_three_changes_at_random_lead_back_and_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (runs, first) = (number("FOREIGN_RUNS").unwrap_or(200), number("FOREIGN_SEED").unwrap_or(1));
    for seed in first..first + runs {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let world = ForeignWrites::on_probation();
        let mut texts: Vec<(String, String)> = Vec::new();
        let mut made = Vec::new();
        for number in 0..=chance.below(3) {
            let (change, path) = (CHANGES[chance.below(CHANGES.len())], PATHS[chance.below(PATHS.len())]);
            let text = change.make(&world, path, &format!("text {number} of the user's"));
            // The longer text replaces a text that has grown.
            texts.retain(|(_, other)| !text.as_ref().is_some_and(|text| text.starts_with(other)));
            // A later change may remove what an earlier one made: that is the user's doing.
            let below = |other: &str| other == path || other.starts_with(&format!("{path}/"));
            if text.is_some() || change != Change::Append {
                texts.retain(|(other, _)| !below(other) || matches!(change, Change::Chmod | Change::ReadOnly));
            }
            texts.extend(text.map(|text| (path.to_owned(), text)));
            made.push(format!("{change:?} {path}"));
        }
        // Dead at some step of the way back, every other time.
        if chance.below(2) == 0 {
            let lock = world.lock();
            let steps = crate::disk::fs::Steps::stopping(crate::disk::fs::Stop::Dead, chance.below(60));
            let _ = roll_back(&world.root, &lock, RollbackReason::Asked);
            drop((steps, lock));
            recover(&world.root, &world.lock()).unwrap_or_else(|error| panic!("seed {seed}, {made:?}: {error}"));
        }
        if crate::swap::on_probation(&world.root).unwrap().is_some() {
            world.roll_back().unwrap_or_else(|error| panic!("seed {seed}, {made:?}: {error}"));
        }
        world.is_old(&format!("seed {seed}, {made:?}"));
        let found = world.texts();
        assert!(texts.iter().all(|(_, text)| found.contains(text)), "seed {seed}, {made:?} lost one of {texts:?}");
    }
    println!("{runs} runs from seed {first}: 0 stuck, 0 mixed, 0 texts lost");
}
