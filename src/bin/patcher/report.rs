//! What the user sees: progress on a terminal, plain lines otherwise, one JSON object for programs.

use crate::commands::{Outcome, Status};
use indicatif::{ProgressBar, ProgressStyle};
use patcher::journal::State;
use patcher::{Applied, Damage, Error, Held, Previous, Progress, Recovery, Update, Why};
use serde_json::{Value, json};
use std::error::Error as _;
use std::io::IsTerminal as _;

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

    /// Tells what came of a command.
    pub fn done(&self, outcome: &Outcome) {
        if self.json {
            println!("{}", to_json(outcome));
            return;
        }
        match outcome {
            Outcome::Available(check) => {
                check.updates.iter().for_each(|update| println!("{}", available(update)));
                check.held.iter().for_each(left_alone);
                if check.updates.is_empty() && check.held.is_empty() {
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
        if let Some(state) = status.swap {
            println!("{}", swap_state(state));
        }
        for (name, version) in status.previous.iter().flat_map(Previous::components) {
            println!("{name:<20} {:<16} comes back with `rollback`", version.as_deref().unwrap_or("nothing"));
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

fn available(update: &Update) -> String {
    let from = update.from().map_or("not installed".to_owned(), ToString::to_string);
    let (name, to, files, bytes) = (update.component(), update.to(), update.changes(), update.download_size());
    format!("{name}: {from} -> {to}, {files} files change, {bytes} bytes to download")
}

fn left_alone(held: &Held) {
    println!("{}: {} is left alone: {}", held.component, held.version, held.why);
}

fn files_of_the_user(update: &Update) {
    let name = update.component();
    update.saved().iter().for_each(|(path, kept)| println!("{name}: your {path} is kept as {kept}"));
    update.kept().iter().for_each(|path| println!("{name}: {path} was changed and is left"));
}

fn swapped(applied: &Applied) -> String {
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "not installed".to_owned());
    let lines =
        applied.components.iter().map(|(name, from, to)| format!("{name}: {} -> {}", version(from), version(to)));
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

fn to_json(outcome: &Outcome) -> Value {
    let update = |update: &Update| {
        let saved =
            update.saved().iter().map(|(path, kept)| json!({ "path": path.as_str(), "kept_as": kept.as_str() }));
        json!({
            "component": update.component(),
            "from": update.from().map(ToString::to_string),
            "to": update.to().to_string(),
            "files": update.changes(),
            "bytes": update.download_size(),
            "saved": saved.collect::<Vec<_>>(),
            "left": update.kept().iter().map(|path| path.as_str()).collect::<Vec<_>>(),
        })
    };
    let updates = |list: &[Update]| list.iter().map(update).collect::<Vec<_>>();
    match outcome {
        Outcome::Available(check) => json!({ "updates": updates(&check.updates), "held": held_to_json(&check.held) }),
        Outcome::Staged(staged, held) => {
            let staged = staged.as_ref().map_or(Vec::new(), |staged| updates(staged.updates()));
            json!({ "staged": staged, "held": held_to_json(held) })
        }
        Outcome::Applied(applied, held) => {
            let components = applied.iter().flat_map(|applied| &applied.components);
            let components =
                components.map(|(name, from, to)| json!({ "component": name.as_str(), "from": from, "to": to }));
            json!({ "applied": components.collect::<Vec<_>>(), "held": held_to_json(held) })
        }
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
        Outcome::Status(status) => status_to_json(status),
    }
}

fn held_to_json(held: &[Held]) -> Vec<Value> {
    let why = |why: &Why| match why {
        Why::RolledBack(_) => "rolled-back",
        Why::SwapFailed => "swap-failed",
        _ => "other",
    };
    let one = |held: &Held| {
        let reason = match held.why {
            Why::RolledBack(reason) => Some(reason.word()),
            _ => None,
        };
        json!({
            "component": held.component, "version": held.version.to_string(), "why": why(&held.why), "reason": reason
        })
    };
    held.iter().map(one).collect()
}

fn status_to_json(status: &Status) -> Value {
    let component = |(name, installed): &(patcher::manifest::Name, patcher::Result<patcher::Installed>)| match installed
    {
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
    };
    let staging = |(name, version): &(patcher::manifest::Name, semver::Version)| json!({ "component": name.as_str(), "version": version.to_string() });
    json!({
        "components": status.components.iter().map(component).collect::<Vec<_>>(),
        "staged": status.staging.iter().map(staging).collect::<Vec<_>>(),
        "swap": status.swap.map(|state| match state {
            State::Prepared => "prepared",
            State::Applying => "interrupted",
            State::Committed => "probation",
            State::Confirmed => "confirmed",
        }),
        "previous": status.previous.iter().flat_map(Previous::components)
            .map(|(name, version)| json!({ "component": name, "version": version }))
            .collect::<Vec<_>>(),
    })
}
