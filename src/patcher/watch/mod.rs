//! Periodic checks in a thread of the program: it sleeps until the next one is due, and stops at once when it is told to.
//!
//! One watcher works on an install root at a time. What it finds it tells by [`WatchEvent`]; what it does about it is chosen by
//! [`WatchMode`].

mod schedule;

use crate::disk::fs::{Dir, Lock};
use crate::error::{Error, Network, Refused, Result};
use crate::formats::manifest::Component;
use crate::patcher::status::ComponentVersion;
use crate::patcher::{Check, DeferralReason, Deferred, Patcher, Update};
use crate::state::{self, ActiveUpdate, StateFile as _, UpdateState, WatcherState};
use crate::transfer::fetch::CancelToken;
use crate::transfer::stage::Progress;
use crate::values::timestamp::Timestamp;
use schedule::Schedule;
use semver::Version;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What to do with an update that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WatchMode {
    /// Tell of it.
    Notify,
    /// Download it.
    #[default]
    Download,
    /// Download it, and let the helper apply it when this program has ended, however it ends; it is not started again.
    ApplyOnExit,
    /// Download it, and apply it as soon as no instance of the program runs: for a process of its own.
    Apply,
}

/// How to watch.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct WatchOptions {
    schedule: Schedule,
    mode: WatchMode,
}

impl Default for WatchOptions {
    fn default() -> Self {
        let (interval, first_within) = (Duration::from_secs(4 * 60 * 60), Duration::from_secs(60));
        Self { schedule: Schedule { interval, first_within }, mode: WatchMode::default() }
    }
}

impl WatchOptions {
    /// The time from one check to the next, which varies by a tenth; four hours unless set, a second at least.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.schedule.interval = interval.max(Duration::from_secs(1));
        self
    }

    /// The time within which the first check comes, at random; a minute unless set.
    pub fn first_within(mut self, delay: Duration) -> Self {
        self.schedule.first_within = delay;
        self
    }

    /// What to do with an update that is found; to download it unless set.
    pub fn mode(mut self, mode: WatchMode) -> Self {
        self.mode = mode;
        self
    }
}

/// What a watcher tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent<'a> {
    /// There is something new; to be downloaded now, if that is what the watcher is for. An update that this program does not
    /// want may be [skipped](Patcher::skip) here.
    UpdateFound(&'a [Update]),
    /// How far a download has got.
    Progress(Progress),
    /// Everything is there and verified, and can be applied. Told once; then follow reminders.
    Staged(Vec<ComponentVersion>),
    /// It has been applied.
    Applied(Vec<ComponentVersion>),
    /// An update still waits: for the user to resume it, to be applied, or, if nothing is downloaded, to be wanted at all. Once
    /// for each interval.
    Reminder {
        /// The component.
        component: Component,
        /// The version that waits.
        version: Version,
        /// How far it has got.
        state: UpdateState,
    },
    /// There is nothing new; or what there is is left alone.
    UpToDate(Vec<Deferred>),
    /// The newest known manifest has expired: the publisher has to renew it.
    Stale(Refused),
    /// It did not work this time.
    Failed {
        /// DeferralReason.
        error: Error,
        /// How long until the next attempt.
        retry_in: Duration,
    },
}

/// A watcher at work; it stops when this is dropped.
#[derive(Debug)]
#[must_use = "the watcher stops when its handle is dropped"]
pub struct Watcher {
    signal: Arc<WakeSignal>,
    thread: Option<JoinHandle<()>>,
}

/// What wakes a sleeping watcher up.
#[derive(Debug, Default)]
struct WakeSignal {
    pending: Mutex<Wake>,
    changed: Condvar,
    cancel: CancelToken,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Wake {
    #[default]
    No,
    Check,
    Stop,
}

impl WakeSignal {
    fn wake(&self, wake: Wake) {
        if wake == Wake::Stop {
            self.cancel.cancel();
        }
        let mut state = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != Wake::Stop {
            *state = wake;
        }
        self.changed.notify_all();
    }

