//! Memory budget: shares a fixed amount of memory among threads, which wait until enough is free.

use std::sync::{Condvar, Mutex, PoisonError};

/// An amount of memory to share.
pub struct MemoryBudget {
    left: Mutex<u64>,
    changed: Condvar,
    all: u64,
}

/// A share of the memory, returned on drop.
pub struct MemoryShare<'a> {
    budget: &'a MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    /// Creates a budget of this many bytes.
    pub fn new(bytes: u64) -> Self {
        Self { left: Mutex::new(bytes), changed: Condvar::new(), all: bytes }
    }

    /// Waits until `bytes`, but at most the whole budget, are free, and takes them.
    pub fn take(&self, bytes: u64) -> MemoryShare<'_> {
        let bytes = bytes.min(self.all);
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = self.changed.wait_while(left, |left| *left < bytes).unwrap_or_else(PoisonError::into_inner);
        *left -= bytes;
        MemoryShare { budget: self, bytes }
    }
}

impl Drop for MemoryShare<'_> {
    fn drop(&mut self) {
        *self.budget.left.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn the_shares_in_use_never_exceed_the_budget() {
        let (budget, used, most) = (MemoryBudget::new(10), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for bytes in [4, 6, 99, 1] {
                        let share = budget.take(bytes);
                        most.fetch_max(used.fetch_add(share.bytes, Ordering::SeqCst) + share.bytes, Ordering::SeqCst);
                        used.fetch_sub(share.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 10);
    }
}
