//! Waiting for a process by its descriptor, and sessions.

use std::process::Command;
use std::time::{Duration, Instant};

/// Waits until a process has ended, or until `patience` is over; tells whether it has ended.
///
/// Linux holds on to the process itself, so that another one with the same number is not taken for
/// it; elsewhere the number is asked for again and again.
pub fn wait_for_exit(pid: u32, patience: Option<Duration>) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return true };
    let deadline = patience.map(|patience| Instant::now() + patience);
    #[cfg(target_os = "linux")]
    if let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| rustix::event::Timespec::try_from(left).ok());
            let mut ended = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
            match rustix::event::poll(&mut ended, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(count) => return count > 0,
                Err(_) => break,
            }
        }
    }
    while rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH) {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Leaves the session of the program that started this one, so that it does not end with that one's
/// terminal.
pub fn leave_session() {
    // Fails only for a process that leads a group already, which then has a session of its own.
    let _ = rustix::process::setsid();
}

/// Nothing: what is not to be handed down is closed by the system, and the started program leaves
/// its session itself.
pub fn detach(_command: &mut Command) {}

/// Asks a process to end, and tells whether that could be done.
pub fn ask_to_end(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok())
}
