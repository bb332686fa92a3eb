//! `manifest-tool serve`: developers try out their updates on their own machine.

use crate::support::programs;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running server, which stops when it is dropped.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    /// Serves a site at a free port.
    fn start(site: &Path, faults: &[&str]) -> Self {
        let mut command = Command::new(programs::manifest_tool());
        command.arg("serve").arg(site).args(["--listen", "127.0.0.1:0"]).args(faults);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut first).unwrap();
        // The log of the requests must not fill the pipe.
        std::thread::spawn(move || lines.lines().count());
        Self { child, url: first.trim().rsplit(' ').next().unwrap().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_update_arrives_whatever_the_server_does_to_its_update_object() {
    let world = World::honest();
    world.publish("1.0.0", &Tree::from_seed(1));
    let site = world.publisher.site();
    for faults in [
        &[][..],
        &["--only", ".update", "--status", "503"],
        &["--only", ".update", "--damage"],
        &["--only", "/objects/", "--cut-off", "20000"],
        &["--ignore-ranges", "--only", "/objects/"],
        &["--wrong-ranges", "--only", "/objects/"],
    ] {
        let world = World::honest();
        world.publish("1.0.0", &Tree::from_seed(1));
        world.install("core");
        world.publish("2.0.0", &Tree::from_seed(1).mutate(2));
        world.server.take_paths();
        let served = Served::start(&world.publisher.site(), faults);
        world.user.ok(&["--site", &served.url, "--retries", "1", "update"]);
        world.user.has("core", &Tree::from_seed(1).mutate(2));
        assert!(world.server.take_paths().is_empty(), "{faults:?}: only the site is asked");
    }
    // Without a file there is no release.
    let served = Served::start(&site, &["--status", "500"]);
    world.user.fails(
        20,
        "http-status",
        &["--retries", "0", "install", "core", "--from", &format!("{}core/", served.url)],
    );
}

#[test]
fn a_port_that_is_in_use_is_named() {
    let world = World::honest();
    let address = world.server.host();
    let mut command = Command::new(programs::manifest_tool());
    let run = command.arg("serve").arg(world.publisher.site()).args(["--listen", &address]).output().unwrap();
    assert_eq!(run.status.code(), Some(22));
    let error = String::from_utf8(run.stderr).unwrap();
    assert!(error.contains(&format!("cannot listen at {address}")), "{error}");
}
