//! An update that was found, and one that is staged: each step takes the one before it, so that the order is the only one
//! that compiles.

use super::deferred::{DeferralReason, Deferred};
use super::record::Record;
use super::{PATIENCE, Patcher};
use crate::disk::fs::{Dir, Tree};
use crate::disk::inventory::{Inventory, PathContent, content_at};
use crate::error::{Caller, Error, Result};
use crate::formats::manifest::{Component, Language, Manifest, Notes};
use crate::state::journal::{ComponentSteps, Journal, ReleaseContent, State, Transaction};
use crate::state::{self, SeenReleases, StateFile as _};
use crate::swap::relaunch::{self, Job};
use crate::swap::{self, Applied};
use crate::transfer::fetch::{CancelToken, Mirrors};
use crate::transfer::plan::Plan;
use crate::transfer::stage::{self, Progress, Stage, Transfer, preflight};
use crate::trust::{TrustWarning, TrustedManifest};
use crate::values::digest::Sha256;
use crate::values::rel_path::{MANIFEST_NAME, RelPath};
use semver::Version;
use std::convert::Infallible;
use url::Url;

/// A newer release of a component, verified, and what it takes to get there.
#[derive(Debug)]
#[must_use = "an update does nothing until it is downloaded"]
pub struct Update {
    pub(super) patcher: Patcher,
    pub(super) name: Component,
    pub(super) from: Option<Version>,
    pub(super) trusted: TrustedManifest,
    pub(super) plan: Plan,
    pub(super) inventory: Inventory,
    pub(super) old_manifest: PathContent,
    pub(super) mirrors: Vec<Url>,
    pub(super) cancel: CancelToken,
    /// Whether it leads to the release that is installed already.
    pub(super) repairs: bool,
    /// The newest release, when this one is a stepping stone on the way to it.
    pub(super) on_the_way_to: Option<TrustedManifest>,
}

impl Update {
    /// Returns the component.
    pub fn component(&self) -> &Component {
        &self.name
    }

    /// The installed version; none for a first installation.
    pub fn from(&self) -> Option<&Version> {
        self.from.as_ref()
    }

    /// The version that it leads to.
    pub fn to(&self) -> &Version {
        &self.trusted.manifest().meta.version
    }

    /// The same release, left alone.
    pub(crate) fn deferred(&self, why: DeferralReason) -> Deferred {
        Deferred::of(self.trusted.manifest(), why)
    }

    /// The release's manifest.
    pub fn manifest(&self) -> &Manifest {
        self.trusted.manifest()
    }

    /// The bytes to fetch, before anything that is staged already is taken off.
    pub fn download_size(&self) -> u64 {
        self.plan.download_size()
    }

    /// The release's place among those of its component.
    pub fn sequence(&self) -> u64 {
        self.trusted.manifest().meta.sequence
    }

    /// Whether any file is made from deltas or parts rather than fetched whole.
    pub fn is_partial(&self) -> bool {
        self.plan.is_partial()
    }

    /// How many files and links change.
    pub fn changes(&self) -> usize {
        self.plan.changes.iter().filter(|change| change.saved_from.is_none()).count()
    }

    /// Files of the user that lie where the release brings something, and the names they will have.
    pub fn saved(&self) -> &[(RelPath, RelPath)] {
        &self.plan.saved
    }

    /// Files that the release drops but the user has changed: they stay.
    pub fn kept(&self) -> &[RelPath] {
        &self.plan.kept
    }

    /// The newest version, when this update is a stepping stone on the way to it: the next check finds it.
    pub fn on_the_way_to(&self) -> Option<&Version> {
        self.on_the_way_to.as_ref().map(|newest| &newest.manifest().meta.version)
    }

    /// Whether the publisher asks for it to be installed soon: it comes whatever was skipped.
    pub fn is_critical(&self) -> bool {
        self.trusted.manifest().meta.critical
    }

    /// What is new in it, in the first of these languages that the publisher has written.
    pub fn notes(&self, languages: &[Language]) -> Option<&Notes> {
        self.trusted.manifest().meta.notes_for(languages)
    }

    /// What somebody should know about the release although it is taken.
    pub fn warning(&self) -> Option<TrustWarning> {
        self.trusted.warning()
    }

