//! The commands: each runs one operation of the library and returns its outcome.

use crate::arguments::{PatcherArguments, PatcherCommand};
use crate::integration::{self, IntegrationChanges};
use crate::report::Report;
use crate::session;
use clap::CommandFactory as _;
use clap_complete::Shell;
use patcher::{
    Applied, Caller, CancelToken, Check, Component, Damage, Deferred, Error, Finding, Machine, PastUpdate, Patcher,
    Previous, Recovery, RelPath, Result, Staged, Status, Update, Version, WatchMode, WatchOptions, Watcher,
};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::str::FromStr;

/// The outcome of a command that succeeded.
pub enum CommandOutcome {
    /// `check`: the updates and deferred releases.
    Checked(Check),
    /// `download`, `resume`: the staged updates and the deferred releases.
    Staged(Option<Staged>, Vec<Deferred>),
    /// `install`, `update`, `repair`, `apply`, `rollback`: the changes and the deferred releases.
    Applied(Option<Applied>, Vec<Deferred>),
    /// `apply --wait-pid`: the helper will swap.
    Scheduled,
    /// `confirm`: `true` if a version was on probation.
    Confirmed(bool),
    /// `verify`: the damages of each component.
    Verified(Vec<(String, Vec<Damage>)>),
    /// `watch`, `session`, `completions`, `man`: the command has printed all.
    Printed,
    /// `pause`: downloads are paused.
    Paused,
    /// `adoption`: `true` if the user agrees to be counted.
    AdoptionCount(bool),
    /// `skip`: the component, and the skipped version; `None` if there is no newer one.
    Skipped(String, Option<Version>),
    /// `history`: the past updates.
    History(Vec<PastUpdate>),
    /// `recover`: the result.
    Recovered(Recovery),
    /// `remove`: the component, and the files of the user that stay.
    Removed(String, Vec<RelPath>),
    /// `integrate`: the component, and the files that were written and deleted.
    Integrated(String, IntegrationChanges),
    /// `status`.
    Status(Status),
    /// `doctor`: the findings.
    Examined(Vec<Finding>),
}

/// Runs the command of the arguments.
pub fn run(arguments: &PatcherArguments, report: &Report) -> Result<CommandOutcome> {
    let printed = match &arguments.command {
        PatcherCommand::Session(session) => Some(session::run(arguments, session)),
        PatcherCommand::Completions { shell } => Some(print_completions(*shell)),
        PatcherCommand::Man { dir } => Some(write_man_pages(dir)),
        _ => None,
    };
    if let Some(printed) = printed {
        return printed.map(|()| CommandOutcome::Printed);
    }
    let cancel = CancelToken::default();
    if arguments.command.asks_a_server() {
        cancel_on_signal(&cancel);
    }
    let patcher = Patcher::new(arguments.config()?.cancelled_by(&cancel))?;
    if let PatcherCommand::Integrate(integrate) = &arguments.command {
        let changes = integration::integrate(&patcher, integrate, arguments)?;
        return Ok(CommandOutcome::Integrated(integrate.name.clone(), changes));
    }
    execute(&patcher, &arguments.command, report, &cancel)
}

