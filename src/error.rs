//! What can go wrong, grouped by who must act: the publisher, the network, this machine, or the caller.
//!
//! Every error has a [`code`](Error::code) that never changes once released, and the exit code that the command line
//! programs end with. A message is one line, says what happened to what, and starts in lower case.

use crate::digest::Sha256;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any failure of this crate, grouped by who must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What arrived is not what a trusted key signed: the publisher's fault, or an attacker's. Exit code 21.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The network or the server did not deliver. Exit code 20.
    #[error(transparent)]
    Network(#[from] Network),
    /// This machine is in the way: rights, space, a file in use, damaged state. Exit code 22.
    #[error(transparent)]
    Machine(#[from] Machine),
    /// The call itself is wrong. Exit code 2.
    #[error(transparent)]
    Caller(#[from] Caller),
    /// Another updater works on this install root, or the program still runs. Exit code 23.
    #[error("{what} is busy{}", holder.map(|pid| format!(", held by process {pid}")).unwrap_or_default())]
    Busy {
        /// What could not be had.
        what: &'static str,
        /// The process that has it, where it is known.
        holder: Option<u32>,
    },
    /// The user has stopped downloads for a while. Exit code 24.
    #[error("updates are paused since {since}; `resume` goes on")]
    Paused {
        /// Since when.
        since: crate::timestamp::Timestamp,
    },
    /// The user stopped it; what was downloaded is kept. Exit code 24.
    #[error("stopped; what was downloaded is kept")]
    Cancelled,
}

/// What a publisher sent, or an attacker in their name, and why it was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A manifest that is not format 1.
    #[error("the manifest is not valid: line {line}: {detail}")]
    Manifest {
        /// The rule it breaks.
        defect: Defect,
        /// The line of the signed bytes, from 1; of the whole file for its signature lines.
        line: u64,
        /// What stands there.
        detail: String,
    },
    /// No signature is by a key that the program trusts.
    #[error("the manifest is not signed by a trusted key")]
    UnknownKey,
    /// A trusted key's signature does not fit the bytes.
    #[error("the manifest's signature by key {key} does not fit its content")]
    BadSignature {
        /// The key's id.
        key: Sha256,
    },
    /// Fewer trusted keys signed than the program asks for.
    #[error("the manifest is signed by {valid} of the {needed} trusted keys it needs")]
    Threshold {
        /// Distinct trusted keys with a good signature.
        valid: usize,
        /// What the program asks for.
        needed: usize,
    },
    /// A validly signed manifest of something else.
    #[error("the manifest is for {what} `{found}`, not `{expected}`")]
    WrongTarget {
        /// `component`, `channel` or `platform`.
        what: &'static str,
        /// What the manifest says.
        found: String,
        /// What the program asked for.
        expected: String,
    },
    /// Signed only by a key from before the newest one that signed a release seen before.
    #[error("the manifest is signed only by a retired key; a release signed by key {newer} was seen before")]
    RetiredKey {
        /// The newest key seen.
        newer: Sha256,
    },
    /// Older than a release that was already verified: an old release, replayed.
    #[error("the manifest is older than one seen before: sequence {found}, at least {floor} is needed")]
    Rollback {
        /// The manifest's sequence.
        found: u64,
        /// The lowest sequence that is taken.
        floor: u64,
    },
    /// The same sequence as before with other content: one of the two is forged.
    #[error("two different manifests have the sequence {sequence}")]
    SequenceConflict {
        /// The sequence that both have.
        sequence: u64,
    },
    /// Not the earlier release that a newer manifest sends older versions to.
    #[error("releases/{sequence}.xml is not the stepping stone that the newest manifest names: {detail}")]
    SteppingStone {
        /// The sequence that the newest manifest names.
        sequence: u64,
        /// What does not fit.
        detail: &'static str,
    },
    /// Past the manifest's `expires`; the installed version runs on.
    #[error("the newest known manifest has expired at {expires}; the publisher must renew it")]
    Stale {
        /// When it expired.
        expires: crate::timestamp::Timestamp,
    },
    /// A `requires` that neither an installed component nor one of this update fulfils.
    #[error("{component} needs {required} {range}, but {}", found.as_ref().map_or("it is not installed".to_owned(), |v| format!("its version is {v}")))]
    Requires {
        /// The component that asks.
        component: String,
        /// The component that it needs.
        required: String,
        /// The versions that would do.
        range: semver::VersionReq,
        /// The version that is there, or would be.
        found: Option<semver::Version>,
    },
    /// Fewer or more bytes than the manifest signs.
    #[error("{url} has {}, the manifest says {expected} bytes", found.map_or("more bytes".to_owned(), |n| format!("{n} bytes")))]
    ObjectSize {
        /// Where it came from.
        url: String,
        /// The signed size in bytes.
        expected: u64,
        /// The size in bytes; none when it was cut off at the signed size.
        found: Option<u64>,
    },
    /// Other bytes than the manifest signs.
    #[error("{url} has the SHA-256 {found}, the manifest says {expected}")]
    ObjectHash {
        /// Where it came from.
        url: String,
        /// The signed hash.
        expected: Sha256,
        /// The hash of what arrived.
        found: Sha256,
    },
    /// An object with the signed hash that is not one gzip member with the signed content.
    #[error("{url} is not the gzip of {path}: {detail}")]
    Gzip {
        /// Where it came from.
        url: String,
        /// The file that it should hold.
        path: String,
        /// What is wrong.
        detail: String,
    },
}

/// The rule of manifest format 1 that a manifest breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Defect {
    /// More bytes than 64 MiB.
    TooLarge,
    /// More than 200,000 files.
    TooManyFiles,
    /// Not UTF-8, a byte order mark, a carriage return or another character that XML or this format excludes.
    Encoding,
    /// The first line is not the XML declaration as format 1 shows it.
    Declaration,
    /// Not XML as format 1 takes it.
    Syntax,
    /// The last line is not `</manifest>` with a line feed.
    End,
    /// A signature line that is not exactly as format 1 shows it, or stands elsewhere.
    SignatureLine,
    /// None, or more than eight signature lines.
    SignatureCount,
    /// Two signature lines of one key.
    SignatureRepeated,
    /// A format number other than 1.
    Format,
    /// An element that format 1 does not know at this place, or that stands there too often.
    Element,
    /// A required element is missing.
    ElementMissing,
    /// An attribute that format 1 does not know here, or one given twice.
    Attribute,
    /// A required attribute is missing.
    AttributeMissing,
    /// A number that is not canonical or too large.
    Number,
    /// A hash that is not 64 lower-case hex digits.
    Hash,
    /// A value other than `true` and `false`.
    Boolean,
    /// A component's or channel's name that is none.
    Name,
    /// A platform that is neither `any` nor `ARCH-OS`.
    Platform,
    /// A version that is not semver, or a range that is none.
    Version,
    /// A time that is not `YYYY-MM-DDTHH:MM:SSZ`, or no real date.
    Time,
    /// `expires` is not after `issued`.
    Expires,
    /// A base URL that a client does not take.
    BaseUrl,
    /// A `requires` of the component itself, or one given twice.
    Requires,
    /// A `rollout` of 100 or more.
    Rollout,
    /// A stepping stone above this release or not before it, or one that does not stand in order.
    SteppingStone,
    /// Notes in no language, in one language twice, without content, with too much of it, or at an address that is none.
    Notes,
    /// A path that format 1 refuses.
    Path(crate::rel_path::PathDefect),
    /// Two paths that are one name on some system.
    PathConflict,
    /// A path that is another one's folder.
    PathIsFolder,
    /// A link whose target is not a listed file or a folder of listed files.
    LinkTarget,
    /// `launch` is not a listed file.
    Launch,
}

