//! Exceptions, grouped by who must act.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use updater::Error;

create_exception!(patcher, PatcherError, PyException);
create_exception!(patcher, NetworkError, PatcherError);
create_exception!(patcher, RefusedError, PatcherError);
create_exception!(patcher, MachineError, PatcherError);
create_exception!(patcher, CallerError, PatcherError);
create_exception!(patcher, BusyError, PatcherError);
create_exception!(patcher, CancelledError, PatcherError);

/// Adds the exceptions to the module.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("PatcherError", py.get_type::<PatcherError>())?;
    module.add("NetworkError", py.get_type::<NetworkError>())?;
    module.add("RefusedError", py.get_type::<RefusedError>())?;
    module.add("MachineError", py.get_type::<MachineError>())?;
    module.add("CallerError", py.get_type::<CallerError>())?;
    module.add("BusyError", py.get_type::<BusyError>())?;
    module.add("CancelledError", py.get_type::<CancelledError>())
}

/// Makes the exception for an error, with its code.
pub fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let text = error.to_string();
    let made = match error {
        Error::Network(_) => NetworkError::new_err(text),
        Error::Refused(_) => RefusedError::new_err(text),
        Error::Machine(_) => MachineError::new_err(text),
        Error::Caller(_) => CallerError::new_err(text),
        Error::Busy { .. } => BusyError::new_err(text),
        Error::Cancelled | Error::Paused { .. } => CancelledError::new_err(text),
        _ => PatcherError::new_err(text),
    };
    let value = made.value(py);
    // Attributes of a new exception can always be set.
    let _ = value.setattr("code", error.code());
    let _ = value.setattr("exit", error.exit_code());
    let _ = value.setattr("retryable", error.is_retryable());
    made
}

/// Runs work without the interpreter's lock.
pub fn released<T: Send>(py: Python<'_>, work: impl FnOnce() -> updater::Result<T> + Send) -> PyResult<T> {
    py.detach(work).map_err(|error| exception(py, &error))
}