/// Runs a command with a handle whose calls `cancel` cancels.
pub fn execute(
    patcher: &Patcher,
    command: &PatcherCommand,
    report: &Report,
    cancel: &CancelToken,
) -> Result<CommandOutcome> {
    use PatcherCommand as Command;
    match command {
        Command::Install { name, from, floor: _ } => {
            let line = report.phase("checking");
            let update = patcher.install(name, from)?;
            drop(line);
            report.warning(update.warning());
            apply(download(vec![update], report)?, Vec::new(), report)
        }
        Command::Check { names } => Ok(CommandOutcome::Checked(check(patcher, names, report)?)),
        Command::Download { names } => {
            let (staged, deferred) = check_and_download(patcher, names, report)?;
            Ok(CommandOutcome::Staged(staged, deferred))
        }
        Command::Update { names } => {
            let (staged, deferred) = check_and_download(patcher, names, report)?;
            apply(staged, deferred, report)
        }
        Command::Repair { names } => {
            let repair = |name: String| patcher.repair(&name).transpose();
            let repairs = names_or_all(patcher, names)?.into_iter().filter_map(repair).collect::<Result<Vec<_>>>()?;
            apply(download(repairs, report)?, Vec::new(), report)
        }
        Command::Apply { wait_pid: None, restart: false, .. } => apply(patcher.staged()?, Vec::new(), report),
        Command::Apply { wait_pid, restart, command } => apply_by_helper(patcher, *wait_pid, *restart, command),
        Command::Verify { names } => {
            let verify = |name: String| patcher.verify(&name).map(|damages| (name, damages));
            let verified = names_or_all(patcher, names)?.into_iter().map(verify).collect::<Result<_>>()?;
            Ok(CommandOutcome::Verified(verified))
        }
        Command::Confirm { version } => confirm(patcher, version.as_deref()).map(CommandOutcome::Confirmed),
        Command::Rollback { name } => roll_back(patcher, name.as_deref()),
        Command::Pause => patcher.pause().map(|()| CommandOutcome::Paused),
        Command::Adoption { is_allowed } => {
            patcher.allow_adoption_count(*is_allowed).map(|()| CommandOutcome::AdoptionCount(*is_allowed))
        }
        Command::Resume => {
            patcher.resume()?;
            Ok(CommandOutcome::Staged(download(patcher.unfinished()?, report)?, Vec::new()))
        }
        Command::Skip { name, version } => {
            let version = match version {
                Some(version) => Some(parse_version(version)?),
                None => patcher.check_component(name)?.update().map(|update| update.to().clone()),
            };
            if let Some(version) = &version {
                patcher.skip(name, version)?;
            }
            Ok(CommandOutcome::Skipped(name.clone(), version))
        }
        // `run` carries them out.
        Command::Session(_) | Command::Completions { .. } | Command::Man { .. } | Command::Integrate(_) => {
            Ok(CommandOutcome::Printed)
        }
        Command::Watch { interval, first_within, notify, apply } => {
            let mode = match (notify, apply) {
                (true, _) => WatchMode::Notify,
                (_, true) => WatchMode::Apply,
                _ => WatchMode::Download,
            };
            let options = WatchOptions::default().interval(*interval).first_within(*first_within).mode(mode);
            watch(patcher, options, report, cancel)
        }
        Command::History => patcher.history().map(CommandOutcome::History),
        Command::Recover => patcher.recover().map(CommandOutcome::Recovered),
        Command::Remove { name } => {
            let kept = patcher.remove(name)?;
            // The component is removed even if an entry of the menu stays.
            let _ = patcher.component_folder(name).and_then(|dir| integration::remove(name, &dir));
            Ok(CommandOutcome::Removed(name.clone(), kept))
        }
        Command::Status => patcher.status().map(CommandOutcome::Status),
        Command::Doctor => Ok(CommandOutcome::Examined(patcher.examine())),
    }
}

fn print_completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut PatcherArguments::command(), "patcher", &mut script);
    let failed = |source| Machine::Io { action: "write", path: "standard output".into(), source };
    Ok(io::stdout().write_all(&script).map_err(failed)?)
}

fn write_man_pages(dir: &Path) -> Result<()> {
    let failed = |source| Machine::Io { action: "write the man pages into", path: dir.to_owned(), source };
    Ok(clap_mangen::generate_to(PatcherArguments::command(), dir).map_err(failed)?)
}

/// Cancels downloads on ^C, and wakes a waiting main thread.
fn cancel_on_signal(cancel: &CancelToken) {
    let (cancel, main) = (cancel.clone(), std::thread::current());
    // Without a handler, ^C ends the program at once. Complete files stay staged then, too.
    let _ = ctrlc::set_handler(move || {
        cancel.cancel();
        main.unpark();
    });
}

/// Returns the given names, or those of all installed components.
fn names_or_all(patcher: &Patcher, names: &[String]) -> Result<Vec<String>> {
    if !names.is_empty() {
        return Ok(names.to_vec());
    }
    Ok(patcher.require_components()?.iter().map(Component::to_string).collect())
}

fn check(patcher: &Patcher, names: &[String], report: &Report) -> Result<Check> {
    let line = report.phase("checking");
    let check = patcher.check(&names_or_all(patcher, names)?)?;
    drop(line);
    report.warning(check.warning);
    Ok(check)
}

