//! Contents of the version before whose backups are damaged: they are fetched again.

use super::{InstalledManifest, LOCK_TIMEOUT, Patcher};
use crate::disk::fs::Dir;
use crate::disk::layout::{ObjectKind, SiteNames};
use crate::error::{Error, Machine, Result};
use crate::formats::manifest::Object;
use crate::state;
use crate::swap::backups::{self, DamagedBackups};
use crate::swap::{self, Recovery, SavedFile};
use crate::transfer::fetch::Mirrors;
use crate::transfer::plan::LocalFile;
use crate::transfer::stage::{Ledger, ObjectEvent, Stage, Transfer, preflight};
use crate::trust;
use crate::values::digest::Sha256;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Records nothing: these few contents are no update.
struct NoLedger;

impl Ledger for NoLedger {
    fn last_url(&self, _object: &Sha256) -> Option<Url> {
        None
    }

    fn record(&self, _object: Object, _kind: ObjectKind, _url: &Url, _event: ObjectEvent) {}
}

impl Patcher {
    /// Finishes or undoes an interrupted swap, with the help of the network where a backup is
    /// damaged.
    pub(super) fn recover_with_network(&self, patience: Duration) -> Result<Recovery> {
        let root = &self.shared.root;
        let Some(state_dir) = state::open(root)? else { return Ok(Recovery::Nothing) };
        let recover = || swap::recover(root, &state::lock_updater(&state_dir, patience)?);
        match recover() {
            Err(error) if is_backup_damaged(&error) => match self.fetch_damaged_backups() {
                Ok(_) => recover(),
                // The first error tells more.
                Err(_) => Err(error),
            },
            recovered => recovered,
        }
    }

    /// Fetches the contents of damaged backups, and returns the user's files that moved aside.
    ///
    /// # Errors
    /// Those of a download; then nothing has changed.
    pub(super) fn fetch_damaged_backups(&self) -> Result<Vec<SavedFile>> {
        let root = &self.shared.root;
        let Some(state_dir) = state::open(root)? else { return Ok(Vec::new()) };
        let damaged = backups::damaged(root, &state::lock_updater(&state_dir, LOCK_TIMEOUT)?)?;
        if damaged.is_empty() {
            return Ok(Vec::new());
        }
        // No lock of the tree is held while the network is waited for.
        let _downloading = state::lock_downloading(&state_dir, LOCK_TIMEOUT)?;
        let mut saved = Vec::new();
        for damaged in &damaged {
            let staged = self.fetch_contents(&state_dir, damaged)?;
            let lock = state::lock_updater(&state_dir, LOCK_TIMEOUT)?;
            saved.extend(backups::replace(root, &lock, damaged, &staged)?);
        }
        Ok(saved)
    }

    /// Stages the missing contents, and returns their names in the stage.
    fn fetch_contents(&self, state_dir: &Dir, damaged: &DamagedBackups) -> Result<Vec<String>> {
        let (shared, component) = (&self.shared, &damaged.component);
        // The plan of the swap has the hash of this manifest; the signature is an additional check.
        let verified = trust::authenticate(damaged.manifest.clone(), &shared.keys)?;
        let old = verified.manifest();
        let installed = InstalledManifest {
            manifest: old.clone(),
            order: Some(verified.order().clone()),
            bytes: damaged.manifest.clone(),
        };
        let (mut plan, _) = self.plan(component, Some(&installed), Some(old))?;
        plan.kept.clear();
        plan.changes.retain(|change| {
            change.new.sha256().is_some_and(|hash| damaged.contents.iter().any(|(content, _)| *content == hash))
        });
        plan.contents.retain(|hash, _| damaged.contents.iter().any(|(content, _)| content == hash));
        // An update object leads to a newer release, and a few contents need no install object.
        plan.object = None;
        let stage = Stage::open(&shared.root, state_dir, component)?;
        preflight::check_space(&stage, &plan, |_| 0, shared.parallel)?;
        let transfer = Transfer {
            source: &*shared.source,
            mirrors: &Mirrors::new(self.base_urls(&old.meta)),
            names: &SiteNames::of(&old.meta),
            locate: &|file: &LocalFile| {
                let component = file.component.as_ref().unwrap_or(component);
                shared.root.component(component).join(file.path.split('/').collect::<PathBuf>())
            },
            find_local: &|_| None,
            retries: shared.retries,
            parallel: shared.parallel,
            ledger: &NoLedger,
            cancel: &self.cancel,
        };
        stage.fill(&plan, &transfer, |_| {})?;
        let names = stage.seal(&plan)?;
        let mut staged: Vec<(Sha256, String)> = Vec::new();
        for (change, name) in plan.changes.iter().zip(names) {
            staged.extend(change.new.sha256().zip(name));
        }
        let take = |(hash, _): &(Sha256, u32)| {
            let at = staged.iter().position(|(staged, _)| staged == hash);
            at.map(|at| staged.swap_remove(at).1)
        };
        let names: Option<Vec<String>> = damaged.contents.iter().map(take).collect();
        let path = || shared.root.component(component);
        names
            .ok_or_else(|| Machine::StageDamaged { path: path(), detail: "its old contents changed".to_owned() }.into())
    }
}

/// Returns `true` for an error whose cause is a damaged backup.
fn is_backup_damaged(error: &Error) -> bool {
    match error {
        Error::Machine(Machine::UndoFailed { cause }) => is_backup_damaged(cause),
        error => error.code() == "backup-damaged",
    }
}
