//! Fills the stage: makes every content of a plan with a pool of workers.
//!
//! If the plan has an update object, `update_fill` fetches it in a separate thread. The workers
//! apply its deltas as they arrive, and fetch everything else themselves. An install object is
//! fetched and unpacked before the workers start (`install_fill`).

use super::Stage;
use super::blocks_fill::BlocksFill;
use super::finished_contents::FinishedContents;
use super::install_fill::InstallFill;
use super::job::{ContentJob, jobs};
use super::object::ObjectFetcher;
use super::progress::{Progress, ProgressEvent, ProgressTotals};
use super::transfer::Transfer;
use super::update_fill::UpdateFill;
use super::update_object::ReadyUpdate;
use super::worker::{Attempt, Worker};
use crate::error::Result;
use crate::transfer::plan::Plan;
use crate::values::digest::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::ScopedJoinHandle;
use std::time::Instant;

impl Stage {
    /// Stages every content of a plan. Contents that are staged already are not fetched again.
    ///
    /// After an error, workers finish the contents that they have begun and start no new one.
    /// Complete contents stay staged.
    ///
    /// # Errors
    /// [`Refused`](crate::error::Refused) for an object that no mirror has as it was signed,
    /// [`Network`](crate::error::Network), [`Machine::Io`](crate::error::Machine::Io),
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn fill(&self, plan: &Plan, transfer: &Transfer<'_>, mut progress: impl FnMut(Progress)) -> Result<()> {
        let (sender, events) = channel();
        let mut totals = ProgressTotals::new(plan.download_size(), Instant::now());
        std::thread::scope(|scope| {
            let filled = scope.spawn(move || self.fill_and_report(plan, transfer, sender));
            events.iter().for_each(|event| progress(totals.add(event, Instant::now())));
            join(filled)
        })
    }

    fn fill_and_report<'b>(
        &self,
        plan: &'b Plan,
        transfer: &Transfer<'_>,
        progress: Sender<ProgressEvent<'b>>,
    ) -> Result<()> {
        let run = |made| self.run_jobs(&jobs(plan, BTreeMap::new(), made), None, transfer, &progress);
        let left = if let Some(install) = InstallFill::new(self, plan, transfer, &progress)? {
            run(&install.fill()?)?
        } else if let Some(update) = UpdateFill::new(self, plan, transfer, &progress)? {
            update.fill()?
        } else {
            run(&BTreeSet::new())?
        };
        if let Some(indexed) = plan.install {
            let is_left = |job: &ContentJob<'_>| left.contains(&job.hash);
            let fetcher = |job: &ContentJob<'b>| ObjectFetcher {
                stage: self,
                transfer,
                progress: progress.clone(),
                path: job.path,
                arriving: None,
            };
            let jobs_left = jobs(plan, BTreeMap::new(), &BTreeSet::new()).into_iter().filter(is_left).collect();
            if let Some(blocks) = BlocksFill::new(jobs_left, indexed, fetcher) {
                let made = blocks.fill()?;
                let made: Vec<_> = jobs(plan, BTreeMap::new(), &made).into_iter().filter(is_left).collect();
                self.run_jobs(&made, None, transfer, &progress)?;
            }
        }
        self.remove_objects(plan)
    }

    /// Makes the contents of all jobs, and returns those that only blocks of the install object
    /// hold.
    pub(super) fn run_jobs<'b>(
        &self,
        jobs: &[ContentJob<'b>],
        update: Option<&ReadyUpdate<'_>>,
        transfer: &Transfer<'_>,
        progress: &Sender<ProgressEvent<'b>>,
    ) -> Result<BTreeSet<Sha256>> {
        self.race_for_largest(jobs, transfer)?;
        let (next, finished) = (AtomicUsize::new(0), FinishedContents::default());
        let threads = transfer.parallel.clamp(1, jobs.len().max(1));
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (progress, next, finished) = (progress.clone(), &next, &finished);
                    scope.spawn(move || {
                        let mut left = BTreeSet::new();
                        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let work = finished.begin(job.hash);
                            let mut awaited = job.chain.iter().flat_map(|chain| chain.awaited());
                            if !awaited.all(|content| finished.wait_for(content)) {
                                // The worker of the awaited content returns the error, or both
                                // contents come from blocks.
                                left.insert(job.hash);
                                continue;
                            }
                            let worker = Worker { stage: self, transfer, job, update, progress: progress.clone() };
                            let done = worker.run();
                            if done.is_err() {
                                next.store(jobs.len(), Ordering::Relaxed);
                            }
                            work.finish(matches!(done, Ok(Attempt::Succeeded)));
                            if let Attempt::Failed = done? {
                                left.insert(job.hash);
                            }
                        }
                        Ok(left)
                    })
                })
                .collect();
            workers.into_iter().map(join).try_fold(BTreeSet::new(), |mut left, of_worker| {
                left.extend(of_worker?);
                Ok(left)
            })
        })
    }
}

/// Returns the result of a thread; passes on its panic.
pub(super) fn join<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
