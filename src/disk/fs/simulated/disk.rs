//! The contents of a disk in memory: what programs see, and what a power cut leaves.

use super::event::ForeignWrite;
use super::node::Node;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The node of a disk's root folder.
pub(super) const ROOT: NodeId = 1;

/// The number of a file, folder or link of a disk.
pub type NodeId = u64;

/// The contents of a disk.
#[derive(Debug, Clone)]
pub struct Disk {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    next: NodeId,
    /// Counts changes, for the times of change that programs see.
    clock: i64,
    /// The changes of folders that no sync has made durable, oldest first.
    pending: Vec<EntryChange>,
    /// `true` if `readme` and `README` are one name.
    pub(super) ignores_case: bool,
}

/// A change of one folder's entries: a rename within a folder is one change.
#[derive(Debug, Clone)]
struct EntryChange {
    folder: NodeId,
    /// The names and what they lead to from then on; `None` where the name is gone.
    entries: Vec<(String, Option<NodeId>)>,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::folder(0o755))]),
            next: ROOT + 1,
            clock: 1,
            pending: Vec::new(),
            ignores_case: false,
        }
    }
}

impl Disk {
    /// Returns an empty disk on which `readme` and `README` are one name, as on macOS.
    pub fn ignoring_case() -> Self {
        Self { ignores_case: true, ..Self::default() }
    }

