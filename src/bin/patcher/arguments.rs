//! The arguments, and the configuration that they stand for.

use clap::{Parser, Subcommand};
use patcher::internal::error::{Caller, Machine};
use patcher::{Config, Error, Result};
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest key or certificate file that is read, in bytes.
const MAX_PEM: u64 = 1 << 20;

/// Installs, checks, updates and verifies the components of a program.
#[derive(Debug, Parser)]
#[command(name = "patcher", version, arg_required_else_help = true)]
pub struct Arguments {
    /// The folder that holds the components
    #[arg(long, value_name = "DIR", global = true, default_value = ".")]
    root: PathBuf,
    /// A trusted public key; several in the order in which they take over
    #[arg(long = "key", value_name = "PUB.pem", global = true)]
    keys: Vec<PathBuf>,
    /// How many of the keys must have signed
    #[arg(long, value_name = "N", global = true, default_value_t = 1)]
    threshold: usize,
    /// The channel to follow
    #[arg(long, value_name = "NAME", global = true, default_value = "stable")]
    channel: String,
    /// The platform whose releases to take, as in x86_64-linux
    #[arg(long, value_name = "PLATFORM", global = true)]
    platform: Option<String>,
    /// A component that does not lie in the folder of its name under the root
    #[arg(long = "component", value_name = "NAME=DIR", global = true)]
    components: Vec<String>,
    /// A proxy for all requests; else the usual environment variables
    #[arg(long, value_name = "URL", global = true)]
    proxy: Option<String>,
    /// Hosts to reach without a proxy, separated by commas; else the environment's no_proxy
    #[arg(long, value_name = "HOSTS", global = true)]
    no_proxy: Option<String>,
    /// The most bytes a second, as in 500K or 2M; 0 is no limit
    #[arg(long, value_name = "SPEED", global = true)]
    rate_limit: Option<String>,
    /// The site to ask instead of those that the manifests name: a URL or a folder
    #[arg(long, value_name = "DIR_OR_URL", global = true)]
    site: Option<String>,
    /// A certificate authority to trust besides the system's
    #[arg(long, value_name = "FILE", global = true)]
    cacert: Option<PathBuf>,
    /// How many seconds a connection may take
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 10)]
    connect_timeout: u64,
    /// How many seconds may pass without a byte
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 30)]
    stall_timeout: u64,
    /// How often to repeat what the network failed
    #[arg(long, value_name = "N", global = true, default_value_t = 3)]
    retries: u32,
    /// How many seconds a new version may take to confirm that it works; 0 to keep it unasked
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 300)]
    probation: u64,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install a component, or adopt the files that are there
    Install {
        /// The component
        name: String,
        /// Its manifest or the folder of that: http, https, file, or a path
        #[arg(long, value_name = "URL")]
        from: String,
    },
    /// See whether there is something new: exit code 10
    Check {
        /// All components unless named
        names: Vec<String>,
    },
    /// Check, download and stage
    Download {
        /// All components unless named
        names: Vec<String>,
    },
    /// Make what is staged live
    Apply {
        /// Let the helper do it once this process has ended
        #[arg(long, value_name = "PID")]
        wait_pid: Option<u32>,
        /// Let the helper start COMMAND afterwards
        #[arg(long, requires = "command")]
        restart: bool,
        /// What to start
        #[arg(last = true, value_name = "COMMAND", requires = "restart")]
        command: Vec<OsString>,
    },
    /// Check, download and apply
    Update {
        /// All components unless named
        names: Vec<String>,
    },
    /// Fetch what is missing or damaged, and nothing else
    Repair {
        /// All components unless named
        names: Vec<String>,
    },
    /// Compare the files with the manifests: exit code 11 when some are damaged or missing
    Verify {
        /// All components unless named
        names: Vec<String>,
    },
    /// Tell that the new version works: its probation ends
    Confirm,
    /// Return to the version before the one on probation
    Rollback {
        /// A component that must be among those that return
        name: Option<String>,
    },
    /// Finish or undo an interrupted swap
    Recover,
    /// Uninstall a component; files that the user added or changed stay
    Remove {
        /// The component
        name: String,
    },
    /// Show what is installed and what is staged
    Status,
    /// Show what became of the updates of the past, the newest first
    History,
    /// Check again and again, until this process is told to end
    Watch {
        /// From one check to the next, as in 4h, 30m or 90s
        #[arg(long, value_name = "TIME", default_value = "4h", value_parser = duration)]
        interval: Duration,
        /// The first check comes at a random time within this one
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
        first_within: Duration,
        /// Only tell of updates
        #[arg(long, conflicts_with = "apply")]
        notify: bool,
        /// Apply updates as soon as no instance of the program runs
        #[arg(long)]
        apply: bool,
    },
    /// Stop downloads, those of other processes too, until `resume`
    Pause,
    /// Allow downloads again, and go on with one that was stopped
    Resume,
    /// Leave the newest version of a component out
    Skip {
        /// The component
        name: String,
    },
}

