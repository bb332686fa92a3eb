//! Finished contents: lets a worker wait for a content that another worker makes.
//!
//! A delta with a second base can read another new file of the same plan.

use crate::values::digest::Sha256;
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};

/// The contents whose workers have ended, each with whether it was staged.
#[derive(Default)]
pub struct FinishedContents {
    contents: Mutex<HashMap<Sha256, bool>>,
    changed: Condvar,
}

/// A content in progress. Dropping it without [`finish`](Self::finish) counts as a failure.
pub struct ContentWork<'a> {
    finished: &'a FinishedContents,
    content: Sha256,
    is_staged: bool,
}

impl FinishedContents {
    /// Begins a content.
    pub fn begin(&self, content: Sha256) -> ContentWork<'_> {
        ContentWork { finished: self, content, is_staged: false }
    }

    /// Waits for a content that a worker has begun; returns whether it was staged.
    pub fn wait_for(&self, content: Sha256) -> bool {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(contents, |contents| !contents.contains_key(&content));
        waited.unwrap_or_else(PoisonError::into_inner).get(&content) == Some(&true)
    }
}

impl ContentWork<'_> {
    /// Ends the work and records whether the content was staged.
    pub fn finish(mut self, is_staged: bool) {
        self.is_staged = is_staged;
    }
}

impl Drop for ContentWork<'_> {
    fn drop(&mut self) {
        self.finished.contents.lock().unwrap_or_else(PoisonError::into_inner).insert(self.content, self.is_staged);
        self.finished.changed.notify_all();
    }
}
