//! `outcomes`: the outcomes of swaps, one in each line, until the client moves them to the history.
//!
//! The helper writes this file and not the history, so that it needs no code for XML.

use super::verdicts::RollbackReason;
use crate::disk::fs::Dir;
#[cfg(feature = "client")]
use crate::disk::fs::Found;
use crate::error::{Error, Result};
#[cfg(feature = "client")]
use crate::formats::manifest::Component;
use crate::state::journal::ComponentSteps;
use crate::values::timestamp::Timestamp;
use semver::Version;
use std::io::{Seek as _, SeekFrom, Write as _};

/// The file's name.
pub const OUTCOMES_FILE: &str = "outcomes";

/// The outcome of a swap.
#[derive(Debug, Clone, Copy)]
pub enum SwapOutcome<'a> {
    /// The new version is installed, and on probation.
    Applied,
    /// The new version is installed and stays.
    Confirmed,
    /// The new version was rolled back.
    RolledBack(RollbackReason),
    /// The swap failed with this error code; the old version is installed.
    Failed(&'static str),
    /// A file of the user was in the way and was moved beside its path.
    Saved {
        /// The path that it had in the component.
        path: &'a str,
        /// The path that it has now.
        saved_as: &'a str,
    },
}

/// One line: the outcome of a swap for one component.
#[cfg(feature = "client")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeLine {
    /// The time of the outcome.
    pub at: Timestamp,
    /// The component.
    pub component: Component,
    /// The sequence of the new release.
    pub sequence: u64,
    /// The version before; `None` for a first installation.
    pub from: Option<Version>,
    /// The version after.
    pub to: Version,
    /// `applied`, `confirmed`, `rolled-back` or `failed`.
    pub result: String,
    /// The reason or the error's code.
    pub detail: Option<String>,
}

/// Returns `true` if there are outcomes that no updater has moved to the history.
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io).
#[cfg(feature = "client")]
pub fn has_outcomes(state_dir: &Dir) -> Result<bool> {
    Ok(state_dir.find(OUTCOMES_FILE)? != Found::Absent)
}

/// Adds a line for each component of a swap, durable after [`sync_outcomes`].
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io).
pub fn record_outcome(
    state_dir: &Dir,
    components: &[ComponentSteps],
    outcome: SwapOutcome<'_>,
    now: Timestamp,
) -> Result<()> {
    let (result, detail) = match outcome {
        SwapOutcome::Applied => ("applied", "-".to_owned()),
        SwapOutcome::Confirmed => ("confirmed", "-".to_owned()),
        SwapOutcome::RolledBack(reason) => ("rolled-back", reason.word()),
        SwapOutcome::Failed(code) => ("failed", code.to_owned()),
        SwapOutcome::Saved { path, saved_as } => ("saved", format!("{}:{}", escape(path), escape(saved_as))),
    };
    let mut text = String::new();
    for part in components {
        let Some(to) = &part.to else { continue };
        let (component, sequence) = (&part.component, to.sequence);
        let from = part.from.as_ref().map_or("-".to_owned(), Version::to_string);
        text.push_str(&format!("{now} {component} {sequence} {from} {} {result} {detail}\n", to.version));
    }
    let mut file = state_dir.open_or_create(OUTCOMES_FILE)?;
    let written = file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(text.as_bytes()));
    written.map_err(|error| Error::io("write", state_dir.join(OUTCOMES_FILE), error))
}

/// Returns a path as one word: spaces, control characters and `%` become `%` and two hexadecimal
/// digits.
fn escape(path: &str) -> String {
    let escaped = |c: char| match c {
        ' ' | ':' | '%' | '\n' | '\r' => format!("%{:02x}", u32::from(c)),
        c => c.to_string(),
    };
    path.chars().map(escaped).collect()
}

/// Makes the recorded lines durable.
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io), also if an updater has moved all lines to the
/// history.
pub fn sync_outcomes(state_dir: &Dir) -> Result<()> {
    state_dir.seal(OUTCOMES_FILE, 0o600)
}

/// Parses the lines, and skips those that are not valid.
#[cfg(feature = "client")]
pub fn lines(text: &str) -> Vec<OutcomeLine> {
    let some = |word: &str| Some(word.to_owned()).filter(|word| word != "-");
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [at, component, sequence, from, to, result, detail] = words[..] else { return None };
        Some(OutcomeLine {
            at: at.parse().ok()?,
            component: component.parse().ok()?,
            sequence: sequence.parse().ok()?,
            from: if from == "-" { None } else { Some(from.parse().ok()?) },
            to: to.parse().ok()?,
            result: result.to_owned(),
            detail: some(detail),
        })
    };
    text.lines().filter_map(line).collect()
}
