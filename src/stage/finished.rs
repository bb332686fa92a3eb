//! Which contents are done: a delta may read another new file besides the old one, and waits for it.

use crate::digest::Sha256;
use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// The contents that nobody works at any more.
#[derive(Default)]
pub struct Finished {
    contents: Mutex<HashSet<Sha256>>,
    changed: Condvar,
}

/// A content under work, which is finished when this is dropped, whatever has come of it.
pub struct Work<'a> {
    finished: &'a Finished,
    content: Sha256,
}

impl Finished {
    /// Begins with a content.
    pub fn begin(&self, content: Sha256) -> Work<'_> {
        Work { finished: self, content }
    }

    /// Waits for a content that somebody has begun with.
    pub fn wait_for(&self, content: Sha256) {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(contents, |contents| !contents.contains(&content));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.finished.contents.lock().unwrap_or_else(PoisonError::into_inner).insert(self.content);
        self.finished.changed.notify_all();
    }
}
