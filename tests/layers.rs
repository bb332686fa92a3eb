//! Holds the library to its layers: a module uses only those that stand before it in [`LAYERS`].
//!
//! That is stricter than "its own layer or lower ones": within a layer too there is an order, and so there are no circles.
//! Tests inside of modules may use what they like.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of each layer, the lowest first.
const LAYERS: [&[&str]; 6] = [
    &["digest", "timestamp", "rel_path", "error", "xml", "fs"],
    &["manifest", "keys", "layout", "inventory"],
    &["trust", "journal", "state"],
    &["swap", "relaunch"],
    &["fetch", "gunzip", "delta", "chunks", "plan", "stage"],
    &["patcher", "watch"],
];

/// Modules that decide and do not act: no disk, no network, no clock.
const PURE: [&str; 9] = ["digest", "timestamp", "rel_path", "xml", "manifest", "keys", "trust", "chunks", "plan"];

/// A file of the library without comments and tests.
struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

impl Source {
    /// All files but `lib.rs`, which names every module, and the program in `bin`, which is above them all.
    fn all() -> Vec<Source> {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut sources = Vec::new();
        for entry in walkdir::WalkDir::new(&src).sort_by_file_name() {
            let path = entry.unwrap().into_path();
            let inner = path.strip_prefix(&src).unwrap();
            let module = inner.iter().next().map(|first| first.to_str().unwrap().trim_end_matches(".rs").to_owned());
            let Some(module) = module.filter(|module| !["lib", "bin"].contains(&module.as_str())) else { continue };
            let tests = inner.iter().any(|part| part == "tests" || part == "tests.rs");
            if path.extension().is_some_and(|end| end == "rs") && !tests {
                sources.push(Source { text: without_comments_and_tests(&path), path, module });
            }
        }
        assert!(sources.len() > 20);
        sources
    }

    /// The modules that it names after `crate::`, alone or in braces.
    fn uses(&self) -> BTreeSet<String> {
        let mut uses = BTreeSet::new();
        let start =
            |path: &str| path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        for after in self.text.split("crate::").skip(1) {
            match after.strip_prefix('{') {
                Some(list) => uses.extend(flat(list).split(',').map(start)),
                None => uses.extend([start(after)]),
            }
        }
        uses.remove("");
        uses
    }
}

/// What stands in a list up to its end, without what stands in lists inside of it.
fn flat(list: &str) -> String {
    let (mut depth, mut text) = (0, String::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ if depth == 0 => text.push(c),
            _ => {}
        }
    }
    text
}

fn without_comments_and_tests(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    // Tests stand at the end of a file.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

fn order() -> Vec<&'static str> {
    LAYERS.concat()
}

#[test]
fn a_module_uses_only_those_that_stand_before_it() {
    let order = order();
    let place = |module: &str| order.iter().position(|name| *name == module);
    let mut wrong = Vec::new();
    for source in Source::all() {
        let own = place(&source.module).unwrap_or_else(|| panic!("{} has no layer", source.module));
        for used in source.uses().iter().filter(|used| **used != source.module) {
            match place(used) {
                Some(place) if place < own => {}
                Some(_) => wrong.push(format!("{}: {} uses {used}", source.path.display(), source.module)),
                None => wrong.push(format!("{}: crate::{used} is no module with a layer", source.path.display())),
            }
        }
        let up = source.path.parent().unwrap().ends_with("src");
        if source.text.contains("super::super::") || up && source.text.contains("super::") {
            wrong.push(format!("{}: leads to the crate by `super`", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_layer_has_its_modules_and_the_documentation_says_so() {
    let modules: BTreeSet<String> = Source::all().into_iter().map(|source| source.module).collect();
    assert_eq!(modules, order().iter().map(|name| (*name).to_owned()).collect());
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for (number, layer) in LAYERS.iter().enumerate() {
        let start = format!("| {number} | ");
        let row = text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row {number}"));
        let column = row[start.len()..].split(" | ").next().unwrap();
        let named: BTreeSet<&str> =
            column.split('`').skip(1).step_by(2).filter(|name| modules.contains(*name)).collect();
        assert_eq!(named, layer.iter().copied().collect(), "layer {number}");
    }
}

#[test]
fn only_fs_changes_the_disk() {
    let words =
        ["rustix::fs", "fs::write", "fs::rename", "fs::copy", "fs::remove", "fs::create", "fs::set_permissions"];
    let words = [&words[..], &["fs::hard_link", "File::create", "File::options", "OpenOptions"]].concat();
    for source in Source::all().iter().filter(|source| source.module != "fs") {
        // `crate::fs` is the module that may.
        let text = source.text.replace("crate::fs::", "").replace(" fs::create_root", "");
        let found: Vec<_> = words.iter().filter(|word| text.contains(**word)).collect();
        assert!(found.is_empty(), "{}: {found:?}", source.path.display());
    }
}

#[test]
fn what_decides_does_not_act() {
    for source in Source::all().iter().filter(|source| PURE.contains(&source.module.as_str())) {
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
        // A timestamp is where the clock comes in: `now` is for those who act.
        let is_clock = source.module == "timestamp" && found == [&"SystemTime"];
        assert!(found.is_empty() || is_clock, "{}: {found:?}", source.path.display());
        let uses = source.uses();
        let acting: Vec<_> = ["fs", "state", "fetch", "stage", "swap", "relaunch"]
            .into_iter()
            .filter(|name| uses.contains(*name))
            .collect();
        assert!(acting.is_empty(), "{} uses {acting:?}", source.path.display());
    }
}
