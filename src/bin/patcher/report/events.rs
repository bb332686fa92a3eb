//! The event log of a watcher: a line for each event, or a JSON object in a line.

use super::progress::ProgressLines;
use super::{available, deferred_line, print_json};
use patcher::{ComponentVersion, ToJson as _, WatchEvent};
use std::io::Write as _;

/// The printer of a watcher's events.
pub struct EventLog {
    /// Prints JSON objects.
    pub json: bool,
    /// Prints the progress of downloads; `None` leaves it out.
    pub progress: Option<ProgressLines>,
}

impl EventLog {
    /// Prints an event.
    pub fn print(&mut self, event: &WatchEvent<'_>) {
        match event {
            WatchEvent::Progress(progress) => {
                if let Some(lines) = &mut self.progress {
                    lines.print(progress);
                }
            }
            event if self.json => print_json(&event.to_json()),
            event => {
                if let Some(lines) = words(event) {
                    // The watcher works on even if its output is closed.
                    let _ = writeln!(std::io::stdout(), "{lines}");
                }
            }
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
