//! The status of an install root: everything that is installed, staged, in progress or decided.

use super::{Patcher, Update};
use crate::error::Result;
use crate::formats::manifest::{Channel, Component};
use crate::policy::Policy;
use crate::state::journal::{Journal, JournalState};
use crate::state::{self, ActiveUpdate, PastUpdate, UpdateState, UpdateType};
use crate::swap::{self, ComponentChange};
use crate::transfer::stage::Stage;
use crate::trust;
use crate::values::timestamp::Timestamp;
use semver::Version;
use url::Url;

/// The status of an install root at one point in time.
#[derive(Debug)]
#[non_exhaustive]
pub struct Status {
    /// The installed components, sorted by name.
    pub components: Vec<InstalledComponent>,
    /// The releases in the stages, completely or partly downloaded and not installed.
    pub staged: Vec<ComponentVersion>,
    /// The updates whose download has begun, at most one for each component.
    pub updates: Vec<UpdateStatus>,
    /// The state of the last swap; `None` if no swap is prepared, interrupted or on probation.
    pub swap: Option<SwapStatus>,
    /// The changes that a rollback would make; empty if no version is on probation.
    pub rollback: Vec<ComponentChange>,
    /// The time at which the user paused downloads; `None` if they are allowed.
    pub paused_since: Option<Timestamp>,
    /// `true` if the user agrees to be counted once a week.
    pub adoption_count: bool,
    /// The names of damaged state files, which the client renamed and replaced.
    pub damaged_files: Vec<String>,
    /// The administrator's rules, or the error of a policy that cannot be used; `None` without one.
    pub policy: Result<Option<Policy>>,
}

/// An installed component.
#[derive(Debug)]
#[non_exhaustive]
pub struct InstalledComponent {
    /// The component.
    pub component: Component,
    /// The installed release, or the error of its manifest.
    pub release: Result<InstalledRelease>,
}

/// The installed release of a component, according to its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstalledRelease {
    /// The version.
    pub version: Version,
    /// The sequence, the number that rises with every release.
    pub sequence: u64,
    /// The channel.
    pub channel: Channel,
    /// `true` if a trusted key signed the manifest.
    pub is_trusted: bool,
    /// The base URLs, in the order in which the client asks them.
    pub base_urls: Vec<Url>,
}

/// A release of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentVersion {
    /// The component.
    pub component: Component,
    /// The release's version.
    pub version: Version,
}

/// The state of an update whose download has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateStatus {
    /// The component.
    pub component: Component,
    /// The kind of download: some files from deltas or chunks, or whole files only.
    pub kind: UpdateType,
    /// The installed version; `None` for a first installation.
    pub from: Option<Version>,
    /// The version that the update leads to.
    pub to: Version,
    /// The sequence of that release.
    pub sequence: u64,
    /// The state.
    pub state: UpdateState,
    /// The time at which the download began.
    pub found: Timestamp,
    /// The time at which the download was complete.
    pub staged: Option<Timestamp>,
    /// The bytes that are stored on this machine. A download that continues starts from here.
    pub bytes_done: u64,
    /// The bytes to download in all.
    pub bytes_total: u64,
    /// The [code](crate::Error::code) of the error that stopped the download last.
    pub error: Option<String>,
}

/// The state of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SwapStatus {
    /// A swap is prepared and has changed nothing. It waits for the program to end.
    Prepared,
    /// A swap was interrupted. [`Patcher::start`] and [`Patcher::recover`] undo it.
    Interrupted,
    /// The new version is installed and on probation.
    Probation,
    /// The new version is confirmed, and backups remain to be deleted.
    Confirmed,
}

impl Patcher {
    /// Returns everything that is installed, staged, in progress or decided.
    ///
    /// It takes no lock and changes nothing.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::Machine::Io),
    /// [`Machine::JournalUnreadable`](crate::Machine::JournalUnreadable).
    pub fn status(&self) -> Result<Status> {
        let state_dir = state::open(&self.shared.root)?;
        Ok(Status {
            components: self.installed_components()?,
            staged: self.staged_releases()?,
            updates: self.active_updates()?.into_iter().map(UpdateStatus::new).collect(),
            swap: swap::pending(&self.shared.root)?.map(SwapStatus::new),
            rollback: self.rollback_changes()?,
            paused_since: self.paused_since()?,
            adoption_count: self.choices()?.allows_adoption(),
            damaged_files: state_dir.map_or(Ok(Vec::new()), |state_dir| state::damaged_files(&state_dir))?,
            policy: self.policy(),
        })
    }

