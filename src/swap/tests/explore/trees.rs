//! The components that an exploration updates: each has an old and a new version.

use super::*;

/// Paths and contents of the files of one version.
type Files = &'static [(&'static str, &'static str)];

/// An old and a new version of a component.
#[derive(Clone, Copy)]
pub struct Trees {
    pub old: Files,
    pub new: Files,
}

/// Files that are replaced, added, dropped and kept, and a file that becomes a folder.
pub const MOST_CHANGES: Trees = Trees {
    old: &[("app", "old app"), ("gone/x", "x"), ("kept", "kept"), ("settings", "old settings"), ("turns", "file")],
    new: &[("app", "new app"), ("kept", "kept"), ("new/y", "y"), ("settings", "new settings"), ("turns/z", "z")],
};
/// A folder that becomes a file.
///
/// It is a separate, small component, because the time of an exploration grows with the square of
/// the number of files.
pub const FOLDER_BECOMES_FILE: Trees =
    Trees { old: &[("app", "old app"), ("place/v", "v")], new: &[("app", "new app"), ("place", "a file now")] };
/// The version of a component that was removed.
const REMOVED: Files = &[];
/// The content of a folder, among the texts of files.
const FOLDER: &str = "/";

impl Trees {
    /// Returns a disk with the old version installed and the new one staged.
    pub fn start(self) -> Disk {
        let mut disk = Disk::default();
        for (path, content) in self.old {
            disk.add_file(&format!("root/core/{path}"), content.as_bytes(), 0o644);
        }
        disk.add_folder("root/.patcher", 0o700);
        for (_, content) in self.new.iter().filter(|entry| !self.old.contains(entry)) {
            let staged = format!("root/.patcher/stage/core/files/{}", staged_name(content));
            disk.add_file(&staged, content.as_bytes(), 0o644);
        }
        disk
    }

    /// Returns a disk with the new version on probation.
    pub fn on_probation(self) -> Disk {
        let swapped = self.run(&self.start(), swap_on_probation, None);
        assert!(swapped.result.unwrap());
        assert_eq!(self.version(&swapped.disk, &[]), Some("new"));
        swapped.disk
    }

    /// Returns the swap from the old version to the new one.
    pub fn transaction(self, probation: bool) -> Transaction {
        let to = ReleaseContent { version: Version::new(2, 0, 0), sequence: 2, content: Sha256::of(b"2") };
        Transaction { probation, components: vec![self.steps_to(self.new, Some(to))], ..Transaction::default() }
    }

    /// Returns the swap that removes the component.
    pub fn removal(self) -> Transaction {
        Transaction { probation: false, components: vec![self.steps_to(REMOVED, None)], ..Transaction::default() }
    }

    fn steps_to(self, new_files: Files, to: Option<ReleaseContent>) -> ComponentSteps {
        let (old, new) = (tree(self.old), tree(new_files));
        let content = |tree: &BTreeMap<String, String>, path: &str| match tree.get(path).map(String::as_str) {
            None => PathContent::Absent,
            Some(FOLDER) => PathContent::Folder,
            Some(text) => file(text),
        };
        let (mut steps, mut new_folders, mut old_folders) = (Vec::new(), Vec::new(), Vec::new());
        for path in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let (before, after) = (content(&old, path), content(&new, path));
            match (&before, &after) {
                (PathContent::Folder, PathContent::Folder) => {}
                (PathContent::Folder, _) => old_folders.push((path.clone(), 0o755)),
                (_, PathContent::Folder) => new_folders.push(path.clone()),
                _ => {}
            }
            // A step leads from a file or to a file. The lists above bring and remove folders.
            let (old, new) = match (before, after) {
                (PathContent::Folder, PathContent::Absent | PathContent::Folder) => continue,
                (before, PathContent::Folder) => (before, PathContent::Absent),
                contents => contents,
            };
            if old != new {
                let staged = matches!(new, PathContent::File { .. }).then(|| staged_name(&tree(new_files)[path]));
                steps.push(Step { path: SwapPath::Listed(RelPath::new(path).unwrap()), old, new, staged });
            }
        }
        ComponentSteps {
            component: "core".parse().unwrap(),
            own_work_dir: false,
            elsewhere: false,
            from: Some(Version::new(1, 0, 0)),
            to,
            new_folders,
            old_folders,
            steps,
        }
    }

    /// Returns the version that the component is, apart from `touched` and all below and beside it.
    pub fn version(self, disk: &Disk, touched: &[&str]) -> Option<&'static str> {
        let without = |tree: BTreeMap<String, String>| -> BTreeMap<String, String> {
            let top = |path: &str| {
                path.split('/').next().unwrap_or_default().split(".saved").next().unwrap_or_default().to_owned()
            };
            let is_touched = |path: &str| touched.iter().any(|touched| top(path) == top(touched));
            tree.into_iter().filter(|(path, _)| !is_touched(path)).collect()
        };
        let found = without(component(disk));
        // A removed component is the new version of a removal.
        let versions = [("old", self.old), ("new", self.new), ("new", REMOVED)];
        versions.into_iter().find(|(_, files)| found == without(tree(files))).map(|(name, _)| name)
    }
}

/// Returns the files and folders of a version by path.
fn tree(files: Files) -> BTreeMap<String, String> {
    let mut tree: BTreeMap<_, _> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let folders = files.iter().filter_map(|(path, _)| path.split_once('/'));
    tree.extend(folders.map(|(folder, _)| (folder.to_owned(), FOLDER.to_owned())));
    tree
}

/// Returns the component's files and folders on a disk by path.
pub fn component(disk: &Disk) -> BTreeMap<String, String> {
    let text = |kind: &NodeKind| match kind {
        NodeKind::File(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        NodeKind::Folder(_) => FOLDER.to_owned(),
        NodeKind::Link(target) => format!("-> {target}"),
    };
    let inside = |path: &str| path.strip_prefix("root/core/").map(str::to_owned);
    disk.paths().iter().filter_map(|(path, node)| Some((inside(path)?, text(&node.kind)))).collect()
}

fn staged_name(content: &str) -> String {
    format!("{}-0", Sha256::of(content.as_bytes()))
}
