//! Which contents are done: a delta may read another new file besides the old one, and waits for it.

use crate::values::digest::Sha256;
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};

/// The contents that nobody works at any more, and whether they are there.
#[derive(Default)]
pub struct FinishedContents {
    contents: Mutex<HashMap<Sha256, bool>>,
    changed: Condvar,
}

/// A content under work. It is not there if this is dropped before its end.
pub struct ContentWork<'a> {
    finished: &'a FinishedContents,
    content: Sha256,
    is_there: bool,
}

impl FinishedContents {
    /// Begins with a content.
    pub fn begin(&self, content: Sha256) -> ContentWork<'_> {
        ContentWork { finished: self, content, is_there: false }
    }

    /// Waits for a content that somebody has begun with, and tells whether it is there.
    pub fn wait_for(&self, content: Sha256) -> bool {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(contents, |contents| !contents.contains_key(&content));
        waited.unwrap_or_else(PoisonError::into_inner).get(&content) == Some(&true)
    }
}

impl ContentWork<'_> {
    /// Ends it, and tells whether the content is there.
    pub fn end(mut self, is_there: bool) {
        self.is_there = is_there;
    }
}

impl Drop for ContentWork<'_> {
    fn drop(&mut self) {
        self.finished.contents.lock().unwrap_or_else(PoisonError::into_inner).insert(self.content, self.is_there);
        self.finished.changed.notify_all();
    }
}
