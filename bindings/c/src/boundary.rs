//! The boundary: every function runs its work here, and no panic leaves it.

use crate::failure::Failure;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The exit code of a panic, which is a defect of this library.
const PANIC: i32 = 1;

/// Runs fallible work. Returns 0, or the exit code of the error, which goes to `error`.
///
/// # Safety
/// `error` is null or leads to a pointer that may be written.
pub unsafe fn fallible(error: *mut *mut Failure, work: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words =
            panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure::new("panic", PANIC, false, words.unwrap_or("a defect of the library")))
    });
    let failure = done.err();
    let code = failure.as_ref().map_or(0, |failure| failure.exit_code);
    if !error.is_null() {
        // SAFETY: the caller promises that it may be written.
        unsafe { *error = failure.map_or(std::ptr::null_mut(), |failure| Box::into_raw(Box::new(failure))) };
    }
    code
}

/// Runs work that cannot fail; returns `otherwise` after a panic.
pub fn infallible<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(otherwise)
}

/// Frees an object that this library has made.
///
/// # Safety
/// `object` is null, or was made by [`hand_out`] and not taken since.
pub unsafe fn take<T>(object: *mut T) -> Option<Box<T>> {
    // SAFETY: the caller promises where it comes from.
    (!object.is_null()).then(|| unsafe { Box::from_raw(object) })
}

/// Gives an object to the caller, who frees it.
///
/// # Safety
/// `place` is null or may be written.
pub unsafe fn hand_out<T>(place: *mut *mut T, object: Option<T>) {
    if !place.is_null() {
        // SAFETY: the caller promises that it may be written.
        unsafe { *place = object.map_or(std::ptr::null_mut(), |object| Box::into_raw(Box::new(object))) };
    }
}

/// Writes a value to a place of the caller, unless it is null.
///
/// # Safety
/// `place` is null or may be written.
pub unsafe fn put<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the caller promises that it may be written.
        unsafe { place.write(value) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_at_the_boundary() {
        let mut error = std::ptr::null_mut();
        // SAFETY: the place is a variable of this test.
        let code = unsafe { fallible(&raw mut error, || panic!("a defect")) };
        assert_eq!(code, PANIC);
        // SAFETY: `fallible` has made it.
        let error = unsafe { take(error) }.unwrap();
        assert_eq!((error.exit_code, error.text()), (PANIC, ("panic", "a defect")));
        assert_eq!(infallible(7, || panic!("another")), 7);
    }

    #[test]
    fn an_error_that_the_caller_does_not_want_is_freed() {
        let failed = || Err(Failure::bad_argument("x", "it is NULL"));
        // SAFETY: null is allowed.
        assert_eq!(unsafe { fallible(std::ptr::null_mut(), failed) }, 2);
    }
}
