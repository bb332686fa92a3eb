//! A site in memory, its server, and a user who has version 1.0.0 and could have 2.0.0.

use super::publisher::{Key, Release, first, noise, second, sign};
use super::server::Server;
use crate::support::tree::{Entry, Tree};
use patcher::internal::rel_path::RelPath;
use patcher::{Config, Error, Patcher, Result};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Where the manifest of `core` is.
pub const MANIFEST: &str = "/core/manifest.xml";
/// How long no byte may come where a test waits for just that.
pub const STALL: Duration = Duration::from_secs(1);
/// How long no byte may come elsewhere: a busy machine is no silent server.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long anything hostile may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Everything that a row needs; the server stops first.
pub struct World {
    pub server: Server,
    /// 1.0.0, sequence 10, installed.
    pub old: Release,
    /// 2.0.0, sequence 20, on the site.
    pub new: Release,
    signers: Vec<&'static Key>,
    stall: Cell<Duration>,
    dir: TempDir,
}

impl World {
    /// The user trusts two keys, and the first has signed.
    pub fn new() -> Self {
        Self::signed_by(&[first()])
    }

    /// Everything is signed by these keys.
    pub fn signed_by(signers: &[&'static Key]) -> Self {
        let server = Server::start();
        let url = format!("{}core/", server.url());
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let world =
            Self { old: old(&url), new: new(&url), server, signers: signers.to_vec(), stall: Cell::new(PATIENCE), dir };
        world.publish(&world.old);
        world.install("core");
        world.publish(&world.new);
        world.server.take_requests();
        world
    }

    /// Installs the latest release of a component.
    pub fn install(&self, component: &str) {
        let url = format!("{}{component}/manifest.xml", self.server.url());
        let update = self.patcher().install(component, &url).unwrap();
        update.download(|_| {}).unwrap().apply().unwrap();
    }

    /// Signs a release and puts it on the site with its objects.
    pub fn publish(&self, release: &Release) {
        for (path, bytes) in release.all_objects() {
            self.server.put(&path, bytes.clone());
        }
        let path = format!("/{}/manifest.xml", release.manifest.meta.component);
        self.server.put(&path, sign(release.body(), &self.signers));
    }

    /// The user's configuration: both keys are trusted, nothing is tried twice, and no proxy is
    /// asked.
    pub fn config(&self) -> Config {
        Config::new(self.root())
            .trusted_keys([&first().pem, &second().pem])
            .retries(0)
            .parallel(1)
            .connect_timeout(PATIENCE)
            .stall_timeout(self.stall.get())
            // Whatever proxy this machine needs for others, the server is here.
            .proxy("http://127.0.0.1:9")
            .no_proxy("127.0.0.1,localhost")
    }

    /// Gives a silent server up soon from now on, or no sooner than a user would.
    pub fn expect_silence(&self, expected: bool) {
        self.stall.set(if expected { STALL } else { PATIENCE });
    }

    pub fn patcher(&self) -> Patcher {
        Patcher::new(self.config()).unwrap()
    }

    /// The install root.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// Something beside the install root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Something in the component's folder.
    pub fn core(&self, name: &str) -> PathBuf {
        self.root().join("core").join(name)
    }

    /// Something in the state folder.
    pub fn state(&self, name: &str) -> PathBuf {
        self.root().join(".patcher").join(name)
    }

    /// What is installed and what is remembered.
    pub fn snapshot(&self) -> Snapshot {
        let mut state = Tree::read(&self.root().join(".patcher")).0;
        // Locks say nothing that lasts; records say what was tried, and the draw is a number.
        let passing = ["lock", "running", "active-update.xml", "updates.xml", "outcomes", "choices.xml"];
        state.retain(|path, _| !passing.contains(&path.as_str()));
        Snapshot { tree: Tree::read(&self.root()), state }
    }

    /// The bytes of all files in the stage.
    pub fn staged_bytes(&self) -> u64 {
        let files = walkdir::WalkDir::new(self.state("stage")).into_iter().flatten();
        files.filter_map(|entry| entry.metadata().ok()).filter(|found| found.is_file()).map(|found| found.len()).sum()
    }

    /// Forgets what was staged.
    pub fn clear_stage(&self) {
        let _ = fs::remove_dir_all(self.state("stage"));
    }

    /// What a check comes to.
    pub fn check(&self) -> String {
        check(&self.patcher())
    }

    /// What a check, a download and a swap come to.
    pub fn update(&self) -> String {
        update(&self.patcher())
    }
}

/// The release that is installed.
fn old(url: &str) -> Release {
    Release::new("core", "1.0.0", 10, url)
        .file("bin/app", &noise(1, 6000), true)
        .file("lib/data", b"data 1", false)
        .file("old/dropped", b"dropped", false)
        .link("lib/current", "data")
}

/// The release that is offered: its program is much larger than its gzip, so that an answer may be
/// too long for one and not for the other.
fn new(url: &str) -> Release {
    let program = noise(2, 5000).repeat(4);
    let mut release = Release::new("core", "2.0.0", 20, url)
        .file("bin/app", &program, true)
        .file("lib/data", b"data 2", false)
        .file("new/file", b"new", false)
        .link("lib/current", "data");
    release.manifest.meta.launch = Some(RelPath::new("bin/app").unwrap());
    release
}

/// What is installed and what is remembered.
#[derive(Clone)]
pub struct Snapshot {
    /// The install root without the state folder: the components with their manifests.
    pub tree: Tree,
    /// The state folder by path, without locks.
    pub state: BTreeMap<String, Entry>,
}

impl Snapshot {
    /// What is different in `after`, in words; nothing when all is the same.
    pub fn differences(&self, after: &Snapshot) -> String {
        self.tree.differences(&after.tree) + &Tree(self.state.clone()).differences(&Tree(after.state.clone()))
    }

