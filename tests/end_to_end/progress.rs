//! The progress of `patcher` and `manifest-tool` on a terminal, and its absence elsewhere.

use crate::support::programs;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use crate::terminal::Terminal;
use std::process::Command;

/// A file whose name takes more columns than it has characters.
const WIDE_NAME: &str = "data/日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語";

/// Returns bytes that do not compress.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// Creates a world in which half of an installed release has changed.
fn world() -> World<Scripted> {
    let world = World::honest();
    let one = Tree::default().file("app", &noise(1, 600_000), 0o755).file(WIDE_NAME, &noise(2, 600_000), 0o644);
    world.publish("1.0.0", &one);
    world.install("core");
    world.publish("2.0.0", &one.file(WIDE_NAME, &noise(3, 600_000), 0o644));
    world
}

fn update(world: &World<Scripted>) -> Command {
    let mut command = world.user.command(&["--rate-limit", "200K", "update"]);
    command.env_remove("NO_COLOR").env_remove("CLICOLOR").env("TERM", "xterm-256color");
    command
}

/// Removes the terminal's commands (ECMA-48 control sequences).
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        rest = after.split_once(|c: char| ('@'..='~').contains(&c)).map_or("", |(_, rest)| rest);
    }
    plain + rest
}

/// Returns all lines that a terminal has shown, also those that were drawn over.
fn lines(written: &str) -> Vec<String> {
    let lines = plain(written);
    lines.split(['\r', '\n']).map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Returns the columns of a line. East Asian characters take two.
fn columns(line: &str) -> usize {
    line.chars().map(|c| if c >= '\u{2e80}' { 2 } else { 1 }).sum()
}

#[track_caller]
fn assert_shown(lines: &[String], start: &str, parts: &[&str]) {
    let shows = |line: &String| line.starts_with(start) && parts.iter().all(|part| line.contains(part));
    assert!(lines.iter().any(shows), "{start} {parts:?}: {lines:#?}");
}

#[test]
fn an_update_shows_its_progress_within_the_terminal() {
    for (width, parts) in [
        (200, &["━", " of 587.", "KiB/s", "left", "日本語"][..]),
        (80, &["━", " of 587.", "KiB/s", "left"]),
        (50, &[" of 587.", "KiB/s"]),
        (36, &[" of 587."]),
        (20, &["%"]),
    ] {
        let world = world();
        let (status, written) = Terminal::with_columns(width).run(&mut update(&world));
        assert!(status.success(), "{written}");
        let lines = lines(&written);
        assert_shown(&lines, "checking", &[]);
        assert_shown(&lines, "downloading", parts);
        assert_shown(&lines, "fetched 587.", &[" s, 49% of 1.15 MiB saved"]);
        assert_shown(&lines, "core: 1.0.0 -> 2.0.0", &[]);
        // The lines of the result are for the terminal to wrap.
        let drawn = lines.iter().filter(|line| !line.starts_with("fetched") && !line.starts_with("core"));
        drawn.for_each(|line| assert!(columns(line) <= usize::from(width), "{width}: {line}"));
        assert!(written.contains("\x1b[36m"), "{written:?}");
    }
}

#[test]
fn no_color_is_obeyed() {
    let world = world();
    let (status, written) = Terminal::with_columns(80).run(update(&world).env("NO_COLOR", "1"));
    assert!(status.success() && lines(&written).iter().any(|line| line.starts_with("downloading")), "{written}");
    // Colours and styles are the sequences that end with `m`.
    assert!(!written.split("\x1b[").skip(1).any(|sequence| sequence.trim_start_matches(|c| c < '@').starts_with('m')));
}

#[test]
fn nothing_is_drawn_elsewhere() {
    let progress = ["checking", "downloading", "fetched", "\x1b", "\r"];
    let shows = |text: &str| progress.iter().any(|word| text.contains(word));
    let run = crate::support::run::Run::of(&mut update(&world())).ends(0);
    assert!(run.err.is_empty() && !shows(&run.out) && run.out.contains("core: 1.0.0 -> 2.0.0"), "{run:?}");
    let world = world();
    let (status, written) = Terminal::with_columns(80).run(update(&world).arg("--json"));
    assert!(status.success() && written.starts_with('{') && written.ends_with("}\r\n"), "{written:?}");
    assert_eq!(written.lines().count(), 1, "{written:?}");
}

#[test]
fn signing_shows_its_phases_and_what_updates_save() {
    let world = World::honest();
    // Deltas are made of files that compress.
    let mut bytes: Vec<u8> = noise(1, 1_000_000).iter().flat_map(|byte| format!("{byte:03}").into_bytes()).collect();
    world.publish("1.0.0", &Tree::default().file("app", &bytes, 0o755));
    bytes[0] ^= 1;
    let dir = world.user.path("build");
    Tree::default().file("app", &bytes, 0o755).write(&dir);
    let sign = || {
        let mut sign = Command::new(programs::manifest_tool());
        sign.args(["sign", "--component", "core", "--base-url", "https://dl.example.com/core/"]);
        sign.arg("--site").arg(world.publisher.site()).arg(&dir);
        sign.arg("--key").arg(world.publisher.public_key().with_file_name("release.key.pem"));
        sign.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("SOURCE_DATE_EPOCH");
        sign
    };
    for width in [30, 80] {
        let version = format!("2.0.{width}");
        let (status, written) = Terminal::with_columns(width).run(sign().args(["--version", &version]));
        assert!(status.success(), "{written}");
        let lines = lines(&written);
        let phases = ["reading", "hashing", "compressing", "comparing", "packing"];
        let drawn: Vec<_> = lines.iter().filter(|line| phases.iter().any(|phase| line.starts_with(phase))).collect();
        let total = if width == 80 { "of 2.86 MiB" } else { "%" };
        assert!(drawn.iter().any(|line| line.contains(total)), "{lines:#?}");
        drawn.iter().for_each(|line| assert!(columns(line) <= usize::from(width), "{width}: {line}"));
        assert_shown(&lines, "update from ", &[": 99% less than a first installation"]);
    }
    let run = crate::support::run::Run::of(sign().args(["--version", "2.1.0"])).ends(0);
    assert!(run.err.is_empty() && !run.out.contains("hashing") && !run.out.contains('\x1b'), "{run:?}");
}
