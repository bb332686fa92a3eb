//! The manifest: the signed list of one release of a component, format 1.
//!
//! [`parse`] reads bytes strictly, and [`body`] writes them canonically. `trust` decides which
//! manifests a client accepts.

mod appearance;
mod notes;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use appearance::{Appearance, DisplayName, NotADisplayName};
pub use notes::{Language, NotALanguage, Notes};
pub use read::{Signature, SignedBytes, base_url, notes_url, parse};
pub use write::{body, with_signatures};

pub use crate::values::names::{Channel, Component, DeltaMethod, NotAName};

use crate::values::digest::{Sha256, Sha256Hasher};
use crate::values::rel_path::RelPath;
use crate::values::timestamp::Timestamp;
use semver::{Version, VersionReq};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// The most bytes of a manifest, signatures included.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// The most files and links of a release.
pub const MAX_FILES: usize = 200_000;
/// The most base URLs.
pub const MAX_BASE_URLS: usize = 8;
/// The most signature lines.
pub const MAX_SIGNATURES: usize = 8;
/// The most update objects.
pub const MAX_UPDATE_OBJECTS: usize = 32;
/// The most stepping stones.
pub const MAX_STEPPING_STONES: usize = 8;
/// The limit for the size of a freshness key in bytes; RSA with 4,096 bits needs 550.
pub const MAX_FRESHNESS_KEY_BYTES: usize = 600;
/// The most languages of notes.
pub const MAX_NOTES: usize = 32;
/// The most lines of notes, of all languages together.
pub const MAX_NOTES_LINES: usize = 1000;
/// The most bytes of those lines.
pub const MAX_NOTES_BYTES: usize = 64 << 10;

/// One release of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The description of the release.
    pub meta: Meta,
    /// Its files; at least one.
    pub files: Vec<File>,
    /// Its symbolic links.
    pub links: Vec<Link>,
}

/// The description of a release: its name, its terms and the places of its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The component.
    pub component: Component,
    /// The version that people read. The sequence decides which release is newer.
    pub version: Version,
    /// The number that grows with each release and decides which one is newer.
    pub sequence: u64,
    /// The channel, `stable` for most releases.
    pub channel: Channel,
    /// The platform that the release runs on.
    pub platform: Platform,
    /// The time of signing.
    pub issued: Timestamp,
    /// The time from which on clients refuse the release; `None` means never.
    pub expires: Option<Timestamp>,
    /// The program to start, one of the listed files.
    pub launch: Option<RelPath>,
    /// The names and the icon that desktops show.
    pub appearance: Appearance,
    /// The share of clients that are offered the release, in percent from 0 (paused) to 99; `None`
    /// means all clients.
    pub rollout: Option<u8>,
    /// `true` offers the release to all clients, whatever the rollout and whatever a user skipped.
    pub critical: bool,
    /// `true` lets clients whose user agrees fetch the [counting
    /// object](crate::disk::layout::SiteNames::adoption) once a week.
    pub adoption: bool,
    /// The key that this release retires, with all keys before it in a client's list.
    pub retires: Option<Sha256>,
    /// The names that the site gives to the files of the component.
    pub layout: SiteLayout,
    /// The base URLs of the mirrors, the preferred one first; 1 to 8, each with a slash at its end.
    pub base_urls: Vec<Url>,
    /// The other components that this one needs.
    pub requires: Vec<Requirement>,
    /// The earlier releases that older versions install first; at most 8, by rising
    /// [`below`](SteppingStone::below).
    pub stepping_stones: Vec<SteppingStone>,
    /// The objects that lead from earlier releases to this one; at most 32, each earlier content
    /// once.
    pub updates: Vec<UpdateObject>,
    /// The object with all contents of the release.
    pub install: Option<IndexedObject>,
    /// The public key whose stamps prove that a release is the newest one, as SPKI DER.
    ///
    /// A client with a release that names a key demands a stamp in the
    /// [head](crate::formats::head).
    pub freshness: Option<Vec<u8>>,
    /// The release notes; each language once.
    pub notes: Vec<Notes>,
}

/// The names that a site gives to the files of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SiteLayout {
    /// A folder for each component, with folders for objects, releases and platforms.
    #[default]
    Folders,
    /// Files without folders, for stores such as GitHub Releases.
    ///
    /// There are no `.gz` and `.chunks` objects: the blocks of the install object hold every
    /// content.
    Flat,
}

/// An object that holds everything that leads from an earlier release to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateObject {
    /// The sequence of the earlier release.
    pub from: u64,
    /// The [`content_id`](Manifest::content_id) of the earlier release.
    pub content: Sha256,
    /// The table and the deltas.
    pub object: IndexedObject,
    /// The size of the `.gz` objects of contents that the object does not make, in bytes.
    ///
    /// In [`SiteLayout::Flat`] it is 0: the object makes every content.
    pub rest: u64,
}

/// An object with a table at its front, which a client can fetch alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IndexedObject {
    /// The whole object.
    pub object: Object,
    /// The table: the first bytes of the object.
    pub table: Object,
}

/// An earlier release that older versions install first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SteppingStone {
    /// The version from which on clients do not need it.
    pub below: Version,
    /// The sequence of the earlier release, whose file is `releases/SEQUENCE.xml`.
    pub sequence: u64,
    /// The hash of its body.
    pub body: Sha256,
}

