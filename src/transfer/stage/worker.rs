//! A worker: makes the content of one job in the stage.
//!
//! This file holds what all ways to a content share. `object` fetches objects; `update_rows`,
//! `chunked` and `whole` are the ways; `content` tries them in order.

use super::Stage;
use super::job::ContentJob;
use super::object::ObjectFetcher;
use super::progress::{Phase, ProgressEvent};
use super::transfer::Transfer;
use super::update_object::ReadyUpdate;
use super::writer::Writer;
use crate::disk::fs::Dir;
use crate::disk::inventory::PathContent;
use crate::error::Result;
use crate::transfer::plan::LocalFile;
use std::fs::File;
use std::sync::mpsc::Sender;

/// Makes the content of one job.
pub struct Worker<'a, 'b> {
    pub stage: &'a Stage,
    pub transfer: &'a Transfer<'a>,
    pub job: &'a ContentJob<'b>,
    /// The update object, if the download uses one.
    pub update: Option<&'a ReadyUpdate<'a>>,
    pub progress: Sender<ProgressEvent<'b>>,
}

/// The result of one way to a content.
pub enum Attempt {
    /// The content is staged.
    Succeeded,
    /// The content was not obtained. The next way is tried.
    Failed,
}

impl<'a, 'b> Worker<'a, 'b> {
    /// Returns the fetcher of this job's objects.
    pub fn objects(&self) -> ObjectFetcher<'a, 'b> {
        let Self { stage, transfer, job, .. } = *self;
        ObjectFetcher { stage, transfer, progress: self.progress.clone(), path: job.path, arriving: None }
    }

    /// Adds to the bytes fetched and to the bytes to fetch in the progress display.
    pub fn report(&self, phase: Phase, done: i64, total: i64) {
        // `send` fails only after a panic of the receiver, which ends the download anyway.
        let _ = self.progress.send(ProgressEvent { phase, path: self.job.path, done, total });
    }

    /// Opens a local file; returns `None` for any error.
    ///
    /// A local file only saves bytes. Without it, the client fetches the whole object.
    pub fn open_local(&self, file: &LocalFile) -> Option<File> {
        let path = (self.transfer.locate)(file);
        let (dir, name) = (path.parent()?, path.file_name()?.to_str()?);
        Dir::open(dir).and_then(|dir| dir.open_file(name)).ok()?
    }

    /// Gives a file its staged name if its size and SHA-256 are right, or discards it.
    pub fn finish(&self, writer: Writer<'_>, name: &str, content: &PathContent) -> Result<Attempt> {
        if writer.digest() != (self.job.hash, self.job.content_plan.size) {
            writer.discard()?;
            return Ok(Attempt::Failed);
        }
        writer.finish(name, mode(content))?;
        Ok(Attempt::Succeeded)
    }
}

/// Returns the permission bits of a content.
pub fn mode(content: &PathContent) -> u32 {
    match content {
        PathContent::File { mode, .. } => *mode,
        _ => crate::disk::fs::PLAIN_MODE,
    }
}
