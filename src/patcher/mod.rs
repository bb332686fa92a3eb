//! The handle: one install root, whom it trusts, and everything that can be done with it.

mod check;
mod choices;
mod config;
mod deferred;
mod installed;
mod previous;
mod record;
mod repair;
mod retry_after;
mod start;
mod status;
mod update;
pub mod watch;

pub use check::Check;
pub use config::Config;
pub use deferred::{DeferralReason, Deferred};
pub use installed::{Damage, DamageKind, Installed};
pub use previous::Previous;
pub use start::Started;
pub use status::ComponentVersion;
pub use update::{Staged, Update};

use crate::disk::fs::{Dir, Lock};
use crate::disk::layout::{InstallRoot, STAGES_DIR_NAME};
use crate::error::{Caller, Error, Machine, Result};
use crate::formats::manifest::{Channel, Component, Platform};
use crate::state::journal::{State, Transaction};
use crate::state::{StateFile as _, Verdicts};
use crate::swap::relaunch::{self, Job};
use crate::swap::{self, Applied, Recovery};
use crate::transfer::fetch::{CancelToken, Fetch, Retries, Sources};
use crate::trust::Floor;
use crate::trust::keys::TrustedKeys;
use crate::values::rel_path::STATE_DIR_NAME;
use crate::{state, trust};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// How long a call waits for another updater of the same root before it is busy.
const PATIENCE: Duration = Duration::from_secs(2);

/// An install root with its configuration. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Patcher {
    inner: Arc<Inner>,
}

struct Inner {
    root: InstallRoot,
    keys: TrustedKeys,
    floors: BTreeMap<Component, Floor>,
    channel: Channel,
    platform: Platform,
    helper: Option<PathBuf>,
    probation: Duration,
    history: Option<usize>,
    site: Option<Url>,
    source: Box<dyn Fetch>,
    retries: Retries,
    parallel: usize,
    cancel: CancelToken,
    /// Deferred shared from [`Patcher::start`] on.
    running: Mutex<Option<Lock>>,
}

impl fmt::Debug for Patcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patcher({})", self.inner.root.dir.display())
    }
}

