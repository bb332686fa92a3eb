//! A publisher in a temporary folder: a key, a build folder with a few files, and a site.

use manifest_tool::signing::passphrase::Passphrases;
use manifest_tool::signing::private_key::PrivateKey;
use manifest_tool::site::site_keys::SiteKeys;
use patcher::internal::digest::Sha256;
use patcher::internal::keys::{PublicKey, TrustedKeys};
use patcher::internal::manifest::{Manifest, SignedBytes, body, parse, with_signatures};
use patcher::internal::timestamp::Timestamp;
use patcher::internal::trust::{self, Floor, ReleaseTarget, VerifiedManifest};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;
use tempfile::TempDir;

const DAY_SECONDS: i64 = 86_400;

/// Returns today's midnight plus `days`: releases are signed at `day(0)`, whatever the date is.
///
/// The first call fixes the day, so that a test that runs at midnight sees one day only.
pub fn day(days: i64) -> Timestamp {
    static TODAY: OnceLock<i64> = OnceLock::new();
    let today = TODAY.get_or_init(|| Timestamp::now().unix().div_euclid(DAY_SECONDS) * DAY_SECONDS);
    Timestamp::from_unix(today + days * DAY_SECONDS)
}

pub struct Publisher {
    dir: TempDir,
}

/// An object's path, time and inode. The inode is 0 on systems without inodes.
pub type ObjectState = (PathBuf, SystemTime, u64);

/// The exit code and output of a run.
pub struct ToolRun {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Publisher {
    /// Creates a publisher with a key and the build folder `build`.
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
        fs::write(&path, content).unwrap();
        #[cfg(unix)]
        if path.extension().is_some_and(|extension| extension == "pem") {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    pub fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(path)).unwrap()
    }

    /// Reads the manifest at `path` without checking its signatures.
    pub fn manifest(&self, path: &str) -> Manifest {
        parse(&SignedBytes::split(self.read(path)).unwrap().body).unwrap()
    }

    /// Verifies the manifest at `path` for a client of the stable `core` that needs signatures by
    /// all of `keys`.
    pub fn verified(&self, path: &str, keys: &[&str], floors: &[Floor]) -> patcher::Result<VerifiedManifest> {
        let key = |name: &&str| PublicKey::from_pem(&String::from_utf8(self.read(name)).unwrap()).unwrap();
        let keys = TrustedKeys::new(keys.iter().map(key).collect(), keys.len()).unwrap();
        let target = ReleaseTarget {
            component: "core".parse().unwrap(),
            channel: "stable".parse().unwrap(),
            platform: "any".parse().unwrap(),
        };
        Ok(trust::verify(self.read(path), &keys, &target, floors)?)
    }

    /// Returns the keys that the publisher's commands trust.
    pub fn site_keys(&self) -> SiteKeys {
        SiteKeys::new([PublicKey::from_pem(&String::from_utf8(self.read("release.pub.pem")).unwrap()).unwrap()])
    }

    /// Runs the program in the publisher's folder.
    pub fn run(&self, args: &[&str]) -> ToolRun {
        self.run_with(args, &[])
    }

    /// Runs the program with more environment variables.
    pub fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> ToolRun {
        ToolRun::of(self.command(args, environment).output().unwrap())
    }

    /// Returns a run of the program that is still to be started.
    pub fn command(&self, args: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_manifest-tool"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("SOURCE_DATE_EPOCH", day(0).unix().to_string())
            .env_remove("MANIFEST_KEY")
            .env_remove("MANIFEST_KEY_PASSPHRASE");
        command.envs(environment.iter().copied());
        command
    }

    /// Runs openssl and expects success.
    #[track_caller]
    pub fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl").args(args).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Signs `build` as version 1.0.0 of the component `core`, with `more` arguments.
    pub fn sign(&self, more: &[&str]) -> ToolRun {
        self.sign_as("1.0.0", more)
    }

    /// Signs `build` as this version of the component `core`, with `more` arguments.
    pub fn sign_as(&self, version: &str, more: &[&str]) -> ToolRun {
        self.sign_on(day(0), version, more)
    }

    /// Signs `build` as [`sign_as`](Self::sign_as), with an install object.
    pub fn sign_with_install_object(&self, version: &str, more: &[&str]) -> ToolRun {
        self.run(&[&release_flags(version), more].concat())
    }

    /// Signs `build` at another time than today's midnight, without an install object.
    pub fn sign_on(&self, time: Timestamp, version: &str, more: &[&str]) -> ToolRun {
        let flags = [&release_flags(version), &["--no-install-object"][..], more].concat();
        self.run_with(&flags, &[("SOURCE_DATE_EPOCH", &time.unix().to_string())])
    }

