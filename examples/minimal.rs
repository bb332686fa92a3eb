//! The smallest program that keeps itself up to date.
//!
//! It is installed in `ROOT/app/bin/`, with `patcher-helper` beside it.

use patcher::Config;
use std::error::Error;

/// The public half of the publisher's key, from `manifest-tool keygen release`.
const KEY: &str = include_str!("release.pub.pem");

fn main() -> Result<(), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let root = program.ancestors().nth(3).ok_or("the program is not in ROOT/app/bin")?;
    patcher::init(Config::new(root).trusted_key(KEY))?; // finishes what an earlier run left to do
    println!("hello, world");
    patcher::confirm()?; // this version works; without this call the old one comes back
    if let Err(error) = update() {
        eprintln!("no update this time: {error}");
    }
    Ok(())
}

/// Becomes the newest version, if there is one. Then it does not return.
fn update() -> patcher::Result<()> {
    let Some(update) = patcher::check_component("app")? else { return Ok(()) };
    println!("{} is available, {} bytes to download", update.to(), update.download_size());
    let staged = update.download(|progress| eprint!("\r{} of {} bytes", progress.bytes_done, progress.bytes_total))?;
    staged.restart()?; // the program ends; the helper swaps the files and starts it again
    Ok(())
}
