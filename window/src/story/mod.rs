//! The story of one update: states, events, and the effects that follow.
//!
//! It knows neither the toolkit nor the session's process. The window shows its state, passes the
//! user's choices and the session's lines to it, and carries out its effects.
//!
//! ```text
//! Checking -> Available -> Downloading <-> Paused
//!    |            |            |
//!    v            v            v
//! UpToDate    (skipped)      Ready -> restart now, or at exit
//!
//! Failed: from every state that waits for the session. RolledBack: after a rollback only.
//! ```

mod found;
#[cfg(test)]
mod tests;

pub use found::{FailedRelease, FoundRelease};

use crate::outcome::WindowOutcome;
use crate::texts::TransferProgress;
use found::read_progress;
use serde_json::{Value, json};

/// The state of the story.
#[derive(Debug, Clone, PartialEq)]
pub enum StoryState {
    /// The session looks for updates.
    Checking,
    /// An update is offered.
    Available,
    /// No update is offered.
    UpToDate,
    /// The session downloads.
    Downloading,
    /// The user has paused the download.
    Paused(Pause),
    /// The update is staged.
    Ready,
    /// The session answered with an error object.
    Failed(Value),
    /// A new version was rolled back.
    RolledBack(FailedRelease),
}

/// A paused download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The session has not stopped yet.
    Stopping {
        /// `true` if the user wants to resume as soon as it has stopped.
        resumes: bool,
    },
    /// The session has stopped.
    Stopped,
    /// The user had paused all downloads of the install root before, by another program.
    Everywhere,
}

/// An input of the story.
#[derive(Debug, Clone, PartialEq)]
pub enum StoryEvent {
    /// The session printed a line.
    Line(Value),
    /// The session ended.
    SessionEnded(String),
    /// The user chose.
    Chosen(Choice),
}

/// A choice of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Download, then install.
    Install,
    /// Decide later.
    Later,
    /// Skip this version.
    Skip,
    /// Pause the download.
    Pause,
    /// Resume the download.
    Resume,
    /// Stop and close.
    Cancel,
    /// Restart the program now.
    RestartNow,
    /// Install when the program ends.
    AtExit,
    /// Do again what failed.
    Retry,
    /// Close the window.
    Close,
    /// Show the log of the helper.
    ShowLog,
    /// Open an address in the browser.
    OpenLink(String),
}

/// An action that the window must carry out.
#[derive(Debug, Clone, PartialEq)]
pub enum StoryEffect {
    /// Send this request to the session.
    Send(Value),
    /// Open an address in the browser.
    OpenLink(String),
    /// Show the log of the helper.
    ShowLog,
    /// Close the window with this outcome.
    End(WindowOutcome),
}

/// The story of one update.
#[derive(Debug)]
pub struct Story {
    state: StoryState,
    components: Vec<String>,
    releases: Vec<FoundRelease>,
    progress: TransferProgress,
    last_id: u64,
    /// The id of the request whose answer decides the next state.
    awaited: u64,
    /// The method to send again after an error.
    method: &'static str,
    /// The number of `skip` requests without an answer.
    skips: usize,
}

impl Story {
    /// Begins with a check of these components, all if there are none.
    pub fn check(components: Vec<String>) -> (Self, Vec<StoryEffect>) {
        Self::begin(components, "check")
    }

    /// Begins after a rollback.
    pub fn after_rollback() -> (Self, Vec<StoryEffect>) {
        Self::begin(Vec::new(), "history")
    }

    fn begin(components: Vec<String>, method: &'static str) -> (Self, Vec<StoryEffect>) {
        let (state, releases, progress) = (StoryState::Checking, Vec::new(), TransferProgress::default());
        let mut story = Self { state, components, releases, progress, last_id: 0, awaited: 0, method, skips: 0 };
        let effects = story.ask(method);
        (story, effects)
    }

    /// Returns the state.
    pub fn state(&self) -> &StoryState {
        &self.state
    }

    /// Returns the releases that were found, the first one first.
    pub fn releases(&self) -> &[FoundRelease] {
        &self.releases
    }

    /// Returns the progress of the download, also of a paused one.
    pub fn progress(&self) -> &TransferProgress {
        &self.progress
    }

    /// Takes an event. Returns the effects, in their order.
    pub fn take(&mut self, event: StoryEvent) -> Vec<StoryEffect> {
        match event {
            StoryEvent::Line(line) => self.take_line(&line),
            StoryEvent::SessionEnded(message) if self.needs_session() => {
                let error =
                    json!({ "code": "session", "exit": 2, "message": message, "retryable": false, "hint": null });
                self.state = StoryState::Failed(error);
                Vec::new()
            }
            StoryEvent::SessionEnded(_) => Vec::new(),
            StoryEvent::Chosen(choice) => self.choose(choice),
        }
    }

    /// Returns `true` in the states from which a choice or an answer leads back to the session.
    fn needs_session(&self) -> bool {
        use StoryState::{Failed, Ready, RolledBack, UpToDate};
        !matches!(self.state, Failed(_) | Ready | RolledBack(_) | UpToDate)
    }