/// A download that did not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Network {
    /// No connection: name, address, TLS or proxy.
    #[error("{url} cannot be reached: {detail}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// The reason as the layers below tell it.
        detail: String,
    },
    /// No byte for the stall limit, or too few for the minimum rate.
    #[error("{url} stalled for {} s", limit.as_secs())]
    Stalled {
        /// What was asked for.
        url: String,
        /// The limit that it broke.
        limit: Duration,
    },
    /// The connection ended before the body did.
    #[error("{url} was cut off after {received} bytes: {detail}")]
    CutOff {
        /// What was asked for.
        url: String,
        /// Bytes of the body that had come.
        received: u64,
        /// The reason as the layers below tell it.
        detail: String,
    },
    /// A status that is neither success nor "not modified".
    #[error("{url} answered with HTTP status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The server has asked, not long ago, to be left alone until then.
    #[error("{url} asked to be left alone until {until}")]
    Wait {
        /// What would have been asked for.
        url: String,
        /// When it may be asked again.
        until: crate::timestamp::Timestamp,
    },
    /// More than three redirects, or one from https to http.
    #[error("{url} was redirected where a client does not follow: {detail}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// The rule that it breaks.
        detail: String,
    },
}

/// Something about this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Machine {
    /// The system refused an operation on a file or folder.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A folder that an update must change and this user cannot.
    #[error("no right to change {}; run it as the user who owns the program, or install it where that user can write", path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
    },
    /// Too little free space, found before the first byte was fetched.
    #[error("not enough space on the disk of {}: {needed} bytes are needed, {available} are free", path.display())]
    NoSpace {
        /// A folder on that file system.
        path: PathBuf,
        /// Bytes for downloads, new files and backups.
        needed: u64,
        /// Bytes that are free for this user.
        available: u64,
    },
    /// A symbolic link (or something that is neither file nor folder) where the program's own files and folders are.
    #[error("{} is a link or a special file; nothing is changed through it", path.display())]
    UnsafePath {
        /// The path.
        path: PathBuf,
    },
    /// A folder stands where a release brings a file, and it holds files of the user.
    #[error("{} is a folder with files that no release brought, and the new version has a file there; move it away", path.display())]
    FolderInTheWay {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder is there whose name differs only in letters that this system takes for the same.
    #[error("{} cannot be made: `{by}` is there, and the same name on this system; move it away", path.display())]
    NameTaken {
        /// The path that the new version needs.
        path: PathBuf,
        /// The name of what is there.
        by: String,
    },
    /// Another program holds a file and does not let it go.
    #[error("{} is in use by another program; close it and try again", path.display())]
    InUse {
        /// The file or folder.
        path: PathBuf,
    },
    /// The component is not installed under this root.
    #[error("{component} is not installed in {}; `install {component} --from URL` does it", dir.display())]
    NotInstalled {
        /// The component.
        component: String,
        /// Where it would be.
        dir: PathBuf,
    },
    /// The installed manifest is missing its signature, its form, or altogether while its files are there.
    #[error("the installed manifest {} is damaged ({detail}); `install {component} --from URL` adopts the files that are there", path.display())]
    InstalledManifest {
        /// The component.
        component: String,
        /// The manifest's path.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file of the state folder that cannot be understood.
    #[error("{} is damaged: {detail}", path.display())]
    StateDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The journal of a swap that cannot be understood; nothing was deleted.
    #[error("the journal {} cannot be read ({detail}); nothing was deleted, the backups are in {}", path.display(), path.with_file_name("txn").display())]
    JournalUnreadable {
        /// The journal.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file is not what the plan of the swap says.
    #[error("{} changed since the update was prepared ({detail}); nothing was swapped", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What it is now.
        detail: String,
    },
    /// A step of the swap failed; everything is as it was before.
    #[error("the swap was undone, the old version is complete: {cause}")]
    SwapUndone {
        /// The step that failed.
        cause: Box<Error>,
    },
    /// A step of the undo failed; backups and journal are kept.
    #[error("the swap could not be undone completely: {cause}; the backups are kept, `recover` tries again")]
    UndoFailed {
        /// The step that failed.
        cause: Box<Error>,
    },
    /// The helper program is not where it should be.
    #[error("the helper program is not at {}", path.display())]
    HelperMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// This system cannot do it.
    #[error("{what} is not supported on this system")]
    Unsupported {
        /// What.
        what: &'static str,
    },
}

/// A call that cannot be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Caller {
    /// No key to trust.
    #[error("no trusted key is given")]
    NoKey,
    /// A public key that is none, is too weak, or is given twice.
    #[error("the public key is not usable: {detail}")]
    BadKey {
        /// What is wrong with it.
        detail: String,
    },
    /// A setting that cannot be.
    #[error("{setting} cannot be `{value}`: {detail}")]
    BadSetting {
        /// The setting.
        setting: &'static str,
        /// What it was set to.
        value: String,
        /// Why not.
        detail: String,
    },
    /// A free function before [`init`](crate::init), or a second `init`.
    #[error("{0}")]
    Init(&'static str),
    /// Nothing is staged that could be applied.
    #[error("nothing is staged to be applied")]
    NothingStaged,
    /// No version is on probation, so that there is none to return to.
    #[error("no version is on probation: there is none to return to")]
    NothingToRollBack,
    /// Two releases of one component in one swap.
    #[error("{component} stands twice in one update")]
    ComponentTwice {
        /// The component.
        component: String,
    },
}

impl Error {
    /// A short name for this kind of failure that never changes once released: for scripts, logs and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Refused(refused) => refused.code(),
            Error::Network(network) => match network {
                Network::Unreachable { .. } => "unreachable",
                Network::Stalled { .. } => "stalled",
                Network::CutOff { .. } => "cut-off",
                Network::Status { .. } => "http-status",
                Network::Wait { .. } => "retry-later",
                Network::Redirect { .. } => "redirect",
            },
            Error::Machine(machine) => machine.code(),
            Error::Caller(caller) => match caller {
                Caller::NoKey => "no-key",
                Caller::BadKey { .. } => "bad-key",
                Caller::BadSetting { .. } => "bad-setting",
                Caller::Init(_) => "init",
                Caller::NothingStaged => "nothing-staged",
                Caller::NothingToRollBack => "nothing-to-roll-back",
                Caller::ComponentTwice { .. } => "component-twice",
            },
            Error::Busy { .. } => "busy",
            Error::Paused { .. } => "paused",
            Error::Cancelled => "cancelled",
        }
    }

    /// The exit code of the command line programs for this failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Caller(_) => 2,
            Error::Network(_) => 20,
            Error::Refused(_) => 21,
            Error::Machine(_) => 22,
            Error::Busy { .. } => 23,
            Error::Paused { .. } | Error::Cancelled => 24,
        }
    }

    /// Whether the same call may succeed when it is repeated soon, without anybody's doing: the network, a busy root, a stopped download.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Network(Network::Status { status, .. }) => *status == 408 || *status == 429 || *status >= 500,
            Error::Network(Network::Redirect { .. } | Network::Wait { .. }) => false,
            Error::Network(_) | Error::Busy { .. } | Error::Cancelled => true,
            Error::Paused { .. } | Error::Refused(_) | Error::Machine(_) | Error::Caller(_) => false,
        }
    }

    /// Wraps the system's answer to an operation on `path`; `action` is a verb.
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Machine::Io { action, path: path.as_ref().to_owned(), source }.into()
    }
}

