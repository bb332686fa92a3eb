//! Watchers, which check for updates in a thread of their own.

use crate::app::App;
use crate::boundary::{fallible, hand_out, infallible, take};
use crate::failure::Failure;
use crate::text::owned;
use std::ffi::{c_char, c_void};
use std::time::Duration;
use updater::{ToJson as _, WatchMode, WatchOptions, Watcher};

/// A running watcher.
pub struct BackgroundWatcher(Watcher);

/// The action of a watcher for the updates that it finds.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum WatchAction {
    /// Report them.
    Notify,
    /// Download them.
    Download,
    /// Download them; the helper swaps when the program has ended.
    ApplyOnExit,
}

/// A function that a watcher calls in its own thread, with the pointer that the caller gave.
///
/// `json` is one of the events of docs/reference/command-line.md. It lives as long as the callback
/// runs.
pub type EventCallback = Option<unsafe extern "C" fn(json: *const c_char, user: *mut c_void)>;

/// The pointer of the caller, which the watcher's thread gets.
struct User(*mut c_void);

// SAFETY: the library only hands the pointer on. The documentation of `patcher_watch` says in which
// thread.
unsafe impl Send for User {}

impl User {
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

/// Starts a watcher; `action` is a `patcher_watch_action`. The first check comes within
/// `first_within` seconds, then one in each interval.
///
/// `callback` runs in the watcher's thread. It and `user` must live until `patcher_watcher_free`
/// has returned, which the callback must not call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_watch(
    app: *const App,
    action: i32,
    interval: u64,
    first_within: u64,
    callback: EventCallback,
    user: *mut c_void,
    watcher: *mut *mut BackgroundWatcher,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            // A C program can pass any number.
            let mode = match action {
                _ if action == WatchAction::Notify as i32 => WatchMode::Notify,
                _ if action == WatchAction::Download as i32 => WatchMode::Download,
                _ if action == WatchAction::ApplyOnExit as i32 => WatchMode::ApplyOnExit,
                _ => return Err(Failure::bad_argument("action", "it is no patcher_watch_action")),
            };
            let options = WatchOptions::default().mode(mode).interval(Duration::from_secs(interval));
            let options = options.first_within(Duration::from_secs(first_within));
            let user = User(user);
            let started = Watcher::start(App::handle(app)?, options, move |event| {
                if let Some(callback) = callback {
                    callback(owned(&event.to_json().to_string()).as_ptr(), user.pointer());
                }
            })?;
            hand_out(watcher, Some(BackgroundWatcher(started)));
            Ok(())
        })
    }
}

/// Lets a watcher check at once. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_watcher_check_now(watcher: *const BackgroundWatcher) {
    // SAFETY: the caller promises a watcher or NULL.
    infallible((), || unsafe { watcher.as_ref() }.iter().for_each(|watcher| watcher.0.check_now()));
}

/// Stops and frees a watcher, and waits for its thread. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_watcher_free(watcher: *mut BackgroundWatcher) {
    // SAFETY: the caller promises that it was made by this library.
    infallible((), || drop(unsafe { take(watcher) }));
}
