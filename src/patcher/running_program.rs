//! The program whose files an update replaces: its process, its file, and the command that starts
//! it again.

use super::start::resolve;
use crate::error::Result;
use crate::swap::relaunch;
use std::ffi::OsString;
use std::path::PathBuf;

/// The program whose files an update replaces. Without settings, it is the one of this process.
#[derive(Debug, Clone, Default)]
pub(super) struct RunningProgram {
    /// The process that runs the program, if it is not this one.
    pub process: Option<u32>,
    /// The program's file, if it is not the one that the system names.
    pub path: Option<PathBuf>,
    /// The command that starts the program again, if it is not its file with the arguments of this
    /// process.
    pub command: Option<Vec<OsString>>,
}

impl RunningProgram {
    /// Returns the id of the program's process.
    pub fn process(&self) -> u32 {
        self.process.unwrap_or_else(std::process::id)
    }

    /// Returns the program's file, whether or not another one has replaced it.
    pub fn path(&self) -> Result<PathBuf> {
        self.path.clone().map_or_else(relaunch::running_program, Ok)
    }

    /// Returns the file of the program that updates: the program itself, or that of this process if
    /// it updates for another one. The helper is beside it.
    pub fn updater(&self) -> Result<PathBuf> {
        if self.process.is_some() { relaunch::running_program() } else { self.path() }
    }

    /// Returns the program's file with the links of its folder resolved.
    pub fn resolved_path(&self) -> Option<PathBuf> {
        resolve(&self.path().ok()?)
    }

    /// Returns the command that starts the program again.
    pub fn command(&self) -> Result<Vec<OsString>> {
        if let Some(command) = &self.command {
            return Ok(command.clone());
        }
        let arguments = std::env::args_os().skip(1).filter(|_| self.process.is_none());
        Ok(std::iter::once(self.path()?.into_os_string()).chain(arguments).collect())
    }

    /// Returns `true` if the helper can take the place of the program's process.
    pub fn is_replaceable(&self) -> bool {
        relaunch::CAN_REPLACE && self.process.is_none()
    }

    /// Returns `true` if a restart keeps the process: it has a terminal, or is the main process of
    /// a service. Both are lost when the process ends.
    pub fn keeps_process(&self) -> bool {
        self.is_replaceable() && (self.uses_terminal() || relaunch::is_service())
    }

    /// Returns `true` if the program has a terminal.
    pub fn uses_terminal(&self) -> bool {
        relaunch::uses_terminal(self.process())
    }
}
