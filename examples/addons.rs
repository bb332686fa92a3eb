//! A program with add-ons, each a component of its own with its own releases; what is new is
//! installed in one swap.
//!
//! It lies in `ROOT/app/bin/`, with `patcher-helper` beside it; an add-on lies in `ROOT/NAME/`. A
//! release may need others (`manifest-tool sign --requires 'app=^2'`): what does not fit together
//! is not offered.
//!
//!     addons               tells what is there, and updates all of it together
//!     addons add NAME URL  installs an add-on
//!     addons remove NAME   uninstalls it

use patcher::{Check, Component, Config, Patcher, Update};
use std::error::Error;

/// The public half of the publisher's key, from `manifest-tool keygen release`.
const KEY: &str = include_str!("release.pub.pem");

fn main() -> Result<(), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let root = program.ancestors().nth(3).ok_or("the program does not lie in ROOT/app/bin")?;
    patcher::init(Config::new(root).trusted_key(KEY))?;
    let patcher = patcher::handle()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["add", name, url] => {
            // Nothing runs from it yet: it is swapped here and now.
            patcher.install(name, url)?.download(|_| {})?.apply()?;
        }
        ["remove", name] => drop(patcher.remove(name)?),
        _ => {
            if let Err(error) = update(patcher) {
                eprintln!("no update this time: {error}");
            }
        }
    }
    for installed in patcher.status()?.components {
        println!("{} {}", installed.component, installed.release?.version);
    }
    patcher::confirm()?;
    Ok(())
}

/// Becomes the newest versions that fit together, if there are any: then this does not return.
fn update(patcher: &Patcher) -> patcher::Result<()> {
    // The program has the last word: what is in use is not asked for, and what would need its
    // update is not offered either.
    let free: Vec<Component> = patcher.components()?.into_iter().filter(|name| !is_in_use(name)).collect();
    let Check { updates, deferred, .. } = patcher.check(&free)?;
    deferred
        .iter()
        .for_each(|deferred| println!("{} {} has to wait: {}", deferred.component, deferred.version, deferred.reason));
    if updates.is_empty() {
        return Ok(());
    }
    updates.iter().for_each(|update| println!("{} {} is there", update.component(), update.to()));
    let staged = Update::download_all(updates, |progress| eprint!("\r{} bytes", progress.bytes_done))?;
    staged.restart()?; // the program ends, the helper swaps all of them or none and starts it again
    Ok(())
}

/// Whether a component is at work that is not to be disturbed.
fn is_in_use(component: &Component) -> bool {
    std::env::var("IN_USE").is_ok_and(|name| *component == name.as_str())
}
