//! The handle: one install root, its trusted keys, and every operation on it.

mod adoption;
mod backups;
mod check;
mod choices;
mod config;
mod deadline;
mod deferred;
mod download;
mod findings;
mod install;
mod installed;
mod languages;
mod newest;
mod planning;
mod policy;
mod probation;
mod record;
mod remove;
mod repair;
mod requirements;
mod retry_after;
mod running_program;
mod staged;
mod start;
mod status;
mod update;
mod updates_off;
mod users;
pub mod watch;

pub use check::{Check, Offer};
pub use config::Config;
pub use deferred::{DeferralReason, Deferred};
pub use findings::{Finding, FindingSubject, Verdict};
pub use installed::{Damage, DamageKind};
pub use probation::Previous;
pub use staged::Staged;
pub use start::Started;
pub use status::{ComponentVersion, InstalledComponent, InstalledRelease, Status, SwapStatus, UpdateStatus};
pub use update::Update;
pub use updates_off::UpdatesOff;

use crate::disk::fs::{Dir, Lock};
use crate::disk::layout::InstallRoot;
use crate::error::{Caller, Error, Result};
use crate::formats::manifest::{Channel, Component, Language, Platform};
use crate::policy::default_path;
use crate::state;
use crate::state::journal::{ComponentSteps, JournalState, Transaction};
use crate::swap::relaunch::{self, HelperProgram, Job};
use crate::swap::{self, Applied, Recovery};
use crate::transfer::fetch::{CancelToken, Fetch, Retries, Sources};
use crate::trust::Floor;
use crate::trust::keys::TrustedKeys;
use installed::InstalledManifest;
use running_program::RunningProgram;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;
use users::UserSession;

/// The time that a call waits for another updater of the same root before it fails with
/// `Error::Busy`.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// The handle of one install root.
///
/// A program with one install root uses [`init`](crate::init) and [`handle`](crate::handle).
/// Cloning is cheap; the clones share everything but their [cancel token](Self::cancelled_by).
///
/// ```no_run
/// use patcher::{Config, Patcher, Started, Update};
///
/// # const KEY: &str = "";
/// # fn main() -> patcher::Result<()> {
/// let patcher = Patcher::new(Config::new("/opt/app").trusted_key(KEY))?;
/// if patcher.start()? == Started::HandedOver {
///     return Ok(()); // The helper finishes what an earlier run left to do, when this program has ended.
/// }
/// let check = patcher.check_all()?;
/// for deferred in &check.deferred {
///     println!("{} {}: {}", deferred.component, deferred.version, deferred.reason);
/// }
/// if !check.updates.is_empty() {
///     let staged = Update::download_all(check.updates, |progress| println!("{}", progress.path))?;
///     staged.restart()?;
/// }
/// for installed in patcher.status()?.components {
///     match installed.release {
///         Ok(release) => println!("{} {}", installed.component, release.version),
///         Err(error) => println!("{}: {error}", installed.component),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Patcher {
    shared: Arc<PatcherShared>,
    cancel: CancelToken,
}

/// The parts of a handle that its clones share.
struct PatcherShared {
    root: InstallRoot,
    /// The file of the administrator's rules.
    policy: PathBuf,
    keys: TrustedKeys,
    floors: BTreeMap<Component, Floor>,
    allow_downgrade: bool,
    channel: Channel,
    platform: Platform,
    helper: HelperProgram,
    program: RunningProgram,
    probation: Duration,
    history: Option<usize>,
    site: Option<Url>,
    source: Box<dyn Fetch>,
    retries: Retries,
    parallel: usize,
    check_timeout: Duration,
    languages: Vec<Language>,
    /// The time after which a staged update no longer waits for the programs of other users; `None`
    /// if this process does not update for them.
    all_users: Option<Duration>,
    /// The session of a user whose programs a service updates.
    user_session: Mutex<Option<UserSession>>,
    /// The shared lock of running instances, held since [`Patcher::start`].
    running: Mutex<Option<Lock>>,
}

impl fmt::Debug for Patcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patcher({})", self.shared.root.dir.display())
    }
}

impl Patcher {
    /// Makes a handle from a configuration, and checks its values.
    ///
    /// The rules of the administrator's [policy](Config::policy_file) replace those values. Nothing
    /// else is read from the disk.
    ///
    /// # Errors
    /// [`Caller`]: no key, an unusable key, or a setting out of its range.
    pub fn new(mut config: Config) -> Result<Self> {
        let policy = config.policy.clone().unwrap_or_else(default_path);
        config.follow_policy(policy.clone());
        let source = Box::new(Sources::new(&config.settings)?);
        let mut resolved = config.resolve()?;
        if let Some(site) = &mut resolved.site {
            let base = site.clone();
            source.take_credentials(site, &base);
        }
        let shared = PatcherShared {
            root: resolved.root,
            policy,
            keys: resolved.keys,
            floors: resolved.floors,
            allow_downgrade: config.allow_downgrade,
            channel: resolved.channel,
            platform: resolved.platform,
            helper: resolved.helper,
            program: resolved.program,
            probation: config.probation,
            history: config.history,
            site: resolved.site,
            source,
            retries: Retries { count: config.retries, ..Retries::default() },
            parallel: config.parallel,
            check_timeout: config.check_timeout,
            languages: resolved.languages,
            all_users: config.all_users,
            user_session: Mutex::new(None),
            running: Mutex::new(None),
        };
        Ok(Self { shared: Arc::new(shared), cancel: config.cancel })
    }

