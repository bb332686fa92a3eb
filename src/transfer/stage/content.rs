//! A content: tries the ways of its plan in order until one succeeds.
//!
//! 1. copy a local file (here);
//! 2. apply rows of the update object (`update_rows`);
//! 3. combine chunks of local files with fetched ranges of the `.gz` (`chunked`);
//! 4. fetch the whole `.gz` (`whole`).
//!
//! The first three only save bytes. Errors of local files and of the objects that they need lead to
//! the next way. Errors of the last way end the download.
//!
//! A flat layout has no `.gz`. There the last way is `blocks_fill`: after all workers have ended,
//! it makes the missing contents from blocks of the install object.

use super::object::to_signed;
use super::progress::Phase;
use super::worker::{Attempt, Worker, mode};
use super::writer::{Writer, is_staged};
use crate::disk::inventory::PathContent;
use crate::error::Result;
use crate::transfer::plan::{ContentPlan, LocalFile, WholeContent};
use std::io::Read as _;

/// The size of one read when a local file is copied.
const COPY_BUFFER_BYTES: usize = 128 * 1024;

impl Worker<'_, '_> {
    /// Stages the content under all its names, unless only blocks of the install object hold it.
    pub fn run(&self) -> Result<Attempt> {
        let files = &self.stage.files;
        let Some(((first, content), others)) = self.job.targets.split_first() else { return Ok(Attempt::Succeeded) };
        self.transfer.cancel.check()?;
        if self.job.is_made || is_staged(files, first, content)? {
            self.report(Phase::Downloading, to_signed(self.job.content_plan.cost()), 0);
        } else if let Attempt::Failed = self.make(first, content)? {
            return Ok(Attempt::Failed);
        }
        for (name, content) in others {
            if !is_staged(files, name, content)? {
                files.remove_file(name)?;
                files.copy(first, files, name, mode(content))?;
            }
        }
        Ok(Attempt::Succeeded)
    }

    /// Tries the ways in order, and corrects the bytes to fetch after each failure.
    fn make(&self, name: &str, content: &PathContent) -> Result<Attempt> {
        let ContentPlan { copy, chunks, whole, .. } = self.job.content_plan;
        if let Some(file) = copy
            && let Attempt::Succeeded = self.copy(file, name, content)?
        {
            return Ok(Attempt::Succeeded);
        }
        if let (Some(update), Some(chain)) = (self.update, &self.job.chain)
            && let Attempt::Succeeded = self.apply_rows(update, chain, name, content)?
        {
            return Ok(Attempt::Succeeded);
        }
        let counted = if self.job.chain.is_some() { 0 } else { self.job.content_plan.cost() };
        let unplanned = self.job.content_plan.own_cost().saturating_sub(counted);
        self.report(Phase::Downloading, 0, to_signed(unplanned));
        if let Some(chunks) = chunks
            && let Attempt::Succeeded = self.assemble(chunks, name, content)?
        {
            return Ok(Attempt::Succeeded);
        }
        match whole {
            WholeContent::Gz(gz) => self.fetch_whole(*gz, name, content).map(|()| Attempt::Succeeded),
            WholeContent::Blocks { .. } => Ok(Attempt::Failed),
        }
    }

    /// Copies a local file.
    fn copy(&self, file: &LocalFile, name: &str, content: &PathContent) -> Result<Attempt> {
        let Some(mut source) = self.open_local(file) else { return Ok(Attempt::Failed) };
        self.report(Phase::Copying, 0, 0);
        let mut writer = Writer::new(&self.stage.files, name)?;
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        loop {
            self.transfer.cancel.check()?;
            match source.read(&mut buffer) {
                // After a read error the hash differs, and the next way is tried.
                Ok(0) | Err(_) => break,
                Ok(count) => writer.write(&buffer[..count]).map_err(|error| writer.write_error(error))?,
            }
        }
        self.finish(writer, name, content)
    }
}
