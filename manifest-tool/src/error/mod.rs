//! The errors of the tool: those of a publisher, and those that a client has as well.
//!
//! A message says what failed and where. It may end with one line of advice, because only people
//! read the messages of this tool. `codes` has the stable codes and the exit codes, `key` the
//! errors of keys and passphrases.

mod codes;
mod key;

pub use key::KeyError;

use patcher::internal::digest::Sha256;
use patcher::internal::error::{Caller, Machine, Refused};
use patcher::internal::manifest::{Channel, Component, SiteLayout};
use patcher::internal::rel_path::PathDefect;
use semver::Version;
use std::io;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any failure of this tool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error that a client has as well.
    #[error(transparent)]
    Patcher(#[from] patcher::Error),
    /// A new delta does not make its file. This is an error of the tool, which publishes nothing.
    #[error("the delta to {} is wrong: {detail}", path.display())]
    Delta {
        /// The file that it should make.
        path: PathBuf,
        /// The reason.
        detail: String,
    },
    /// A key cannot be read, made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A required setting is missing.
    #[error("no {setting} is given; put `{key}` into component.toml or use {flag}")]
    SettingMissing {
        /// The setting.
        setting: &'static str,
        /// Its key in component.toml.
        key: &'static str,
        /// Its flag.
        flag: &'static str,
    },
    /// A `component.toml` is not valid.
    #[error("{} is not valid: line {line}: {detail}", path.display())]
    ComponentFile {
        /// The file.
        path: PathBuf,
        /// The line number, from 1.
        line: usize,
        /// The reason.
        detail: String,
    },
    /// The site, a private key or another private file is inside the build folder.
    #[error("{} lies in the build folder and would be published; move it out", path.display())]
    InsideBuild {
        /// The site or the file.
        path: PathBuf,
    },
    /// `component.toml` names a file outside of the build folder.
    #[error("{} lies outside of the build folder; component.toml may name files inside of it only", path.display())]
    OutsideBuild {
        /// The file.
        path: PathBuf,
    },
    /// The release would publish a private key.
    #[error("{} holds a private key and would be published; move it out, or use --allow-key", path.display())]
    PublishedKey {
        /// The file.
        path: PathBuf,
    },
    /// The release would publish a file or folder whose name promises secrets.
    #[error("{} may hold secrets and would be published; `ignore` leaves it out, `allow` publishes it", path.display())]
    PublishedSecret {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file exists already, and the tool does not overwrite it.
    #[error("{} exists already and is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Clients refuse the name of a file.
    #[error("{path:?} cannot be published: {defect}")]
    Path {
        /// The file.
        path: PathBuf,
        /// The rule that it breaks.
        defect: PathDefect,
    },
    /// The name of a file or the target of a link is not UTF-8.
    #[error("{path:?} cannot be published: its name or target is not UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A link leads out of the build folder, or to nothing that is published.
    #[error("{} leads to `{target}`, which is neither a published file nor a folder with one", path.display())]
    LinkTarget {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: String,
    },
    /// The build folder holds a socket, a device or a pipe.
    #[error("{} cannot be published: it is neither a file nor a folder nor a link", path.display())]
    Special {
        /// The file.
        path: PathBuf,
    },
    /// The build folder has no file to publish.
    #[error("{} holds no file to publish", path.display())]
    NoFiles {
        /// The build folder.
        path: PathBuf,
    },
    /// A file changed while the tool read it.
    #[error("{} changed while the release was made; nothing was published", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A manifest is not format 1, or breaks another rule of clients.
    #[error("{}: {source}", path.display())]
    ManifestFile {
        /// The file or URL of the manifest.
        path: PathBuf,
        /// The rule that it breaks.
        source: Box<Refused>,
    },
    /// None of the given keys has signed a manifest of the site.
    #[error("{} is signed by none of the given keys; --trust PUB.pem names a key that it is signed by", path.display())]
    OtherSigner {
        /// The manifest.
        path: PathBuf,
    },
    /// Too few of the given keys have signed a manifest of the site.
    #[error("{} is signed by {valid} of the given keys that are not retired, and {needed} must have signed it; --trust PUB.pem names further keys, --threshold accepts fewer signatures", path.display())]
    FewSigners {
        /// The manifest.
        path: PathBuf,
        /// The number of given keys that have signed, retired ones not counted.
        valid: usize,
        /// The number of keys that must have signed.
        needed: usize,
    },
    /// A signature by another program does not match the manifest.
    #[error("{} is not the signature of {} by key {key}; it has to be the bytes of RSASSA-PKCS1-v1_5 with SHA-256 over what `body` shows", path.display(), manifest.display())]
    Signature {
        /// The file of the signature.
        path: PathBuf,
        /// The manifest to sign.
        manifest: PathBuf,
        /// The id of the key.
        key: Sha256,
    },
    /// The site has a release with this sequence or a higher one.
    #[error("sequence {sequence} is taken: {} has it or a higher one; write the bytes to sign again", path.display())]
    SequenceTaken {
        /// The manifest's sequence.
        sequence: u64,
        /// The manifest of that release.
        path: PathBuf,
    },
    /// The version of the new release is not higher than that of the latest one.
    #[error(
        "version {version} does not come after {latest}, the latest one of {channel}; --allow-downgrade publishes it all the same"
    )]
    VersionNotNewer {
        /// The version of the new release.
        version: Version,
        /// The version of the latest one.
        latest: Version,
        /// Their channel.
        channel: Channel,
    },
    /// The installer for Windows cannot be built.
    #[error("no installer was built: {detail}")]
    Installer {
        /// The reason.
        detail: String,
    },
    /// A release cannot be the stepping stone for older versions.
    #[error("clients below {below} cannot go first to {release}: {detail}")]
    NoSteppingStone {
        /// The version from which on it is not needed.
        below: Version,
        /// The release.
        release: String,
        /// The reason.
        detail: String,
    },
    /// The wanted sequence is not higher than all others of the site.
    #[error("sequence {sequence} does not come after {last}, the highest one of the site")]
    SequenceNotAfter {
        /// The wanted sequence.
        sequence: u64,
        /// The highest one of the site.
        last: u64,
    },
    /// The site has a release with the highest possible sequence.
    #[error("the highest sequence, {}, is used up", u64::MAX)]
    LastSequence,
    /// The client's reader reads the new manifest as another one. This is an error of the tool.
    #[error("the manifest does not read back as it was written; nothing was published")]
    ReadBack,
    /// The component has another layout on the site, which old clients rely on.
    #[error("{component} has the layout `{layout}` on this site, and keeps it")]
    OtherLayout {
        /// The component.
        component: Component,
        /// Its layout.
        layout: SiteLayout,
    },
    /// A folder is no site: it has no manifest.
    #[error("{} holds no COMPONENT/manifest.xml and no COMPONENT.manifest.xml", path.display())]
    EmptySite {
        /// The folder.
        path: PathBuf,
    },
    /// A manifest or an object is not on the site.
    #[error("{url} is missing")]
    Missing {
        /// The URL.
        url: String,
    },
    /// A chunk index does not match its gzip.
    #[error("{url} is not the index of the gzip of {path}: {source}")]
    Chunks {
        /// The URL of the index.
        url: String,
        /// The path of the file in the release.
        path: String,
        /// The rule that the index or the gzip breaks.
        source: patcher::internal::chunks::ChunksError,
    },
    /// An update object does not make what it should.
    #[error("{url} is not the update object that the manifest names: {detail}")]
    UpdateObject {
        /// The URL of the object.
        url: String,
        /// The reason.
        detail: String,
    },
    /// An install object does not hold the contents of its release.
    #[error("{url} is not the install object that the manifest names: {detail}")]
    InstallObject {
        /// The URL of the object.
        url: String,
        /// The reason.
        detail: String,
    },
    /// A head or a manifest delta does not lead to the manifest beside it.
    #[error("{url} does not lead to the manifest: {detail}")]
    Lead {
        /// The URL of the head or of the delta.
        url: String,
        /// The reason.
        detail: String,
    },
    /// `verify` found problems, and has listed them.
    #[error("clients would refuse {problems} of {checked} manifests and objects")]
    Unsound {
        /// The number of problems.
        problems: usize,
        /// The number of manifests and objects.
        checked: usize,
    },
    /// A manifest of the site names an object that the site does not have.
    #[error("{} names {object}, which is not there; `sign` it again, or `prune` the release", manifest.display())]
    NoObject {
        /// The manifest.
        manifest: PathBuf,
        /// The object's path below the component's folder.
        object: String,
    },
    /// An object of the site has other bytes than its manifest says.
    #[error("{} does not have the bytes that its manifest names; `sign` the release again", path.display())]
    DamagedObject {
        /// The object's file.
        path: PathBuf,
    },
    /// Another publisher has replaced the manifest at the destination.
    #[error("{place} was replaced by another publisher meanwhile; publish again")]
    Conflict {
        /// The manifest at the destination.
        place: String,
    },
    /// The destination has a later release than the site.
    #[error("{place} has sequence {found}, and the site has {sequence}; another site was published there")]
    DestinationAhead {
        /// The latest manifest at the destination.
        place: String,
        /// Its sequence.
        found: u64,
        /// The sequence of the site's latest manifest.
        sequence: u64,
    },
    /// A copy at the destination differs from the file of the site.
    #[error("{place} does not read back as it was sent: {detail}")]
    CopyDiffers {
        /// The copy.
        place: String,
        /// The difference.
        detail: String,
    },
    /// An object store answered with an error.
    #[error("cannot {action} {place}: {detail}")]
    ObjectStore {
        /// The attempted action, a verb.
        action: &'static str,
        /// The object, or the store.
        place: String,
        /// The reason, in one line.
        detail: String,
        /// The whole answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The destination does not take the files of the site.
    #[error("{place} does not take the site: {detail}")]
    NotTaken {
        /// The destination.
        place: String,
        /// The reason.
        detail: String,
    },
    /// This build has no support for object stores.
    #[error("{place} is an object store, for which manifest-tool has to be built with --features cloud")]
    NoObjectStores {
        /// The address.
        place: String,
    },
    /// The folder of a component contains a link, which would lead writes and removals out of it.
    #[error("{} is a link; a component's folder must contain files and folders only", path.display())]
    LinkInSite {
        /// The link.
        path: PathBuf,
    },
    /// A manifest has the name of another release, such as that of another channel.
    #[error("{} is a copy: its manifest is that of {}; remove it", path.display(), place.display())]
    MisplacedManifest {
        /// The manifest.
        path: PathBuf,
        /// The path of the release that it describes.
        place: PathBuf,
    },
    /// A release of the site retires the keys that signed a manifest.
    #[error("{} counts no longer: a release on the site retires keys that signed it; `resign` it with --retire of the same key if it is yours", path.display())]
    RetiredRelease {
        /// The manifest.
        path: PathBuf,
    },
    /// The site has a past manifest that is newer than the latest one.
    #[error("{} is older than {}; was the site rolled back?", latest.display(), newer.display())]
    RolledBackSite {
        /// The latest manifest.
        latest: PathBuf,
        /// The newer past manifest.
        newer: PathBuf,
    },
    /// Two manifests of the site have one sequence.
    #[error("{} and {} are two manifests with one sequence; one of them has to go", latest.display(), kept.display())]
    SequenceTwice {
        /// The latest manifest.
        latest: PathBuf,
        /// The past manifest with the same sequence.
        kept: PathBuf,
    },
    /// No release of the site names the freshness key.
    #[error("no release in {} names {key} as its freshness key", site.display())]
    NothingToStamp {
        /// The folder of the site.
        site: PathBuf,
        /// The id of the key.
        key: Sha256,
    },
    /// The server cannot listen at an address.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// Wraps the system's answer to an operation on `path`; `action` is a verb.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Machine::Io { action, path: path.as_ref().to_owned(), source }.into()
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::Patcher(refused.into())
    }
}

impl From<Machine> for Error {
    fn from(machine: Machine) -> Self {
        Error::Patcher(machine.into())
    }
}

impl From<Caller> for Error {
    fn from(caller: Caller) -> Self {
        Error::Patcher(caller.into())
    }
}
