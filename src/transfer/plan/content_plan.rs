//! A content plan: the ways to obtain one new content, and what each costs.

use crate::formats::manifest::{Component, Object};
use crate::values::digest::Sha256;

/// The ways to obtain a content, in the order in which a client tries them.
///
/// The last way, the whole `.gz`, always exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPlan {
    /// The size of the content in bytes.
    pub size: u64,
    /// A local file with this content, to be copied.
    pub copy: Option<LocalFile>,
    /// Deltas from a local file. They cost less than the whole `.gz`.
    pub chain: Option<DeltaChain>,
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

/// A chain of deltas from a local file to a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaChain {
    /// The local file that the first delta reads.
    pub base: LocalFile,
    /// The content that `base` should have.
    pub from: Sha256,
    /// The deltas in order, at least one. The last makes the content.
    pub hops: Vec<Hop>,
    /// The second base of the last delta.
    pub second_base: Option<SecondBase>,
}

/// One delta of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The delta.
    pub delta: Object,
    /// The content that the delta makes.
    pub to: Sha256,
}

/// A second base: another file that a delta reads after its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondBase {
    /// A local file has the content.
    Local(LocalFile),
    /// The content is new, and the same plan obtains it.
    Planned(Sha256),
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
        let hops = self.chain.iter().flat_map(|chain| &chain.hops).map(|hop| hop.delta);
        hops.chain(self.chunks.iter().map(|chunks| chunks.index)).chain([self.gz])
    }

    /// Returns the bytes to fetch by the first way.
    ///
    /// For chunks these are the index and the whole `.gz`: only the index tells which ranges are
    /// missing.
    pub fn cost(&self) -> u64 {
        match (&self.copy, &self.chain) {
            (Some(_), _) => 0,
            (None, Some(chain)) => chain.cost(),
            (None, None) => self.cost_without_chain(),
        }
    }

    /// Returns the bytes to fetch if neither a copy nor the deltas work.
    pub fn cost_without_chain(&self) -> u64 {
        self.gz.size.saturating_add(self.chunks.as_ref().map_or(0, |chunks| chunks.index.size))
    }
}

impl DeltaChain {
    /// Returns the size of all deltas.
    pub fn cost(&self) -> u64 {
        self.hops.iter().fold(0, |sum, hop| sum.saturating_add(hop.delta.size))
    }
}
