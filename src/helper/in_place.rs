//! The helper in the program's process: it swaps and then becomes the new version.
//!
//! The process id, the terminal, the inputs and the outputs stay the same. A second process watches
//! the new version.

use super::arguments::Arguments;
use super::log::Log;
use super::{complete, finish, roll_back, swap, watch};
use crate::error::{Error, Machine, Result};
use crate::state::RollbackReason;
use crate::swap::{self as swaps, relaunch};
use std::convert::Infallible;
use std::process::Command;

/// Swaps and becomes the program. It returns only if that is not possible.
pub fn run(arguments: &Arguments, log: &mut Log) -> u8 {
    let changed = match arguments.roll_back {
        Some(reason) => roll_back(arguments, reason, log),
        None => swap(arguments, log),
    };
    let error = match run_after(arguments, changed, log) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    log.error(&error);
    eprintln!("patcher-helper: {error}");
    error.exit_code()
}

/// Becomes the program, or the version before if the new one cannot be started.
fn run_after(arguments: &Arguments, changed: Result<()>, log: &mut Log) -> Result<Infallible> {
    let Err(error) = become_program(arguments, changed, log);
    if swaps::on_probation(&arguments.root)?.is_none() {
        return Err(error);
    }
    log.error(&error);
    let returned = roll_back(arguments, RollbackReason::NotStarted, log);
    become_program(arguments, returned, log)
}

/// Becomes the program if its files are complete, whether they are old or new.
fn become_program(arguments: &Arguments, changed: Result<()>, log: &mut Log) -> Result<Infallible> {
    match complete(arguments, changed, log) {
        Err(error @ Error::Machine(Machine::UndoFailed { .. } | Machine::JournalUnreadable { .. })) => {
            return Err(error);
        }
        // The installed version is complete, and the user waits for it.
        Err(error) => log.error(&error),
        Ok(()) => {}
    }
    let Some((program, rest)) = arguments.command.split_first() else {
        return Err(Machine::Unsupported { what: "a helper in place without a command" }.into());
    };
    if let Err(error) = start_watcher(arguments) {
        log.error(&error);
    }
    let mut command = Command::new(program);
    command.args(rest).env_remove(relaunch::IN_PLACE);
    if let Some(dir) = arguments.working_dir.as_deref().filter(|dir| dir.is_dir()) {
        command.current_dir(dir);
    }
    log.line(format_args!("process {} becomes {}", std::process::id(), program.display()));
    relaunch::replace_process(command, program.as_ref())
}

/// Starts the process that watches this one.
fn start_watcher(arguments: &Arguments) -> Result<()> {
    let helper = relaunch::running_program()?;
    let mut command = Command::new(&helper);
    if std::env::args_os().nth(1).is_some_and(|first| first == relaunch::OWN_HELPER) {
        command.arg(relaunch::OWN_HELPER);
    }
    let root = &arguments.root;
    command.arg("--root").arg(&root.dir).arg("--state-dir").arg(&root.state.dir);
    for (name, dir) in &root.elsewhere {
        let mut value = std::ffi::OsString::from(format!("{name}="));
        value.push(dir);
        command.arg("--component").arg(value);
    }
    command.arg("--probation").arg(arguments.probation.as_secs().to_string());
    command.arg("--watch").arg(std::process::id().to_string());
    command.current_dir(&root.state.dir);
    relaunch::start_watcher(command, &helper)
}

/// Completes the records of the swap, and watches the process that has become the new version.
///
/// The first process starts a second one and ends, so that the program gets no child.
pub fn watch(arguments: &Arguments, pid: u32, log: &mut Log) -> u8 {
    const SECOND: &str = "PATCHER_WATCHER";
    if std::env::var_os(SECOND).is_none() {
        let started = relaunch::running_program().and_then(|helper| {
            let mut command = Command::new(&helper);
            command.args(std::env::args_os().skip(1)).env(SECOND, "1");
            relaunch::detached(command, &helper, None)
        });
        return started.map_or(1, |_| 0);
    }
    relaunch::leave_session();
    let plan = watch::on_probation(&arguments.root);
    finish(arguments, log);
    let reason = plan.and_then(|plan| watch::watch_process(arguments, plan, pid, log));
    let Some(reason) = reason else { return 0 };
    let returned = roll_back(arguments, reason, log);
    match complete(arguments, returned, log) {
        Ok(()) => super::ROLLED_BACK,
        Err(error) => {
            log.error(&error);
            error.exit_code()
        }
    }
}
