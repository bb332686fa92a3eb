//! Staged updates: complete and verified on disk, with only the swap left to do.

use super::policy::download_rule;
use super::{Patcher, Update};
use crate::disk::fs::Dir;
use crate::disk::inventory::PathContent;
use crate::disk::layout::STAGES_DIR_NAME;
use crate::error::{Caller, Error, Machine, Refused, Result};
use crate::formats::manifest::Component;
use crate::policy::PolicyRules;
use crate::state::journal::{ComponentSteps, Transaction};
use crate::state::{self, SeenReleases, StateFile as _, Verdicts};
use crate::swap::relaunch::{self, Job};
use crate::swap::{self, Applied};
use crate::transfer::stage::{self, Stage, preflight};
use crate::values::digest::Sha256;
use crate::values::rel_path::STATE_DIR_NAME;
use std::convert::Infallible;
use std::ffi::OsString;

/// Updates that are completely staged.
///
/// One swap installs all of them or none.
///
/// ```no_run
/// # fn main() -> patcher::Result<()> {
/// if let Some(update) = patcher::check_component("core")?.update() {
///     let staged = update.download(|_| {})?;
///     for update in staged.updates() {
///         println!("{} {} is ready", update.component(), update.to());
///     }
///     staged.restart()?; // The program ends here; the helper swaps and starts it again.
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a staged update is not installed until it is applied"]
pub struct Staged {
    pub(super) patcher: Patcher,
    pub(super) updates: Vec<Update>,
}

impl Staged {
    /// Returns the updates.
    pub fn updates(&self) -> &[Update] {
        &self.updates
    }

    /// Swaps now, in this process. The components must not contain the running program.
    ///
    /// # Errors
    /// - [`Refused::Requires`](crate::Refused::Requires) if the updates no longer fit the installed
    ///   components.
    /// - [`Error::Busy`] while another instance of the program runs, if a component contains the
    ///   running program, or if another updater changed a component.
    /// - [`Machine::Changed`] if a file is not as planned; nothing has changed.
    /// - [`Machine::SwapUndone`] if a step failed and the old version is complete again.
    /// - [`Machine::UndoFailed`] if the old version is not complete; the backups are kept.
    pub fn apply(self) -> Result<Applied> {
        let (state_dir, lock) = self.patcher.lock()?;
        let transaction = self.transaction(&state_dir)?;
        self.patcher.swap(&state_dir, &lock, transaction)
    }

    /// Ends this program; the helper swaps and starts the new version with the same arguments.
    ///
    /// The new version runs in the working folder of this process. In a terminal on Unix, and in
    /// the main process of a systemd service, the helper and then the new version take the place of
    /// this process, with its id and its terminal. Give the terminal back its usual mode before.
    /// The method returns only on an error. A program that ends itself uses
    /// [`hand_over`](Self::hand_over).
    ///
    /// # Errors
    /// [`Error::Busy`] while another instance of the program runs, [`Machine::HelperMissing`] and
    /// others of [`Machine`], and those of [`apply`](Self::apply) that the client finds before the
    /// swap. Then nothing has changed, and the program continues.
    pub fn restart(self) -> Result<Infallible> {
        self.hand_over()?;
        std::process::exit(0);
    }

    /// Starts the helper, which swaps when the program has ended, and starts the new version. The
    /// caller ends the program.
    ///
    /// In a terminal on Unix, and in the main process of a systemd service, it does not return: the
    /// helper takes the place of this process.
    ///
    /// # Errors
    /// As [`restart`](Self::restart).
    pub fn hand_over(self) -> Result<()> {
        let (state_dir, lock) = self.patcher.lock()?;
        // The helper would wait for it, and the user would see no program at all.
        self.patcher.while_not_running(&state_dir, || Ok(()))?;
        let transaction = self.transaction(&state_dir)?;
        self.patcher.helper()?;
        let root = &self.patcher.shared.root;
        swap::prepare(root, &lock, transaction)?;
        let program = &self.patcher.shared.program;
        if program.uses_terminal() {
            super::start::record_terminal(&state_dir);
        }
        let handed_over = self.patcher.restart_by_helper(&state_dir, None, program.keeps_process());
        if handed_over.is_err() {
            swap::recover(root, &lock)?;
        }
        handed_over
    }

