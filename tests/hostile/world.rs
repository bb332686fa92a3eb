//! A site in memory, its server, and a user who has version 1.0.0 and is offered 2.0.0.

use super::publisher::{Key, Release, first, second, sign};
use crate::support::scripted::Scripted;
use crate::support::tree::noise;
use crate::support::tree::{Entry, Tree};
use patcher::internal::digest::Sha256;
use patcher::internal::head::Head;
use patcher::internal::manifest::Meta;
use patcher::internal::rel_path::RelPath;
use patcher::{Config, Error, Offer, Patcher, Result};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// The path of the head of `core`. The site has none, unless a test adds one.
pub const HEAD: &str = "/core/latest.xml";
/// The path of the manifest of `core`.
pub const MANIFEST: &str = "/core/manifest.xml";
/// The stall timeout of rows that expect silence.
pub const SHORT_STALL_TIMEOUT: Duration = Duration::from_secs(1);
/// The stall timeout elsewhere: a busy machine is no silent server.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit for a check or an update of any row.
const ROW_TIMEOUT: Duration = Duration::from_secs(20);

/// The parts of a test. The server stops first.
pub struct HostileWorld {
    pub server: Scripted,
    /// Version 1.0.0, sequence 10, installed.
    pub old: Release,
    /// Version 2.0.0, sequence 20, on the site.
    pub new: Release,
    signers: Vec<&'static Key>,
    stall: Cell<Duration>,
    dir: TempDir,
}

impl HostileWorld {
    /// Creates a world whose user trusts two keys, with everything signed by the first.
    pub fn new() -> Self {
        Self::signed_by(&[first()])
    }

