//! Networks that fail, and users who stop a download.

use crate::support::deadline::{wait_at_most, wait_for};
use crate::support::publisher::Published;
use crate::support::run::Run;
use crate::support::scripted::{Reply, Scripted};
use crate::support::server::ServerKind;
use crate::support::tree::{Entry, Tree, noise};
use crate::support::world::World;
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

on_every_server!(a_missing_object_is_the_networks_fault);

fn a_missing_object_is_the_networks_fault(kind: ServerKind) {
    let Some(world) = World::on(kind) else { return };
    let one = Tree::from_seed(1);
    world.publish("1.0.0", &one);
    world.install("core");
    let two = one.mutate(2);
    let published = world.publisher.release("core", "2.0.0", &two).whole().sign();
    let object = world.publisher.site().join(&published.object("bin/app")[1..]);
    let kept = std::fs::read(&object).unwrap();
    std::fs::remove_file(&object).unwrap();
    world.user.fails(20, "http-status", &["update"]);
    world.user.has("core", &one);
    std::fs::write(&object, kept).unwrap();
    world.user.ok(&["update"]);
    world.user.has("core", &two);
}

/// Creates a world with version 1 installed, version 2 published, and no retries.
fn outdated() -> (World<Scripted>, Published, Tree, Tree) {
    let (mut world, published, one, two) = World::outdated();
    world.user.options = vec!["--retries".into(), "0".into()];
    (world, published, one, two)
}

#[test]
fn an_unreachable_server_is_reported() {
    let (world, _, one, _) = outdated();
    let (user, server) = (&world.user, world.server);
    drop(server);
    for command in ["check", "download", "update"] {
        user.fails(20, "unreachable", &[command]);
    }
    user.has("core", &one);
}

#[test]
fn a_silent_server_holds_a_check_for_its_time_limit_only() {
    let (mut world, _, one, _) = outdated();
    world.user.options = vec!["--check-timeout".into(), "1".into()];
    for silence in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<"] {
        world.server.follow(move |_| Reply::Silence(silence.to_vec()));
        let start = Instant::now();
        world.user.fails(20, "timed-out", &["check"]);
        let took = start.elapsed();
        assert!((Duration::from_secs(1)..Duration::from_secs(5)).contains(&took), "{took:?}");
    }
    world.user.has("core", &one);
}

#[test]
fn a_silent_first_mirror_leaves_time_for_the_second_one() {
    let mut world = World::honest();
    let silent = Scripted::serve(&world.publisher.site(), |_| Reply::Silence(Vec::new()));
    world.publisher.serve_at([silent.url(), world.server.url()]);
    let (one, two) = (Tree::from_seed(1), Tree::from_seed(1).mutate(2));
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &two);
    world.user.options = vec!["--check-timeout".into(), "3".into()];
    world.user.json(10, &["check"]);
}

#[test]
fn http_statuses_from_400_are_reported() {
    let (world, _, one, _) = outdated();
    for status in [400, 403, 404, 410, 500, 502, 503] {
        world.server.follow(move |_| Reply::status(status));
        world.user.fails(20, "http-status", &["update"]);
    }
    world.user.has("core", &one);
}

#[test]
fn a_connection_that_ends_early_is_retried() {
    let (mut world, published, one, two) = outdated();
    let object = published.object("bin/app");
    let cut = object.clone();
    world.server.follow(move |request| if request.path == cut { Reply::CutAfter(100) } else { Reply::Site });
    world.user.fails(20, "cut-off", &["update"]);
    world.user.has("core", &one);
    world.server.take_paths();
    world.user.options = vec!["--retries".into(), "1".into()];
    let (cut, again) = (object.clone(), AtomicBool::new(false));
    world.server.follow(move |request| {
        if request.path == cut && !again.swap(true, Ordering::SeqCst) { Reply::CutAfter(100) } else { Reply::Site }
    });
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    assert_eq!(world.server.take_paths().iter().filter(|path| **path == object).count(), 2);
}

#[test]
fn a_retry_after_is_obeyed_by_the_next_command() {
    let (mut world, ..) = outdated();
    world.user.options.clear();
    world.server.follow(|_| Reply::Status(503, "Retry-After: 120\r\n".into(), Vec::new()));
    world.user.fails(20, "http-status", &["check"]);
    assert_eq!(world.server.take_paths().len(), 1);
}

#[test]
fn redirects_are_followed_and_loops_refused() {
    let (world, _, _, two) = outdated();
    let elsewhere = Scripted::serve(&world.publisher.site(), |_| Reply::Site);
    let target = elsewhere.url();
    world
        .server
        .follow(move |request| Reply::redirect(302, &format!("{}{}", target.trim_end_matches('/'), request.path)));
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    world.server.follow(|request| Reply::redirect(301, &request.path));
    world.user.fails(20, "redirect", &["check"]);
    world.server.follow(|_| Reply::Status(302, "Location: file:///etc/hostname\r\n".into(), Vec::new()));
    let run = world.user.run(&["--json", "check"]);
    assert_eq!(run.code, Some(20), "{run:?}");
}