impl Command {
    /// Whether it may take long for others' reasons, so that a user may want to stop it.
    pub fn asks_a_server(&self) -> bool {
        !matches!(
            self,
            Self::Apply { .. }
                | Self::Verify { .. }
                | Self::Confirm
                | Self::Rollback { .. }
                | Self::Recover
                | Self::Remove { .. }
                | Self::Status
                | Self::History
                | Self::Pause
        )
    }
}

impl Arguments {
    /// The configuration that they stand for.
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::new(&self.root)
            .threshold(self.threshold)
            .channel(&self.channel)
            .connect_timeout(seconds("connect timeout", self.connect_timeout)?)
            .stall_timeout(seconds("stall timeout", self.stall_timeout)?)
            .retries(self.retries)
            .probation(Duration::from_secs(self.probation));
        for path in &self.keys {
            config = config.trusted_key(read_pem(path)?);
        }
        for component in &self.components {
            let (name, dir) = component.split_once('=').ok_or_else(|| Caller::BadSetting {
                setting: "component",
                value: component.clone(),
                detail: "not NAME=DIR".to_owned(),
            })?;
            config = config.component(name, dir);
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
        if let Some(path) = &self.cacert {
            config = config.add_root_certificate(read_pem(path)?);
        }
        Ok(config)
    }
}

fn seconds(setting: &'static str, seconds: u64) -> Result<Duration> {
    if (1..=86_400).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    let detail = "not 1 to 86400 seconds".to_owned();
    Err(Caller::BadSetting { setting, value: seconds.to_string(), detail }.into())
}

/// Bytes a second as curl's `--limit-rate` takes them: a number, and a suffix that counts by 1024.
fn speed(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" => Some(1),
        "m" => Some(2),
        "g" => Some(3),
        "t" => Some(4),
        "p" => Some(5),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().zip(power);
    number.and_then(|(number, power)| number.checked_mul(1024_u64.pow(power))).ok_or_else(|| {
        let detail = "not a number of bytes a second, as in 500K or 2M".to_owned();
        Caller::BadSetting { setting: "rate limit", value: text.to_owned(), detail }.into()
    })
}

/// A number of seconds, minutes, hours or days.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err("the units are s, m, h and d".to_owned()),
    };
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds
        .filter(|seconds| *seconds <= 366 * 24 * 60 * 60)
        .map(Duration::from_secs)
        .ok_or_else(|| "not a time up to a year".to_owned())
}

fn read_pem(path: &Path) -> Result<String> {
    let failed = |source| Error::from(Machine::Io { action: "read", path: path.to_owned(), source });
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_PEM).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::speed;

    #[test]
    fn speeds_are_written_as_for_curl() {
        for (text, bytes) in
            [("0", 0), ("800", 800), ("800B", 800), ("500K", 512_000), ("2m", 2 << 20), ("1G", 1 << 30)]
        {
            assert_eq!(speed(text).ok(), Some(bytes), "{text}");
        }
        for text in ["", "K", "-1", "1.5M", "1KB", "1 K", "fast", "99999999999P", "½K"] {
            assert_eq!(speed(text).map_err(|error| error.code()), Err("bad-setting"), "{text}");
        }
    }
}
