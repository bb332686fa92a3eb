//! The helper's arguments, read by hand: a parser would be most of the program.

use crate::disk::layout::{InstallRoot, StateDir};
use crate::state::RollbackReason;
use crate::swap::relaunch::PROBATION;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The text that the helper prints for `--help` and after wrong arguments.
pub const USAGE: &str = "\
usage: patcher-helper --root DIR [--state-dir DIR] [--component NAME=DIR]… [--wait-pid PID] [--roll-back REASON]
                      [--patience SECONDS] [--probation SECONDS] [--working-dir DIR] [--loses-terminal] [--watch PID]
                      [--restart -- COMMAND ARGUMENT…]

Waits for process PID and every running instance of the program, makes the prepared update live (or returns from the one
on probation), starts COMMAND, and watches it until it has confirmed that it works: else the old version comes back.";

/// The request of a command line.
#[derive(Debug)]
pub enum HelperRequest {
    /// Do the work.
    Run(Arguments),
    /// Print this text.
    Print(String),
}

/// Returns the version, and the formats of the files that the helper shares with the library.
fn version() -> String {
    format!("patcher-helper {}\nmanifest format 1, state format 1", env!("CARGO_PKG_VERSION"))
}

/// The install root, the process to wait for, and the command to start.
#[derive(Debug)]
pub struct Arguments {
    /// The install root with its state folder and components.
    pub root: InstallRoot,
    /// The process to wait for.
    pub wait_pid: Option<u32>,
    /// The reason for a rollback; `None` makes the prepared version live.
    pub roll_back: Option<RollbackReason>,
    /// The time that the helper waits for other instances and other updaters.
    pub patience: Option<Duration>,
    /// The time within which the started version must confirm.
    pub probation: Duration,
    /// `true` if the program used a terminal, which the started program does not get.
    pub loses_terminal: bool,
    /// The process to watch: the new version, which the helper became.
    pub watch: Option<u32>,
    /// The working folder of the command; the root if it is not given or does not exist.
    pub working_dir: Option<PathBuf>,
    /// The command to run; empty for none.
    pub command: Vec<OsString>,
}

impl Arguments {
    /// Reads the arguments.
    ///
    /// # Errors
    /// The message for wrong arguments.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<HelperRequest, String> {
        let mut arguments = arguments.peekable();
        let (mut root, mut state_dir, mut components) = (None, None, Vec::new());
        let (mut wait_pid, mut working_dir, mut restart) = (None, None, false);
        let (mut loses_terminal, mut watch) = (false, None);
        let (mut roll_back, mut patience, mut probation) = (None, None, PROBATION);
        let mut command = Vec::new();
        while let Some(name) = arguments.next() {
            let name = name.to_string_lossy().into_owned();
            let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--help" | "-h" => return Ok(HelperRequest::Print(USAGE.to_owned())),
                "--version" | "-V" => return Ok(HelperRequest::Print(version())),
                "--root" => root = Some(PathBuf::from(value()?)),
                "--state-dir" => state_dir = Some(PathBuf::from(value()?)),
                "--working-dir" => working_dir = Some(PathBuf::from(value()?)),
                "--component" => components.push(component(&value()?)?),
                "--wait-pid" => wait_pid = Some(parsed(&name, &value()?)?),
                "--roll-back" => roll_back = Some(parsed(&name, &value()?)?),
                "--patience" => patience = Some(Duration::from_secs(parsed(&name, &value()?)?)),
                "--probation" => probation = Duration::from_secs(parsed(&name, &value()?)?),
                "--loses-terminal" => loses_terminal = true,
                "--watch" => watch = Some(parsed(&name, &value()?)?),
                "--restart" => restart = true,
                "--" => command = arguments.by_ref().collect(),
                _ => return Err(format!("unknown argument `{name}`")),
            }
        }
        if restart == command.is_empty() {
            return Err("--restart and -- COMMAND go together".to_owned());
        }
        let dir = absolute(root.ok_or("--root is missing")?)?;
        let mut root = InstallRoot::new(dir);
        if let Some(dir) = state_dir {
            root.state = StateDir { dir: absolute(dir)? };
        }
        root.elsewhere.extend(components);
        Ok(HelperRequest::Run(Self {
            root,
            wait_pid,
            roll_back,
            patience,
            probation,
            loses_terminal,
            watch,
            working_dir,
            command,
        }))
    }
}

fn parsed<T: FromStr<Err: Display>>(name: &str, value: &OsString) -> Result<T, String> {
    let text = value.to_string_lossy();
    text.parse().map_err(|error| format!("{name} `{text}`: {error}"))
}

fn absolute(path: PathBuf) -> Result<PathBuf, String> {
    std::path::absolute(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn component(value: &OsString) -> Result<(crate::formats::manifest::Component, PathBuf), String> {
    let text = value.to_str().ok_or("--component is not UTF-8")?;
    let (name, dir) = text.split_once('=').ok_or_else(|| format!("--component `{text}` is not NAME=DIR"))?;
    let name = name.parse().map_err(|error| format!("--component `{name}`: {error}"))?;
    Ok((name, absolute(dir.into())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<HelperRequest, String> {
        Arguments::parse(words.split_whitespace().map(OsString::from))
    }

    #[test]
    fn all_arguments_are_read() {
        // Where there are drives, the one that the test runs on comes before.
        let at = |path: &str| std::path::absolute(path).unwrap();
        let all = "--root /r --state-dir /s --component a=/x --wait-pid 7 --roll-back exited:3 --patience 9 --probation 60 \
                   --working-dir /w --loses-terminal --watch 8 --restart -- app --root x";
        let Ok(HelperRequest::Run(arguments)) = parse(all) else { panic!("not to be run") };
        assert_eq!(arguments.root.dir, at("/r"));
        assert_eq!(arguments.root.state.dir, at("/s"));
        assert_eq!(arguments.root.component(&"a".parse().unwrap()), at("/x"));
        assert_eq!(arguments.root.component(&"b".parse().unwrap()), at("/r/b"));
        assert_eq!(arguments.wait_pid, Some(7));
        assert_eq!(arguments.roll_back, Some(RollbackReason::Exited(3)));
        assert_eq!(arguments.patience, Some(Duration::from_secs(9)));
        assert_eq!(arguments.probation, Duration::from_secs(60));
        assert!(arguments.loses_terminal);
        assert_eq!(arguments.watch, Some(8));
        assert_eq!(arguments.working_dir, Some(PathBuf::from("/w")));
        assert_eq!(arguments.command, ["app", "--root", "x"]);
        assert!(matches!(parse("--root /r --help"), Ok(HelperRequest::Print(text)) if text == USAGE));
        assert!(matches!(parse("--version"), Ok(HelperRequest::Print(text)) if text.starts_with("patcher-helper 0.")));
    }

    #[test]
    fn wrong_arguments_are_told() {
        for words in [
            "",
            "--root",
            "--root /r --wait-pid x",
            "--root /r --wait-pid -1",
            "--root /r --roll-back why",
            "--root /r --patience none",
            "--root /r --probation long",
            "--root /r --restart",
            "--root /r -- app",
            "--root /r --component a",
            "--root /r --component ../a=/x",
            "--root /r --what",
            "--root /r stray",
        ] {
            parse(words).expect_err(words);
        }
    }
}
