//! The helper: waits for the program to end, makes its staged update live, and starts the program
//! again.
//!
//! Then it watches the new version until that confirms that it works, or rolls it back. The journal
//! in the state folder says what to swap. The arguments only name the state folder, the process to
//! wait for, and the command to start. The helper takes the updater's lock before it looks for
//! running instances, and holds it only for work on the disk. In the end a complete version runs.
//! `helper.log` records each step.

mod arguments;
mod in_place;
mod log;
mod watch;

use crate::error::{Error, Machine, Result};
use crate::state;
use crate::state::RollbackReason;
#[cfg(feature = "client")]
use crate::swap::relaunch::HelperProgram;
use crate::swap::{self, Applied, ComponentChange, relaunch};
use crate::swap::{Ready, Recovery};
use arguments::{Arguments, HelperRequest};
use log::Log;
use semver::Version;
use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

/// The time that the helper waits for other instances and other updaters while a user waits for the
/// program, unless an argument sets another time.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time that the helper waits if it will start no program, so that no user waits.
const LONG_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// The time that the helper waits for another updater before it prepares the swap. That is usually
/// the program that has started the helper.
const A_MOMENT: Duration = Duration::from_secs(2);
/// The pauses before each attempt to complete a program that a failed swap has left between the
/// versions.
const RECOVERY_PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];
/// The exit code of a helper that had to return to the old version.
const ROLLED_BACK: u8 = 25;

/// Runs the helper with these arguments, its own name left out, and returns its exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::parse(arguments) {
        Ok(HelperRequest::Run(arguments)) => arguments,
        Ok(HelperRequest::Print(text)) => {
            println!("{text}");
            return 0;
        }
        Err(detail) => {
            eprintln!("patcher-helper: {detail}\n{}", arguments::USAGE);
            return 2;
        }
    };
    let mut log = Log::open(&arguments.root);
    if is_in_place() {
        return in_place::run(&arguments, &mut log);
    }
    if let Some(pid) = arguments.watch {
        return in_place::watch(&arguments, pid, &mut log);
    }
    relaunch::leave_session();
    match run(&arguments, &mut log) {
        Ok(None) => 0,
        Ok(Some(_)) => ROLLED_BACK,
        Err(error) => {
            eprintln!("patcher-helper: {error}");
            error.exit_code()
        }
    }
}

/// Runs as the helper and ends this process, if the program is its own helper and was started as
/// one.
#[cfg(feature = "client")]
pub fn run_if_asked(helper: &HelperProgram) {
    let mut arguments = std::env::args_os().skip(1);
    if *helper == HelperProgram::ThisProgram && arguments.next().is_some_and(|first| first == relaunch::OWN_HELPER) {
        std::process::exit(main(arguments).into());
    }
}

/// Returns `true` if the helper has replaced the program's process.
fn is_in_place() -> bool {
    let replaced = std::env::var(relaunch::IN_PLACE).ok().and_then(|pid| pid.parse().ok());
    replaced == Some(std::process::id())
}

/// Swaps, starts the program, and rolls back if the new version does not work.
///
/// Returns the reason for a rollback.
fn run(arguments: &Arguments, log: &mut Log) -> Result<Option<RollbackReason>> {
    let changed = match arguments.roll_back {
        Some(reason) => roll_back(arguments, reason, log),
        None => swap(arguments, log),
    };
    let changed = complete(arguments, changed, log);
    if let Err(error) = &changed {
        log.error(error);
    }
    // Read before the start: the program may confirm at once.
    let plan = watch::on_probation(&arguments.root);
    let started = start(arguments, &changed, log);
    // This comes after the start, so that the user does not wait for it.
    finish(arguments, log);
    let failure = match started {
        Ok(None) => None,
        Ok(Some(mut started)) => plan.and_then(|plan| watch::watch(arguments, plan, &mut started, log)),
        Err(error) => {
            log.error(&error);
            if swap::on_probation(&arguments.root)?.is_none() {
                return Err(error);
            }
            Some(RollbackReason::NotStarted)
        }
    };
    let Some(reason) = failure else { return changed.map(|()| None) };
    let returned = roll_back(arguments, reason, log);
    let returned = match complete(arguments, returned, log) {
        // The rollback was interrupted, and `complete` has finished it.
        Err(Error::Machine(Machine::SwapUndone { .. })) => Ok(()),
        returned => returned,
    };
    if let Err(error) = &returned {
        log.error(error);
    }
    // The old version has worked before, so the helper does not watch it.
    start(arguments, &returned, log).inspect_err(|error| log.error(error))?;
    returned.map(|()| Some(reason))
}

/// Completes the records of the swap and cleans up, which can wait until the program runs again.
///
/// If another updater holds the lock, the next updater does this.
fn finish(arguments: &Arguments, log: &mut Log) {
    let Ok(Some(state_dir)) = state::open(&arguments.root) else { return };
    let Ok(lock) = state::lock_updater(&state_dir, Duration::ZERO) else { return };
    for saved in swap::finish(&arguments.root, &lock) {
        log.line(format_args!("{}: your {} is kept as {}", saved.component, saved.path, saved.saved_as));
    }
}

/// Waits until no instance of the program runs, and swaps.
fn swap(arguments: &Arguments, log: &mut Log) -> Result<()> {
    let ready = make_ready(arguments);
    wait(arguments, log);
    alone(arguments, log, |lock, log| {
        match swap::make_live(&arguments.root, lock, ready)? {
            Some(applied) => log_changes(&applied, log),
            None => log.line(format_args!("no swap was prepared")),
        }
        Ok(())
    })
}

