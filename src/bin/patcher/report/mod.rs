//! The report to the user: plain lines, a progress line on a terminal, or JSON for programs.

mod events;
mod json;
mod progress;

pub use events::EventLog;
pub use json::{error_object, outcome_object};

use crate::advice::advice;
use crate::arguments::{PatcherArguments, PatcherCommand, ProgressStyle};
use crate::commands::CommandOutcome;
use indicatif::HumanBytes;
use patcher::internal::plain_text::{escaped, escaped_json};
use patcher::internal::progress_line::ProgressLine;
use patcher::{
    Applied, ComponentChange, Damage, Deferred, Error, Finding, InstalledComponent, PastUpdate, SavedFile, Status,
    SwapStatus, TrustWarning, Update, UpdateStatus, Value, Verdict, Version,
};
use progress::{DownloadDisplay, DownloadLine, ProgressLines};
use std::error::Error as _;
use std::io::{self, IsTerminal as _, Write as _};

/// Prints a line of plain text, and ignores a closed output: the command is done, and its exit code
/// tells the result.
macro_rules! say {
    ($($arguments:tt)*) => {{
        let _ = writeln!(io::stdout(), "{}", escaped(&format!($($arguments)*)));
    }};
}

/// Prints a line of plain text to the standard error.
macro_rules! say_error {
    ($($arguments:tt)*) => {{
        let _ = writeln!(io::stderr(), "{}", escaped(&format!($($arguments)*)));
    }};
}

/// The printer of outcomes and errors.
pub struct Report {
    json: bool,
    verbose: bool,
    progress: ProgressStyle,
    /// The request of a session that the report is about.
    request: Option<u64>,
}

/// Prints a JSON object in a line. A closed output is ignored: the exit code tells the result.
pub fn print_json(object: &Value) {
    let _ = writeln!(io::stdout(), "{}", escaped_json(&object.to_string()));
}

impl Report {
    /// Makes the report that the arguments ask for.
    pub fn new(arguments: &PatcherArguments) -> Self {
        let json = arguments.json || matches!(arguments.command, PatcherCommand::Session(_));
        let has_bar = !json && io::stderr().is_terminal();
        let by_default = if has_bar { ProgressStyle::Bar } else { ProgressStyle::None };
        let progress = arguments.progress.unwrap_or(by_default);
        Self { json, verbose: arguments.verbose, progress, request: None }
    }

    /// Makes the report of a request in a session.
    pub fn for_request(id: u64) -> Self {
        Self { json: true, verbose: false, progress: ProgressStyle::Json, request: Some(id) }
    }

    /// Makes the event log of a session's watcher.
    pub fn for_watcher() -> EventLog {
        EventLog { json: true, progress: Some(ProgressLines::default()) }
    }

    /// Prints a warning about releases that the client accepts.
    pub fn warning(&self, warning: Option<TrustWarning>) {
        if let Some(warning) = warning {
            say_error!("patcher: warning: {warning}");
        }
    }

    /// Shows on a terminal that a phase of unknown length has begun, until the line is dropped.
    pub fn phase(&self, name: &'static str) -> ProgressLine {
        if self.progress == ProgressStyle::Bar { ProgressLine::new(name) } else { ProgressLine::hidden() }
    }

    /// Begins the display of a download: a progress line on a terminal, otherwise a line for each
    /// update.
    pub fn download(&self, updates: &[Update]) -> DownloadDisplay {
        match self.progress {
            ProgressStyle::Bar => return DownloadDisplay::Terminal(DownloadLine::new(updates)),
            ProgressStyle::Json => {
                return DownloadDisplay::Lines(
                    self.request.map_or_else(ProgressLines::default, ProgressLines::of_request),
                );
            }
            ProgressStyle::None => {}
        }
        if !self.json {
            updates.iter().for_each(|update| say!("{}", available(update)));
        }
        DownloadDisplay::Silent
    }

    /// Returns the printer of a watcher's events.
    pub fn event_log(&self) -> EventLog {
        let progress = (self.progress == ProgressStyle::Json).then(ProgressLines::default);
        EventLog { json: self.json, progress }
    }

