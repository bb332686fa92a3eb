//! The arguments: the options that all commands share, and the command.
//!
//! `command` has the commands with their own options. `configuration` turns the options into a
//! [`Config`](patcher::Config).

mod command;
mod configuration;

use crate::quantities::duration;
use clap::{Parser, ValueEnum};
pub use command::{IntegrateArguments, PatcherCommand, SessionArguments};
pub use configuration::absolute;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Installs, checks, updates and verifies the components of a program.
#[derive(Debug, Parser)]
#[command(name = "patcher", version, arg_required_else_help = true)]
pub struct PatcherArguments {
    /// The folder that holds the components
    #[arg(long, value_name = "DIR", global = true, default_value = ".", help_heading = "Installation")]
    root: PathBuf,
    /// A trusted public key, a file or its text; repeat it for several keys, the oldest first
    #[arg(long = "key", value_name = "PUB.pem", global = true, help_heading = "Trust")]
    keys: Vec<OsString>,
    /// The number of keys that must sign a release
    #[arg(long, value_name = "N", global = true, default_value_t = 1, help_heading = "Trust")]
    threshold: usize,
    /// The channel to follow
    #[arg(long, value_name = "NAME", global = true, default_value = "stable", help_heading = "Installation")]
    channel: String,
    /// After a change of the channel, accept a release with a lower sequence than the installed one
    #[arg(long, global = true, help_heading = "Trust")]
    allow_downgrade: bool,
    /// The platform of the releases, as in x86_64-linux; the platform of this program by default
    #[arg(long, value_name = "PLATFORM", global = true, help_heading = "Installation")]
    platform: Option<String>,
    /// A component in another folder than the one of its name in the root
    #[arg(long = "component", value_name = "NAME=DIR", global = true, help_heading = "Installation")]
    components: Vec<String>,
    /// A proxy for all requests; by default that of http_proxy, https_proxy and all_proxy
    #[arg(long, value_name = "URL", global = true, help_heading = "Network")]
    proxy: Option<String>,
    /// Hosts to reach without a proxy, separated by commas; by default those of no_proxy
    #[arg(long, value_name = "HOSTS", global = true, help_heading = "Network")]
    no_proxy: Option<String>,
    /// The highest rate in bytes per second, as in 500K or 2M; 0 for no limit
    #[arg(long, value_name = "SPEED", global = true, help_heading = "Network")]
    rate_limit: Option<String>,
    /// The site to ask instead of those in the manifests: a URL or a folder
    #[arg(long, value_name = "DIR_OR_URL", global = true, help_heading = "Network")]
    site: Option<String>,
    /// A header for one origin, `URL NAME: VALUE`, or `NAME: VALUE` for that of --site or --from;
    /// `@FILE` reads one from each line of a file
    #[arg(long = "header", value_name = "HEADER", global = true, help_heading = "Network")]
    headers: Vec<String>,
    /// A client certificate in PEM for the server of --site or --from
    #[arg(long, value_name = "FILE", global = true, help_heading = "Network")]
    client_cert: Option<PathBuf>,
    /// The private key of --client-cert in PEM, if it is not in the same file
    #[arg(long, value_name = "FILE", global = true, requires = "client_cert", help_heading = "Network")]
    client_key: Option<PathBuf>,
    /// A certificate authority in PEM, in addition to those of the system
    #[arg(long, value_name = "FILE", global = true, help_heading = "Network")]
    cacert: Option<PathBuf>,
    /// The time limit for connecting to a server, in seconds
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 10, help_heading = "Network")]
    connect_timeout: u64,
    /// The time without a byte after which a download has stalled, in seconds
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 30, help_heading = "Network")]
    stall_timeout: u64,
    /// The time limit for a whole check, in seconds
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 60, help_heading = "Network")]
    check_timeout: u64,
    /// The number of retries after a network error
    #[arg(long, value_name = "N", global = true, default_value_t = 3, help_heading = "Network")]
    retries: u32,
    /// The time in which a new version must confirm that it works, in seconds; 0 for no probation
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 300, help_heading = "Installation")]
    probation: u64,
    /// Update for all users: a swap waits for their programs, at most for this time after the
    /// download, as in 3d
    #[arg(long, value_name = "TIME", global = true, value_parser = duration, help_heading = "Installation")]
    all_users: Option<Duration>,
    /// The name of this program in requests
    #[arg(long, value_name = "NAME", global = true, default_value = "patcher", help_heading = "Network")]
    user_agent: String,
    /// The number of simultaneous requests, 1 to 16
    #[arg(long, value_name = "N", global = true, default_value_t = 4, help_heading = "Network")]
    parallel: usize,
    /// The helper program; `patcher-helper` beside this one by default
    #[arg(long, value_name = "FILE", global = true, help_heading = "Installation")]
    helper: Option<PathBuf>,
    /// The folder of the updater's own files; `.patcher` in the root by default
    #[arg(long, value_name = "DIR", global = true, help_heading = "Installation")]
    state_dir: Option<PathBuf>,
    /// A language of the release notes, as in pt-BR; repeat it, the best first
    #[arg(long = "lang", value_name = "TAG", global = true, help_heading = "Output")]
    languages: Vec<String>,
    /// Print one JSON object
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// The display of a download's progress; a bar on a terminal by default
    #[arg(long, value_name = "HOW", global = true, help_heading = "Output")]
    pub progress: Option<ProgressStyle>,
    /// Show causes of errors and more details
    #[arg(short, long, global = true, help_heading = "Output")]
    pub verbose: bool,
    #[command(subcommand)]
    pub command: PatcherCommand,
}

/// The display of a download's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    /// A bar
    Bar,
    /// A JSON object for each line, at most 20 in a second
    Json,
    /// Nothing
    None,
}