    /// Starts the helper, which swaps when this program has ended. It does not start the program
    /// again.
    ///
    /// # Errors
    /// As [`restart`](Self::restart).
    pub fn apply_on_exit(self) -> Result<()> {
        let process = self.patcher.shared.program.process();
        self.apply_after(Some(process), None)
    }

    /// Starts the helper, which swaps when process `pid` and all instances of the program have
    /// ended.
    ///
    /// After the swap the helper starts `command`, a program with its arguments.
    ///
    /// # Errors
    /// As [`restart`](Self::restart).
    pub fn apply_after(self, pid: Option<u32>, command: Option<Vec<OsString>>) -> Result<()> {
        let (state_dir, lock) = self.patcher.lock()?;
        let transaction = self.transaction(&state_dir)?;
        let helper = self.patcher.helper()?;
        let root = &self.patcher.shared.root;
        swap::prepare(root, &lock, transaction)?;
        let loses_terminal = pid.is_some_and(relaunch::uses_terminal);
        if loses_terminal {
            super::start::record_terminal(&state_dir);
        }
        let job = Job { wait_for: pid, command, loses_terminal, ..Job::default() };
        let started = self.patcher.start_helper(&state_dir, &helper, job);
        if started.is_err() {
            swap::recover(root, &lock)?;
        }
        started
    }

    fn transaction(&self, state_dir: &Dir) -> Result<Transaction> {
        let seen = self.check_seen(state_dir)?;
        // Since the download, another updater may have changed or removed a component.
        self.patcher.check_unchanged(&self.updates)?;
        self.patcher.check_requirements(&self.updates)?;
        let steps = |update: &Update| {
            // Something may have been mounted since the download.
            preflight::check_rights(&self.patcher.shared.root.component(&update.component), &update.plan)?;
            let stage = Stage::open(&self.patcher.shared.root, state_dir, &update.component)?;
            update.swap_steps(&stage)
        };
        let probation = !self.patcher.shared.probation.is_zero()
            && self.updates.iter().any(|update| update.from.is_some() && !update.is_repair);
        Ok(Transaction { probation, seen, components: self.updates.iter().map(steps).collect::<Result<_>>()? })
    }
}

impl Staged {
    /// Fails if a newer release was seen since the updates were found; returns the seen bodies.
    fn check_seen(&self, state_dir: &Dir) -> Result<Vec<Sha256>> {
        let keys = &self.patcher.shared.keys;
        let mut seen = SeenReleases::load_or_default(state_dir)?;
        for update in self.updates.iter().filter(|update| !update.is_repair) {
            let newest = update.stepping_stone_to.as_ref().unwrap_or(&update.trusted);
            let channel = &newest.manifest().meta.channel;
            if let Some(floor) = seen.release(&update.component, channel)
                && floor.order.is_after(newest.order(), keys)
            {
                let (found, floor) = (newest.order().sequence, floor.order.sequence);
                return Err(Refused::Rollback { found, floor }.into());
            }
            self.patcher.record_seen(state_dir, &mut seen, newest)?;
        }
        Ok(self.updates.iter().flat_map(|update| seen.bodies(&update.component)).collect())
    }
}

impl Update {
    fn swap_steps(&self, stage: &Stage) -> Result<ComponentSteps> {
        let new_manifest =
            PathContent::File { sha256: Sha256::of(self.trusted.bytes()), mode: crate::disk::fs::PLAIN_MODE };
        let versions = (self.from.clone(), Some(self.trusted.manifest().into()));
        let manifests = (self.old_manifest.clone(), new_manifest);
        let root = &self.patcher.shared.root;
        let steps = stage::swap_steps(root, &self.component, stage, &self.plan, manifests, versions);
        // A file that is gone was removed from the stage after the download.
        steps.map_err(|error| if error.code() == "not-found" { Caller::NothingStaged.into() } else { error })
    }
}

