//! Starting programs: the helper when the app is about to end, and the app when the swap is done.

#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

pub use system::{leave_session, wait_for_exit};

use crate::error::{Error, Machine, Result};
use crate::fs::Dir;
use crate::layout::Root;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The helper program's file name.
pub const HELPER: &str = if cfg!(windows) { "patcher-helper.exe" } else { "patcher-helper" };
/// The folder in the state folder that the helper is copied to.
const FOLDER: &str = "helper";

/// The helper program: `configured`, or the one beside the running program.
///
/// # Errors
/// [`Machine::HelperMissing`].
pub fn find_helper(configured: Option<&Path>) -> Result<PathBuf> {
    let path = match configured {
        Some(path) => path.to_owned(),
        None => {
            let program = std::env::current_exe().map_err(|error| Error::io("find", "the running program", error))?;
            program.with_file_name(HELPER)
        }
    };
    if path.is_file() { Ok(path) } else { Err(Machine::HelperMissing { path }.into()) }
}

/// Starts the helper from a copy outside of the components, so that it can replace itself; it goes on when this process
/// ends. With `pid` it waits for that process first; with `command` it starts that in this process's working folder.
///
/// # Errors
/// [`Machine::Io`].
pub fn start_helper(
    root: &Root,
    state_dir: &Dir,
    helper: &Path,
    pid: Option<u32>,
    command: Option<Vec<OsString>>,
) -> Result<()> {
    let copy = copy_helper(state_dir, helper)?;
    let mut start = Command::new(&copy);
    start.arg("--root").arg(&root.dir).arg("--state-dir").arg(&root.state.dir);
    for (name, dir) in &root.elsewhere {
        let mut value = OsString::from(format!("{name}="));
        value.push(dir);
        start.arg("--component").arg(value);
    }
    if let Some(pid) = pid {
        start.arg("--wait-pid").arg(pid.to_string());
    }
    if let Some(command) = command {
        if let Ok(dir) = std::env::current_dir() {
            start.arg("--working-dir").arg(dir);
        }
        start.arg("--restart").arg("--").args(command);
    }
    // Not in a folder that the swap may replace or remove.
    start.current_dir(&root.state.dir);
    detached(start, &copy).map(drop)
}

/// Starts a program that shares no input or output with this one.
///
/// # Errors
/// [`Machine::Io`].
pub fn detached(mut command: Command, path: &Path) -> Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    system::detach(&mut command);
    // A file that was just written is busy while another thread's child has not closed its copy of the descriptor yet.
    let mut attempts = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempts < 50 => attempts += 1,
            result => return result.map_err(|error| Error::io("start", path, error)),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Copies the helper into a fresh folder of this user's alone; the path that it is given by may lead through links.
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