    /// Signs `builds` in turn as 1.1.0, 1.2.0 and so on, each with the program of that build.
    pub fn sign_builds(&self, builds: std::ops::RangeInclusive<u64>, more: &[&str]) {
        for build in builds {
            self.write("build/bin/app", program(build));
            self.sign_as(&format!("1.{build}.0"), more).ok();
        }
    }

    /// Signs any body with the key at `key`.
    pub fn signed(&self, manifest: &Manifest, key: &str) -> Vec<u8> {
        let body = body(manifest);
        let key = PrivateKey::load(&self.path(key), &Passphrases::default()).unwrap();
        with_signatures(&body, &[key.sign(&body).unwrap()])
    }

    /// Changes the latest manifest in a way that `sign` would not, and signs it again.
    pub fn sign_again<T>(&self, change: impl FnOnce(&mut Manifest) -> T) -> T {
        let mut manifest = self.manifest("site/core/manifest.xml");
        let result = change(&mut manifest);
        let bytes = self.signed(&manifest, "release.key.pem");
        let head = manifest_tool::site::heads::head(&manifest, Sha256::of(&body(&manifest)), &bytes);
        self.write("site/core/latest.xml", head.to_bytes());
        self.write("site/core/manifest.xml", bytes);
        // The deltas lead to the manifest as it was.
        let _ = std::fs::remove_dir_all(self.path(format!("site/core/releases/{}", manifest.meta.sequence)));
        result
    }

    /// Returns all objects of the site, sorted.
    pub fn objects(&self) -> Vec<PathBuf> {
        let walk = walkdir::WalkDir::new(self.path("site/core/objects")).sort_by_file_name();
        walk.into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.into_path())
            .collect()
    }

    /// Returns the state of all objects on the disk. Writing an object again changes its state.
    pub fn object_states(&self) -> Vec<ObjectState> {
        let state = |path: PathBuf| {
            let metadata = path.metadata().unwrap();
            #[cfg(unix)]
            let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
            #[cfg(not(unix))]
            let inode = 0;
            (path, metadata.modified().unwrap(), inode)
        };
        self.objects().into_iter().map(state).collect()
    }
}

/// Returns a program of about 60,000 bytes that compresses to half its size. Each build adds a line
/// and changes a few places.
pub fn program(build: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // Xorshift64 (Marsaglia 2003), the same for every build.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"0123456789abcdef"[(state >> 40) as usize % 16]
    };
    let mut bytes: Vec<u8> = (0..60_000).map(|_| next()).collect();
    for build in 1..=build {
        for place in [11, 22_222, 44_444] {
            bytes[(place + 997 * build as usize) % 50_000] = build as u8;
        }
        bytes.splice(3000..3000, format!("build {build}\n").into_bytes());
    }
    bytes
}

/// Returns `true` if `program` is missing, and reports it. Where `CI` is set it fails instead.
pub fn is_missing(program: &str) -> bool {
    let missing = Command::new(program).arg("--version").output().is_err();
    if missing {
        assert!(std::env::var_os("CI").is_none(), "CI has {program}");
        println!("SKIPPED: {program} is not installed");
    }
    missing
}

/// Returns the command that signs `build` as this version of the component `core`.
fn release_flags(version: &str) -> [&str; 8] {
    ["sign", "build", "--component", "core", "--version", version, "--base-url", "https://dl.example.com/core/"]
}

impl ToolRun {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Returns the output of a run that succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""));
        self.out
    }

    /// Expects that the arguments are refused as malformed.
    #[track_caller]
    pub fn usage_error(&self) {
        assert_eq!(self.code, 2, "{}", self.err);
        assert!(self.err.contains("Usage: ") || self.err.contains("'--help'"), "{}", self.err);
    }

    /// Expects this exit code and one line of error with `text`.
    #[track_caller]
    pub fn fails(&self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{}", self.err);
        assert!(self.err.starts_with("manifest-tool: ") && self.err.contains(text), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
    }
}

/// Runs the program on a terminal and types `typed`. Errors come with the output.
#[cfg(target_os = "linux")]
pub fn on_terminal(publisher: &Publisher, args: &str, typed: &str) -> ToolRun {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("{} {args}", env!("CARGO_BIN_EXE_manifest-tool")))
        .arg("/dev/null")
        .current_dir(publisher.dir.path())
        .env_remove("MANIFEST_KEY_PASSPHRASE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    terminal.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    ToolRun::of(terminal.wait_with_output().unwrap())
}

/// Returns one key pair for all tests: a key takes longer to make than a test.
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
