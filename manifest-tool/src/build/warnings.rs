//! Warnings about a build folder: clients accept the release, but it is probably a mistake.

use super::settings::Settings;
use super::tree::BuildTree;
use crate::error::{Error, Result};
use patcher::internal::manifest::Platform;
use patcher::internal::rel_path::RelPath;
use std::fmt;
use std::io::Read as _;

/// A release that probably does not run for some clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildWarning {
    /// A native program in a release for all platforms.
    NativeForAny {
        /// The program.
        path: RelPath,
        /// The operating system that runs it.
        system: &'static str,
    },
    /// A program to start after an update that is not executable.
    LaunchNotExecutable {
        /// The program.
        path: RelPath,
    },
}

impl BuildWarning {
    /// Returns the warnings about a build folder.
    ///
    /// Of the executable files, it reads the first bytes until one is a native program.
    ///
    /// # Errors
    /// An I/O error.
    pub fn all(tree: &BuildTree, settings: &Settings) -> Result<Vec<Self>> {
        let mut warnings = Vec::new();
        let launched = tree.files.iter().find(|file| Some(&file.path) == settings.launch.as_ref());
        // Windows has no such permission, so that a build folder there has no executable file.
        let needs_permission = !settings.platform.as_str().ends_with("-windows");
        if let Some(file) = launched.filter(|file| needs_permission && !file.executable) {
            warnings.push(Self::LaunchNotExecutable { path: file.path.clone() });
        }
        if settings.platform == Platform::any() {
            let is_started = |path: &RelPath| Some(path) == settings.launch.as_ref();
            for file in tree.files.iter().filter(|file| file.executable || is_started(&file.path)) {
                let path = tree.path(file);
                let mut start = [0; 4];
                tree.open(file)?.read(&mut start).map_err(|error| Error::io("read", &path, error))?;
                if let Some(system) = system_of(&start) {
                    warnings.push(Self::NativeForAny { path: file.path.clone(), system });
                    break;
                }
            }
        }
        Ok(warnings)
    }
}

impl fmt::Display for BuildWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NativeForAny { path, system } => {
                write!(f, "{path} is a program for {system}, and the platform is `any`; --platform names another one")
            }
            Self::LaunchNotExecutable { path } => write!(f, "the program to start, {path}, is not executable"),
        }
    }
}

/// Returns the operating system of a native program, by its first four bytes.
fn system_of(start: &[u8; 4]) -> Option<&'static str> {
    match start {
        b"\x7fELF" => Some("Linux or another Unix"),
        [b'M', b'Z', ..] => Some("Windows"),
        // Mach-O with 64 bits, and universal binaries. A class file of Java starts with the same
        // bytes as the latter, and is not executable.
        [0xcf, 0xfa, 0xed, 0xfe] | [0xca, 0xfe, 0xba, 0xbe] => Some("macOS"),
        _ => None,
    }
}
