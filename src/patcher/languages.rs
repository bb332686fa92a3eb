//! The languages that the user reads, for release notes.

use super::Update;
use crate::formats::manifest::{Language, Notes};

/// The environment variables that name the user's languages, the most important first.
const VARIABLES: [&str; 4] = ["LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"];

impl Update {
    /// Returns the release notes in the user's language.
    ///
    /// It is the first of [`Config::languages`](crate::Config::languages) that the publisher has
    /// written, else English, else the first of the manifest.
    pub fn notes_for_user(&self) -> Option<&Notes> {
        self.notes(&self.patcher.shared.languages)
    }
}

/// Returns the languages of the environment: those of the first variable that is set.
pub(super) fn of_environment() -> Vec<Language> {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let value = VARIABLES.iter().find_map(set).unwrap_or_default();
    let tag = |locale: &str| locale.split(['.', '@']).next().unwrap_or_default().replace('_', "-").parse().ok();
    value.split(':').filter_map(tag).collect()
}
