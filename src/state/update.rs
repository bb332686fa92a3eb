//! What one update of one component is and how far it has got: in the words of both
//! `active-update.xml` and `updates.xml`.

use crate::formats::xml::push_attribute;
use std::fmt;
use std::str::FromStr;

/// An attribute that this version does not know, of an element that it does.
pub type UnknownAttribute = (String, String);

/// How far an update has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateState {
    /// Its release is being looked for. Told, and never written down.
    Checking,
    /// Objects are being fetched, or were when something interrupted it.
    Downloading,
    /// The user has stopped it.
    Paused,
    /// Everything is there and verified.
    Staged,
    /// A swap is prepared and waits for the program to end.
    Pending,
    /// Files are being replaced.
    Applying,
    /// It is installed, and on probation.
    Applied,
    /// It is installed and stays.
    Confirmed,
    /// It was installed, did not work, and was taken back.
    RolledBack,
    /// It could not be downloaded or installed.
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
    /// Deltas or parts of objects, at least for one file.
    Partial,
    /// Whole objects only.
    #[default]
    Complete,
}

/// Not a word for a state or a type.
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
