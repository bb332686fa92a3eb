//! The commands in the guides work. The test runs each command of their shell blocks with its own
//! folders and addresses. A command with an exit code other than 0 names it in its comment.

use crate::support::deadline::wait_for;
use crate::support::left_out;
use crate::support::programs;
use crate::support::publisher::Publisher;
use crate::support::run::Run;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::Tree;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The folders of a reader's machine that the guides name.
const FOLDERS: [&str; 4] = ["/opt/", "/etc/app/", "/media/", "/var/www/"];

/// A reader with a terminal, a publisher, and a server that the publisher fills.
struct Reader {
    dir: TempDir,
    publisher: Publisher,
    server: Scripted,
    aliases: String,
}

impl Reader {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let mut publisher = Publisher::new();
        let server = Scripted::serve(&publisher.site(), |_| Reply::Site);
        publisher.serve_at([server.url()]);
        for folder in ["opt/app", "etc/app", "media/stick", "var/www"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(publisher.site(), dir.path().join("var/www/updates")).unwrap();
        for file in ["release.pub.pem", "etc/app/release.pub.pem"] {
            fs::copy(publisher.public_key(), dir.path().join(file)).unwrap();
        }
        // Stands in for ssh to another machine, and runs the command here.
        fs::write(dir.path().join("shell"), "#!/bin/sh\nshift\nexec sh -c \"$*\"\n").unwrap();
        Self { dir, publisher, server, aliases: String::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Types a command as a guide shows it.
    fn type_in(&mut self, command: &str) -> Run {
        let here = self.dir.path().to_str().unwrap();
        let mut own = command.replace("https://dl.example.com/", &self.server.url());
        for folder in FOLDERS {
            own = own.replace(folder, &format!("{here}{folder}"));
        }
        if own.starts_with("alias ") {
            self.aliases.push_str(&format!("{own}\n"));
        }
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("bash");
        // The shell expands an alias from the line after its definition on.
        shell.arg("-c").arg(format!("shopt -s expand_aliases\n{}{own}\n", self.aliases)).current_dir(here);
        shell.env("PATH", format!("{}:{path}", programs::patcher().parent().unwrap().display()));
        shell.env("RSYNC_RSH", format!("sh {here}/shell")).env("MANIFEST_KEY_PASSPHRASE", "well known");
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            shell.env_remove(name).env_remove(name.to_uppercase());
        }
        Run::of(shell.env_remove("SOURCE_DATE_EPOCH").env_remove("MANIFEST_KEY"))
    }

    /// Types every command of a page. Before each one, `before` acts for the reader or another
    /// person.
    fn follow(&mut self, page: &str, mut before: impl FnMut(&Self, &str)) {
        for command in blocks(page, "sh").iter().flat_map(|block| commands(block)) {
            before(self, &command);
            let comment = command.split_once(" # ").map_or("", |(_, comment)| comment);
            let run = self.type_in(&command);
            let code = run.code.unwrap().to_string();
            let told = comment.split(|c: char| !c.is_ascii_digit()).any(|word| word == code);
            assert!(code == "0" || told, "{command}: {run:#?}");
        }
    }
}

/// Returns the blocks of a language in a page.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = fs::read_to_string(path).unwrap();
    let opening = format!("```{language}\n");
    let parts = text.split(&opening).skip(1);
    let blocks: Vec<String> = parts.map(|part| part.split("```").next().unwrap().to_owned()).collect();
    assert!(!blocks.is_empty(), "{page} has no {language}");
    blocks
}

