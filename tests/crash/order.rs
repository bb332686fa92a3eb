//! The order of syncs, compared with the strictest file system that POSIX allows: only files and
//! folders that were synced themselves are sure to survive a power cut.
//!
//! ext4 writes its journal in order, and so keeps more than it must. A sync that only other file
//! systems need is found here. When the updater's journal takes its next state, all earlier changes
//! must be synced. When the program ends, the component and the journal's last change must be.

use crate::scene::CrashScene;
use crate::trace::Call;
use std::collections::BTreeMap;

/// Files and folders that nothing depends on.
const LOOSE: [&str; 9] = [
    "lock",
    "deciding",
    "choosing",
    "downloading",
    "running",
    "helper.log",
    "output.log",
    "starts.xml",
    "stage/core/objects",
];

/// The changes that were not synced.
#[derive(Default)]
struct Unsynced {
    /// Folders by path, with the last change of an entry.
    folders: BTreeMap<String, String>,
    /// Files by path, with the last change of bytes or mode.
    files: BTreeMap<String, String>,
}

impl Unsynced {
    fn follow(&mut self, call: &Call) {
        let words = || format!("{}({}", call.name, call.text);
        let folder = |at: usize| call.descriptor(at).map(str::to_owned);
        let folders = &mut self.folders;
        let changed =
            |folders: &mut BTreeMap<_, _>, path: Option<String>| path.map(|path| folders.insert(path, words()));
        match call.name.as_str() {
            "fsync" | "fdatasync" => {
                let path = call.descriptor(0).unwrap_or_default();
                folders.remove(path);
                self.files.remove(path);
            }
            _ if !call.succeeded() => {}
            // A link is made under this name and moved to its place at once.
            "symlinkat" | "linkat" if call.quoted(1) == Some("ready") => {}
            "renameat" | "linkat" => {
                let path = |at: usize| Some(format!("{}/{}", call.descriptor(at)?, call.quoted(at)?));
                let (from, to) = (path(0), path(1));
                changed(folders, folder(1));
                // Nothing depends on the old name of a file that moves out of the updater's
                // folders.
                let is_own = folder(0).is_some_and(|path| path.contains("/.patcher/"));
                if call.name == "renameat" && !is_own {
                    changed(folders, folder(0));
                }
                if let (Some(from), Some(to)) = (from, to) {
                    let known = if call.name == "renameat" {
                        self.files.remove(&to);
                        self.files.remove(&from)
                    } else {
                        self.files.get(&from).cloned()
                    };
                    known.map(|words| self.files.insert(to, words));
                }
            }
            "unlinkat" => {
                if let (Some(folder), Some(name)) = (call.descriptor(0), call.quoted(0)) {
                    let path = format!("{folder}/{name}");
                    self.files.remove(&path);
                    // Changes in a removed folder need no sync.
                    folders.retain(|folder, _| *folder != path && !folder.starts_with(&format!("{path}/")));
                }
                changed(folders, folder(0));
            }
            "mkdir" => {
                let parent = call.quoted(0).and_then(|path| path.rsplit_once('/'));
                changed(folders, parent.map(|(parent, _)| parent.to_owned()));
            }
            // A spare folder only reserves space for an undo. A power cut may take it.
            "mkdirat" if call.quoted(0).is_some_and(|name| name.starts_with("spare-")) => {}
            "mkdirat" | "symlinkat" => drop(changed(folders, folder(0))),
            "openat" if call.text.contains("O_EXCL") => drop(changed(folders, folder(0))),
            "write" | "fchmod" | "ftruncate" | "copy_file_range" => {
                // A copy's target is its second descriptor.
                let at = usize::from(call.name == "copy_file_range");
                if let Some(path) = call.descriptor(at).filter(|path| path.starts_with('/')) {
                    self.files.insert(path.to_owned(), words());
                }
            }
            _ => {}
        }
    }

    /// Returns the unsynced changes below one of `places`.
    fn below(&self, places: &[String]) -> Vec<String> {
        let is_loose = |path: &str| LOOSE.iter().any(|name| path.ends_with(&format!("/.patcher/{name}")));
        let changes = self.folders.iter().chain(&self.files);
        changes
            .filter(|(path, _)| places.iter().any(|place| path.starts_with(place)) && !is_loose(path))
            .map(|(path, words)| format!("{path} after {words}"))
            .collect()
    }
}

/// Returns the state folder if this call changes or removes the journal.
fn journals(call: &Call) -> Option<&str> {
    let at = match call.name.as_str() {
        "renameat" => 1,
        "unlinkat" => 0,
        _ => return None,
    };
    (call.quoted(at) == Some("journal")).then(|| call.descriptor(at)).flatten()
}

fn run(scene: &CrashScene) {
    follow(scene, &[]);
}

/// Runs the program with these options of strace, and checks that each sync comes in time.
fn follow(scene: &CrashScene, options: &[&str]) {
    scene.bring_back("start");
    let (_, calls) = scene.calls_with(options, scene.program());
    let mut unsynced = Unsynced::default();
    let (mut states, mut last, mut wrong) = (0, None, Vec::new());
    let user = scene.user();
    let everything: Vec<String> = std::iter::once(user.root())
        .chain(user.elsewhere.values().cloned())
        .map(|dir| dir.display().to_string())
        .collect();
    for call in calls.iter().filter(|call| call.changes()) {
        if let (Some(folder), "renameat") = (journals(call), call.name.as_str()) {
            // The journal's own folder is synced right after the rename.
            let found = unsynced.below(&everything);
            wrong.extend(found.into_iter().filter(|words| !words.starts_with(&format!("{folder} after"))));
            states += 1;
        }
        if journals(call).is_some() && call.succeeded() {
            last = journals(call).map(str::to_owned);
        }
        unsynced.follow(call);
    }
    let components = ["core", "addon"].map(|name| user.component(name).display().to_string());
    wrong.extend(unsynced.below(&components).into_iter().filter(|words| !words.contains("/.patcher")));
    // The folder above a component says whether the component exists.
    let parents = components.iter().filter_map(|path| path.rsplit_once('/')).map(|(parent, _)| parent);
    wrong.extend(parents.filter_map(|parent| unsynced.folders.get(parent)).cloned());
    let last = last.expect("the journal has changed");
    wrong.extend(unsynced.folders.get(&last).filter(|words| words.contains("\"journal\"")).cloned());
    assert!(states > 0 && wrong.is_empty(), "{}: not synced: {wrong:#?}", scene.name);
}

scenarios! {
    helper, apply, apply_unwatched, two_components, first_install, remove, other_disk, remove_other_disk, keep, take_back,
}

#[test]
fn a_disk_without_second_names() {
    if let Some(scene) = crate::scenarios::helper() {
        follow(&scene, &["-e", "inject=linkat:error=EOPNOTSUPP"]);
    }
}
