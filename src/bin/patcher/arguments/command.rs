//! The commands with their own options.

use crate::quantities::duration;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Subcommand};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Returns the end of a command's help: two examples, in an installation at `/opt/app`.
macro_rules! examples {
    ($first:literal, $second:literal) => {
        concat!(
            "Examples:\n  patcher --root /opt/app --key release.pub.pem ",
            $first,
            "\n  patcher --root /opt/app --key release.pub.pem ",
            $second
        )
    };
}

/// One operation of the program.
#[derive(Debug, Subcommand)]
pub enum PatcherCommand {
    /// Install a component, or adopt the files that exist
    #[command(after_help = examples!("install core --from https://dl.example.com/core/", "install core --from /media/usb/site/core/"))]
    Install {
        /// The component
        name: String,
        /// The manifest or its folder: an http, https or file URL, or a path
        #[arg(long, value_name = "URL")]
        from: String,
        /// The lowest sequence to accept
        #[arg(long, value_name = "N")]
        floor: Option<u64>,
    },
    /// Check for newer releases: exit code 10 if an update is available
    #[command(after_help = examples!("check", "--json check core"))]
    Check {
        /// The components; all installed ones by default
        names: Vec<String>,
    },
    /// Check, download and stage
    #[command(after_help = examples!("download", "--rate-limit 500K download core"))]
    Download {
        /// The components; all installed ones by default
        names: Vec<String>,
    },
    /// Swap in the staged updates
    #[command(after_help = examples!("apply", "apply --wait-pid 4711 --restart -- /opt/app/core/bin/app"))]
    Apply {
        /// Let the helper swap after this process has ended
        #[arg(long, value_name = "PID")]
        wait_pid: Option<u32>,
        /// Let the helper start COMMAND after the swap
        #[arg(long)]
        restart: bool,
        /// The program to start, with its arguments; by default the one that the release names
        #[arg(last = true, value_name = "COMMAND", requires = "restart")]
        command: Vec<OsString>,
    },
    /// Check, download and apply
    #[command(after_help = examples!("update", "--site /media/usb/site update core"))]
    Update {
        /// The components; all installed ones by default
        names: Vec<String>,
    },
    /// Fetch and replace missing and damaged files only
    #[command(after_help = examples!("repair", "repair core"))]
    Repair {
        /// The components; all installed ones by default
        names: Vec<String>,
    },
    /// Compare the files with the manifests: exit code 11 if some are damaged or missing
    #[command(after_help = examples!("verify", "--json verify core"))]
    Verify {
        /// The components; all installed ones by default
        names: Vec<String>,
    },
    /// Confirm that the new version works, which ends its probation
    #[command(after_help = examples!("confirm", "confirm --version 2.0.0"))]
    Confirm {
        /// Confirm nothing if another version is on probation
        #[arg(long)]
        version: Option<String>,
    },
    /// Return from the version on probation to the one before
    #[command(after_help = examples!("rollback", "rollback core"))]
    Rollback {
        /// Fail unless this component is among those that return
        name: Option<String>,
    },
    /// Finish or undo an interrupted swap
    #[command(after_help = examples!("recover", "--json recover"))]
    Recover,
    /// Remove a component; files that the user added or changed stay
    #[command(after_help = examples!("remove addon", "--json remove addon"))]
    Remove {
        /// The component
        name: String,
    },
    /// Add a component to the user's menu, or to the programs that start with the session
    #[command(after_help = examples!("integrate core --title Editor --icon share/icon.png", "integrate core --remove"))]
    Integrate(IntegrateArguments),
    /// Show the installed components and the updates in progress
    #[command(after_help = examples!("status", "--json status"))]
    Status,
    /// Look for everything that could prevent an update: exit code 12 if something does
    #[command(after_help = examples!("doctor", "--json doctor"))]
    Doctor,
    /// Show past updates and their results, the newest first
    #[command(after_help = examples!("history", "--json history"))]
    History,
    /// Check periodically until this process is stopped
    #[command(after_help = examples!("watch --interval 1h --notify", "watch --apply"))]
    Watch {
        /// The time between two checks, as in 4h, 30m or 90s
        #[arg(long, value_name = "TIME", default_value = "4h", value_parser = duration)]
        interval: Duration,
        /// The time within which the first check happens, at random; later if the last check was
        /// not long ago
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
        first_within: Duration,
        /// Only report updates
        #[arg(long, conflicts_with = "apply")]
        notify: bool,
        /// Apply updates as soon as no instance of the program runs
        #[arg(long)]
        apply: bool,
    },
    /// Pause downloads, also those of other processes, until `resume`
    #[command(after_help = examples!("pause", "--json pause"))]
    Pause,
    /// Allow downloads again, and continue an interrupted one
    #[command(after_help = examples!("resume", "--json resume"))]
    Resume,
    /// Agree to be counted once a week, or disagree; without this command, nothing is counted
    #[command(after_help = examples!("adoption on", "adoption off"))]
    Adoption {
        /// Your decision
        #[arg(value_name = "DECISION", action = ArgAction::Set, value_parser = on_or_off())]
        is_allowed: bool,
    },
    /// Skip a version of a component
    #[command(after_help = examples!("skip core", "skip core 2.0.0"))]
    Skip {
        /// The component
        name: String,
        /// The version; the newest one by default
        version: Option<String>,
    },
    /// Update a program in another language, by JSON lines on standard input and output
    #[command(after_help = examples!("session -- /opt/app/app/bin/app", "session --program /opt/app/app/app.py -- python3 /opt/app/app/app.py"))]
    Session(SessionArguments),
    /// Print completions for a shell
    #[command(after_help = examples!("completions bash", "completions zsh"))]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages of all commands into a folder
    #[command(after_help = examples!("man /usr/local/share/man/man1", "man ."))]
    Man {
        /// The folder
        dir: PathBuf,
    },
}

