//! The JSON shapes of results, errors and events, which are the same in every language.
//!
//! `docs/reference/json.schema.json` describes each object.

use crate::error::Error;
use crate::patcher::watch::WatchEvent;
use crate::patcher::{
    Check, ComponentVersion, Damage, DeferralReason, Deferred, Finding, InstalledComponent, Staged, Started, Status,
    SwapStatus, Update, UpdateStatus, UpdatesOff, Verdict,
};
use crate::policy::PolicyRule;
use crate::state::PastUpdate;
use crate::swap::{Applied, ComponentChange, Recovery, SavedFile};
use crate::transfer::stage::{Phase, Progress};
use serde_json::{Value, json};

/// A value with a JSON shape.
pub trait ToJson {
    /// Returns the value in the shape of `docs/reference/json.schema.json`.
    fn to_json(&self) -> Value;
}

impl<T: ToJson> ToJson for [T] {
    fn to_json(&self) -> Value {
        self.iter().map(ToJson::to_json).collect()
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(&self) -> Value {
        self.as_slice().to_json()
    }
}

impl ToJson for Check {
    fn to_json(&self) -> Value {
        json!({ "updates": self.updates.to_json(), "deferred": self.deferred.to_json() })
    }
}

impl ToJson for Staged {
    fn to_json(&self) -> Value {
        self.updates().to_json()
    }
}

impl ToJson for Applied {
    fn to_json(&self) -> Value {
        json!({ "applied": self.components.to_json(), "saved": self.saved.to_json() })
    }
}

impl ToJson for Update {
    fn to_json(&self) -> Value {
        json!({
            "component": self.component().as_str(),
            "from": text(self.from()),
            "to": self.to().to_string(),
            "files": self.changes(),
            "bytes": self.download_size(),
            "type": if self.is_partial() { "partial" } else { "complete" },
            "critical": self.is_critical(),
            "stepping_stone_to": text(self.stepping_stone_to()),
            "notes": self.notes_for_user().map(|notes| json!({
                "language": notes.language.as_str(),
                "href": notes.href.as_ref().map(|url| url.as_str()),
                "lines": notes.lines,
            })),
            "saved": self.saved().to_json(),
            "kept": self.kept().iter().map(|path| path.as_str()).collect::<Vec<_>>(),
        })
    }
}

impl ToJson for Deferred {
    fn to_json(&self) -> Value {
        let (why, reason) = match &self.reason {
            DeferralReason::RolledBack(reason) => ("rolled-back", Some(reason.word())),
            DeferralReason::SwapFailed => ("swap-failed", None),
            DeferralReason::RolloutPaused => ("paused", None),
            DeferralReason::Rollout { .. } => ("not-yet", None),
            DeferralReason::Skipped => ("skipped", None),
            DeferralReason::Requires(_) => ("requires", None),
            DeferralReason::Policy(PolicyRule::Version { .. }) => ("policy-version", None),
            DeferralReason::Policy(PolicyRule::Cooldown { .. }) => ("policy-cooldown", None),
            DeferralReason::Policy(PolicyRule::Hours { .. }) => ("policy-hours", None),
            DeferralReason::Policy(PolicyRule::Metered) => ("policy-metered", None),
        };
        json!({
            "component": self.component.as_str(),
            "version": self.version.to_string(),
            "why": why,
            "reason": reason,
        })
    }
}

impl ToJson for SavedFile {
    fn to_json(&self) -> Value {
        json!({ "component": self.component.as_str(), "path": self.path, "saved_as": self.saved_as })
    }
}

impl ToJson for ComponentChange {
    fn to_json(&self) -> Value {
        let (from, to) = (text(self.from.as_ref()), text(self.to.as_ref()));
        json!({ "component": self.component.as_str(), "from": from, "to": to })
    }
}

impl ToJson for ComponentVersion {
    fn to_json(&self) -> Value {
        json!({ "component": self.component.as_str(), "version": self.version.to_string() })
    }
}

impl ToJson for Damage {
    fn to_json(&self) -> Value {
        json!({ "path": self.path.as_str(), "kind": self.kind.to_string() })
    }
}

impl ToJson for Recovery {
    fn to_json(&self) -> Value {
        match self {
            Recovery::Nothing => "nothing",
            Recovery::Discarded => "discarded",
            Recovery::RolledBack => "rolled-back",
            Recovery::Completed => "completed",
            Recovery::Finished => "finished",
        }
        .into()
    }
}

impl ToJson for Started {
    fn to_json(&self) -> Value {
        match self {
            Started::Normal => json!({ "started": "normal" }),
            Started::FirstRun => json!({ "started": "first-run" }),
            Started::Updated { component, from, to } => json!({
                "started": "updated",
                "component": component.as_str(),
                "from": from.to_string(),
                "to": to.to_string(),
            }),
            Started::RolledBack { component, from, to, reason } => json!({
                "started": "rolled-back",
                "component": component.as_str(),
                "from": from.to_string(),
                "to": to.to_string(),
                "reason": reason.word(),
            }),
            Started::Recovered => json!({ "started": "recovered" }),
            Started::HandedOver => json!({ "started": "handed-over" }),
            Started::UpdatesOff(off) => {
                let why = match off {
                    UpdatesOff::NotInstalled { .. } => "not-installed",
                    UpdatesOff::NotOurs { .. } => "not-ours",
                    UpdatesOff::Service { .. } => "service",
                    UpdatesOff::NoHelper { .. } => "no-helper",
                    UpdatesOff::Policy { .. } => "policy",
                };
                json!({ "started": "updates-off", "why": why, "message": off.to_string() })
            }
        }
    }
}

impl ToJson for Status {
    fn to_json(&self) -> Value {
        json!({
            "components": self.components.to_json(),
            "staged": self.staged.to_json(),
            "swap": self.swap.map(|swap| match swap {
                SwapStatus::Prepared => "prepared",
                SwapStatus::Interrupted => "interrupted",
                SwapStatus::Probation => "probation",
                SwapStatus::Confirmed => "confirmed",
            }),
            "updates": self.updates.to_json(),
            "paused": text(self.paused_since),
            "adoption": self.adoption_count,
            "damaged_files": self.damaged_files,
            "policy": match &self.policy {
                Ok(policy) => json!(policy.as_ref().map(|policy| json!({
                    "path": policy.path.display().to_string(),
                    "rules": policy.rules,
                }))),
                Err(error) => json!({ "error": { "code": error.code(), "message": error.to_string() } }),
            },
            "rollback": self.rollback.to_json(),
        })
    }
}

impl ToJson for Finding {
    fn to_json(&self) -> Value {
        let (verdict, message, code) = match &self.verdict {
            Verdict::Good(text) => ("good", text.clone(), None),
            Verdict::Notice(text) => ("notice", text.clone(), None),
            Verdict::Problem(error) => ("problem", error.to_string(), Some(error.code())),
        };
        json!({ "subject": self.subject.to_string(), "verdict": verdict, "message": message, "code": code })
    }
}

impl ToJson for InstalledComponent {
    fn to_json(&self) -> Value {
        let component = self.component.as_str();
        match &self.release {
            Ok(release) => json!({
                "component": component,
                "version": release.version.to_string(),
                "sequence": release.sequence,
                "channel": release.channel.as_str(),
                "trusted": release.is_trusted,
            }),
            Err(error) => json!({
                "component": component,
                "error": { "code": error.code(), "message": error.to_string() },
            }),
        }
    }
}

impl ToJson for UpdateStatus {
    fn to_json(&self) -> Value {
        json!({
            "component": self.component.as_str(),
            "type": self.kind.to_string(),
            "from": text(self.from.as_ref()),
            "to": self.to.to_string(),
            "sequence": self.sequence,
            "state": self.state.to_string(),
            "found": self.found.to_string(),
            "staged": text(self.staged),
            "bytes": self.bytes_done,
            "bytes_total": self.bytes_total,
            "error": self.error,
        })
    }
}

impl ToJson for PastUpdate {
    fn to_json(&self) -> Value {
        json!({
            "component": self.component.as_str(),
            "type": self.kind.to_string(),
            "from": text(self.from.as_ref()),
            "to": self.to.to_string(),
            "sequence": self.sequence,
            "found": text(self.found),
            "staged": text(self.staged),
            "installed": text(self.installed),
            "confirmed": text(self.confirmed),
            "rolled_back": text(self.rolled_back),
            "bytes": self.bytes,
            "seconds": self.seconds,
            "fallbacks": self.fallbacks,
            "result": self.result.to_string(),
            "error": self.error,
        })
    }
}

impl ToJson for Error {
    fn to_json(&self) -> Value {
        json!({
            "code": self.code(),
            "exit": self.exit_code(),
            "message": self.to_string(),
            "retryable": self.is_retryable(),
        })
    }
}

impl ToJson for Progress {
    fn to_json(&self) -> Value {
        let phase = match self.phase {
            Phase::Copying => "copying",
            Phase::Downloading => "downloading",
            Phase::Patching => "patching",
        };
        json!({
            "event": "progress",
            "phase": phase,
            "bytes": self.bytes_done,
            "bytes_total": self.bytes_total,
            "rate": self.rate,
            "seconds_left": self.time_left.map(|left| left.as_secs()),
            "path": self.path.as_str(),
        })
    }
}

impl ToJson for WatchEvent<'_> {
    fn to_json(&self) -> Value {
        match self {
            WatchEvent::Checking => json!({ "event": "checking" }),
            WatchEvent::UpdateFound(updates) => {
                let found = |update: &Update| json!({ "component": update.component().as_str(), "version": update.to().to_string() });
                json!({ "event": "update-found", "updates": updates.iter().map(found).collect::<Vec<_>>() })
            }
            WatchEvent::Progress(progress) => progress.to_json(),
            WatchEvent::Staged(staged) => json!({ "event": "staged", "updates": staged.to_json() }),
            WatchEvent::Applied(applied) => json!({ "event": "applied", "updates": applied.to_json() }),
            WatchEvent::Reminder { component, version, state } => {
                let (component, version, state) = (component.as_str(), version.to_string(), state.to_string());
                json!({ "event": "reminder", "component": component, "version": version, "state": state })
            }
            WatchEvent::UpToDate(deferred) => json!({ "event": "up-to-date", "deferred": deferred.to_json() }),
            WatchEvent::Stale(error) => json!({ "event": "stale", "message": error.to_string() }),
            WatchEvent::Failed { error, retry_in } => {
                let mut event = error.to_json();
                event["event"] = "failed".into();
                event["retry_in"] = retry_in.as_secs().into();
                event
            }
        }
    }
}

/// Returns an optional value as text, or as `null`.
fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}
