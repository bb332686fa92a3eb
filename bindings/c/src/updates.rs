//! Updates that a check has found, and their download.

use crate::boundary::{fallible, hand_out as hand_out_object, infallible, take};
use crate::cancel::{Cancel, token};
use crate::failure::Failure;
use crate::staged::StagedUpdates;
use crate::text::{hand_out, owned};
use std::ffi::{c_char, c_void};
use updater::{Check, Progress, ToJson as _, Update};

/// Updates that a check has found, and newer releases that are not offered now.
pub struct Updates(pub(crate) Check);

/// The state of a download at one moment. The path lives as long as the callback runs.
#[repr(C)]
pub struct ProgressState {
    /// The bytes fetched so far.
    pub bytes_done: u64,
    /// The bytes to fetch in all.
    pub bytes_total: u64,
    /// The bytes per second; 0 until the rate is known.
    pub rate: u64,
    /// The seconds left; -1 until they are known.
    pub seconds_left: i64,
    /// The file in progress.
    pub path: *const c_char,
}

/// A function that a download calls in its own thread, with the pointer that the caller gave.
pub type ProgressCallback = Option<unsafe extern "C" fn(progress: *const ProgressState, user: *mut c_void)>;

impl Updates {
    /// Makes a list of updates without deferred releases.
    pub fn of(updates: Vec<Update>) -> Self {
        let mut check = Check::default();
        check.updates = updates;
        Self(check)
    }
}

/// Returns the number of updates.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_updates_count(updates: *const Updates) -> usize {
    // SAFETY: the caller promises updates or NULL.
    infallible(0, || unsafe { updates.as_ref() }.map_or(0, |updates| updates.0.updates.len()))
}

/// Returns the most bytes that the download of all updates fetches, as if nothing were staged yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_updates_download_size(updates: *const Updates) -> u64 {
    // SAFETY: the caller promises updates or NULL.
    infallible(0, || {
        unsafe { updates.as_ref() }.iter().flat_map(|updates| &updates.0.updates).map(Update::download_size).sum()
    })
}

/// Returns versions, notes and deferred releases, as the object of the command `check`. The caller
/// frees it with `patcher_text_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_updates_json(
    updates: *const Updates,
    json: *mut *mut c_char,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let updates = updates.as_ref().ok_or_else(|| Failure::bad_argument("updates", "it is NULL"))?;
            hand_out(json, &updates.0.to_json().to_string());
            Ok(())
        })
    }
}

/// Downloads, verifies and stages updates, and frees them, also after an error. It continues a
/// download that was interrupted.
///
/// `callback` runs in this thread; it may be NULL, as may `cancel`. The caller frees the staged
/// updates with `patcher_staged_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_download(
    updates: *mut Updates,
    callback: ProgressCallback,
    user: *mut c_void,
    cancel: *const Cancel,
    staged: *mut *mut StagedUpdates,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let updates = take(updates).ok_or_else(|| Failure::bad_argument("updates", "it is NULL"))?;
            let token = token(cancel);
            let updates = updates.0.updates.into_iter().map(|update| update.cancelled_by(&token)).collect();
            let show = |progress: Progress| {
                let Some(callback) = callback else { return };
                let path = owned(progress.path.as_str());
                let state = ProgressState {
                    bytes_done: progress.bytes_done,
                    bytes_total: progress.bytes_total,
                    rate: progress.rate,
                    seconds_left: progress
                        .time_left
                        .map_or(-1, |left| i64::try_from(left.as_secs()).unwrap_or(i64::MAX)),
                    path: path.as_ptr(),
                };
                callback(&raw const state, user);
            };
            hand_out_object(staged, Some(StagedUpdates(Update::download_all(updates, show)?)));
            Ok(())
        })
    }
}

/// Frees updates. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_updates_free(updates: *mut Updates) {
    // SAFETY: the caller promises that they were made by this library.
    infallible((), || drop(unsafe { take(updates) }));
}
