//! The JSON output: every outcome as one object, as docs/reference/command-line.md describes it.

use crate::advice::advice;
use crate::commands::CommandOutcome;
use patcher::{
    ComponentChange, Damage, DeferralReason, Deferred, Error, InstalledComponent, PastUpdate, Recovery, SavedFile,
    Status, SwapStatus, Update, UpdateStatus,
};
use serde_json::{Value, json};

/// Returns the object for an outcome; `None` for `watch`, which has printed its events.
pub fn outcome_object(outcome: &CommandOutcome) -> Option<Value> {
    let updates = |list: &[Update]| list.iter().map(update_object).collect::<Vec<_>>();
    Some(match outcome {
        CommandOutcome::Stopped => return None,
        CommandOutcome::Checked(check) => {
            json!({ "updates": updates(&check.updates), "held": deferred_list(&check.deferred) })
        }
        CommandOutcome::Staged(staged, deferred) => {
            let staged = staged.as_ref().map_or(Vec::new(), |staged| updates(staged.updates()));
            json!({ "staged": staged, "held": deferred_list(deferred) })
        }
        CommandOutcome::Applied(applied, deferred) => {
            let changes = applied.iter().flat_map(|applied| &applied.components).map(change_object);
            let mut report = json!({ "applied": changes.collect::<Vec<_>>(), "held": deferred_list(deferred) });
            let moved = applied.iter().flat_map(|applied| &applied.saved).map(
                |file| json!({ "component": file.component.as_str(), "path": file.path, "kept_as": file.saved_as }),
            );
            let moved: Vec<_> = moved.collect();
            if !moved.is_empty() {
                report["saved"] = moved.into();
            }
            report
        }
        CommandOutcome::Paused => json!({ "paused": true }),
        CommandOutcome::Skipped(component, version) => {
            json!({ "component": component, "skipped": text(version.as_ref()) })
        }
        CommandOutcome::History(updates) => {
            json!({ "updates": updates.iter().map(past_update_object).collect::<Vec<_>>() })
        }
        CommandOutcome::Confirmed(was_on_probation) => json!({ "confirmed": was_on_probation }),
        CommandOutcome::Scheduled => json!({ "scheduled": true }),
        CommandOutcome::Verified(components) => {
            let damage = |damage: &Damage| json!({ "path": damage.path.as_str(), "kind": damage.kind.to_string() });
            let component = |(name, damages): &(String, Vec<Damage>)| json!({ "component": name, "damaged": damages.iter().map(damage).collect::<Vec<_>>() });
            json!({ "components": components.iter().map(component).collect::<Vec<_>>() })
        }
        CommandOutcome::Recovered(recovery) => json!({ "recovery": match recovery {
            Recovery::Discarded => "discarded",
            Recovery::RolledBack => "rolled-back",
            Recovery::Finished => "finished",
            _ => "nothing",
        } }),
        CommandOutcome::Removed(component, kept) => {
            json!({ "removed": component, "left": kept.iter().map(|path| path.as_str()).collect::<Vec<_>>() })
        }
        CommandOutcome::Status(status) => status_object(status),
    })
}

/// Returns the object for an error.
pub fn error_object(error: &Error) -> Value {
    json!({ "error": {
        "code": error.code(),
        "exit": error.exit_code(),
        "message": error.to_string(),
        "hint": advice(error.code()),
    } })
}

/// Returns the list of deferred releases.
pub fn deferred_list(deferred: &[Deferred]) -> Vec<Value> {
    let why = |reason: &DeferralReason| match reason {
        DeferralReason::RolledBack(_) => "rolled-back",
        DeferralReason::SwapFailed => "swap-failed",
        DeferralReason::RolloutPaused => "paused",
        DeferralReason::Rollout { .. } => "not-yet",
        DeferralReason::Skipped => "skipped",
        DeferralReason::Requires(_) => "requires",
        _ => "other",
    };
    let object = |deferred: &Deferred| {
        let rollback_reason = match deferred.reason {
            DeferralReason::RolledBack(reason) => Some(reason.word()),
            _ => None,
        };
        json!({
            "component": deferred.component.as_str(),
            "version": deferred.version.to_string(),
            "why": why(&deferred.reason),
            "reason": rollback_reason,
        })
    };
    deferred.iter().map(object).collect()
}

