//! The mirror race: finds the fastest mirror with the first bytes of a download.
//!
//! `fetch::mirrors` explains why mirrors race. The winner's bytes become the beginning of the
//! largest object, so that they are not fetched twice.

use super::Stage;
use super::job::ContentJob;
use super::transfer::Transfer;
use super::writer::{Writer, is_staged};
use crate::disk::layout::ObjectKind;
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
        let whole_gz = |job: &ContentJob<'_>| {
            let ContentPlan { copy, chunks, whole, .. } = job.content_plan;
            let is_whole = !job.is_made && copy.is_none() && job.chain.is_none() && chunks.is_none();
            whole.gz().filter(|_| is_whole)
        };
        let mut whole: Vec<_> = jobs.iter().filter_map(|job| Some((whole_gz(job)?, job.targets.first()))).collect();
        if !transfer.mirrors.is_race_worthwhile(whole.iter().map(|(gz, _)| gz.size).sum()) {
            return Ok(());
        }
        whole.sort_by_key(|(gz, _)| Reverse(gz.size));
        for (gz, first) in whole.into_iter().take_while(|(gz, _)| gz.size > PROBE_BYTES) {
            if first.is_none_or(|(name, content)| is_staged(&self.files, name, content).unwrap_or(false)) {
                continue;
            }
            if self.race_for(ObjectKind::Gz, &gz, transfer)? {
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
        let (path, range) = (transfer.names.object(kind, &object.sha256), ByteRange { start, end, total: object.size });
        let bytes = transfer.mirrors.race(transfer.source, &path, range, transfer.cancel)?;
        file.write(&bytes.unwrap_or_default()).map_err(|error| file.write_error(error))?;
        Ok(true)
    }
}
