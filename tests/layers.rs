//! Checks the layers of the library and of the publisher's tool: a room uses only the rooms before
//! it in [`LAYERS`] or [`TOOL_ROOMS`].
//!
//! Rooms of one layer have an order as well, so no circle is possible. Tests inside of modules may
//! use any room.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of each layer, the lowest layer first. A room is a folder of `src`, or a module inside
/// of one.
const LAYERS: [&[&str]; 5] = [
    &[
        "values::digest",
        "values::timestamp",
        "values::rel_path",
        "values::names",
        "values::plain_text",
        "values::release_order",
        "error",
        "formats::xml",
        "formats::manifest",
        "formats::gunzip",
        "formats::deflate",
        "formats::delta",
        "formats::chunks",
        "formats::head",
        "formats::tables",
        "formats::install_blocks",
    ],
    &["disk::fs", "disk::layout", "disk::inventory", "trust::keys", "trust", "state::journal", "state"],
    &["swap", "swap::relaunch", "helper"],
    &["transfer::fetch", "transfer::plan", "transfer::stage"],
    &["policy", "patcher", "patcher::watch", "program", "json", "progress_line"],
];

/// The rooms of `manifest-tool/src`, the lowest first.
const TOOL_ROOMS: [&str; 18] = [
    "error",
    "setting",
    "hashing_sink",
    "install_contents",
    "delta::rolling_hash",
    "delta::sketch",
    "delta::encode",
    "site",
    "signing",
    "build",
    "delta::plan",
    "release",
    "prune",
    "publish",
    "verify",
    "serve",
    "bundle",
    "command",
];

/// Rooms that decide without acting: they use no disk, network or clock.
const PURE: [&str; 14] = [
    "values::digest",
    "values::timestamp",
    "values::rel_path",
    "values::names",
    "formats::xml",
    "formats::manifest",
    "formats::deflate",
    "formats::chunks",
    "formats::head",
    "formats::tables",
    "formats::install_blocks",
    "trust::keys",
    "trust",
    "transfer::plan",
];

/// A file of the library without comments and tests.
struct Source {
    path: PathBuf,
    room: &'static str,
    text: String,
}

