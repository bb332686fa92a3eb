//! Apps: one install root with its trusted keys, and the operations on it.

use crate::boundary::{fallible, hand_out as hand_out_object, infallible, put, take};
use crate::cancel::{Cancel, token};
use crate::config::Config;
use crate::failure::Failure;
use crate::staged::StagedUpdates;
use crate::text::{hand_out, read};
use crate::updates::Updates;
use std::ffi::c_char;
use updater::{Caller, Patcher, Started, ToJson as _, Value, Version};

/// An app: one install root with its trusted keys. Any thread may use it.
pub struct App(pub(crate) Patcher);

/// The event since the program's last start.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum StartEvent {
    /// Nothing happened.
    Normal,
    /// The program starts for the first time.
    FirstRun,
    /// A component was updated.
    Updated,
    /// A new version failed, and the version before is back.
    RolledBack,
    /// An interrupted swap was undone.
    Recovered,
    /// The program runs without updates.
    UpdatesOff,
    /// The program must end now. The helper starts it again.
    HandedOver,
}

impl StartEvent {
    fn of(started: &Started) -> Self {
        match started {
            Started::FirstRun => Self::FirstRun,
            Started::Updated { .. } => Self::Updated,
            Started::RolledBack { .. } => Self::RolledBack,
            Started::Recovered => Self::Recovered,
            Started::UpdatesOff(_) => Self::UpdatesOff,
            Started::HandedOver => Self::HandedOver,
            _ => Self::Normal,
        }
    }
}

impl App {
    /// Returns the handle behind a pointer.
    ///
    /// # Safety
    /// `app` is null or an app.
    pub unsafe fn handle<'a>(app: *const App) -> Result<&'a Patcher, Failure> {
        // SAFETY: the caller promises that it is an app or NULL.
        unsafe { app.as_ref() }.map(|app| &app.0).ok_or_else(|| Failure::bad_argument("app", "it is NULL"))
    }
}

/// Makes an app and checks its configuration. It does not touch the disk. The caller frees the app
/// with `patcher_app_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_app_new(config: *const Config, app: *mut *mut App, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let config = config.as_ref().ok_or_else(|| Failure::bad_argument("config", "it is NULL"))?;
            hand_out_object(app, Some(App(Patcher::new(config.checked()?)?)));
            Ok(())
        })
    }
}

/// Frees an app. Updates, staged updates and watchers of it stay. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_app_free(app: *mut App) {
    // SAFETY: the caller promises that it was made by this library.
    infallible((), || drop(unsafe { take(app) }));
}

/// Finishes the work of earlier runs, and holds the running lock until the app is freed. Call it
/// first in `main`. After PATCHER_STARTED_HANDED_OVER the program must end.
///
/// `details` gets a JSON object that the caller frees with `patcher_text_free`; it may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_start(
    app: *const App,
    event: *mut StartEvent,
    details: *mut *mut c_char,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let started = App::handle(app)?.start()?;
            put(event, StartEvent::of(&started));
            hand_out(details, &started.to_json().to_string());
            Ok(())
        })
    }
}

/// Confirms that this version works, which ends its probation. Without this call the helper returns
/// to the version before. `was_on_probation` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_confirm(
    app: *const App,
    was_on_probation: *mut bool,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            put(was_on_probation, App::handle(app)?.confirm()?);
            Ok(())
        })
    }
}

/// Looks for newer releases of all components. `cancel` may be NULL. The caller frees the updates
/// with `patcher_updates_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_check(
    app: *const App,
    cancel: *const Cancel,
    updates: *mut *mut Updates,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let check = App::handle(app)?.cancelled_by(&token(cancel)).check_all()?;
            hand_out_object(updates, Some(Updates(check)));
            Ok(())
        })
    }
}

/// Looks for a newer release of one component, as `patcher_check` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_check_component(
    app: *const App,
    component: *const c_char,
    cancel: *const Cancel,
    updates: *mut *mut Updates,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let component = read("component", component)?;
            let check = App::handle(app)?.cancelled_by(&token(cancel)).check(&[component])?;
            hand_out_object(updates, Some(Updates(check)));
            Ok(())
        })
    }
}

