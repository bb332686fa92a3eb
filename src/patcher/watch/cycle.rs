//! The loop of the watcher's thread: sleep, check, download, apply, report.

use super::{Wake, WakeSignal, WatchEvent, WatchMode, WatchOptions};
use crate::disk::fs::Dir;
use crate::error::{Error, Network, Refused, Result};
use crate::patcher::deadline::Deadline;
use crate::patcher::{Check, ComponentVersion, DeferralReason, Patcher, Staged, Update};
use crate::state::journal::JournalState;
use crate::state::{ActiveUpdate, StateFile as _, UpdateState, WatcherState};
use crate::swap;
use crate::values::timestamp::Timestamp;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time limit for a check in the background, where the program waits for nothing. A large
/// manifest may need it on a slow network.
const CHECK_TIMEOUT: Duration = Duration::from_secs(600);

/// The state of the watcher's thread.
pub(super) struct WatchLoop<F> {
    pub patcher: Patcher,
    pub options: WatchOptions,
    pub on_event: F,
    pub state_dir: Dir,
    pub signal: Arc<WakeSignal>,
    /// The releases that this watcher has reported as found.
    pub reported: Vec<ComponentVersion>,
    /// `true` while a staged update waits for the end of programs.
    pub is_waiting_for_programs: bool,
}

