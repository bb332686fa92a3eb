//! What each verb does.

use crate::arguments::{Arguments, Command};
use crate::report::Report;
use patcher::internal::error::{Caller, Network};
use patcher::internal::state::{ActiveUpdate, PastUpdate};
use patcher::internal::timestamp::Timestamp;
use patcher::{
    Applied, CancelToken, Check, Damage, Deferred, Error, Patcher, Previous, Recovery, Result, Staged, Update,
};
use patcher::{Component, WatchMode, WatchOptions, Watcher};
use semver::Version;

/// What came of a command.
pub enum Outcome {
    /// What `check` found.
    Available(Check),
    /// What `download` staged, and what was left alone.
    Staged(Option<Staged>, Vec<Deferred>),
    /// What `install`, `update`, `apply` or `rollback` swapped, and what was left alone.
    Applied(Option<Applied>, Vec<Deferred>),
    /// Whether `confirm` ended a probation.
    Confirmed(bool),
    /// The helper will swap.
    Scheduled,
    /// What `verify` found, by component.
    Verified(Vec<(String, Vec<Damage>)>),
    /// `watch` was told to end.
    Stopped,
    /// `pause` has stopped downloads.
    Paused,
    /// The version of a component that `skip` leaves out; none when none is offered.
    Skipped(String, Option<Version>),
    /// What `history` tells.
    History(Vec<PastUpdate>),
    /// What `recover` did.
    Recovered(Recovery),
    /// What `remove` left, as the user's.
    Removed(String, Vec<patcher::internal::rel_path::RelPath>),
    /// What `status` tells.
    Status(Status),
}

/// What is installed, staged and under way.
pub struct Status {
    /// Every component with its manifest, or why that cannot be read.
    pub components: Vec<(Component, Result<patcher::Installed>)>,
    /// What is being staged, complete or not.
    pub staging: Vec<(Component, Version)>,
    /// Whether a swap is prepared, was interrupted, or is on probation.
    pub swap: Option<patcher::internal::journal::State>,
    /// What a rollback would return to.
    pub previous: Option<Previous>,
    /// Updates under way.
    pub active: Vec<ActiveUpdate>,
    /// Since when the user has stopped downloads.
    pub paused: Option<Timestamp>,
    /// Files of the updater that were damaged and set aside.
    pub set_aside: Vec<String>,
}

