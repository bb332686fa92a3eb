//! Recovery from states that a crash can leave, built by hand. Crashes of real processes at every
//! call are in `tests/crash`.

mod every_step;
#[cfg(unix)]
mod explore;
#[cfg(unix)]
mod foreign;
#[cfg(unix)]
mod growth;
#[cfg(unix)]
mod ignoring_case;
mod ready;

use super::*;
use crate::disk::fs::Found;
use crate::disk::inventory::PathContent;
use crate::state::journal::{ComponentSteps, ReleaseContent, Step, SwapPath};
use crate::state::{RollbackReason, Verdicts};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use semver::Version;
use std::fs;
use std::time::Duration;

/// A swap that replaces `a`, removes `old/x` with its folder, and adds `new/y`.
struct SwapScene {
    dir: tempfile::TempDir,
    root: InstallRoot,
}

fn file(content: &str) -> PathContent {
    PathContent::File { sha256: Sha256::of(content.as_bytes()), mode: 0o644 }
}

/// The mode of the folder that goes: one that it would not have by itself, where there are modes.
const FOLDER_MODE: u32 = if cfg!(unix) { 0o775 } else { 0o755 };

impl SwapScene {
    /// Installs the old version with backups, and writes a journal that says `state`.
    fn new(state: JournalState) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = InstallRoot::new(dir.path().to_owned());
        let scene = Self { dir, root };
        for (path, content) in [("core/a", "old a"), ("core/old/x", "x")] {
            scene.write(path, content);
        }
        Dir::open(&scene.path("core/old")).unwrap().set_mode(FOLDER_MODE).unwrap();
        let state_dir = state::open_or_create(&scene.root).unwrap();
        for (index, content) in [(0, "old a"), (1, "x")] {
            scene.write(&format!(".patcher/txn/core/{index}"), content);
        }
        let step = |path: &str, old: PathContent, new: PathContent| {
            let staged = new.sha256().map(|hash| format!("{hash}-0"));
            Step { path: SwapPath::Listed(RelPath::new(path).unwrap()), old, new, staged }
        };
        let component = ComponentSteps {
            component: "core".parse().unwrap(),
            own_work_dir: false,
            elsewhere: false,
            from: Some(Version::new(1, 0, 0)),
            to: Some(ReleaseContent { version: Version::new(2, 0, 0), sequence: 2, content: Sha256::of(b"2") }),
            new_folders: vec!["new".into()],
            old_folders: vec![("old".into(), FOLDER_MODE)],
            steps: vec![
                step("a", file("old a"), file("new a")),
                step("old/x", file("x"), PathContent::Absent),
                step("new/y", PathContent::Absent, file("y")),
            ],
        };
        let mut journal = Journal::begin(
            &state_dir,
            Transaction { probation: true, components: vec![component], ..Transaction::default() },
        )
        .unwrap();
        journal.advance(&state_dir, state).unwrap();
        scene
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), content).unwrap();
        let file = Dir::open(self.path(path).parent().unwrap()).unwrap();
        file.ensure_mode(path.rsplit('/').next().unwrap(), 0o644).unwrap();
    }

    fn lock(&self) -> Lock {
        state::lock_updater(&state::open_or_create(&self.root).unwrap(), Duration::ZERO).unwrap()
    }

    fn recover(&self) -> Result<Recovery> {
        recover(&self.root, &self.lock())
    }

    fn is_old(&self) -> bool {
        fs::read_to_string(self.path("core/a")).unwrap() == "old a"
            && fs::read_to_string(self.path("core/old/x")).unwrap() == "x"
            && Dir::open(&self.path("core")).unwrap().find("old").unwrap() == Found::Folder { mode: FOLDER_MODE }
            && !self.path("core/new").exists()
            && !self.path(".patcher/txn").exists()
            && !self.path(".patcher/journal").exists()
    }
}

#[test]
fn whatever_part_of_a_swap_was_done_is_undone() {
    let steps: [fn(&SwapScene); 5] = [
        |scene| fs::remove_file(scene.path("core/old/x")).unwrap(),
        |scene| fs::remove_dir(scene.path("core/old")).unwrap(),
        |scene| fs::create_dir(scene.path("core/new")).unwrap(),
        |scene| scene.write("core/a", "new a"),
        |scene| scene.write("core/new/y", "y"),
    ];
    for done in 0..=steps.len() {
        let scene = SwapScene::new(JournalState::Applying);
        steps[..done].iter().for_each(|step| step(&scene));
        assert_eq!(scene.recover().unwrap(), Recovery::RolledBack);
        assert!(scene.is_old(), "after {done} steps");
        assert_eq!(scene.recover().unwrap(), Recovery::Nothing);
    }
}

