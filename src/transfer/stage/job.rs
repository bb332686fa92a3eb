//! A job: one content of a plan and all paths that get it.
//!
//! [`jobs`] turns a plan into jobs in the order in which workers start them: first those with rows
//! of the update object, then the others by size, the largest first.

use super::staged_names;
use crate::disk::inventory::PathContent;
use crate::transfer::plan::{ContentPlan, Plan, RowChain};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use std::collections::{BTreeMap, BTreeSet};

/// One content and the changes that need it.
pub struct ContentJob<'a> {
    /// The SHA-256 of the content.
    pub hash: Sha256,
    /// The ways to obtain it.
    pub content_plan: &'a ContentPlan,
    /// The rows of the update object that make it.
    pub chain: Option<RowChain>,
    /// `true` if the install object has just made it, under its first name.
    pub is_made: bool,
    /// The first path that gets it, for the progress display.
    pub path: &'a RelPath,
    /// The staged name and the content of each change.
    pub targets: Vec<(String, &'a PathContent)>,
}

/// Returns a job for each content of a plan that has to be obtained.
///
/// Contents of the update object come first, in the order of its rows: a chain waits only for
/// chains before it. The rest is sorted by download size, the largest first, so that no large
/// download starts last. `made` are the contents that the install object has made.
pub fn jobs<'a>(
    plan: &'a Plan,
    mut chains: BTreeMap<Sha256, RowChain>,
    made: &BTreeSet<Sha256>,
) -> Vec<ContentJob<'a>> {
    let mut jobs: BTreeMap<Sha256, ContentJob<'_>> = BTreeMap::new();
    for (change, name) in plan.changes.iter().zip(staged_names(&plan.changes)) {
        let (Some(name), Some(hash), None) = (name, change.new.sha256(), &change.saved_from) else { continue };
        let Some(content_plan) = plan.contents.get(&hash) else { continue };
        let job = jobs.entry(hash).or_insert_with(|| ContentJob {
            hash,
            content_plan,
            chain: chains.remove(&hash),
            is_made: made.contains(&hash),
            path: &change.path,
            targets: Vec::new(),
        });
        job.targets.push((name, &change.new));
    }
    let mut jobs: Vec<_> = jobs.into_values().collect();
    jobs.sort_by_key(|job| match &job.chain {
        Some(chain) => (0, chain.last_row() as u64, job.hash),
        None => (1, u64::MAX - job.content_plan.own_cost(), job.hash),
    });
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::manifest::Object;
    use crate::transfer::plan::{PathChange, RowStep, StepBase, WholeContent};

    #[test]
    fn rows_come_first_in_their_order_then_the_largest_download() {
        let hash = |size: u64| Sha256::of(&size.to_le_bytes());
        let (mut plan, mut chains) = (Plan::default(), BTreeMap::new());
        for (size, row) in [(1, None), (2, Some(7)), (3, None), (4, Some(5))] {
            let whole = WholeContent::Gz(Object { size, sha256: hash(1000 + size) });
            let content_plan = ContentPlan { size, copy: None, is_in_object: row.is_some(), chunks: None, whole };
            plan.contents.insert(hash(size), content_plan);
            plan.changes.push(PathChange {
                path: RelPath::new(&size.to_string()).unwrap(),
                old: PathContent::Absent,
                new: PathContent::File { sha256: hash(size), mode: crate::disk::fs::PLAIN_MODE },
                saved_from: None,
            });
            let step = |row| RowStep { row, base: StepBase::Empty, second_base: None };
            chains.extend(row.map(|row| (hash(size), RowChain { steps: vec![step(row)] })));
        }
        let sizes: Vec<u64> = jobs(&plan, chains, &BTreeSet::new()).iter().map(|job| job.content_plan.size).collect();
        assert_eq!(sizes, [4, 2, 3, 1]);
        let sizes: Vec<u64> =
            jobs(&plan, BTreeMap::new(), &BTreeSet::new()).iter().map(|job| job.content_plan.size).collect();
        assert_eq!(sizes, [4, 3, 2, 1]);
    }
}
