//! Waiting for a process by its handle, and starting one that shares nothing with this one.

#![expect(unsafe_code, reason = "calls into the system; each says why it is sound")]

use crate::error::{Machine, Result};
use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::os::windows::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{
    ERROR_INVALID_PARAMETER, GetLastError, HANDLE_FLAG_INHERIT, SetHandleInformation, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE};
use windows_sys::Win32::System::JobObjects::{AssignProcessToJobObject, CreateJobObjectW, TerminateJobObject};
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, DETACHED_PROCESS, OpenProcess, PROCESS_SYNCHRONIZE,
    WaitForSingleObject,
};

/// The flags of a program without a console, in a new process group.
const ALONE: u32 = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
/// An environment variable that tells that a program could not leave its starter's job.
const IN_JOB: &str = "PATCHER_IN_JOB";

/// How often a process is looked for that may not be opened.
const POLL: Duration = Duration::from_millis(50);
/// The longest single wait, in milliseconds: the largest number stands for "for ever".
const LONGEST: u32 = u32::MAX - 1;

/// Waits until a process has ended, or until `patience` is over; tells whether it has ended.
///
/// Holds on to the process itself, so that another one with the same number is not taken for it.
/// One of another user, which may not be held, is looked for by its number again and again.
pub fn wait_for_exit(pid: u32, patience: Option<Duration>) -> bool {
    let deadline = patience.map(|patience| Instant::now() + patience);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // SAFETY: plain numbers.
        let handle = unsafe { OpenProcess(PROCESS_SYNCHRONIZE, 0, pid) };
        if !handle.is_null() {
            // SAFETY: it was opened above, and is closed here only.
            let process = unsafe { OwnedHandle::from_raw_handle(handle) };
            let wait = left.map_or(LONGEST, |left| u32::try_from(left.as_millis()).unwrap_or(LONGEST));
            // SAFETY: the handle is open.
            if unsafe { WaitForSingleObject(process.as_raw_handle(), wait) } == WAIT_OBJECT_0 {
                return true;
            }
        // SAFETY: always is.
        } else if unsafe { GetLastError() } == ERROR_INVALID_PARAMETER {
            return true;
        }
        if left.is_some_and(|left| left.is_zero()) {
            return false;
        }
        std::thread::sleep(POLL.min(left.unwrap_or(POLL)));
    }
}

/// Tells whether a process can become another program.
pub const CAN_REPLACE: bool = false;

/// Fails: a process cannot become another program on Windows.
///
/// # Errors
/// [`Machine::Unsupported`].
pub fn replace_process(_command: Command, _path: &Path) -> Result<Infallible> {
    Err(Machine::Unsupported { what: "replacing a process" }.into())
}

/// Tells whether an input or output of this process is a console, which stands for that of `_pid`.
pub fn uses_terminal(_pid: u32) -> bool {
    std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal()
}

/// Returns `false`: the service manager does not end the processes that a service has started.
pub fn is_service() -> bool {
    false
}

/// Nothing: a program that is started with [`detach`] has no console to lose, and there are no
/// sessions to leave.
pub fn leave_session() {}

/// Starts a program without a console, in a new process group, and with none of this one's inputs
/// and outputs: a pipe that somebody reads from this program must not stay open for as long as that
/// one runs.
pub fn detach(command: &mut Command) {
    // A service's job, or a terminal's, may end with it: the helper must outlive it.
    command.creation_flags(ALONE | CREATE_BREAKAWAY_FROM_JOB);
    for kind in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        // SAFETY: the standard handles may be asked for at any time; one that is missing or closed
        // is refused, which does no harm: then there is nothing to hand down.
        unsafe { SetHandleInformation(GetStdHandle(kind), HANDLE_FLAG_INHERIT, 0) };
    }
}

/// Lets a program that could not leave the job of this process stay in it; returns `false` the
/// second time.
pub fn stay_in_job(command: &mut Command) -> bool {
    // The standard library does not tell the flags that were set.
    let is_first = command.get_envs().all(|(name, _)| name != IN_JOB);
    command.creation_flags(ALONE).env(IN_JOB, "1");
    is_first
}

/// Nothing: a started program is put into its group when it runs.
pub fn lead_group(_command: &mut Command) {}

/// The job of a started program, in which are all processes that it starts.
#[derive(Debug)]
pub struct Group(Option<OwnedHandle>);

impl Group {
    /// Puts a started program into a new job.
    ///
    /// What it has started before is not in it. Where the system refuses, the program alone is
    /// ended.
    pub fn of(child: &Child) -> Self {
        // SAFETY: no attributes and no name.
        let job = unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) };
        if job.is_null() {
            return Self(None);
        }
        // SAFETY: it was made above, and is closed here only.
        let job = unsafe { OwnedHandle::from_raw_handle(job) };
        // SAFETY: both handles are open.
        let joined = unsafe { AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()) };
        Self((joined != 0).then_some(job))
    }

    /// There is no way to ask a process without a console or windows to end.
    pub fn ask_to_end(&self) -> bool {
        false
    }

    /// Never asked for, as no process was asked to end.
    pub fn is_alive(&self) -> bool {
        false
    }

    /// Ends every process of the job.
    pub fn kill(&self) {
        if let Some(job) = &self.0 {
            // SAFETY: the handle is open.
            unsafe { TerminateJobObject(job.as_raw_handle(), 1) };
        }
    }
}