    /// Lets `token` stop the download, instead of the one that the configuration names.
    pub fn cancelled_by(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Fetches, verifies and stages everything that is new; goes on where an earlier download stopped.
    ///
    /// # Errors
    /// [`Machine::NotWritable`](crate::error::Machine::NotWritable), [`Machine::NoSpace`](crate::error::Machine::NoSpace) and
    /// [`Machine::FolderInTheWay`](crate::error::Machine::FolderInTheWay) before the first byte is fetched;
    /// [`Refused`](crate::error::Refused), [`Network`](crate::error::Network), [`Error::Cancelled`], [`Error::Busy`].
    pub fn download(self, progress: impl FnMut(Progress)) -> Result<Staged> {
        Self::download_all(vec![self], progress)
    }

    /// Downloads several updates that are to be installed together; the callback hears of them one after the other. They need
    /// not be all that a check has found, as long as what is left out is not needed.
    ///
    /// # Errors
    /// As [`download`](Self::download); [`Refused::Requires`](crate::error::Refused::Requires) before the first byte;
    /// [`Caller::ComponentTwice`]; [`Caller::NothingStaged`] for no update at all.
    pub fn download_all(updates: Vec<Update>, mut progress: impl FnMut(Progress)) -> Result<Staged> {
        let Some(patcher) = updates.first().map(|update| update.patcher.clone()) else {
            return Err(Caller::NothingStaged.into());
        };
        if let Some(twice) =
            updates.iter().enumerate().find(|(at, one)| updates[..*at].iter().any(|other| other.name == one.name))
        {
            return Err(Caller::ComponentTwice { component: twice.1.name.to_string() }.into());
        }
        if let Some(since) = patcher.paused()? {
            return Err(Error::Paused { since });
        }
        let (state_dir, _downloading) = patcher.lock_downloading()?;
        patcher.must_be_current(&updates)?;
        patcher.must_fit(&updates)?;
        if patcher.is_prepared(&state_dir, &updates)? {
            return Ok(Staged { patcher, updates });
        }
        let mut seen = SeenReleases::load_or_default(&state_dir)?;
        for update in &updates {
            preflight::check_rights(&patcher.inner.root.component(&update.name), &update.plan)?;
        }
        for update in &updates {
            let stage = Stage::open(&patcher.inner.root, &state_dir, &update.name)?;
            stage.sweep(&update.plan)?;
            let old_size = |change: &crate::transfer::plan::PathChange| update.inventory.size(change.path.as_str());
            preflight::check_space(&stage, &update.plan, old_size, patcher.inner.parallel)?;
            let newest = update.on_the_way_to.as_ref().map(|newest| newest.bytes());
            stage.set_manifest(update.trusted.bytes(), newest)?;
            let root = &patcher.inner.root;
            let mirrors = Mirrors::new(patcher.mirrors(&seen, update)?);
            let record = Record::begin(&state_dir, update)?;
            let cancel = update.cancel.child();
            let transfer = Transfer {
                source: &*patcher.inner.source,
                mirrors: &mirrors,
                locate: &|location| {
                    let component = location.component.as_ref().unwrap_or(&update.name);
                    // Segment by segment: a verbatim path of Windows knows no other separator than its own.
                    root.component(component).join(location.path.split('/').collect::<std::path::PathBuf>())
                },
                retries: patcher.inner.retries,
                parallel: patcher.inner.parallel,
                ledger: &record,
                cancel: &cancel,
            };
            let filled = patcher.until_paused(&cancel, || stage.fill(&update.plan, &transfer, &mut progress));
            record.end(&filled, patcher.paused()?.is_some())?;
            filled.map_err(|error| patcher.heed(&state_dir, &mut seen, error))?;
        }
        Ok(Staged { patcher, updates })
    }

    fn steps(&self, stage: &Stage) -> Result<ComponentSteps> {
        let new_manifest = PathContent::File { sha256: Sha256::of(self.trusted.bytes()), mode: crate::disk::fs::PLAIN };
        let versions = (self.from.clone(), Some(self.trusted.manifest().into()));
        let manifests = (self.old_manifest.clone(), new_manifest);
        let steps = stage::swap_steps(&self.patcher.inner.root, &self.name, stage, &self.plan, manifests, versions);
        // Somebody has emptied the stage since it was filled.
        steps.map_err(|error| if error.code() == "not-found" { Caller::NothingStaged.into() } else { error })
    }
}

/// Updates that are staged completely: what is left is the swap.
#[derive(Debug)]
#[must_use = "a staged update is not installed until it is applied"]
pub struct Staged {
    pub(super) patcher: Patcher,
    pub(super) updates: Vec<Update>,
}

impl Staged {
    /// The updates.
    pub fn updates(&self) -> &[Update] {
        &self.updates
    }