    /// Prints the outcome of a command.
    pub fn outcome(&self, outcome: &CommandOutcome) {
        if self.json {
            outcome_object(outcome).iter().for_each(print_json);
            return;
        }
        match outcome {
            CommandOutcome::Checked(check) => {
                for update in &check.updates {
                    say!("{}", available(update));
                    print_notes(update);
                }
                print_deferred(&check.deferred);
                if check.updates.is_empty() && check.deferred.is_empty() {
                    say!("up to date");
                }
            }
            CommandOutcome::Staged(None, deferred) | CommandOutcome::Applied(None, deferred) if deferred.is_empty() => {
                say!("nothing to do");
            }
            CommandOutcome::Staged(staged, deferred) => {
                print_deferred(deferred);
                let updates = staged.as_ref().map_or(&[][..], |staged| staged.updates());
                updates.iter().for_each(|update| say!("{}: {} is staged", update.component(), update.to()));
                updates.iter().for_each(print_user_files);
            }
            CommandOutcome::Applied(applied, deferred) => {
                print_deferred(deferred);
                applied.iter().for_each(print_changes);
            }
            CommandOutcome::Printed => {}
            CommandOutcome::AdoptionCount(true) => say!("counted once a week, where the publisher counts"),
            CommandOutcome::AdoptionCount(false) => say!("not counted"),
            CommandOutcome::Paused => say!("paused: nothing is downloaded until `resume`"),
            CommandOutcome::Skipped(component, Some(version)) => say!("{component}: {version} is skipped"),
            CommandOutcome::Skipped(component, None) => say!("{component}: up to date"),
            CommandOutcome::History(updates) => print_history(updates),
            CommandOutcome::Confirmed(true) => say!("confirmed: the new version stays"),
            CommandOutcome::Confirmed(false) => say!("no version is on probation"),
            CommandOutcome::Scheduled => say!("the helper applies it when the process has ended"),
            CommandOutcome::Verified(components) => {
                components.iter().for_each(|(component, damages)| print_damages(component, damages));
            }
            CommandOutcome::Recovered(recovery) => {
                say!("{}", Option::<&str>::from(*recovery).unwrap_or("nothing to recover"));
            }
            CommandOutcome::Removed(component, kept) => {
                say!("{component}: removed");
                kept.iter().for_each(|path| say!("{component}: {path} was changed and stays"));
            }
            CommandOutcome::Integrated(component, changes) => {
                changes.written.iter().for_each(|path| say!("{component}: wrote {}", path.display()));
                changes.deleted.iter().for_each(|path| say!("{component}: deleted {}", path.display()));
                if changes.written.is_empty() && changes.deleted.is_empty() {
                    say!("nothing to do");
                }
            }
            CommandOutcome::Status(status) => self.status(status),
            CommandOutcome::Examined(findings) => findings.iter().for_each(print_finding),
        }
    }

    /// Prints an error with a hint, and with its causes if the user asked for details.
    pub fn error(&self, error: &Error) {
        if self.json {
            return print_json(&error_object(error));
        }
        say_error!("patcher: {error}");
        let mut cause = error.source().filter(|_| self.verbose);
        while let Some(inner) = cause {
            say_error!("  because: {inner}");
            cause = inner.source();
        }
        if let Some(hint) = advice(error.code()) {
            say_error!("hint: {hint}");
        }
    }

    fn status(&self, status: &Status) {
        status.components.iter().for_each(|installed| self.component(installed));
        for staged in &status.staged {
            say!("{:<20} {:<16} staged", staged.component, staged.version);
        }
        status.updates.iter().for_each(print_update_status);
        if status.adoption_count {
            say!("you agree to be counted once a week; `adoption off` ends it");
        }
        if let Some(since) = status.paused_since {
            say!("downloads are paused since {since}; `resume` allows them");
        }
        for name in &status.damaged_files {
            say!("a damaged file of the updater was renamed: {name}");
        }
        if let Some(swap) = status.swap {
            say!("{}", swap_words(swap));
        }
        for change in &status.rollback {
            let version = change.to.as_ref().map_or("nothing".to_owned(), Version::to_string);
            say!("{:<20} {version:<16} comes back with `rollback`", change.component);
        }
        match &status.policy {
            Ok(Some(policy)) => {
                say!("the administrator's policy {}", policy.path.display());
                policy.rules.iter().for_each(|rule| say!("  {rule}"));
            }
            Ok(None) => {}
            Err(error) => say!("{error}"),
        }
        if status.components.is_empty() {
            say!("nothing is installed");
        }
    }

    fn component(&self, installed: &InstalledComponent) {
        match &installed.release {
            Ok(release) => {
                let (name, version, channel) = (&installed.component, &release.version, &release.channel);
                let trusted = if release.is_trusted { "" } else { "  not signed by a trusted key" };
                say!("{name:<20} {version:<16} {channel:<10} sequence {}{trusted}", release.sequence);
                if self.verbose {
                    release.base_urls.iter().for_each(|url| say!("{:<20} {url}", ""));
                }
            }
            Err(error) => say!("{:<20} {error}", installed.component),
        }
    }
}

