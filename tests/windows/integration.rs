//! `patcher integrate`: the entries of start menu and registry for one user.

use crate::published::Workshop;
use known_folders::{KnownFolder, get_known_folder_path};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use windows_registry::{CURRENT_USER, Key};

const UNINSTALL_KEY: &str = r"Software\Microsoft\Windows\CurrentVersion\Uninstall";
const RUN_KEY: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";
const ICO: &[u8] = &[0, 0, 1, 0, 0, 0];

/// Returns the name of the test's entries, which has a hash of the component's folder.
fn entry(changes: &serde_json::Value) -> String {
    let path = text(&changes["written"][0]);
    path.rsplit_once('\\').unwrap().1.to_owned()
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn uninstall_key(entry: &str) -> Option<Key> {
    CURRENT_USER.open(format!(r"{UNINSTALL_KEY}\{entry}")).ok()
}

fn autostart(entry: &str) -> Option<String> {
    CURRENT_USER.open(RUN_KEY).ok()?.get_string(entry).ok()
}

fn shortcut(title: &str) -> PathBuf {
    get_known_folder_path(KnownFolder::Programs).unwrap().join(format!("{title}.lnk"))
}

/// Returns `true` if a shortcut has a text, which it stores as UTF-16.
fn has(shortcut: &Path, text: &str) -> bool {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::read(shortcut).unwrap().windows(wide.len()).any(|bytes| bytes == wide)
}

/// Runs `patcher`, which must succeed, and returns its JSON.
fn run(workshop: &Workshop, arguments: &[&str]) -> serde_json::Value {
    // Not a pipe: the desktop that wine starts for the first shortcut keeps it open.
    let output = workshop.path("output");
    let mut command = workshop.patcher(arguments);
    let status = command.stdout(fs::File::create(&output).unwrap()).stderr(Stdio::null()).status().unwrap();
    let output = fs::read_to_string(&output).unwrap();
    assert!(status.success(), "{command:?}: {output}");
    serde_json::from_str(&output).unwrap()
}

#[test]
fn a_component_is_added_to_the_start_menu_and_removed_with_its_entries() {
    let workshop = Workshop::new();
    let title = format!("日本 é {}", std::process::id());
    let files: [(&str, &[u8]); 3] = [("bin\\app.exe", b"1"), ("app.ico", ICO), ("app.png", b"png")];
    workshop.publish_with(
        "1.0.0",
        &files,
        &format!("title = \"{title}\"\npublisher = \"A & B\"\nicon = \"app.ico\"\nlaunch = \"bin/app.exe\"\n"),
    );
    let from = format!("{}core/manifest.xml", workshop.url);
    run(&workshop, &["install", "core", "--from", &from]);

    let changes = run(&workshop, &["integrate", "core", "--autostart"]);
    let entry = entry(&changes);
    assert_eq!(changes["written"].as_array().unwrap().len(), 3);
    let key = uninstall_key(&entry).unwrap();
    let value = |name: &str| key.get_string(name).unwrap();
    assert_eq!((value("DisplayName"), value("DisplayVersion")), (title.clone(), "1.0.0".to_owned()));
    assert_eq!(value("Publisher"), "A & B");
    assert_eq!(PathBuf::from(value("DisplayIcon")), workshop.core("app.ico"));
    assert!(value("UninstallString").ends_with(r#""remove" "core""#));
    assert_eq!(value("QuietUninstallString"), value("UninstallString"));
    assert_eq!((key.get_u32("EstimatedSize").unwrap(), key.get_u32("NoModify").unwrap()), (1, 1));
    let program = workshop.core("bin\\app.exe");
    assert_eq!(autostart(&entry).unwrap(), format!("\"{}\"", program.display()));
    // The target is a list of names; the working folder and the icon are whole paths.
    for text in ["app.exe", workshop.core("bin").to_str().unwrap(), workshop.core("app.ico").to_str().unwrap()] {
        assert!(has(&shortcut(&title), text), "{text}");
    }

    // A run with another title and without autostart replaces the entries.
    let other = format!("{title} 2");
    let changes = run(&workshop, &["integrate", "core", "--title", &other, "--uninstaller", r"C:\my uninstaller.exe"]);
    assert_eq!(changes["deleted"].as_array().unwrap().len(), 2, "{changes}");
    assert!(!shortcut(&title).exists() && shortcut(&other).exists() && autostart(&entry).is_none());
    let key = uninstall_key(&entry).unwrap();
    assert_eq!(key.get_string("UninstallString").unwrap(), r#""C:\my uninstaller.exe""#);
    assert_eq!(key.get_string("QuietUninstallString").unwrap(), r#""C:\my uninstaller.exe" /S"#);

    // The title belongs to another program's shortcut.
    fs::write(shortcut(&title), "another program").unwrap();
    run(&workshop, &["integrate", "core"]);
    assert_eq!(fs::read(shortcut(&title)).unwrap(), b"another program");
    assert!(shortcut(&entry).exists() && !shortcut(&other).exists());

    run(&workshop, &["remove", "core"]);
    assert!(!shortcut(&entry).exists() && uninstall_key(&entry).is_none());
    fs::remove_file(shortcut(&title)).unwrap();
}

#[test]
fn a_picture_of_another_kind_is_refused() {
    let workshop = Workshop::new();
    workshop.publish_with("1.0.0", &[("app.exe", b"1"), ("app.png", b"png")], "launch = \"app.exe\"\n");
    let from = format!("{}core/manifest.xml", workshop.url);
    run(&workshop, &["install", "core", "--from", &from]);
    let words = workshop.run(&mut workshop.patcher(&["integrate", "core", "--icon", "app.png"]), 2);
    assert!(words.contains("bad-setting"), "{words}");
}