impl PatcherCommand {
    /// Returns `true` if the command can wait for a server, so that ^C must stop it cleanly.
    pub fn asks_a_server(&self) -> bool {
        !matches!(
            self,
            Self::Apply { .. }
                | Self::Verify { .. }
                | Self::Confirm { .. }
                | Self::Session(_)
                | Self::Rollback { .. }
                | Self::Recover
                | Self::Remove { .. }
                | Self::Status
                | Self::History
                | Self::Pause
                | Self::Adoption { .. }
                | Self::Integrate(_)
                | Self::Completions { .. }
                | Self::Man { .. }
        )
    }
}

/// The program that a session updates.
#[derive(Debug, Args)]
pub struct SessionArguments {
    /// The process of the program; the parent of this one by default (Unix)
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// The file of the program, if it is not the first word of COMMAND
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// The command that starts the program again
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The looks of a component in the user's menu.
#[derive(Debug, Args)]
pub struct IntegrateArguments {
    /// The component
    pub name: String,
    /// The name that users read; by default that of the release, or the component's name
    #[arg(long, value_name = "TEXT", conflicts_with = "remove")]
    pub title: Option<String>,
    /// The icon, a path of the release: a .png or .svg, on Windows an .ico; by default that of the
    /// release
    #[arg(long, value_name = "PATH", conflicts_with = "remove")]
    pub icon: Option<String>,
    /// The program, a path of the release; by default the one that the release names
    #[arg(long, value_name = "PATH", conflicts_with = "remove")]
    pub program: Option<String>,
    /// A category of the menu on Linux, as in Office; repeat it for several
    #[arg(long = "category", value_name = "NAME", conflicts_with = "remove")]
    pub categories: Vec<String>,
    /// Start the program with the user's session, too
    #[arg(long, conflicts_with = "remove")]
    pub autostart: bool,
    /// The program that the uninstall entry starts; by default `patcher remove`
    #[arg(long, value_name = "FILE", conflicts_with = "remove")]
    pub uninstaller: Option<PathBuf>,
    /// Delete the entries and the icon
    #[arg(long)]
    pub remove: bool,
}

/// Returns the parser of a decision: `on` is `true`, `off` is `false`.
fn on_or_off() -> impl TypedValueParser<Value = bool> {
    let words = [PossibleValue::new("on").help("Agree"), PossibleValue::new("off").help("Disagree")];
    PossibleValuesParser::new(words).map(|word| word == "on")
}
