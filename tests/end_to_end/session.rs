//! Sessions: programs in any language that update by one child process.

use crate::support::deadline::wait_for;
use crate::support::schema;
use crate::support::scripted::{Reply, Scripted, ScriptedRequest};
use crate::support::tree::Tree;
use crate::support::world::World;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The program of the tests. It adds its version to a file, and does as the file `todo` beside the
/// root says.
const PROGRAM: &str = "#!/bin/sh\necho VERSION >> \"$1/lines\"\n. \"$1/todo\"\n";

/// A program in a component, and the process that stands for its run.
struct SessionProgram {
    world: World<Scripted>,
    run: Child,
}

/// A session of the program.
struct Session {
    child: Child,
    requests: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    last_id: u64,
    /// The events since the last answer.
    events: Vec<Value>,
}

fn tree(version: &str) -> Tree {
    Tree::default().file("app", PROGRAM.replace("VERSION", version).as_bytes(), 0o755)
}

impl SessionProgram {
    /// Installs version 1, publishes version 2, and starts a run.
    fn new() -> Self {
        Self::in_world(World::honest())
    }

    fn in_world(world: World<Scripted>) -> Self {
        world.publisher.release("app", "1.0.0", &tree("1")).sign();
        world.install("app");
        world.publisher.release("app", "2.0.0", &tree("2")).sign();
        fs::write(world.user.path("todo"), "").unwrap();
        Self { world, run: run() }
    }

    fn file(&self) -> PathBuf {
        self.world.user.component("app").join("app")
    }

    fn session(&self) -> Session {
        let (pid, file, dir) = (self.run.id().to_string(), self.file(), self.world.user.path(""));
        let mut command = self.world.user.command(&["session", "--pid", &pid, "--"]);
        command.arg(file).arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (requests, lines) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Session { child, requests, lines, last_id: 0, events: Vec::new() }
    }

    /// Ends the run and begins another one, as the helper does.
    fn restart(&mut self) {
        self.end();
        self.run = run();
    }

    fn end(&mut self) {
        drop(self.run.stdin.take());
        self.run.wait().unwrap();
    }

    /// Waits until the helper has started a version.
    #[track_caller]
    fn becomes(&self, version: &str) {
        let lines = self.world.user.path("lines");
        let last = || fs::read_to_string(&lines).ok()?.lines().last().map(str::to_owned);
        wait_for("the program's line", || (last()? == version).then_some(()));
    }
}

impl Drop for SessionProgram {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a process that ends with its input.
fn run() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

impl Session {
    fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let request = json!({ "id": self.last_id, "method": method, "params": params });
        schema::expect("request", &request);
        self.send_line(&request.to_string());
        self.last_id
    }

