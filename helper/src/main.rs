//! The helper: waits for the program to end, makes its staged update live, and starts it again.
//!
//! What it swaps stands in the journal of the state folder and nowhere else; its arguments only say where that is, whom to
//! wait for, and what to start. It talks to nobody but `helper.log`.
#![forbid(unsafe_code)]

mod arguments;
mod log;

use arguments::Arguments;
use log::Log;
use patcher::error::{Error, Machine, Result};
use patcher::{relaunch, state, swap};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// How long other instances of the program, and other updaters, may keep the helper waiting.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{}", arguments::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(detail) => {
            eprintln!("patcher-helper: {detail}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    relaunch::leave_session();
    let mut log = Log::open(&arguments.root);
    let result = swap(&arguments, &mut log);
    if let Err(error) = &result {
        log.line(format_args!("{} ({})", error, error.code()));
        eprintln!("patcher-helper: {error}");
    }
    if let Err(error) = start(&arguments, &result, &mut log) {
        log.line(format_args!("{} ({})", error, error.code()));
        return ExitCode::from(error.exit_code());
    }
    result.map_or_else(|error| ExitCode::from(error.exit_code()), |()| ExitCode::SUCCESS)
}

/// Waits until nobody uses the program, and swaps.
fn swap(arguments: &Arguments, log: &mut Log) -> Result<()> {
    if let Some(pid) = arguments.wait_pid {
        log.line(format_args!("waiting for process {pid}"));
        relaunch::wait_for_exit(pid, None);
    }
    let root = &arguments.root;
    let Some(state_dir) = state::open(root)? else {
        log.line(format_args!("{} has no state folder: nothing to do", root.dir.display()));
        return Ok(());
    };
    let _nobody = state::nobody_running(&state_dir, PATIENCE)?;
    let lock = state::lock(&state_dir, PATIENCE)?;
    let Some(applied) = swap::apply(root, &lock)? else {
        log.line(format_args!("no swap was prepared"));
        return Ok(());
    };
    for (component, from, to) in applied.components {
        let version = |version: Option<String>| version.unwrap_or_else(|| "not installed".to_owned());
        log.line(format_args!("{component}: {} -> {}", version(from), version(to)));
    }
    Ok(())
}

/// Starts the program again, unless it runs already or is not complete.
fn start(arguments: &Arguments, swapped: &Result<()>, log: &mut Log) -> Result<()> {
    let Some((program, rest)) = arguments.command.split_first() else { return Ok(()) };
    match swapped {
        Err(Error::Busy { .. }) => return Ok(()),
        Err(Error::Machine(Machine::UndoFailed { .. } | Machine::JournalUnreadable { .. })) => {
            log.line(format_args!("the program is not complete and is not started"));
            return Ok(());
        }
        _ => {}
    }
    let mut command = Command::new(program);
    command.args(rest);
    let dir = arguments.working_dir.as_deref().filter(|dir| dir.is_dir()).unwrap_or(&arguments.root.dir);
    command.current_dir(dir);
    let child = relaunch::detached(command, program.as_ref())?;
    log.line(format_args!("started {} as process {}", program.display(), child.id()));
    Ok(())
}
