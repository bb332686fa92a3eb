//! Downloads: the client fetches, verifies and stages all new contents of one or more updates.

use super::record::DownloadRecord;
use super::{LOCK_TIMEOUT, Patcher, Staged, Update};
use crate::disk::fs::{Dir, Tree};
use crate::disk::inventory::{PathContent, content_at};
use crate::disk::layout::SiteNames;
use crate::error::{Caller, Error, Result};
use crate::state::journal::{ComponentSteps, Journal, JournalState, ReleaseContent};
use crate::state::{self, SeenReleases, StateFile as _};
use crate::swap;
use crate::transfer::fetch::Mirrors;
use crate::transfer::plan::{LocalFile, PathChange};
use crate::transfer::stage::{Progress, Stage, Transfer, preflight};
use crate::values::digest::Sha256;
use crate::values::rel_path::MANIFEST_NAME;
use std::collections::HashMap;
use std::path::PathBuf;
use url::Url;

impl Update {
    /// Downloads, verifies and stages the update; continues a download that was interrupted.
    ///
    /// The callback runs in this thread, about once for each piece that arrives.
    ///
    /// # Errors
    /// - Before the first byte: [`Machine::NotWritable`](crate::Machine::NotWritable),
    ///   [`Machine::NoSpace`](crate::Machine::NoSpace),
    ///   [`Machine::FolderInTheWay`](crate::Machine::FolderInTheWay),
    ///   [`Machine::MountInside`](crate::Machine::MountInside), [`Error::Paused`].
    /// - [`Refused`](crate::Refused) if every mirror serves objects that the manifest does not
    ///   sign.
    /// - [`Network`](crate::Network) if no mirror delivers.
    /// - [`Error::Cancelled`] if the cancel token or [`Patcher::pause`] stops it.
    /// - [`Error::Busy`] while another updater downloads, or if one has changed the component since
    ///   the check.
    pub fn download(self, progress: impl FnMut(Progress)) -> Result<Staged> {
        Self::download_all(vec![self], progress)
    }

    /// Downloads several updates that are to be installed together, one after the other.
    ///
    /// They need not be all updates of a check, as long as they do not require one that is left
    /// out.
    ///
    /// # Errors
    /// As [`download`](Self::download), and before the first byte:
    /// - [`Refused::Requires`](crate::Refused::Requires) for unmet requirements.
    /// - [`Caller::ComponentTwice`] for two updates of one component.
    /// - [`Caller::NothingStaged`] for an empty list.
    pub fn download_all(updates: Vec<Update>, mut progress: impl FnMut(Progress)) -> Result<Staged> {
        let Some(patcher) = updates.first().map(|update| update.patcher.clone()) else {
            return Err(Caller::NothingStaged.into());
        };
        check_distinct(&updates)?;
        if let Some(since) = patcher.paused_since()? {
            return Err(Error::Paused { since });
        }
        let (state_dir, _downloading) = patcher.lock_downloading()?;
        patcher.check_unchanged(&updates)?;
        patcher.check_requirements(&updates)?;
        if patcher.is_prepared(&state_dir, &updates)? {
            return Ok(Staged { patcher, updates });
        }
        let mut seen = SeenReleases::load_or_default(&state_dir)?;
        for update in &updates {
            preflight::check_rights(&patcher.shared.root.component(&update.component), &update.plan)?;
        }
        for update in &updates {
            update.fill_stage(&state_dir, &mut seen, &mut progress)?;
        }
        Ok(Staged { patcher, updates })
    }

