//! What each verb does.

use crate::arguments::{Arguments, Command};
use crate::report::Report;
use patcher::manifest::Name;
use patcher::{Applied, CancelToken, Damage, Patcher, Recovery, Result, Staged, Update};
use semver::Version;

/// What came of a command.
pub enum Outcome {
    /// What `check` found.
    Available(Vec<Update>),
    /// What `download` staged; none when everything is up to date.
    Staged(Option<Staged>),
    /// What `install`, `update` or `apply` swapped; none when there was nothing to do.
    Applied(Option<Applied>),
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
    /// Whether a swap is prepared, or was interrupted.
    pub swap: Option<patcher::journal::State>,
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
            apply(download(vec![update], report)?)
        }
        Command::Check { names } => Ok(Outcome::Available(check(&patcher, names, report)?)),
        Command::Download { names } => Ok(Outcome::Staged(download(check(&patcher, names, report)?, report)?)),
        Command::Update { names } => apply(download(check(&patcher, names, report)?, report)?),
        Command::Apply { wait_pid: None, command, .. } if command.is_empty() => apply(patcher.staged()?),
        Command::Apply { wait_pid, command, .. } => match patcher.staged()? {
            Some(staged) => {
                let command = (!command.is_empty()).then(|| command.clone());
                staged.apply_after(*wait_pid, command).map(|()| Outcome::Scheduled)
            }
            None => Ok(Outcome::Applied(None)),
        },
        Command::Verify { names } => {
            let verify = |name: String| patcher.verify(&name).map(|damages| (name, damages));
            all_or(&patcher, names)?.into_iter().map(verify).collect::<Result<_>>().map(Outcome::Verified)
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
            Ok(Outcome::Status(Status { components, staging: patcher.staging()?, swap: patcher.pending_swap()? }))
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

fn check(patcher: &Patcher, names: &[String], report: &Report) -> Result<Vec<Update>> {
    let names = all_or(patcher, names)?;
    let updates = patcher.check_components(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    report.warn(&updates);
    Ok(updates)
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

fn apply(staged: Option<Staged>) -> Result<Outcome> {
    Ok(Outcome::Applied(match staged {
        Some(staged) => Some(staged.apply()?),
        None => None,
    }))
}