/// Another component that a release needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The component.
    pub component: Component,
    /// The accepted versions.
    pub version: VersionReq,
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path in the component.
    pub path: RelPath,
    /// The size in bytes.
    pub size: u64,
    /// The hash of the bytes.
    pub sha256: Sha256,
    /// `true` gives the file the mode 0755, `false` the mode 0644.
    pub executable: bool,
    /// `true` installs the file only if it is missing: it belongs to the user.
    pub preserve: bool,
    /// The whole file, as one gzip member; `None` only in [`SiteLayout::Flat`].
    pub gz: Option<Object>,
    /// The index of its gzip's segments.
    pub chunks: Option<Object>,
}

/// An immutable file on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object {
    /// The size in bytes.
    pub size: u64,
    /// The hash of the bytes, from which the name follows.
    pub sha256: Sha256,
}

/// A symbolic link of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The path in the component.
    pub path: RelPath,
    /// The text of the link, relative to its own folder. It leads to a listed file, or to a folder
    /// of listed files.
    pub target: String,
}

/// The platform that a release runs on: `any`, or Rust's `ARCH-OS` as in `x86_64-linux`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Platform(Box<str>);

impl Platform {
    /// Returns the platform of releases that run everywhere.
    pub fn any() -> Self {
        Self("any".into())
    }

    /// Returns the platform that this program was compiled for.
    pub fn host() -> Self {
        Self(format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS).into())
    }

    /// Returns the platform as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` if a release for this platform runs on `wanted`.
    pub fn serves(&self, wanted: &Platform) -> bool {
        self == wanted || *self == Self::any()
    }
}

impl SiteLayout {
    /// Returns the layout as text, as in the flag `--layout`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folders => "folders",
            Self::Flat => "flat",
        }
    }
}

impl fmt::Display for SiteLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SiteLayout {
    type Err = NotALayout;

    fn from_str(text: &str) -> Result<Self, NotALayout> {
        [Self::Folders, Self::Flat].into_iter().find(|layout| layout.as_str() == text).ok_or(NotALayout)
    }
}

/// The error for a text that names no layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither `folders` nor `flat`")]
pub struct NotALayout;

/// The error for a text that is neither `any` nor `ARCH-OS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither `any` nor ARCH-OS as in x86_64-linux")]
pub struct NotAPlatform;

impl FromStr for Platform {
    type Err = NotAPlatform;

    fn from_str(text: &str) -> Result<Self, NotAPlatform> {
        let part = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let pair = text.split_once('-').is_some_and(|(arch, os)| part(arch) && part(os));
        if text.len() <= 64 && (text == "any" || pair) { Ok(Self(text.into())) } else { Err(NotAPlatform) }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entry of a release: a file or a link.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkOrFile<'a> {
    File(&'a File),
    Link(&'a Link),
}

impl<'a> LinkOrFile<'a> {
    /// Returns the path in the component.
    pub fn path(&self) -> &'a RelPath {
        match self {
            LinkOrFile::File(file) => &file.path,
            LinkOrFile::Link(link) => &link.path,
        }
    }
}

impl Manifest {
    /// Returns the files and links, sorted by path.
    pub(crate) fn entries(&self) -> Vec<LinkOrFile<'_>> {
        let files = self.files.iter().map(LinkOrFile::File);
        let mut entries: Vec<_> = files.chain(self.links.iter().map(LinkOrFile::Link)).collect();
        entries.sort_unstable_by_key(LinkOrFile::path);
        entries
    }

    /// Returns the release that a client with the version `installed` installs before this one.
    ///
    /// This is the first stepping stone whose `below` is above that version. Returns `None` if the
    /// client may install this release at once. Build metadata does not count.
    pub fn stepping_stone_for(&self, installed: &Version) -> Option<&SteppingStone> {
        self.meta.stepping_stones.iter().find(|stone| installed.cmp_precedence(&stone.below).is_lt())
    }

    /// Returns the update object for a client that has the content `content_id` installed.
    pub fn update_from(&self, content_id: &Sha256) -> Option<&UpdateObject> {
        self.meta.updates.iter().find(|update| update.content == *content_id)
    }

    /// Returns the hash of the version and of everything that the release installs.
    ///
    /// Signatures, dates, sequence and URLs do not count, nor do rollout, urgency, stepping stones,
    /// objects and notes.
    pub fn content_id(&self) -> Sha256 {
        let mut hasher = Sha256Hasher::default();
        hasher.update(self.meta.version.to_string().as_bytes());
        for entry in self.entries() {
            let line = match entry {
                LinkOrFile::File(file) => {
                    let File { path, sha256, size, executable, preserve, .. } = file;
                    format!("\nfile {sha256} {size} {executable} {preserve} {path}")
                }
                LinkOrFile::Link(link) => format!("\nlink {} -> {}", link.path, link.target),
            };
            hasher.update(line.as_bytes());
        }
        hasher.finish().0
    }

    /// Returns `true` if both install the same files and links under the same version.
    pub fn same_content(&self, other: &Manifest) -> bool {
        self.content_id() == other.content_id()
    }
}
