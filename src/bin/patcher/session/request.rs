//! Requests: one JSON object a line, with an id, a method and its parameters.

use crate::arguments::PatcherCommand;
use crate::quantities::duration;
use patcher::{Caller, Result, Value, WatchMode, WatchOptions};
use serde::Deserialize;

/// A request of the parent process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// The number that the answer repeats.
    pub id: u64,
    method: String,
    #[serde(default)]
    params: Option<Value>,
}

/// The method of a request, with its parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// Finishes the work of earlier runs, and returns what happened.
    Start {},
    /// Looks for newer releases.
    Check {
        #[serde(default)]
        components: Vec<String>,
    },
    /// Downloads and stages; continues an interrupted download.
    Download {
        #[serde(default)]
        components: Vec<String>,
    },
    /// Installs another component.
    Install { component: String, from: String },
    /// Removes another component.
    Remove { component: String },
    /// Compares the files with the manifests.
    Verify {
        #[serde(default)]
        components: Vec<String>,
    },
    /// Swaps and starts the program again when it has ended.
    Restart {},
    /// Swaps when the program has ended.
    ApplyOnExit {},
    /// Ends the probation of the running version.
    Confirm {},
    /// Returns to the version before when the program has ended, and starts it.
    Rollback {},
    /// Pauses downloads.
    Pause {},
    /// Allows downloads, and continues an interrupted one.
    Resume {},
    /// Records whether the user agrees to be counted once a week.
    Adoption { on: bool },
    /// Skips a version; the newest one if none is named.
    Skip { component: String, version: Option<String> },
    /// Shows what is installed, staged and in progress.
    Status {},
    /// Shows past updates.
    History {},
    /// Checks periodically and prints events.
    Watch { interval: Option<String>, first_within: Option<String>, mode: Option<Mode> },
    /// Lets the watcher check at once.
    CheckNow {},
    /// Stops the watcher.
    Unwatch {},
    /// Cancels another request.
    Cancel { id: u64 },
}

/// The action of a watcher for the updates that it finds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Report them.
    Notify,
    /// Download them.
    Download,
    /// Download them, and swap when the program has ended.
    ApplyOnExit,
}

impl SessionRequest {
    /// Parses a line.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for text that is no request.
    pub fn parse(line: &[u8]) -> Result<Self> {
        serde_json::from_slice(line).map_err(|error| bad(error.to_string()))
    }

    /// Parses method and parameters.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for an unknown method and for wrong parameters.
    pub fn method(&self) -> Result<Method> {
        let mut tagged = serde_json::Map::new();
        let params = self.params.clone().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        tagged.insert(self.method.clone(), params);
        serde_json::from_value(Value::Object(tagged)).map_err(|error| bad(error.to_string()))
    }
}

impl Method {
    /// Returns `true` for methods that wait for no network. They are carried out in their order.
    pub fn is_quick(&self) -> bool {
        !matches!(
            self,
            Method::Check { .. }
                | Method::Download { .. }
                | Method::Install { .. }
                | Method::Remove { .. }
                | Method::Verify { .. }
                | Method::Rollback {}
                | Method::Resume {}
                | Method::Skip { version: None, .. }
                | Method::Status {}
                | Method::History {}
        )
    }

    /// Returns the command of the command line that does the same, or else the method itself.
    pub fn command(self) -> std::result::Result<PatcherCommand, Self> {
        Ok(match self {
            Method::Check { components } => PatcherCommand::Check { names: components },
            Method::Download { components } => PatcherCommand::Download { names: components },
            Method::Install { component, from } => PatcherCommand::Install { name: component, from, floor: None },
            Method::Remove { component } => PatcherCommand::Remove { name: component },
            Method::Verify { components } => PatcherCommand::Verify { names: components },
            Method::Pause {} => PatcherCommand::Pause,
            Method::Adoption { on } => PatcherCommand::Adoption { is_allowed: on },
            Method::Resume {} => PatcherCommand::Resume,
            Method::Skip { component, version } => PatcherCommand::Skip { name: component, version },
            Method::Status {} => PatcherCommand::Status,
            Method::History {} => PatcherCommand::History,
            method => return Err(method),
        })
    }
}

/// Returns the options of a watcher.
///
/// # Errors
/// [`Caller::BadSetting`] for a wrong time.
pub fn watch_options(interval: Option<&str>, first_within: Option<&str>, mode: Option<Mode>) -> Result<WatchOptions> {
    let time = |text: Option<&str>| text.map(|text| duration(text).map_err(bad)).transpose();
    let mode = match mode {
        Some(Mode::Notify) => WatchMode::Notify,
        Some(Mode::ApplyOnExit) => WatchMode::ApplyOnExit,
        Some(Mode::Download) | None => WatchMode::Download,
    };
    let mut options = WatchOptions::default().mode(mode);
    if let Some(interval) = time(interval)? {
        options = options.interval(interval);
    }
    if let Some(delay) = time(first_within)? {
        options = options.first_within(delay);
    }
    Ok(options)
}

/// Makes the error for a bad request. The request is not repeated: its sender has it.
pub fn bad(detail: String) -> patcher::Error {
    Caller::BadSetting { setting: "request", value: String::new(), detail }.into()
}