/// Continues an interrupted download, or else checks and downloads.
fn check_and_download(patcher: &Patcher, names: &[String], report: &Report) -> Result<(Option<Staged>, Vec<Deferred>)> {
    let unfinished = patcher.unfinished()?;
    let is_named = |update: &Update| names.is_empty() || names.iter().any(|name| *update.component() == name.as_str());
    if !unfinished.is_empty() && unfinished.iter().all(is_named) {
        match download(unfinished, report) {
            // The site has a newer release now, and no longer the objects of this one.
            Err(Error::Refused(_)) => {}
            Err(Error::Network(error)) if error.is_absent() => {}
            done => return done.map(|staged| (staged, Vec::new())),
        }
    }
    let check = check(patcher, names, report)?;
    Ok((download(check.updates, report)?, check.deferred))
}

/// Downloads with a progress display.
fn download(updates: Vec<Update>, report: &Report) -> Result<Option<Staged>> {
    if updates.is_empty() {
        return Ok(None);
    }
    let mut display = report.download(&updates);
    let staged = Update::download_all(updates, |progress| display.show(&progress))?;
    display.finish();
    Ok(Some(staged))
}

fn apply(staged: Option<Staged>, deferred: Vec<Deferred>, report: &Report) -> Result<CommandOutcome> {
    let applied = match staged {
        Some(staged) => {
            let _line = report.phase("installing");
            Some(staged.apply()?)
        }
        None => None,
    };
    Ok(CommandOutcome::Applied(applied, deferred))
}

/// Lets the helper swap after process `pid` has ended.
///
/// With `is_restart` the helper then starts `command`, or the program that a staged release names.
fn apply_by_helper(
    patcher: &Patcher,
    pid: Option<u32>,
    is_restart: bool,
    command: &[OsString],
) -> Result<CommandOutcome> {
    let Some(staged) = patcher.staged()? else { return Ok(CommandOutcome::Applied(None, Vec::new())) };
    let command = match (is_restart, command) {
        (false, _) => None,
        (true, []) => Some(vec![launched(&staged)?]),
        (true, command) => Some(command.to_vec()),
    };
    staged.apply_after(pid, command).map(|()| CommandOutcome::Scheduled)
}

/// Returns the program that a staged release names.
fn launched(staged: &Staged) -> Result<OsString> {
    let program = staged.updates().iter().find_map(Update::launch).ok_or_else(|| Caller::BadSetting {
        setting: "restart",
        value: String::new(),
        detail: "the release names no program to launch".to_owned(),
    })?;
    Ok(program.into())
}

/// Confirms, provided that `version` is on probation.
fn confirm(patcher: &Patcher, version: Option<&str>) -> Result<bool> {
    let Some(version) = version.map(parse_version).transpose()? else { return patcher.confirm() };
    let is_it = |previous: &Previous| previous.components().iter().any(|change| change.from.as_ref() == Some(&version));
    if patcher.previous()?.as_ref().is_some_and(is_it) { patcher.confirm() } else { Ok(false) }
}

fn parse_version(text: &str) -> Result<Version> {
    Ok(text.parse().map_err(|error: <Version as FromStr>::Err| Caller::BadSetting {
        setting: "version",
        value: text.to_owned(),
        detail: error.to_string(),
    })?)
}

/// Rolls back, provided that `name` is among the components that return.
fn roll_back(patcher: &Patcher, name: Option<&str>) -> Result<CommandOutcome> {
    let returns =
        |previous: &Previous| name.is_none_or(|name| previous.components().iter().any(|part| part.component == name));
    let previous = patcher.previous()?.filter(returns).ok_or(Caller::NothingToRollBack)?;
    Ok(CommandOutcome::Applied(Some(previous.restore()?), Vec::new()))
}

/// Watches until this process is stopped.
fn watch(patcher: &Patcher, options: WatchOptions, report: &Report, cancel: &CancelToken) -> Result<CommandOutcome> {
    let mut log = report.event_log();
    let watcher = Watcher::start(patcher, options, move |event| log.print(&event))?;
    while !cancel.is_cancelled() {
        std::thread::park();
    }
    watcher.stop();
    Ok(CommandOutcome::Printed)
}