#[test]
fn a_prepared_swap_is_forgotten_and_a_confirmed_one_is_cleaned_up() {
    let scene = SwapScene::new(JournalState::Prepared);
    assert_eq!(scene.recover().unwrap(), Recovery::Discarded);
    assert!(scene.is_old());

    let scene = SwapScene::new(JournalState::Confirmed);
    scene.write("core/a", "new a");
    assert_eq!(scene.recover().unwrap(), Recovery::Finished);
    assert_eq!(fs::read_to_string(scene.path("core/a")).unwrap(), "new a");
    assert!(!scene.path(".patcher/txn").exists() && !scene.path(".patcher/journal").exists());
}

#[test]
fn a_file_of_the_users_in_a_new_folder_stays() {
    let scene = SwapScene::new(JournalState::Applying);
    scene.write("core/new/mine", "mine");
    assert_eq!(scene.recover().unwrap(), Recovery::RolledBack);
    assert_eq!(fs::read_to_string(scene.path("core/new/mine")).unwrap(), "mine");
}

#[test]
fn a_damaged_backup_is_not_restored_and_everything_is_kept() {
    let scene = SwapScene::new(JournalState::Applying);
    scene.write("core/a", "new a");
    scene.write(".patcher/txn/core/0", "damaged");
    assert_eq!(scene.recover().unwrap_err().code(), "undo-failed");
    assert_eq!(fs::read_to_string(scene.path("core/a")).unwrap(), "new a");
    assert!(scene.path(".patcher/journal").exists() && scene.path(".patcher/txn/core/1").exists());

    scene.write(".patcher/txn/core/0", "old a");
    assert_eq!(scene.recover().unwrap(), Recovery::RolledBack);
    assert!(scene.is_old());
}

#[test]
fn a_plan_for_another_folder_is_not_carried_out() {
    let mut scene = SwapScene::new(JournalState::Applying);
    let name: crate::formats::manifest::Component = "core".parse().unwrap();
    scene.root.elsewhere.insert(name, scene.path("elsewhere"));
    assert_eq!(scene.recover().unwrap_err().code(), "undo-failed");
    assert!(!scene.path("elsewhere").exists() && scene.path(".patcher/journal").exists());
}

/// Returns a scene whose new version is installed and on probation.
fn on_probation() -> SwapScene {
    let scene = SwapScene::new(JournalState::Committed);
    scene.write("core/a", "new a");
    fs::remove_dir_all(scene.path("core/old")).unwrap();
    scene.write("core/new/y", "y");
    scene
}

#[test]
fn a_version_on_probation_is_left_alone_by_a_recovery() {
    let scene = on_probation();
    assert_eq!(scene.recover().unwrap(), Recovery::Nothing);
    assert_eq!(fs::read_to_string(scene.path("core/a")).unwrap(), "new a");
    assert!(super::on_probation(&scene.root).unwrap().is_some());
}

#[test]
fn a_version_that_is_kept_leaves_no_backups() {
    let scene = on_probation();
    assert!(confirm(&scene.root).unwrap());
    assert_eq!(fs::read_to_string(scene.path("core/a")).unwrap(), "new a");
    assert!(!scene.path(".patcher/txn").exists() && !scene.path(".patcher/journal").exists());
    assert!(!confirm(&scene.root).unwrap());
    assert_eq!(roll_back(&scene.root, &scene.lock(), RollbackReason::Asked).unwrap(), None);
}

#[test]
fn a_version_that_is_taken_back_is_remembered_as_bad() {
    let scene = on_probation();
    let applied = roll_back(&scene.root, &scene.lock(), RollbackReason::Exited(3)).unwrap().unwrap();
    let name: crate::formats::manifest::Component = "core".parse().unwrap();
    let change =
        ComponentChange { component: name.clone(), from: Some(Version::new(2, 0, 0)), to: Some(Version::new(1, 0, 0)) };
    assert_eq!(applied.components, [change]);
    assert!(scene.is_old());
    let verdicts = Verdicts::load_or_default(&state::open_or_create(&scene.root).unwrap()).unwrap();
    assert_eq!(verdicts.bad_release(&name, &Sha256::of(b"2")).unwrap().reason, RollbackReason::Exited(3));
}

#[test]
fn what_was_changed_on_probation_is_kept_beside() {
    let scene = on_probation();
    scene.write("core/a", "mine");
    scene.write("core/a.saved", "mine too");
    roll_back(&scene.root, &scene.lock(), RollbackReason::Asked).unwrap().unwrap();
    assert!(scene.is_old());
    assert_eq!(fs::read_to_string(scene.path("core/a.saved-2")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(scene.path("core/a.saved")).unwrap(), "mine too");
}

#[test]
fn an_undone_swap_is_counted_against_its_release() {
    let scene = SwapScene::new(JournalState::Applying);
    scene.recover().unwrap();
    let verdicts = Verdicts::load_or_default(&state::open_or_create(&scene.root).unwrap()).unwrap();
    assert_eq!(verdicts.failed_swaps(&"core".parse().unwrap(), 2), 1);
}