    /// Fills the stage of this update.
    fn fill_stage(&self, state_dir: &Dir, seen: &mut SeenReleases, progress: &mut impl FnMut(Progress)) -> Result<()> {
        let (patcher, shared) = (&self.patcher, &self.patcher.shared);
        let stage = Stage::open(&shared.root, state_dir, &self.component)?;
        stage.sweep(&self.plan)?;
        let old_size = |change: &PathChange| self.inventory.size(change.path.as_str());
        preflight::check_modes(&stage, &self.plan)?;
        preflight::check_space(&stage, &self.plan, old_size, shared.parallel)?;
        let newest = self.stepping_stone_to.as_ref().map(|newest| newest.bytes());
        stage.set_manifest(self.trusted.bytes(), newest)?;
        let mirrors = Mirrors::new(patcher.available_mirrors(seen, self)?);
        let record = DownloadRecord::begin(state_dir, self)?;
        let cancel = self.cancel.child();
        let others = patcher.contents_of_others(&self.component)?;
        let files = self.inventory.iter().filter_map(|(path, content)| Some((content.sha256()?, path)));
        let here: HashMap<Sha256, &str> = files.collect();
        let transfer = Transfer {
            source: &*shared.source,
            mirrors: &mirrors,
            names: &SiteNames::of(&self.trusted.manifest().meta),
            locate: &|file| {
                let component = file.component.as_ref().unwrap_or(&self.component);
                // Joined segment by segment: a verbatim path on Windows takes no `/` as a
                // separator.
                shared.root.component(component).join(file.path.split('/').collect::<PathBuf>())
            },
            find_local: &|content| {
                let here = here.get(content).map(|path| LocalFile { component: None, path: (*path).to_owned() });
                here.or_else(|| others.get(content).cloned())
            },
            retries: shared.retries,
            parallel: shared.parallel,
            ledger: &record,
            cancel: &cancel,
        };
        let filled = patcher.until_paused(&cancel, || stage.fill(&self.plan, &transfer, progress));
        record.end(&filled, patcher.paused_since()?.is_some())?;
        filled.map_err(|error| patcher.record_retry_after(state_dir, seen, error))
    }
}

/// Checks that no component has two updates.
fn check_distinct(updates: &[Update]) -> Result<()> {
    for (at, update) in updates.iter().enumerate() {
        if updates[..at].iter().any(|other| other.component == update.component) {
            return Err(Caller::ComponentTwice { component: update.component.clone() }.into());
        }
    }
    Ok(())
}

impl Patcher {
    /// Checks that no other updater has changed the components since these updates were planned.
    ///
    /// # Errors
    /// [`Error::Busy`]: a new check plans from the files that are installed now.
    pub(super) fn check_unchanged(&self, updates: &[Update]) -> Result<()> {
        for update in updates {
            let manifest = match Tree::open(&self.shared.root.component(&update.component))? {
                Some(tree) => content_at(&tree, MANIFEST_NAME)?,
                None => PathContent::Absent,
            };
            if manifest != update.old_manifest && !manifest.same_bytes(&update.old_manifest) {
                return Err(Error::Busy { what: "the install root", holder: None });
            }
        }
        Ok(())
    }

    /// Returns `true` if the swap that a helper waits to carry out leads to exactly these updates.
    ///
    /// The client discards a prepared swap of these components to other releases: its files make
    /// room, and the helper finds nothing to do until the next swap is prepared. A prepared swap of
    /// other components stays, as a user may have chosen it.
    fn is_prepared(&self, state_dir: &Dir, updates: &[Update]) -> Result<bool> {
        let root = &self.shared.root;
        let lock = state::lock_updater(state_dir, LOCK_TIMEOUT)?;
        let Some(Journal { state: JournalState::Prepared, transaction, .. }) = Journal::read(state_dir)? else {
            return Ok(false);
        };
        let is_in_swap =
            |update: &Update| transaction.components.iter().any(|steps| steps.component == update.component);
        if !updates.iter().any(is_in_swap) {
            return Ok(false);
        }
        let mut is_same = transaction.components.len() == updates.len();
        for update in updates {
            let release = Some(ReleaseContent::from(update.trusted.manifest()));
            let leads_to = |steps: &ComponentSteps| steps.component == update.component && steps.to == release;
            is_same = is_same
                && transaction.components.iter().any(leads_to)
                && Stage::open(root, state_dir, &update.component)?.is_complete(&update.plan)?;
        }
        if !is_same {
            swap::recover(root, &lock)?;
        }
        Ok(is_same)
    }

    /// Returns the mirrors without a retry-after in the future.
    ///
    /// # Errors
    /// The first [`Network::Wait`](crate::Network::Wait) if no mirror is left and something must be
    /// downloaded.
    fn available_mirrors(&self, seen: &SeenReleases, update: &Update) -> Result<Vec<Url>> {
        let (mut available, mut waiting) = (Vec::new(), None);
        for url in &update.mirrors {
            match self.check_retry_after(seen, url) {
                Ok(()) => available.push(url.clone()),
                Err(error) => drop(waiting.get_or_insert(error)),
            }
        }
        match waiting {
            Some(error) if available.is_empty() && update.download_size() > 0 => Err(error),
            _ => Ok(available),
        }
    }
}
