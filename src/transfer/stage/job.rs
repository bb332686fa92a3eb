//! A job: one content of a plan and all paths that get it.
//!
//! [`jobs`] turns a plan into jobs in the order in which workers start them.

use super::staged_names;
use crate::disk::inventory::PathContent;
use crate::transfer::plan::{ContentPlan, Plan, SecondBase};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use std::collections::{BTreeMap, HashMap, HashSet};

/// One content and the changes that need it.
pub struct ContentJob<'a> {
    /// The SHA-256 of the content.
    pub hash: Sha256,
    /// The ways to obtain it.
    pub content_plan: &'a ContentPlan,
    /// The first path that gets it, for the progress display.
    pub path: &'a RelPath,
    /// The staged name and the content of each change.
    pub targets: Vec<(String, &'a PathContent)>,
    /// The new content that the last delta reads as second base, with its staged name.
    ///
    /// An earlier job makes it, and this job waits for that one.
    pub second_base: Option<(Sha256, String)>,
}

/// Returns a job for each content of a plan that has to be obtained.
///
/// Second bases come first, from the smallest to the largest: other jobs wait for them. The rest is
/// sorted by download size, the largest first, so that no large download starts last.
pub fn jobs(plan: &Plan) -> Vec<ContentJob<'_>> {
    let mut jobs: BTreeMap<Sha256, ContentJob<'_>> = BTreeMap::new();
    for (change, name) in plan.changes.iter().zip(staged_names(&plan.changes)) {
        let (Some(name), Some(hash), None) = (name, change.new.sha256(), &change.saved_from) else { continue };
        let Some(content_plan) = plan.contents.get(&hash) else { continue };
        let job = jobs.entry(hash).or_insert_with(|| ContentJob {
            hash,
            content_plan,
            path: &change.path,
            targets: Vec::new(),
            second_base: None,
        });
        job.targets.push((name, &change.new));
    }
    let mut jobs: Vec<_> = jobs.into_values().collect();
    let awaited: HashSet<Sha256> = jobs.iter().filter_map(|job| planned_second_base(job.content_plan)).collect();
    jobs.sort_by_key(|job| match awaited.contains(&job.hash) {
        true => (0, job.content_plan.size, job.hash),
        false => (1, u64::MAX - job.content_plan.cost(), job.hash),
    });
    // A job waits only for an earlier one. Otherwise a manifest could make two jobs wait for each
    // other.
    let mut names: HashMap<Sha256, String> = HashMap::new();
    for job in &mut jobs {
        job.second_base = planned_second_base(job.content_plan).and_then(|content| {
            let name = names.get(&content)?.clone();
            Some((content, name))
        });
        if awaited.contains(&job.hash) {
            names.extend(job.targets.first().map(|(name, _)| (job.hash, name.clone())));
        }
    }
    jobs
}

/// Returns the new content that the last delta reads as second base.
fn planned_second_base(content_plan: &ContentPlan) -> Option<Sha256> {
    match content_plan.chain.as_ref()?.second_base.as_ref()? {
        SecondBase::Planned(content) => Some(*content),
        SecondBase::Local(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::manifest::Object;
    use crate::transfer::plan::{DeltaChain, Hop, LocalFile, PathChange};

    /// Returns a plan for files of these sizes, each with the size of its second base.
    fn plan(files: &[(u64, Option<u64>)]) -> Plan {
        let hash = |size: u64| Sha256::of(&size.to_le_bytes());
        let mut plan = Plan::default();
        for (size, second_base) in files {
            let delta = Object { size: 1000 - size, sha256: hash(1000 + size) };
            let chain = DeltaChain {
                base: LocalFile { component: None, path: "old".into() },
                from: hash(0),
                hops: vec![Hop { delta, to: hash(*size) }],
                second_base: second_base.map(|size| SecondBase::Planned(hash(size))),
            };
            let content_plan = ContentPlan { size: *size, copy: None, chain: Some(chain), chunks: None, gz: delta };
            plan.contents.insert(hash(*size), content_plan);
            plan.changes.push(PathChange {
                path: RelPath::new(&size.to_string()).unwrap(),
                old: PathContent::Absent,
                new: PathContent::File { sha256: hash(*size), mode: crate::disk::fs::PLAIN },
                saved_from: None,
            });
        }
        plan
    }

    /// Returns the sizes in job order, and the number of jobs that wait.
    fn order(files: &[(u64, Option<u64>)]) -> (Vec<u64>, usize) {
        let plan = plan(files);
        let jobs = jobs(&plan);
        (
            jobs.iter().map(|job| job.content_plan.size).collect(),
            jobs.iter().filter(|job| job.second_base.is_some()).count(),
        )
    }

    #[test]
    fn second_bases_come_first_then_the_largest_download() {
        assert_eq!(order(&[(1, None), (2, None), (3, None)]), (vec![1, 2, 3], 0));
        let files = [(1, None), (2, None), (3, Some(2)), (4, Some(3)), (5, Some(2))];
        assert_eq!(order(&files), (vec![2, 3, 1, 4, 5], 3));
    }

    #[test]
    fn two_jobs_never_wait_for_each_other() {
        assert_eq!(order(&[(1, Some(2)), (2, Some(1))]), (vec![1, 2], 1));
    }
}