/// Returns the commands of a block: lines, joined where they end in `&&`.
pub fn commands(block: &str) -> Vec<String> {
    block.replace("&&\n", "&& ").lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn tree(version: u32) -> Tree {
    Tree::default().file("bin/app", format!("#!/bin/sh\n: this is {version}\n").as_bytes(), 0o755)
}

#[test]
fn the_publishers_commands_work() {
    if left_out::program("rsync").is_none() {
        return;
    }
    let mut reader = Reader::new();
    fs::remove_file(reader.path("release.pub.pem")).unwrap();
    for (file, text) in [("NEWS.txt", "All is new.\n"), ("NEWS.de.txt", "Alles ist neu.\n")] {
        fs::write(reader.path(file), text).unwrap();
    }
    tree(0).write(&reader.path("build"));
    let mut version = 0;
    reader.follow("guide/publisher.md", |reader, command| {
        if command.starts_with("manifest-tool sign") {
            version += 1;
            tree(version).write_into(&reader.path("build"));
            let url = reader.server.url();
            let settings = format!("name = \"core\"\nversion = \"{version}.0.0\"\nurls = [\"{url}core/\"]\n");
            fs::write(reader.path("build/component.toml"), settings).unwrap();
        }
    });
    assert!(version > 3);
    // The file that a client gets with the new key.
    reader.type_in("manifest-tool publish ./site /var/www/updates").ends(0);
    let client = "patcher --root /opt/app --key release.pub.pem";
    reader.type_in(&format!("{client} install core --from https://dl.example.com/core/")).ends(0);
    tree(version).assert_is(&Tree::read(&reader.path("opt/app/core")));
}

#[test]
fn the_administrators_commands_work() {
    if left_out::program("rsync").is_none() {
        return;
    }
    let mut reader = Reader::new();
    let publish = |reader: &Reader, version: u32| {
        let tree = tree(version);
        reader.publisher.release("core", &format!("{version}.0.0"), &tree).sign();
    };
    publish(&reader, 1);
    let mut checked = false;
    reader.follow("guide/administrator.md", |reader, command| match command {
        _ if command.starts_with("patcher check") => {
            checked = true;
            publish(reader, 2);
        }
        _ if command.starts_with("patcher history") => {
            tree(2).assert_is(&Tree::read(&reader.path("opt/app/core")));
        }
        _ if command.starts_with("rsync") => publish(reader, 3),
        _ => {}
    });
    assert!(checked);
    tree(3).assert_is(&Tree::read(&reader.path("opt/app/core")));
}

#[test]
fn the_commands_for_other_languages_work() {
    let mut reader = Reader::new();
    let (one, two) = (tree(1), tree(2));
    reader.publisher.release("app", "1.0.0", &one).sign();
    reader
        .type_in("patcher --root /opt/app --key release.pub.pem install app --from https://dl.example.com/app/")
        .ends(0);
    reader.publisher.release("app", "2.0.0", &two).sign();
    let said = |reader: &Reader, words: &str| {
        let log = reader.path("opt/app/.patcher/helper.log");
        wait_for(words, || fs::read_to_string(&log).ok().filter(|text| text.contains(words)));
    };
    reader.follow("guide/app-developer.md", |reader, command| {
        if command.contains(" confirm") {
            // The program has started and ended, which is all that this one does.
            said(reader, "the new version ended");
        }
    });
    two.assert_is(&Tree::read(&reader.path("opt/app/app")));
}

#[test]
fn the_service_files_use_known_arguments() {
    let mut starts: Vec<Vec<String>> = Vec::new();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let units = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd")).unwrap();
    for unit in units.map(|unit| fs::read_to_string(unit.unwrap().path()).unwrap()) {
        let commands = unit.lines().filter_map(|line| line.strip_prefix("ExecStart="));
        let commands = commands.chain(unit.lines().filter_map(|line| line.strip_prefix("ExecStartPre=-")));
        starts.extend(commands.filter(|command| command.contains("patcher")).map(words));
    }
    for task in blocks("guide/administrator.md", "bat") {
        starts.push(words(task.split("/TR ").nth(1).unwrap().trim().trim_matches('"').trim_start_matches('\\')));
    }
    for list in blocks("guide/administrator.md", "xml") {
        let list = list.split("<array>").nth(1).unwrap().split("</array>").next().unwrap();
        starts.push(list.split("<string>").skip(1).map(|part| part.split('<').next().unwrap().to_owned()).collect());
    }
    assert_eq!(starts.len(), 5, "{starts:?}");
    for start in starts {
        assert!(start[0].contains("patcher"), "{start:?}");
        // `--help` succeeds only after known arguments.
        Run::of(Command::new(programs::patcher()).args(&start[1..]).arg("--help")).ends(0);
    }
}
