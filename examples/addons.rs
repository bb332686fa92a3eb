//! A program with add-ons. Each add-on is a component with its own releases, and one swap installs
//! all updates.
//!
//! The program is installed in `ROOT/app/bin/`, with `patcher-helper` beside it, and an add-on in
//! `ROOT/NAME/`. A release can require versions of other components, as with
//! `manifest-tool sign --requires 'app=^2'`. The client offers only releases that fit together.
//!
//!     addons               lists all components, and updates them together
//!     addons add NAME URL  installs an add-on
//!     addons remove NAME   removes it

use patcher::{Check, Component, Config, Deferred, Patcher, Update};
use std::error::Error;

/// The public half of the publisher's key, from `manifest-tool keygen release`.
const KEY: &str = include_str!("release.pub.pem");

fn main() -> Result<(), Box<dyn Error>> {
    if let Err(error) = patcher::init(Config::for_current_exe("app").trusted_key(KEY)) {
        eprintln!("no updates: {error}"); // an error of the updater never ends the program
    }
    let patcher = patcher::handle()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["add", name, url] => {
            // The program does not run from the new folder, so that it can swap in this process.
            patcher.install(name, url)?.download(|_| {})?.apply()?;
        }
        ["remove", name] => drop(patcher.remove(name)?),
        _ => {}
    }
    for installed in patcher.status()?.components {
        println!("{} {}", installed.component, installed.release?.version);
    }
    patcher::confirm()?; // this version works
    if arguments.is_empty()
        && let Err(error) = update(patcher)
    {
        eprintln!("no update this time: {error}");
    }
    Ok(())
}

/// Becomes the newest versions that fit together, if there are any. Then it does not return.
fn update(patcher: &Patcher) -> patcher::Result<()> {
    // The program decides: it does not check components in use, and the client then does not offer
    // releases that require their updates.
    let free: Vec<Component> = patcher.components()?.into_iter().filter(|name| !is_in_use(name)).collect();
    let Check { updates, deferred, .. } = patcher.check(&free)?;
    for Deferred { component, version, reason, .. } in deferred {
        println!("{component} {version} is deferred: {reason}");
    }
    if updates.is_empty() {
        return Ok(());
    }
    updates.iter().for_each(|update| println!("{} {} is available", update.component(), update.to()));
    let staged = Update::download_all(updates, |progress| eprint!("\r{} bytes", progress.bytes_done))?;
    staged.restart()?; // the program ends; the helper swaps all or none and starts it again
    Ok(())
}

/// Returns `true` if a component must not be updated now.
fn is_in_use(component: &Component) -> bool {
    std::env::var("IN_USE").is_ok_and(|name| *component == name.as_str())
}
