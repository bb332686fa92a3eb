//! What the user sees: progress on a terminal, plain lines otherwise, one JSON object for programs.

mod events;
mod json;

pub use events::Events;

use crate::commands::{Outcome, Status};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use patcher::internal::journal::State;
use patcher::internal::manifest::Language;
use patcher::internal::state::PastUpdate;
use patcher::{Applied, ComponentChange, Damage, Deferred, Error, Previous, Progress, Recovery, Update, Version};
use serde_json::json;
use std::error::Error as _;
use std::io::{self, IsTerminal as _, Write as _};

/// Prints a line. One that cannot be printed is lost, like the disk that its file is on: the work is done, and the exit code
/// tells of it.
macro_rules! println {
    ($($arguments:tt)*) => {{
        let _ = writeln!(io::stdout(), $($arguments)*);
    }};
}

/// How to tell what happened.
pub struct Report {
    json: bool,
    verbose: bool,
}

/// The display of a download under way.
pub struct Display(Option<ProgressBar>);

impl Report {
    /// For programs or for people, with more or with fewer words.
    pub fn new(json: bool, verbose: bool) -> Self {
        Self { json, verbose }
    }

    /// Tells what somebody should know about releases that are taken all the same.
    pub fn warn(&self, updates: &[Update]) {
        let warnings = updates.iter().filter_map(|update| Some((update.component(), update.warning()?)));
        warnings.for_each(|(name, warning)| eprintln!("patcher: warning: {name}: {warning}"));
    }

    /// Begins the display of a download: a bar on a terminal, else a line.
    pub fn download(&self, updates: &[Update]) -> Display {
        if self.json {
            return Display(None);
        }
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(updates.iter().map(Update::download_size).sum());
            let template = "{bar:30} {bytes:>10} of {total_bytes}  {bytes_per_sec:>12}  {eta:>4}  {wide_msg}";
            // The template is a constant of ours; the default style is a display as well.
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            return Display(Some(bar));
        }
        updates.iter().for_each(|update| println!("{}", available(update)));
        Display(None)
    }

    /// How to tell of a watcher's events.
    pub fn events(&self) -> Events {
        Events { json: self.json }
    }

    /// Tells what came of a command.
    pub fn done(&self, outcome: &Outcome) {
        if self.json {
            if let Some(object) = json::outcome(outcome) {
                println!("{object}");
            }
            return;
        }
        match outcome {
            Outcome::Available(check) => {
                for update in &check.updates {
                    println!("{}", available(update));
                    notes(update);
                }
                check.deferred.iter().for_each(left_alone);
                if check.updates.is_empty() && check.deferred.is_empty() {
                    println!("up to date");
                }
            }
            Outcome::Staged(None, held) | Outcome::Applied(None, held) if held.is_empty() => println!("nothing to do"),
            Outcome::Staged(None, held) | Outcome::Applied(None, held) => held.iter().for_each(left_alone),
            Outcome::Staged(Some(staged), held) => {
                held.iter().for_each(left_alone);
                staged
                    .updates()
                    .iter()
                    .for_each(|update| println!("{}: {} is staged", update.component(), update.to()));
                staged.updates().iter().for_each(files_of_the_user);
            }
            Outcome::Applied(Some(applied), held) => {
                held.iter().for_each(left_alone);
                println!("{}", swapped(applied));
            }
            Outcome::Stopped => {}
            Outcome::Paused => println!("paused: nothing is downloaded until `resume`"),
            Outcome::Skipped(name, Some(version)) => println!("{name}: {version} is skipped"),
            Outcome::Skipped(name, None) => println!("{name}: up to date"),
            Outcome::History(updates) => history(updates),
            Outcome::Confirmed(true) => println!("confirmed: the new version stays"),
            Outcome::Confirmed(false) => println!("no version is on probation"),
            Outcome::Scheduled => println!("the helper applies it when the process has ended"),
            Outcome::Verified(components) => components.iter().for_each(|(name, damages)| verified(name, damages)),
            Outcome::Recovered(recovery) => println!("{}", recovered(*recovery)),
            Outcome::Removed(name, kept) => {
                println!("{name}: removed");
                kept.iter().for_each(|path| println!("{name}: {path} was changed and is left"));
            }
            Outcome::Status(status) => self.status(status),
        }
    }

    /// Tells why a command failed: one line, the causes below it when asked for.
    pub fn failed(&self, error: &Error) {
        if self.json {
            let error = json!({ "code": error.code(), "exit": error.exit_code(), "message": error.to_string() });
            println!("{}", json!({ "error": error }));
            return;
        }
        eprintln!("patcher: {error}");
        let mut cause = error.source().filter(|_| self.verbose);
        while let Some(inner) = cause {
            eprintln!("  because: {inner}");
            cause = inner.source();
        }
    }

    fn status(&self, status: &Status) {
        for (name, installed) in &status.components {
            match installed {
                Ok(installed) => {
                    let meta = &installed.manifest.meta;
                    let trusted = if installed.place.is_some() { "" } else { "  not signed by a trusted key" };
                    println!(
                        "{name:<20} {:<16} {:<10} sequence {}{trusted}",
                        meta.version, meta.channel, meta.sequence
                    );
                    if self.verbose {
                        meta.base_urls.iter().for_each(|url| println!("{:<20} {url}", ""));
                    }
                }
                Err(error) => println!("{name:<20} {error}"),
            }
        }
        status.staging.iter().for_each(|(name, version)| println!("{name:<20} {version:<16} staged"));
        for update in &status.active {
            let done: u64 = update.patches.iter().map(|patch| patch.bytes.min(patch.size)).sum();
            let all: u64 = update.patches.iter().map(|patch| patch.size).sum();
            let error = update.error.as_ref().map(|error| format!("  {error}")).unwrap_or_default();
            println!(
                "{:<20} {:<16} {:<12} {} of {}{error}",
                update.component,
                update.version,
                update.state,
                HumanBytes(done),
                HumanBytes(all)
            );
        }
        if let Some(since) = status.paused {
            println!("updates are paused since {since}; `resume` goes on");
        }
        status.set_aside.iter().for_each(|name| println!("a damaged file of the updater was set aside: {name}"));
        if let Some(state) = status.swap {
            println!("{}", swap_state(state));
        }
        for change in status.previous.iter().flat_map(Previous::components) {
            let version = change.to.as_ref().map_or("nothing".to_owned(), Version::to_string);
            println!("{:<20} {version:<16} comes back with `rollback`", change.component);
        }
        if status.components.is_empty() {
            println!("nothing is installed");
        }
    }
}

