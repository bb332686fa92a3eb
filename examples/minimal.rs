//! The smallest program that keeps itself up to date.
//!
//! It is installed in `ROOT/app/…`, with `patcher-helper` beside it.

use patcher::{Config, WatchEvent, WatchMode, WatchOptions, Watcher};
use std::time::Duration;

const KEY: &str = include_str!("release.pub.pem"); // from `manifest-tool keygen release`

fn main() {
    // First in `main`: finishes what an earlier run began. An error never ends the program.
    let started = patcher::init(Config::for_current_exe("app").trusted_key(KEY));
    let _watcher = started.and_then(|_| watch()).inspect_err(|error| eprintln!("no updates: {error}"));
    println!("hello, world; press Enter to end"); // the program's own work
    let _ = patcher::confirm(); // this version works; without this call the old one comes back
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Checks in a thread every four hours. The end of the program installs the new version.
fn watch() -> patcher::Result<Option<Watcher>> {
    let options = WatchOptions::default().first_within(Duration::from_secs(1)).mode(WatchMode::ApplyOnExit);
    Watcher::start_if_needed(patcher::handle()?, options, |event| {
        if let WatchEvent::Failed { error, .. } = event {
            eprintln!("no update this time: {error}");
        }
    })
}
