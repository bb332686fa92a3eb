//! The watch over a version on probation: waits for its confirmation, or detects its failure.
//!
//! After a failure, it copies the last lines that the version printed into the log.

use super::arguments::Arguments;
use super::log::Log;
use crate::disk::layout::InstallRoot;
use crate::state;
use crate::state::journal::{Journal, JournalState};
use crate::state::{RollbackReason, Starts, StateFile as _};
use crate::swap::relaunch;
use crate::values::digest::Sha256;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

/// The file of the state folder that holds what the started program prints.
const OUTPUT: &str = "output.log";
/// The most bytes of it that the log quotes.
const QUOTED_BYTES: u64 = 2000;
/// The pause between two looks at the program and the journal.
const POLL: Duration = Duration::from_millis(100);

/// Creates the file for the program's output; returns `None` if that is not possible.
pub fn output(root: &InstallRoot) -> Option<File> {
    let file = state::open(root).ok()??.open_or_create(OUTPUT).ok()?;
    file.set_len(0).ok()?;
    Some(file)
}

/// Returns the plan of the swap whose version is on probation.
pub fn on_probation(root: &InstallRoot) -> Option<Sha256> {
    match Journal::peek(&state::open(root).ok()??) {
        Ok(Some((JournalState::Committed, plan))) => Some(plan),
        _ => None,
    }
}

/// Returns `true` if the version that this swap installed is not on probation any more, or if the
/// journal cannot be read.
fn has_ended(root: &InstallRoot, plan: Sha256, log: &mut Log) -> bool {
    let state_dir = state::open(root).ok().flatten();
    match state_dir.map(|state_dir| Journal::peek(&state_dir)) {
        Some(Ok(Some((JournalState::Committed, found)))) if found == plan => return false,
        Some(Ok(_)) => log.line(format_args!("the new version was confirmed")),
        // The user may have moved the install root.
        _ => log.line(format_args!("the journal cannot be read any more: the new version is not watched")),
    }
    true
}

/// Watches the program until it confirms or fails; returns the reason for a rollback.
///
/// `plan` names the swap that installed the version. A program that lost the terminal of the
/// version before may fail for that reason alone. Such a failure only counts as a start without a
/// confirmation.
pub fn watch(
    arguments: &Arguments,
    plan: Sha256,
    started: &mut relaunch::StartedProgram,
    log: &mut Log,
) -> Option<RollbackReason> {
    let (root, limit) = (&arguments.root, arguments.probation);
    let deadline = Instant::now().checked_add(limit);
    loop {
        let ended = started.child.try_wait().ok()?;
        // Read the journal after the status: the program may confirm just before it ends.
        if has_ended(root, plan, log) {
            return None;
        }
        if let Some(status) = ended {
            let reason = reason(status);
            if let Some(reason) = reason
                && arguments.loses_terminal
            {
                log.line(format_args!("the new version had no terminal, as the one before: {reason}"));
                quote(root, log);
                return None;
            }
            match reason {
                Some(reason) => log.line(format_args!("the new version does not work: {reason}")),
                None => {
                    log.line(format_args!("the new version ended and was not confirmed; it has more starts to do so"))
                }
            }
            // The command may be a script that has ended, while the program that it started runs.
            if reason.is_some()
                && let Err(error) = relaunch::end(started)
            {
                log.error(&error);
            }
            quote(root, log);
            return reason;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            if arguments.loses_terminal {
                log.line(format_args!("the new version has no terminal, and goes on without a confirmation"));
                return None;
            }
            log.line(format_args!(
                "the new version did not confirm that it works for {} s; ending it",
                limit.as_secs()
            ));
            if let Err(error) = relaunch::end(started) {
                log.error(&error);
            }
            quote(root, log);
            return Some(RollbackReason::Silent);
        }
        thread::sleep(POLL);
    }
}

/// Watches the process that has become the new version; returns the reason for a rollback.
///
/// The helper does not learn its exit status, which goes to its parent, such as a shell. The only
/// reason is therefore that it ended before `init`. Otherwise its starts are counted.
pub fn watch_process(arguments: &Arguments, plan: Sha256, pid: u32, log: &mut Log) -> Option<RollbackReason> {
    let root = &arguments.root;
    let deadline = Instant::now().checked_add(arguments.probation);
    loop {
        let is_gone = relaunch::wait_for_exit(pid, Some(POLL));
        if has_ended(root, plan, log) {
            return None;
        }
        if is_gone {
            let has_started = || Some(Starts::load_or_default(&state::open(root).ok()??).ok()?.has_started(&plan));
            if has_started().unwrap_or(true) {
                log.line(format_args!("the new version ended and was not confirmed; it has more starts to do so"));
                return None;
            }
            log.line(format_args!("the new version ended before it called `init`"));
            return Some(RollbackReason::NotStarted);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            // A user at its terminal may still use it.
            log.line(format_args!("the new version did not confirm that it works, and goes on"));
            return None;
        }
    }
}

/// Returns the reason for a rollback after this exit status; `None` for success.
fn reason(status: ExitStatus) -> Option<RollbackReason> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Some(RollbackReason::Killed(signal));
    }
    status.code().filter(|code| *code != 0).map(RollbackReason::Exited)
}

/// Copies the last lines that the program printed into the log.
fn quote(root: &InstallRoot, log: &mut Log) {
    let read = || {
        let mut file = state::open(root).ok()??.open_file(OUTPUT).ok()??;
        let length = file.seek(SeekFrom::End(0)).ok()?;
        file.seek(SeekFrom::Start(length.saturating_sub(QUOTED_BYTES))).ok()?;
        let mut bytes = Vec::new();
        file.take(QUOTED_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    for line in read().unwrap_or_default().lines() {
        log.line(format_args!("| {}", line.chars().map(printable).collect::<String>()));
    }
}
