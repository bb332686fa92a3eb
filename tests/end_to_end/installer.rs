//! `manifest-tool bundle` for Windows: the installer, an update and the uninstaller under wine.

#![cfg(target_os = "linux")]

use crate::support::deadline::wait_for;
use crate::support::programs;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with `patcher.exe`, which `.ci/windows` sets.
const PROGRAMS: &str = "PATCHER_WINDOWS_PROGRAMS";
/// A title with all that NSIS and file names give a meaning.
///
/// Wine 8 starts no shortcut to a folder with `%NAME%` or with letters outside of ASCII.
const TITLE: &str = r#"R&D "E" $INSTDIR ${NSISDIR} $(^Name) 'a' `b` c\d @FILES@"#;
const FILE_NAME: &str = r#"R&D -E- $INSTDIR ${NSISDIR} $(^Name) 'a' `b` c-d @FILES@"#;
const UNINSTALL_KEY: &str = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall";

/// A publisher of a program for Windows, and a user with wine.
struct Windows {
    world: World<Scripted>,
}

impl Windows {
    fn new() -> Self {
        let world = World::honest();
        let programs = PathBuf::from(std::env::var_os(PROGRAMS).expect("`.ci/windows` sets the variable"));
        let strip = Command::new("x86_64-w64-mingw32-strip")
            .arg(programs.join("patcher.exe"))
            .arg("-o")
            .arg(world.user.path("patcher.exe"))
            .output();
        assert!(strip.unwrap().status.success());
        let windows = Self { world };
        windows.clean();
        windows
    }

    /// Removes what an earlier run has left that failed.
    fn clean(&self) {
        let _ = fs::remove_dir_all(self.root());
        for (path, _) in self.uninstall_entries() {
            Run::of(self.wine("reg").args(["delete", &path, "/f"])).ends(0);
        }
        let _ = fs::remove_file(self.shortcut());
    }

