//! The plan: what an update changes at each path, and how it obtains each new content.
//!
//! A plan is a value, computed from manifests and an inventory of the disk. This module reads and
//! writes no file.
//!
//! For each file, the plan chooses the cheapest of:
//!
//! 1. keep the file, if its content and mode are right;
//! 2. copy a local file with the same content;
//! 3. apply the chain of deltas with the fewest bytes, from any local file;
//! 4. fetch the chunks that no local file has;
//! 5. fetch the whole `.gz`.
//!
//! If a way fails, `stage` tries the next one.
//!
//! Files that no manifest lists belong to the user. They are never deleted: one that is in the way
//! of the release is moved aside. A modified file of the installed release is replaced by the new
//! one, or kept if the new release drops it.
//!
//! Read in this order: this file, `content_plan` (the ways to a content), `planner` (the rules for
//! each path), `graph` (the cheapest chain of deltas).

mod content_plan;
mod graph;
mod planner;
#[cfg(test)]
mod tests;

pub use content_plan::{ChunkPlan, ContentPlan, DeltaChain, Hop, LocalFile, SecondBase};

use crate::disk::inventory::{Inventory, PathContent};
use crate::formats::manifest::Manifest;
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use planner::Planner;
use std::collections::BTreeMap;

/// The facts that a plan is computed from.
pub struct PlanInput<'a> {
    /// The release to install; `None` to remove the component.
    pub new: Option<&'a Manifest>,
    /// The installed release.
    pub old: Option<&'a Manifest>,
    /// `true` if a trusted key has signed the installed manifest.
    ///
    /// If not, its paths still belong to the program, but no file is deleted.
    pub is_old_trusted: bool,
    /// The contents on disk at every path of both releases.
    pub inventory: &'a Inventory,
    /// Returns a file of another component that has a content, according to its manifest.
    pub elsewhere: &'a dyn Fn(&Sha256) -> Option<LocalFile>,
    /// Returns `true` if a path of this component exists on disk, for paths outside both releases.
    pub taken: &'a dyn Fn(&RelPath) -> bool,
}

/// The changes of an update to one component, and how each new content is obtained.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Every path that changes, sorted.
    pub changes: Vec<PathChange>,
    /// Every content that some path of the release still needs.
    pub contents: BTreeMap<Sha256, ContentPlan>,
    /// Files that the release drops and the user has modified. They stay.
    pub kept: Vec<RelPath>,
}

/// The change of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// The path.
    pub path: RelPath,
    /// The content before the update.
    pub old: PathContent,
    /// The content after the update.
    pub new: PathContent,
    /// The path of the user's file that moves here; `None` for files of the release.
    pub saved_from: Option<RelPath>,
}

/// Something in the way of an update that only the user can remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A symbolic link where the release has a folder.
    LinkedFolder(String),
    /// All names to which a user's file could move exist already.
    NoFreeName(RelPath),
}

impl Plan {
    /// Computes the plan.
    ///
    /// # Errors
    /// The first [`Obstacle`].
    pub fn new(input: &PlanInput<'_>) -> Result<Self, Obstacle> {
        Planner::new(input).plan()
    }

    /// Returns the bytes to fetch if nothing is staged yet and no way fails.
    pub fn download_size(&self) -> u64 {
        self.contents.values().fold(0, |sum, content_plan| sum.saturating_add(content_plan.cost()))
    }

    /// Returns whether any content is obtained by deltas or chunks.
    pub fn is_partial(&self) -> bool {
        let is_partial = |content_plan: &ContentPlan| {
            content_plan.copy.is_none() && (content_plan.chain.is_some() || content_plan.chunks.is_some())
        };
        self.contents.values().any(is_partial)
    }
}
