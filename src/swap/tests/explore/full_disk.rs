//! A disk that fills at any step of the helper's swap: a complete version is there without a
//! recovery, as the program starts on the full disk, too.

use super::*;
use crate::disk::fs::simulated::Fault;

/// A folder that becomes a file, a file that becomes a folder, and a new folder.
const BEFORE: [(&str, &str); 3] = [("app", "old app"), ("place/v", "v"), ("turns", "a file")];
const AFTER: [(&str, &str); 4] = [("app", "new app"), ("new/y", "y"), ("place", "a file now"), ("turns/z", "z")];

fn disk() -> Disk {
    let mut disk = Disk::default();
    for (path, content) in BEFORE {
        disk.add_file(&format!("root/core/{path}"), content.as_bytes(), 0o644);
    }
    disk.add_folder("root/.patcher", 0o700);
    for (_, content) in AFTER {
        disk.add_file(&format!("root/.patcher/stage/core/files/{}", staged_name(content)), content.as_bytes(), 0o644);
    }
    disk
}

fn step(path: &str, old: PathContent, new: &str) -> Step {
    let (new, staged) = match new {
        "" => (PathContent::Absent, None),
        text => (file(text), Some(staged_name(text))),
    };
    Step { place: SwapPath::Listed(RelPath::new(path).unwrap()), old, new, staged }
}

fn swap(root: &InstallRoot) -> Result<bool> {
    let steps = vec![
        step("app", file("old app"), "new app"),
        step("new/y", PathContent::Absent, "y"),
        step("place", PathContent::Folder, "a file now"),
        step("place/v", file("v"), ""),
        step("turns", file("a file"), ""),
        step("turns/z", PathContent::Absent, "z"),
    ];
    let component = ComponentSteps {
        component: "core".parse().unwrap(),
        own_work_dir: false,
        from: Some(Version::new(1, 0, 0)),
        to: Some(ReleaseContent { version: Version::new(2, 0, 0), sequence: 2, content: Sha256::of(b"2") }),
        new_folders: ["new", "turns"].map(str::to_owned).into(),
        old_folders: vec![("place".to_owned(), 0o755)],
        steps,
    };
    let transaction = Transaction { probation: true, components: vec![component], ..Transaction::default() };
    locked(root, |lock| {
        prepare(root, lock, transaction)?;
        let ready = make_ready(root, lock).ok().flatten();
        make_live(root, lock, ready).map(|applied| applied.is_some())
    })
}

#[test]
fn a_disk_that_fills_at_any_step_leaves_a_complete_version() {
    let total = run(&disk(), swap, None).steps;
    let mut found = BTreeSet::new();
    for at in 0..=total {
        let left = run(&disk(), swap, Some((at, Event::Fault(Fault::NoSpace))));
        let files = component(&left.disk);
        let version = [("old", tree(&BEFORE)), ("new", tree(&AFTER))].into_iter().find(|(_, tree)| *tree == files);
        let Some((version, _)) = version else { panic!("full at step {at}: {:?}, {files:#?}", left.result) };
        assert_eq!(left.result.unwrap_or(false), version == "new", "full at step {at}");
        found.insert(version);
    }
    assert_eq!(found, BTreeSet::from(["new", "old"]));
}
