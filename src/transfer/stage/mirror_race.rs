//! Finding the fastest mirror by the first bytes of a download, which are not fetched twice.

use super::Stage;
use super::fill::{ContentJob, Transfer};
use super::writer::{Writer, is_staged};
use crate::disk::layout::{self, ObjectKind};
use crate::error::Result;
use crate::transfer::fetch::PROBE_BYTES;
use std::cmp::Reverse;

impl Stage {
    /// Lets the mirrors race for the next bytes of the largest object that is to be fetched, where there is enough to fetch.
    pub(super) fn probe(&self, jobs: &[ContentJob<'_>], transfer: &Transfer<'_>) -> Result<()> {
        let is_whole = |job: &&ContentJob<'_>| {
            job.obtain.copy.is_none() && job.obtain.chain.is_none() && job.obtain.chunks.is_none()
        };
        let mut fetched: Vec<&ContentJob<'_>> = jobs.iter().filter(is_whole).collect();
        if !transfer.mirrors.are_worth_a_probe(fetched.iter().map(|job| job.obtain.gz.size).sum()) {
            return Ok(());
        }
        fetched.sort_by_key(|job| Reverse(job.obtain.gz.size));
        for job in fetched.into_iter().take_while(|job| job.obtain.gz.size > PROBE_BYTES) {
            let (gz, first) = (&job.obtain.gz, job.targets.first());
            if first.is_none_or(|(name, content)| is_staged(&self.files, name, content).unwrap_or(false)) {
                continue;
            }
            let mut object = Writer::resume(&self.objects, &gz.sha256.to_string())?;
            let have = object.length();
            if have.saturating_add(PROBE_BYTES) > gz.size {
                continue;
            }
            let path = layout::object_path(ObjectKind::Gz, &gz.sha256);
            let won = transfer.mirrors.race(transfer.source, &path, (have, gz.size), transfer.cancel)?;
            return object.write(&won.unwrap_or_default()).map_err(|error| object.failed(error));
        }
        Ok(())
    }
}
