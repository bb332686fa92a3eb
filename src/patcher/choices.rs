//! Choices of the user: to pause downloads, to resume them, to skip a version.

use super::Patcher;
use crate::error::Result;
use crate::formats::manifest::Component;
use crate::state::{self, Choices, StateFile as _};
use crate::transfer::fetch::CancelToken;
use crate::values::timestamp::Timestamp;
use semver::Version;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// The time between two looks of a download at the user's choice to pause.
const PAUSE_POLL_INTERVAL: Duration = Duration::from_millis(500);

impl Patcher {
    /// Pauses downloads until [`resume`](Self::resume), also those of other processes.
    ///
    /// A download in progress fails with [`Error::Cancelled`](crate::Error::Cancelled), and a new
    /// one with [`Error::Paused`](crate::Error::Paused). The bytes downloaded so far stay.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::Machine::Io), [`Machine::NotWritable`](crate::Machine::NotWritable).
    pub fn pause(&self) -> Result<()> {
        self.change_choices(|choices| choices.paused = choices.paused.or_else(|| Some(Timestamp::now())))
    }

    /// Allows downloads again; returns `true` if they were paused.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub fn resume(&self) -> Result<bool> {
        let is_paused = self.paused_since()?.is_some();
        if is_paused {
            self.change_choices(|choices| choices.paused = None)?;
        }
        Ok(is_paused)
    }

    /// Skips a version of a component: checks defer it, and offer the next higher one.
    ///
    /// A release that the publisher marks as critical is offered although it is skipped.
    ///
    /// # Errors
    /// As [`pause`](Self::pause); [`Caller::BadSetting`](crate::Caller::BadSetting) for text that
    /// is not a component name.
    pub fn skip(&self, component: impl AsRef<str>, version: &Version) -> Result<()> {
        let component = super::parse_component(component.as_ref())?;
        self.change_choices(|choices| choices.skip(component, version.clone()))
    }

    /// Returns `true` if the user has skipped this version.
    pub(super) fn is_skipped(&self, component: &Component, version: &Version) -> Result<bool> {
        Ok(self.choices()?.skips(component, version))
    }

    /// Returns the time at which the user paused downloads.
    pub(super) fn paused_since(&self) -> Result<Option<Timestamp>> {
        Ok(self.choices()?.paused)
    }

    /// Runs `download`, and cancels it as soon as the user pauses downloads in any process.
    pub(super) fn until_paused<T>(&self, cancel: &CancelToken, download: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            let (done, is_done) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(PAUSE_POLL_INTERVAL) {
                    if self.paused_since().is_ok_and(|since| since.is_some()) {
                        return cancel.cancel();
                    }
                }
            });
            let result = download();
            drop(done);
            result
        })
    }

    pub(super) fn choices(&self) -> Result<Choices> {
        match state::open(&self.shared.root)? {
            Some(state_dir) => Choices::load_or_default(&state_dir),
            None => Ok(Choices::default()),
        }
    }

    /// Returns the choices with the random number that places this machine in rollouts; draws it if
    /// necessary.
    pub(super) fn choices_with_draw(&self) -> Result<Choices> {
        let mut choices = self.choices()?;
        if choices.draw_number() {
            self.change_choices(|saved| {
                saved.draw_number();
                choices = saved.clone();
            })?;
        }
        Ok(choices)
    }

    /// Records that the component is installed: from now on, a missing manifest is an error.
    pub(super) fn record_installed(&self, component: &Component) -> Result<()> {
        if self.choices()?.is_removed(component) {
            self.change_choices(|choices| choices.set_removed(component, false))?;
        }
        Ok(())
    }

    /// Changes and saves the user's choices.
    ///
    /// It takes a separate lock for a moment: `pause` must work during a download, which holds the
    /// other locks.
    pub(super) fn change_choices<T>(&self, change: impl FnOnce(&mut Choices) -> T) -> Result<()> {
        let state_dir = state::open_or_create(&self.shared.root)?;
        let _turn = state::lock_choosing(&state_dir)?;
        let mut choices = Choices::load_or_default(&state_dir)?;
        change(&mut choices);
        choices.save(&state_dir)
    }
}
