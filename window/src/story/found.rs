//! The parts of the session's answers that the window shows.

use crate::texts::TransferProgress;
use serde_json::{Value, json};

/// A release that the session offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundRelease {
    /// The component.
    pub component: String,
    /// The installed version.
    pub from: Option<String>,
    /// The version of the release.
    pub to: String,
    /// The most bytes to fetch.
    pub bytes: u64,
    /// `true` if the publisher calls the release critical.
    pub is_critical: bool,
    /// The newest version if this release is a stepping stone to it.
    pub last: Option<String>,
    /// The release notes in Markdown.
    pub notes: String,
    /// The address of the whole release notes.
    pub notes_address: Option<String>,
}

/// A version that was rolled back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedRelease {
    /// The component.
    pub component: String,
    /// The version that is installed again.
    pub from: String,
    /// The version that failed.
    pub to: String,
}

impl FoundRelease {
    /// Reads an UPDATE object.
    fn read(update: &Value) -> Self {
        let text = |name: &str| update[name].as_str().map(ToOwned::to_owned);
        let notes = &update["notes"];
        let lines = notes["lines"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Self {
            component: text("component").unwrap_or_default(),
            from: text("from"),
            to: text("to").unwrap_or_default(),
            bytes: update["bytes"].as_u64().unwrap_or_default(),
            is_critical: update["critical"].as_bool().unwrap_or_default(),
            last: text("stepping_stone_to"),
            notes: lines.collect::<Vec<_>>().join("\n"),
            notes_address: notes["href"].as_str().and_then(crate::notes::web_address),
        }
    }

    /// Reads the list `name` of an answer.
    pub fn read_all(answer: &Value, name: &str) -> Vec<Self> {
        answer[name].as_array().into_iter().flatten().map(Self::read).collect()
    }

    /// Returns the releases as objects with a component and a version.
    pub fn versions(releases: &[Self]) -> Value {
        releases.iter().map(|release| json!({ "component": release.component, "version": release.to })).collect()
    }
}

impl FailedRelease {
    /// Finds the newest rollback in the answer to `history`.
    pub fn newest(history: &Value) -> Option<Self> {
        let updates = history["updates"].as_array()?;
        let past = updates.iter().find(|past| past["result"] == "rolled-back")?;
        let text = |name: &str| past[name].as_str().unwrap_or_default().to_owned();
        Some(Self { component: text("component"), from: text("from"), to: text("to") })
    }
}

/// Reads a progress event.
pub fn read_progress(event: &Value) -> TransferProgress {
    let number = |name: &str| event[name].as_u64().unwrap_or_default();
    TransferProgress {
        is_downloading: event["phase"] == "downloading",
        bytes: number("bytes"),
        bytes_total: number("bytes_total"),
        rate: number("rate"),
        seconds_left: event["seconds_left"].as_u64(),
    }
}
