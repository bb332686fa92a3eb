//! The signal that wakes a sleeping watcher: to check now, or to stop.

use crate::transfer::fetch::CancelToken;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A signal from the watcher's handle to its thread.
#[derive(Debug)]
pub(super) struct WakeSignal {
    pending: Mutex<Wake>,
    changed: Condvar,
    /// Cancels a check or a download in progress when the watcher stops.
    pub cancel: CancelToken,
}

/// The reason to wake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Wake {
    #[default]
    None,
    Check,
    Stop,
}

impl WakeSignal {
    /// Creates a signal whose token `cancel` also cancels.
    pub fn new(cancel: &CancelToken) -> Self {
        Self { pending: Mutex::default(), changed: Condvar::new(), cancel: cancel.child() }
    }

    /// Wakes the thread. After `Wake::Stop`, other signals have no effect.
    pub fn wake(&self, wake: Wake) {
        if wake == Wake::Stop {
            self.cancel.cancel();
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if *pending != Wake::Stop {
            *pending = wake;
        }
        self.changed.notify_all();
    }

    /// Sleeps for `time` or until a signal, and returns the signal.
    pub fn sleep(&self, time: Duration) -> Wake {
        let end = Instant::now() + time;
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::mem::take(&mut *pending) {
                Wake::Stop => {
                    *pending = Wake::Stop;
                    return Wake::Stop;
                }
                Wake::Check => return Wake::Check,
                Wake::None => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::None;
            }
            pending = self.changed.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
