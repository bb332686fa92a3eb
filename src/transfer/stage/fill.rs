//! Gets every content of a plan into the stage, several at a time.

use super::content::Worker;
use super::finished_contents::FinishedContents;
use super::ledger::Ledger;
use super::object_locks::ObjectLocks;
use super::progress::{Progress, ProgressTotals};
use super::{Stage, staged_names};
use crate::disk::inventory::PathContent;
use crate::error::Result;
use crate::transfer::fetch::{CancelToken, Fetch, Mirrors, Retries};
use crate::transfer::plan::{ContentPlan, LocalFile, Plan, SecondBase};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Instant;

/// Everything that a download needs to know besides the plan.
pub struct Transfer<'a> {
    /// Where objects come from.
    pub source: &'a dyn Fetch,
    /// Addresses that objects are below of.
    pub mirrors: &'a Mirrors,
    /// Finds the file that a location names.
    pub locate: &'a (dyn Fn(&LocalFile) -> PathBuf + Sync),
    /// How often to try again.
    pub retries: Retries,
    /// How many objects to fetch at a time.
    pub parallel: usize,
    /// Keeps a record of the objects.
    pub ledger: &'a dyn Ledger,
    /// Stops the download.
    pub cancel: &'a CancelToken,
}

/// One content and the changes that need it.
pub struct ContentJob<'a> {
    pub hash: Sha256,
    pub obtain: &'a ContentPlan,
    pub path: &'a RelPath,
    /// The staged name and content of each change.
    pub targets: Vec<(String, &'a PathContent)>,
    /// The content that its last delta reads besides, with its staged name: that of an earlier job, which this one waits for.
    pub second_base: Option<(Sha256, String)>,
}

impl Stage {
    /// Stages every content of a plan; what is staged already is not fetched again.
    ///
    /// # Errors
    /// [`Refused`](crate::error::Refused) for an object that no mirror has as it was signed,
    /// [`Network`](crate::error::Network), [`Machine::Io`](crate::error::Machine::Io),
    /// [`Error::Cancelled`](crate::Error::Cancelled); what is complete by then stays staged.
    pub fn fill(&self, plan: &Plan, transfer: &Transfer<'_>, mut progress: impl FnMut(Progress)) -> Result<()> {
        let jobs = jobs(plan);
        self.probe(&jobs, transfer)?;
        let (next, turns, finished) = (AtomicUsize::new(0), ObjectLocks::default(), FinishedContents::default());
        let threads = transfer.parallel.clamp(1, jobs.len().max(1));
        let (sender, news) = channel();
        let mut totals = ProgressTotals::new(plan.download_size(), Instant::now());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (sender, next, turns, finished, jobs) = (sender.clone(), &next, &turns, &finished, &jobs);
                    scope.spawn(move || {
                        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let work = finished.begin(job.hash);
                            if job.second_base.as_ref().is_some_and(|(content, _)| !finished.wait_for(*content)) {
                                // Whoever made that says why.
                                return Ok(());
                            }
                            let done = Worker { stage: self, transfer, job, turns, news: &sender }.run();
                            work.end(done.is_ok());
                            if done.is_err() {
                                // The others finish what they have begun and start nothing new.
                                next.store(jobs.len(), Ordering::Relaxed);
                                return done;
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            drop(sender);
            news.iter().for_each(|news| progress(totals.add(news, Instant::now())));
            // A panic in a worker goes on in the caller, as it would without threads.
            let results = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            results.fold(Ok(()), Result::and)
        })
    }
}

/// A job for each content, those that take longest first; before them those that others wait for, in the manifest's order of
/// second bases.
fn jobs(plan: &Plan) -> Vec<ContentJob<'_>> {
    let mut jobs: BTreeMap<Sha256, ContentJob<'_>> = BTreeMap::new();
    for (change, name) in plan.changes.iter().zip(staged_names(&plan.changes)) {
        let (Some(name), Some(hash), None) = (name, change.new.sha256(), &change.saved_from) else { continue };
        let Some(obtain) = plan.contents.get(&hash) else { continue };
        let job = jobs.entry(hash).or_insert_with(|| ContentJob {
            hash,
            obtain,
            path: &change.path,
            targets: Vec::new(),
            second_base: None,
        });
        job.targets.push((name, &change.new));
    }
    let mut jobs: Vec<_> = jobs.into_values().collect();
    let awaited: HashSet<Sha256> = jobs.iter().filter_map(|job| planned(job.obtain)).collect();
    jobs.sort_by_key(|job| match awaited.contains(&job.hash) {
        true => (0, job.obtain.size, job.hash),
        false => (1, u64::MAX - job.obtain.cost(), job.hash),
    });
    // Who waits for an earlier one only does not wait for ever.
    let mut names: HashMap<Sha256, String> = HashMap::new();
    for job in &mut jobs {
        job.second_base = planned(job.obtain).and_then(|content| Some((content, names.get(&content)?.clone())));
        if awaited.contains(&job.hash) {
            names.extend(job.targets.first().map(|(name, _)| (job.hash, name.clone())));
        }
    }
    jobs
}

/// The new content that the last delta to another one reads besides.
fn planned(obtain: &ContentPlan) -> Option<Sha256> {
    match obtain.chain.as_ref()?.second_base.as_ref()? {
        SecondBase::Planned(content) => Some(*content),
        SecondBase::Local(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::manifest::Object;
    use crate::transfer::plan::{DeltaChain, Hop, PathChange};

    /// A plan for files of these sizes, each with the one that its delta reads besides.
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
            let obtain = ContentPlan { size: *size, copy: None, chain: Some(chain), chunks: None, gz: delta };
            plan.contents.insert(hash(*size), obtain);
            plan.changes.push(PathChange {
                path: RelPath::new(&size.to_string()).unwrap(),
                old: PathContent::Absent,
                new: PathContent::File { sha256: hash(*size), mode: crate::disk::fs::PLAIN },
                saved_from: None,
            });
        }
        plan
    }

    /// The sizes in the order of the jobs, and how many wait.
    fn order(files: &[(u64, Option<u64>)]) -> (Vec<u64>, usize) {
        let plan = plan(files);
        let jobs = jobs(&plan);
        (jobs.iter().map(|job| job.obtain.size).collect(), jobs.iter().filter(|job| job.second_base.is_some()).count())
    }

    #[test]
    fn the_dearest_comes_first_but_for_those_that_others_wait_for() {
        assert_eq!(order(&[(1, None), (2, None), (3, None)]), (vec![1, 2, 3], 0));
        let files = [(1, None), (2, None), (3, Some(2)), (4, Some(3)), (5, Some(2))];
        assert_eq!(order(&files), (vec![2, 3, 1, 4, 5], 3));
    }

    #[test]
    fn two_that_would_wait_for_each_other_do_not() {
        assert_eq!(order(&[(1, Some(2)), (2, Some(1))]), (vec![1, 2], 1));
    }
}