    fn send_line(&mut self, line: &str) {
        writeln!(self.requests.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Reads a line, and compares it with the schema. Returns `None` at the end.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        if self.lines.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        let value: Value = serde_json::from_str(&line).unwrap();
        schema::expect("line", &value);
        Some(value)
    }

    /// Reads lines up to the answer to a request.
    fn answer(&mut self, id: u64) -> Value {
        self.events.clear();
        loop {
            let line = self.line().unwrap();
            if line.get("event").is_none() && line["id"] == id {
                return line;
            }
            self.events.push(line);
        }
    }

    #[track_caller]
    fn ok(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let answer = self.answer(id);
        assert!(answer.get("result").is_some(), "{answer}");
        answer["result"].clone()
    }

    #[track_caller]
    fn fails(&mut self, code: &str, method: &str, params: Value) {
        let id = self.send(method, params);
        assert_eq!(self.answer(id)["error"]["code"], code);
    }

    /// Waits for an event.
    fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.line().unwrap();
            if line["event"] == name {
                return line;
            }
        }
    }

    /// Closes the session's input, and expects it to end.
    fn end(mut self) {
        drop(self.requests.take());
        while self.line().is_some() {}
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_program_updates_confirms_and_is_told_so_by_its_session() {
    let mut program = SessionProgram::new();
    let mut session = program.session();
    assert_eq!(session.ok("start", json!({})), json!({ "started": "first-run" }));
    let update = session.ok("check", json!({}))["updates"][0].clone();
    assert_eq!((&update["from"], &update["to"]), (&json!("1.0.0"), &json!("2.0.0")));
    let id = session.send("download", json!({ "components": ["app"] }));
    assert_eq!(session.answer(id)["result"]["staged"], json!([update]));
    let progress = &session.events[0];
    assert_eq!((&progress["event"], &progress["id"]), (&json!("progress"), &json!(id)));
    assert_eq!(session.ok("status", json!({}))["staged"][0]["version"], "2.0.0");
    assert_eq!(session.ok("restart", json!({})), json!({ "scheduled": true }));
    session.end();
    program.restart();
    program.becomes("2");

    let mut session = program.session();
    let updated = json!({ "started": "updated", "component": "app", "from": "1.0.0", "to": "2.0.0" });
    assert_eq!(session.ok("start", json!({})), updated);
    assert_eq!(session.ok("confirm", json!({})), json!({ "confirmed": true }));
    assert_eq!(session.ok("history", json!({}))["updates"][0]["result"], "confirmed");
    session.end();
}

#[test]
fn a_download_of_another_component_leaves_the_chosen_restart_alone() {
    let mut program = SessionProgram::new();
    let addon = |text: &str| Tree::default().file("addon", text.as_bytes(), 0o644);
    program.world.publisher.release("addon", "1.0.0", &addon("1")).sign();
    program.world.install("addon");
    program.world.publisher.release("addon", "2.0.0", &addon("2")).sign();
    let mut session = program.session();
    session.ok("start", json!({}));
    session.ok("download", json!({ "components": ["app"] }));
    session.ok("restart", json!({}));
    program.world.user.ok(&["download", "addon"]);
    assert_eq!(program.world.user.ok(&["status"])["swap"], "prepared");
    session.end();
    program.restart();
    program.becomes("2");
}

#[test]
fn a_rolled_back_version_is_news_for_the_old_one() {
    let mut program = SessionProgram::new();
    let mut session = program.session();
    session.ok("start", json!({}));
    session.ok("download", json!({}));
    fs::write(program.world.user.path("todo"), "[ $(tail -n 1 \"$1/lines\") = 1 ] || exit 7\n").unwrap();
    session.ok("restart", json!({}));
    session.end();
    program.restart();
    program.becomes("1");
    let mut session = program.session();
    let started = session.ok("start", json!({}));
    assert_eq!((&started["started"], &started["reason"]), (&json!("rolled-back"), &json!("exited:7")));
    assert_eq!(session.ok("check", json!({}))["deferred"][0]["why"], "rolled-back");
    session.end();
}

#[test]
fn the_program_returns_to_the_version_before_on_request() {
    let mut program = SessionProgram::new();
    let mut session = program.session();
    session.ok("start", json!({}));
    session.ok("download", json!({}));
    session.ok("restart", json!({}));
    session.end();
    program.restart();
    program.becomes("2");
    let mut session = program.session();
    session.ok("start", json!({}));
    session.ok("rollback", json!({}));
    session.fails("nothing-staged", "restart", json!({}));
    session.end();
    program.restart();
    program.becomes("1");
    let mut session = program.session();
    assert_eq!(session.ok("start", json!({}))["reason"], "asked");
    session.end();
}

#[test]
fn an_update_on_exit_is_applied_without_a_restart() {
    let mut program = SessionProgram::new();
    let mut session = program.session();
    session.ok("start", json!({}));
    session.ok("download", json!({}));
    session.ok("apply_on_exit", json!({}));
    session.end();
    program.restart();
    wait_for("the swap", || (program.world.user.ok(&["status"])["swap"] == "probation").then_some(()));
    assert!(!program.world.user.path("lines").exists());
}

#[test]
fn a_prepared_swap_is_carried_out_when_the_program_starts() {
    let mut program = SessionProgram::new();
    program.world.user.ok(&["download"]);
    let mut other = run();
    program.world.user.ok(&["apply", "--wait-pid", &other.id().to_string()]);
    let log = program.world.user.state("helper.log");
    let line = wait_for("the helper", || {
        fs::read_to_string(&log).ok()?.lines().find(|line| line.contains("waiting")).map(str::to_owned)
    });
    let helper = line.split(['[', ']']).nth(1).unwrap().to_owned();
    assert!(Command::new("kill").args(["-KILL", &helper]).status().unwrap().success());
    drop(other.stdin.take());
    other.wait().unwrap();

    let mut session = program.session();
    assert_eq!(session.ok("start", json!({})), json!({ "started": "handed-over" }));
    // The version on probation would not be this one.
    session.fails("init", "confirm", json!({}));
    session.end();
    program.restart();
    program.becomes("2");
}

#[test]
fn no_swap_happens_while_the_program_runs() {
    let program = SessionProgram::new();
    let mut session = program.session();
    session.ok("start", json!({}));
    session.ok("download", json!({}));
    program.world.user.fails(23, "busy", &["apply"]);
    program.world.user.has("app", &tree("1"));
    session.fails("busy", "install", json!({ "component": "app", "from": program.world.manifest_url("app") }));
    session.end();
    program.world.user.ok(&["apply"]);
    program.world.user.has("app", &tree("2"));
}

#[test]
fn wrong_requests_get_an_answer_and_change_nothing() {
    let program = SessionProgram::new();
    let mut session = program.session();
    for (line, id) in [
        ("check", json!(null)),
        ("{\"id\": -1, \"method\": \"check\"}", json!(null)),
        ("{\"id\": 1}", json!(null)),
        ("{\"id\": 1, \"method\": \"check\", \"more\": 1}", json!(null)),
        ("{\"id\": 1, \"method\": \"frobnicate\"}", json!(1)),
        ("{\"id\": 2, \"method\": \"check\", \"params\": {\"names\": []}}", json!(2)),
        ("{\"id\": 3, \"method\": \"watch\", \"params\": {\"interval\": \"soon\"}}", json!(3)),
        ("{\"id\": 4, \"method\": \"check\", \"params\": {\"components\": [\"../app\"]}}", json!(4)),
    ] {
        session.send_line(line);
        let answer = session.line().unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!("bad-setting")), "{line}");
    }
    session.fails("init", "confirm", json!({}));
    session.fails("nothing-staged", "restart", json!({}));
    session.fails("nothing-staged", "apply_on_exit", json!({}));
    session.fails("nothing-to-roll-back", "rollback", json!({}));
    session.ok("start", json!({}));
    // The session ends before it has read all.
    let _ = session.requests.as_mut().unwrap().write_all(&[b'x'; 70_000]);
    assert_eq!(session.line().unwrap()["error"]["code"], "bad-setting");
    assert!(session.line().is_none());
    assert_eq!(session.child.wait().unwrap().code(), Some(2));
}

