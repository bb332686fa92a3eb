//! Gets every content of a plan into the stage, several at a time.

use super::content::Worker;
use super::ledger::Ledger;
use super::progress::{Progress, Totals};
use super::turns::Turns;
use super::{Stage, staged_names};
use crate::digest::Sha256;
use crate::error::Result;
use crate::fetch::{CancelToken, Fetch, Mirrors, Retries};
use crate::inventory::Content;
use crate::plan::{Location, Obtain, Plan};
use crate::rel_path::RelPath;
use std::collections::BTreeMap;
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
    pub locate: &'a (dyn Fn(&Location) -> PathBuf + Sync),
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
pub struct Job<'a> {
    pub hash: Sha256,
    pub obtain: &'a Obtain,
    pub path: &'a RelPath,
    /// The staged name and content of each change.
    pub targets: Vec<(String, &'a Content)>,
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
        let (next, turns) = (AtomicUsize::new(0), Turns::default());
        let threads = transfer.parallel.clamp(1, jobs.len().max(1));
        let (sender, news) = channel();
        let mut totals = Totals::new(plan.download_size(), Instant::now());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (sender, next, turns, jobs) = (sender.clone(), &next, &turns, &jobs);
                    scope.spawn(move || {
                        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let done = Worker { stage: self, transfer, job, turns, news: &sender }.run();
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

/// A job for each content, those that take longest first.
fn jobs(plan: &Plan) -> Vec<Job<'_>> {
    let mut jobs: BTreeMap<Sha256, Job<'_>> = BTreeMap::new();
    for (change, name) in plan.changes.iter().zip(staged_names(&plan.changes)) {
        let (Some(name), Some(hash), None) = (name, change.new.sha256(), &change.saved_from) else { continue };
        let Some(obtain) = plan.contents.get(&hash) else { continue };
        let job = jobs.entry(hash).or_insert_with(|| Job { hash, obtain, path: &change.path, targets: Vec::new() });
        job.targets.push((name, &change.new));
    }
    let mut jobs: Vec<_> = jobs.into_values().collect();
    jobs.sort_by(|a, b| b.obtain.cost().cmp(&a.obtain.cost()).then(a.hash.cmp(&b.hash)));
    jobs
}
