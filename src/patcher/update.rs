//! Updates that a check has found. Downloading one gives a [`Staged`] update: the types hold the
//! order of the steps.

use super::Patcher;
#[cfg(doc)]
use super::Staged;
use super::deferred::{DeferralReason, Deferred};
use crate::disk::inventory::{Inventory, PathContent};
use crate::error::Refused;
use crate::formats::manifest::{Component, Language, Manifest, Notes};
use crate::swap::SavedFile;
use crate::transfer::fetch::CancelToken;
use crate::transfer::plan::{self, Plan};
use crate::trust::{TrustWarning, TrustedManifest};
use crate::values::rel_path::RelPath;
use semver::Version;
use std::path::PathBuf;
use url::Url;

/// A verified newer release of a component, with the plan that leads to it.
///
/// ```no_run
/// # fn main() -> patcher::Result<()> {
/// if let Some(update) = patcher::check_component("core")?.update() {
///     println!("{} -> {}", update.component(), update.to());
///     println!("{} bytes to download", update.download_size());
///     let english: patcher::Language = "en".parse().expect("a language");
///     if let Some(notes) = update.notes(&[english]) {
///         notes.lines.iter().for_each(|line| println!("  {line}"));
///     }
///     let staged = update.download(|progress| println!("{} bytes", progress.bytes_done))?;
///     # let _ = staged;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an update does nothing until it is downloaded"]
pub struct Update {
    pub(super) patcher: Patcher,
    pub(super) component: Component,
    pub(super) from: Option<Version>,
    pub(super) trusted: TrustedManifest,
    pub(super) plan: Plan,
    pub(super) inventory: Inventory,
    pub(super) old_manifest: PathContent,
    pub(super) mirrors: Vec<Url>,
    pub(super) cancel: CancelToken,
    /// `true` if the update leads to the installed release.
    pub(super) is_repair: bool,
    /// The newest release, if this one is a stepping stone to it.
    pub(super) stepping_stone_to: Option<TrustedManifest>,
    /// The error if nothing proves that the newest release is the newest one.
    ///
    /// To install the release, the client needs no proof, but to defer it.
    pub(super) unproven: Option<Refused>,
}

impl Update {
    /// Returns the component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Returns the installed version; `None` for a first installation.
    pub fn from(&self) -> Option<&Version> {
        self.from.as_ref()
    }

    /// Returns the version that the update leads to.
    pub fn to(&self) -> &Version {
        &self.trusted.manifest().meta.version
    }

    /// Returns the release's sequence, the number that rises with every release.
    pub fn sequence(&self) -> u64 {
        self.trusted.manifest().meta.sequence
    }

    /// Returns the most bytes that the download fetches, as if nothing were staged yet.
    ///
    /// Where the update object is fetched whole, this is the exact number. It is an upper bound
    /// where the client finds out during the download which chunks or rows it needs.
    /// [`Progress::bytes_total`](crate::Progress::bytes_total) follows then.
    pub fn download_size(&self) -> u64 {
        self.plan.download_size()
    }

    /// Returns the bytes that a first installation of the release fetches.
    ///
    /// The difference to [`download_size`](Self::download_size) is what the update saves.
    pub fn install_size(&self) -> u64 {
        plan::install_size(self.trusted.manifest())
    }

    /// Returns `true` if the client makes at least one file from a delta or from chunks.
    pub fn is_partial(&self) -> bool {
        self.plan.is_partial()
    }

    /// Returns the number of files and links that change.
    pub fn changes(&self) -> usize {
        self.plan.changes.iter().filter(|change| change.saved_from.is_none()).count()
    }

    /// Returns the user's files in the way of the release, with their new names.
    pub fn saved(&self) -> Vec<SavedFile> {
        let mut saved: Vec<SavedFile> = self
            .plan
            .changes
            .iter()
            .filter_map(|change| {
                let path = change.saved_from.as_ref()?.to_string();
                Some(SavedFile { component: self.component.clone(), path, saved_as: change.path.to_string() })
            })
            .collect();
        saved.sort();
        saved
    }

    /// Returns the files that the release drops and the user has changed; they stay.
    pub fn kept(&self) -> &[RelPath] {
        &self.plan.kept
    }

    /// Returns the newest version if this update is a stepping stone to it.
    ///
    /// The next check after this update finds the newest version.
    pub fn stepping_stone_to(&self) -> Option<&Version> {
        self.stepping_stone_to.as_ref().map(|newest| &newest.manifest().meta.version)
    }

    /// Returns `true` if the publisher marks the release as critical.
    ///
    /// Neither a rollout nor a skipped version defers a critical release.
    pub fn is_critical(&self) -> bool {
        self.trusted.manifest().meta.critical
    }

    /// Returns the release notes in the first of these languages that the publisher has written.
    ///
    /// Without notes in any of them, the client takes English ones, then the first ones of the
    /// manifest.
    pub fn notes(&self, languages: &[Language]) -> Option<&Notes> {
        self.trusted.manifest().meta.notes_for(languages)
    }

    /// Returns the program that the publisher names to start, in the component's folder.
    pub fn launch(&self) -> Option<PathBuf> {
        let launch = self.trusted.manifest().meta.launch.as_ref()?;
        Some(launch.under(&self.patcher.shared.root.component(&self.component)))
    }

    /// Returns a warning about the release that is no reason to refuse it.
    pub fn warning(&self) -> Option<TrustWarning> {
        self.trusted.warning()
    }

    /// Lets `token` cancel the download, instead of the token of the configuration.
    pub fn cancelled_by(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Returns the release's manifest, for the programs and tests of this repository.
    #[doc(hidden)]
    pub fn manifest(&self) -> &Manifest {
        self.trusted.manifest()
    }

    /// Returns the release as deferred for this reason.
    ///
    /// # Errors
    /// [`Refused::NoStamp`] if the release demands a stamp that is missing: an attacker could serve
    /// a release that does not fit this machine, and hide the later ones.
    pub(super) fn deferred(self, reason: DeferralReason) -> Result<Deferred, Refused> {
        self.unproven.map_or_else(|| Ok(Deferred::of(self.trusted.manifest(), reason)), Err)
    }
}