/// Runs the command that the arguments name.
pub fn run(arguments: &Arguments, report: &Report) -> Result<Outcome> {
    let cancel = CancelToken::default();
    if arguments.command.asks_a_server() {
        let (stop, main) = (cancel.clone(), std::thread::current());
        // Without a handler, ^C ends the program at once: what is complete stays staged then, too.
        let _ = ctrlc::set_handler(move || {
            stop.cancel();
            main.unpark();
        });
    }
    let patcher = Patcher::new(arguments.config()?.cancelled_by(&cancel))?;
    match &arguments.command {
        Command::Install { name, from } => {
            let update = patcher.install(name, from)?;
            report.warn(std::slice::from_ref(&update));
            apply(download(vec![update], report)?, Vec::new())
        }
        Command::Check { names } => Ok(Outcome::Available(check(&patcher, names, report)?)),
        Command::Download { names } => {
            fetch(&patcher, names, report).map(|(staged, held)| Outcome::Staged(staged, held))
        }
        Command::Update { names } => fetch(&patcher, names, report).and_then(|(staged, held)| apply(staged, held)),
        Command::Repair { names } => {
            let repair = |name: String| patcher.repair(&name).transpose();
            let repairs = all_or(&patcher, names)?.into_iter().filter_map(repair).collect::<Result<Vec<_>>>()?;
            apply(download(repairs, report)?, Vec::new())
        }
        Command::Apply { wait_pid: None, command, .. } if command.is_empty() => apply(patcher.staged()?, Vec::new()),
        Command::Apply { wait_pid, command, .. } => match patcher.staged()? {
            Some(staged) => {
                let command = (!command.is_empty()).then(|| command.clone());
                staged.apply_after(*wait_pid, command).map(|()| Outcome::Scheduled)
            }
            None => Ok(Outcome::Applied(None, Vec::new())),
        },
        Command::Verify { names } => {
            let verify = |name: String| patcher.verify(&name).map(|damages| (name, damages));
            all_or(&patcher, names)?.into_iter().map(verify).collect::<Result<_>>().map(Outcome::Verified)
        }
        Command::Confirm => patcher.confirm().map(Outcome::Confirmed),
        Command::Rollback { name } => {
            let returns = |previous: &Previous| match name {
                Some(name) => previous.components().iter().any(|change| change.component == name.as_str()),
                None => true,
            };
            let previous = patcher.previous()?.filter(returns).ok_or(Caller::NothingToRollBack)?;
            Ok(Outcome::Applied(Some(previous.restore()?), Vec::new()))
        }
        Command::Pause => patcher.pause().map(|()| Outcome::Paused),
        Command::Resume => {
            patcher.resume()?;
            Ok(Outcome::Staged(download(patcher.unfinished()?, report)?, Vec::new()))
        }
        Command::Skip { name } => {
            let offered = patcher.check_component(name)?.map(|update| update.to().clone());
            if let Some(version) = &offered {
                patcher.skip(name, version)?;
            }
            Ok(Outcome::Skipped(name.clone(), offered))
        }
        Command::Watch { interval, first_within, notify, apply } => {
            let mode = match (notify, apply) {
                (true, _) => WatchMode::Notify,
                (_, true) => WatchMode::Apply,
                _ => WatchMode::Download,
            };
            let options = WatchOptions::default().interval(*interval).first_within(*first_within).mode(mode);
            let log = report.events();
            let watcher = Watcher::start(&patcher, options, move |event| log.tell(&event))?;
            // Whoever wants to end it tells this process to; a handler that cannot be set ends it at once.
            while !cancel.is_cancelled() {
                std::thread::park();
            }
            watcher.stop();
            Ok(Outcome::Stopped)
        }
        Command::History => patcher.history().map(Outcome::History),
        Command::Recover => patcher.recover().map(Outcome::Recovered),
        Command::Remove { name } => patcher.remove(name).map(|kept| Outcome::Removed(name.clone(), kept)),
        Command::Status => {
            let components = patcher.components()?.into_iter();
            let installed = |name: Component| match patcher.installed(&name) {
                Ok(installed) => installed.map(|installed| (name, Ok(installed))),
                Err(error) => Some((name, Err(error))),
            };
            let components = components.filter_map(installed).collect();
            let (staging, swap) = (patcher.staging()?, patcher.pending_swap()?);
            let (previous, active) = (patcher.previous()?, patcher.active()?);
            let (paused, set_aside) = (patcher.paused()?, patcher.set_aside()?);
            Ok(Outcome::Status(Status { components, staging, active, swap, previous, paused, set_aside }))
        }
    }
}

/// The named components, or all of them.
fn all_or(patcher: &Patcher, names: &[String]) -> Result<Vec<String>> {
    if !names.is_empty() {
        return Ok(names.to_vec());
    }
    Ok(patcher.components()?.iter().map(Component::to_string).collect())
}

fn check(patcher: &Patcher, names: &[String], report: &Report) -> Result<Check> {
    let names = all_or(patcher, names)?;
    let check = patcher.check(&names)?;
    report.warn(&check.updates);
    Ok(check)
}

/// Goes on with what was begun, without asking for anything again; else checks and downloads what is new.
fn fetch(patcher: &Patcher, names: &[String], report: &Report) -> Result<(Option<Staged>, Vec<Deferred>)> {
    let unfinished = patcher.unfinished()?;
    let is_meant = |update: &Update| names.is_empty() || names.iter().any(|name| *update.component() == name.as_str());
    if !unfinished.is_empty() && unfinished.iter().all(is_meant) {
        match download(unfinished, report) {
            // The site has moved on.
            Err(Error::Refused(_) | Error::Network(Network::Status { status: 404 | 410, .. })) => {}
            done => return done.map(|staged| (staged, Vec::new())),
        }
    }
    let Check { updates, deferred, .. } = check(patcher, names, report)?;
    Ok((download(updates, report)?, deferred))
}

/// Downloads with a progress display, until the user stops it.
fn download(updates: Vec<Update>, report: &Report) -> Result<Option<Staged>> {
    if updates.is_empty() {
        return Ok(None);
    }
    let display = report.download(&updates);
    let staged = Update::download_all(updates, |progress| display.show(&progress));
    display.end();
    staged.map(Some)
}

fn apply(staged: Option<Staged>, held: Vec<Deferred>) -> Result<Outcome> {
    let applied = match staged {
        Some(staged) => Some(staged.apply()?),
        None => None,
    };
    Ok(Outcome::Applied(applied, held))
}
