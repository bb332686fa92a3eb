//! A content plan: the ways to obtain one new content, and what each costs.

use crate::formats::manifest::{Component, Object};

/// The ways to obtain a content without the object of the plan.
///
/// The last way, the whole content, always exists.
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
    /// The whole content.
    pub whole: WholeContent,
}

/// The last way to a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholeContent {
    /// A gzip of this content alone.
    Gz(Object),
    /// Blocks of the [install object](super::Plan::install), in a flat layout.
    Blocks {
        /// An estimate of the bytes to fetch.
        cost: u64,
    },
}

impl WholeContent {
    /// Returns the bytes to fetch for the content alone.
    pub fn cost(&self) -> u64 {
        match self {
            Self::Gz(gz) => gz.size,
            Self::Blocks { cost } => *cost,
        }
    }

    /// Returns the gzip, if there is one.
    pub fn gz(&self) -> Option<Object> {
        match self {
            Self::Gz(gz) => Some(*gz),
            Self::Blocks { .. } => None,
        }
    }
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
    /// The gzip that holds them.
    pub gz: Object,
    /// The local files to search, the most promising first.
    pub bases: Vec<LocalFile>,
}

impl ContentPlan {
    /// Returns the objects of this content alone.
    pub fn objects(&self) -> impl Iterator<Item = Object> {
        self.chunks.iter().map(|chunks| chunks.index).chain(self.whole.gz())
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
        self.whole.cost().saturating_add(self.chunks.as_ref().map_or(0, |chunks| chunks.index.size))
    }
}
