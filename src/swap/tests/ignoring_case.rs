//! Swaps on a disk on which `Readme` and `README` are one name, as on macOS and on ext4 folders
//! with `casefold`.

use super::*;
use crate::disk::fs::simulated::{Disk, Event, Mounted, NodeKind};
use crate::disk::inventory::Inventory;
use std::collections::{BTreeMap, BTreeSet};

/// Renamed in case alone, with and without a change, alone and with its folder; and a file that the
/// new version drops.
const OLD: [(&str, &str); 5] =
    [("Readme", "read"), ("Docs/a", "a"), ("NOTES", "old notes"), ("app", "old app"), ("DROPPED", "dropped")];
const NEW: [(&str, &str); 4] = [("README", "read"), ("docs/a", "a"), ("notes", "new notes"), ("app", "new app")];

fn start() -> Disk {
    let mut disk = Disk::ignoring_case();
    for (path, text) in OLD {
        disk.add_file(&format!("root/core/{path}"), text.as_bytes(), 0o644);
    }
    disk.add_folder("root/.patcher", 0o700);
    for (_, text) in NEW {
        let name = format!("{}-0", Sha256::of(text.as_bytes()));
        disk.add_file(&format!("root/.patcher/stage/core/files/{name}"), text.as_bytes(), 0o644);
    }
    disk
}

fn transaction() -> Transaction {
    let of = |tree: &[(&str, &str)], path: &str| {
        tree.iter().find(|(name, _)| *name == path).map_or(PathContent::Absent, |(_, text)| file(text))
    };
    let paths: BTreeSet<&str> = OLD.iter().chain(&NEW).map(|(path, _)| *path).collect();
    let step = |path: &&str| {
        let (old, new) = (of(&OLD, path), of(&NEW, path));
        let staged = new.sha256().map(|hash| format!("{hash}-0"));
        Step { path: SwapPath::Listed(RelPath::from_record(path).unwrap()), old, new, staged }
    };
    let component = ComponentSteps {
        component: "core".parse().unwrap(),
        own_work_dir: false,
        elsewhere: false,
        from: Some(Version::new(1, 0, 0)),
        to: Some(ReleaseContent { version: Version::new(2, 0, 0), sequence: 2, content: Sha256::of(b"2") }),
        new_folders: vec!["docs".into()],
        old_folders: vec![("Docs".into(), 0o755)],
        steps: paths.iter().map(step).collect(),
    };
    Transaction { probation: true, components: vec![component], ..Transaction::default() }
}

fn files(disk: &Disk) -> BTreeMap<String, String> {
    let text = |kind: &NodeKind| match kind {
        NodeKind::File(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    };
    let inside = |path: &str| path.strip_prefix("root/core/").map(str::to_owned);
    disk.paths().iter().filter_map(|(path, node)| Some((inside(path)?, text(&node.kind)?))).collect()
}

fn tree(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn run(disk: &Disk, death: Option<usize>, action: fn(&InstallRoot, &Lock) -> Result<()>) -> (Result<()>, Disk, usize) {
    let mounted = Mounted::new(disk.clone());
    if let Some(at) = death {
        mounted.schedule(at, Event::Death);
    }
    let root = InstallRoot::new(mounted.path().join("root"));
    let done = state::open_or_create(&root)
        .and_then(|state_dir| state::lock_updater(&state_dir, Duration::ZERO))
        .and_then(|lock| action(&root, &lock));
    (done, mounted.disk(), mounted.steps())
}

fn swap(root: &InstallRoot, lock: &Lock) -> Result<()> {
    prepare(root, lock, transaction())?;
    make_live(root, lock, None).map(drop)
}

fn back(root: &InstallRoot, lock: &Lock) -> Result<()> {
    roll_back(root, lock, RollbackReason::Asked).map(drop)
}

#[test]
fn names_that_differ_in_case_are_renamed_forth_and_back() {
    let (done, disk, _) = run(&start(), None, swap);
    done.unwrap();
    assert_eq!(files(&disk), tree(&NEW));
    let (done, disk, _) = run(&disk, None, back);
    done.unwrap();
    assert_eq!(files(&disk), tree(&OLD));
}

#[test]
fn a_swap_or_rollback_that_dies_anywhere_is_finished() {
    let swapped = run(&start(), None, swap).1;
    for (from, action) in [(start(), swap as fn(&InstallRoot, &Lock) -> Result<()>), (swapped, back)] {
        let total = run(&from, None, action).2;
        for at in 0..total {
            let dead = run(&from, Some(at), action).1;
            let (done, found, _) = run(&dead, None, |root, lock| recover(root, lock).map(drop));
            done.unwrap_or_else(|error| panic!("stuck after a death at {at}: {error}"));
            let found = files(&found);
            assert!(found == tree(&OLD) || found == tree(&NEW), "mixed after a death at {at}: {found:?}");
        }
    }
}

#[test]
fn an_entry_is_found_by_its_own_name_alone() {
    let mounted = Mounted::new(start());
    let core = mounted.path().join("root/core");
    let paths = ["Readme", "README", "docs/a", "Docs/a"];
    let inventory = Inventory::take(&core, paths.into_iter(), 1).unwrap();
    let found: Vec<&str> =
        inventory.iter().filter(|(_, content)| **content != PathContent::Absent).map(|(path, _)| path).collect();
    assert_eq!(found, ["Docs/a", "Readme"]);
    let dir = Dir::open(&core).unwrap();
    assert_eq!(dir.check_name("README").unwrap_err().code(), "name-taken");
    dir.remove_file("README").unwrap();
    assert!(dir.remove_folder("docs").unwrap());
    assert_eq!(dir.rename("app", &dir, "README").unwrap_err().code(), "name-taken");
    assert_eq!(dir.make_folder("docs", 0o755).unwrap_err().code(), "name-taken");
    assert_eq!(files(&mounted.disk()), tree(&OLD));
}

#[test]
fn something_of_the_users_in_other_letters_moves_beside_on_the_way_back() {
    let swapped = run(&start(), None, swap).1;
    // A file in a folder of the new version, and one with the name of a file that the new version
    // dropped.
    for (path, saved_as) in [("docs/mine", "docs.saved/mine"), ("dropped", "dropped.saved")] {
        let mut disk = swapped.clone();
        disk.add_file(&format!("root/core/{path}"), b"mine", 0o644);
        let (done, disk, _) = run(&disk, None, back);
        done.unwrap();
        let mut all = tree(&OLD);
        all.insert(saved_as.to_owned(), "mine".to_owned());
        assert_eq!(files(&disk), all);
    }
}
