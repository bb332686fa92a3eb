//! One after the other for what several contents need: two chains of deltas can have a hop in common.

use crate::values::digest::Sha256;
use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// The objects that somebody has in hand.
#[derive(Default)]
pub struct ObjectLocks {
    taken: Mutex<HashSet<Sha256>>,
    changed: Condvar,
}

/// An object in hand, given back when it is dropped.
pub struct ObjectLock<'a> {
    turns: &'a ObjectLocks,
    object: Sha256,
}

impl ObjectLocks {
    /// Waits until nobody else has `object` in hand. Whoever has one takes no other.
    pub fn take(&self, object: Sha256) -> ObjectLock<'_> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(taken, |taken| taken.contains(&object));
        waited.unwrap_or_else(PoisonError::into_inner).insert(object);
        ObjectLock { turns: self, object }
    }
}

impl Drop for ObjectLock<'_> {
    fn drop(&mut self) {
        self.turns.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.object);
        self.turns.changed.notify_all();
    }
}
