//! The state and the type of an update, as `active-update.xml` and `updates.xml` write them.

use crate::formats::xml::push_attribute;
use std::fmt;
use std::str::FromStr;

/// An attribute that this version of the client does not know.
pub type UnknownAttribute = (String, String);

/// The state of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateState {
    /// A check has found the release. Only reported, never recorded.
    Checking,
    /// The download is in progress, or was interrupted.
    Downloading,
    /// The user has paused the download.
    Paused,
    /// All contents are staged and verified.
    Staged,
    /// A swap is prepared and waits for the program to end.
    Pending,
    /// The swap is replacing files, or was interrupted.
    Applying,
    /// The version is installed, and on probation.
    Applied,
    /// The version is installed and confirmed.
    Confirmed,
    /// The version was installed, did not work, and was rolled back.
    RolledBack,
    /// The download or the swap failed.
    Failed,
}

const STATES: [(UpdateState, &str); 10] = [
    (UpdateState::Checking, "checking"),
    (UpdateState::Downloading, "downloading"),
    (UpdateState::Paused, "paused"),
    (UpdateState::Staged, "staged"),
    (UpdateState::Pending, "pending"),
    (UpdateState::Applying, "applying"),
    (UpdateState::Applied, "applied"),
    (UpdateState::Confirmed, "confirmed"),
    (UpdateState::RolledBack, "rolled-back"),
    (UpdateState::Failed, "failed"),
];

/// The kind of download of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpdateType {
    /// Deltas or chunks for at least one file.
    Partial,
    /// Whole files only.
    #[default]
    Complete,
}

/// The text is no state and no type of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the known words")]
pub struct UnknownWord;

impl fmt::Display for UpdateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(STATES.iter().find(|(state, _)| state == self).map_or("", |(_, word)| word))
    }
}

impl FromStr for UpdateState {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        STATES.iter().find(|(_, known)| *known == word).map(|(state, _)| *state).ok_or(UnknownWord)
    }
}

impl fmt::Display for UpdateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            UpdateType::Partial => "partial",
            UpdateType::Complete => "complete",
        })
    }
}

impl FromStr for UpdateType {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "partial" => Ok(UpdateType::Partial),
            "complete" => Ok(UpdateType::Complete),
            _ => Err(UnknownWord),
        }
    }
}

/// Appends an attribute if there is a value.
pub fn push_optional(text: &mut String, name: &str, value: Option<impl fmt::Display>) {
    if let Some(value) = value {
        push_attribute(text, name, value);
    }
}

/// Appends the attributes that this version does not know, as they were.
pub fn push_unknown(text: &mut String, unknown: &[UnknownAttribute]) {
    unknown.iter().for_each(|(name, value)| push_attribute(text, name, value));
}
