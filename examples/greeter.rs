//! The small product of the quickstart: it greets, keeps itself up to date, and writes what it does
//! to `greeter.log`.
//!
//! It lies in `ROOT/greeter/bin/`, with `patcher-helper` beside it; its greeting lies in
//! `ROOT/greeter/share/`. Where another program looks for updates once a day, it looks five times a
//! second. It ends when it is updated, when there is a file `ROOT/greeter.stop`, or after five
//! minutes, so that nothing stays behind whatever becomes of the quickstart.

use patcher::internal::timestamp::Timestamp;
use patcher::{Config, Error, Update};
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
const PAUSE: Duration = Duration::from_millis(200);
const LIFETIME: Duration = Duration::from_secs(300);

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
            greeter.say(error);
            ExitCode::FAILURE
        }
    }
}

/// The running program, and where it is installed.
struct Greeter {
    root: PathBuf,
    log: File,
    last_news: String,
}

impl Greeter {
    fn find() -> Result<Self, Box<dyn std::error::Error>> {
        let program = std::env::current_exe()?;
        let root = program.ancestors().nth(3).ok_or("the program does not lie in ROOT/greeter/bin")?.to_owned();
        let log = File::options().create(true).append(true).open(root.join("greeter.log"))?;
        Ok(Self { root, log, last_news: String::new() })
    }

    fn run(&mut self, version: &str, key: &str) -> Result<(), Box<dyn std::error::Error>> {
        patcher::init(Config::new(&self.root).trusted_key(key))?;
        let greeting = fs::read_to_string(self.root.join(COMPONENT).join("share/greeting.txt"))?;
        self.say(format_args!("{}, this is greeter {version}", greeting.trim()));
        patcher::confirm()?;
        let (stop, end) = (self.root.join("greeter.stop"), Instant::now() + LIFETIME);
        while !stop.exists() && Instant::now() < end {
            match patcher::check_component(COMPONENT) {
                Ok(Some(update)) => self.update(update)?,
                Ok(None) => self.tell_news("up to date".to_owned()),
                // Whatever happens to the site, the program runs on.
                Err(error @ (Error::Refused(_) | Error::Network(_) | Error::Busy { .. })) => {
                    self.tell_news(format!("{} (exit code {}): {error}", error.code(), error.exit_code()));
                }
                Err(error) => return Err(error.into()),
            }
            thread::sleep(PAUSE);
        }
        self.say("goodbye");
        Ok(())
    }

    /// Becomes the new version; returns only if that fails.
    fn update(&mut self, update: Update) -> patcher::Result<()> {
        let (to, files, bytes) = (update.to(), update.changes(), update.download_size());
        self.say(format_args!("found {to}: {files} files change, {bytes} bytes to download"));
        let mut told = 0;
        let staged = update.download(|progress| {
            let quarters = 4 * progress.bytes_done / progress.bytes_total.max(1);
            if quarters > told {
                told = quarters;
                self.say(format_args!("{} of {} bytes", progress.bytes_done, progress.bytes_total));
            }
        })?;
        self.say("verified and staged; the helper takes over");
        staged.restart()?;
        Ok(())
    }

    /// Adds a line to the log, unless it was the last one that was news.
    fn tell_news(&mut self, news: String) {
        if news != self.last_news {
            self.say(&news);
            self.last_news = news;
        }
    }

    /// Adds a line to the log, with time and process id as in the helper's. One that cannot be
    /// written is lost.
    fn say(&mut self, text: impl Display) {
        let line = format!("{} [{}] {text}\n", Timestamp::now(), std::process::id());
        let _ = self.log.write_all(line.as_bytes());
    }
}