    /// Swaps now, in this process: for components that this process does not run from.
    ///
    /// # Errors
    /// [`Refused::Requires`](crate::error::Refused::Requires) when it does not fit together with what is installed by now;
    /// [`Error::Busy`] while another instance of the program runs; [`Machine::Changed`](crate::error::Machine::Changed) when
    /// the disk is not as it was planned for; [`Machine::SwapUndone`](crate::error::Machine::SwapUndone),
    /// [`Machine::UndoFailed`](crate::error::Machine::UndoFailed).
    pub fn apply(self) -> Result<Applied> {
        let (state_dir, lock) = self.patcher.lock()?;
        let transaction = self.transaction(&state_dir)?;
        self.patcher.swap(&state_dir, &lock, transaction)
    }

    /// Ends this program at once, lets the helper swap, and starts it again with the same arguments and working folder.
    ///
    /// # Errors
    /// [`Machine::HelperMissing`](crate::error::Machine::HelperMissing) and others; then the program runs on and nothing is
    /// changed.
    pub fn restart(self) -> Result<Infallible> {
        self.apply_after(Some(std::process::id()), Some(relaunch::this_program()?))?;
        std::process::exit(0);
    }

    /// Lets the helper swap once this program has ended, whenever that is.
    ///
    /// # Errors
    /// [`Machine::HelperMissing`](crate::error::Machine::HelperMissing) and others; then nothing is changed.
    pub fn apply_on_exit(self) -> Result<()> {
        self.apply_after(Some(std::process::id()), None)
    }

    /// Lets the helper swap once process `pid` and every instance of the program have ended, and start `command` afterwards.
    ///
    /// # Errors
    /// As [`restart`](Self::restart).
    pub fn apply_after(self, pid: Option<u32>, command: Option<Vec<std::ffi::OsString>>) -> Result<()> {
        let (state_dir, lock) = self.patcher.lock()?;
        let transaction = self.transaction(&state_dir)?;
        let helper = self.patcher.helper()?;
        let root = &self.patcher.inner.root;
        swap::prepare(root, &lock, transaction)?;
        let job = Job { wait_for: pid, command, ..Job::default() };
        let started = self.patcher.start_helper(&state_dir, &helper, job);
        if started.is_err() {
            swap::recover(root, &lock)?;
        }
        started
    }

    fn transaction(&self, state_dir: &Dir) -> Result<Transaction> {
        // What was staged together may have been left out in part since, or need what was removed.
        self.patcher.must_be_current(&self.updates)?;
        self.patcher.must_fit(&self.updates)?;
        let steps = |update: &Update| {
            let stage = Stage::open(&self.patcher.inner.root, state_dir, &update.name)?;
            update.steps(&stage)
        };
        let probation = !self.patcher.inner.probation.is_zero()
            && self.updates.iter().any(|update| update.from.is_some() && !update.repairs);
        Ok(Transaction { probation, components: self.updates.iter().map(steps).collect::<Result<_>>()? })
    }
}

impl Patcher {
    /// Makes sure that no other updater has changed the components since these updates were planned.
    ///
    /// # Errors
    /// [`Error::Busy`]: another check finds out what is to be done now.
    fn must_be_current(&self, updates: &[Update]) -> Result<()> {
        for update in updates {
            let manifest = match Tree::open(&self.inner.root.component(&update.name))? {
                Some(tree) => content_at(&tree, MANIFEST_NAME)?,
                None => PathContent::Absent,
            };
            if manifest != update.old_manifest && !manifest.same_bytes(&update.old_manifest) {
                return Err(Error::Busy { what: "the install root", holder: None });
            }
        }
        Ok(())
    }