fn update_object(update: &Update) -> Value {
    let saved = |saved: &SavedFile| json!({ "path": saved.path, "kept_as": saved.saved_as });
    json!({
        "component": update.component().as_str(),
        "from": text(update.from()),
        "to": update.to().to_string(),
        "files": update.changes(),
        "bytes": update.download_size(),
        "type": if update.is_partial() { "partial" } else { "complete" },
        "critical": update.is_critical(),
        "on_the_way_to": text(update.stepping_stone_to()),
        "notes": update.notes(&super::user_languages()).map(|notes| json!({
            "language": notes.language.as_str(),
            "href": notes.href.as_ref().map(|url| url.as_str()),
            "lines": notes.lines,
        })),
        "saved": update.saved().iter().map(saved).collect::<Vec<_>>(),
        "left": update.kept().iter().map(|path| path.as_str()).collect::<Vec<_>>(),
    })
}

fn change_object(change: &ComponentChange) -> Value {
    json!({
        "component": change.component.as_str(),
        "from": text(change.from.as_ref()),
        "to": text(change.to.as_ref()),
    })
}

fn status_object(status: &Status) -> Value {
    let version = |component: &str, version: Option<String>| json!({ "component": component, "version": version });
    let staged = status.staged.iter().map(|staged| version(staged.component.as_str(), text(Some(&staged.version))));
    let previous = status.rollback.iter().map(|change| version(change.component.as_str(), text(change.to.as_ref())));
    json!({
        "components": status.components.iter().map(component_object).collect::<Vec<_>>(),
        "staged": staged.collect::<Vec<_>>(),
        "swap": status.swap.map(|swap| match swap {
            SwapStatus::Prepared => "prepared",
            SwapStatus::Interrupted => "interrupted",
            SwapStatus::Probation => "probation",
            SwapStatus::Confirmed => "confirmed",
            _ => "other",
        }),
        "active": status.updates.iter().map(update_status_object).collect::<Vec<_>>(),
        "paused": text(status.paused_since),
        "set_aside": status.damaged_files,
        "previous": previous.collect::<Vec<_>>(),
    })
}

fn component_object(installed: &InstalledComponent) -> Value {
    let component = installed.component.as_str();
    match &installed.release {
        Ok(release) => json!({
            "component": component,
            "version": release.version.to_string(),
            "sequence": release.sequence,
            "channel": release.channel.as_str(),
            "trusted": release.is_trusted,
        }),
        Err(error) => {
            json!({ "component": component, "error": { "code": error.code(), "message": error.to_string() } })
        }
    }
}

fn update_status_object(update: &UpdateStatus) -> Value {
    json!({
        "component": update.component.as_str(),
        "type": update.kind.to_string(),
        "from": text(update.from.as_ref()),
        "version": update.to.to_string(),
        "sequence": update.sequence,
        "state": update.state.to_string(),
        "found": update.found.to_string(),
        "staged": text(update.staged),
        "bytes": update.bytes_done,
        "bytes_total": update.bytes_total,
        "error": update.error,
    })
}

fn past_update_object(update: &PastUpdate) -> Value {
    json!({
        "component": update.component.as_str(),
        "type": update.kind.to_string(),
        "from": text(update.from.as_ref()),
        "to": update.to.to_string(),
        "sequence": update.sequence,
        "found": text(update.found),
        "staged": text(update.staged),
        "installed": text(update.installed),
        "confirmed": text(update.confirmed),
        "rolled_back": text(update.rolled_back),
        "bytes": update.bytes,
        "seconds": update.seconds,
        "fallbacks": update.fallbacks,
        "result": update.result.to_string(),
        "error": update.error,
    })
}

/// Writes an optional value as text, or as `null`.
fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}
