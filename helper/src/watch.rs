//! The probation: a new version has to confirm that it works, and what it printed before it failed
//! goes into the log.

use crate::log::Log;
use patcher::internal::digest::Sha256;
use patcher::internal::journal::{Journal, State};
use patcher::internal::layout::InstallRoot;
use patcher::internal::state::RollbackReason;
use patcher::{internal::relaunch, internal::state};
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
pub fn watch(
    root: &InstallRoot,
    plan: Sha256,
    started: &mut relaunch::StartedProgram,
    limit: Duration,
    log: &mut Log,
) -> Option<RollbackReason> {
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
