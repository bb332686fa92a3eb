//! Object locks: two workers never fetch the same delta at the same time.
//!
//! The delta chains of two contents can share a delta. The second worker waits, and then resumes
//! with what the first has left on disk.

use crate::values::digest::Sha256;
use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// The objects that workers have locked. Only deltas are needed by several jobs.
#[derive(Default)]
pub struct ObjectLocks {
    locked: Mutex<HashSet<Sha256>>,
    changed: Condvar,
}

/// The lock of one object, released when it is dropped.
pub struct ObjectLock<'a> {
    locks: &'a ObjectLocks,
    object: Sha256,
}

impl ObjectLocks {
    /// Waits until `object` is free and locks it.
    ///
    /// A worker holds at most one lock, so that two workers cannot wait for each other.
    pub fn lock(&self, object: Sha256) -> ObjectLock<'_> {
        let locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(locked, |locked| locked.contains(&object));
        waited.unwrap_or_else(PoisonError::into_inner).insert(object);
        ObjectLock { locks: self, object }
    }
}

impl Drop for ObjectLock<'_> {
    fn drop(&mut self) {
        self.locks.locked.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.object);
        self.locks.changed.notify_all();
    }
}
