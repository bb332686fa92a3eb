//! A value that is created and dropped on separate threads.
//!
//! The HTTP library's blocking client contains an async runtime. Inside another runtime, as in
//! `#[tokio::main]`, it panics when it is made or dropped.

use crate::error::{Error, Result};
use std::sync::{Mutex, PoisonError};

/// A value that is made at its first use.
pub struct OwnThread<T: Send + 'static>(Mutex<Option<T>>);

impl<T: Send + 'static> Default for OwnThread<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send + 'static> OwnThread<T> {
    /// Returns the value; the first call makes it.
    ///
    /// # Errors
    /// The errors of `make`; [`Machine::Io`](crate::error::Machine::Io) if no thread can be
    /// started.
    pub fn get_or_make(&self, make: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let mut value = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*value {
            return Ok(value.clone());
        }
        let made = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, make);
            let thread = thread.map_err(|error| Error::io("start", "a thread of the HTTP client", error))?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        Ok(value.insert(made).clone())
    }
}

impl<T: Send + 'static> Drop for OwnThread<T> {
    fn drop(&mut self) {
        let value = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The thread ends soon. A caller that waited for it would block its own runtime.
        if value.is_some() {
            let _ = std::thread::Builder::new().spawn(move || drop(value));
        }
    }
}
