//! Signed paths that leave the component, mean another path on another system, or are two names of
//! one file.

use super::publisher::{first, sign};
use super::table::{Row, checks, manifest};
use super::world::HostileWorld;
use patcher::internal::xml::escape;

/// Each spelling and the code that refuses it.
fn spellings() -> Vec<(String, &'static str)> {
    let fixed = [
        ("", "path-empty"),
        ("/etc/passwd", "path-absolute"),
        ("//server/share/x", "path-absolute"),
        ("/", "path-absolute"),
        ("a//b", "path-empty-segment"),
        ("a/", "path-empty-segment"),
        ("a///", "path-empty-segment"),
        (".", "path-dots"),
        ("..", "path-dots"),
        ("../core/bin/app", "path-dots"),
        ("../../../../etc/passwd", "path-dots"),
        ("a/../../b", "path-dots"),
        ("a/..", "path-dots"),
        ("./a", "path-dots"),
        ("a/./b", "path-dots"),
        ("..\\evil", "path-reserved"),
        ("a\\..\\b", "path-reserved"),
        ("C:/Windows/x", "path-reserved"),
        ("C:x", "path-reserved"),
        ("\\\\server\\share", "path-reserved"),
        ("\\\\?\\C:\\x", "path-reserved"),
        ("file:stream", "path-reserved"),
        ("file::$DATA", "path-reserved"),
        ("a*", "path-reserved"),
        ("a?b", "path-reserved"),
        ("a<b", "path-reserved"),
        ("a>b", "path-reserved"),
        ("a|b", "path-reserved"),
        ("a\"b", "path-reserved"),
        ("a\u{2028}b", "path-control"),
        ("a\u{2029}b", "path-control"),
        ("app\u{202e}gpj.exe", "path-invisible"),
        ("a\u{200b}b", "path-invisible"),
        ("a\u{200d}b", "path-invisible"),
        ("\u{feff}a", "path-invisible"),
        ("a\u{ad}b", "path-invisible"),
        ("a\u{fe0f}", "path-invisible"),
        ("a\u{3164}", "path-invisible"),
        ("a\u{e0061}", "path-invisible"),
        ("a\u{378}", "path-unassigned"),
        ("a\u{e000}", "path-unassigned"),
        ("a\u{f8ff}b", "path-unassigned"),
        ("cafe\u{301}", "path-not-normalized"),
        ("\u{212b}ngstrom", "path-not-normalized"),
        ("\u{212a}elvin", "path-not-normalized"),
        (" a", "path-leading-space"),
        ("a/ b", "path-leading-space"),
        ("a.", "path-trailing-dot-or-space"),
        ("a ", "path-trailing-dot-or-space"),
        ("a./b", "path-trailing-dot-or-space"),
        ("a /b", "path-trailing-dot-or-space"),
        ("...", "path-trailing-dot-or-space"),
        (".. /x", "path-trailing-dot-or-space"),
        ("CON", "path-device"),
        ("nul", "path-device"),
        ("a/aux.txt", "path-device"),
        ("prn.tar.gz", "path-device"),
        ("com1", "path-device"),
        ("LPT9.log", "path-device"),
        ("com¹", "path-device"),
        ("conin$", "path-device"),
        ("CONOUT$", "path-device"),
        ("nul .txt", "path-device"),
        ("nul/x", "path-device"),
        ("progra~1", "path-short-name"),
        ("PROGRA~1/app", "path-short-name"),
        ("a~~2", "path-short-name"),
        ("git~2", "path-short-name"),
        ("manifest.xml", "path-updater"),
        ("MANIFEST.XML", "path-updater"),
        ("manife\u{17f}t.xml", "path-updater"),
        (".patcher", "path-updater"),
        (".patcher/seen.xml", "path-updater"),
        (".PATCHER/journal", "path-updater"),
        (".Patcher/txn/plan.xml", "path-updater"),
    ];
    let made = [
        ("a".repeat(241), "path-too-long"),
        ("ä".repeat(121), "path-too-long"),
        (vec!["abcdefgh"; 40].join("/"), "path-too-long"),
        (vec!["a"; 17].join("/"), "path-too-deep"),
        (format!("{}/..", vec!["a"; 20].join("/")), "path-too-deep"),
    ];
    fixed.into_iter().map(|(path, code)| (path.to_owned(), code)).chain(made).collect()
}

