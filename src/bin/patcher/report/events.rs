//! The event log of `watch`: a line for each event, or a JSON object in a line.

use super::{available, deferred_line, json::deferred_list};
use patcher::{Component, ComponentVersion, Update, Version, WatchEvent};
use serde_json::{Value, json};
use std::io::Write as _;

/// The printer of a watcher's events. It prints no progress: a service has no terminal.
pub struct EventLog {
    pub json: bool,
}

impl EventLog {
    /// Prints an event.
    pub fn print(&self, event: &WatchEvent<'_>) {
        let lines = if self.json { object(event).map(|object| object.to_string()) } else { words(event) };
        if let Some(lines) = lines {
            // The watcher works on even if its output is closed.
            let _ = writeln!(std::io::stdout(), "{lines}");
        }
    }
}

fn words(event: &WatchEvent<'_>) -> Option<String> {
    Some(match event {
        WatchEvent::UpdateFound(updates) => updates.iter().map(available).collect::<Vec<_>>().join("\n"),
        WatchEvent::Staged(releases) => format!("staged: {}", list(releases)),
        WatchEvent::Applied(releases) => format!("applied: {}", list(releases)),
        WatchEvent::Reminder { component, version, state } => format!("reminder: {component} {version} is {state}"),
        WatchEvent::UpToDate(deferred) if deferred.is_empty() => "up to date".to_owned(),
        WatchEvent::UpToDate(deferred) => deferred.iter().map(deferred_line).collect::<Vec<_>>().join("\n"),
        WatchEvent::Stale(error) => format!("stale: {error}"),
        WatchEvent::Failed { error, retry_in } => format!("failed: {error}; again in {} s", retry_in.as_secs()),
        _ => return None,
    })
}

fn list(releases: &[ComponentVersion]) -> String {
    releases.iter().map(|release| format!("{} {}", release.component, release.version)).collect::<Vec<_>>().join(", ")
}

fn object(event: &WatchEvent<'_>) -> Option<Value> {
    let release = |component: &Component, version: &Version| json!({ "component": component.as_str(), "version": version.to_string() });
    let releases = |list: &[ComponentVersion]| -> Vec<Value> {
        list.iter().map(|each| release(&each.component, &each.version)).collect()
    };
    let update = |update: &Update| release(update.component(), update.to());
    Some(match event {
        WatchEvent::UpdateFound(updates) => {
            json!({ "event": "update-found", "updates": updates.iter().map(update).collect::<Vec<_>>() })
        }
        WatchEvent::Staged(staged) => json!({ "event": "staged", "updates": releases(staged) }),
        WatchEvent::Applied(applied) => json!({ "event": "applied", "updates": releases(applied) }),
        WatchEvent::Reminder { component, version, state } => {
            let (component, version, state) = (component.as_str(), version.to_string(), state.to_string());
            json!({ "event": "reminder", "component": component, "version": version, "state": state })
        }
        WatchEvent::UpToDate(deferred) => json!({ "event": "up-to-date", "held": deferred_list(deferred) }),
        WatchEvent::Stale(error) => json!({ "event": "stale", "message": error.to_string() }),
        WatchEvent::Failed { error, retry_in } => {
            let (code, message) = (error.code(), error.to_string());
            json!({ "event": "failed", "code": code, "message": message, "retry_in": retry_in.as_secs() })
        }
        _ => return None,
    })
}