impl Refused {
    fn code(&self) -> &'static str {
        match self {
            Refused::Manifest { defect, .. } => defect.code(),
            Refused::UnknownKey => "unknown-key",
            Refused::BadSignature { .. } => "bad-signature",
            Refused::Threshold { .. } => "threshold",
            Refused::WrongTarget { what: "component", .. } => "wrong-component",
            Refused::WrongTarget { what: "channel", .. } => "wrong-channel",
            Refused::WrongTarget { .. } => "wrong-platform",
            Refused::RetiredKey { .. } => "retired-key",
            Refused::Rollback { .. } => "rollback",
            Refused::SequenceConflict { .. } => "sequence-conflict",
            Refused::SteppingStone { .. } => "stepping-stone",
            Refused::Stale { .. } => "stale",
            Refused::Requires { .. } => "requires",
            Refused::ObjectSize { .. } => "object-size",
            Refused::ObjectHash { .. } => "object-hash",
            Refused::Gzip { .. } => "gzip",
        }
    }
}

impl Defect {
    /// The code of an error with this defect.
    pub fn code(self) -> &'static str {
        match self {
            Defect::TooLarge => "manifest-too-large",
            Defect::TooManyFiles => "manifest-too-many-files",
            Defect::Encoding => "manifest-encoding",
            Defect::Declaration => "manifest-declaration",
            Defect::Syntax => "manifest-syntax",
            Defect::End => "manifest-end",
            Defect::SignatureLine => "signature-line",
            Defect::SignatureCount => "signature-count",
            Defect::SignatureRepeated => "signature-repeated",
            Defect::Format => "manifest-format",
            Defect::Element => "manifest-element",
            Defect::ElementMissing => "manifest-element-missing",
            Defect::Attribute => "manifest-attribute",
            Defect::AttributeMissing => "manifest-attribute-missing",
            Defect::Number => "manifest-number",
            Defect::Hash => "manifest-hash",
            Defect::Boolean => "manifest-boolean",
            Defect::Name => "manifest-name",
            Defect::Platform => "manifest-platform",
            Defect::Version => "manifest-version",
            Defect::Time => "manifest-time",
            Defect::Expires => "manifest-expires",
            Defect::BaseUrl => "manifest-base-url",
            Defect::Requires => "manifest-requires",
            Defect::Rollout => "manifest-rollout",
            Defect::SteppingStone => "manifest-stepping-stone",
            Defect::Notes => "manifest-notes",
            Defect::Path(defect) => defect.code(),
            Defect::PathConflict => "path-conflict",
            Defect::PathIsFolder => "path-is-folder",
            Defect::LinkTarget => "link-target",
            Defect::Launch => "manifest-launch",
        }
    }
}

impl Machine {
    fn code(&self) -> &'static str {
        match self {
            Machine::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => "permission-denied",
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "no-space",
                std::io::ErrorKind::ReadOnlyFilesystem => "read-only",
                std::io::ErrorKind::NotFound => "not-found",
                _ => "io",
            },
            Machine::NotWritable { .. } => "not-writable",
            Machine::NoSpace { .. } => "no-space",
            Machine::UnsafePath { .. } => "unsafe-path",
            Machine::FolderInTheWay { .. } => "folder-in-the-way",
            Machine::NameTaken { .. } => "name-taken",
            Machine::InUse { .. } => "in-use",
            Machine::NotInstalled { .. } => "not-installed",
            Machine::InstalledManifest { .. } => "installed-manifest",
            Machine::StateDamaged { .. } => "state-damaged",
            Machine::JournalUnreadable { .. } => "journal-unreadable",
            Machine::Changed { .. } => "changed",
            Machine::SwapUndone { .. } => "swap-undone",
            Machine::UndoFailed { .. } => "undo-failed",
            Machine::HelperMissing { .. } => "helper-missing",
            Machine::Unsupported { .. } => "unsupported",
        }
    }
}