    /// Adds a file, and the folders that it lies in, all durable.
    pub fn add_file(&mut self, path: &str, bytes: &[u8], mode: u32) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.add_folder(folder, 0o755);
        let file = self.add(Node::file(bytes.to_vec(), mode));
        self.link(folder, name, Some(file));
        self.make_durable();
    }

    /// Adds a folder, and those that it lies in, all durable. One that is there stays as it is.
    pub fn add_folder(&mut self, path: &str, mode: u32) -> NodeId {
        let mut folder = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = match self.entry(folder, name) {
                Some(inner) => inner,
                None => {
                    let inner = self.add(Node::folder(mode));
                    self.link(folder, name, Some(inner));
                    inner
                }
            };
        }
        self.make_durable();
        folder
    }

    /// Returns every path below the root with its node, sorted.
    pub fn paths(&self) -> BTreeMap<String, &Node> {
        let mut paths = BTreeMap::new();
        let mut folders = vec![(String::new(), ROOT)];
        while let Some((above, folder)) = folders.pop() {
            let Some(entries) = self.nodes.get(&folder).and_then(Node::entries) else { continue };
            for (name, id) in entries {
                let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
                if let Some(node) = self.nodes.get(id) {
                    folders.push((path.clone(), *id));
                    paths.insert(path, node);
                }
            }
        }
        paths
    }

    /// Returns a hash of all that programs see on the disk and that power cuts can leave.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (path, node) in self.paths() {
            (path, &node.kind_without_entries(), node.mode, &node.durable).hash(&mut hasher);
        }
        for change in &self.pending {
            change.entries.iter().map(|(name, to)| (name, to.is_some())).collect::<Vec<_>>().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Returns the number of changes that a [power cut](Self::power_cut) may lose.
    pub fn unsynced(&self) -> usize {
        self.pending.len() + self.unsynced_files().len()
    }

    /// Returns the disk that a power cut leaves.
    ///
    /// `lasts` returns `true` for each unsynced change that survives, by its number from 0.
    pub fn power_cut(mut self, lasts: impl Fn(usize) -> bool) -> Disk {
        let files = self.unsynced_files();
        for (at, id) in files.iter().enumerate() {
            let kept = lasts(self.pending.len() + at);
            if let Some(node) = self.nodes.get_mut(id) {
                node.settle(kept);
            }
        }
        let mut folders: BTreeMap<NodeId, BTreeMap<String, NodeId>> =
            self.nodes.iter().filter_map(|(id, node)| Some((*id, node.durable_entries()?.clone()))).collect();
        for (_, change) in self.pending.iter().enumerate().filter(|(at, _)| lasts(*at)) {
            let entries = folders.entry(change.folder).or_default();
            for (name, to) in &change.entries {
                match to {
                    Some(id) => drop(entries.insert(name.clone(), *id)),
                    None => drop(entries.remove(name)),
                }
            }
        }
        for (id, entries) in folders {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.set_entries(entries);
            }
        }
        self.make_durable();
        self
    }

    /// Makes the change of another program; does nothing if that change is not possible.
    pub(super) fn foreign_write(&mut self, write: &ForeignWrite) {
        let (ForeignWrite::InPlace(path, _)
        | ForeignWrite::Replace(path, _)
        | ForeignWrite::Remove(path)
        | ForeignWrite::SetMode(path, _)
        | ForeignWrite::Folder(path, _)
        | ForeignWrite::Link(path, _)) = write;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(folder) = self.find(folder).filter(|id| self.nodes[id].entries().is_some()) else { return };
        let found = self.entry(folder, name);
        let new = match write {
            ForeignWrite::InPlace(_, text) => {
                if let Some(id) = found.filter(|id| self.nodes[id].bytes().is_some()) {
                    self.set_bytes(id, text.as_bytes().to_vec());
                }
                return;
            }
            ForeignWrite::SetMode(_, mode) => {
                if let Some(id) = found {
                    self.set_mode(id, *mode);
                }
                return;
            }
            ForeignWrite::Remove(_) => None,
            ForeignWrite::Replace(_, text) => Some(self.add(Node::file(text.as_bytes().to_vec(), 0o644))),
            ForeignWrite::Link(_, target) => Some(self.add(Node::link(target))),
            ForeignWrite::Folder(_, text) => {
                let inner = self.add(Node::file(text.as_bytes().to_vec(), 0o644));
                let new = self.add(Node::folder(0o755));
                self.link(new, "inner", Some(inner));
                Some(new)
            }
        };
        self.link(folder, name, new);
    }

    /// Finds the node at a path, without following links.
    pub(super) fn find(&self, path: &str) -> Option<NodeId> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(ROOT, |folder, name| self.entry(folder, name))
    }

    pub(super) fn entry(&self, folder: NodeId, name: &str) -> Option<NodeId> {
        let entries = self.nodes.get(&folder)?.entries()?;
        let same = |stored: &&String| self.ignores_case && stored.to_lowercase() == name.to_lowercase();
        entries.get(name).or_else(|| entries.get(entries.keys().find(same)?)).copied()
    }

    pub(super) fn add(&mut self, node: Node) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.clock += 1;
        self.nodes.insert(id, Node { changed: self.clock, ..node });
        id
    }

    /// Makes an entry lead to another node; `None` removes it.
    pub(super) fn link(&mut self, folder: NodeId, name: &str, to: Option<NodeId>) {
        self.change_entries(folder, vec![(name.to_owned(), to)]);
    }

    pub(super) fn change_entries(&mut self, folder: NodeId, mut entries: Vec<(String, Option<NodeId>)>) {
        if self.ignores_case {
            // A new entry replaces one whose name has other letters.
            let stored = |name: &String| {
                let present = self.nodes.get(&folder)?.entries()?;
                present.keys().find(|stored| *stored != name && stored.to_lowercase() == name.to_lowercase()).cloned()
            };
            let replaced: Vec<_> = entries.iter().filter_map(|(name, _)| Some((stored(name)?, None))).collect();
            entries.splice(0..0, replaced);
        }
        for (name, to) in &entries {
            let old = self.entry(folder, name);
            let Some(node) = self.nodes.get_mut(&folder) else { return };
            node.set_entry(name, *to);
            for id in [old, *to].into_iter().flatten() {
                self.touch(id);
            }
        }
        self.pending.push(EntryChange { folder, entries });
    }

    fn touch(&mut self, id: NodeId) {
        self.clock += 1;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.changed = self.clock;
        }
    }

    pub(super) fn set_bytes(&mut self, id: NodeId, bytes: Vec<u8>) {
        if self.nodes.get_mut(&id).is_some_and(|node| node.set_bytes(bytes)) {
            self.touch(id);
        }
    }

    pub(super) fn set_mode(&mut self, id: NodeId, mode: u32) {
        if let Some(node) = self.nodes.get_mut(&id).filter(|node| node.mode != mode) {
            node.mode = mode;
            self.touch(id);
        }
    }

    pub(super) fn sync(&mut self, id: NodeId) {
        self.pending.retain(|change| {
            if change.folder == id
                && let Some(node) = self.nodes.get_mut(&id)
            {
                node.set_durable_entries(&change.entries);
            }
            change.folder != id
        });
        if let Some(node) = self.nodes.get_mut(&id) {
            node.settle(true);
        }
    }

    /// Returns the files whose bytes or mode are not durable.
    fn unsynced_files(&self) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, node)| node.is_unsynced()).map(|(id, _)| *id).collect()
    }

    fn make_durable(&mut self) {
        self.pending.clear();
        self.nodes.values_mut().for_each(Node::make_durable);
    }
}
