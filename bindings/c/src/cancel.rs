//! Cancel tokens, which stop calls of other threads.

use crate::boundary::{infallible, take};
use updater::CancelToken;

/// A token that cancels the calls that it is given to. Any thread may use it.
pub struct Cancel(CancelToken);

/// Makes a token. The caller frees it with `patcher_cancel_free`.
#[unsafe(no_mangle)]
pub extern "C" fn patcher_cancel_new() -> *mut Cancel {
    Box::into_raw(Box::new(Cancel(CancelToken::default())))
}

/// Cancels the calls that have this token, also later ones. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_cancel_now(cancel: *const Cancel) {
    // SAFETY: the caller promises that it is a token or NULL.
    infallible((), || unsafe { cancel.as_ref() }.iter().for_each(|cancel| cancel.0.cancel()));
}

/// Frees a token. Calls that have it run on. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_cancel_free(cancel: *mut Cancel) {
    // SAFETY: the caller promises that it was made by this library.
    infallible((), || drop(unsafe { take(cancel) }));
}

/// Returns the token of the caller, or one that nothing cancels.
///
/// # Safety
/// `cancel` is null or a token.
pub unsafe fn token(cancel: *const Cancel) -> CancelToken {
    // SAFETY: the caller promises that it is a token or NULL.
    unsafe { cancel.as_ref() }.map_or_else(CancelToken::default, |cancel| cancel.0.clone())
}
