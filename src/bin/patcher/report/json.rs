//! Every outcome as one JSON object, for programs.

use crate::commands::{Outcome, Status};
use patcher::internal::journal::State;
use patcher::internal::state::{ActiveUpdate, PastUpdate};
use patcher::{Damage, DeferralReason, Deferred, Previous, Recovery, Update};
use serde_json::{Value, json};

/// The object that a command prints; none for one that has printed what there was to tell.
pub fn outcome(outcome: &Outcome) -> Option<Value> {
    let update = |update: &Update| {
        let saved =
            update.saved().iter().map(|(path, kept)| json!({ "path": path.as_str(), "kept_as": kept.as_str() }));
        json!({
            "component": update.component().as_str(),
            "from": update.from().map(ToString::to_string),
            "to": update.to().to_string(),
            "files": update.changes(),
            "bytes": update.download_size(),
            "type": if update.is_partial() { "partial" } else { "complete" },
            "critical": update.is_critical(),
            "on_the_way_to": update.on_the_way_to().map(ToString::to_string),
            "notes": update.notes(&super::languages()).map(|notes| json!({
                "language": notes.language.as_str(),
                "href": notes.href.as_ref().map(|url| url.as_str()),
                "lines": notes.lines,
            })),
            "saved": saved.collect::<Vec<_>>(),
            "left": update.kept().iter().map(|path| path.as_str()).collect::<Vec<_>>(),
        })
    };
    let updates = |list: &[Update]| list.iter().map(update).collect::<Vec<_>>();
    Some(match outcome {
        Outcome::Stopped => return None,
        Outcome::Available(check) => json!({ "updates": updates(&check.updates), "held": held_list(&check.deferred) }),
        Outcome::Staged(staged, held) => {
            let staged = staged.as_ref().map_or(Vec::new(), |staged| updates(staged.updates()));
            json!({ "staged": staged, "held": held_list(held) })
        }
        Outcome::Applied(applied, held) => {
            let components = applied.iter().flat_map(|applied| &applied.components);
            let components = components.map(|change| {
                json!({
                    "component": change.component.as_str(),
                    "from": text(change.from.as_ref()),
                    "to": text(change.to.as_ref()),
                })
            });
            json!({ "applied": components.collect::<Vec<_>>(), "held": held_list(held) })
        }
        Outcome::Paused => json!({ "paused": true }),
        Outcome::Skipped(name, version) => {
            json!({ "component": name, "skipped": version.as_ref().map(ToString::to_string) })
        }
        Outcome::History(updates) => json!({ "updates": updates.iter().map(past).collect::<Vec<_>>() }),
        Outcome::Confirmed(confirmed) => json!({ "confirmed": confirmed }),
        Outcome::Scheduled => json!({ "scheduled": true }),
        Outcome::Verified(components) => {
            let damage = |damage: &Damage| json!({ "path": damage.path.as_str(), "kind": damage.kind.to_string() });
            let component = |(name, damages): &(String, Vec<Damage>)| json!({ "component": name, "damaged": damages.iter().map(damage).collect::<Vec<_>>() });
            json!({ "components": components.iter().map(component).collect::<Vec<_>>() })
        }
        Outcome::Recovered(recovery) => json!({ "recovery": match recovery {
            Recovery::Discarded => "discarded",
            Recovery::RolledBack => "rolled-back",
            Recovery::Finished => "finished",
            _ => "nothing",
        } }),
        Outcome::Removed(name, kept) => {
            json!({ "removed": name, "left": kept.iter().map(|path| path.as_str()).collect::<Vec<_>>() })
        }
        Outcome::Status(status) => status_object(status),
    })
}

pub fn held_list(held: &[Deferred]) -> Vec<Value> {
    let why = |why: &DeferralReason| match why {
        DeferralReason::RolledBack(_) => "rolled-back",
        DeferralReason::SwapFailed => "swap-failed",
        DeferralReason::RolloutPaused => "paused",
        DeferralReason::Rollout { .. } => "not-yet",
        DeferralReason::Skipped => "skipped",
        DeferralReason::Requires(_) => "requires",
        _ => "other",
    };
    let one = |held: &Deferred| {
        let reason = match held.reason {
            DeferralReason::RolledBack(reason) => Some(reason.word()),
            _ => None,
        };
        json!({
            "component": held.component.as_str(), "version": held.version.to_string(), "why": why(&held.reason), "reason": reason
        })
    };
    held.iter().map(one).collect()
}

fn status_object(status: &Status) -> Value {
    let component = |(name, installed): &(
        patcher::internal::manifest::Component,
        patcher::Result<patcher::Installed>,
    )| {
        match installed {
            Ok(installed) => {
                let meta = &installed.manifest.meta;
                json!({
                    "component": name.as_str(),
                    "version": meta.version.to_string(),
                    "sequence": meta.sequence,
                    "channel": meta.channel.as_str(),
                    "trusted": installed.place.is_some(),
                })
            }
            Err(error) => {
                json!({ "component": name.as_str(), "error": { "code": error.code(), "message": error.to_string() } })
            }
        }
    };
    let staging = |(name, version): &(patcher::internal::manifest::Component, semver::Version)| json!({ "component": name.as_str(), "version": version.to_string() });
    json!({
        "components": status.components.iter().map(component).collect::<Vec<_>>(),
        "staged": status.staging.iter().map(staging).collect::<Vec<_>>(),
        "swap": status.swap.map(|state| match state {
            State::Prepared => "prepared",
            State::Applying => "interrupted",
            State::Committed => "probation",
            State::Confirmed => "confirmed",
        }),
        "active": status.active.iter().map(active).collect::<Vec<_>>(),
        "paused": status.paused.map(|since| since.to_string()),
        "set_aside": status.set_aside,
        "previous": status.previous.iter().flat_map(Previous::components)
            .map(|change| json!({ "component": change.component.as_str(), "version": text(change.to.as_ref()) }))
            .collect::<Vec<_>>(),
    })
}

fn active(update: &ActiveUpdate) -> Value {
    json!({
        "component": update.component.as_str(),
        "type": update.kind.to_string(),
        "from": text(update.from.as_ref()),
        "version": update.version.to_string(),
        "sequence": update.sequence,
        "state": update.state.to_string(),
        "found": update.found.to_string(),
        "staged": text(update.staged),
        "bytes": update.patches.iter().map(|patch| patch.bytes.min(patch.size)).sum::<u64>(),
        "bytes_total": update.patches.iter().map(|patch| patch.size).sum::<u64>(),
        "error": update.error,
    })
}

fn past(update: &PastUpdate) -> Value {
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