/// Waits until no instance of the program runs, and restores the version before the one on
/// probation.
fn roll_back(arguments: &Arguments, reason: RollbackReason, log: &mut Log) -> Result<()> {
    wait(arguments, log);
    alone(arguments, log, |lock, log| {
        match swap::roll_back(&arguments.root, lock, reason)? {
            Some(applied) => {
                log.line(format_args!("rolled back: {reason}"));
                log_changes(&applied, log);
            }
            None => log.line(format_args!("no version is on probation")),
        }
        Ok(())
    })
}

/// Backs up and checks while the program still runs.
///
/// Returns `None` if that is not possible now: the swap then does it after the program's end.
fn make_ready(arguments: &Arguments) -> Option<Ready> {
    if relaunch::wait_for_exit(arguments.wait_pid?, Some(Duration::ZERO)) {
        return None;
    }
    let state_dir = state::open(&arguments.root).ok()??;
    let lock = state::lock_updater(&state_dir, A_MOMENT).ok()?;
    swap::make_ready(&arguments.root, &lock).ok()?
}

fn wait(arguments: &Arguments, log: &mut Log) {
    if let Some(pid) = arguments.wait_pid {
        log.line(format_args!("waiting for process {pid}"));
        relaunch::wait_for_exit(pid, None);
    }
}

/// Runs `action` with the updater's lock, while no instance of the program runs.
fn alone(
    arguments: &Arguments,
    log: &mut Log,
    action: impl FnOnce(&crate::disk::fs::Lock, &mut Log) -> Result<()>,
) -> Result<()> {
    let root = &arguments.root;
    let Some(state_dir) = state::open(root)? else {
        log.line(format_args!("{} has no state folder: nothing to do", root.dir.display()));
        return Ok(());
    };
    state::check_entries(&state_dir)?;
    let usual = match () {
        // A user waits at the terminal.
        () if is_in_place() => A_MOMENT,
        () if arguments.command.is_empty() => LONG_PATIENCE,
        () => PATIENCE,
    };
    let deadline = Instant::now() + arguments.patience.unwrap_or(usual);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Every updater takes the locks in this order. An instance may run for hours, so the lock
        // on the root is released meanwhile.
        let lock = state::lock_updater(&state_dir, left)?;
        match state::lock_not_running(&state_dir, Duration::ZERO) {
            Ok(_not_running) => return action(&lock, log),
            Err(Error::Busy { .. }) if !left.is_zero() => {}
            Err(error) => return Err(error),
        }
        drop(lock);
        drop(state::lock_not_running(&state_dir, left)?);
    }
}

/// Recovers a component that a failed swap or rollback has left between two versions.
///
/// It tries again after pauses, because the cause may end, such as a full disk.
fn complete(arguments: &Arguments, changed: Result<()>, log: &mut Log) -> Result<()> {
    let Err(Error::Machine(Machine::UndoFailed { cause })) = changed else { return changed };
    log.line(format_args!("the program is not complete: {cause}"));
    for pause in RECOVERY_PAUSES {
        std::thread::sleep(pause);
        let mut found = None;
        let recovered = alone(arguments, log, |lock, _| {
            found = Some(swap::recover(&arguments.root, lock)?);
            Ok(())
        });
        match recovered {
            Ok(()) if matches!(found, Some(Recovery::Completed | Recovery::Finished)) => return Ok(()),
            Ok(()) => return Err(Machine::SwapUndone { cause }.into()),
            Err(error) => log.error(&error),
        }
    }
    Err(Machine::UndoFailed { cause }.into())
}

fn log_changes(applied: &Applied, log: &mut Log) {
    for ComponentChange { component, from, to, .. } in &applied.components {
        let version =
            |version: &Option<Version>| version.as_ref().map_or("not installed".to_owned(), Version::to_string);
        log.line(format_args!("{component}: {} -> {}", version(from), version(to)));
    }
    for saved in &applied.saved {
        log.line(format_args!("{}: your {} is kept as {}", saved.component, saved.path, saved.saved_as));
    }
}

/// Starts the program again, unless no command is given, it already runs, or it is not complete.
fn start(arguments: &Arguments, changed: &Result<()>, log: &mut Log) -> Result<Option<relaunch::StartedProgram>> {
    let Some((program, rest)) = arguments.command.split_first() else { return Ok(None) };
    match changed {
        Err(Error::Busy { what, .. }) if *what == state::PROGRAM => {
            log.line(format_args!("another instance of the program runs: none is started"));
            return Ok(None);
        }
        Err(Error::Machine(Machine::UndoFailed { .. } | Machine::JournalUnreadable { .. })) => {
            log.line(format_args!("the program is not complete and is not started"));
            return Ok(None);
        }
        _ => {}
    }
    let mut command = Command::new(program);
    command.args(rest);
    let dir = arguments.working_dir.as_deref().filter(|dir| dir.is_dir()).unwrap_or(&arguments.root.dir);
    command.current_dir(dir);
    let started = relaunch::start_group(command, program.as_ref(), watch::output(&arguments.root))?;
    log.line(format_args!("started {} as process {}", program.display(), started.child.id()));
    Ok(Some(started))
}
