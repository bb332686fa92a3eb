//! A publisher in a temporary folder: keys, builds and a site that the real `manifest-tool` signs.

use super::key::{Key, sign};
use super::programs;
use super::run::Run;
use super::tree::Tree;
use patcher::internal::digest::Sha256;
use patcher::internal::head::Head;
use patcher::internal::layout::{ObjectKind, object_path};
use patcher::internal::manifest::{self, IndexedObject, Manifest, Meta, Object, SignedBytes};
use patcher::internal::tables::{InstallTable, UpdateTable};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// A publisher's key pair, site and base URLs.
pub struct Publisher {
    dir: TempDir,
    urls: Vec<String>,
}

/// The settings of a release until it is signed.
#[must_use]
pub struct Release<'a> {
    publisher: &'a Publisher,
    component: &'a str,
    tree: &'a Tree,
    settings: String,
    urls: Vec<String>,
    arguments: Vec<String>,
    has_install_object: bool,
    issued: Option<u64>,
}

/// A signed release.
pub struct Published {
    pub manifest: Manifest,
    component: String,
}

impl Publisher {
    /// Creates a publisher with the key that all publishers of the process share.
    pub fn new() -> Self {
        Self::with_key(&keys()[0])
    }

    /// Creates a publisher with another key.
    pub fn stranger() -> Self {
        Self::with_key(&keys()[1])
    }

    fn with_key((private, public): &(Vec<u8>, Vec<u8>)) -> Self {
        let dir = TempDir::new().unwrap();
        // Apache's workers run as another user and read the site.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("release.key.pem"), private).unwrap();
        fs::write(dir.path().join("release.pub.pem"), public).unwrap();
        fs::create_dir(dir.path().join("site")).unwrap();
        Self { dir, urls: vec!["http://127.0.0.1:9/".to_owned()] }
    }

    /// Sets the base URLs, the preferred one first.
    pub fn serve_at(&mut self, urls: impl IntoIterator<Item = String>) {
        self.urls = urls.into_iter().collect();
    }

    /// Returns the folder that the server serves.
    pub fn site(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    /// Returns the file of the public key.
    pub fn public_key(&self) -> PathBuf {
        self.dir.path().join("release.pub.pem")
    }

    /// Returns the file of a component's latest manifest on the site.
    pub fn manifest(&self, component: &str) -> PathBuf {
        self.site().join(component).join("manifest.xml")
    }

    /// Runs a command of `manifest-tool` that takes a site and a key, such as `resign`.
    #[track_caller]
    pub fn run_tool(&self, arguments: &[&str]) {
        let mut tool = Command::new(programs::manifest_tool());
        tool.args(arguments).arg("--site").arg(self.site());
        tool.arg("--key").arg(self.dir.path().join("release.key.pem")).env_remove("SOURCE_DATE_EPOCH");
        Run::of(&mut tool).ends(0);
    }

    /// Changes the latest manifest in a way that `manifest-tool` refuses, and signs it again.
    pub fn forge(&self, component: &str, change: impl FnOnce(&mut Manifest)) {
        let path = self.manifest(component);
        let mut manifest = read(&path);
        change(&mut manifest);
        let body = manifest::body(&manifest);
        let pem = fs::read_to_string(self.dir.path().join("release.key.pem")).unwrap();
        let hash = Sha256::of(&body);
        let bytes = sign(body, &[&Key::from_pem(&pem)]);
        let Meta { component, channel, sequence, .. } = manifest.meta;
        let size = bytes.len() as u64;
        let head = Head { component, channel, sequence, body: hash, size, stamp: None };
        fs::write(path.with_file_name("latest.xml"), head.to_bytes()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Changes the update objects of the latest release in a way that `manifest-tool` does not, and
    /// signs it again. `change` gets the table and the bytes of the deltas.
    pub fn forge_updates(&self, component: &str, change: impl Fn(&mut UpdateTable, &mut Vec<u8>)) {
        let site = self.site().join(component);
        self.forge(component, |manifest| {
            for update in &mut manifest.meta.updates {
                let path = site.join(object_path(ObjectKind::Update, &update.object.object.sha256));
                let bytes = fs::read(path).unwrap();
                let (table, deltas) = bytes.split_at(update.object.table.size as usize);
                let mut table = UpdateTable::parse(table, deltas.len() as u64).unwrap();
                let mut deltas = deltas.to_vec();
                change(&mut table, &mut deltas);
                let path = |object: &Object| site.join(object_path(ObjectKind::Update, &object.sha256));
                update.object = put(&table.to_bytes(), &deltas, path);
            }
        });
    }

    /// Changes the install object of the latest release in a way that `manifest-tool` does not, and
    /// signs it again. `change` gets the table and the bytes of the blocks.
    pub fn forge_install(&self, component: &str, change: impl Fn(&mut InstallTable, &mut Vec<u8>)) {
        let site = self.site().join(component);
        self.forge(component, |manifest| {
            let Some(install) = &mut manifest.meta.install else { panic!("no install object") };
            let path = |object: &Object| site.join(object_path(ObjectKind::Install, &object.sha256));
            let bytes = fs::read(path(&install.object)).unwrap();
            let (table, blocks) = bytes.split_at(install.table.size as usize);
            let mut table = InstallTable::parse(table, blocks.len() as u64).unwrap();
            let mut blocks = blocks.to_vec();
            change(&mut table, &mut blocks);
            *install = put(&table.to_bytes(), &blocks, path);
        });
    }

    /// Begins the next release of a component.
    pub fn release<'a>(&'a self, component: &'a str, version: &str, tree: &'a Tree) -> Release<'a> {
        let arguments = ["--component", component, "--version", version].map(str::to_owned).to_vec();
        let urls = self.urls.iter().map(|url| format!("{url}{component}/")).collect();
        Release {
            publisher: self,
            component,
            tree,
            settings: String::new(),
            urls,
            arguments,
            has_install_object: false,
            issued: None,
        }
    }
}

impl Release<'_> {
    /// Requires a version range of another component.
    pub fn requires(mut self, component: &str, range: &str) -> Self {
        self.arguments.extend(["--requires".to_owned(), format!("{component}={range}")]);
        self
    }