impl<F: FnMut(WatchEvent<'_>)> WatchLoop<F> {
    /// Checks again and again until the watcher stops.
    pub fn run(&mut self) {
        let schedule = self.options.schedule;
        let last = WatcherState::load_or_default(&self.state_dir).unwrap_or_default().last;
        let mut failures = last.map_or(0, |(_, failures)| failures);
        let mut pause = schedule.first(last, Timestamp::now(), random_fraction());
        while self.sleep(pause) {
            let result = match self.check() {
                // The user paused the download. The next check reports a reminder.
                Err(Error::Paused { .. } | Error::Cancelled) => Ok(()),
                result => result,
            };
            if self.signal.cancel.is_cancelled() {
                return;
            }
            failures = if result.is_ok() { 0 } else { failures.saturating_add(1) };
            pause = match result {
                Ok(()) => {
                    let next = schedule.next(random_fraction());
                    let hours = self.patcher.pause_until_hours(random_fraction());
                    hours.map_or(next, |until| until.min(next))
                }
                Err(error) => self.report_failure(error, failures),
            };
            // Without this record, the next watcher only checks too early.
            let _ = WatcherState { last: Some((Timestamp::now(), failures)) }.save(&self.state_dir);
        }
    }

    /// Sleeps until the next check, and applies a waiting update meanwhile; returns `false` if the
    /// watcher must stop.
    fn sleep(&mut self, pause: Duration) -> bool {
        let (end, period) = (Instant::now() + pause, self.options.schedule.apply_period());
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let is_waiting = self.is_waiting_for_programs && left > period;
            match self.signal.sleep(if is_waiting { period } else { left }) {
                Wake::Stop => return false,
                Wake::None if is_waiting => self.apply_waiting(),
                Wake::None | Wake::Check => return true,
            }
        }
    }

    /// Applies the staged update if the programs have ended for which it waits.
    fn apply_waiting(&mut self) {
        // Reading the stage takes long, and most programs run for longer.
        if let Err(Error::Busy { .. }) = self.patcher.while_not_running(&self.state_dir, || Ok(())) {
            return;
        }
        self.is_waiting_for_programs = false;
        // The next check reports an error.
        if let Ok(Some(staged)) = self.patcher.staged() {
            let _ = self.apply(staged);
        }
    }

    /// Applies an update, and returns `true` unless it waits for the end of programs.
    fn apply(&mut self, staged: Staged) -> Result<bool> {
        let releases = staged.updates().iter().map(ComponentVersion::of).collect();
        match staged.apply() {
            Ok(_) => (self.on_event)(WatchEvent::Applied(releases)),
            Err(Error::Busy { .. }) => self.is_waiting_for_programs = true,
            Err(error) => return Err(error),
        }
        Ok(!self.is_waiting_for_programs)
    }

    /// Reports a failed check, and returns the time until the next one.
    fn report_failure(&mut self, error: Error, failures: u32) -> Duration {
        let retry_after = match &error {
            Error::Network(Network::Status { retry_after, .. }) => *retry_after,
            Error::Network(Network::Wait { until, .. }) => {
                u64::try_from(until.unix() - Timestamp::now().unix()).ok().map(Duration::from_secs)
            }
            _ => None,
        };
        let retry_in = self.options.schedule.retry(failures, retry_after, random_fraction());
        match error {
            Error::Refused(stale @ (Refused::Stale { .. } | Refused::NoStamp { .. })) => {
                (self.on_event)(WatchEvent::Stale(stale))
            }
            error => (self.on_event)(WatchEvent::Failed { error, retry_in }),
        }
        retry_in
    }

    /// Checks once, and downloads or applies what the mode says.
    fn check(&mut self) -> Result<()> {
        if self.patcher.paused_since()?.is_some() {
            for update in self.patcher.active_updates()? {
                let ActiveUpdate { component, version, state, .. } = update;
                (self.on_event)(WatchEvent::Reminder { component, version, state });
            }
            return Ok(());
        }
        if self.options.mode != WatchMode::Notify {
            let unfinished = self.patcher.unfinished()?;
            if !unfinished.is_empty() {
                return self.download(unfinished);
            }
        }
        (self.on_event)(WatchEvent::Checking);
        let active = self.patcher.active_updates()?;
        let Check { updates, deferred, .. } = {
            let components = self.patcher.require_components()?;
            self.patcher.check_until(&components, Deadline::after(CHECK_TIMEOUT).in_background())?
        };
        if updates.is_empty() {
            (self.on_event)(WatchEvent::UpToDate(deferred));
            return Ok(());
        }
        let mut has_new = false;
        for update in &updates {
            let release = ComponentVersion::of(update);
            let state = active.iter().find(|active| release.is(active)).map(|active| active.state);
            if self.reported.contains(&release) || state.is_some() {
                let ComponentVersion { component, version } = release;
                let state = state.unwrap_or(UpdateState::Checking);
                (self.on_event)(WatchEvent::Reminder { component, version, state });
            } else {
                has_new = true;
                self.reported.push(release);
            }
        }
        if has_new {
            (self.on_event)(WatchEvent::UpdateFound(&updates));
        }
        if self.options.mode == WatchMode::Notify { Ok(()) } else { self.download(updates) }
    }

    /// Downloads the updates, and applies them if the mode says so.
    fn download(&mut self, updates: Vec<Update>) -> Result<()> {
        let mut check = Check::default();
        for update in updates {
            // The user may have skipped the update when the program reported it.
            if !update.is_critical() && self.patcher.is_skipped(update.component(), update.to())? {
                check.deferred.push(update.deferred(DeferralReason::Skipped)?);
            } else {
                check.updates.push(update.cancelled_by(&self.signal.cancel));
            }
        }
        // An update that requires a skipped one is deferred with it.
        self.patcher.defer_unmet_requirements(&mut check)?;
        self.is_waiting_for_programs = false;
        let on_event = &mut self.on_event;
        if check.updates.is_empty() {
            on_event(WatchEvent::UpToDate(check.deferred));
            return Ok(());
        }
        let before = self.patcher.active_updates()?;
        let staged = Update::download_all(check.updates, |progress| on_event(WatchEvent::Progress(progress)))?;
        let releases: Vec<_> = staged.updates().iter().map(ComponentVersion::of).collect();
        let mode = self.options.mode;
        if mode == WatchMode::Apply {
            if self.apply(staged)? {
                return Ok(());
            }
        } else if mode == WatchMode::ApplyOnExit && swap::pending(self.patcher.root())? != Some(JournalState::Prepared)
        {
            staged.apply_on_exit()?;
        }
        if !releases.iter().all(|release| was_staged(&before, release)) {
            (self.on_event)(WatchEvent::Staged(releases));
        }
        Ok(())
    }
}

/// Returns `true` if a release was completely staged before this download.
fn was_staged(active: &[ActiveUpdate], release: &ComponentVersion) -> bool {
    let update = active.iter().find(|update| release.is(update));
    update.is_some_and(|update| matches!(update.state, UpdateState::Staged | UpdateState::Pending))
}

/// Returns a random number between 0 and 1.
fn random_fraction() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}