/// Finds the release of a component that is not installed, at the URL of its manifest or folder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_install(
    app: *const App,
    component: *const c_char,
    from: *const c_char,
    updates: *mut *mut Updates,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let update = App::handle(app)?.install(read("component", component)?, read("from", from)?)?;
            hand_out_object(updates, Some(Updates::of(vec![update])));
            Ok(())
        })
    }
}

/// Finds the missing and damaged files of a component. Without any, `updates` has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_repair(
    app: *const App,
    component: *const c_char,
    updates: *mut *mut Updates,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let update = App::handle(app)?.repair(read("component", component)?)?;
            hand_out_object(updates, Some(Updates::of(update.into_iter().collect())));
            Ok(())
        })
    }
}

/// Returns the updates that an earlier run has downloaded; `staged` gets NULL if there are none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_staged_updates(
    app: *const App,
    staged: *mut *mut StagedUpdates,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            hand_out_object(staged, App::handle(app)?.staged()?.map(StagedUpdates));
            Ok(())
        })
    }
}

/// Returns the updates whose download an earlier run began. It asks no server.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_unfinished(
    app: *const App,
    updates: *mut *mut Updates,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            hand_out_object(updates, Some(Updates::of(App::handle(app)?.unfinished()?)));
            Ok(())
        })
    }
}

/// Lets the helper return to the version before and start it, after this program has ended. The
/// program must end after this call. In a terminal on Unix, and in the main process of a
/// systemd service, the call does not return.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_roll_back(app: *const App, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let previous = App::handle(app)?.previous()?.ok_or(updater::Error::from(Caller::NothingToRollBack))?;
            Ok(previous.hand_over()?)
        })
    }
}

/// Finishes or undoes an interrupted swap of another program.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_recover(app: *const App, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe { fallible(error, || Ok(App::handle(app)?.recover().map(drop)?)) }
}

/// Pauses downloads, also those of other processes, until `patcher_resume`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_pause(app: *const App, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe { fallible(error, || Ok(App::handle(app)?.pause()?)) }
}

/// Allows downloads again. `patcher_unfinished` returns those that were interrupted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_resume(app: *const App, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe { fallible(error, || Ok(App::handle(app)?.resume().map(drop)?)) }
}

/// Records whether the user agrees to be counted once a week; ask the user first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_allow_adoption_count(app: *const App, allowed: bool, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe { fallible(error, || Ok(App::handle(app)?.allow_adoption_count(allowed)?)) }
}

/// Skips a version of a component. Critical releases are still offered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_skip(
    app: *const App,
    component: *const c_char,
    version: *const c_char,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let (component, version) = (read("component", component)?, read("version", version)?);
            let version = version.parse::<Version>();
            let version = version.map_err(|error| Failure::bad_argument("version", &error.to_string()))?;
            Ok(App::handle(app)?.skip(component, &version)?)
        })
    }
}

/// Removes a component; files that the user added or changed stay. `json` gets the list of the
/// changed ones, which the caller frees with `patcher_text_free`; it may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_remove(
    app: *const App,
    component: *const c_char,
    json: *mut *mut c_char,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            let left = App::handle(app)?.remove(read("component", component)?)?;
            let left: Value = left.iter().map(|path| Value::from(path.as_str())).collect();
            hand_out(json, &left.to_string());
            Ok(())
        })
    }
}

/// Compares the files of a component with its manifest. `json` gets the list of damaged files, as
/// of the command `verify`. The caller frees it with `patcher_text_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_verify(
    app: *const App,
    component: *const c_char,
    json: *mut *mut c_char,
    error: *mut *mut Failure,
) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            hand_out(json, &App::handle(app)?.verify(read("component", component)?)?.to_json().to_string());
            Ok(())
        })
    }
}

/// Returns what is installed, staged and in progress, as the object of the command `status`. The
/// caller frees it with `patcher_text_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_status(app: *const App, json: *mut *mut c_char, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            hand_out(json, &App::handle(app)?.status()?.to_json().to_string());
            Ok(())
        })
    }
}

/// Returns past updates, as the list in the object of the command `history`. The caller frees it
/// with `patcher_text_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_history(app: *const App, json: *mut *mut c_char, error: *mut *mut Failure) -> i32 {
    // SAFETY: the caller promises these pointers.
    unsafe {
        fallible(error, || {
            hand_out(json, &App::handle(app)?.history()?.to_json().to_string());
            Ok(())
        })
    }
}
