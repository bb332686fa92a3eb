//! The probation: a new version has to confirm that it works, and what it printed before it failed
//! goes into the log.

use super::arguments::Arguments;
use super::log::Log;
use crate::disk::layout::InstallRoot;
use crate::state;
use crate::state::journal::{Journal, State};
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
/// How much of it is quoted in the log, in bytes.
const QUOTED: u64 = 2000;
/// How often the program and the journal are looked at.
const POLL: Duration = Duration::from_millis(100);

/// A fresh file for what the program prints; none where it cannot be had.
pub fn output(root: &InstallRoot) -> Option<File> {
    let file = state::open(root).ok()??.open_or_create(OUTPUT).ok()?;
    file.set_len(0).ok()?;
    Some(file)
}

/// Returns the plan of the swap whose version is on probation.
pub fn on_probation(root: &InstallRoot) -> Option<Sha256> {
    match Journal::peek(&state::open(root).ok()??) {
        Ok(Some((State::Committed, plan))) => Some(plan),
        _ => None,
    }
}

/// Watches the program until it has confirmed the version that the swap with this plan brought, and
/// returns the reason to roll that back.
///
/// A program without the terminal that the one before had may fail for that alone. It counts as a
/// start that was not confirmed.
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
        // After the question whether it has ended: it may have confirmed last.
        if on_probation(root) != Some(plan) {
            log.line(format_args!("the new version was confirmed"));
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
            // A script may have ended before the program that it started.
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

/// Watches the process that has become the new version, and returns the reason to roll back.
///
/// Its exit status goes to the program that waits for it, such as a shell. The reason is therefore
/// only that it never came to `init`; otherwise the starts without a confirmation count.
pub fn watch_process(arguments: &Arguments, plan: Sha256, pid: u32, log: &mut Log) -> Option<RollbackReason> {
    let root = &arguments.root;
    let deadline = Instant::now().checked_add(arguments.probation);
    loop {
        let has_ended = relaunch::wait_for_exit(pid, Some(POLL));
        if on_probation(root) != Some(plan) {
            log.line(format_args!("the new version was confirmed"));
            return None;
        }
        if has_ended {
            let has_started = || Some(Starts::load_or_default(&state::open(root).ok()??).ok()?.unconfirmed(&plan) > 0);
            if has_started().unwrap_or(true) {
                log.line(format_args!("the new version ended and was not confirmed; it has more starts to do so"));
                return None;
            }
            log.line(format_args!("the new version ended before it called `init`"));
            return Some(RollbackReason::NotStarted);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            // It has a user at its terminal.
            log.line(format_args!("the new version did not confirm that it works, and goes on"));
            return None;
        }
    }
}

/// Returns why a program that ended with this status does not work, or `None` for success.
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
        file.seek(SeekFrom::Start(length.saturating_sub(QUOTED))).ok()?;
        let mut bytes = Vec::new();
        file.take(QUOTED).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    for line in read().unwrap_or_default().lines() {
        log.line(format_args!("| {}", line.chars().map(printable).collect::<String>()));
    }
}
