//! Waiting for a process by its descriptor, sessions, process groups, and `exec`.

use crate::error::{Error, Result};
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::convert::Infallible;
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Waits until a process has ended, or until `patience` is over; returns `true` if it has ended.
///
/// On Linux a descriptor refers to the process itself, even if another process gets the same id.
/// Elsewhere the function looks for the id every 50 ms.
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

/// `true` on systems where a process can become another program.
pub const CAN_REPLACE: bool = true;

/// Makes this process another program. It returns only on an error.
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io).
pub fn replace_process(mut command: Command, path: &Path) -> Result<Infallible> {
    // The new program does not know of texts that wait in this one's memory.
    let _ = std::io::stdout().flush();
    let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for stream in [input.as_fd(), output.as_fd(), errors.as_fd()] {
        keep_stream(stream);
    }
    Err(Error::io("start", path, std::os::unix::process::CommandExt::exec(&mut command)))
}

/// Keeps an input or output for the next program, which expects it to be open and to block.
///
/// Node opens its terminal again with flags that close it at `exec` and keep reads from waiting.
fn keep_stream(stream: BorrowedFd<'_>) {
    // A stream that stays as it is costs the next program at most its terminal.
    let _ = rustix::io::fcntl_setfd(stream, FdFlags::empty());
    let _ = rustix::io::ioctl_fionbio(stream, false);
}

/// Returns `true` if an input or output of a process is a terminal.
///
/// Only Linux tells that for another process. Elsewhere the answer is the one for this process.
pub fn uses_terminal(pid: u32) -> bool {
    if pid != std::process::id() && cfg!(target_os = "linux") {
        let name = |number| std::fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap_or_default();
        return (0..3).map(name).any(|name| name.starts_with("/dev/pts") || name.starts_with("/dev/tty"));
    }
    std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal()
}

/// Returns `true` if this process is the main process of a systemd service.
///
/// When the main process ends, systemd ends all other processes of the service, a helper included.
/// systemd tells the main process its id (systemd.exec(5), since version 248). A child inherits the
/// variable and has another id.
pub fn is_service() -> bool {
    let main = std::env::var("SYSTEMD_EXEC_PID").ok();
    main.and_then(|pid| pid.parse().ok()) == Some(std::process::id())
}

/// Leaves the session of the program that started this one.
///
/// Otherwise this process would end with that program's terminal.
pub fn leave_session() {
    // Fails only for a process that leads a group already, which then has its own session.
    let _ = rustix::process::setsid();
}

/// Does nothing: the standard library opens all files as close-on-exec, and the started program
/// leaves its session itself.
pub fn detach(_command: &mut Command) {}

/// Does nothing and returns `false`: Unix has no jobs as Windows has.
pub fn stay_in_job(_command: &mut Command) -> bool {
    false
}

/// Makes a program the leader of a new process group.
pub fn lead_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

/// The process group of a started program. A process that starts a new session leaves it.
#[derive(Debug)]
pub struct Group(Option<Pid>);

impl Group {
    /// Returns the group that a started program leads.
    pub fn of(child: &Child) -> Self {
        Self(i32::try_from(child.id()).ok().and_then(Pid::from_raw))
    }

    /// Asks every process of the group to end; returns `false` if the group is empty.
    pub fn ask_to_end(&self) -> bool {
        self.0.is_some_and(|group| kill_process_group(group, Signal::TERM).is_ok())
    }

    /// Returns `true` if a process of the group is left.
    pub fn is_alive(&self) -> bool {
        self.0.is_some_and(|group| test_kill_process_group(group).is_ok())
    }

    /// Ends every process of the group.
    pub fn kill(&self) {
        // It fails if no process is left.
        let _ = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}
