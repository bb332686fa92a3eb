//! The difference between two releases, and the bytes that a client with the first one fetches.

use patcher::internal::digest::Sha256;
use patcher::internal::inventory::{Inventory, PathContent};
use patcher::internal::manifest::Manifest;
use patcher::internal::plan::{Plan, PlanInput, PlannedObject};
use patcher::internal::rel_path::RelPath;
use std::collections::BTreeMap;

/// The change of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathDifference {
    /// The new release brings it.
    Added,
    /// The new release drops it.
    Removed,
    /// It has other content, another mode, or leads elsewhere.
    Changed,
}

/// The way in which a client obtains the new content of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Without a request.
    Local,
    /// By the update object.
    Update,
    /// By the install object.
    Install,
    /// As a whole, with this number of bytes.
    Whole(u64),
}

/// The difference between two releases.
#[derive(Debug)]
pub struct Difference {
    /// Every path that changes, sorted, and the way of its new content.
    pub changes: Vec<(RelPath, PathDifference, Way)>,
    /// The bytes of all new contents, each fetched as a whole.
    pub whole: u64,
    /// The bytes that the client fetches.
    pub bytes: u64,
}

impl Difference {
    /// Plans an update from `old` to `new` as a client does.
    pub fn new(old: &Manifest, new: &Manifest) -> Self {
        let inventory = Inventory::of(old);
        let plan = Plan::new(&PlanInput {
            new: Some(new),
            old: Some(old),
            is_old_trusted: true,
            inventory: &inventory,
            elsewhere: &|_| None,
            taken: &|_| false,
        })
        .expect("only files that no release has can be obstacles, and this inventory has none");
        let is_nothing = |content: &PathContent| *content == PathContent::Absent;
        let is_install = matches!(plan.object, Some(PlannedObject::Install(_)));
        let mut ways: BTreeMap<Sha256, Way> = BTreeMap::new();
        for (sha256, obtain) in &plan.contents {
            let way = match (&obtain.copy, obtain.is_in_object) {
                (Some(_), _) => Way::Local,
                (None, true) if is_install => Way::Install,
                (None, true) => Way::Update,
                (None, false) => Way::Whole(obtain.whole.cost()),
            };
            ways.insert(*sha256, way);
        }
        let changes = plan.changes.iter().map(|change| {
            let kind = match (is_nothing(&change.old), is_nothing(&change.new)) {
                (true, _) => PathDifference::Added,
                (_, true) => PathDifference::Removed,
                _ => PathDifference::Changed,
            };
            let way = change.new.sha256().and_then(|sha256| ways.get(&sha256).copied()).unwrap_or(Way::Local);
            (change.path.clone(), kind, way)
        });
        let fetched = plan.contents.values().filter(|obtain| obtain.copy.is_none());
        Self {
            changes: changes.collect(),
            whole: fetched.fold(0, |sum, obtain| sum.saturating_add(obtain.whole.cost())),
            bytes: plan.download_size(),
        }
    }
}