    /// Without what is in the stage.
    pub fn without_stage(mut self) -> Self {
        self.state.retain(|path, _| path != "stage" && !path.starts_with("stage/"));
        self
    }
}

/// What a check comes to: the error's code, or what was found.
pub fn check(patcher: &Patcher) -> String {
    let patcher = patcher.clone();
    within_the_deadline(move || {
        told(patcher.check_component("core").map(|update| match update {
            Some(update) => format!("update to {}", update.to()),
            None => "up to date".to_owned(),
        }))
    })
}

/// What a check, a download and a swap come to.
pub fn update(patcher: &Patcher) -> String {
    let patcher = patcher.clone();
    within_the_deadline(move || {
        let done = || -> Result<String> {
            let Some(update) = patcher.check_component("core")? else { return Ok("up to date".to_owned()) };
            let version = update.to().to_string();
            update.download(|_| {})?.apply()?;
            Ok(format!("updated to {version}"))
        };
        told(done())
    })
}

/// The code of an error, whose exit code must be the one that design and manual give to it.
pub fn told(result: Result<String>) -> String {
    result.unwrap_or_else(|error| code(&error))
}

/// The code of an error, with the exit code where that is not the documented one.
pub fn code(error: &Error) -> String {
    let code = error.code();
    let documented = match code {
        "no-key" | "bad-key" | "bad-setting" | "nothing-staged" | "component-twice" => 2,
        "unreachable" | "stalled" | "cut-off" | "http-status" | "retry-later" | "redirect" => 20,
        "unsafe-path" | "folder-in-the-way" | "no-space" | "not-installed" | "installed-manifest" | "state-damaged"
        | "journal-unreadable" | "changed" | "swap-undone" | "undo-failed" | "io" => 22,
        "busy" => 23,
        _ => 21,
    };
    if error.to_string().contains('\n') {
        return format!("{code} with a message of several lines");
    }
    if error.exit_code() == documented { code.to_owned() } else { format!("{code} with exit {}", error.exit_code()) }
}

/// What `work` gives, unless it takes too long.
pub fn within_the_deadline(work: impl FnOnce() -> String + Send + 'static) -> String {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = sender.send(work());
    });
    match receiver.recv_timeout(DEADLINE) {
        Ok(told) => told,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => "nothing within the deadline".to_owned(),
        Err(_) => thread.join().map_or_else(|_| "a panic".to_owned(), |()| "nothing".to_owned()),
    }
}
