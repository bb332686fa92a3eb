//! A file, folder or link of a disk in memory, as programs see it and as a power cut leaves it.

use super::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file, folder or link.
#[derive(Debug, Clone)]
pub struct Node {
    pub kind: NodeKind,
    /// The permission bits.
    pub mode: u32,
    /// The time of the last change, as `stat` reports it.
    pub changed: i64,
    /// The durable state; `None` for a file that was never synced.
    pub durable: Option<(NodeKind, u32)>,
}

/// The kind of a node, with its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NodeKind {
    File(Arc<[u8]>),
    Folder(BTreeMap<String, NodeId>),
    Link(String),
}

impl Node {
    pub fn file(bytes: Vec<u8>, mode: u32) -> Self {
        Self { kind: NodeKind::File(bytes.into()), mode, changed: 0, durable: None }
    }

    pub fn link(target: &str) -> Self {
        let kind = NodeKind::Link(target.to_owned());
        // The text of a link lasts as soon as its entry does.
        Self { durable: Some((kind.clone(), 0o777)), kind, mode: 0o777, changed: 0 }
    }

    pub fn folder(mode: u32) -> Self {
        let kind = NodeKind::Folder(BTreeMap::new());
        Self { durable: Some((kind.clone(), mode)), kind, mode, changed: 0 }
    }

    pub fn entries(&self) -> Option<&BTreeMap<String, NodeId>> {
        if let NodeKind::Folder(entries) = &self.kind { Some(entries) } else { None }
    }

    pub fn bytes(&self) -> Option<&[u8]> {
        if let NodeKind::File(bytes) = &self.kind { Some(bytes) } else { None }
    }

    /// Returns the kind without the numbers of the nodes in a folder.
    pub fn kind_without_entries(&self) -> NodeKind {
        if self.entries().is_some() { NodeKind::Folder(BTreeMap::new()) } else { self.kind.clone() }
    }

    pub fn set_entry(&mut self, name: &str, to: Option<NodeId>) {
        if let NodeKind::Folder(entries) = &mut self.kind {
            set(entries, name, to);
        }
    }

    pub fn set_entries(&mut self, entries: BTreeMap<String, NodeId>) {
        self.kind = NodeKind::Folder(entries);
    }

    pub fn durable_entries(&self) -> Option<&BTreeMap<String, NodeId>> {
        if let Some((NodeKind::Folder(entries), _)) = &self.durable { Some(entries) } else { None }
    }

    pub fn set_durable_entries(&mut self, changes: &[(String, Option<NodeId>)]) {
        if let Some((NodeKind::Folder(entries), _)) = &mut self.durable {
            changes.iter().for_each(|(name, to)| set(entries, name, *to));
        }
    }

    /// Replaces a file's bytes and returns whether they differ.
    pub fn set_bytes(&mut self, bytes: Vec<u8>) -> bool {
        let differs = self.bytes().is_some_and(|old| old != bytes);
        if differs {
            self.kind = NodeKind::File(bytes.into());
        }
        differs
    }

    /// Returns `true` if a power cut can change the bytes or the mode. Entries of folders are
    /// counted apart.
    pub fn is_unsynced(&self) -> bool {
        match (&self.kind, &self.durable) {
            (NodeKind::Folder(_), Some((_, mode))) => *mode != self.mode,
            (kind, Some((durable, mode))) => durable != kind || *mode != self.mode,
            (_, None) => true,
        }
    }

    /// Makes the bytes and the mode durable if they are `kept`; otherwise restores the durable
    /// ones.
    pub fn settle(&mut self, kept: bool) {
        match (&mut self.durable, kept) {
            (Some((NodeKind::Folder(_), mode)), true) => *mode = self.mode,
            (Some((NodeKind::Folder(_), mode)), false) => self.mode = *mode,
            (durable, true) => *durable = Some((self.kind.clone(), self.mode)),
            (Some((kind, mode)), false) => (self.kind, self.mode) = (kind.clone(), *mode),
            // An entry can last without the bytes of its file.
            (None, false) => self.kind = NodeKind::File(Arc::default()),
        }
    }

    pub fn make_durable(&mut self) {
        self.durable = Some((self.kind.clone(), self.mode));
    }
}

fn set(entries: &mut BTreeMap<String, NodeId>, name: &str, to: Option<NodeId>) {
    match to {
        Some(id) => drop(entries.insert(name.to_owned(), id)),
        None => drop(entries.remove(name)),
    }
}
