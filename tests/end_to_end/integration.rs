//! `patcher integrate`: what a desktop of Linux shows and starts.

#![cfg(target_os = "linux")]

use crate::support::deadline::wait_for;
use crate::support::left_out;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names that a shell, a desktop entry or a format string would act on.
const HOSTILE_FOLDER: &str = "a \"b\" `c` $(d) \\e 'f' ;&";
const HOSTILE_PROGRAM: &str = "bin/my $(app) `x` ;&'y'";

/// A world with an installed component, and the folders of the user's desktop.
struct Desktop {
    world: World<Scripted>,
    home: PathBuf,
}

/// Returns a picture's beginning, as far as `patcher` reads it.
fn png(size: u32) -> Vec<u8> {
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    [&head[..], &size.to_be_bytes(), &size.to_be_bytes(), &[8, 6, 0, 0, 0]].concat()
}

impl Desktop {
    fn new() -> Self {
        let mut world = World::honest();
        let home = world.user.path("home of user");
        world.user.elsewhere.insert("core".to_owned(), world.user.path(HOSTILE_FOLDER));
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$0\" > '{}/started'\n", home.display());
        let tree = Tree::default()
            .file(HOSTILE_PROGRAM, script.as_bytes(), 0o755)
            .file("icon.png", &png(48), 0o644)
            .file("icon.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 0o644)
            .file("100%f", b"#!/bin/sh\n", 0o755)
            .file("a=b", b"#!/bin/sh\n", 0o755)
            .file("odd.png", &png(47), 0o644);
        world.publisher.release("core", "1.0.0", &tree).with(&["--launch", HOSTILE_PROGRAM]).sign();
        world.install("core");
        Self { world, home }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.user.command(&[&["--json"], arguments].concat());
        command.env("HOME", &self.home).env_remove("XDG_CONFIG_HOME");
        // A relative path counts as none.
        command.env("XDG_DATA_HOME", "relative");
        command
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> Value {
        let value = Run::of(&mut self.command(arguments)).ends(0).json();
        crate::support::schema::expect("outcome", &value);
        value
    }

    #[track_caller]
    fn fails(&self, exit: i32, code: &str, arguments: &[&str]) {
        Run::of(&mut self.command(arguments)).fails(exit, code);
    }

    /// Returns the files below the home folder, without the ends of their names.
    fn files(&self) -> Vec<String> {
        let files = walkdir::WalkDir::new(&self.home).sort_by_file_name().into_iter();
        let files = files.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
        files.map(|entry| entry.path().strip_prefix(&self.home).unwrap().to_str().unwrap().to_owned()).collect()
    }

    fn entry(&self) -> PathBuf {
        let applications = self.home.join(".local/share/applications");
        let mut entries = fs::read_dir(applications).unwrap().map(|entry| entry.unwrap().path());
        entries.next().unwrap()
    }
}

fn validate(path: &Path) {
    if let Some(validate) = left_out::program("desktop-file-validate") {
        let run = Run::of(Command::new(validate).arg(path)).ends(0);
        assert!(run.out.is_empty() && run.err.is_empty(), "{run:#?}\n{}", fs::read_to_string(path).unwrap());
    }
}

#[test]
fn a_menu_entry_starts_and_uninstalls_a_program_with_hostile_names() {
    let desktop = Desktop::new();
    let title = "50% \\ \"My\" [App]; $(x) =é";
    let arguments =
        ["integrate", "core", "--title", title, "--icon", "icon.png", "--category", "Office", "--autostart"];
    let changes = desktop.ok(&arguments);
    assert_eq!((changes["written"].as_array().unwrap().len(), &changes["deleted"]), (3, &serde_json::json!([])));
    let files = desktop.files();
    let starts =
        [".config/autostart/core-", ".local/share/applications/core-", ".local/share/icons/hicolor/48x48/apps/core-"];
    assert_eq!(files.len(), 3);
    files.iter().zip(starts).for_each(|(file, start)| assert!(file.starts_with(start), "{files:?}"));
    validate(&desktop.home.join(&files[0]));
    validate(&desktop.entry());
    // A second run changes nothing.
    let before = fs::read(desktop.entry()).unwrap();
    assert_eq!(desktop.ok(&arguments), changes);
    assert_eq!((fs::read(desktop.entry()).unwrap(), desktop.files()), (before, files));

    if let Some(gio) = left_out::program("gio") {
        Run::of(Command::new(gio).arg("launch").arg(desktop.entry()).env("HOME", &desktop.home)).ends(0);
        let program = desktop.world.user.component("core").join(HOSTILE_PROGRAM);
        let started = desktop.home.join("started");
        let path = wait_for("the program", || fs::read_to_string(&started).ok().filter(|text| text.ends_with('\n')));
        assert_eq!(Path::new(path.trim_end()), program);
    }
}

#[test]
fn the_uninstall_action_removes_the_component_and_its_entries() {
    let desktop = Desktop::new();
    desktop.ok(&["integrate", "core", "--icon", "icon.svg"]);
    let text = fs::read_to_string(desktop.entry()).unwrap();
    assert!(text.contains("Actions=uninstall;\n\n[Desktop Action uninstall]\nName=Uninstall core\n"), "{text}");
    if left_out::program("gio").is_none() {
        return;
    }
    // `gio` starts no actions, so the command of this one becomes that of an entry.
    let exec = text.lines().rfind(|line| line.starts_with("Exec=")).unwrap();
    let uninstall = desktop.home.join("uninstall.desktop");
    fs::write(&uninstall, format!("[Desktop Entry]\nType=Application\nName=x\n{exec}\n")).unwrap();
    validate(&uninstall);
    Run::of(Command::new("gio").arg("launch").arg(&uninstall).env("HOME", &desktop.home).env_remove("XDG_DATA_HOME"))
        .ends(0);
    wait_for("the end of the entries", || (desktop.files() == ["uninstall.desktop"]).then_some(()));
    assert!(!desktop.world.user.component("core").join("icon.svg").exists());
}

#[test]
fn entries_follow_what_was_asked_last_and_can_be_deleted() {
    let desktop = Desktop::new();
    desktop.ok(&["integrate", "core", "--icon", "icon.png", "--autostart"]);
    let changes = desktop.ok(&["integrate", "core", "--icon", "icon.svg"]);
    assert_eq!(changes["deleted"].as_array().unwrap().len(), 2, "{changes}");
    let files = desktop.files();
    assert!(files.len() == 2 && files[1].ends_with(".svg"), "{files:?}");
    // Another program's files stay.
    let other = desktop.entry().with_file_name("core.desktop");
    fs::write(&other, "").unwrap();
    assert_eq!(desktop.ok(&["integrate", "core", "--remove"])["deleted"].as_array().unwrap().len(), 2);
    assert_eq!(desktop.files(), [".local/share/applications/core.desktop"]);
    assert_eq!(desktop.ok(&["integrate", "core", "--remove"])["deleted"], serde_json::json!([]));
    // `remove` does the same.
    desktop.ok(&["integrate", "core"]);
    desktop.ok(&["remove", "core"]);
    assert_eq!(desktop.files(), [".local/share/applications/core.desktop"]);
}

#[test]
fn title_and_icon_are_those_of_the_release_and_the_installer_names_its_uninstaller() {
    let desktop = Desktop::new();
    let tree = Tree::default().file("app", b"#!/bin/sh\n", 0o755).file("icon.png", &png(48), 0o644);
    let release = desktop.world.publisher.release("core", "2.0.0", &tree).with(&["--launch", "app"]);
    release.settings("title = \"My \\\\ App\"\nicon = \"icon.png\"\n").sign();
    desktop.ok(&["update"]);
    desktop.ok(&["integrate", "core", "--uninstaller", "/opt/un install"]);
    let text = fs::read_to_string(desktop.entry()).unwrap();
    assert!(text.contains("\nName=My \\\\ App\n") && text.contains("\nIcon=core-"), "{text}");
    assert!(text.ends_with("\nExec=\"/opt/un install\"\n"), "{text}");
    desktop.ok(&["integrate", "core", "--title", "Other"]);
    assert!(fs::read_to_string(desktop.entry()).unwrap().contains("\nName=Other\n"));
}

#[test]
fn only_files_of_the_signed_release_are_shown_and_started() {
    let desktop = Desktop::new();
    let core = desktop.world.user.component("core");
    fs::write(core.join("mine.png"), png(48)).unwrap();
    fs::write(core.join("icon.png"), png(64)).unwrap();
    for arguments in [
        ["--icon", "mine.png"],
        ["--icon", "icon.png"],
        ["--icon", "odd.png"],
        ["--icon", "../icon.png"],
        ["--program", "icon.svg"],
        ["--program", "/bin/sh"],
        ["--program", "100%f"],
        ["--program", "a=b"],
        ["--title", ""],
        ["--title", "a\nExec=evil"],
        ["--title", "a\u{202e}b"],
        ["--category", "Office;"],
    ] {
        desktop.fails(2, "bad-setting", &[&["integrate", "core"], &arguments[..]].concat());
    }
    desktop.fails(22, "not-installed", &["integrate", "other"]);
    assert_eq!(desktop.files(), [""; 0]);
}
