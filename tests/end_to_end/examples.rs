//! The examples work as readers copy them: beside the reader's key, installed as a release.

use crate::support::deadline::wait_for;
use crate::support::left_out;
use crate::support::programs;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Strips a program of debug information, as publishers do.
fn stripped(program: &Path) -> Vec<u8> {
    let copy = tempfile::NamedTempFile::new().unwrap();
    let strip = left_out::program("strip");
    let done = strip
        .is_some_and(|strip| Command::new(strip).arg(program).arg("-o").arg(copy.path()).status().unwrap().success());
    fs::read(if done { copy.path() } else { program }).unwrap()
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

/// Creates a world with a Rust example as version 1 of the component `app`, and version 2
/// published.
fn installed(name: &str) -> (World<Scripted>, PathBuf) {
    let world = World::honest();
    let work = tempfile::TempDir::new().unwrap();
    let program = programs::example(&format!("{name}.rs"), &world.publisher.public_key(), work.path());
    let tree = Tree::default()
        .file(&format!("bin/{name}"), &fs::read(program).unwrap(), 0o755)
        .file("bin/patcher-helper", &stripped(&programs::helper()), 0o755)
        .file("version", b"1", 0o644);
    world.publisher.release("app", "1.0.0", &tree).sign();
    world.install("app");
    world.publisher.release("app", "2.0.0", &tree.file("version", b"2", 0o644)).sign();
    let program = world.user.component("app").join("bin").join(name);
    (world, program)
}

/// Waits until the helper has swapped and the started program has confirmed.
#[track_caller]
fn becomes(world: &World<Scripted>, component: &str, version: &str) {
    let log = || fs::read_to_string(world.user.state("helper.log")).unwrap_or_default();
    let found = wait_for("the new version to be confirmed", || {
        let status = world.user.run(&["--json", "status"]).json();
        let found = status["components"].as_array()?.iter().find(|found| found["component"] == component)?;
        (found["version"] == version && status["swap"].is_null()).then(|| found.clone())
    });
    assert_eq!(found["version"], version, "{}", log());
}

/// Waits for output of the program that the helper has started.
fn output(world: &World<Scripted>, words: &str) {
    wait_for(words, || {
        let text = fs::read_to_string(world.user.state("output.log")).unwrap_or_default();
        text.contains(words).then_some(())
    });
}

#[test]
fn the_minimal_program_becomes_the_new_version() {
    let lines = fs::read_to_string(source("minimal.rs")).unwrap().lines().count();
    assert!(lines < 40, "{lines} lines");
    let (world, program) = installed("minimal");
    let start = || Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut child = start();
    wait_for("the update to wait for the program's end", || {
        let status = world.user.run(&["--json", "status"]).json();
        let update = &status["updates"][0];
        (update["to"] == "2.0.0" && update["state"] == "pending").then_some(())
    });
    drop(child.stdin.take());
    assert!(child.wait_with_output().unwrap().status.success());
    wait_for("the swap", || (world.user.ok(&["status"])["swap"] == "probation").then_some(()));
    let mut child = start();
    drop(child.stdin.take());
    let run = child.wait_with_output().unwrap();
    assert!(String::from_utf8(run.stdout).unwrap().contains("hello, world"));
    becomes(&world, "app", "2.0.0");
}

#[test]
fn the_readme_and_the_documentation_show_the_minimal_program() {
    let minimal = fs::read_to_string(source("minimal.rs")).unwrap();
    let code = &minimal[minimal.find("use patcher").unwrap()..];
    let readme = fs::read_to_string(source("../README.md")).unwrap();
    assert!(readme.contains(code));
    let documentation = fs::read_to_string(source("../src/lib.rs")).unwrap();
    let is_shown = |line: &&str| documentation.contains(&format!("//! {line}\n"));
    let missing: Vec<_> = code.lines().filter(|line| !line.is_empty() && !is_shown(line)).collect();
    let [key] = missing[..] else { panic!("{missing:#?}") };
    assert!(key.starts_with("const KEY: &str = "), "{key}");
}

#[test]
fn the_watching_program_restarts_on_its_users_command() {
    let (world, program) = installed("background");
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut words = child.stdin.take().unwrap();
    words.write_all(b"check\n").unwrap();
    wait_for("the update to be staged", || {
        let status = world.user.run(&["--json", "status"]).json();
        let update = &status["updates"][0];
        (update["to"] == "2.0.0" && update["state"] == "staged").then_some(())
    });
    words.write_all(b"restart\n").unwrap();
    drop(words);
    let run = child.wait_with_output().unwrap();
    assert!(run.status.success(), "{run:?}");
    let said = String::from_utf8(run.stdout).unwrap();
    assert!(said.contains("2.0.0 is there") && said.contains("an update is ready"), "{said}");
    becomes(&world, "app", "2.0.0");
    output(&world, "this is 2.0.0; it was 1.0.0");
}

#[test]
fn the_program_with_add_ons_updates_all_of_them_in_one_swap() {
    let (world, program) = installed("addons");
    let spelling = |text: &[u8]| Tree::default().file("words", text, 0o644);
    world.publisher.release("spelling", "1.0.0", &spelling(b"one")).sign();
    let run = |arguments: &[&str]| {
        let output = Command::new(&program).args(arguments).env("IN_USE", "app").stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["add", "spelling", &world.manifest_url("spelling")]), "app 1.0.0\nspelling 1.0.0\n");
    // The program still runs, and the add-on requires its new version.
    world.publisher.release("spelling", "2.0.0", &spelling(b"two")).requires("app", "^2").sign();
    let deferred = "spelling 2.0.0 is deferred: spelling needs app ^2, but its version is 1.0.0\n";
    assert_eq!(run(&[]), format!("app 1.0.0\nspelling 1.0.0\n{deferred}"));
    Run::of(Command::new(&program).stdin(Stdio::null())).ends(0);
    becomes(&world, "app", "2.0.0");
    becomes(&world, "spelling", "2.0.0");
    assert_eq!(world.user.ok(&["history"])["updates"].as_array().map(Vec::len), Some(4));
    run(&["remove", "spelling"]);
    assert!(!world.user.component("spelling").join("words").exists());
}

/// Installs the example of another language as version 1, and checks its update.
fn of_another_language(script: &str) {
    let world = World::honest();
    let tree = Tree::default()
        .file(script, &fs::read(source(&format!("other_languages/{script}"))).unwrap(), 0o755)
        .file("patcher", &stripped(&programs::patcher()), 0o755)
        .file("patcher-helper", &stripped(&programs::helper()), 0o755)
        .file("release.pub.pem", &fs::read(world.publisher.public_key()).unwrap(), 0o644)
        .file("version", b"1", 0o644);
    world.publisher.release("app", "1.0.0", &tree).sign();
    world.install("app");
    let run = || {
        let program = world.user.component("app").join(script);
        let output = Command::new(program).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run().contains("hello, this is 1"));
    world.publisher.release("app", "2.0.0", &tree.file("version", b"2", 0o644)).sign();
    assert!(!run().contains("hello, this is 2"));
    becomes(&world, "app", "2.0.0");
    output(&world, "hello, this is 2");
}

#[test]
fn the_program_in_python_becomes_the_new_version() {
    if left_out::program("python3").is_some() {
        of_another_language("app.py");
    }
}

#[test]
fn the_program_in_shell_becomes_the_new_version() {
    of_another_language("app.sh");
}