fn rows(world: &HostileWorld, from: &str, to: impl Fn(&str) -> String) -> Vec<Row> {
    let body = world.new.body();
    assert!(body.contains(from), "{from}");
    let row = |(path, code): (String, &'static str)| {
        let shown: String = path.chars().take(40).collect();
        manifest(format!("{shown:?}"), sign(body.replacen(from, &to(&escape(&path)), 1), &[first()]), code)
    };
    spellings().into_iter().map(row).collect()
}

#[test]
fn a_files_path_stays_in_its_component() {
    checks(|world| rows(world, "path=\"new/file\"", |path| format!("path=\"{path}\"")));
}

#[test]
fn a_links_path_stays_in_its_component() {
    checks(|world| rows(world, "path=\"lib/current\"", |path| format!("path=\"{path}\"")));
}

#[test]
fn the_program_to_launch_lies_in_the_component() {
    checks(|world| rows(world, "launch=\"bin/app\"", |path| format!("launch=\"{path}\"")));
}

#[test]
fn paths_that_exclude_each_other_are_refused() {
    checks(|world| {
        let body = world.new.body();
        let change = |from: &str, to: &str, expected| {
            assert!(body.contains(from), "{from}");
            manifest(format!("{to:?}"), sign(body.replacen(from, to, 1), &[first()]), expected)
        };
        let file = |path: &str, expected| change("path=\"new/file\"", &format!("path=\"{path}\""), expected);
        let link = |path: &str, expected| change("path=\"lib/current\"", &format!("path=\"{path}\""), expected);
        let target = |text: &str, expected| change("target=\"data\"", &format!("target=\"{text}\""), expected);
        let chain = "    <link path=\"lib/other\" target=\"current\"/>\n  </files>";
        vec![
            file("bin/app", "path-conflict"),
            file("BIN/APP", "path-conflict"),
            file("Bin/other", "path-conflict"),
            file("bin/App", "path-conflict"),
            file("LIB/CURRENT", "path-conflict"),
            file("lib/current", "path-conflict"),
            file("bin", "path-is-folder"),
            file("bin/app/plugin", "path-is-folder"),
            file("lib/current/x", "path-is-folder"),
            file("BIN", "path-conflict"),
            link("bin/app", "path-conflict"),
            link("lib/DATA", "path-conflict"),
            link("new", "path-is-folder"),
            link("new/file/x", "path-is-folder"),
            target("/etc/passwd", "link-target"),
            target("../../etc/passwd", "link-target"),
            target("../../../core/bin/app", "link-target"),
            target("..", "link-target"),
            target(".", "link-target"),
            target("", "link-target"),
            target("./data", "link-target"),
            target("data/", "link-target"),
            target("../lib/../lib/data", "link-target"),
            target("../lib//data", "link-target"),
            target("none", "link-target"),
            target("DATA", "link-target"),
            target("current", "link-target"),
            target("../manifest.xml", "link-target"),
            target("../.patcher", "link-target"),
            target("C:\\Windows", "link-target"),
            target("file:///etc", "link-target"),
            target("\u{2024}\u{2024}/bin/app", "link-target"),
            change("  </files>", chain, "link-target"),
        ]
    });
}

/// Names in the install root that are not UTF-8 belong to no component.
#[cfg(target_os = "linux")]
#[test]
fn names_in_the_root_that_are_not_utf_8_are_ignored() {
    use std::os::unix::ffi::OsStrExt as _;
    let world = super::world::HostileWorld::new();
    for name in [&b"\xff\xfe"[..], b"core\xff", b"\x80.xml"] {
        let path = world.root().join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("manifest.xml"), "x").unwrap();
        std::fs::write(world.core("").join(std::ffi::OsStr::from_bytes(name)), "mine").unwrap();
    }
    assert_eq!(world.patcher().components().unwrap().len(), 1);
    assert_eq!(world.update(), "updated to 2.0.0");
    world.patcher().status().unwrap();
    world.patcher().repair("core").unwrap();
}