fn available(update: &Update) -> String {
    let from = update.from().map_or("not installed".to_owned(), ToString::to_string);
    let (component, to, files, bytes) = (update.component(), update.to(), update.changes(), update.download_size());
    let files = if files == 1 { "1 file changes".to_owned() } else { format!("{files} files change") };
    format!("{component}: {from} -> {to}, {files}, {bytes} bytes to download")
}

fn print_notes(update: &Update) {
    if let Some(newest) = update.stepping_stone_to() {
        say!("{}: a stepping stone to {newest}", update.component());
    }
    let Some(notes) = update.notes_for_user() else { return };
    notes.lines.iter().for_each(|line| say!("  {line}"));
    notes.href.iter().for_each(|url| say!("  {url}"));
}

fn deferred_line(deferred: &Deferred) -> String {
    format!("{}: {} is deferred: {}", deferred.component, deferred.version, deferred.reason)
}

fn print_deferred(deferred: &[Deferred]) {
    deferred.iter().for_each(|deferred| say!("{}", deferred_line(deferred)));
}

fn print_user_files(update: &Update) {
    let component = update.component();
    print_saved(&update.saved());
    update.kept().iter().for_each(|path| say!("{component}: {path} was changed and stays"));
}

fn print_changes(applied: &Applied) {
    let version = |version: &Option<Version>| version.as_ref().map_or("not installed".to_owned(), Version::to_string);
    for ComponentChange { component, from, to, .. } in &applied.components {
        say!("{component}: {} -> {}", version(from), version(to));
    }
    print_saved(&applied.saved);
}

fn print_saved(saved: &[SavedFile]) {
    for SavedFile { component, path, saved_as } in saved {
        say!("{component}: your {path} is kept as {saved_as}");
    }
}

fn print_damages(component: &str, damages: &[Damage]) {
    if damages.is_empty() {
        say!("{component}: complete");
    }
    damages.iter().for_each(|damage| say!("{component}: {} {}", damage.kind, damage.path));
}

fn print_update_status(update: &UpdateStatus) {
    let error = update.error.as_ref().map(|error| format!("  {error}")).unwrap_or_default();
    let (done, total) = (HumanBytes(update.bytes_done), HumanBytes(update.bytes_total));
    say!("{:<20} {:<16} {:<12} {done} of {total}{error}", update.component, update.to, update.state);
}

/// Prints a table that fits 80 columns, one line for each update.
fn print_history(updates: &[PastUpdate]) {
    if updates.is_empty() {
        say!("no updates yet");
        return;
    }
    say!("{:<16} {:<10} {:<18} {:<11} {:>10}  error", "when", "component", "versions", "result", "fetched");
    for past in updates {
        let times = [past.rolled_back, past.confirmed, past.installed, past.staged, past.found];
        let when = times.into_iter().flatten().next();
        let when = when.map(|when| when.to_string()[..16].replace('T', " ")).unwrap_or_default();
        let from = past.from.as_ref().map_or("-".to_owned(), Version::to_string);
        let versions = format!("{from} -> {}", past.to);
        let error = past.error.as_deref().unwrap_or_default();
        let fetched = HumanBytes(past.bytes).to_string();
        let (component, result) = (past.component.as_str(), past.result);
        say!("{when:<16} {component:<10} {versions:<18} {result:<11} {fetched:>10}  {error}");
    }
}

fn print_finding(finding: &Finding) {
    let (word, text, code) = match &finding.verdict {
        Verdict::Good(text) => ("good", text.clone(), ""),
        Verdict::Notice(text) => ("notice", text.clone(), ""),
        Verdict::Problem(error) => ("PROBLEM", error.to_string(), error.code()),
        _ => return,
    };
    say!("{word:<8} {:<13} {text}", finding.subject);
    if let Some(hint) = advice(code) {
        say!("{:<22} hint: {hint}", "");
    }
}

fn swap_words(swap: SwapStatus) -> &'static str {
    match swap {
        SwapStatus::Prepared => "a swap is prepared",
        SwapStatus::Interrupted => "a swap was interrupted; `recover` undoes it",
        SwapStatus::Probation => "a new version is on probation; `confirm` keeps it",
        SwapStatus::Confirmed => "a swap is done but not cleaned up; `recover` does it",
        _ => "a swap is in progress",
    }
}
