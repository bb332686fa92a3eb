//! A cancel token: stops a long call from another thread.

use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The period after which a waiting call checks its token again.
pub(super) const CANCEL_POLL_PERIOD: Duration = Duration::from_millis(50);

/// Stops the calls that it was given to, from any thread.
///
/// Complete files and partial objects stay on disk, and the next download uses them.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    is_cancelled: AtomicBool,
    parent: Option<CancelToken>,
    deadline: Option<Instant>,
}

impl CancelToken {
    /// Returns a token that is also cancelled when this one is.
    pub fn child(&self) -> Self {
        Self(Arc::new(CancelState { parent: Some(self.clone()), ..CancelState::default() }))
    }

    /// Returns a token that is cancelled when this one is, and at the deadline.
    pub(crate) fn child_until(&self, deadline: Instant) -> Self {
        Self(Arc::new(CancelState { parent: Some(self.clone()), deadline: Some(deadline), ..CancelState::default() }))
    }

    /// Returns a token with half of the time that is left until this one's deadline.
    ///
    /// It is for a request that the caller can do without.
    pub(crate) fn child_for_half_the_time(&self) -> Self {
        let now = Instant::now();
        let half = |deadline: Instant| self.child_until(now + deadline.saturating_duration_since(now) / 2);
        self.deadline().map_or_else(|| self.child(), half)
    }

    fn deadline(&self) -> Option<Instant> {
        let inherited = self.0.parent.as_ref().and_then(Self::deadline);
        self.0.deadline.into_iter().chain(inherited).min()
    }

    /// Returns `true` if only the deadline has cancelled this token.
    pub(crate) fn is_timed_out(&self) -> bool {
        self.is_past_deadline()
            && !self.0.is_cancelled.load(Ordering::Relaxed)
            && !self.0.parent.as_ref().is_some_and(Self::is_cancelled)
    }

    fn is_past_deadline(&self) -> bool {
        self.0.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Stops the calls that use this token or one of its children.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if [`cancel`](Self::cancel) was called on this token or on a parent.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Relaxed)
            || self.is_past_deadline()
            || self.0.parent.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Fails once [`cancel`](Self::cancel) was called.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Sleeps for `time`, or until [`cancel`](Self::cancel) is called.
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
            std::thread::sleep(left.min(CANCEL_POLL_PERIOD));
        }
    }
}
