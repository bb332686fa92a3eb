//! Errors, as objects that the caller frees.

use crate::boundary::{infallible, take};
use crate::text::owned;
use std::ffi::{CString, c_char};

/// An error. The caller frees it with `patcher_error_free`.
#[derive(Clone)]
pub struct Failure {
    code: CString,
    message: CString,
    /// The exit code of the command line.
    pub exit_code: i32,
    is_retryable: bool,
}

impl Failure {
    /// Makes an error.
    pub fn new(code: &str, exit_code: i32, is_retryable: bool, message: &str) -> Self {
        Self { code: owned(code), message: owned(message), exit_code, is_retryable }
    }

    /// Makes the error for a wrong argument.
    pub fn bad_argument(name: &str, detail: &str) -> Self {
        Self::new("bad-setting", 2, false, &format!("argument {name}: {detail}"))
    }
}

#[cfg(test)]
impl Failure {
    /// Returns code and message.
    pub fn text(&self) -> (&str, &str) {
        (self.code.to_str().unwrap_or_default(), self.message.to_str().unwrap_or_default())
    }
}

impl From<updater::Error> for Failure {
    fn from(error: updater::Error) -> Self {
        Self::new(error.code(), error.exit_code().into(), error.is_retryable(), &error.to_string())
    }
}

/// Returns the text of an error, for people. It lives as long as the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_error_message(error: *const Failure) -> *const c_char {
    // SAFETY: the caller promises that it is an error or NULL.
    infallible(c"".as_ptr(), || unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| error.message.as_ptr()))
}

/// Returns the stable code of an error, as docs/reference/errors.md lists it. It lives as long as
/// the error. The code "panic" is a defect of the library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_error_code(error: *const Failure) -> *const c_char {
    // SAFETY: the caller promises that it is an error or NULL.
    infallible(c"".as_ptr(), || unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| error.code.as_ptr()))
}

/// Returns true if the same call may succeed later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_error_is_retryable(error: *const Failure) -> bool {
    // SAFETY: the caller promises that it is an error or NULL.
    infallible(false, || unsafe { error.as_ref() }.is_some_and(|error| error.is_retryable))
}

/// Frees an error. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_error_free(error: *mut Failure) {
    // SAFETY: the caller promises that it was made by this library.
    infallible((), || drop(unsafe { take(error) }));
}
