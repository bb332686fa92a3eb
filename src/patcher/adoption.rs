//! Counts how many installations use which version, if both publisher and user agree.
//!
//! Once a week the client fetches an object whose name contains the week and the installed version.
//! The access log of the publisher's server is the statistic. The request has no identifier and is
//! the same for all installations with this version. The object need not exist.

use super::deadline::Deadline;
use super::{InstalledManifest, Patcher};
use crate::disk::layout::SiteNames;
use crate::error::Result;
use crate::formats::manifest::Meta;
use crate::state::Choices;
use crate::transfer::fetch;
use crate::values::timestamp::Timestamp;

/// The size up to which the client reads the answer, in bytes. Its content is ignored.
const MAX_ANSWER_BYTES: u64 = 1_024;

impl InstalledManifest {
    /// Returns the description of the release if its publisher has enabled counting.
    pub(super) fn counted_meta(&self) -> Option<Meta> {
        let meta = &self.manifest.meta;
        (self.is_trusted() && meta.adoption).then(|| meta.clone())
    }
}

impl Patcher {
    /// Records whether the user agrees to be counted; without this call, nothing is counted.
    ///
    /// Ask the user first. If the publisher has enabled counting too (`adoption = true` in
    /// `component.toml`), a successful check fetches one more object, at most once a week for each
    /// component. Its name contains the week and the installed version, and nothing else.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub fn allow_adoption_count(&self, is_allowed: bool) -> Result<()> {
        self.change_choices(|choices| choices.allow_adoption(is_allowed))
    }

    /// Counts the installed release `meta`, unless that was done this week or is not allowed.
    ///
    /// The week is recorded before the request, so that no answer leads to a second one. Errors
    /// are ignored: a check does not fail because of a statistic.
    pub(super) fn count_adoption(&self, meta: &Meta, deadline: &Deadline) {
        let week = Timestamp::now().week();
        let is_due = |choices: &mut Choices| choices.count_adoption(&meta.component, &week);
        // Reading needs no lock, and most checks end here.
        if !self.choices().is_ok_and(|mut choices| is_due(&mut choices)) {
            return;
        }
        let mut must_count = false;
        if self.change_choices(|choices| must_count = is_due(choices)).is_err() || !must_count {
            return;
        }
        let name = SiteNames::of(meta).adoption(&week, &meta.version);
        let Some(url) = self.base_urls(meta).first().and_then(|base| base.join(&name).ok()) else { return };
        let cancel = deadline.share(&self.cancel, 1);
        let _ = fetch::small_file(&*self.shared.source, &url, MAX_ANSWER_BYTES, &cancel);
    }
}
