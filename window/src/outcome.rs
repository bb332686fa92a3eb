//! The result of the window: an exit code and one JSON line.

use serde_json::{Value, json};

/// The exit code of a window that asks the program to restart.
const EXIT_RESTART: u8 = 12;
/// The exit code of a window that asks the program to install the update when it ends.
const EXIT_AT_EXIT: u8 = 13;

/// The end of the window, as the program that opened it learns it.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowOutcome {
    /// The update is staged, and the user wants to restart now.
    Restart(Value),
    /// The update is staged, and the user wants it installed when the program ends.
    AtExit(Value),
    /// The user decides later. A download that has begun continues where it stopped.
    Later,
    /// The user skipped the version.
    Skipped,
    /// No update is offered.
    UpToDate,
    /// The user closed a message about a rollback.
    Acknowledged,
    /// An error ended the update. The value is an error object of the session.
    Failed(Value),
}

impl WindowOutcome {
    /// Makes the outcome of a wrong call.
    pub fn wrong_call(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Failed(json!({ "code": "bad-setting", "exit": 2, "message": message, "retryable": false, "hint": null }))
    }

    /// Returns the exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Restart(_) => EXIT_RESTART,
            Self::AtExit(_) => EXIT_AT_EXIT,
            Self::Later | Self::Skipped | Self::UpToDate | Self::Acknowledged => 0,
            Self::Failed(error) => error["exit"].as_u64().and_then(|code| u8::try_from(code).ok()).unwrap_or(2),
        }
    }

    /// Returns the JSON line.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Restart(updates) => json!({ "result": "restart", "updates": updates }),
            Self::AtExit(updates) => json!({ "result": "at-exit", "updates": updates }),
            Self::Later => json!({ "result": "later" }),
            Self::Skipped => json!({ "result": "skipped" }),
            Self::UpToDate => json!({ "result": "up-to-date" }),
            Self::Acknowledged => json!({ "result": "acknowledged" }),
            Self::Failed(error) => json!({ "error": error }),
        }
    }
}