    fn wine(&self, program: &str) -> Command {
        let mut wine = Command::new("wine");
        wine.arg(program);
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            wine.env_remove(name);
        }
        wine
    }

    /// Signs a release with a program that writes its version beside itself.
    fn publish(&self, version: &str, more: &str) {
        let script = format!(
            "Unicode true\nTarget amd64-unicode\nRequestExecutionLevel user\nSilentInstall silent\nOutFile app.exe\n\
             Section\nFileOpen $0 \"$EXEDIR\\started\" w\nFileWrite $0 {version}\nFileClose $0\nSectionEnd\n"
        );
        let path = self.world.user.path("app.nsi");
        fs::write(&path, script).unwrap();
        Run::of(Command::new("makensis").arg("-V2").arg(&path)).ends(0);
        let app = fs::read(path.with_file_name("app.exe")).unwrap();
        let tree = Tree::default()
            .file("bin/$app `x`.exe", &app, 0o755)
            .file("config.ini", b"default", 0o644)
            .file(&format!("share/only in {version}"), b"text", 0o644)
            .file("share/$INSTDIR", b"text", 0o644);
        let arguments = ["--platform", "x86_64-windows", "--launch", "bin/$app `x`.exe"];
        self.world.publisher.release("core", version, &tree).with(&arguments).settings(more).sign();
    }

    fn bundle(&self) -> PathBuf {
        let installer = self.world.user.path("setup.exe");
        let mut tool = Command::new(programs::manifest_tool());
        tool.arg("bundle").arg(self.world.publisher.public_key().with_file_name("build").join("core"));
        tool.arg("--output").arg(&installer).arg("--patcher").arg(self.world.user.path("patcher.exe"));
        tool.arg("--trust").arg(self.world.publisher.public_key());
        Run::of(&mut tool).ends(0);
        installer
    }

    fn install(&self, installer: &Path) -> Run {
        Run::of(self.wine(installer.to_str().unwrap()).arg("/S"))
    }

    /// Runs the silent uninstall command of the registry, as the system does.
    fn uninstall(&self) {
        let entries = self.uninstall_entries();
        let (_, values) = entries.first().unwrap();
        let command = values["QuietUninstallString"].strip_suffix(" /S").unwrap();
        let program = command.trim_matches('"');
        Run::of(self.wine(program).arg("/S")).ends(0);
        // The uninstaller goes on as a copy of itself, so that it can delete its file.
        wait_for("the end of the uninstaller", || (!self.root().join(".uninstall").exists()).then_some(()));
    }

    fn drive(&self) -> PathBuf {
        PathBuf::from(std::env::var_os("WINEPREFIX").unwrap()).join("dosdevices/c:")
    }

    fn local_data(&self) -> PathBuf {
        self.user_folder("AppData/Local")
    }

    fn user_folder(&self, name: &str) -> PathBuf {
        let users = fs::read_dir(self.drive().join("users")).unwrap();
        let user = users.map(|user| user.unwrap().path()).find(|user| !user.ends_with("Public")).unwrap();
        user.join(name)
    }

    fn root(&self) -> PathBuf {
        self.local_data().join("Programs").join(FILE_NAME)
    }

    fn shortcut(&self) -> PathBuf {
        let menu = "AppData/Roaming/Microsoft/Windows/Start Menu/Programs";
        self.user_folder(menu).join(format!("{FILE_NAME}.lnk"))
    }

    /// Returns the uninstall entries of components `core`, with their texts.
    fn uninstall_entries(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let file = self.world.user.path("uninstall.reg");
        let path = format!("Z:{}", file.display());
        if Run::of(self.wine("reg").args(["export", UNINSTALL_KEY, &path, "/y"])).code != Some(0) {
            return Vec::new();
        }
        let bytes = fs::read(&file).unwrap();
        let units = bytes.chunks_exact(2).skip(1).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let text = String::from_utf16(&units.collect::<Vec<_>>()).unwrap();
        let keys = text.split("\r\n\r\n").filter_map(|key| key.trim().strip_prefix('[')?.split_once("]\r\n"));
        let values = |lines: &str| {
            let unescaped = |text: &str| text.replace("\\\"", "\"").replace("\\\\", "\\");
            let value = |line: &str| line.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
            let pair = |line: String| line.split_once("\"=\"").map(|(name, text)| (name.to_owned(), unescaped(text)));
            lines.lines().filter_map(value).filter_map(pair).collect()
        };
        keys.filter(|(path, _)| path.contains(r"\core-"))
            .map(|(path, lines)| (path.to_owned(), values(lines)))
            .collect()
    }

    /// Returns the files below the root.
    fn files(&self) -> Vec<String> {
        let root = self.root();
        let files = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter().filter_map(Result::ok);
        let files = files.filter(|entry| entry.file_type().is_file());
        files.map(|entry| entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// Starts the program as a click on its menu entry does, and returns its version.
    fn start(&self) -> String {
        Run::of(self.wine("start").arg("/unix").arg(self.shortcut())).ends(0);
        let started = self.root().join("core/bin/started");
        let version = wait_for("the program", || fs::read_to_string(&started).ok().filter(|text| !text.is_empty()));
        fs::remove_file(started).unwrap();
        version
    }
}

#[test]
#[ignore = "needs wine, NSIS and the programs for Windows: `.ci/windows` runs it"]
fn an_installer_installs_updates_and_uninstalls() {
    let windows = Windows::new();
    windows.publish("1.0.0", &format!("title = {}\npublisher = \"A & B\"\n", toml_text(TITLE)));
    let installer = windows.bundle();
    windows.install(&installer).ends(0);
    let files = windows.files();
    let core = [
        "core/bin/$app `x`.exe",
        "core/config.ini",
        "core/manifest.xml",
        "core/share/$INSTDIR",
        "core/share/only in 1.0.0",
    ];
    assert_eq!(
        files,
        [&[".uninstall/1.pub.pem", ".uninstall/patcher.exe", ".uninstall/uninstall.exe"], &core[..]].concat()
    );
    let (_, values) = windows.uninstall_entries().pop().unwrap();
    assert_eq!(values["DisplayName"], TITLE);
    assert_eq!((values["DisplayVersion"].as_str(), values["Publisher"].as_str()), ("1.0.0", "A & B"));
    assert_eq!(windows.start(), "1.0.0");
    // A second installation changes nothing.
    windows.install(&installer).ends(2);
    assert_eq!(windows.files(), files);

    fs::write(windows.root().join("core/notes.txt"), "mine").unwrap();
    windows.publish("2.0.0", "title = \"another title\"\n");
    let updater = windows.root().join(".uninstall");
    let mut update = windows.wine(updater.join("patcher.exe").to_str().unwrap());
    update.arg("--root").arg(windows.root()).arg("--key").arg(updater.join("1.pub.pem")).args(["--json", "update"]);
    Run::of(&mut update).ends(0);
    assert_eq!(windows.start(), "2.0.0");
    fs::write(windows.root().join("core/config.ini"), "mine").unwrap();

    windows.uninstall();
    assert_eq!(windows.files(), ["core/config.ini", "core/notes.txt"]);
    assert_eq!(windows.uninstall_entries(), []);
    assert!(!windows.shortcut().exists());

    // The next installation keeps these files.
    windows.install(&installer).ends(0);
    assert_eq!(windows.start(), "1.0.0");
    windows.uninstall();
    assert_eq!(windows.files(), ["core.saved/config.ini", "core.saved/notes.txt"]);
    fs::remove_dir_all(windows.root()).unwrap();
    // Without files of the user, nothing stays.
    windows.install(&installer).ends(0);
    windows.uninstall();
    wait_for("the root's end", || (!windows.root().exists()).then_some(()));
}

fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
