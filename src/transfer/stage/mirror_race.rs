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
use crate::formats::manifest::Object;
use crate::transfer::fetch::{ByteRange, PROBE_BYTES};
use crate::transfer::plan::ContentPlan;
use std::cmp::Reverse;

impl Stage {
    /// Lets the mirrors race for the next bytes of the largest `.gz` that is not staged yet.
    ///
    /// Only whole objects count: a race for small deltas would cost too much.
    pub(super) fn race_for_largest(&self, jobs: &[ContentJob<'_>], transfer: &Transfer<'_>) -> Result<()> {
        let is_whole = |job: &&ContentJob<'_>| {
            let ContentPlan { copy, chunks, .. } = job.content_plan;
            !job.is_made && copy.is_none() && job.chain.is_none() && chunks.is_none()
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
            if self.race_for(ObjectKind::Gz, gz, transfer)? {
                break;
            }
        }
        Ok(())
    }

    /// Lets the mirrors race for the next bytes of an object; returns `false` if too few are left.
    pub(super) fn race_for(&self, kind: ObjectKind, object: &Object, transfer: &Transfer<'_>) -> Result<bool> {
        let mut file = Writer::resume(&self.objects, &object.sha256.to_string())?;
        let start = file.length();
        let end = start.saturating_add(PROBE_BYTES);
        if end > object.size {
            return Ok(false);
        }
        let (path, range) = (layout::object_path(kind, &object.sha256), ByteRange { start, end, total: object.size });
        let bytes = transfer.mirrors.race(transfer.source, &path, range, transfer.cancel)?;
        file.write(&bytes.unwrap_or_default()).map_err(|error| file.write_error(error))?;
        Ok(true)
    }
}
