//! The objects that calls return: updates, staged updates, watchers and cancel tokens.

use crate::errors::{CallerError, released};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};
use updater::{Check, ToJson as _};

/// A token that cancels calls.
#[pyclass(frozen)]
#[derive(Default)]
pub struct CancelToken(pub updater::CancelToken);

#[pymethods]
impl CancelToken {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn cancel(&self) {
        self.0.cancel();
    }
}

/// The result of a check. A download takes the updates.
#[pyclass(frozen)]
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
    pub fn take(&self) -> PyResult<Vec<updater::Update>> {
        let taken = self.check.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.map(|check| check.updates).ok_or_else(|| CallerError::new_err("the updates were downloaded before"))
    }
}

#[pymethods]
impl Updates {
    fn json(&self) -> &str {
        &self.json
    }
}

/// Staged updates. One call takes them.
#[pyclass(frozen)]
pub struct Staged {
    json: String,
    staged: Mutex<Option<updater::Staged>>,
}

impl Staged {
    /// Makes the object of staged updates.
    pub fn of(staged: updater::Staged) -> Self {
        Self { json: staged.to_json().to_string(), staged: Mutex::new(Some(staged)) }
    }

    fn take(&self) -> PyResult<updater::Staged> {
        let taken = self.staged.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| CallerError::new_err("the staged updates were used before"))
    }
}

#[pymethods]
impl Staged {
    fn json(&self) -> &str {
        &self.json
    }

    fn hand_over(&self, py: Python<'_>) -> PyResult<()> {
        let staged = self.take()?;
        released(py, || staged.hand_over())
    }

    fn apply_on_exit(&self, py: Python<'_>) -> PyResult<()> {
        let staged = self.take()?;
        released(py, || staged.apply_on_exit())
    }

    fn apply(&self, py: Python<'_>) -> PyResult<String> {
        let staged = self.take()?;
        Ok(released(py, || staged.apply())?.to_json().to_string())
    }
}

/// A running watcher.
#[pyclass(frozen)]
pub struct Watcher(pub Mutex<Option<updater::Watcher>>);

#[pymethods]
impl Watcher {
    fn check_now(&self) {
        if let Some(watcher) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            watcher.check_now();
        }
    }

    fn stop(&self, py: Python<'_>) {
        let watcher = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Its thread may wait for the interpreter's lock.
        py.detach(|| drop(watcher));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        Python::attach(|py| self.stop(py));
    }
}