    /// Returns the past updates, the newest first.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::Machine::Io).
    pub fn history(&self) -> Result<Vec<PastUpdate>> {
        let Some(state_dir) = state::open(&self.shared.root)? else { return Ok(Vec::new()) };
        Ok(state::load_updates(&state_dir, self.shared.history)?.1.updates)
    }

    fn installed_components(&self) -> Result<Vec<InstalledComponent>> {
        let components = self.components()?.into_iter();
        let installed = components.filter_map(|component| {
            // `None` if another process has removed the manifest since it was listed.
            let installed = self.installed(&component).transpose()?;
            let release = installed.map(|installed| InstalledRelease {
                is_trusted: installed.is_trusted(),
                version: installed.manifest.meta.version,
                sequence: installed.manifest.meta.sequence,
                channel: installed.manifest.meta.channel,
                base_urls: installed.manifest.meta.base_urls,
            });
            Some(InstalledComponent { component, release })
        });
        Ok(installed.collect())
    }

    fn staged_releases(&self) -> Result<Vec<ComponentVersion>> {
        let Some(state_dir) = state::open(&self.shared.root)? else { return Ok(Vec::new()) };
        let mut staged = Vec::new();
        for component in self.components_with_stage(&state_dir)? {
            let stage = Stage::open(&self.shared.root, &state_dir, &component)?;
            let Some(bytes) = stage.manifest()? else { continue };
            // A crash after the swap can leave the stage of the installed release.
            let installed = self.installed(&component).ok().flatten();
            let is_installed = installed.is_some_and(|installed| installed.bytes == bytes);
            if let Ok(verified) = trust::authenticate(bytes, &self.shared.keys)
                && !is_installed
            {
                staged.push(ComponentVersion { component, version: verified.manifest().meta.version.clone() });
            }
        }
        Ok(staged)
    }

    /// Returns the recorded updates, each with the state that the swap and the user's choices give
    /// it.
    pub(super) fn active_updates(&self) -> Result<Vec<ActiveUpdate>> {
        let Some(state_dir) = state::open(&self.shared.root)? else { return Ok(Vec::new()) };
        let (mut active, _) = state::load_updates(&state_dir, None)?;
        let is_paused = self.paused_since()?.is_some();
        let swap = Journal::peek(&state_dir)?.map(|(state, _)| state);
        for update in &mut active.updates {
            update.state = match (update.state, swap) {
                (UpdateState::Downloading, _) if is_paused => UpdateState::Paused,
                (UpdateState::Staged, Some(JournalState::Prepared)) => UpdateState::Pending,
                (UpdateState::Staged, Some(JournalState::Applying)) => UpdateState::Applying,
                (state, _) => state,
            };
        }
        Ok(active.updates)
    }
}

impl UpdateStatus {
    fn new(update: ActiveUpdate) -> Self {
        Self {
            component: update.component,
            kind: update.kind,
            from: update.from,
            to: update.version,
            sequence: update.sequence,
            state: update.state,
            found: update.found,
            staged: update.staged,
            bytes_done: update.patches.iter().map(|object| object.bytes.min(object.size)).sum(),
            bytes_total: update.patches.iter().map(|object| object.size).sum(),
            error: update.error,
        }
    }
}

impl SwapStatus {
    fn new(state: JournalState) -> Self {
        match state {
            JournalState::Prepared => Self::Prepared,
            JournalState::Applying => Self::Interrupted,
            JournalState::Committed => Self::Probation,
            JournalState::Confirmed => Self::Confirmed,
        }
    }
}

impl ComponentVersion {
    pub(super) fn of(update: &Update) -> Self {
        Self { component: update.component().clone(), version: update.to().clone() }
    }

    /// Returns `true` if an update in progress leads to this release.
    pub(super) fn is(&self, update: &ActiveUpdate) -> bool {
        update.component == self.component && update.version == self.version
    }
}
