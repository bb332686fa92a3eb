//! What the user decides: to pause, to go on, to skip a version.

use super::Patcher;
use crate::error::Result;
use crate::state::{self, Choices, StateFile as _};
use crate::transfer::fetch::CancelToken;
use crate::values::timestamp::Timestamp;
use semver::Version;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// How often a download looks whether the user has paused it.
const PERIOD: Duration = Duration::from_millis(500);

impl Patcher {
    /// Stops downloads, those of other processes too, until [`resume`](Self::resume); what was downloaded is kept.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io), [`Machine::NotWritable`](crate::error::Machine::NotWritable).
    pub fn pause(&self) -> Result<()> {
        self.choose(|choices| choices.paused = choices.paused.or_else(|| Some(Timestamp::now())))
    }

    /// Allows downloads again; tells whether they had been stopped.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub fn resume(&self) -> Result<bool> {
        let paused = self.paused()?.is_some();
        if paused {
            self.choose(|choices| choices.paused = None)?;
        }
        Ok(paused)
    }

    /// Since when the user has stopped downloads.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn paused(&self) -> Result<Option<Timestamp>> {
        Ok(self.choices()?.paused)
    }

    /// Leaves a version of a component out; a higher one is offered again. A release that the publisher calls critical is
    /// offered all the same.
    ///
    /// # Errors
    /// As [`pause`](Self::pause); [`Caller::BadSetting`](crate::error::Caller::BadSetting) for a name that is none.
    pub fn skip(&self, component: impl AsRef<str>, version: &Version) -> Result<()> {
        let name = super::component_name(component.as_ref())?;
        self.choose(|choices| choices.skip(name, version.clone()))
    }

    /// Whether the user has left a version out.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn is_skipped(&self, component: impl AsRef<str>, version: &Version) -> Result<bool> {
        let choices = self.choices()?;
        Ok(component.as_ref().parse().is_ok_and(|name| choices.skips(&name, version)))
    }

    /// Does something that takes long, and stops it when the user pauses downloads, in this process or in another.
    pub(super) fn until_paused<T>(&self, cancel: &CancelToken, action: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            let (done, is_done) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(PERIOD) {
                    if self.paused().is_ok_and(|paused| paused.is_some()) {
                        return cancel.cancel();
                    }
                }
            });
            let result = action();
            drop(done);
            result
        })
    }

    pub(super) fn choices(&self) -> Result<Choices> {
        match state::open(&self.inner.root)? {
            Some(state_dir) => Choices::load_or_default(&state_dir),
            None => Ok(Choices::default()),
        }
    }

    /// The choices with a random number drawn, which decides when this machine's turn is.
    pub(super) fn drawn_choices(&self) -> Result<Choices> {
        let mut choices = self.choices()?;
        if choices.draw_number() {
            self.choose(|written| {
                written.draw_number();
                choices = written.clone();
            })?;
        }
        Ok(choices)
    }

    /// Changes the user's choices. Not under the lock of updaters: a download under way is to be stopped by it.
    fn choose(&self, change: impl FnOnce(&mut Choices)) -> Result<()> {
        let state_dir = state::open_or_create(&self.inner.root)?;
        let mut choices = Choices::load_or_default(&state_dir)?;
        change(&mut choices);
        choices.save(&state_dir)
    }
}
