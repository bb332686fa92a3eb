//! The watcher: periodic checks in a thread of the program.
//!
//! The thread sleeps until the next check is due. One watcher at a time works on an install root.
//! Read in this order: this file, `cycle` (the loop), `schedule` (the times), `wake` (the signal to
//! the thread), `observe` (the loop of a program that a service updates).

mod cycle;
mod observe;
mod schedule;
mod wake;

use super::{ComponentVersion, Deferred, Patcher, Update, UpdatesOff};
use crate::disk::fs::Lock;
use crate::error::{Error, Machine, Refused, Result};
use crate::formats::manifest::Component;
use crate::state::{self, UpdateState};
use crate::transfer::stage::Progress;
use cycle::WatchLoop;
use observe::ObserveLoop;
use schedule::Schedule;
use semver::Version;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use wake::{Wake, WakeSignal};

/// The lock file of watchers in the state folder.
const LOCK_NAME: &str = "watching";

/// A running watcher, which stops when it is dropped.
///
/// ```no_run
/// use patcher::{WatchEvent, WatchOptions, Watcher};
///
/// # fn main() -> patcher::Result<()> {
/// let watcher = Watcher::start(patcher::handle()?, WatchOptions::default(), |event| match event {
///     WatchEvent::Staged(releases) => println!("{} updates are ready; restart?", releases.len()),
///     WatchEvent::Failed { error, .. } => println!("no update: {error}"),
///     _ => {}
/// })?;
/// // When the user asks for a check:
/// watcher.check_now();
/// // When the user agrees to restart:
/// if let Some(staged) = patcher::handle()?.staged()? {
///     staged.restart()?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the watcher stops when its handle is dropped"]
pub struct Watcher {
    signal: Arc<WakeSignal>,
    thread: Option<JoinHandle<()>>,
}

/// The schedule of a watcher, and what it does with the updates that it finds.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct WatchOptions {
    schedule: Schedule,
    mode: WatchMode,
}

/// The action of a watcher for the updates that it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WatchMode {
    /// Report them only.
    Notify,
    /// Download them.
    #[default]
    Download,
    /// Download them; the helper applies them when this program has ended, and does not start it
    /// again.
    ApplyOnExit,
    /// Download them, and apply them as soon as no instance of the program runs. For a separate
    /// process.
    Apply,
}

/// An event that a watcher reports.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent<'a> {
    /// A check asks the servers.
    Checking,
    /// A check found updates that this watcher has not reported before.
    ///
    /// The callback can [skip](Patcher::skip) one: the download that follows leaves it out.
    UpdateFound(&'a [Update]),
    /// A download progressed.
    Progress(Progress),
    /// These updates are completely staged and can be applied. Reminders follow.
    Staged(Vec<ComponentVersion>),
    /// These updates were applied, by this watcher or by a service of the administrator.
    Applied(Vec<ComponentVersion>),
    /// An update is still pending: paused, staged, or found and not downloaded. Reported once for
    /// each check.
    Reminder {
        /// The component.
        component: Component,
        /// The version that the update leads to.
        version: Version,
        /// The state of the update.
        state: UpdateState,
    },
    /// A check found no update, or only deferred releases.
    UpToDate(Vec<Deferred>),
    /// The newest manifest has expired, or the server does not prove that it is the newest one. The
    /// publisher must renew it.
    Stale(Refused),
    /// A check or download failed.
    Failed {
        /// The error.
        error: Error,
        /// The time until the next attempt.
        retry_in: Duration,
    },
}

