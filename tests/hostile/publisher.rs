//! A publisher in memory: keys made once for the process, releases as values, and signatures over
//! any bytes.

pub use crate::support::key::{Key, sign};
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{ObjectKind, object_path};
use patcher::internal::manifest::{self, Appearance, File, Link, Manifest, Meta, Object, Platform, SiteLayout};
use patcher::internal::rel_path::RelPath;
use std::io::Write as _;
use std::sync::OnceLock;

/// Returns the publisher's key.
pub fn first() -> &'static Key {
    &keys()[0]
}

/// Returns the publisher's standby key.
pub fn second() -> &'static Key {
    &keys()[1]
}

/// Returns another publisher's key.
pub fn stranger() -> &'static Key {
    &keys()[2]
}

fn keys() -> &'static [Key; 3] {
    static KEYS: OnceLock<[Key; 3]> = OnceLock::new();
    KEYS.get_or_init(|| [(); 3].map(|()| std::thread::spawn(Key::generate)).map(|thread| thread.join().unwrap()))
}

pub fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256::of(bytes)
}

/// Returns one plain gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A release and its objects.
#[derive(Clone)]
pub struct Release {
    pub manifest: Manifest,
    /// The bytes of each file's object, in the order of the files.
    pub objects: Vec<Vec<u8>>,
}

impl Release {
    /// Makes a release of `component` for every platform, served below `base_url`, without files.
    pub fn new(component: &str, version: &str, sequence: u64, base_url: &str) -> Self {
        let meta = Meta {
            component: component.parse().unwrap(),
            version: version.parse().unwrap(),
            sequence,
            channel: "stable".parse().unwrap(),
            platform: Platform::any(),
            issued: "2024-01-01T00:00:00Z".parse().unwrap(),
            expires: Some("2999-01-01T00:00:00Z".parse().unwrap()),
            launch: None,
            appearance: Appearance::default(),
            rollout: None,
            critical: false,
            adoption: false,
            retires: None,
            layout: SiteLayout::Folders,
            base_urls: vec![base_url.parse().unwrap()],
            requires: Vec::new(),
            stepping_stones: Vec::new(),
            updates: Vec::new(),
            install: None,
            freshness: None,
            notes: Vec::new(),
        };
        Self { manifest: Manifest { meta, files: Vec::new(), links: Vec::new() }, objects: Vec::new() }
    }

    /// Retires a key, and all keys before it.
    pub fn retiring(mut self, key: &Key) -> Self {
        self.manifest.meta.retires = Some(key.id);
        self
    }

    /// Adds a file.
    pub fn file(self, path: &str, bytes: &[u8], executable: bool) -> Self {
        let object = gzip(bytes);
        self.file_from(path, bytes, executable, object)
    }

    /// Adds a file with any bytes as its object.
    pub fn file_from(mut self, path: &str, bytes: &[u8], executable: bool, object: Vec<u8>) -> Self {
        self.manifest.files.push(File {
            path: RelPath::new(path).unwrap(),
            size: bytes.len() as u64,
            sha256: sha256(bytes),
            executable,
            preserve: false,
            gz: Some(Object { size: object.len() as u64, sha256: sha256(&object) }),
            chunks: None,
        });
        self.objects.push(object);
        self
    }

    /// Adds a link.
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.manifest.links.push(Link { path: RelPath::new(path).unwrap(), target: target.to_owned() });
        self
    }

    /// Returns the bytes to sign.
    pub fn body(&self) -> String {
        String::from_utf8(manifest::body(&self.manifest)).unwrap()
    }

    /// Returns the path of a file's object on the site.
    pub fn object_path(&self, path: &str) -> String {
        let file = self.manifest.files.iter().find(|file| file.path.as_str() == path).unwrap();
        format!("/{}/{}", self.manifest.meta.component, object_path(ObjectKind::Gz, &file.gz.unwrap().sha256))
    }

    /// Returns the path on the site and the bytes of each object.
    pub fn all_objects(&self) -> impl Iterator<Item = (String, &Vec<u8>)> {
        let paths = self.manifest.files.iter().map(|file| self.object_path(file.path.as_str()));
        paths.zip(&self.objects)
    }
}
