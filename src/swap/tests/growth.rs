//! The steps of a swap with many new folders.

use super::*;
use crate::disk::fs::simulated::{Disk, Mounted};

/// Returns the number of calls of a swap that brings this many folders with a file each, and of the
/// rollback after it.
fn steps(folders: usize) -> usize {
    let names: Vec<String> = (0..folders).map(|number| format!("folder-{number:03}")).collect();
    let mut disk = Disk::default();
    disk.add_folder("root/core", 0o755);
    disk.add_folder("root/.patcher", 0o700);
    let step = |name: &String| {
        let new = file(name);
        let staged = new.sha256().map(|hash| format!("{hash}-0"));
        let path = SwapPath::Listed(RelPath::new(&format!("{name}/file")).unwrap());
        Step { path, old: PathContent::Absent, new, staged }
    };
    let steps: Vec<Step> = names.iter().map(step).collect();
    for (name, step) in names.iter().zip(&steps) {
        let staged = step.staged.as_deref().unwrap();
        disk.add_file(&format!("root/.patcher/stage/core/files/{staged}"), name.as_bytes(), 0o644);
    }
    let component = ComponentSteps {
        component: "core".parse().unwrap(),
        own_work_dir: false,
        elsewhere: false,
        from: Some(Version::new(1, 0, 0)),
        to: Some(ReleaseContent { version: Version::new(2, 0, 0), sequence: 2, content: Sha256::of(b"2") }),
        new_folders: names,
        old_folders: Vec::new(),
        steps,
    };
    let transaction = Transaction { probation: true, components: vec![component], ..Transaction::default() };
    let mounted = Mounted::new(disk);
    let root = InstallRoot::new(mounted.path().join("root"));
    let lock = state::lock_updater(&state::open_or_create(&root).unwrap(), Duration::ZERO).unwrap();
    prepare(&root, &lock, transaction).unwrap();
    make_live(&root, &lock, None).unwrap().unwrap();
    roll_back(&root, &lock, RollbackReason::Asked).unwrap().unwrap();
    mounted.steps()
}

#[test]
fn the_steps_of_a_swap_grow_with_its_folders_and_no_faster() {
    let (few, many) = (steps(20), steps(80));
    assert!(many < 4 * few, "{few} steps with 20 folders, {many} with 80");
}
