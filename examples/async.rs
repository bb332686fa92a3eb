//! A program with an async runtime that keeps itself up to date.
//!
//! It is installed in `ROOT/app/bin/`, with `patcher-helper` beside it. `init` comes before the
//! runtime starts: it may replace this process. Calls that wait for the network run on a thread for
//! blocking calls.

use patcher::{Config, Staged};
use std::error::Error;

/// The public half of the publisher's key, from `manifest-tool keygen release`.
const KEY: &str = include_str!("release.pub.pem");

fn main() -> Result<(), Box<dyn Error>> {
    if let Err(error) = patcher::init(Config::for_current_exe("app").trusted_key(KEY)) {
        eprintln!("no updates: {error}");
    }
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let update = tokio::task::spawn_blocking(download);
    println!("hello, world"); // the program's own work
    let _ = patcher::confirm(); // this version works; without this call the old one comes back
    match update.await? {
        Ok(Some(staged)) => drop(staged.restart()?), // the program ends, and starts as the new one
        Ok(None) => {}
        Err(error) => eprintln!("no update this time: {error}"),
    }
    Ok(())
}

/// Downloads the newest version, if there is one.
fn download() -> patcher::Result<Option<Staged>> {
    let Some(update) = patcher::check_component("app")?.update() else { return Ok(None) };
    update.download(|_| ()).map(Some)
}