    /// Creates a world with everything signed by these keys.
    pub fn signed_by(signers: &[&'static Key]) -> Self {
        let server = Scripted::in_memory();
        let url = format!("{}core/", server.url());
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let world = Self {
            old: old(&url),
            new: new(&url),
            server,
            signers: signers.to_vec(),
            stall: Cell::new(STALL_TIMEOUT),
            dir,
        };
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

    /// Puts the head of a release on the site, whose manifest is there.
    pub fn put_head(&self, release: &Release) {
        let Meta { component, channel, sequence, .. } = release.manifest.meta.clone();
        let size = self.server.file(MANIFEST).len() as u64;
        let head =
            Head { component, channel, sequence, body: Sha256::of(release.body().as_bytes()), size, stamp: None };
        self.server.put(HEAD, head.to_bytes());
    }

    /// Makes the offered release with another version and sequence.
    pub fn offered_as(&self, version: &str, sequence: u64) -> Release {
        let mut release = self.new.clone();
        release.manifest.meta.version = version.parse().unwrap();
        release.manifest.meta.sequence = sequence;
        release
    }

    /// Puts a release of `core` without its objects on the site, signed by `keys`.
    pub fn offer(&self, release: &Release, keys: &[&Key]) {
        self.server.put(MANIFEST, sign(release.body(), keys));
        self.server.be_honest();
    }

    /// Expects an outcome of an update that leaves the installed files unchanged.
    #[track_caller]
    pub fn refuses(&self, expected: &str) {
        let before = self.snapshot().tree;
        assert_eq!(self.update(), expected);
        assert_eq!(before.differences(&self.snapshot().tree), "");
    }

    /// Returns the user's configuration: both keys trusted, no retries, and no proxy.
    pub fn config(&self) -> Config {
        Config::new(self.root())
            .trusted_keys([&first().pem, &second().pem])
            .retries(0)
            .parallel(1)
            .connect_timeout(STALL_TIMEOUT)
            .stall_timeout(self.stall.get())
            // The server is on loopback, which no proxy of the machine may serve.
            .proxy("http://127.0.0.1:9")
            .no_proxy("127.0.0.1,localhost")
    }

    /// Shortens the stall timeout for a row that expects silence.
    pub fn expect_silence(&self, expected: bool) {
        self.stall.set(if expected { SHORT_STALL_TIMEOUT } else { STALL_TIMEOUT });
    }

    pub fn patcher(&self) -> Patcher {
        Patcher::new(self.config()).unwrap()
    }

    /// Returns the install root.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// Returns a path beside the install root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns a path in the component's folder.
    pub fn core(&self, name: &str) -> PathBuf {
        self.root().join("core").join(name)
    }

    /// Returns a path in the state folder.
    pub fn state(&self, name: &str) -> PathBuf {
        self.root().join(".patcher").join(name)
    }

    /// Reads the installed files and the state.
    pub fn snapshot(&self) -> Snapshot {
        let mut state = Tree::read(&self.root().join(".patcher")).0;
        // Locks are transient; these records hold past attempts and a random number.
        let passing = ["lock", "running", "active-update.xml", "updates.xml", "outcomes", "choices.xml"];
        state.retain(|path, _| !passing.contains(&path.as_str()));
        Snapshot { tree: Tree::read(&self.root()), state }
    }

    /// Adds up the bytes of all files in the stage.
    pub fn staged_bytes(&self) -> u64 {
        let files = walkdir::WalkDir::new(self.state("stage")).into_iter().flatten();
        files.filter_map(|entry| entry.metadata().ok()).filter(|found| found.is_file()).map(|found| found.len()).sum()
    }

    /// Removes the stage.
    pub fn clear_stage(&self) {
        let _ = fs::remove_dir_all(self.state("stage"));
    }

    /// Returns the outcome of a check.
    pub fn check(&self) -> String {
        check(&self.patcher())
    }

    /// Returns the outcome of a check, a download and a swap.
    pub fn update(&self) -> String {
        update(&self.patcher())
    }
}

/// The content of files that no call may touch.
pub const OUTSIDE: &[u8] = b"not yours";

/// Creates a world with a folder beside the install root that no call may touch.
pub fn with_outside() -> (HostileWorld, Tree) {
    let world = HostileWorld::new();
    fs::create_dir(world.path("outside")).unwrap();
    fs::write(world.path("outside/file"), OUTSIDE).unwrap();
    fs::write(world.path("outside/app"), OUTSIDE).unwrap();
    let outside = Tree::read(&world.path("outside"));
    (world, outside)
}

/// Makes the installed release.
fn old(url: &str) -> Release {
    Release::new("core", "1.0.0", 10, url)
        .file("bin/app", &noise(1, 6000), true)
        .file("lib/data", b"data 1", false)
        .file("old/dropped", b"dropped", false)
        .link("lib/current", "data")
}

/// Makes the offered release. Its program is much larger than its gzip, so that an answer can be
/// too long for the gzip and not for the program.
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

/// The installed files and the state.
#[derive(Clone)]
pub struct Snapshot {
    /// The install root without the state folder: the components with their manifests.
    pub tree: Tree,
    /// The state folder by path, without locks.
    pub state: BTreeMap<String, Entry>,
}

impl Snapshot {
    /// Describes the differences in `after`; the text is empty if there are none.
    pub fn differences(&self, after: &Snapshot) -> String {
        self.tree.differences(&after.tree) + &Tree(self.state.clone()).differences(&Tree(after.state.clone()))
    }

    /// Removes the stage from the snapshot.
    pub fn without_stage(mut self) -> Self {
        self.state.retain(|path, _| path != "stage" && !path.starts_with("stage/"));
        self
    }
}

/// Returns the outcome of a check: the error's code, or the found update.
pub fn check(patcher: &Patcher) -> String {
    let patcher = patcher.clone();
    within_the_deadline(move || {
        outcome(patcher.check_component("core").map(|offer| match offer {
            Offer::Update(update) => format!("update to {}", update.to()),
            Offer::UpToDate => "up to date".to_owned(),
            other => format!("{other:?}"),
        }))
    })
}

/// Returns the outcome of a check, a download and a swap.
pub fn update(patcher: &Patcher) -> String {
    let patcher = patcher.clone();
    within_the_deadline(move || {
        let done = || -> Result<String> {
            let Some(update) = patcher.check_component("core")?.update() else { return Ok("up to date".to_owned()) };
            let version = update.to().to_string();
            update.download(|_| {})?.apply()?;
            Ok(format!("updated to {version}"))
        };
        outcome(done())
    })
}

/// Returns the outcome or the error's code.
pub fn outcome(result: Result<String>) -> String {
    result.unwrap_or_else(|error| code(&error))
}

/// Returns the error's code, and its exit code if that is not the documented one.
pub fn code(error: &Error) -> String {
    let code = error.code();
    let documented = match code {
        "no-key" | "bad-key" | "bad-setting" | "nothing-staged" | "component-twice" => 2,
        "unreachable" | "stalled" | "timed-out" | "cut-off" | "http-status" | "retry-later" | "redirect" => 20,
        "unsafe-path" | "folder-in-the-way" | "no-space" | "not-installed" | "installed-manifest" | "state-damaged"
        | "journal-unreadable" | "changed" | "stage-damaged" | "swap-undone" | "undo-failed" | "io" => 22,
        "busy" => 23,
        _ => 21,
    };
    if error.to_string().contains('\n') {
        return format!("{code} with a message of several lines");
    }
    if error.exit_code() == documented { code.to_owned() } else { format!("{code} with exit {}", error.exit_code()) }
}

/// Runs `work`, unless it takes too long.
pub fn within_the_deadline(work: impl FnOnce() -> String + Send + 'static) -> String {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = sender.send(work());
    });
    match receiver.recv_timeout(ROW_TIMEOUT) {
        Ok(outcome) => outcome,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => "nothing within the deadline".to_owned(),
        Err(_) => thread.join().map_or_else(|_| "a panic".to_owned(), |()| "nothing".to_owned()),
    }
}
