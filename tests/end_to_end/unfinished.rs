//! Interrupted downloads continue at the next byte and request no byte twice.

use crate::support::deadline::wait_for;
use crate::support::publisher::Published;
use crate::support::run::Run;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::{Tree, noise};
use crate::support::user::User;
use crate::support::world::World;
use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

/// The bytes that a slow server sends at a time.
const PIECE_BYTES: usize = 4096;

/// Creates a world with version 1 installed, and version 2 published with one more large file.
fn outdated() -> (World<Scripted>, Published, Tree) {
    let mut world = World::honest();
    world.user.options = ["--retries", "0"].map(Into::into).to_vec();
    let one = Tree::from_seed(1);
    world.publish("1.0.0", &one);
    world.install("core");
    let two = one.file("large", &noise(7, 400_000), 0o644);
    let published = world.publish("2.0.0", &two);
    world.server.take_paths();
    (world, published, two)
}

fn slowly() -> Reply {
    Reply::Slowly(PIECE_BYTES, Duration::from_millis(20))
}

fn spawn(user: &User, command: &str) -> Child {
    let mut command = user.command(&["--json", command]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Returns the staged bytes of an object.
fn part(user: &User, object: &str) -> u64 {
    let name = object.rsplit('/').next().unwrap().replace(".gz", ".part");
    fs::metadata(user.state("stage/core/objects").join(name)).map_or(0, |found| found.len())
}

/// Kills a program with SIGKILL.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Returns the path and the first byte of each request since the last call.
fn take_first_bytes(server: &Scripted) -> Vec<(String, u64)> {
    server.take_requests().into_iter().map(|request| (request.path.clone(), request.first_byte())).collect()
}

#[test]
fn a_pause_stops_another_processs_download_and_resume_continues_it() {
    let (world, published, two) = outdated();
    let (user, large) = (&world.user, published.object("large"));
    world.server.follow(|request| if request.path.ends_with(".gz") { slowly() } else { Reply::Site });
    let child = spawn(user, "download");
    wait_for("a part of the large object", || (part(user, &large) > 50_000).then_some(()));
    assert_eq!(user.ok(&["pause"])["paused"], true);
    Run::ended(child.wait_with_output().unwrap()).fails(24, "cancelled");
    let status = user.ok(&["status"]);
    let update = &status["updates"][0];
    assert_eq!((&update["component"], &update["state"]), (&"core".into(), &"paused".into()), "{status}");
    assert!(update["bytes"].as_u64() > Some(0) && update["bytes"].as_u64() < update["bytes_total"].as_u64());
    user.fails(24, "paused", &["download"]);
    let have = part(user, &large);
    assert!(have > 50_000);

    world.server.follow(|_| Reply::Site);
    world.server.take_paths();
    user.ok(&["resume"]);
    assert_eq!(take_first_bytes(&world.server), [(large, have)]);
    user.ok(&["apply"]);
    user.has("core", &two);
}

#[test]
fn a_killed_download_resumes_at_the_redirects_address() {
    let (world, published, two) = outdated();
    let (user, large) = (&world.user, published.object("large"));
    let elsewhere = Scripted::serve(&world.publisher.site(), |_| slowly());
    let (target, leads) = (elsewhere.url(), large.clone());
    world.server.follow(move |request| {
        let location = format!("{}{}", target.trim_end_matches('/'), request.path);
        if request.path == leads { Reply::redirect(302, &location) } else { Reply::Site }
    });
    let child = spawn(user, "download");
    let record = user.state("active-update.xml");
    wait_for("the address in the record", || {
        fs::read_to_string(&record).ok().filter(|text| text.contains("final-url")).map(drop)
    });
    kill(child);
    let have = part(user, &large);
    assert!(have > 0);
    world.server.take_paths();
    elsewhere.take_paths();
    elsewhere.follow(|_| Reply::Site);
    user.ok(&["download"]);
    assert_eq!(take_first_bytes(&elsewhere), [(large, have)]);
    assert!(world.server.take_paths().is_empty());
    user.ok(&["apply"]);
    user.has("core", &two);
}

#[test]
fn a_newer_release_replaces_an_unfinished_download_and_uses_its_bytes() {
    let (world, published, two) = outdated();
    let (user, large) = (&world.user, published.object("large"));
    world.server.follow(|request| if request.path.ends_with(".gz") { slowly() } else { Reply::Site });
    let child = spawn(user, "download");
    wait_for("a part of the large object", || (part(user, &large) > 50_000).then_some(()));
    kill(child);
    let have = part(user, &large);
    let three = two.file("new", b"new", 0o644);
    world.publish("3.0.0", &three);
    world.server.follow(|_| Reply::Site);
    world.server.take_paths();
    // A check asks the site, and finds the newer release.
    user.json(10, &["check"]);
    user.ok(&["download"]);
    let requests = take_first_bytes(&world.server);
    assert!(requests.contains(&(large, have)), "{requests:?}");
    user.ok(&["apply"]);
    user.has("core", &three);
}