impl Display {
    /// Shows how far the download has got.
    pub fn show(&self, progress: &Progress) {
        if let Some(bar) = &self.0 {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes_done);
            bar.set_message(progress.path.to_string());
        }
    }

    /// Takes the display away.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The languages that the user prefers, from the environment as programs read it: `LANGUAGE`, else `LC_ALL`, `LC_MESSAGES` or `LANG`.
fn languages() -> Vec<Language> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let value = ["LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| set(name)).unwrap_or_default();
    let tag = |locale: &str| locale.split(['.', '@']).next().unwrap_or_default().replace('_', "-").parse().ok();
    value.split(':').filter_map(tag).collect()
}

/// What is new in an update, in lines.
fn notes(update: &Update) {
    if let Some(way) = update.on_the_way_to() {
        println!("{}: on the way to {way}", update.component());
    }
    let Some(notes) = update.notes(&languages()) else { return };
    notes.lines.iter().for_each(|line| println!("  {line}"));
    notes.href.iter().for_each(|url| println!("  {url}"));
}

fn available(update: &Update) -> String {
    let from = update.from().map_or("not installed".to_owned(), ToString::to_string);
    let (name, to, files, bytes) = (update.component(), update.to(), update.changes(), update.download_size());
    format!("{name}: {from} -> {to}, {files} files change, {bytes} bytes to download")
}

/// A table that fits 80 columns, one line for an update.
fn history(updates: &[PastUpdate]) {
    if updates.is_empty() {
        println!("no updates yet");
        return;
    }
    println!("{:<16} {:<10} {:<18} {:<11} {:>10}  error", "when", "component", "versions", "result", "fetched");
    for past in updates {
        let when =
            [past.rolled_back, past.confirmed, past.installed, past.staged, past.found].into_iter().flatten().next();
        let when = when.map(|when| when.to_string()[..16].replace('T', " ")).unwrap_or_default();
        let versions = format!("{} -> {}", past.from.as_ref().map_or("-".to_owned(), Version::to_string), past.to);
        let error = past.error.as_deref().unwrap_or_default();
        let fetched = HumanBytes(past.bytes).to_string();
        println!(
            "{when:<16} {:<10} {versions:<18} {:<11} {fetched:>10}  {error}",
            past.component.as_str(),
            past.result
        );
    }
}

fn left_alone(held: &Deferred) {
    println!("{}: {} is left alone: {}", held.component, held.version, held.reason);
}

fn files_of_the_user(update: &Update) {
    let name = update.component();
    update.saved().iter().for_each(|(path, kept)| println!("{name}: your {path} is kept as {kept}"));
    update.kept().iter().for_each(|path| println!("{name}: {path} was changed and is left"));
}

fn swapped(applied: &Applied) -> String {
    let version = |version: &Option<Version>| version.as_ref().map_or("not installed".to_owned(), Version::to_string);
    let line = |change: &ComponentChange| {
        format!("{}: {} -> {}", change.component, version(&change.from), version(&change.to))
    };
    let lines = applied.components.iter().map(line);
    lines.collect::<Vec<_>>().join("\n")
}

fn verified(name: &str, damages: &[Damage]) {
    if damages.is_empty() {
        println!("{name}: complete");
    }
    damages.iter().for_each(|damage| println!("{name}: {} {}", damage.kind, damage.path));
}

fn recovered(recovery: Recovery) -> &'static str {
    Option::<&str>::from(recovery).unwrap_or("nothing to recover")
}

fn swap_state(state: State) -> &'static str {
    match state {
        State::Prepared => "a swap is prepared",
        State::Applying => "a swap was interrupted; `recover` undoes it",
        State::Committed => "a new version is on probation; `confirm` keeps it",
        State::Confirmed => "a swap is done but not cleaned up; `recover` does it",
    }
}
