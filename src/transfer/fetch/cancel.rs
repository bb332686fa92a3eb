//! How a caller stops a long call.

use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a stopped caller may have to wait.
const TICK: Duration = Duration::from_millis(50);

/// Stops the calls that it was given to, from any thread; what was downloaded stays and is used the next time.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    parent: Option<CancelToken>,
}

impl CancelToken {
    /// Another token, whose calls stop with this one's too.
    pub fn child(&self) -> Self {
        Self(Arc::new(CancelState { cancelled: AtomicBool::new(false), parent: Some(self.clone()) }))
    }

    /// Stops the calls.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed) || self.0.parent.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Fails once [`cancel`](Self::cancel) was called.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Lets time pass, unless and until [`cancel`](Self::cancel) is called.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(super) fn wait(&self, time: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            self.check()?;
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TICK));
        }
    }
}
