//! The product of the quickstart: it greets, keeps itself up to date, and writes `greeter.log`.
//!
//! It is installed in `ROOT/greeter/bin/`, with `patcher-helper` beside it and its greeting in
//! `ROOT/greeter/share/`. It checks for updates five times per second; a real program checks a few
//! times per day. It ends when it is updated, when the file `ROOT/greeter.stop` exists, or after
//! 300 s, so that it does not outlive a failed quickstart.

use patcher::{Config, Error, Offer, Timestamp, Update};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

const COMPONENT: &str = "greeter";
const VERSION: Option<&str> = option_env!("GREETER_VERSION");
/// The publisher's public key, PEM.
const KEY: Option<&str> = option_env!("GREETER_KEY");
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
const MAX_RUN_TIME: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    let (Some(version), Some(key)) = (VERSION, KEY) else {
        eprintln!(
            "greeter: built without GREETER_VERSION and GREETER_KEY, which `cargo run --example quickstart` sets"
        );
        return ExitCode::from(2);
    };
    let mut greeter = match Greeter::find() {
        Ok(greeter) => greeter,
        Err(error) => {
            eprintln!("greeter: {error}");
            return ExitCode::FAILURE;
        }
    };
    match greeter.run(version, key) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            greeter.log(error);
            ExitCode::FAILURE
        }
    }
}

/// The running program with its install root and log.
struct Greeter {
    root: PathBuf,
    log_file: File,
    last_logged: String,
}

impl Greeter {
    fn find() -> Result<Self, Box<dyn std::error::Error>> {
        let program = std::env::current_exe()?;
        let root = program.ancestors().nth(3).ok_or("the program is not in ROOT/greeter/bin")?.to_owned();
        let log_file = File::options().create(true).append(true).open(root.join("greeter.log"))?;
        Ok(Self { root, log_file, last_logged: String::new() })
    }

    fn run(&mut self, version: &str, key: &str) -> Result<(), Box<dyn std::error::Error>> {
        patcher::init(Config::new(&self.root).trusted_key(key))?;
        let path = self.root.join(COMPONENT).join("share/greeting.txt");
        let greeting = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        self.log(format_args!("{}, this is greeter {version}", greeting.trim()));
        patcher::confirm()?;
        let (stop, end) = (self.root.join("greeter.stop"), Instant::now() + MAX_RUN_TIME);
        while !stop.exists() && Instant::now() < end {
            match patcher::check_component(COMPONENT) {
                Ok(Offer::Update(update)) => self.update(*update)?,
                Ok(Offer::Deferred(deferred)) => {
                    self.log_change(format!("{} is deferred: {}", deferred.version, deferred.reason))
                }
                Ok(_) => self.log_change("up to date".to_owned()),
                // An error of the site must not end the program.
                Err(error @ (Error::Refused(_) | Error::Network(_) | Error::Busy { .. })) => {
                    self.log_change(format!("{} (exit code {}): {error}", error.code(), error.exit_code()));
                }
                Err(error) => return Err(error.into()),
            }
            thread::sleep(CHECK_INTERVAL);
        }
        self.log("goodbye");
        Ok(())
    }

    /// Becomes the new version; returns only on an error.
    fn update(&mut self, update: Update) -> patcher::Result<()> {
        let (to, files, bytes) = (update.to(), update.changes(), update.download_size());
        self.log(format_args!("found {to}: {files} files change, {bytes} bytes to download"));
        let mut logged = 0;
        let staged = update.download(|progress| {
            let quarters = 4 * progress.bytes_done / progress.bytes_total.max(1);
            if quarters > logged {
                logged = quarters;
                self.log(format_args!("{} of {} bytes", progress.bytes_done, progress.bytes_total));
            }
        })?;
        self.log("verified and staged; the helper takes over");
        staged.restart()?;
        Ok(())
    }

    /// Adds a line to the log, unless it equals the last one.
    fn log_change(&mut self, text: String) {
        if text != self.last_logged {
            self.log(&text);
            self.last_logged = text;
        }
    }

    /// Adds a line with time and process id to the log. A write error is ignored.
    fn log(&mut self, text: impl Display) {
        let line = format!("{} [{}] {text}\n", Timestamp::now(), std::process::id());
        let _ = self.log_file.write_all(line.as_bytes());
    }
}