impl Source {
    /// Reads all files below this folder except `lib.rs` and `main.rs`, which name every room, the
    /// heads of folders, and programs in `bin` above all rooms.
    fn all(folder: &str, rooms: &[&'static str]) -> Vec<Source> {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut sources = Vec::new();
        for entry in walkdir::WalkDir::new(&src).sort_by_file_name() {
            let path = entry.unwrap().into_path();
            let inner = path.strip_prefix(&src).unwrap().with_extension("");
            let names: Vec<&str> = inner.iter().map(|name| name.to_str().unwrap()).collect();
            let above = ["lib", "main", "bin"];
            let skipped = names.first().is_none_or(|first| above.contains(first)) || names.contains(&"tests");
            if path.extension().is_some_and(|end| end == "rs") && !skipped {
                let text = without_comments_and_tests(&path);
                let module = names.join("::");
                match room(&module, rooms) {
                    Some(room) => sources.push(Source { text, path, room }),
                    None => assert!(text.lines().all(is_declaration), "{} is in no room", path.display()),
                }
            }
        }
        assert!(sources.len() > 20);
        sources
    }

    /// Reads the library.
    fn library() -> Vec<Source> {
        Self::all("src", &LAYERS.concat())
    }

    /// Returns the rooms in its `crate::` paths, alone or in braces.
    fn uses(&self, rooms: &[&'static str]) -> BTreeSet<&'static str> {
        let room_of = |path: String| {
            room(&path, rooms).unwrap_or_else(|| panic!("{}: {path} is in no room", self.path.display()))
        };
        self.text.split("crate::").skip(1).flat_map(paths).map(room_of).collect()
    }
}

/// Returns the room of a module path such as `disk::fs::Dir`.
fn room(path: &str, rooms: &[&'static str]) -> Option<&'static str> {
    let leads_into = |room: &&str| path == *room || path.strip_prefix(*room).is_some_and(|rest| rest.starts_with("::"));
    rooms.iter().copied().filter(|room| leads_into(room)).max_by_key(|room| room.len())
}

/// Returns `true` for a line that only declares the rooms of a folder.
fn is_declaration(line: &str) -> bool {
    line.trim().is_empty() || ["pub mod ", "mod ", "#[cfg(feature"].iter().any(|start| line.starts_with(start))
}

/// Returns the first paths of a use tree such as `{state, trust}` or `disk::{fs::Dir, layout}`,
/// each without its end.
fn paths(text: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_path(c)).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    match rest.strip_prefix('{') {
        Some(list) => {
            elements(list).iter().flat_map(|element| paths(element)).map(|inner| format!("{path}{inner}")).collect()
        }
        None => vec![path.trim_end_matches(':').to_owned()],
    }
}

/// Returns the elements of a list up to its closing brace.
fn elements(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut elements) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth > 0 => {}
            '}' | ',' => {
                elements.push(list[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    elements.retain(|element| !element.is_empty());
    elements
}

fn without_comments_and_tests(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    // Tests are at the end of a file.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn use_trees_are_read_to_their_ends() {
    assert_eq!(paths("disk::fs::Dir;"), ["disk::fs::Dir"]);
    assert_eq!(paths("{state::{self, Seen}, trust};"), ["state::self", "state::Seen", "trust"]);
    let rooms = LAYERS.concat();
    assert_eq!(room("disk::fs::Dir", &rooms), Some("disk::fs"));
    assert_eq!(room("swap::relaunch::Job", &rooms), Some("swap::relaunch"));
    assert_eq!(room("swap::apply", &rooms), Some("swap"));
    assert_eq!(room("swapped", &rooms), None);
}

#[test]
fn a_room_uses_only_rooms_before_it() {
    let mut wrong = Vec::new();
    for (folder, rooms) in [("src", LAYERS.concat()), ("manifest-tool/src", TOOL_ROOMS.to_vec())] {
        let place = |room: &str| rooms.iter().position(|name| *name == room);
        for source in Source::all(folder, &rooms) {
            for used in source.uses(&rooms).iter().filter(|used| place(used) > place(source.room)) {
                wrong.push(format!("{}: {} uses {used}", source.path.display(), source.room));
            }
            if source.text.contains("super::super::") {
                wrong.push(format!("{}: leads out of the room by `super`", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_exists_and_the_documentation_has_the_same_layers() {
    let used = |sources: Vec<Source>| sources.iter().map(|source| source.room).collect::<BTreeSet<_>>();
    assert_eq!(used(Source::library()), LAYERS.concat().into_iter().collect());
    assert_eq!(used(Source::all("manifest-tool/src", &TOOL_ROOMS)), TOOL_ROOMS.into_iter().collect());
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/design/architecture.md")).unwrap();
    for (number, layer) in LAYERS.iter().enumerate() {
        let start = format!("| {} | ", number + 1);
        let row = text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row {start}"));
        let column = row[start.len()..].split(" | ").next().unwrap();
        let named: BTreeSet<&str> = column.split('`').skip(1).step_by(2).collect();
        assert_eq!(named, layer.iter().copied().collect(), "layer {start}");
    }
    let line = format!("`{}`", TOOL_ROOMS.join("`, `"));
    assert!(text.replace('\n', " ").contains(&line), "the tool's rooms: {line}");
}

#[test]
fn only_fs_changes_the_disk() {
    let words =
        ["rustix::fs", "fs::write", "fs::rename", "fs::copy", "fs::remove", "fs::create", "fs::set_permissions"];
    let words = [&words[..], &["fs::hard_link", "File::create", "File::options", "OpenOptions"]].concat();
    for source in Source::library().iter().filter(|source| source.room != "disk::fs") {
        // Only the module `disk::fs` may change the disk.
        let text = source.text.replace("crate::disk::fs::", "").replace(" fs::create_root", "");
        let found: Vec<_> = words.iter().filter(|word| text.contains(**word)).collect();
        assert!(found.is_empty(), "{}: {found:?}", source.path.display());
    }
}

#[test]
fn rooms_that_decide_use_no_disk_network_or_clock() {
    for source in Source::library().iter().filter(|source| PURE.contains(&source.room)) {
        let acts = [
            "std::fs",
            "std::net",
            "std::process",
            "env::var",
            "env::current",
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "rustix",
        ];
        let found: Vec<_> = acts.iter().filter(|word| source.text.contains(**word)).collect();
        // `Timestamp::now` reads the clock, for the rooms that act.
        let is_clock = source.room == "values::timestamp" && found == [&"SystemTime"];
        assert!(found.is_empty() || is_clock, "{}: {found:?}", source.path.display());
        let uses = source.uses(&LAYERS.concat());
        let acting: Vec<_> = ["disk::fs", "state", "transfer::fetch", "transfer::stage", "swap", "swap::relaunch"]
            .into_iter()
            .filter(|name| uses.contains(*name))
            .collect();
        assert!(acting.is_empty(), "{} uses {acting:?}", source.path.display());
    }
}
