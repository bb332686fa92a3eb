//! What each verb does.

use crate::arguments::{Arguments, Command};
use crate::report::Report;
use patcher::error::Caller;
use patcher::manifest::Name;
use patcher::{Applied, CancelToken, Check, Damage, Held, Patcher, Previous, Recovery, Result, Staged, Update};
use semver::Version;

/// What came of a command.
pub enum Outcome {
    /// What `check` found.
    Available(Check),
    /// What `download` staged, and what was left alone.
    Staged(Option<Staged>, Vec<Held>),
    /// What `install`, `update`, `apply` or `rollback` swapped, and what was left alone.
    Applied(Option<Applied>, Vec<Held>),
    /// Whether `confirm` ended a probation.
    Confirmed(bool),
    /// The helper will swap.
    Scheduled,
    /// What `verify` found, by component.
    Verified(Vec<(String, Vec<Damage>)>),
    /// What `recover` did.
    Recovered(Recovery),
    /// What `remove` left, as the user's.
    Removed(String, Vec<patcher::rel_path::RelPath>),
    /// What `status` tells.
    Status(Status),
}

/// What is installed, staged and under way.
pub struct Status {
    /// Every component with its manifest, or why that cannot be read.
    pub components: Vec<(Name, Result<patcher::Installed>)>,
    /// What is being staged, complete or not.
    pub staging: Vec<(Name, Version)>,
    /// Whether a swap is prepared, was interrupted, or is on probation.
    pub swap: Option<patcher::journal::State>,
    /// What a rollback would return to.
    pub previous: Option<Previous>,
}

/// Runs the command that the arguments name.
pub fn run(arguments: &Arguments, report: &Report) -> Result<Outcome> {
    let cancel = CancelToken::default();
    if arguments.command.asks_a_server() {
        let stop = cancel.clone();
        // Without a handler, ^C ends the program at once: what is complete stays staged then, too.
        let _ = ctrlc::set_handler(move || stop.cancel());
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
            let Check { updates, held, .. } = check(&patcher, names, report)?;
            Ok(Outcome::Staged(download(updates, report)?, held))
        }
        Command::Update { names } => {
            let Check { updates, held, .. } = check(&patcher, names, report)?;
            apply(download(updates, report)?, held)
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
                Some(name) => previous.components().iter().any(|(component, _)| component == name),
                None => true,
            };
            let previous = patcher.previous()?.filter(returns).ok_or(Caller::NothingToRollBack)?;
            Ok(Outcome::Applied(Some(previous.restore()?), Vec::new()))
        }
        Command::Recover => patcher.recover().map(Outcome::Recovered),
        Command::Remove { name } => patcher.remove(name).map(|kept| Outcome::Removed(name.clone(), kept)),
        Command::Status => {
            let components = patcher.components()?.into_iter();
            let installed = |name: Name| match patcher.installed(&name) {
                Ok(installed) => installed.map(|installed| (name, Ok(installed))),
                Err(error) => Some((name, Err(error))),
            };
            let components = components.filter_map(installed).collect();
            let (staging, swap) = (patcher.staging()?, patcher.pending_swap()?);
            Ok(Outcome::Status(Status { components, staging, swap, previous: patcher.previous()? }))
        }
    }
}

/// The named components, or all of them.
fn all_or(patcher: &Patcher, names: &[String]) -> Result<Vec<String>> {
    if !names.is_empty() {
        return Ok(names.to_vec());
    }
    Ok(patcher.components()?.iter().map(Name::to_string).collect())
}

fn check(patcher: &Patcher, names: &[String], report: &Report) -> Result<Check> {
    let names = all_or(patcher, names)?;
    let check = patcher.check(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    report.warn(&check.updates);
    Ok(check)
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

fn apply(staged: Option<Staged>, held: Vec<Held>) -> Result<Outcome> {
    let applied = match staged {
        Some(staged) => Some(staged.apply()?),
        None => None,
    };
    Ok(Outcome::Applied(applied, held))
}
