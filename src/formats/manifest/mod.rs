//! The manifest: the signed list of one release of a component, format 1.
//!
//! [`parse`] takes bytes apart strictly, [`body`] puts them together canonically. Nothing here
//! decides whether a manifest is to be trusted: that is `trust`.

mod notes;
mod read;
#[cfg(test)]
mod tests;
mod write;

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
    /// What the release is and where it comes from.
    pub meta: Meta,
    /// Its files; at least one.
    pub files: Vec<File>,
    /// Its symbolic links.
    pub links: Vec<Link>,
}

/// What a release is, what it is for and where its objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The component that this is a release of.
    pub component: Component,
    /// The version that people read; it decides nothing.
    pub version: Version,
    /// The number that only grows and decides what is newer.
    pub sequence: u64,
    /// The line of releases that it belongs to, `stable` for most.
    pub channel: Channel,
    /// Where it runs.
    pub platform: Platform,
    /// When it was signed.
    pub issued: Timestamp,
    /// From when on no client takes it any more.
    pub expires: Option<Timestamp>,
    /// The program to start, a listed file.
    pub launch: Option<RelPath>,
    /// The share of clients that it is offered to, in percent from 0 (nobody: it is paused) to 99;
    /// everybody if absent.
    pub rollout: Option<u8>,
    /// Offered to everybody, whatever the rollout and whatever a user skipped.
    pub critical: bool,
    /// The key that counts no longer for this release and the following ones, with all keys before
    /// it in a client's list.
    pub retires: Option<Sha256>,
    /// Where the manifest and its objects are served, in order of preference; 1 to 8, each with a
    /// slash at the end.
    pub base_urls: Vec<Url>,
    /// Other components that it needs.
    pub requires: Vec<Requirement>,
    /// Earlier releases that older versions have to go through first; at most 8, by rising
    /// [`below`](SteppingStone::below).
    pub stepping_stones: Vec<SteppingStone>,
    /// The objects that lead from earlier releases to this one; at most 32, each earlier content
    /// once.
    pub updates: Vec<UpdateObject>,
    /// The public key whose stamps prove that a release is the newest one, as SPKI DER.
    ///
    /// A client with a release that names a key demands a stamp in the
    /// [head](crate::formats::head).
    pub freshness: Option<Vec<u8>>,
    /// What is new, for people; each language once.
    pub notes: Vec<Notes>,
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

/// An earlier release that versions older than some version have to be updated to first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SteppingStone {
    /// The version from which on it is not needed.
    pub below: Version,
    /// The earlier release's sequence, and its name on the server: `releases/SEQUENCE.xml`.
    pub sequence: u64,
    /// The hash of its body.
    pub body: Sha256,
}

/// Another component that a release needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The component.
    pub component: Component,
    /// The versions of it that will do.
    pub version: VersionReq,
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it lies in the component.
    pub path: RelPath,
    /// Its size in bytes.
    pub size: u64,
    /// The hash of its bytes.
    pub sha256: Sha256,
    /// Mode 0755 rather than 0644.
    pub executable: bool,
    /// Installed when missing and left alone otherwise.
    pub preserve: bool,
    /// The whole file, as one gzip member.
    pub gz: Object,
    /// The index of its gzip's segments.
    pub chunks: Option<Object>,
}

/// An immutable file on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object {
    /// Its size in bytes.
    pub size: u64,
    /// The hash of its bytes, and its name.
    pub sha256: Sha256,
}

/// A symbolic link of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it lies in the component.
    pub path: RelPath,
    /// What it says, relative to its own folder: a listed file, or a folder of listed files.
    pub target: String,
}

/// Where a release runs: `any`, or Rust's `ARCH-OS` as in `x86_64-linux`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Platform(Box<str>);

impl Platform {
    /// Everywhere.
    pub fn any() -> Self {
        Self("any".into())
    }

    /// The platform that this program was compiled for.
    pub fn host() -> Self {
        Self(format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS).into())
    }

    /// The platform as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a release for this platform runs on `wanted`.
    pub fn serves(&self, wanted: &Platform) -> bool {
        self == wanted || *self == Self::any()
    }
}

/// Neither `any` nor `ARCH-OS`.
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

/// A path of a release, whatever lies there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkOrFile<'a> {
    File(&'a File),
    Link(&'a Link),
}

impl<'a> LinkOrFile<'a> {
    /// Where it lies in the component.
    pub fn path(&self) -> &'a RelPath {
        match self {
            LinkOrFile::File(file) => &file.path,
            LinkOrFile::Link(link) => &link.path,
        }
    }
}

impl Manifest {
    /// Files and links, sorted by path.
    pub(crate) fn entries(&self) -> Vec<LinkOrFile<'_>> {
        let files = self.files.iter().map(LinkOrFile::File);
        let mut entries: Vec<_> = files.chain(self.links.iter().map(LinkOrFile::Link)).collect();
        entries.sort_unstable_by_key(LinkOrFile::path);
        entries
    }

    /// The release to which a client with the version `installed` goes before it goes to this one:
    /// of the stones above that version the lowest. None when it may come here at once. Build
    /// metadata do not count.
    pub fn stepping_stone_for(&self, installed: &Version) -> Option<&SteppingStone> {
        self.meta.stepping_stones.iter().find(|stone| installed.cmp_precedence(&stone.below).is_lt())
    }

    /// Returns the update object for a client that has the content `content_id` installed.
    pub fn update_from(&self, content_id: &Sha256) -> Option<&UpdateObject> {
        self.meta.updates.iter().find(|update| update.content == *content_id)
    }

    /// What tells this release's content from another's: the hash of its version and of all that it
    /// installs. Signatures, dates, sequence and URLs do not count, nor do rollout, urgency,
    /// stepping stones, update objects and notes.
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

    /// Whether both install the same files and links under the same version: only what
    /// [`content_id`](Self::content_id) leaves out differs.
    pub fn same_content(&self, other: &Manifest) -> bool {
        self.content_id() == other.content_id()
    }
}