    /// Returns a clone whose calls `token` cancels, instead of the token of the configuration.
    pub fn cancelled_by(&self, token: &CancelToken) -> Self {
        Self { shared: self.shared.clone(), cancel: token.clone() }
    }

    /// Finishes or undoes an interrupted swap, and discards a prepared one.
    ///
    /// [`start`](Self::start) does this for the running program; this method is for other programs,
    /// such as an installer. If a program has written to a backup and the new version cannot be
    /// completed, the client fetches the old content.
    ///
    /// # Errors
    /// - [`Error::Busy`](crate::Error::Busy) while another updater works on the install root.
    /// - [`Machine::UndoFailed`](crate::Machine::UndoFailed) if a step failed; the backups are
    ///   kept.
    /// - [`Machine::JournalUnreadable`](crate::Machine::JournalUnreadable); nothing has changed.
    pub fn recover(&self) -> Result<Recovery> {
        self.recover_with_network(LOCK_TIMEOUT)
    }

    /// Returns the install root.
    fn root(&self) -> &InstallRoot {
        &self.shared.root
    }

    /// Locks the root for this updater alone, and finishes an interrupted swap.
    fn lock(&self) -> Result<(Dir, Lock)> {
        let root = &self.shared.root;
        let state_dir = state::open_or_create(root)?;
        state::check_entries(&state_dir)?;
        self.serve_all_users()?;
        let lock = state::lock_updater(&state_dir, LOCK_TIMEOUT)?;
        if matches!(swap::pending(root)?, Some(JournalState::Applying | JournalState::Confirmed)) {
            swap::recover(root, &lock)?;
        }
        // The history can wait; a full disk must not keep a command from making room.
        let _ = state::move_outcomes_to_history(&state_dir, self.shared.history);
        Ok((state_dir, lock))
    }

    /// Locks the root for this call's checks and downloads.
    ///
    /// It releases the updater's lock again: no process waits for another one's network.
    fn lock_downloading(&self) -> Result<(Dir, Lock)> {
        let (state_dir, lock) = self.lock()?;
        drop(lock);
        let downloading = state::lock_downloading(&state_dir, LOCK_TIMEOUT)?;
        Ok((state_dir, downloading))
    }

    /// Swaps in this process.
    ///
    /// The files of the running program stay: it may still read them.
    fn swap(&self, state_dir: &Dir, lock: &Lock, transaction: Transaction) -> Result<Applied> {
        if self.runs_from(&transaction) {
            return Err(Error::Busy { what: state::PROGRAM, holder: Some(self.shared.program.process()) });
        }
        let is_installed = |steps: &&ComponentSteps| steps.to.is_some();
        let installed = transaction.components.iter().filter(is_installed).map(|steps| steps.component.clone());
        let installed: Vec<Component> = installed.collect();
        let applied = self.while_not_running(state_dir, || {
            swap::prepare(&self.shared.root, lock, transaction)?;
            swap::apply(&self.shared.root, lock)?.ok_or_else(|| Caller::NothingStaged.into())
        })?;
        // If it fails, the next check does it.
        let _ = installed.iter().try_for_each(|component| self.record_installed(component));
        Ok(applied)
    }

    /// Runs `action` while no other instance of the program runs, and keeps new instances waiting.
    fn while_not_running<T>(&self, state_dir: &Dir, action: impl FnOnce() -> Result<T>) -> Result<T> {
        let _no_other_user = self.lock_out_other_users()?;
        match &*self.shared.running.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(running) => running.alone(action),
            None => {
                let _not_running = state::lock_not_running(state_dir, Duration::ZERO)?;
                action()
            }
        }
    }

    /// Starts the helper. It does `job` when this process and the other lock holders have released
    /// their locks.
    fn start_helper(&self, state_dir: &Dir, helper: &Path, job: Job) -> Result<()> {
        let job = self.complete(job);
        relaunch::start_helper(&self.shared.root, state_dir, helper, job)
    }

    /// Lets the helper do `job` in the place of this process. It returns only on an error.
    fn become_helper(&self, state_dir: &Dir, helper: &Path, job: Job) -> Result<Infallible> {
        let job = self.complete(job);
        relaunch::become_helper(&self.shared.root, state_dir, helper, job)
    }

    fn complete(&self, job: Job) -> Job {
        let is_own_helper = self.shared.helper == HelperProgram::ThisProgram;
        Job { probation: self.shared.probation, is_own_helper, ..job }
    }

    fn helper(&self) -> Result<PathBuf> {
        relaunch::find_helper(&self.shared.helper, &self.shared.program.updater()?)
    }
}

/// Parses a component name that the caller passed.
fn parse_component(text: &str) -> Result<Component> {
    Ok(text.parse().map_err(|error| config::bad("component", text, error))?)
}
