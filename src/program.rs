//! The program's one handle, in a global variable, and the functions that use it.

use crate::error::{Caller, Result};
use crate::patcher::{Check, Config, Offer, Patcher, Started};
use std::sync::OnceLock;
use std::time::Duration;

static PATCHER: OnceLock<Patcher> = OnceLock::new();

/// Makes the program's one [`Patcher`], and [starts](Patcher::start) it. Call it first in `main`.
///
/// It ends this process where the start hands over to the helper.
///
/// After an error of the start, the program can still use [`handle`] and the other functions.
///
/// # Errors
/// As [`Patcher::new`] and [`Patcher::start`]; [`Caller::Init`] for a second call.
pub fn init(config: Config) -> Result<Started> {
    crate::helper::run_if_asked(&config.helper);
    let patcher = Patcher::new(config)?;
    PATCHER.set(patcher.clone()).map_err(|_| Caller::Init("`init` was called twice"))?;
    match patcher.start()? {
        Started::HandedOver => std::process::exit(0),
        started => Ok(started),
    }
}

/// Looks for a newer release of one component.
///
/// # Errors
/// As [`Patcher::check_component`]; [`Caller::Init`] before [`init`].
pub fn check_component(component: impl AsRef<str>) -> Result<Offer> {
    handle()?.check_component(component)
}

/// Looks for a newer release of one component, unless a check was made less than `period` ago.
///
/// # Errors
/// As [`Patcher::check_if_due`]; [`Caller::Init`] before [`init`].
pub fn check_if_due(component: impl AsRef<str>, period: Duration) -> Result<Offer> {
    handle()?.check_if_due(component, period)
}

/// Looks for newer releases of all installed components.
///
/// # Errors
/// As [`Patcher::check_all`]; [`Caller::Init`] before [`init`].
pub fn check_all() -> Result<Check> {
    handle()?.check_all()
}

/// Confirms that this version of the program works, which ends its probation.
///
/// # Errors
/// As [`Patcher::confirm`]; [`Caller::Init`] before [`init`].
pub fn confirm() -> Result<bool> {
    handle()?.confirm()
}

/// Returns the program's handle, which has all other operations.
///
/// # Errors
/// [`Caller::Init`] before [`init`].
pub fn handle() -> Result<&'static Patcher> {
    Ok(PATCHER.get().ok_or(Caller::Init("`init` was not called yet"))?)
}