impl Watcher {
    /// Starts a watcher for all components of an install root.
    ///
    /// The callback runs in the watcher's thread. A program with windows sends a message to its own
    /// thread.
    ///
    /// After [`UpdatesOff::Service`](crate::UpdatesOff::Service) the watcher asks no server. It
    /// reports [`WatchEvent::Applied`] when the service has installed a new version, whatever the
    /// mode.
    ///
    /// # Errors
    /// - [`Error::Busy`] while another watcher works on the install root.
    /// - [`Machine::NothingInstalled`](crate::Machine::NothingInstalled) for a root without
    ///   components.
    /// - [`Machine::NotWritable`](crate::Machine::NotWritable) if this user cannot write to the
    ///   install root.
    pub fn start(
        patcher: &Patcher,
        options: WatchOptions,
        on_event: impl FnMut(WatchEvent<'_>) + Send + 'static,
    ) -> Result<Self> {
        let signal = Arc::new(WakeSignal::new(&patcher.cancel));
        if patcher.is_updated_by_service() {
            let mut observer = ObserveLoop::new(patcher.clone(), on_event, Arc::clone(&signal));
            return Self::spawn(signal, move || observer.run(options.schedule.interval));
        }
        patcher.require_components()?;
        let state_dir = state::open_or_create(patcher.root())?;
        let alone = Lock::exclusive(&state_dir, LOCK_NAME, "the watcher", Duration::ZERO)?;
        let mut watch_loop = WatchLoop {
            patcher: patcher.cancelled_by(&signal.cancel),
            options,
            on_event,
            state_dir,
            signal: Arc::clone(&signal),
            reported: Vec::new(),
            is_waiting_for_programs: false,
        };
        Self::spawn(signal, move || {
            watch_loop.run();
            drop(alone);
        })
    }

    /// Starts a watcher; returns `None` if this program needs none.
    ///
    /// It needs none while another instance of the program watches, if nothing is installed (as
    /// with `cargo run`), or if this user cannot change the installation.
    ///
    /// # Errors
    /// As [`start`](Self::start), without the errors of these three states.
    pub fn start_if_needed(
        patcher: &Patcher,
        options: WatchOptions,
        on_event: impl FnMut(WatchEvent<'_>) + Send + 'static,
    ) -> Result<Option<Self>> {
        match Self::start(patcher, options, on_event) {
            Ok(watcher) => Ok(Some(watcher)),
            Err(Error::Busy { .. } | Error::Machine(Machine::NothingInstalled { .. })) => Ok(None),
            Err(error) => UpdatesOff::from_error(error, &patcher.root().state.dir).map(|_| None),
        }
    }

    /// Runs a loop in a thread until `signal` stops it.
    fn spawn(signal: Arc<WakeSignal>, run: impl FnOnce() + Send + 'static) -> Result<Self> {
        let thread = std::thread::Builder::new().name("patcher-watch".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Error::io("start", "the watcher's thread", error))?;
        Ok(Self { signal, thread: Some(thread) })
    }

    /// Checks now instead of at the next time of the schedule.
    pub fn check_now(&self) {
        self.signal.wake(Wake::Check);
    }

    /// Stops the watcher and a check or a download in progress, and waits for its thread.
    ///
    /// In the watcher's own callback it does not wait: the thread ends when the callback returns.
    pub fn stop(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        self.signal.wake(Wake::Stop);
        // A callback that stops its own watcher cannot wait for its own thread, which ends after
        // it.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // The thread's panic hook has reported a panic in the callback.
            let _ = thread.join();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

impl Default for WatchOptions {
    fn default() -> Self {
        let (interval, first_within) = (Duration::from_secs(4 * 60 * 60), Duration::from_secs(60));
        Self { schedule: Schedule { interval, first_within }, mode: WatchMode::default() }
    }
}

impl WatchOptions {
    /// Sets the time between two checks, which varies by 10 % at random. Default: 4 h; at least
    /// 1 s.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.schedule.interval = interval.max(Duration::from_secs(1));
        self
    }

    /// Sets the time within which the first check happens, at random. Default: 60 s.
    pub fn first_within(mut self, delay: Duration) -> Self {
        self.schedule.first_within = delay;
        self
    }

    /// Sets the action for the updates that the watcher finds. Default: [`WatchMode::Download`].
    pub fn mode(mut self, mode: WatchMode) -> Self {
        self.mode = mode;
        self
    }
}