    fn take_line(&mut self, line: &Value) -> Vec<StoryEffect> {
        if line["event"] == "progress" && line["id"] == self.awaited {
            if self.state == StoryState::Downloading {
                self.progress = read_progress(line);
            }
            return Vec::new();
        }
        // The session prints an error without an id when its options are wrong.
        let is_of_session = line["id"].is_null() && line.get("error").is_some();
        let is_skip = self.skips > 0 && line["id"].as_u64().is_some_and(|id| id > self.awaited);
        if is_skip && line.get("result").is_some() {
            self.skips -= 1;
            return if self.skips == 0 { vec![StoryEffect::End(WindowOutcome::Skipped)] } else { Vec::new() };
        }
        if line["id"] != self.awaited && !is_of_session && !is_skip {
            return Vec::new();
        }
        match line.get("error") {
            Some(error) => self.fail(error),
            None => self.succeed(&line["result"]),
        }
    }

    fn succeed(&mut self, result: &Value) -> Vec<StoryEffect> {
        match self.method {
            "check" => {
                self.releases = FoundRelease::read_all(result, "updates");
                self.state = if self.releases.is_empty() { StoryState::UpToDate } else { StoryState::Available };
            }
            "history" => {
                self.state = FailedRelease::newest(result).map_or(StoryState::UpToDate, StoryState::RolledBack);
            }
            _ => {
                let staged = FoundRelease::read_all(result, "staged");
                // An update that was withdrawn since the check leaves nothing to install.
                self.state = if staged.is_empty() { StoryState::UpToDate } else { StoryState::Ready };
                self.releases = staged;
            }
        }
        Vec::new()
    }

    fn fail(&mut self, error: &Value) -> Vec<StoryEffect> {
        let is_stopped = error["code"] == "cancelled";
        match self.state {
            StoryState::Paused(Pause::Stopping { resumes: true }) if is_stopped => return self.download("download"),
            StoryState::Paused(Pause::Stopping { .. }) if is_stopped => self.state = StoryState::Paused(Pause::Stopped),
            StoryState::Downloading if error["code"] == "paused" => self.state = StoryState::Paused(Pause::Everywhere),
            _ => self.state = StoryState::Failed(error.clone()),
        }
        Vec::new()
    }

    fn choose(&mut self, choice: Choice) -> Vec<StoryEffect> {
        let versions = || FoundRelease::versions(&self.releases);
        let end = |outcome| vec![StoryEffect::End(outcome)];
        match (choice, &self.state) {
            (Choice::OpenLink(address), _) => vec![StoryEffect::OpenLink(address)],
            (Choice::ShowLog, _) => vec![StoryEffect::ShowLog],
            (Choice::Install, StoryState::Available) => self.download("download"),
            (Choice::Skip, StoryState::Available) if self.skips == 0 => self.skip(),
            (Choice::Pause, StoryState::Downloading) => {
                let cancel = self.request("cancel", json!({ "id": self.awaited }));
                self.state = StoryState::Paused(Pause::Stopping { resumes: false });
                vec![StoryEffect::Send(cancel)]
            }
            (Choice::Resume, StoryState::Paused(pause)) => match pause {
                Pause::Stopping { .. } => {
                    self.state = StoryState::Paused(Pause::Stopping { resumes: true });
                    Vec::new()
                }
                Pause::Stopped => self.download("download"),
                Pause::Everywhere => self.download("resume"),
            },
            (Choice::Retry, StoryState::Failed(_)) if self.method == "check" => {
                self.state = StoryState::Checking;
                self.ask("check")
            }
            (Choice::Retry, StoryState::Failed(_)) => self.download("download"),
            (Choice::RestartNow, StoryState::Ready) => end(WindowOutcome::Restart(versions())),
            (Choice::AtExit, StoryState::Ready) => end(WindowOutcome::AtExit(versions())),
            (Choice::Close, StoryState::Failed(error)) => end(WindowOutcome::Failed(error.clone())),
            (Choice::Close, StoryState::UpToDate) => end(WindowOutcome::UpToDate),
            (Choice::Close, StoryState::RolledBack(_)) => end(WindowOutcome::Acknowledged),
            // The session cancels its requests when the window ends.
            (Choice::Later | Choice::Cancel | Choice::Close, _) => end(WindowOutcome::Later),
            _ => Vec::new(),
        }
    }

    fn download(&mut self, method: &'static str) -> Vec<StoryEffect> {
        self.state = StoryState::Downloading;
        self.ask(method)
    }

    fn skip(&mut self) -> Vec<StoryEffect> {
        self.skips = self.releases.len();
        let releases = self.releases.clone();
        let skip = |release: &FoundRelease| {
            // A skipped stepping stone would be offered again; its goal is not.
            let version = release.last.as_ref().unwrap_or(&release.to);
            StoryEffect::Send(self.request("skip", json!({ "component": release.component, "version": version })))
        };
        releases.iter().map(skip).collect()
    }

    /// Sends a request whose answer decides the next state.
    fn ask(&mut self, method: &'static str) -> Vec<StoryEffect> {
        let params = match method {
            "check" | "download" if !self.components.is_empty() => json!({ "components": self.components }),
            _ => json!({}),
        };
        let request = self.request(method, params);
        (self.awaited, self.method) = (self.last_id, method);
        vec![StoryEffect::Send(request)]
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        json!({ "id": self.last_id, "method": method, "params": params })
    }
}
