//! A content plan: the ways to obtain one new content, and what each costs.

use crate::formats::manifest::{Component, Object};

/// The ways to obtain a content without the object of the plan.
///
/// The last way, the whole `.gz`, always exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPlan {
    /// The size of the content in bytes.
    pub size: u64,
    /// A local file with this content, to be copied.
    pub copy: Option<LocalFile>,
    /// `true` if the [object](super::PlannedObject) of the plan is expected to make this content.
    pub is_in_object: bool,
    /// Local files that may contain chunks of the content.
    pub chunks: Option<ChunkPlan>,
    /// The whole content as a gzip.
    pub gz: Object,
}

/// A file of an installed component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// The component; `None` for the one that is planned.
    pub component: Option<Component>,
    /// The path in the component.
    pub path: String,
}

/// The objects and files needed to fetch only the chunks that no local file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPlan {
    /// The index of the chunks.
    pub index: Object,
    /// The local files to search, the most promising first.
    pub bases: Vec<LocalFile>,
}

impl ContentPlan {
    /// Returns the objects of all ways.
    pub fn objects(&self) -> impl Iterator<Item = Object> {
        self.chunks.iter().map(|chunks| chunks.index).chain([self.gz])
    }

    /// Returns the bytes to fetch for this content alone, in addition to the object of the plan.
    pub fn cost(&self) -> u64 {
        if self.copy.is_some() || self.is_in_object { 0 } else { self.own_cost() }
    }

    /// Returns the bytes to fetch if neither a copy nor the object of the plan makes this content.
    ///
    /// For chunks these are the index and the whole `.gz`: only the index tells which ranges are
    /// missing.
    pub fn own_cost(&self) -> u64 {
        self.gz.size.saturating_add(self.chunks.as_ref().map_or(0, |chunks| chunks.index.size))
    }
}