#[test]
fn a_request_is_cancelled_and_can_be_repeated() {
    let slow = |request: &ScriptedRequest| match request.path.contains("/objects/") {
        true => Reply::SilentBody,
        false => Reply::Site,
    };
    let world = World::honest();
    world.publisher.release("app", "1.0.0", &tree("1")).sign();
    world.install("app");
    world.publisher.release("app", "2.0.0", &tree("2")).whole().sign();
    fs::write(world.user.path("todo"), "").unwrap();
    world.server.follow(slow);
    let program = SessionProgram { world, run: run() };
    let mut session = program.session();
    session.ok("start", json!({}));
    let download = session.send("download", json!({}));
    wait_for("the download", || {
        (program.world.user.ok(&["status"])["updates"][0]["state"] == "downloading").then_some(())
    });
    session.send_line(&json!({ "id": download, "method": "status" }).to_string());
    assert_eq!(session.answer(download)["error"]["code"], "bad-setting");
    assert_eq!(session.ok("cancel", json!({ "id": download })), json!({ "cancelled": true }));
    let mut stopped = std::mem::take(&mut session.events);
    stopped.retain(|line| line.get("event").is_none());
    let stopped = stopped.pop().unwrap_or_else(|| session.answer(download));
    assert_eq!((&stopped["id"], &stopped["error"]["code"]), (&json!(download), &json!("cancelled")));
    assert_eq!(session.ok("cancel", json!({ "id": download })), json!({ "cancelled": false }));
    program.world.server.be_honest();
    assert_eq!(session.ok("download", json!({}))["staged"][0]["to"], "2.0.0");
    session.end();
}

#[test]
fn a_full_session_still_confirms_and_cancels() {
    let program = SessionProgram::new();
    program.world.server.follow(|_| Reply::SilentBody);
    let mut session = program.session();
    session.ok("start", json!({}));
    let checks: Vec<u64> = (0..32).map(|_| session.send("check", json!({}))).collect();
    assert_eq!(session.ok("confirm", json!({})), json!({ "confirmed": false }));
    for id in checks {
        session.ok("cancel", json!({ "id": id }));
    }
    session.end();
}

#[test]
fn a_session_ends_with_its_program_while_another_process_holds_its_input() {
    let mut program = SessionProgram::new();
    let mut session = program.session();
    session.ok("start", json!({}));
    session.ok("download", json!({}));
    session.ok("restart", json!({}));
    // This test holds the input, as a child of the program would.
    program.end();
    program.becomes("2");
    assert_eq!(wait_for("the end of the session", || session.child.try_wait().unwrap()).code(), Some(0));
    program.run = run();
}

#[test]
fn a_session_ends_with_its_input_during_a_download() {
    let program = SessionProgram::new();
    program.world.server.follow(|request| match request.path.contains("/objects/") {
        true => Reply::SilentBody,
        false => Reply::Site,
    });
    let mut session = program.session();
    session.ok("start", json!({}));
    session.send("download", json!({}));
    wait_for("the download", || {
        (program.world.user.ok(&["status"])["updates"][0]["state"] == "downloading").then_some(())
    });
    let start = Instant::now();
    session.end();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_watcher_reports_what_it_has_downloaded() {
    let program = SessionProgram::new();
    let mut session = program.session();
    session.ok("start", json!({}));
    session.fails("bad-setting", "watch", json!({ "first_within": "9999d" }));
    assert_eq!(session.ok("check_now", json!({})), json!({ "watching": false }));
    let params = json!({ "first_within": "0s", "interval": "1h", "mode": "download" });
    assert_eq!(session.ok("watch", params.clone()), json!({ "watching": true }));
    let staged = session.event("staged");
    assert_eq!(staged["updates"], json!([{ "component": "app", "version": "2.0.0" }]));
    session.fails("busy", "watch", params);
    session.ok("check_now", json!({}));
    session.event("reminder");
    assert_eq!(session.ok("skip", json!({ "component": "app", "version": "2.0.0" }))["skipped"], "2.0.0");
    assert_eq!(session.ok("unwatch", json!({})), json!({ "watching": false }));
    assert_eq!(session.ok("check", json!({}))["deferred"][0]["why"], "skipped");
    session.end();
}
