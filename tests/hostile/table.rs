//! Tables of defects, and the checks that every row must pass.

use super::publisher::sha256;
use super::world::{HEAD, HostileWorld, MANIFEST};
use crate::support::scripted::Reply;
use crate::support::tree::Entry;
use std::collections::BTreeMap;

/// A defect: the server's reply at one path, and the client's expected outcome.
pub struct Row {
    pub name: String,
    pub path: String,
    pub reply: Reply,
    /// An error code, or the outcome of a check or an update.
    pub expected: &'static str,
}

/// Makes a row about the manifest.
pub fn row(name: impl Into<String>, reply: Reply, expected: &'static str) -> Row {
    Row { name: name.into(), path: MANIFEST.to_owned(), reply, expected }
}

/// Makes a row that serves `bytes` as the manifest.
pub fn manifest(name: impl Into<String>, bytes: impl Into<Vec<u8>>, expected: &'static str) -> Row {
    row(name, Reply::Bytes(bytes.into()), expected)
}

/// Checks for an update once per row. A refused manifest leads to no other request and changes no
/// file.
#[track_caller]
pub fn checks(rows: fn(&HostileWorld) -> Vec<Row>) {
    let mut world = HostileWorld::new();
    let mut problems = Vec::new();
    let before = world.snapshot();
    let table = rows(&world);
    let count = table.len();
    for (index, row) in table.into_iter().enumerate() {
        if is_good(row.expected) {
            let fresh = HostileWorld::new();
            let row = rows(&fresh).swap_remove(index);
            fresh.server.lie(&row.path, row.reply);
            let outcome = fresh.check();
            if outcome != row.expected {
                problems.push(format!("{}: {outcome}, not {}", row.name, row.expected));
            }
            continue;
        }
        world.expect_silence(row.expected == "stalled");
        world.server.lie(&row.path, row.reply);
        let outcome = world.check();
        if outcome != row.expected {
            problems.push(format!("{}: {outcome}, not {}", row.name, row.expected));
        }
        let asked = world.server.take_paths();
        let first = asked.iter().map(String::as_str).find(|path| *path != HEAD);
        if first != Some(MANIFEST) || asked.iter().any(|path| path.contains("/objects/")) {
            problems.push(format!("{}: it asked for {asked:?}", row.name));
        }
        let differences = before.differences(&world.snapshot());
        if !differences.is_empty() {
            problems.push(format!("{}: {differences}", row.name));
            world = HostileWorld::new();
        }
    }
    finish(&world, count, problems);
}

/// Updates once per row. A refused object leaves no bytes in the stage.
#[track_caller]
pub fn updates(rows: fn(&HostileWorld) -> Vec<Row>) {
    // Before the first row, the manifest of 2.0.0 is known and the floor has moved.
    let prepared = || {
        let world = HostileWorld::new();
        assert_eq!(world.check(), "update to 2.0.0");
        world
    };
    let world = prepared();
    let mut problems = Vec::new();
    let before = world.snapshot();
    let table = rows(&world);
    let count = table.len();
    for (index, row) in table.into_iter().enumerate() {
        if is_good(row.expected) {
            let fresh = prepared();
            let row = rows(&fresh).swap_remove(index);
            fresh.server.lie(&row.path, row.reply);
            let outcome = fresh.update();
            if outcome != row.expected {
                problems.push(format!("{}: {outcome}, not {}", row.name, row.expected));
            } else if let Some(difference) = not_installed(&fresh) {
                problems.push(format!("{}: {difference}", row.name));
            }
            continue;
        }
        world.expect_silence(row.expected == "stalled");
        world.server.lie(&row.path, row.reply.clone());
        let outcome = world.update();
        if outcome != row.expected {
            problems.push(format!("{}: {outcome}, not {}", row.name, row.expected));
        }
        let after = world.snapshot();
        if let Some(wrong) = wrong_in_stage(&after.state, &row) {
            problems.push(format!("{}: the stage holds {wrong}", row.name));
        }
        if world.staged_bytes() > most_staged(&world) {
            problems.push(format!("{}: {} bytes are staged", row.name, world.staged_bytes()));
        }
        let differences = before.clone().without_stage().differences(&after.without_stage());
        if !differences.is_empty() {
            problems.push(format!("{}: {differences}", row.name));
        }
        world.clear_stage();
    }
    finish(&world, count, problems);
}

/// Ends a table: the client takes the good release in spite of all rows.
#[track_caller]
fn finish(world: &HostileWorld, count: usize, mut problems: Vec<String>) {
    world.expect_silence(false);
    world.server.be_honest();
    let outcome = world.update();
    if outcome != "updated to 2.0.0" {
        problems.push(format!("afterwards: {outcome}"));
    }
    problems.extend(not_installed(world));
    println!("{count} rows");
    assert!(problems.is_empty(), "{} of {count} rows:\n{}", problems.len(), problems.join("\n"));
}

fn is_good(expected: &str) -> bool {
    expected.contains(' ')
}

/// Lists the files of 2.0.0 that differ from the signed ones.
pub fn not_installed(world: &HostileWorld) -> Option<String> {
    let damages = world.patcher().verify("core").map_err(|error| error.to_string());
    match damages {
        Ok(damages) if damages.is_empty() => None,
        other => Some(format!("{other:?}")),
    }
}

/// Returns the limit for the stage: all objects and files of the release, one read-ahead buffer,
/// and the manifests.
pub fn most_staged(world: &HostileWorld) -> u64 {
    let files = world.new.manifest.files.iter().map(|file| file.size + file.gz.unwrap().size).sum::<u64>();
    files + (64 << 10) + (64 << 10)
}

/// Finds a staged file whose name does not fit its content, or the remains of a refused object.
fn wrong_in_stage(state: &BTreeMap<String, Entry>, row: &Row) -> Option<String> {
    let object = row.path.rsplit('/').next().and_then(|name| name.strip_suffix(".gz")).unwrap_or(&row.path);
    let is_network = matches!(row.expected, "cut-off" | "stalled");
    state.iter().find_map(|(path, entry)| {
        let Entry::File { bytes, .. } = entry else { return None };
        let name = path.strip_prefix("stage/core/files/");
        let whole = name.is_none_or(|name| name.starts_with(&sha256(bytes).to_string()));
        let left = !is_network && path.contains(object) && !bytes.is_empty();
        (!whole || left).then(|| format!("{path} of {} bytes", bytes.len()))
    })
}