#[test]
fn a_steady_slow_download_succeeds_and_a_silent_one_fails() {
    let (mut world, published, one, two) = outdated();
    world.user.options = ["--retries", "0", "--stall-timeout", "1"].map(Into::into).to_vec();
    let object = published.object("bin/app");
    let silent = object.clone();
    world.server.follow(move |request| if request.path == silent { Reply::SilentBody } else { Reply::Site });
    world.user.fails(20, "stalled", &["update"]);
    world.user.has("core", &one);
    // More than twice the limit in all, but no pause as long as the limit.
    let piece = published.manifest.files.iter().find(|file| file.path.as_str() == "bin/app").unwrap().gz.unwrap().size
        as usize
        / 8;
    let pause = Duration::from_millis(300);
    world.server.follow(move |request| if request.path == object { Reply::Slowly(piece, pause) } else { Reply::Site });
    world.user.ok(&["update"]);
    world.user.has("core", &two);
}

#[test]
fn a_download_that_the_user_stops_resumes_at_the_next_byte() {
    let (world, published, one, two) = outdated();
    let slow = published.object("bin/app");
    let crawls = slow.clone();
    let crawl = Reply::Slowly(1, Duration::from_millis(10));
    // All changed files except the slow one, including copies of local files.
    let new = world.user.json(10, &["check"])["updates"][0]["files"].as_u64().unwrap() as usize;
    let new = new - changes_without_a_file(&one, &two) - 1;
    world.server.follow(move |request| if request.path == crawls { crawl.clone() } else { Reply::Site });
    let mut command = world.user.command(&["--json", "update"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    let mut requests = Vec::new();
    wait_for("everything but one object", || {
        requests.extend(world.server.take_paths());
        let staged = world.user.state("stage/core/files").read_dir().ok()?;
        let finished = staged.filter(|entry| entry.as_ref().unwrap().path().extension().is_none());
        (finished.count() == new && requests.contains(&slow)).then_some(())
    });
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::INT).unwrap();
    Run::ended(child.wait_with_output().unwrap()).fails(24, "cancelled");
    world.user.has("core", &one);

    world.server.follow(|_| Reply::Site);
    world.server.take_paths();
    world.user.ok(&["update"]);
    // The client finishes the download without a check.
    assert_eq!(world.server.take_paths(), [slow]);
    world.user.has("core", &two);
}

/// Counts the changed paths without a staged file: removed ones, and links.
fn changes_without_a_file(one: &Tree, two: &Tree) -> usize {
    let removed = one.0.keys().filter(|path| !two.0.contains_key(*path)).count();
    let is_link = |path: &&String| matches!(two.0[*path], Entry::Link { .. }) && one.0.get(*path) != two.0.get(*path);
    removed + two.0.keys().filter(is_link).count()
}

#[test]
fn a_stop_ends_a_silent_download_at_once() {
    let (world, published, one, _) = outdated();
    let silent = published.object("bin/app");
    world.server.follow(move |request| if request.path == silent { Reply::SilentBody } else { Reply::Site });
    let mut command = world.user.command(&["--json", "--stall-timeout", "3600", "update"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the silent object", || world.server.take_paths().contains(&published.object("bin/app")).then_some(()));
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::INT).unwrap();
    let stopped = wait_at_most(Duration::from_secs(15), || child.try_wait().unwrap());
    let _ = child.kill();
    let run = Run::ended(child.wait_with_output().unwrap());
    assert!(stopped.is_some(), "it waits on");
    run.fails(24, "cancelled");
    world.user.has("core", &one);
}

#[test]
fn a_download_obeys_its_rate_limit() {
    let (mut world, _, one, _) = outdated();
    let next = one.file("large", &noise(1, 1_000_000), 0o644);
    let published = world.publish("3.0.0", &next);
    let bytes: u64 =
        published.manifest.files.iter().map(|file| file.gz.unwrap().size).filter(|size| *size > 500_000).sum();
    world.user.options = ["--rate-limit", "400K"].map(Into::into).to_vec();
    let start = Instant::now();
    world.user.ok(&["download"]);
    let found = bytes as f64 / start.elapsed().as_secs_f64();
    assert!(found <= 400.0 * 1024.0 * 1.05, "{found} bytes a second");
    assert!(found >= 400.0 * 1024.0 / 2.0, "{found} bytes a second");
}

#[test]
fn a_stop_ends_a_rate_limited_download_at_once() {
    let (mut world, published, one, _) = outdated();
    world.user.options = ["--rate-limit", "1000"].map(Into::into).to_vec();
    let mut command = world.user.command(&["--json", "update"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("an object", || world.server.take_paths().contains(&published.object("bin/app")).then_some(()));
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::INT).unwrap();
    let stopped = wait_at_most(Duration::from_secs(15), || child.try_wait().unwrap());
    let _ = child.kill();
    let run = Run::ended(child.wait_with_output().unwrap());
    assert!(stopped.is_some(), "it waits on");
    run.fails(24, "cancelled");
    world.user.has("core", &one);
}