    /// Sleeps, without waking up in between; tells whether to go on.
    fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::mem::take(&mut *state) {
                Wake::Stop => {
                    *state = Wake::Stop;
                    return false;
                }
                Wake::Check => return true,
                Wake::No => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Watcher {
    /// Begins to watch all components of a root. `on_event` is called from the watcher's thread.
    ///
    /// # Errors
    /// [`Error::Busy`] when another watcher works on the root; [`Machine::NotWritable`](crate::error::Machine::NotWritable).
    pub fn start(
        patcher: &Patcher,
        options: WatchOptions,
        on_event: impl FnMut(WatchEvent<'_>) + Send + 'static,
    ) -> Result<Self> {
        let state_dir = state::open_or_create(patcher.root())?;
        let alone = Lock::exclusive(&state_dir, "watching", "the watcher", Duration::ZERO)?;
        let signal = Arc::new(WakeSignal::default());
        let mut work = WatchLoop {
            patcher: patcher.clone(),
            options,
            on_event,
            state_dir,
            signal: Arc::clone(&signal),
            told: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("patcher-watch".to_owned());
        let spawned = thread.spawn(move || {
            work.run();
            drop(alone);
        });
        let thread = spawned.map_err(|error| Error::io("start", "the watcher's thread", error))?;
        Ok(Self { signal, thread: Some(thread) })
    }

    /// Checks now rather than when the next check is due.
    pub fn check_now(&self) {
        self.signal.wake(Wake::Check);
    }

    /// Stops, a download under way included, and waits until that is done.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.signal.wake(Wake::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic in the callback has been reported by its thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end();
    }
}

struct WatchLoop<F> {
    patcher: Patcher,
    options: WatchOptions,
    on_event: F,
    state_dir: Dir,
    signal: Arc<WakeSignal>,
    /// What was told of before, by component and version.
    told: Vec<ComponentVersion>,
}

impl<F: FnMut(WatchEvent<'_>)> WatchLoop<F> {
    fn run(&mut self) {
        let schedule = self.options.schedule;
        let (last, mut failures) = match WatcherState::load_or_default(&self.state_dir) {
            Ok(WatcherState { last: Some((at, failures)) }) => (Some(at), failures),
            _ => (None, 0),
        };
        let mut pause = schedule.first(last, Timestamp::now(), random());
        while self.signal.sleep(pause) {
            let result = match self.cycle() {
                // The user has paused it while it was under way; the next check reminds of it.
                Err(Error::Paused { .. } | Error::Cancelled) => Ok(()),
                result => result,
            };
            if self.signal.cancel.is_cancelled() {
                return;
            }
            failures = if result.is_ok() { 0 } else { failures.saturating_add(1) };
            pause = match result {
                Ok(()) => schedule.next(random()),
                Err(error) => self.failed(error, failures),
            };
            // Without it the next watcher asks a little early.
            let _ = WatcherState { last: Some((Timestamp::now(), failures)) }.save(&self.state_dir);
        }
    }

    fn failed(&mut self, error: Error, failures: u32) -> Duration {
        let asked = match &error {
            Error::Network(Network::Status { retry_after, .. }) => *retry_after,
            Error::Network(Network::Wait { until, .. }) => {
                u64::try_from(until.unix() - Timestamp::now().unix()).ok().map(Duration::from_secs)
            }
            _ => None,
        };
        let retry_in = self.options.schedule.retry(failures, asked, random());
        match error {
            Error::Refused(stale @ Refused::Stale { .. }) => (self.on_event)(WatchEvent::Stale(stale)),
            error => (self.on_event)(WatchEvent::Failed { error, retry_in }),
        }
        retry_in
    }

    /// One check, and what follows from it.
    fn cycle(&mut self) -> Result<()> {
        if self.patcher.paused()?.is_some() {
            for update in self.patcher.active()? {
                let ActiveUpdate { component, version, state, .. } = update;
                (self.on_event)(WatchEvent::Reminder { component, version, state });
            }
            return Ok(());
        }
        if self.options.mode != WatchMode::Notify {
            let unfinished = self.patcher.unfinished()?;
            if !unfinished.is_empty() {
                return self.take(unfinished);
            }
        }
        let waiting = self.patcher.active()?;
        let Check { updates, deferred, .. } = self.patcher.check_all()?;
        if updates.is_empty() {
            (self.on_event)(WatchEvent::UpToDate(deferred));
            return Ok(());
        }
        let mut new = false;
        for update in &updates {
            let known = ComponentVersion::of(update);
            let state = waiting.iter().find(|other| known.is(other)).map(|other| other.state);
            if self.told.contains(&known) || state.is_some() {
                let (state, ComponentVersion { component, version }) = (state.unwrap_or(UpdateState::Checking), known);
                (self.on_event)(WatchEvent::Reminder { component, version, state });
            } else {
                new = true;
                self.told.push(known);
            }
        }
        if new {
            (self.on_event)(WatchEvent::UpdateFound(&updates));
        }
        if self.options.mode == WatchMode::Notify { Ok(()) } else { self.take(updates) }
    }

    /// Downloads, and applies if that is what the watcher is for.
    fn take(&mut self, updates: Vec<Update>) -> Result<()> {
        let mut check = Check::default();
        for update in updates {
            // The program may just have been asked, and may have said no.
            if !update.is_critical() && self.patcher.is_skipped(update.component(), update.to())? {
                check.deferred.push(update.deferred(DeferralReason::Skipped));
            } else {
                check.updates.push(update.cancelled_by(&self.signal.cancel));
            }
        }
        // What needs an update that is not wanted has to wait with it.
        self.patcher.defer_what_does_not_fit(&mut check)?;
        let on_event = &mut self.on_event;
        if check.updates.is_empty() {
            on_event(WatchEvent::UpToDate(check.deferred));
            return Ok(());
        }
        let before = self.patcher.active()?;
        let staged = Update::download_all(check.updates, |progress| on_event(WatchEvent::Progress(progress)))?;
        let releases: Vec<_> = staged.updates().iter().map(ComponentVersion::of).collect();
        match self.options.mode {
            WatchMode::Apply => match staged.apply() {
                Ok(_) => {
                    on_event(WatchEvent::Applied(releases));
                    return Ok(());
                }
                // The program runs; it will not for ever.
                Err(Error::Busy { .. }) => {}
                Err(error) => return Err(error),
            },
            WatchMode::ApplyOnExit
                if self.patcher.pending_swap()?.is_none_or(|state| state != crate::state::journal::State::Prepared) =>
            {
                staged.apply_on_exit()?;
            }
            _ => {}
        }
        if !releases.iter().all(|release| is_staged(&before, release)) {
            on_event(WatchEvent::Staged(releases));
        }
        Ok(())
    }
}

/// Whether everything of an update was there already.
fn is_staged(active: &[ActiveUpdate], release: &ComponentVersion) -> bool {
    let update = active.iter().find(|update| release.is(update));
    update.is_some_and(|update| matches!(update.state, UpdateState::Staged | UpdateState::Pending))
}

/// Between 0 and 1.
fn random() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}
