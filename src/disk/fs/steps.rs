//! The steps that change the disk, as unit tests count them: each can be the last thing that a
//! process does, or the one that fails. In programs there is nothing of this.

#[cfg(not(test))]
mod uncounted {
    use crate::error::Result;

    /// Stands before every step that changes the disk.
    #[inline]
    pub fn next(_what: &'static str) -> Result<()> {
        Ok(())
    }

    /// What a thread needs to go on counting for the one that started it.
    pub struct Handle;

    #[inline]
    pub fn handle() -> Handle {
        Handle
    }

    /// Goes on counting in this thread.
    #[inline]
    pub fn enter(_steps: &Handle) {}
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

    /// What happens at the chosen step.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Stop {
        /// The process ends: neither this step nor any later one happens.
        Dead,
        /// The system refuses this step, and later ones work.
        Refused,
    }

    /// The steps so far, and the one that matters.
    #[derive(Debug)]
    pub struct Count {
        stop: Stop,
        at: usize,
        done: AtomicUsize,
    }

    thread_local! {
        static CURRENT: RefCell<Option<Arc<Count>>> = const { RefCell::new(None) };
    }

    /// Counts the steps of this thread, and of those that it starts, until it is dropped.
    #[derive(Debug)]
    pub struct Steps(Arc<Count>);

    impl Steps {
        /// Stops at step `at`, the first being 0.
        pub fn stopping(stop: Stop, at: usize) -> Self {
            let count = Arc::new(Count { stop, at, done: AtomicUsize::new(0) });
            enter(&Some(Arc::clone(&count)));
            Self(count)
        }

        /// Whether the step at which to stop was reached.
        pub fn stopped(&self) -> bool {
            self.0.done.load(Ordering::SeqCst) > self.0.at
        }
    }

    impl Drop for Steps {
        fn drop(&mut self) {
            enter(&None);
        }
    }

    pub fn handle() -> Handle {
        CURRENT.with_borrow(Clone::clone)
    }

    type Handle = Option<Arc<Count>>;

    pub fn enter(steps: &Handle) {
        CURRENT.set(steps.clone());
    }

    pub fn next(what: &'static str) -> Result<()> {
        // The other steps on a disk in memory are its calls; an open file is written to behind its
        // back.
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
