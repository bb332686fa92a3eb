//! The arguments, and the configuration that they describe.

use crate::quantities::{duration, seconds, speed};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use patcher::{Caller, Config, Error, Machine, Result};
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The beginning of a key that is given as text.
const PEM_START: &str = "-----BEGIN ";
/// The most bytes that the program reads of a file of keys, certificates or headers.
const MAX_SMALL_FILE_BYTES: u64 = 1 << 20;

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

/// A decision of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Decision {
    /// Agree
    On,
    /// Disagree
    Off,
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
        decision: Decision,
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

impl PatcherArguments {
    /// Makes the configuration that the arguments describe.
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::new(&self.root)
            .threshold(self.threshold)
            .channel(&self.channel)
            .connect_timeout(seconds("connect timeout", self.connect_timeout)?)
            .stall_timeout(seconds("stall timeout", self.stall_timeout)?)
            .check_timeout(seconds("check timeout", self.check_timeout)?)
            .retries(self.retries)
            .user_agent(&self.user_agent)
            .parallel(self.parallel)
            .probation(Duration::from_secs(self.probation));
        for key in &self.keys {
            // A program that has its key compiled in needs no file.
            config = match key.to_str().filter(|key| key.starts_with(PEM_START)) {
                Some(text) => config.trusted_key(text),
                None => config.trusted_key(read_small_file(Path::new(key))?),
            };
        }
        if let Some(deadline) = self.all_users {
            config = config.all_users(deadline);
        }
        for component in &self.components {
            let (name, dir) = component.split_once('=').ok_or_else(|| Caller::BadSetting {
                setting: "component",
                value: component.clone(),
                detail: "not NAME=DIR".to_owned(),
            })?;
            config = config.component(name, dir);
        }
        if self.allow_downgrade {
            config = config.allow_downgrade(true);
        }
        if let PatcherCommand::Install { name, floor: Some(floor), .. } = &self.command {
            config = config.floor(name, *floor);
        }
        if let Some(helper) = &self.helper {
            config = config.helper(helper);
        }
        if let Some(dir) = &self.state_dir {
            config = config.state_dir(dir);
        }
        if !self.languages.is_empty() {
            config = config.languages(&self.languages);
        }
        if let Some(platform) = &self.platform {
            config = config.platform(platform);
        }
        if let Some(proxy) = &self.proxy {
            config = config.proxy(proxy);
        }
        if let Some(hosts) = &self.no_proxy {
            config = config.no_proxy(hosts);
        }
        if let Some(limit) = self.rate_limit.as_deref().map(speed).transpose()?.filter(|limit| *limit > 0) {
            config = config.rate_limit(limit);
        }
        if let Some(site) = &self.site {
            config = config.site(site);
        }
        for header in &self.headers {
            let lines = match header.strip_prefix('@') {
                Some(path) => read_small_file(Path::new(path))?,
                None => header.clone(),
            };
            for line in lines.lines().filter(|line| !line.trim().is_empty()) {
                let (origin, name, value) = self.header(line)?;
                config = config.header(origin, name, value);
            }
        }
        if let Some(path) = &self.client_cert {
            let origin = self.asked_url().ok_or_else(|| Caller::BadSetting {
                setting: "client certificate",
                value: String::new(),
                detail: "it is for no server; use --site".to_owned(),
            })?;
            let key = self.client_key.as_deref().map(read_small_file).transpose()?.unwrap_or_default();
            config = config.client_identity(origin, format!("{}\n{key}", read_small_file(path)?));
        }
        if let Some(path) = &self.cacert {
            config = config.add_root_certificate(read_small_file(path)?);
        }
        Ok(config)
    }

    /// Returns the URL of `--from`, or else that of `--site`.
    fn asked_url(&self) -> Option<&str> {
        match &self.command {
            PatcherCommand::Install { from, .. } => Some(from),
            _ => self.site.as_deref(),
        }
    }

    /// Returns the command line that runs another command on the same installation.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for a path that is not UTF-8, [`Machine::Io`].
    pub fn command_line(&self, command: &[&str]) -> Result<Vec<String>> {
        let own = std::env::current_exe();
        let own = own.map_err(|source| Machine::Io { action: "find", path: "patcher".into(), source })?;
        let mut line = vec![absolute(&own)?, "--root".to_owned(), absolute(&self.root)?];
        for key in &self.keys {
            let key = match key.to_str().filter(|key| key.starts_with(PEM_START)) {
                Some(key) => key.to_owned(),
                None => absolute(Path::new(key))?,
            };
            line.extend(["--key".to_owned(), key]);
        }
        line.extend(["--threshold".to_owned(), self.threshold.to_string()]);
        for component in &self.components {
            let (name, dir) = component.split_once('=').unwrap_or_default();
            line.extend(["--component".to_owned(), format!("{name}={}", absolute(Path::new(dir))?)]);
        }
        if let Some(dir) = &self.state_dir {
            line.extend(["--state-dir".to_owned(), absolute(dir)?]);
        }
        line.extend(command.iter().map(|&word| word.to_owned()));
        Ok(line)
    }

    /// Parses a header into the URL of its origin, its name and its value.
    fn header<'a>(&'a self, line: &'a str) -> Result<(&'a str, &'a str, &'a str)> {
        // The line may hold a secret, and no message shows it.
        let bad =
            |detail: &str| Caller::BadSetting { setting: "header", value: String::new(), detail: detail.to_owned() };
        let is_url = line.starts_with("http://") || line.starts_with("https://");
        let (origin, header) = match line.split_once(' ').filter(|_| is_url) {
            Some((origin, header)) => (Some(origin), header),
            None => (None, line),
        };
        let origin = origin.or(self.asked_url());
        let origin = origin.ok_or_else(|| bad("it names no origin; put a URL before it, or use --site"))?;
        let (name, value) = header.split_once(':').ok_or_else(|| bad("not NAME: VALUE"))?;
        Ok((origin, name.trim(), value.trim()))
    }
}

/// Returns the absolute path as text.
///
/// # Errors
/// [`Caller::BadSetting`] for a path that is not UTF-8, [`Machine::Io`].
pub fn absolute(path: &Path) -> Result<String> {
    let failed = |source| Machine::Io { action: "find", path: path.to_owned(), source };
    std::path::absolute(path).map_err(failed)?.into_os_string().into_string().map_err(|path| {
        let (value, detail) = (path.to_string_lossy().into_owned(), "it is not UTF-8".to_owned());
        Error::from(Caller::BadSetting { setting: "path", value, detail })
    })
}

/// Reads a file of keys, certificates or headers.
fn read_small_file(path: &Path) -> Result<String> {
    let failed = |source| Error::from(Machine::Io { action: "read", path: path.to_owned(), source });
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_SMALL_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
