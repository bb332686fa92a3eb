//! The plan: what an update changes at each path, and how it obtains each new content.
//!
//! A plan is a value, computed from manifests and an inventory of the disk. This module reads and
//! writes no file.
//!
//! A file whose content and mode are right stays. For every other content, the plan lists the ways
//! to obtain it, the cheapest first:
//!
//! 1. copy a local file with the same content;
//! 2. apply rows of the update object, which the publisher made for the installed release;
//! 3. fetch the chunks that no local file has;
//! 4. fetch the whole `.gz`, or in a flat layout the blocks of the install object with it.
//!
//! If the install object costs less than the ways 2 and 4 together, as in a first installation, it
//! replaces the ways 2 to 4 of all contents.
//!
//! If a way fails, `stage` tries the next one.
//!
//! Files that no manifest lists belong to the user. The client never deletes them, and moves one
//! aside that is in the way of the release. It replaces a modified file of the installed release,
//! or keeps it if the new release drops the file.
//!
//! Read in this order: this file, `content_plan` (the ways to a content), `planner` (the rules for
//! each path), `row_chain` (the rows of an update object that make a content).

mod content_plan;
mod planner;
mod row_chain;
#[cfg(test)]
mod tests;

pub use content_plan::{ChunkPlan, ContentPlan, LocalFile, WholeContent};
pub use planner::REQUEST_BYTES;
pub use row_chain::{RowChain, RowStep, StepBase, row_chains};

use crate::disk::inventory::{Inventory, PathContent};
use crate::formats::manifest::{IndexedObject, Manifest};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use planner::Planner;
use std::collections::{BTreeMap, BTreeSet};

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
    /// The object that makes several contents, if there is one.
    pub object: Option<PlannedObject>,
    /// The install object whose blocks are the last way to each content, in a flat layout.
    pub install: Option<IndexedObject>,
    /// Files that the release drops and the user has modified. They stay.
    pub kept: Vec<RelPath>,
}

/// The object that makes several contents of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedObject {
    /// The update object that the publisher made for the installed release.
    Exact {
        /// The object.
        indexed: IndexedObject,
        /// The bytes to fetch for contents that the object does not make.
        rest: u64,
        /// `true` if all installed files are as their release lists them.
        ///
        /// Then the client needs every row and fetches the object in one request. Otherwise it
        /// reads the table first.
        is_whole: bool,
    },
    /// The publisher made no update object for the installed release, or the release is unknown.
    ///
    /// The client reads the tables of these objects and looks for rows that start from its files.
    Search(Vec<IndexedObject>),
    /// The install object, which costs less than the objects of all missing contents.
    Install(IndexedObject),
}

impl PlannedObject {
    /// Returns the objects that the client may fetch.
    pub fn objects(&self) -> &[IndexedObject] {
        match self {
            PlannedObject::Exact { indexed, .. } | PlannedObject::Install(indexed) => std::slice::from_ref(indexed),
            PlannedObject::Search(objects) => objects,
        }
    }
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
        let object = match &self.object {
            Some(PlannedObject::Exact { indexed, rest, .. }) => indexed.object.size.saturating_add(*rest),
            Some(PlannedObject::Install(indexed)) => indexed.object.size,
            Some(PlannedObject::Search(_)) | None => 0,
        };
        self.contents.values().fold(object, |sum, content_plan| sum.saturating_add(content_plan.cost()))
    }

    /// Returns `true` if any content is obtained by the update object or by chunks.
    pub fn is_partial(&self) -> bool {
        let by_chunks = |content_plan: &ContentPlan| content_plan.copy.is_none() && content_plan.chunks.is_some();
        match self.object {
            Some(PlannedObject::Exact { .. }) => true,
            Some(PlannedObject::Install(_)) => false,
            Some(PlannedObject::Search(_)) | None => self.contents.values().any(by_chunks),
        }
    }
}
/// Returns the bytes that a first installation of a release fetches.
pub fn install_size(manifest: &Manifest) -> u64 {
    let mut known = BTreeSet::new();
    let single = manifest.files.iter().filter(|file| known.insert(file.sha256)).map(|file| file.gz.map(|gz| gz.size));
    let single = single.sum::<Option<u64>>();
    match (manifest.meta.install.map(|install| install.object.size), single) {
        (Some(install), Some(single)) => install.min(single),
        (install, single) => install.or(single).unwrap_or(0),
    }
}
