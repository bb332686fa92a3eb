//! A whole update, as a story on the terminal: `cargo run --example quickstart`.
//!
//! A publisher makes keys, builds a small program, signs it and serves it. A user installs and runs
//! it. The publisher releases the next version, and the running program becomes it. An attacker
//! tries two attacks. The publisher releases a broken version, and the program returns to the one
//! before. All programs are real and run on this machine alone. The quickstart fails if a step
//! differs from the story, and deletes its files if all steps succeed.

mod installation;
mod log;
mod narrator;
mod site;
mod workshop;

use installation::Installation;
use narrator::{step, tell, title};
use site::Site;
use std::path::Path;
use std::process::ExitCode;
use workshop::Workshop;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let dir = match tempfile::Builder::new().prefix("patcher-quickstart-").tempdir() {
        Ok(dir) => dir,
        Err(error) => {
            eprintln!("quickstart: no temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = story(dir.path()) {
        eprintln!("\nquickstart: {error}\nquickstart: everything is kept in {}", dir.keep().display());
        return ExitCode::FAILURE;
    }
    let path = dir.path().to_owned();
    if let Err(error) = dir.close() {
        eprintln!("\nquickstart: {} is not removed: {error}", path.display());
        return ExitCode::FAILURE;
    }
    println!("\n1.0.0 became 1.1.0 by itself. Forged and old manifests were refused, and 1.2.0 was undone.");
    println!("Nothing is left behind: no process, no {}.", path.display());
    ExitCode::SUCCESS
}

fn story(dir: &Path) -> Result<()> {
    title("patcher: a release, its update, two attacks, and a broken release");
    tell("folder", &dir.display().to_string());

    step(1, "Build what comes with patcher (the first time this takes minutes)");
    let workshop = Workshop::new(dir)?;
    workshop.build_tools()?;

    step(2, "Make a key pair: one half signs, the other is built into the program");
    let key = workshop.make_keys()?;

    step(3, "Build version 1.0.0 of a small program, sign it, serve it");
    let site = Site::serve(workshop.site())?;
    workshop.build("1.0.0", "Good morning", &key, &site.url("greeter/"))?;
    workshop.sign()?;
    tell("site", &format!("is at {}", site.url("")));

    step(4, "A user installs it");
    let mut installation = Installation::new(dir.join("installed"), &key)?;
    installation.install(&site.url("greeter/"))?;
    site.report();
    installation.require_complete("1.0.0")?;

    step(5, "The user starts it; it looks for something newer from time to time");
    installation.start()?;
    installation.greeter.wait_for("Good morning, this is greeter 1.0.0")?;
    installation.greeter.wait_for("up to date")?;

    step(6, "The publisher builds and signs version 1.1.0 while 1.0.0 runs");
    workshop.build("1.1.0", "Good evening", &key, &site.url("greeter/"))?;
    workshop.sign()?;

    step(7, "The running 1.0.0 finds it, downloads what changed, and ends");
    installation.greeter.wait_for("found 1.1.0: 2 files change")?;
    installation.greeter.wait_for("the helper takes over")?;
    installation.wait_for_end()?;
    let objects = site.report().iter().filter(|answer| answer.is_object()).count();
    require(objects == 1, &format!("one object leads to 1.1.0, but {objects} objects were downloaded"))?;

    step(8, "The helper swaps the files, all or none, and starts 1.1.0");
    installation.helper.wait_for("greeter: 1.0.0 -> 1.1.0")?;
    installation.helper.wait_for("started")?;
    installation.greeter.wait_for("Good evening, this is greeter 1.1.0")?;
    installation.greeter.wait_for("up to date")?;
    site.report();
    installation.require_complete("1.1.0")?;

    step(9, "An attacker on the server changes one character of the manifest");
    let manifest = workshop.releases() + "manifest.xml";
    let genuine = site.read(&manifest)?;
    let forged = genuine.replacen(r#" version="1.1.0""#, r#" version="1.1.1""#, 1);
    require(forged != genuine, "the manifest does not name its version")?;
    site.replace(&manifest, &forged)?;
    // The head still says that nothing is new. Without it, clients read the manifest.
    let head_path = workshop.releases() + "latest.xml";
    let head = site.read(&head_path)?;
    site.replace(&head_path, "")?;
    installation.greeter.wait_for("bad-signature (exit code 21)")?;
    site.report();
    installation.require_complete("1.1.0")?;

    step(10, "The attacker puts the old manifest back, with its genuine signature");
    site.replace(&manifest, &site.read(&(workshop.releases() + "releases/1.xml"))?)?;
    installation.greeter.wait_for("rollback (exit code 21)")?;
    site.report();
    installation.require_complete("1.1.0")?;

    step(11, "The publisher restores the server: nothing new, so only the head is sent");
    site.replace(&manifest, &genuine)?;
    site.replace(&head_path, &head)?;
    installation.greeter.wait_for("up to date")?;
    site.report();

    step(12, "The publisher releases 1.2.0, and forgets a file that the program needs");
    workshop.build("1.2.0", "Good night", &key, &site.url("greeter/"))?;
    workshop.forget_greeting()?;
    workshop.sign()?;

    step(13, "1.2.0 ends with an error before it confirms, so the helper brings 1.1.0 back");
    installation.greeter.wait_for("the helper takes over")?;
    installation.helper.wait_for("greeter: 1.1.0 -> 1.2.0")?;
    installation.helper.wait_for("started")?;
    installation.greeter.wait_for("Good evening, this is greeter 1.1.0")?;
    installation.greeter.wait_for("1.2.0 is deferred")?;
    site.report();
    installation.require_complete("1.1.0")?;
    installation.stop()?;
    installation.greeter.wait_for("goodbye")
}

/// Fails with the message `otherwise` unless `holds` is `true`.
fn require(holds: bool, otherwise: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
