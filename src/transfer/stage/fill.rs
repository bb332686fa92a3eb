//! Fills the stage: makes every content of a plan with a pool of workers.

use super::Stage;
use super::finished_contents::FinishedContents;
use super::job::jobs;
use super::object_locks::ObjectLocks;
use super::progress::{Progress, ProgressTotals};
use super::transfer::Transfer;
use super::worker::Worker;
use crate::error::Result;
use crate::transfer::plan::Plan;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Instant;

impl Stage {
    /// Stages every content of a plan. Contents that are staged already are not fetched again.
    ///
    /// After an error, workers finish the contents that they have begun and start no new one. What
    /// is complete stays staged.
    ///
    /// # Errors
    /// [`Refused`](crate::error::Refused) for an object that no mirror has as it was signed,
    /// [`Network`](crate::error::Network), [`Machine::Io`](crate::error::Machine::Io),
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn fill(&self, plan: &Plan, transfer: &Transfer<'_>, mut progress: impl FnMut(Progress)) -> Result<()> {
        let jobs = jobs(plan);
        self.race_mirrors(&jobs, transfer)?;
        let (next, locks, finished) = (AtomicUsize::new(0), ObjectLocks::default(), FinishedContents::default());
        let threads = transfer.parallel.clamp(1, jobs.len().max(1));
        let (sender, events) = channel();
        let mut totals = ProgressTotals::new(plan.download_size(), Instant::now());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (sender, next, locks, finished, jobs) = (sender.clone(), &next, &locks, &finished, &jobs);
                    scope.spawn(move || {
                        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let work = finished.begin(job.hash);
                            if job.second_base.as_ref().is_some_and(|(content, _)| !finished.wait_for(*content)) {
                                // The worker of the second base returns the error.
                                return Ok(());
                            }
                            let worker = Worker { stage: self, transfer, job, object_locks: locks, progress: &sender };
                            let done = worker.run();
                            work.finish(done.is_ok());
                            if done.is_err() {
                                next.store(jobs.len(), Ordering::Relaxed);
                                return done;
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            drop(sender);
            events.iter().for_each(|event| progress(totals.add(event, Instant::now())));
            // Passes on the panic of a worker.
            let results = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            results.fold(Ok(()), Result::and)
        })
    }
}
