//! The objects that calls return: updates, staged updates, watchers and cancel tokens.

use crate::errors::bad_argument;
use crate::promise::promise;
use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use std::sync::{Mutex, PoisonError};
use updater::{Check, ToJson as _};

/// A token that cancels calls.
#[napi]
#[derive(Default)]
pub struct CancelToken(pub(crate) updater::CancelToken);

#[napi]
impl CancelToken {
    /// Makes a token.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels the calls that have the token.
    #[napi]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// The result of a check. A download takes the updates.
#[napi]
pub struct Updates {
    json: String,
    check: Mutex<Option<Check>>,
}

impl Updates {
    /// Makes the object of a check.
    pub fn of(check: Check) -> Self {
        Self { json: check.to_json().to_string(), check: Mutex::new(Some(check)) }
    }

    /// Makes the object of updates without deferred releases.
    pub fn of_updates(updates: Vec<updater::Update>) -> Self {
        let mut check = Check::default();
        check.updates = updates;
        Self::of(check)
    }

    /// Takes the updates.
    pub fn take(&self) -> Result<Vec<updater::Update>> {
        let taken = self.check.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.map(|check| check.updates).ok_or_else(|| bad_argument("found", "the updates were downloaded before"))
    }
}

#[napi]
impl Updates {
    /// Returns updates and deferred releases.
    #[napi]
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// Staged updates. One call takes them.
#[napi]
pub struct Staged {
    json: String,
    staged: Mutex<Option<updater::Staged>>,
}

impl Staged {
    /// Makes the object of staged updates.
    pub fn of(staged: updater::Staged) -> Self {
        Self { json: staged.to_json().to_string(), staged: Mutex::new(Some(staged)) }
    }

    fn take(&self) -> Result<updater::Staged> {
        let taken = self.staged.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| bad_argument("staged", "the staged updates were used before"))
    }
}

#[napi]
impl Staged {
    /// Returns the updates.
    #[napi]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Lets the helper swap when the program has ended, and start the new version.
    #[napi]
    pub fn hand_over<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let staged = self.take()?;
        promise(env, || staged.hand_over())
    }

    /// Lets the helper swap when the program has ended.
    #[napi]
    pub fn apply_on_exit<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let staged = self.take()?;
        promise(env, || staged.apply_on_exit())
    }

    /// Swaps now.
    #[napi]
    pub fn apply<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let staged = self.take()?;
        promise(env, || Ok(staged.apply()?.to_json().to_string()))
    }
}

/// A running watcher.
#[napi]
pub struct Watcher(pub(crate) Mutex<Option<updater::Watcher>>);

impl Watcher {
    fn take(&self) -> Option<updater::Watcher> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[napi]
impl Watcher {
    /// Lets the watcher check at once.
    #[napi]
    pub fn check_now(&self) {
        if let Some(watcher) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            watcher.check_now();
        }
    }

    /// Stops the watcher; the promise waits for its thread.
    #[napi]
    pub fn stop<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let watcher = self.take();
        promise(env, || {
            drop(watcher);
            Ok(())
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(watcher) = self.take() {
            // Node drops it on the event loop, which would wait for the watcher's thread.
            std::thread::spawn(|| drop(watcher));
        }
    }
}
