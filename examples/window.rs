//! A program with the update window: a watcher finds an update, and the window asks the user.
//!
//! It is installed in `ROOT/app/…`, with `patcher`, `patcher-helper` and `patcher-window` beside
//! it.

use patcher::{Config, Result, WatchEvent, WatchMode, WatchOptions, Watcher};
use std::process::Command;
use std::time::Duration;

/// The public half of the publisher's key, from `manifest-tool keygen release`.
const KEY: &str = include_str!("release.pub.pem");

fn main() {
    let started = patcher::init(Config::for_current_exe("app").trusted_key(KEY));
    let watcher = started.and_then(|_| watch());
    if let Err(error) = &watcher {
        eprintln!("no updates: {error}");
    }
    println!("hello, world; press Enter to end"); // the program's own work
    let _ = patcher::confirm(); // this version works; without this call the old one comes back
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Checks in a thread every four hours. Each new version opens the window once.
fn watch() -> Result<Option<Watcher>> {
    let options = WatchOptions::default().first_within(Duration::from_secs(1)).mode(WatchMode::Notify);
    Watcher::start_if_needed(patcher::handle()?, options, |event| {
        if let WatchEvent::UpdateFound(_) = event
            && let Err(error) = ask_user()
        {
            eprintln!("no update this time: {error}");
        }
    })
}

/// Opens the window, and does what the user has decided.
fn ask_user() -> Result<()> {
    let window = std::env::current_exe().unwrap_or_default().with_file_name("patcher-window");
    let choice = Command::new(window).args(["--key", KEY, "--name", "Greeter"]).status();
    match (choice.ok().and_then(|end| end.code()), patcher::handle()?.staged()?) {
        // Save the user's work before: the program ends here, and starts again as the new version.
        (Some(12), Some(staged)) => staged.restart().map(|never| match never {}),
        (Some(13), Some(staged)) => staged.apply_on_exit(),
        _ => Ok(()),
    }
}
