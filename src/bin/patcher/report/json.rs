//! The JSON output: each outcome as one object, made of the shapes of the library.

use crate::advice::advice;
use crate::commands::CommandOutcome;
use patcher::{Damage, Error, Finding, ToJson as _, Value};
use serde_json::json;

/// Returns the object for an outcome; `None` for a command that has printed its events.
pub fn outcome_object(outcome: &CommandOutcome) -> Option<Value> {
    Some(match outcome {
        CommandOutcome::Printed => return None,
        CommandOutcome::Checked(check) => check.to_json(),
        CommandOutcome::Staged(staged, deferred) => {
            let staged = staged.as_ref().map_or(json!([]), |staged| staged.to_json());
            json!({ "staged": staged, "deferred": deferred.to_json() })
        }
        CommandOutcome::Applied(applied, deferred) => {
            let mut object =
                applied.as_ref().map_or(json!({ "applied": [], "saved": [] }), |applied| applied.to_json());
            object["deferred"] = deferred.to_json();
            object
        }
        CommandOutcome::Paused => json!({ "paused": true }),
        CommandOutcome::AdoptionCount(is_allowed) => json!({ "adoption": is_allowed }),
        CommandOutcome::Skipped(component, version) => {
            json!({ "component": component, "skipped": version.as_ref().map(ToString::to_string) })
        }
        CommandOutcome::History(updates) => json!({ "updates": updates.to_json() }),
        CommandOutcome::Confirmed(was_on_probation) => json!({ "confirmed": was_on_probation }),
        CommandOutcome::Scheduled => json!({ "scheduled": true }),
        CommandOutcome::Verified(components) => {
            let component =
                |(name, damages): &(String, Vec<Damage>)| json!({ "component": name, "damaged": damages.to_json() });
            json!({ "components": components.iter().map(component).collect::<Vec<_>>() })
        }
        CommandOutcome::Recovered(recovery) => json!({ "recovery": recovery.to_json() }),
        CommandOutcome::Removed(component, kept) => {
            json!({ "removed": component, "kept": kept.iter().map(|path| path.as_str()).collect::<Vec<_>>() })
        }
        CommandOutcome::Integrated(component, changes) => {
            json!({ "component": component, "written": changes.written, "deleted": changes.deleted })
        }
        CommandOutcome::Status(status) => status.to_json(),
        CommandOutcome::Examined(findings) => {
            json!({ "findings": findings.iter().map(finding_object).collect::<Vec<_>>() })
        }
    })
}

fn finding_object(finding: &Finding) -> Value {
    let mut object = finding.to_json();
    object["hint"] = object["code"].as_str().and_then(advice).into();
    object
}

/// Returns the object for an error.
pub fn error_object(error: &Error) -> Value {
    let mut object = error.to_json();
    object["hint"] = advice(error.code()).into();
    json!({ "error": object })
}