impl Patcher {
    /// Returns the updates that an earlier run has staged completely; `None` if there are none.
    ///
    /// The client verifies the staged manifests again, and leaves out updates that it would defer
    /// now.
    ///
    /// # Errors
    /// [`Refused`](crate::Refused) if a staged manifest is no longer acceptable; [`Error::Busy`].
    pub fn staged(&self) -> Result<Option<Staged>> {
        let rules = self.require_updates_on()?;
        if state::open(&self.shared.root)?.is_none() {
            return Ok(None);
        }
        let (state_dir, _lock) = self.lock()?;
        let mut updates = Vec::new();
        for component in self.components_with_stage(&state_dir)? {
            let Some(update) = self.staged_update(&state_dir, component, &rules)? else { continue };
            // An incomplete stage belongs to an interrupted download.
            if self.is_complete(&state_dir, &update)? {
                updates.push(update);
            }
        }
        Ok((!updates.is_empty()).then(|| Staged { patcher: self.clone(), updates }))
    }

    /// Returns the updates whose download an earlier run began and did not finish.
    ///
    /// The client needs no new check to finish them: the manifests are staged. The result includes
    /// complete updates that belong to the same installation. It is empty if all updates are
    /// complete, if one of them was refused, has expired, or has unmet requirements, or if the
    /// administrator's policy allows no download now.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Machine::Io`].
    pub fn unfinished(&self) -> Result<Vec<Update>> {
        let rules = self.require_updates_on()?;
        if download_rule(&rules).is_some() || state::open(&self.shared.root)?.is_none() {
            return Ok(Vec::new());
        }
        let (state_dir, _lock) = self.lock()?;
        let (mut updates, mut all_complete) = (Vec::new(), true);
        for component in self.components_with_stage(&state_dir)? {
            let update = match self.staged_update(&state_dir, component, &rules) {
                Err(Error::Refused(_)) => return Ok(Vec::new()),
                update => update?,
            };
            let Some(update) = update else { continue };
            all_complete &= self.is_complete(&state_dir, &update)?;
            updates.push(update);
        }
        if all_complete || matches!(self.check_requirements(&updates), Err(Error::Refused(_))) {
            updates.clear();
        }
        Ok(updates)
    }

    fn is_complete(&self, state_dir: &Dir, update: &Update) -> Result<bool> {
        Stage::open(&self.shared.root, state_dir, &update.component)?.is_complete(&update.plan)
    }

    /// Returns the components that have a stage, in the state folder or in a folder of their own.
    pub(super) fn components_with_stage(&self, state_dir: &Dir) -> Result<Vec<Component>> {
        let mut names = state_dir.folder(STAGES_DIR_NAME)?.map_or(Ok(Vec::new()), |stages| stages.names())?;
        // A component on another file system has its stage in its own folder.
        let inside = Dir::open(&self.shared.root.dir)?.names()?;
        let inside = inside.iter().filter_map(|name| name.parse::<Component>().ok());
        for component in inside.chain(self.shared.root.elsewhere.keys().cloned()) {
            let work = self.shared.root.component(&component).join(STATE_DIR_NAME);
            if work.join(STAGES_DIR_NAME).join(component.as_str()).is_dir() {
                names.push(component.to_string());
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Returns the update in a component's stage; `None` if the client would defer it or has
    /// installed it.
    fn staged_update(&self, state_dir: &Dir, component: Component, rules: &PolicyRules) -> Result<Option<Update>> {
        let stage = Stage::open(&self.shared.root, state_dir, &component)?;
        let Some(bytes) = stage.manifest()? else { return Ok(None) };
        let installed = match self.installed(&component) {
            Err(Error::Machine(Machine::InstalledManifest { .. })) => None,
            installed => installed?,
        };
        if installed.as_ref().is_some_and(|installed| installed.bytes == bytes) {
            return Ok(None);
        }
        let manifests = (bytes, stage.newest_manifest()?);
        let (trusted, stepping_stone_to) = self.verify_staged(state_dir, &component, installed.as_ref(), manifests)?;
        let newest = stepping_stone_to.as_ref().unwrap_or(&trusted).manifest();
        let verdicts = Verdicts::load_or_default(state_dir)?;
        if super::check::local_deferral(&verdicts, trusted.manifest()).is_some() || self.deferral(newest)?.is_some() {
            return Ok(None);
        }
        if rules.version_rule(&component, &trusted.manifest().meta.version).is_some() {
            return Ok(None);
        }
        let mirrors = self.base_urls(&trusted.manifest().meta);
        let update = self.plan_update(component, installed, trusted, mirrors)?;
        Ok(Some(Update { stepping_stone_to, ..update }))
    }
}
