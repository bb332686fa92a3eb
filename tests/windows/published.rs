//! From the publisher's build to a running new version: all three programs, over HTTP on loopback.

use crate::program::{self, BODY, Program, with_talk};
use crate::world::program as built;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;
use tiny_http::{Response, Server};

/// Returns a server of a folder's files, which ends with the process.
fn serve(site: PathBuf) -> String {
    let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
    let url = format!("http://{}/", server.server_addr());
    std::thread::spawn(move || {
        for request in server.incoming_requests() {
            let path = site.join(request.url().trim_start_matches('/').split('/').collect::<PathBuf>());
            let response = fs::read(path).map(|bytes| Response::from_data(bytes).with_chunked_threshold(usize::MAX));
            let _ = match response {
                Ok(response) => request.respond(response),
                Err(_) => request.respond(Response::empty(404)),
            };
        }
    });
    url
}

/// A publisher, the server of the site, and an install root.
pub struct Workshop {
    dir: TempDir,
    pub url: String,
}

impl Workshop {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("site")).unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let url = serve(dir.path().join("site"));
        let workshop = Self { dir, url };
        let key = workshop.path("release");
        workshop.run(Command::new(built("manifest-tool.exe")).args(["keygen", "--bits", "2048"]).arg(key), 0);
        workshop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    #[track_caller]
    pub fn run(&self, command: &mut Command, code: i32) -> String {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let words = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(status.code(), Some(code), "{command:?}: {words}");
        words
    }

    fn publish(&self, version: &str, files: &[(&str, &[u8])]) {
        self.publish_with(version, files, "");
    }

    /// Publishes a release with these lines in `component.toml`.
    pub fn publish_with(&self, version: &str, files: &[(&str, &[u8])], settings: &str) {
        let build = self.path("build");
        let _ = fs::remove_dir_all(&build);
        for (path, bytes) in files {
            let path = build.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::write(build.join("component.toml"), settings).unwrap();
        let mut tool = Command::new(built("manifest-tool.exe"));
        tool.arg("sign")
            .arg(&build)
            .arg("--site")
            .arg(self.path("site"))
            .arg("--key")
            .arg(self.path("release.key.pem"));
        tool.args(["--component", "core", "--version", version, "--base-url"]).arg(format!("{}core/", self.url));
        self.run(&mut tool, 0);
    }

    pub fn patcher(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(built("patcher.exe"));
        command.arg("--root").arg(self.path("root")).arg("--key").arg(self.path("release.pub.pem")).arg("--json");
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command.args(arguments);
        command
    }

    pub fn core(&self, path: &str) -> PathBuf {
        self.path("root").join("core").join(path)
    }
}

fn same(path: &Path, bytes: &[u8]) -> bool {
    fs::read(path).unwrap() == bytes
}

#[test]
fn a_program_is_published_installed_and_updated_while_it_runs() {
    let workshop = Workshop::new();
    let (one, two) = (program::bytes("1"), program::bytes("2"));
    workshop.publish("1.0.0", &[("bin\\app.exe", &one), ("Data\\a", b"1"), ("Data\\b", b"same")]);
    let from = format!("{}core/manifest.xml", workshop.url);
    workshop.run(&mut workshop.patcher(&["install", "core", "--from", &from]), 0);
    assert!(same(&workshop.core("bin\\app.exe"), &one));
    workshop.run(&mut workshop.patcher(&["verify", "core"]), 0);

    workshop.publish("2.0.0", &[("bin\\app.exe", &two), ("data\\A", b"2"), ("data\\b", b"same")]);
    workshop.run(&mut workshop.patcher(&["check"]), 10);
    workshop.run(&mut workshop.patcher(&["download"]), 0);
    let mut app = Program::start(&workshop.core("bin\\app.exe"), &workshop.path("old"));
    let pid = app.started().0.to_string();
    let program = workshop.core("bin\\app.exe");
    let mut apply = workshop.patcher(&["apply", "--wait-pid", &pid, "--restart", "--", program.to_str().unwrap()]);
    with_talk(apply.args(BODY), &workshop.path("new"));
    workshop.run(&mut apply, 0);
    assert!(same(&program, &one));
    app.stop();
    let mut again = Program::started_by_another(&workshop.path("new"));
    again.started();
    assert!(same(&program, &two));
    assert!(same(&workshop.core("data\\A"), b"2"));
    workshop.run(&mut workshop.patcher(&["verify", "core"]), 0);
    let names: Vec<_> = fs::read_dir(workshop.core("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name == "data") && !names.iter().any(|name| name == "Data"), "{names:?}");
    again.stop();
}

#[test]
fn a_file_of_the_users_in_other_letters_is_named_before_anything_is_fetched() {
    let workshop = Workshop::new();
    workshop.publish("1.0.0", &[("a", b"1")]);
    let from = format!("{}core/manifest.xml", workshop.url);
    workshop.run(&mut workshop.patcher(&["install", "core", "--from", &from]), 0);
    workshop.publish("2.0.0", &[("a", b"1"), ("Readme", b"2")]);
    fs::write(workshop.core("README"), "mine").unwrap();
    let words = workshop.run(&mut workshop.patcher(&["update"]), 22);
    assert!(words.contains("\"name-taken\""), "{words}");
    fs::remove_file(workshop.core("README")).unwrap();
    workshop.run(&mut workshop.patcher(&["update"]), 0);
}
