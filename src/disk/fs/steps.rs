//! The steps that change the disk, which unit tests count.
//!
//! A test can end the process at any step, or let any step fail. Programs contain none of this.

#[cfg(not(test))]
mod uncounted {
    use crate::error::Result;

    /// Counts a step. The disk calls it before each change.
    #[inline]
    pub fn next(_what: &'static str) -> Result<()> {
        Ok(())
    }

    /// The counter of a thread, which the threads that it starts share.
    pub struct StepCounter;

    #[inline]
    pub fn handle() -> StepCounter {
        StepCounter
    }

    /// Continues the counting in this thread.
    #[inline]
    pub fn enter(_steps: &StepCounter) {}
}
#[cfg(not(test))]
pub use uncounted::{enter, handle, next};

#[cfg(test)]
pub use counted::{Steps, Stop, enter, handle, next};

#[cfg(test)]
mod counted {
    use crate::error::{Error, Result};
    use std::cell::RefCell;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The event at the chosen step.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Stop {
        /// The process ends: neither this step nor any later one happens.
        Dead,
        /// The system refuses this step, and accepts later ones.
        Refused,
    }

    /// The number of steps so far, and the chosen step.
    #[derive(Debug)]
    pub struct Count {
        stop: Stop,
        at: usize,
        done: AtomicUsize,
    }

    thread_local! {
        static CURRENT: RefCell<Option<Arc<Count>>> = const { RefCell::new(None) };
    }

    /// Counts the steps of this thread, and of the threads that it starts, until it is dropped.
    #[derive(Debug)]
    pub struct Steps(Arc<Count>);

    impl Steps {
        /// Stops at step `at`, the first being 0.
        pub fn stopping(stop: Stop, at: usize) -> Self {
            let count = Arc::new(Count { stop, at, done: AtomicUsize::new(0) });
            enter(&Some(Arc::clone(&count)));
            Self(count)
        }

        /// Returns `true` if the chosen step was reached.
        pub fn stopped(&self) -> bool {
            self.0.done.load(Ordering::SeqCst) > self.0.at
        }
    }

    impl Drop for Steps {
        fn drop(&mut self) {
            enter(&None);
        }
    }

    pub fn handle() -> StepCounter {
        CURRENT.with_borrow(Clone::clone)
    }

    type StepCounter = Option<Arc<Count>>;

    pub fn enter(steps: &StepCounter) {
        CURRENT.set(steps.clone());
    }

    pub fn next(what: &'static str) -> Result<()> {
        // On a simulated disk, the other steps are its calls. It does not see writes to open files.
        #[cfg(unix)]
        if what == "write" {
            crate::disk::fs::simulated::before_write().map_err(|error| Error::io(what, "the disk", error))?;
        }
        let Some(count) = handle() else { return Ok(()) };
        let number = count.done.fetch_add(1, Ordering::SeqCst);
        let stops = match count.stop {
            Stop::Dead => number >= count.at,
            Stop::Refused => number == count.at,
        };
        if stops { Err(Error::io(what, "the disk", io::Error::other("stopped by the test"))) } else { Ok(()) }
    }
}
