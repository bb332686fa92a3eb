//! A publisher in a temporary folder: a key, a build folder with a few files, and a site.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// 2026-11-21T00:00:00Z, in seconds.
pub const SIGNED_AT: &str = "1795219200";

pub struct Publisher {
    dir: TempDir,
}

/// What a run of the program left behind.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Publisher {
    /// With a key and the build folder `build`.
    pub fn new() -> Self {
        let publisher = Self { dir: TempDir::new().unwrap() };
        let (private, public) = key_pair();
        publisher.write("release.key.pem", private);
        publisher.write("release.pub.pem", public);
        publisher.write("build/bin/app", "the program\n".repeat(1000));
        publisher.write("build/share/data.txt", "some data");
        publisher.write("build/share/same.txt", "some data");
        publisher.write("build/empty", "");
        publisher
    }

    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(path)).unwrap()
    }

    /// Runs the program in the publisher's folder.
    pub fn run(&self, args: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_manifest-tool"));
        command.args(args).current_dir(self.dir.path()).env("SOURCE_DATE_EPOCH", SIGNED_AT).env_remove("MANIFEST_KEY");
        Run::of(command.output().unwrap())
    }

    /// Signs `build` as the component `core`, with `more` arguments.
    pub fn sign(&self, more: &[&str]) -> Run {
        let flags = [
            "sign",
            "build",
            "--component",
            "core",
            "--version",
            "1.0.0",
            "--base-url",
            "https://dl.example.com/core/",
        ];
        self.run(&[&flags, more].concat())
    }

    /// All objects of the site, sorted.
    pub fn objects(&self) -> Vec<PathBuf> {
        let walk = walkdir::WalkDir::new(self.path("site/core/objects")).sort_by_file_name();
        walk.into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.into_path())
            .collect()
    }
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The output of a run that succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""));
        self.out
    }

    /// Expects this exit code and one line of error that holds `text`.
    #[track_caller]
    pub fn fails(&self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{}", self.err);
        assert!(self.err.starts_with("manifest-tool: ") && self.err.contains(text), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
    }
}

/// One key pair for all tests: making one takes longer than they do.
fn key_pair() -> &'static (Vec<u8>, Vec<u8>) {
    static PAIR: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    PAIR.get_or_init(|| {
        let dir = TempDir::new().unwrap();
        let name = dir.path().join("test");
        let made =
            Command::new(env!("CARGO_BIN_EXE_manifest-tool")).args(["keygen", "--bits", "2048"]).arg(&name).output();
        assert!(made.unwrap().status.success());
        let read = |ending| fs::read(name.with_extension(ending)).unwrap();
        (read("key.pem"), read("pub.pem"))
    })
}
