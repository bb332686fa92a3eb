//! A program that checks for updates in the background and restarts when its user agrees.
//!
//! It is installed in `ROOT/app/bin/`, with `patcher-helper` beside it.

use patcher::{Config, Started, WatchEvent, WatchOptions, Watcher};
use std::error::Error;

/// The public half of the publisher's key, from `manifest-tool keygen release`.
const KEY: &str = include_str!("release.pub.pem");

fn main() -> Result<(), Box<dyn Error>> {
    match patcher::init(Config::for_current_exe("app").trusted_key(KEY)) {
        Ok(Started::Updated { from, to, .. }) => println!("this is {to}; it was {from}"),
        Ok(Started::RolledBack { from, to, reason, .. }) => {
            println!("this is {to} again; {from} did not work: {reason}");
        }
        Ok(Started::UpdatesOff(reason)) => println!("no updates: {reason}"),
        Ok(_) => {}
        // An error of the updater never ends the program.
        Err(error) => println!("no updates: {error}"),
    }
    let patcher = patcher::handle()?;
    // It checks within the first minute, and then every four hours, until it is dropped.
    let watcher = Watcher::start(patcher, WatchOptions::default(), |event| report(&event));
    let check_now = || watcher.as_ref().map_or_else(|error| println!("no updates: {error}"), Watcher::check_now);
    println!("hello; what now? check, restart, pause, resume, skip or quit");
    patcher::confirm()?; // this version works, and its probation ends
    for line in std::io::stdin().lines() {
        match line?.trim() {
            "check" => check_now(),
            "restart" => match patcher.staged()? {
                // The program ends; the helper swaps the files and starts it again.
                Some(staged) => drop(staged.restart()?),
                None => println!("there is nothing to restart for"),
            },
            "pause" => patcher.pause()?,
            "resume" => {
                patcher.resume()?;
                check_now();
            }
            "skip" => {
                if let Some(update) = patcher::check_component("app")?.update() {
                    patcher.skip(update.component(), update.to())?;
                }
            }
            "quit" => break,
            other => println!("what is `{other}`?"),
        }
    }
    Ok(())
}

/// Runs in the watcher's thread. A program with windows sends a message to its own thread.
fn report(event: &WatchEvent<'_>) {
    match event {
        WatchEvent::UpdateFound(updates) => {
            updates.iter().for_each(|update| println!("{} is there, {} bytes", update.to(), update.download_size()));
        }
        WatchEvent::Staged(_) => println!("an update is ready: restart?"),
        // Once for each check, until the update is applied, resumed or skipped.
        WatchEvent::Reminder { version, state, .. } => println!("{version} is still {state}"),
        WatchEvent::Failed { error, retry_in } => println!("no update: {error}; again in {} s", retry_in.as_secs()),
        _ => {}
    }
}
