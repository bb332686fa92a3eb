//! The mirror race: finds the fastest mirror with the first bytes of a download.
//!
//! `fetch::mirrors` explains why mirrors race. The winner's bytes become the beginning of the
//! largest object, so that they are not fetched twice.

use super::Stage;
use super::job::ContentJob;
use super::transfer::Transfer;
use super::writer::{Writer, is_staged};
use crate::disk::layout::{self, ObjectKind};
use crate::error::Result;
use crate::transfer::fetch::{ByteRange, PROBE_BYTES};
use std::cmp::Reverse;

impl Stage {
    /// Lets the mirrors race for the next bytes of the largest object that is not staged yet.
    ///
    /// Only whole `.gz` objects count: a race for small deltas would cost too much.
    pub(super) fn race_mirrors(&self, jobs: &[ContentJob<'_>], transfer: &Transfer<'_>) -> Result<()> {
        let is_whole = |job: &&ContentJob<'_>| {
            job.content_plan.copy.is_none() && job.chain.is_none() && job.content_plan.chunks.is_none()
        };
        let mut whole: Vec<&ContentJob<'_>> = jobs.iter().filter(is_whole).collect();
        if !transfer.mirrors.is_race_worthwhile(whole.iter().map(|job| job.content_plan.gz.size).sum()) {
            return Ok(());
        }
        whole.sort_by_key(|job| Reverse(job.content_plan.gz.size));
        for job in whole.into_iter().take_while(|job| job.content_plan.gz.size > PROBE_BYTES) {
            let (gz, first) = (&job.content_plan.gz, job.targets.first());
            if first.is_none_or(|(name, content)| is_staged(&self.files, name, content).unwrap_or(false)) {
                continue;
            }
            let mut object = Writer::resume(&self.objects, &gz.sha256.to_string())?;
            let start = object.length();
            let end = start.saturating_add(PROBE_BYTES);
            if end > gz.size {
                continue;
            }
            let (path, range) =
                (layout::object_path(ObjectKind::Gz, &gz.sha256), ByteRange { start, end, total: gz.size });
            let bytes = transfer.mirrors.race(transfer.source, &path, range, transfer.cancel)?;
            return object.write(&bytes.unwrap_or_default()).map_err(|error| object.write_error(error));
        }
        Ok(())
    }
}
