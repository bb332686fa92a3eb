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
/// The environment variable of a program that could not leave the job of its parent.
const IN_JOB: &str = "PATCHER_IN_JOB";

/// The pause between two looks for a process that this user may not open.
const POLL: Duration = Duration::from_millis(50);
/// The longest single wait. The largest number would mean a wait without end.
const LONGEST_MS: u32 = u32::MAX - 1;

/// Waits until a process has ended, or until `patience` is over; returns `true` if it has ended.
///
/// A handle refers to the process itself, even if another process gets the same id. If this user
/// may not open the process, the function looks for the id every 50 ms.
pub fn wait_for_exit(pid: u32, patience: Option<Duration>) -> bool {
    let deadline = patience.map(|patience| Instant::now() + patience);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // SAFETY: plain numbers.
        let handle = unsafe { OpenProcess(PROCESS_SYNCHRONIZE, 0, pid) };
        if !handle.is_null() {
            // SAFETY: it was opened above, and is closed here only.
            let process = unsafe { OwnedHandle::from_raw_handle(handle) };
            let wait = left.map_or(LONGEST_MS, |left| u32::try_from(left.as_millis()).unwrap_or(LONGEST_MS));
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

/// `true` on systems where a process can become another program.
pub const CAN_REPLACE: bool = false;

/// Fails: a process cannot become another program on Windows.
///
/// # Errors
/// [`Machine::Unsupported`].
pub fn replace_process(_command: Command, _path: &Path) -> Result<Infallible> {
    Err(Machine::Unsupported { what: "replacing a process" }.into())
}

/// Returns `true` if an input or output of this process is a console, instead of that of `_pid`.
pub fn uses_terminal(_pid: u32) -> bool {
    std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal()
}

/// Returns `false`: the service manager does not end the processes that a service has started.
pub fn is_service() -> bool {
    false
}

/// Does nothing: a program that [`detach`] has started has no console to lose.
pub fn leave_session() {}

/// Makes a command start without a console, in a new process group, and without this program's
/// inputs and outputs.
///
/// Otherwise a pipe that another program reads from this one would stay open while the started
/// program runs.
pub fn detach(command: &mut Command) {
    // The helper must outlive the job of a service or a terminal, which may end with this program.
    command.creation_flags(ALONE | CREATE_BREAKAWAY_FROM_JOB);
    for kind in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        // SAFETY: both functions may be called at any time. For a missing or closed handle they
        // fail, and then the started program inherits nothing.
        unsafe { SetHandleInformation(GetStdHandle(kind), HANDLE_FLAG_INHERIT, 0) };
    }
}

/// Lets a command start in the job of this process, which it could not leave.
///
/// Returns `false` the second time.
pub fn stay_in_job(command: &mut Command) -> bool {
    // The standard library has no way to read the flags of a command.
    let is_first = command.get_envs().all(|(name, _)| name != IN_JOB);
    command.creation_flags(ALONE).env(IN_JOB, "1");
    is_first
}

/// Does nothing: [`Group::of`] puts a started program into its group.
pub fn lead_group(_command: &mut Command) {}

/// The job of a started program, which also contains the processes that it starts.
#[derive(Debug)]
pub struct Group(Option<OwnedHandle>);

impl Group {
    /// Puts a started program into a new job.
    ///
    /// Processes that it started before are not in it. If the system refuses the job, only the
    /// program itself can be ended.
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

    /// Returns `false`: a process without a console and windows cannot be asked to end.
    pub fn ask_to_end(&self) -> bool {
        false
    }

    /// Returns `false`; the caller uses it only after [`ask_to_end`](Self::ask_to_end).
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