impl Patcher {
    /// Checks the configuration; nothing on the disk is touched yet.
    ///
    /// # Errors
    /// [`Caller`](crate::error::Caller) and its kinds.
    pub fn new(config: Config) -> Result<Self> {
        let source = Box::new(Sources::new(&config.settings)?);
        let resolved = config.resolve()?;
        let inner = Inner {
            root: resolved.root,
            keys: resolved.keys,
            floors: resolved.floors,
            channel: resolved.channel,
            platform: resolved.platform,
            helper: resolved.helper,
            probation: config.probation,
            history: config.history,
            site: resolved.site,
            source,
            retries: Retries { count: config.retries, ..Retries::default() },
            parallel: config.parallel,
            cancel: config.cancel,
            running: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The install root.
    pub(crate) fn root(&self) -> &InstallRoot {
        &self.inner.root
    }

    /// Finishes or undoes an interrupted swap.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Machine::UndoFailed`], [`Machine::JournalUnreadable`].
    pub fn recover(&self) -> Result<Recovery> {
        let Some(state_dir) = state::open(&self.inner.root)? else { return Ok(Recovery::Nothing) };
        let lock = state::lock_updater(&state_dir, PATIENCE)?;
        swap::recover(&self.inner.root, &lock)
    }

    /// Whether a swap is prepared or was interrupted.
    ///
    /// # Errors
    /// [`Machine::JournalUnreadable`].
    pub fn pending_swap(&self) -> Result<Option<State>> {
        swap::pending(&self.inner.root)
    }

    /// The version that is being staged or staged for each component, complete or not, and not installed yet.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn staging(&self) -> Result<Vec<(Component, semver::Version)>> {
        let Some(state_dir) = state::open(&self.inner.root)? else { return Ok(Vec::new()) };
        let mut staging = Vec::new();
        for name in self.staged_components(&state_dir)? {
            let stage = crate::transfer::stage::Stage::open(&self.inner.root, &state_dir, &name)?;
            let Some(bytes) = stage.manifest()? else { continue };
            // What a crash after the swap has left is not staged any more.
            let is_installed = self.installed(&name).is_ok_and(|found| found.is_some_and(|found| found.bytes == bytes));
            if let Ok(verified) = trust::authenticate(bytes, &self.inner.keys)
                && !is_installed
            {
                staging.push((name, verified.manifest().meta.version.clone()));
            }
        }
        Ok(staging)
    }

    /// The components that have a stage.
    fn staged_components(&self, state_dir: &Dir) -> Result<Vec<Component>> {
        let names = |dir: Option<Dir>| dir.map_or(Ok(Vec::new()), |dir| dir.names());
        let mut found = names(state_dir.folder(STAGES_DIR_NAME)?)?;
        for (name, dir) in &self.inner.root.elsewhere {
            let own = dir.join(STATE_DIR_NAME).join(STAGES_DIR_NAME).join(name.as_str());
            if own.is_dir() {
                found.push(name.to_string());
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The update that a component's stage was filled for; none when there is none or it is installed already.
    fn staged_update(&self, state_dir: &Dir, name: Component) -> Result<Option<Update>> {
        let stage = crate::transfer::stage::Stage::open(&self.inner.root, state_dir, &name)?;
        let Some(bytes) = stage.manifest()? else { return Ok(None) };
        let installed = match self.installed(&name) {
            Err(Error::Machine(Machine::InstalledManifest { .. })) => None,
            installed => installed?,
        };
        if installed.as_ref().is_some_and(|installed| installed.bytes == bytes) {
            return Ok(None);
        }
        let staged = (bytes, stage.newest_manifest()?);
        let (trusted, on_the_way_to) = self.verify_staged(state_dir, &name, installed.as_ref(), staged)?;
        let newest = on_the_way_to.as_ref().unwrap_or(&trusted).manifest();
        if check::broken(&Verdicts::load_or_default(state_dir)?, trusted.manifest()).is_some()
            || self.unwanted(newest)?.is_some()
        {
            return Ok(None);
        }
        let mirrors = self.base_urls(&trusted.manifest().meta);
        let update = self.plan_update(name, installed, trusted, mirrors)?;
        Ok(Some(Update { on_the_way_to, ..update }))
    }

    /// Makes this call the one updater of the root, and the tree one that no interrupted swap has left halfway.
    fn lock(&self) -> Result<(Dir, Lock)> {
        let root = &self.inner.root;
        let state_dir = state::open_or_create(root)?;
        let lock = state::lock_updater(&state_dir, PATIENCE)?;
        if matches!(swap::pending(root)?, Some(State::Applying | State::Confirmed)) {
            swap::recover(root, &lock)?;
        }
        // The history can wait; a full disk must not keep a command from making room.
        let _ = state::move_outcomes_to_history(&state_dir, self.inner.history);
        Ok((state_dir, lock))
    }

    /// Makes this call the one that checks and downloads. The updater's lock is let go again, as nobody should wait for
    /// another process's network.
    fn lock_downloading(&self) -> Result<(Dir, Lock)> {
        let (state_dir, lock) = self.lock()?;
        drop(lock);
        let downloading = state::lock_downloading(&state_dir, PATIENCE)?;
        Ok((state_dir, downloading))
    }

    /// Swaps in this process.
    fn swap(&self, state_dir: &Dir, lock: &Lock, transaction: Transaction) -> Result<Applied> {
        self.alone(state_dir, || {
            swap::prepare(&self.inner.root, lock, transaction)?;
            swap::apply(&self.inner.root, lock)?.ok_or_else(|| Caller::NothingStaged.into())
        })
    }

    /// Acts while no other instance of the program runs, and keeps new ones waiting.
    fn alone<T>(&self, state_dir: &Dir, action: impl FnOnce() -> Result<T>) -> Result<T> {
        match &*self.inner.running.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(running) => running.alone(action),
            None => {
                let _alone = state::lock_not_running(state_dir, Duration::ZERO)?;
                action()
            }
        }
    }

    /// Starts the helper, which does `job` when this call's caller and everybody else has let go.
    fn start_helper(&self, state_dir: &Dir, helper: &Path, job: Job) -> Result<()> {
        let job = Job { probation: self.inner.probation, ..job };
        relaunch::start_helper(&self.inner.root, state_dir, helper, job)
    }

    /// The helper program.
    fn helper(&self) -> Result<PathBuf> {
        relaunch::find_helper(self.inner.helper.as_deref())
    }
}

/// A component's name as the caller gives it.
fn component_name(text: &str) -> Result<Component> {
    Ok(text.parse().map_err(|error| config::bad("component", text, error))?)
}
