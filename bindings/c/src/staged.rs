//! Staged updates, with only the swap left to do. Every function but the last one frees them.

use crate::boundary::{fallible, infallible, take};
use crate::failure::Failure;
use crate::text::hand_out;
use std::ffi::c_char;
use updater::{Staged, ToJson as _};

/// Updates that are completely downloaded.
pub struct StagedUpdates(pub(crate) Staged);

impl StagedUpdates {
    /// Takes staged updates from the caller.
    ///
    /// # Safety
    /// `staged` is null or was made by this library.
    unsafe fn taken(staged: *mut Self) -> Result<Staged, Failure> {
        // SAFETY: the caller promises where they come from.
        unsafe { take(staged) }.map(|staged| staged.0).ok_or_else(|| Failure::bad_argument("staged", "it is NULL"))
    }
}

/// Starts the helper, which swaps when the program has ended, and starts the new version. Frees the
/// staged updates.
///
/// The program must end after this call. In a terminal on Unix, and in the main process of a
/// systemd service, the call does not return: the helper takes the place of the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_restart(staged: *mut StagedUpdates, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe { fallible(error, || Ok(StagedUpdates::taken(staged)?.hand_over()?)) }
}

/// Starts the helper, which swaps when the program has ended, and starts nothing. Frees the staged
/// updates.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_apply_on_exit(staged: *mut StagedUpdates, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe { fallible(error, || Ok(StagedUpdates::taken(staged)?.apply_on_exit()?)) }
}

/// Swaps now, in this process, for components that the program does not run from. Frees the staged
/// updates.
///
/// `json` gets what has changed, as of the command `apply`. The caller frees it with
/// `patcher_text_free`; it may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_apply(
    staged: *mut StagedUpdates,
    json: *mut *mut c_char,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let applied = StagedUpdates::taken(staged)?.apply()?;
            hand_out(json, &applied.to_json().to_string());
            Ok(())
        })
    }
}

/// Frees staged updates, which stay on disk. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_staged_free(staged: *mut StagedUpdates) {
    // SAFETY: the caller promises that they were made by this library.
    infallible((), || drop(unsafe { take(staged) }));
}
