//! Starting programs: the app starts the helper before it ends, and the helper starts the app after
//! the swap.

mod environment;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

pub use system::{CAN_REPLACE, is_service, leave_session, replace_process, uses_terminal, wait_for_exit};

use crate::disk::fs::Dir;
use crate::disk::layout::InstallRoot;
use crate::error::{Error, Machine, Result};
use crate::state::RollbackReason;
use crate::state::journal::Journal;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The helper program's file name.
pub const HELPER: &str = if cfg!(windows) { "patcher-helper.exe" } else { "patcher-helper" };
/// The time within which a new version must confirm, unless the program sets another one.
pub const PROBATION: Duration = Duration::from_secs(300);
/// The environment variable with the state and the plan of the swap that the helper was started
/// for.
///
/// The helper passes it to the program that it starts, so that the two do not start each other
/// endlessly. A value of another swap, or one that a user has set, has no effect.
pub const RELAUNCHED: &str = "PATCHER_RELAUNCHED";
/// The environment variable with the id of the process that the helper has replaced.
///
/// If it is the helper's own id, the helper becomes the program instead of starting it.
pub const IN_PLACE: &str = "PATCHER_IN_PLACE";
/// The folder in the state folder that the helper is copied to.
const FOLDER: &str = "helper";

/// The first argument of a program that is its own helper, before those of the helper.
pub const OWN_HELPER: &str = "--patcher-helper";

/// The program that swaps for this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HelperProgram {
    /// `patcher-helper` beside the running program.
    #[default]
    Beside,
    /// The program at this path.
    At(PathBuf),
    /// A copy of the running program, started with [`OWN_HELPER`].
    ThisProgram,
}

/// Returns the path of the helper of the program at `program`.
///
/// # Errors
/// [`Machine::HelperMissing`].
pub fn find_helper(helper: &HelperProgram, program: &Path) -> Result<PathBuf> {
    let path = match helper {
        HelperProgram::At(path) => path.to_owned(),
        HelperProgram::Beside => program.with_file_name(HELPER),
        HelperProgram::ThisProgram => program.to_owned(),
    };
    if path.is_file() { Ok(path) } else { Err(Machine::HelperMissing { path }.into()) }
}

/// The task of a helper.
#[derive(Debug, Default)]
pub struct Job {
    /// The process to wait for first.
    pub wait_for: Option<u32>,
    /// The reason for a rollback; `None` makes the prepared version live.
    pub roll_back: Option<RollbackReason>,
    /// The command to run afterwards, in this process's working folder.
    pub command: Option<Vec<OsString>>,
    /// The time within which the started version must confirm.
    pub probation: Duration,
    /// `true` if the helper is a copy of this program.
    pub is_own_helper: bool,
    /// `true` if the program used a terminal, which the started program does not get.
    pub loses_terminal: bool,
}

/// Starts the helper from a copy outside of the components, so that it can replace its own file.
///
/// The helper continues when this process ends.
///
/// # Errors
/// [`Machine::Io`].
pub fn start_helper(root: &InstallRoot, state_dir: &Dir, helper: &Path, job: Job) -> Result<()> {
    let copy = copy_helper(state_dir, helper)?;
    let mut start = helper_command(root, state_dir, &copy, job);
    // Not in a folder that the swap may replace or remove.
    start.current_dir(&root.state.dir);
    detached(start, &copy, None).map(drop)
}

/// Replaces this process by the helper, which then becomes `job.command`; returns only on an error.
///
/// The process keeps its id, its terminal, its inputs and its outputs.
///
/// # Errors
/// [`Machine::Io`]; [`Machine::Unsupported`] where [`CAN_REPLACE`] is `false`.
pub fn become_helper(root: &InstallRoot, state_dir: &Dir, helper: &Path, job: Job) -> Result<Infallible> {
    let copy = copy_helper(state_dir, helper)?;
    let mut command = helper_command(root, state_dir, &copy, Job { wait_for: None, ..job });
    command.env(IN_PLACE, std::process::id().to_string());
    replace_process(command, &copy)
}

