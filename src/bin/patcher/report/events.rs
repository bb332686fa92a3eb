//! What `watch` tells: a line for each event, or a JSON object in a line of its own.

use super::available;
use patcher::Update;
use patcher::internal::watch::Event;
use semver::Version;
use serde_json::{Value, json};
use std::io::Write as _;

/// Tells of events; progress is not told, as nobody watches a service.
pub struct Events {
    pub json: bool,
}

impl Events {
    /// Tells of one event. A line that nobody takes is lost.
    pub fn tell(&self, event: &Event<'_>) {
        let lines = if self.json { object(event).map(|object| object.to_string()) } else { words(event) };
        if let Some(lines) = lines {
            let _ = writeln!(std::io::stdout(), "{lines}");
        }
    }
}

fn words(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::UpdateFound(updates) => updates.iter().map(available).collect::<Vec<_>>().join("\n"),
        Event::Staged(versions) => format!("staged: {}", list(versions)),
        Event::Applied(versions) => format!("applied: {}", list(versions)),
        Event::Reminder { component, version, state } => format!("reminder: {component} {version} is {state}"),
        Event::UpToDate(held) if held.is_empty() => "up to date".to_owned(),
        Event::UpToDate(held) => {
            let line =
                |held: &patcher::Deferred| format!("{}: {} is left alone: {}", held.component, held.version, held.why);
            held.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Event::Stale(error) => format!("stale: {error}"),
        Event::Failed { error, retry_in } => format!("failed: {error}; again in {} s", retry_in.as_secs()),
        _ => return None,
    })
}

fn list(versions: &[(String, Version)]) -> String {
    versions.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
}

fn object(event: &Event<'_>) -> Option<Value> {
    let versions = |list: &[(String, Version)]| -> Vec<Value> {
        list.iter().map(|(name, version)| json!({ "component": name, "version": version.to_string() })).collect()
    };
    let update = |update: &Update| json!({ "component": update.component(), "version": update.to().to_string() });
    Some(match event {
        Event::UpdateFound(updates) => {
            json!({ "event": "update-found", "updates": updates.iter().map(update).collect::<Vec<_>>() })
        }
        Event::Staged(staged) => json!({ "event": "staged", "updates": versions(staged) }),
        Event::Applied(applied) => json!({ "event": "applied", "updates": versions(applied) }),
        Event::Reminder { component, version, state } => {
            let state = state.to_string();
            json!({ "event": "reminder", "component": component, "version": version, "state": state })
        }
        Event::UpToDate(held) => json!({ "event": "up-to-date", "held": super::json::held_list(held) }),
        Event::Stale(error) => json!({ "event": "stale", "message": error.to_string() }),
        Event::Failed { error, retry_in } => {
            let (code, message) = (error.code(), error.to_string());
            json!({ "event": "failed", "code": code, "message": message, "retry_in": retry_in.as_secs() })
        }
        _ => return None,
    })
}
