//! A watcher checks, downloads, reminds and stops, as a process or as a thread of the program.

use crate::support::deadline::wait_for;
use crate::support::scripted::Reply;
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use patcher::{Config, Patcher, WatchEvent, WatchMode, WatchOptions, Watcher};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The time limit for an event.
const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
/// The time limit for a stop: far below the watcher's own intervals.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A running `patcher watch`, which ends when this is dropped.
struct Watching {
    child: Child,
    events: Receiver<Value>,
}

impl Watching {
    fn start(user: &User, arguments: &[&str]) -> Self {
        let arguments = [&["--json", "watch", "--first-within", "0s", "--interval", "1s"], arguments].concat();
        let mut child = user.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| sender.send(serde_json::from_str(&line).unwrap()))
        });
        Self { child, events }
    }

    /// Returns the next event that is not the begin of a check.
    #[track_caller]
    fn next(&self) -> Value {
        loop {
            let event = self.events.recv_timeout(EVENT_TIMEOUT).unwrap();
            if event["event"] != "checking" {
                return event;
            }
        }
    }

    /// Ends the process as a service manager does.
    fn stop(mut self) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), Signal::TERM).unwrap();
        let status = wait_for("the end of the watcher", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn update() -> Value {
    json!([{ "component": "core", "version": "2.0.0" }])
}

fn reminder(state: &str) -> Value {
    json!({ "event": "reminder", "component": "core", "version": "2.0.0", "state": state })
}

#[test]
fn a_watcher_downloads_an_update_and_reminds_until_it_is_applied() {
    let (world, _, _, two) = World::outdated();
    let watching = Watching::start(&world.user, &[]);
    assert_eq!(watching.next(), json!({ "event": "update-found", "updates": update() }));
    assert_eq!(watching.next(), json!({ "event": "staged", "updates": update() }));
    assert_eq!(watching.next(), reminder("staged"));
    assert_eq!(watching.next(), reminder("staged"));
    watching.stop();
    world.server.take_paths();
    world.user.ok(&["apply"]);
    assert!(world.server.take_paths().is_empty());
    world.user.has("core", &two);
}

#[test]
fn a_watcher_reports_that_it_asks_the_servers() {
    let (world, ..) = World::outdated();
    let watching = Watching::start(&world.user, &["--notify"]);
    for next in ["update-found", "reminder"] {
        assert_eq!(watching.events.recv_timeout(EVENT_TIMEOUT).unwrap(), json!({ "event": "checking" }));
        assert_eq!(watching.next()["event"], next);
    }
    watching.stop();
}

#[test]
fn a_watcher_may_apply_its_updates() {
    let (world, _, _, two) = World::outdated();
    let watching = Watching::start(&world.user, &["--apply"]);
    assert_eq!(watching.next()["event"], "update-found");
    assert_eq!(watching.next(), json!({ "event": "applied", "updates": update() }));
    assert_eq!(watching.next(), json!({ "event": "up-to-date", "deferred": [] }));
    watching.stop();
    world.user.has("core", &two);
}

#[test]
fn a_watcher_that_only_checks_fetches_no_object() {
    let (world, ..) = World::outdated();
    let watching = Watching::start(&world.user, &["--notify"]);
    assert_eq!(watching.next()["event"], "update-found");
    assert_eq!(watching.next(), reminder("checking"));
    watching.stop();
    assert!(!world.server.take_paths().iter().any(|path| path.contains("/objects/")));
}

#[test]
fn a_watcher_reminds_of_a_paused_update_without_requests() {
    let (world, published, ..) = World::outdated();
    let slow = published.object("bin/app");
    let crawls = slow.clone();
    let crawl = Reply::Slowly(100, Duration::from_millis(20));
    world.server.follow(move |request| if request.path == crawls { crawl.clone() } else { Reply::Site });
    let watching = Watching::start(&world.user, &[]);
    assert_eq!(watching.next()["event"], "update-found");
    wait_for("the slow object", || world.server.take_paths().contains(&slow).then_some(()));
    world.user.ok(&["pause"]);
    // No failure is recorded, because the user stopped the download.
    assert_eq!(watching.next(), reminder("paused"));
    world.server.take_paths();
    let first = Instant::now();
    assert_eq!(watching.next(), reminder("paused"));
    assert!(first.elapsed() > Duration::from_millis(500), "twice in one interval");
    assert!(world.server.take_paths().is_empty());
    world.server.follow(|_| Reply::Site);
    world.user.ok(&["resume"]);
    let staged = |event: Value| (event == reminder("staged")).then_some(());
    wait_for("the update to be staged", || staged(watching.next()));
    watching.stop();
}

#[test]
fn a_retry_after_is_obeyed_by_a_watcher() {
    let (world, ..) = World::outdated();
    world.server.follow(|_| Reply::Status(503, "Retry-After: 120\r\n".into(), Vec::new()));
    let watching = Watching::start(&world.user, &[]);
    let failed = watching.next();
    assert_eq!((&failed["event"], &failed["code"]), (&json!("failed"), &json!("http-status")));
    assert_eq!((&failed["exit"], &failed["retryable"]), (&json!(20), &json!(true)));
    assert!((120..=132).contains(&failed["retry_in"].as_u64().unwrap()), "{failed}");
    assert_eq!(world.server.take_paths().len(), 1);
    // The next watcher obeys the saved wait.
    watching.stop();
    let again = Watching::start(&world.user, &[]);
    assert_eq!(again.next()["event"], "failed");
    again.stop();
    assert!(world.server.take_paths().is_empty());
}

#[test]
fn an_expired_release_is_reported_as_stale() {
    let world = World::honest();
    world.publish("1.0.0", &Tree::from_seed(1));
    world.install("core");
    world.publisher.release("core", "2.0.0", &Tree::from_seed(2)).good_for(1_700_000_000, 30).sign();
    let watching = Watching::start(&world.user, &[]);
    assert_eq!(watching.next()["event"], "stale");
    watching.stop();
}

/// Returns the program's own handle on the user's root.
pub fn patcher(user: &User) -> Patcher {
    let key = std::fs::read_to_string(user.key()).unwrap();
    Patcher::new(Config::new(user.root()).trusted_key(key).stall_timeout(Duration::from_secs(3600))).unwrap()
}

/// Returns a schedule with a first check at once, and no second one.
fn once() -> WatchOptions {
    WatchOptions::default().first_within(Duration::ZERO).interval(Duration::from_secs(3600))
}

/// Returns the name of an event without its fields.
fn name(event: &WatchEvent<'_>) -> &'static str {
    match event {
        WatchEvent::Checking => "checking",
        WatchEvent::UpdateFound(_) => "found",
        WatchEvent::Progress(_) => "progress",
        WatchEvent::Staged(_) => "staged",
        WatchEvent::UpToDate(_) => "up to date",
        _ => "other",
    }
}

/// Watches in this process, and sends all events except progress and the begin of checks.
fn watch(patcher: &Patcher, options: WatchOptions) -> (Watcher, Receiver<&'static str>) {
    let (sender, events) = channel();
    let hear = move |event: WatchEvent<'_>| {
        if !["checking", "progress"].contains(&name(&event)) {
            let _ = sender.send(name(&event));
        }
    };
    (Watcher::start(patcher, options, hear).unwrap(), events)
}

#[test]
fn a_watcher_stops_at_once_and_when_it_is_dropped_too() {
    let (world, published, ..) = World::outdated();
    let silent = published.object("bin/app");
    let never = silent.clone();
    world.server.follow(move |request| if request.path == never { Reply::SilentBody } else { Reply::Site });
    let patcher = patcher(&world.user);
    let (watcher, events) = watch(&patcher, once());
    assert_eq!(events.recv_timeout(EVENT_TIMEOUT), Ok("found"));
    wait_for("the silent object", || world.server.take_paths().contains(&silent).then_some(()));
    let start = Instant::now();
    drop(watcher);
    assert!(start.elapsed() < AT_ONCE, "a download holds it up");
    assert!(events.recv_timeout(EVENT_TIMEOUT).is_err(), "it told of something after its end");
    // A check that waits for a silent server holds up no program that ends.
    world.server.follow(|_| Reply::SilentBody);
    world.server.take_paths();
    fs::remove_file(world.user.state("watch.xml")).ok();
    let (watcher, events) = watch(&patcher, once().mode(WatchMode::Notify));
    wait_for("the silent head", || (!world.server.take_paths().is_empty()).then_some(()));
    let start = Instant::now();
    drop(watcher);
    assert!(start.elapsed() < AT_ONCE, "a check holds it up");
    drop(events);
    world.server.follow(|_| Reply::Site);
    // Before the first check the watcher is idle.
    let (watcher, events) = watch(&patcher, once().mode(WatchMode::Notify));
    let start = Instant::now();
    watcher.stop();
    assert!(start.elapsed() < AT_ONCE, "its sleep holds it up");
    drop(events);
}

#[test]
fn a_root_has_one_watcher() {
    let (world, ..) = World::outdated();
    let patcher = patcher(&world.user);
    let (watcher, events) = watch(&patcher, once());
    assert_eq!(Watcher::start(&patcher, once(), |_| {}).unwrap_err().code(), "busy");
    assert!(Watcher::start_if_needed(&patcher, once(), |_| {}).unwrap().is_none());
    world.user.fails(23, "busy", &["watch"]);
    watcher.stop();
    drop(events);
    Watcher::start_if_needed(&patcher, once(), |_| {}).unwrap().unwrap().stop();
}

#[test]
fn a_program_that_is_not_installed_needs_no_watcher() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::honest();
    let key = std::fs::read_to_string(world.user.key()).unwrap();
    let patcher = Patcher::new(Config::new(dir.path()).trusted_key(key)).unwrap();
    assert_eq!(Watcher::start(&patcher, once(), |_| {}).unwrap_err().code(), "nothing-installed");
    assert!(Watcher::start_if_needed(&patcher, once(), |_| {}).unwrap().is_none());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_callback_may_stop_its_own_watcher() {
    let (world, ..) = World::outdated();
    let own = patcher(&world.user);
    let (sender, events) = channel();
    let (holder, held) = channel::<Watcher>();
    let watcher = Watcher::start(&own, once().mode(WatchMode::Notify), move |event| {
        if let WatchEvent::UpdateFound(_) = event {
            held.recv_timeout(EVENT_TIMEOUT).unwrap().stop();
            sender.send("stopped").unwrap();
        }
    });
    holder.send(watcher.unwrap()).unwrap();
    assert_eq!(events.recv_timeout(EVENT_TIMEOUT), Ok("stopped"));
    // The thread has ended: the callback is gone with its end of the channel.
    assert!(events.recv_timeout(EVENT_TIMEOUT).is_err());
}

#[test]
fn a_program_may_skip_an_update_when_it_is_found() {
    let (world, ..) = World::outdated();
    let own = patcher(&world.user);
    let (sender, events) = channel();
    let skips = own.clone();
    let watcher = Watcher::start(&own, once(), move |event| {
        if let WatchEvent::UpdateFound(updates) = &event {
            updates.iter().for_each(|update| skips.skip(update.component(), update.to()).unwrap());
        }
        if name(&event) != "checking" {
            let _ = sender.send(name(&event));
        }
    });
    let watcher = watcher.unwrap();
    assert_eq!(events.recv_timeout(EVENT_TIMEOUT), Ok("found"));
    watcher.check_now();
    assert_eq!(events.recv_timeout(EVENT_TIMEOUT), Ok("up to date"));
    watcher.stop();
    assert!(!world.server.take_paths().iter().any(|path| path.contains("/objects/")));
}

#[test]
fn an_update_that_requires_a_skipped_one_is_deferred() {
    let world = crate::components::in_need(&["addon", "core"]);
    let own = patcher(&world.user);
    let (sender, events) = channel();
    let skips = own.clone();
    let watcher = Watcher::start(&own, once(), move |event| match &event {
        WatchEvent::UpdateFound(updates) => {
            let addon = updates.iter().find(|update| update.component() == "addon").unwrap();
            skips.skip("addon", addon.to()).unwrap();
        }
        WatchEvent::UpToDate(deferred) => {
            let lines: Vec<_> = deferred.iter().map(|one| format!("{}: {}", one.component, one.reason)).collect();
            sender.send(lines).unwrap();
        }
        WatchEvent::Checking | WatchEvent::Progress(_) => {}
        other => sender.send(vec![format!("{other:?}")]).unwrap(),
    });
    let watcher = watcher.unwrap();
    let deferred = ["addon: it was skipped", "core: core needs addon ^2, but its version is 1.0.0"];
    // At once, and at each further request.
    assert_eq!(events.recv_timeout(EVENT_TIMEOUT).unwrap(), deferred);
    watcher.check_now();
    assert_eq!(events.recv_timeout(EVENT_TIMEOUT).unwrap(), deferred);
    watcher.stop();
    assert!(!world.server.take_paths().iter().any(|path| path.contains("/objects/")));
}

#[test]
fn an_unfinished_update_is_dropped_if_the_user_skips_a_required_one() {
    let world = crate::components::in_need(&["addon", "core"]);
    world.user.ok(&["download"]);
    world.user.ok(&["skip", "addon"]);
    std::fs::remove_dir_all(world.user.state("stage/core/files")).unwrap();
    let watching = Watching::start(&world.user, &[]);
    assert_eq!(watching.next()["event"], "up-to-date");
    watching.stop();
}