fn helper_command(root: &InstallRoot, state_dir: &Dir, copy: &Path, job: Job) -> Command {
    let mut start = Command::new(copy);
    if job.is_own_helper {
        start.arg(OWN_HELPER);
    }
    for (name, value) in environment::unbound(std::env::vars_os()) {
        match value {
            Some(value) => start.env(name, value),
            None => start.env_remove(name),
        };
    }
    start.env(RELAUNCHED, Journal::mark(state_dir).unwrap_or_else(|| "none".to_owned()));
    start.arg("--root").arg(&root.dir).arg("--state-dir").arg(&root.state.dir);
    for (name, dir) in &root.elsewhere {
        let mut value = OsString::from(format!("{name}="));
        value.push(dir);
        start.arg("--component").arg(value);
    }
    if let Some(pid) = job.wait_for {
        start.arg("--wait-pid").arg(pid.to_string());
    }
    if let Some(reason) = job.roll_back {
        start.arg("--roll-back").arg(reason.word());
    }
    if job.loses_terminal {
        start.arg("--loses-terminal");
    }
    start.arg("--probation").arg(job.probation.as_secs().to_string());
    if let Some(command) = job.command {
        if let Ok(dir) = std::env::current_dir() {
            start.arg("--working-dir").arg(dir);
        }
        start.arg("--restart").arg("--").args(command);
    }
    start
}

/// Starts the watcher of the program that will replace this process.
///
/// The watcher is no child of the program.
///
/// # Errors
/// [`Machine::Io`].
pub fn start_watcher(mut command: Command, path: &Path) -> Result<()> {
    command.env_remove(IN_PLACE);
    let mut child = detached(command, path, None)?;
    child.wait().map(drop).map_err(|error| Error::io("start", path, error))
}

/// Returns the path that this process's program was started from.
///
/// Another file may lie there by now.
///
/// # Errors
/// [`Machine::Io`] if the system does not know which program runs.
pub fn running_program() -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(|error| Error::io("find", "the running program", error))?;
    // Linux adds this to the name of a running program that was replaced (proc_pid_exe(5)).
    let name = program.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(" (deleted)"));
    Ok(match name {
        Some(name) if !program.exists() => program.with_file_name(name),
        _ => program,
    })
}

/// Starts a program that shares no input or output with this one. Its output goes to `output`.
///
/// # Errors
/// [`Machine::Io`].
pub fn detached(mut command: Command, path: &Path, output: Option<File>) -> Result<Child> {
    let copies = output.and_then(|output| Some((output.try_clone().ok()?, output)));
    let (out, err) = copies.map_or((Stdio::null(), Stdio::null()), |(one, two)| (one.into(), two.into()));
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    system::detach(&mut command);
    // A file that was just written is busy while another thread's child has not closed its copy of
    // the descriptor yet.
    let mut attempts = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempts < 50 => attempts += 1,
            // The job that this process is in lets no process leave it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && system::stay_in_job(&mut command) => {}
            result => return result.map_err(|error| Error::io("start", path, error)),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a program as [`detached`] does, in a new process group.
///
/// [`end`] ends the whole group, because a script may have started the real program.
///
/// # Errors
/// [`Machine::Io`].
pub fn start_group(mut command: Command, path: &Path, output: Option<File>) -> Result<StartedProgram> {
    system::lead_group(&mut command);
    let child = detached(command, path, output)?;
    let group = system::Group::of(&child);
    Ok(StartedProgram { child, group })
}

/// A program that this one has started, and all processes that it has started in turn.
#[derive(Debug)]
pub struct StartedProgram {
    /// The program itself.
    pub child: Child,
    group: system::Group,
}

/// Ends a started program and its group.
///
/// On Unix it first asks all processes to end, and kills them after 5 s. The program itself may
/// have ended before.
///
/// # Errors
/// [`Machine::Io`] if the system refuses.
pub fn end(started: &mut StartedProgram) -> Result<()> {
    let failed = |error| Error::io("end", "the started program", error);
    if started.group.ask_to_end() {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            // An ended program stays in its group until this process reads its status.
            let has_ended = started.child.try_wait().map_err(failed)?.is_some();
            if has_ended && !started.group.is_alive() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    started.group.kill();
    if started.child.try_wait().map_err(failed)?.is_none() {
        started.child.kill().map_err(failed)?;
        started.child.wait().map_err(failed)?;
    }
    Ok(())
}

/// Copies the helper into a new folder that only this user can read.
///
/// The path `helper` may lead through links.
fn copy_helper(state_dir: &Dir, helper: &Path) -> Result<PathBuf> {
    let real = helper.canonicalize().map_err(|error| Error::io("find", helper, error))?;
    let (Some(dir), Some(name)) = (real.parent(), real.file_name().and_then(|name| name.to_str())) else {
        return Err(Machine::HelperMissing { path: helper.to_owned() }.into());
    };
    state_dir.remove_tree(FOLDER)?;
    let folder = state_dir.folder_or_new(FOLDER, 0o700)?;
    Dir::open(dir)?.copy(name, &folder, HELPER, 0o700)?;
    Ok(folder.join(HELPER))
}
