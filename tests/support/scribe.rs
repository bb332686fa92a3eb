//! The program that tests install: it links the library and records how it was started.
//!
//! `scribe ROOT KEY.pem HELPER LINES ORDER…` adds a line to the file LINES and does as the ORDER
//! says: words for version 1, a slash, words for version 2, as in
//! `restart / confirm wait:FILE exit:0`. Its version is the last byte of its file.

use patcher::{Config, Patcher, Started, WatchEvent, WatchMode, WatchOptions, Watcher};
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The longest wait for a file, so that the program does not outlive a failed test.
const MAX_WAIT: Duration = Duration::from_secs(120);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("--patcher-helper") {
        // In the copy that is the helper, this ends the process. It needs a key, but no correct
        // one.
        let config = Config::new("/").trusted_key(include_str!("../../examples/release.pub.pem"));
        patcher::init(config.helper_is_this_program())?;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, key, helper, lines, order @ ..] = &arguments[..] else {
        eprintln!("usage: scribe ROOT KEY.pem HELPER LINES ORDER…");
        return Ok(ExitCode::from(2));
    };
    // Read before the start, after which another file may lie there.
    let version = fs::read(std::env::current_exe()?)?.last().map_or('?', |byte| char::from(*byte));
    let config = Config::new(root).trusted_key(fs::read_to_string(key)?);
    let config = if helper == "itself" { config.helper_is_this_program() } else { config.helper(helper) };
    let patcher = Patcher::new(config)?;
    let started = match patcher.start() {
        Ok(Started::HandedOver) => return Ok(ExitCode::SUCCESS),
        Ok(started) => format!("{started:?}"),
        Err(error) => format!("error {}", error.code()),
    };
    let mut line = format!("version={version} started={started} pid={}", std::process::id());
    describe(&mut line)?;
    writeln!(File::options().create(true).append(true).open(lines)?, "{line}")?;
    let mut parts = order.split(|word| word == "/");
    let words = if version == '1' { parts.next() } else { parts.nth(1) };
    for word in words.unwrap_or_default() {
        match word.split_once(':').unwrap_or((word, "")) {
            ("confirm", _) => drop(patcher.confirm()?),
            ("wait", file) => wait(Path::new(file)),
            ("watch", file) => watch(&patcher, Path::new(file))?,
            ("say", words) => println!("{words}"),
            ("exit", code) => return Ok(ExitCode::from(code.parse::<u8>()?)),
            ("update", how) => update(&patcher, how)?,
            ("daily", _) => match patcher.check_if_due("core", Duration::from_secs(86_400)) {
                Ok(offer) => println!("daily: {:?}", offer.update().map(|update| update.to().to_string())),
                Err(error) => println!("daily: {}", error.code()),
            },
            ("back", _) => drop(patcher.previous()?.map(patcher::Previous::restart).transpose()?),
            ("staged", how) => act(patcher.staged()?, how)?,
            _ => return Err(format!("what is {word}?").into()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Appends the session, the working folder, the inputs and outputs, and inherited variables.
fn describe(line: &mut String) -> Result<(), Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let session = after_name.split(' ').nth(3).unwrap_or_default();
    write!(line, " session={session} dir={}", std::env::current_dir()?.display())?;
    for number in 0..3 {
        let name = fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
        write!(line, " fd{number}={}", name.file_name().unwrap_or_default().display())?;
    }
    let word = std::env::var("SCRIBE_WORD").unwrap_or_default();
    write!(line, " word={word} relaunched={}", std::env::var_os("PATCHER_RELAUNCHED").is_some())?;
    Ok(())
}

fn wait(file: &Path) {
    let end = Instant::now() + MAX_WAIT;
    while !file.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Leaves it to a watcher that checks each second to have updates applied when this program ends.
fn watch(patcher: &Patcher, file: &Path) -> patcher::Result<()> {
    let options = WatchOptions::default().first_within(Duration::ZERO).interval(Duration::from_secs(1));
    let watcher = Watcher::start(patcher, options.mode(WatchMode::ApplyOnExit), |event| {
        if let WatchEvent::Applied(releases) = event {
            releases.iter().for_each(|release| println!("{} is in place", release.version));
        }
    })?;
    wait(file);
    watcher.stop();
    Ok(())
}

fn update(patcher: &Patcher, how: &str) -> patcher::Result<()> {
    match patcher.check_component("core")?.update() {
        Some(update) => act(Some(update.download(|_| ())?), how),
        None => Ok(()),
    }
}

fn act(staged: Option<patcher::Staged>, how: &str) -> patcher::Result<()> {
    match (staged, how) {
        (None, _) => Ok(()),
        (Some(staged), "restart") => staged.restart().map(drop),
        (Some(staged), "on-exit") => staged.apply_on_exit(),
        (Some(staged), _) => staged.apply().map(drop),
    }
}