    /// Leaves the files that match `glob` to the user after the installation.
    pub fn preserve(mut self, glob: &str) -> Self {
        self.settings.push_str(&format!("preserve = [{glob:?}]\n"));
        self
    }

    /// Adds lines to `component.toml`.
    pub fn settings(mut self, lines: &str) -> Self {
        self.settings.push_str(lines);
        self
    }

    /// Counts the installations of users who agree.
    pub fn adoption(mut self) -> Self {
        self.settings.push_str("adoption = true\n");
        self
    }

    /// Publishes in another channel than `stable`.
    pub fn channel(mut self, channel: &str) -> Self {
        self.arguments.extend(["--channel", channel].map(str::to_owned));
        self
    }

    /// Adds no update objects: clients fetch changed files whole.
    pub fn whole(self) -> Self {
        self.with(&["--updates", "0"])
    }

    /// Adds the install object. Without it, clients fetch the objects of single files.
    pub fn install_object(mut self) -> Self {
        self.has_install_object = true;
        self
    }

    /// Publishes in the flat layout.
    pub fn flat(mut self) -> Self {
        self.urls.clone_from(&self.publisher.urls);
        self.install_object().with(&["--layout", "flat"])
    }

    /// Adds arguments for `manifest-tool sign`.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Allows a lower version than the latest one.
    pub fn downgrade(mut self) -> Self {
        self.arguments.push("--allow-downgrade".to_owned());
        self
    }

    /// Adds update objects from this number of earlier releases.
    pub fn updates(mut self, releases: usize) -> Self {
        self.arguments.extend(["--updates".to_owned(), releases.to_string()]);
        self
    }

    /// Signs at `issued` (seconds since 1970), valid for `days`.
    pub fn good_for(mut self, issued: u64, days: u32) -> Self {
        self.issued = Some(issued);
        self.arguments.extend(["--expires".to_owned(), format!("{days}d")]);
        self
    }

    /// Signs the release and puts it on the site.
    #[track_caller]
    pub fn sign(self) -> Published {
        let dir = self.publisher.dir.path();
        let build = dir.join("build").join(self.component);
        self.tree.write(&build);
        fs::write(build.join("component.toml"), &self.settings).unwrap();
        let mut tool = Command::new(programs::manifest_tool());
        tool.arg("sign").arg(&build).arg("--site").arg(self.publisher.site());
        tool.arg("--key").arg(dir.join("release.key.pem")).args(&self.arguments).env_remove("SOURCE_DATE_EPOCH");
        if !self.has_install_object {
            tool.arg("--no-install-object");
        }
        for url in &self.urls {
            tool.args(["--base-url", url]);
        }
        if let Some(issued) = self.issued {
            tool.env("SOURCE_DATE_EPOCH", issued.to_string());
        }
        Run::of(&mut tool).ends(0);
        Published { manifest: read(&build.join("manifest.xml")), component: self.component.to_owned() }
    }
}

impl Published {
    /// Returns the path that a client requests for a file's object, with its leading slash.
    #[track_caller]
    pub fn object(&self, path: &str) -> String {
        let file = self.manifest.files.iter().find(|file| file.path.as_str() == path).unwrap();
        format!("/{}/{}", self.component, object_path(ObjectKind::Gz, &file.gz.unwrap().sha256))
    }

    /// Returns the path of the update object from an earlier release.
    #[track_caller]
    pub fn update_from(&self, sequence: u64) -> String {
        let update = self.manifest.meta.updates.iter().find(|update| update.from == sequence).unwrap();
        format!("/{}/{}", self.component, object_path(ObjectKind::Update, &update.object.object.sha256))
    }

    /// Returns the paths of all files' objects on the site.
    pub fn objects(&self) -> BTreeSet<String> {
        self.manifest.files.iter().map(|file| self.object(file.path.as_str())).collect()
    }
}

/// Writes an object of a table and `rest` to its path on the site.
fn put(table: &[u8], rest: &[u8], path: impl Fn(&Object) -> PathBuf) -> IndexedObject {
    let bytes = [table, rest].concat();
    let object = |bytes: &[u8]| Object { size: bytes.len() as u64, sha256: Sha256::of(bytes) };
    let path = path(&object(&bytes));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, &bytes).unwrap();
    IndexedObject { object: object(&bytes), table: object(table) }
}

fn read(path: &Path) -> Manifest {
    manifest::parse(&SignedBytes::split(fs::read(path).unwrap()).unwrap().body).unwrap()
}

/// Returns two key pairs for the process: a key takes longer to make than most tests take.
fn keys() -> &'static [(Vec<u8>, Vec<u8>); 2] {
    static KEYS: OnceLock<[(Vec<u8>, Vec<u8>); 2]> = OnceLock::new();
    KEYS.get_or_init(|| {
        ["one", "two"].map(|name| {
            let dir = TempDir::new().unwrap();
            let name = dir.path().join(name);
            Run::of(Command::new(programs::manifest_tool()).args(["keygen", "--bits", "2048"]).arg(&name)).ends(0);
            let read = |ending| fs::read(name.with_extension(ending)).unwrap();
            (read("key.pem"), read("pub.pem"))
        })
    })
}