    /// Whether the swap that a helper waits for leads to just these updates, which are then staged and left as they are. If it
    /// leads elsewhere it is forgotten: its files make room, and the helper finds nothing to do until another one is prepared.
    fn is_prepared(&self, state_dir: &Dir, updates: &[Update]) -> Result<bool> {
        let root = &self.inner.root;
        let lock = state::lock_updater(state_dir, PATIENCE)?;
        let Some(Journal { state: State::Prepared, transaction, .. }) = Journal::read(state_dir)? else {
            return Ok(false);
        };
        let mut is_it = transaction.components.len() == updates.len();
        for update in updates {
            let release = Some(ReleaseContent::from(update.trusted.manifest()));
            let leads_to = |part: &ComponentSteps| part.component == update.name && part.to == release;
            is_it = is_it
                && transaction.components.iter().any(leads_to)
                && Stage::open(root, state_dir, &update.name)?.is_complete(&update.plan)?;
        }
        if !is_it {
            swap::recover(root, &lock)?;
        }
        Ok(is_it)
    }

    /// The mirrors that may be asked now; all that matters when nothing has to be fetched is that this is no error.
    fn mirrors(&self, seen: &SeenReleases, update: &Update) -> Result<Vec<Url>> {
        let (willing, waiting): (Vec<_>, Vec<_>) =
            update.mirrors.iter().map(|url| self.may_ask(seen, url).map(|()| url.clone())).partition(Result::is_ok);
        match waiting.into_iter().next() {
            Some(Err(error)) if willing.is_empty() && update.download_size() > 0 => Err(error),
            _ => willing.into_iter().collect(),
        }
    }

    /// What an earlier run has begun to download and not finished, with what was to be installed together with it; none of it
    /// needs to be asked for again. Empty when nothing is unfinished, or when it is not to be had any more: what is refused
    /// or has expired by now, or needs what is not to be installed any more.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Machine::Io`](crate::error::Machine::Io).
    pub fn unfinished(&self) -> Result<Vec<Update>> {
        let (state_dir, _lock) = self.lock()?;
        let (mut updates, mut complete) = (Vec::new(), true);
        for name in self.staged_components(&state_dir)? {
            let update = match self.staged_update(&state_dir, name) {
                Err(Error::Refused(_)) => return Ok(Vec::new()),
                update => update?,
            };
            let Some(update) = update else { continue };
            complete &= Stage::open(&self.inner.root, &state_dir, &update.name)?.is_complete(&update.plan)?;
            updates.push(update);
        }
        if complete || matches!(self.must_fit(&updates), Err(Error::Refused(_))) {
            updates.clear();
        }
        Ok(updates)
    }

    /// What an earlier run has staged completely, if it is still the way forward from what is installed.
    ///
    /// # Errors
    /// [`Refused`](crate::error::Refused) when the staged manifest is no longer acceptable, [`Error::Busy`].
    pub fn staged(&self) -> Result<Option<Staged>> {
        let (state_dir, _lock) = self.lock()?;
        let mut updates = Vec::new();
        for name in self.staged_components(&state_dir)? {
            let Some(update) = self.staged_update(&state_dir, name)? else { continue };
            let stage = Stage::open(&self.inner.root, &state_dir, &update.name)?;
            // Else it is an interrupted download.
            if stage.is_complete(&update.plan)? {
                updates.push(update);
            }
        }
        Ok((!updates.is_empty()).then(|| Staged { patcher: self.clone(), updates }))
    }

    /// Uninstalls a component: its unchanged files, its manifest and the folders that end up empty. Files that the user
    /// added or changed stay.
    ///
    /// # Errors
    /// [`Refused::Requires`](crate::error::Refused::Requires) when another component needs it, [`Machine::NotInstalled`](crate::error::Machine::NotInstalled),
    /// [`Error::Busy`] while the program runs, and those of a swap.
    pub fn remove(&self, component: impl AsRef<str>) -> Result<Vec<RelPath>> {
        let name = super::component_name(component.as_ref())?;
        let (state_dir, lock) = self.lock()?;
        let installed = self.must_be_installed(&name)?;
        self.check_requires(std::iter::empty(), Some(&name))?;
        let (plan, inventory) = self.plan(&name, Some((&installed.manifest, installed.place.is_some())), None)?;
        let root = &self.inner.root;
        preflight::check_rights(&root.component(&name), &plan)?;
        let stage = Stage::open(root, &state_dir, &name)?;
        let manifests = (inventory.content(MANIFEST_NAME).clone(), PathContent::Absent);
        let versions = (Some(installed.manifest.meta.version.clone()), None);
        let steps = stage::swap_steps(root, &name, &stage, &plan, manifests, versions)?;
        drop(stage);
        self.swap(&state_dir, &lock, Transaction { probation: false, components: vec![steps] })?;
        Ok(plan.kept)
    }
}
