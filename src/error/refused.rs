//! Refusals: manifests and objects that break a rule of trust or of format 1.

use crate::values::digest::Sha256;
use crate::values::names::Component;
use crate::values::timestamp::Timestamp;
use semver::Version;

/// The reason why the client refused what a server sent.
///
/// The site is damaged, the publisher made a mistake, or an attacker changed the data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The manifest is not format 1. [`Error::code`](crate::Error::code) names the broken rule.
    #[error("the manifest is not valid: line {line}: {detail}")]
    Manifest {
        /// The rule that it breaks.
        #[doc(hidden)]
        defect: Defect,
        /// The line, from 1. For a signature it counts in the file, else in the signed bytes.
        line: u64,
        /// The text or the reason.
        detail: String,
    },
    /// No trusted key signed the manifest.
    #[error("the manifest is signed by key {signer}, and not by a trusted key such as {trusted}")]
    UnknownKey {
        /// The id of the first key that the manifest names.
        signer: Sha256,
        /// The id of the newest trusted key.
        trusted: Sha256,
    },
    /// The signature of a trusted key does not match the content.
    #[error("the manifest's signature by key {key} does not match its content")]
    BadSignature {
        /// The id of the key.
        key: Sha256,
    },
    /// Fewer trusted keys signed than the threshold of the program.
    #[error("the manifest is signed by {valid} of the {needed} trusted keys it needs")]
    Threshold {
        /// The number of trusted keys with a valid signature.
        valid: usize,
        /// The threshold.
        needed: usize,
    },
    /// The manifest is of another component, channel or platform.
    #[error("the manifest is for {what} `{found}`, not `{expected}`")]
    WrongTarget {
        /// `component`, `channel` or `platform`.
        what: &'static str,
        /// The value in the manifest.
        found: String,
        /// The value that the client asked for.
        expected: String,
    },
    /// A release seen before has retired keys that this manifest still counts.
    #[error("a release seen before retires all keys before {newer}, and the manifest does not")]
    RetiredKey {
        /// The id of the first key that is not retired.
        newer: Sha256,
    },
    /// The manifest is older than one seen before: an attacker may replay an old release.
    #[error("the manifest is older than one seen before: sequence {found}, at least {floor} is needed")]
    Rollback {
        /// The manifest's sequence.
        found: u64,
        /// The lowest accepted sequence.
        floor: u64,
    },
    /// Two manifests with the same sequence have different content. One of them is forged.
    #[error("two different manifests have the sequence {sequence}")]
    SequenceConflict {
        /// The sequence of both.
        sequence: u64,
    },
    /// The manifest is not the stepping stone that a newer manifest names.
    #[error("releases/{sequence}.xml is not the stepping stone that the newest manifest names: {detail}")]
    SteppingStone {
        /// The sequence that the newest manifest names.
        sequence: u64,
        /// The reason.
        detail: &'static str,
    },
    /// The newest known manifest has expired. The installed version still works.
    #[error("the newest known manifest has expired at {expires}")]
    Stale {
        /// The expiry time.
        expires: Timestamp,
    },
    /// The server does not prove that the installed release is still the newest one.
    ///
    /// The release names a freshness key, and the head on the server has no stamp of that key that
    /// is valid now. The installed version still works.
    #[error("the server does not prove that the installed release is the newest one: {detail}")]
    NoStamp {
        /// The reason.
        detail: String,
    },
    /// A component requires a version that is neither installed nor part of the update.
    #[error("{component} needs {required} {range}, but {}", found.as_ref().map_or("it is not installed".to_owned(), |v| format!("its version is {v}")))]
    Requires {
        /// The component with the requirement.
        component: Component,
        /// The required component.
        required: Component,
        /// The accepted versions, as in `^2`.
        range: String,
        /// The installed version, or the one of the update; `None` if there is none.
        found: Option<Version>,
    },
    /// An object has another size than the manifest says.
    #[error("{url} has {}, the manifest says {expected} bytes", found.map_or("more bytes".to_owned(), |n| format!("{n} bytes")))]
    ObjectSize {
        /// The URL of the object.
        url: String,
        /// The size in the manifest, in bytes.
        expected: u64,
        /// The actual size; `None` if the client stopped at the size in the manifest.
        found: Option<u64>,
    },
    /// An object has another hash than the manifest says.
    #[error("{url} has the SHA-256 {found}, the manifest says {expected}")]
    ObjectHash {
        /// The URL of the object.
        url: String,
        /// The hash in the manifest.
        expected: Sha256,
        /// The actual hash.
        found: Sha256,
    },
    /// An object has the right hash but is not a gzip file with the content of the manifest.
    #[error("{url} is not the gzip of {path}: {detail}")]
    Gzip {
        /// The URL of the object.
        url: String,
        /// The file that it should contain.
        path: String,
        /// The reason.
        detail: String,
    },
    /// An install object has the right hash but does not hold a file of the manifest.
    #[error("{url} does not hold the content of {path}")]
    InstallContent {
        /// The URL of the object.
        url: String,
        /// The file that it should hold.
        path: String,
    },
}

impl Refused {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Refused::Manifest { defect, .. } => defect.code(),
            Refused::UnknownKey { .. } => "unknown-key",
            Refused::BadSignature { .. } => "bad-signature",
            Refused::Threshold { .. } => "threshold",
            Refused::WrongTarget { what: "component", .. } => "wrong-component",
            Refused::WrongTarget { what: "channel", .. } => "wrong-channel",
            Refused::WrongTarget { .. } => "wrong-platform",
            Refused::RetiredKey { .. } => "retired-key",
            Refused::Rollback { .. } => "rollback",
            Refused::SequenceConflict { .. } => "sequence-conflict",
            Refused::SteppingStone { .. } => "stepping-stone",
            Refused::Stale { .. } | Refused::NoStamp { .. } => "stale",
            Refused::Requires { .. } => "requires",
            Refused::ObjectSize { .. } => "object-size",
            Refused::ObjectHash { .. } => "object-hash",
            Refused::Gzip { .. } => "gzip",
            Refused::InstallContent { .. } => "install-content",
        }
    }
}

/// The rule of manifest format 1 that a manifest breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Defect {
    /// The manifest is larger than 64 MiB.
    TooLarge,
    /// The manifest has more than 200,000 files.
    TooManyFiles,
    /// The text is not UTF-8, or contains a byte order mark, a carriage return or another excluded
    /// character.
    Encoding,
    /// The text is an HTML page.
    Html,
    /// The first line is not the XML declaration as format 1 shows it.
    Declaration,
    /// The text is not XML as format 1 allows it.
    Syntax,
    /// The last line is not `</manifest>` with a line feed.
    End,
    /// A signature line has another form than format 1 shows, or is at another place.
    SignatureLine,
    /// The manifest has no signature line, or more than eight.
    SignatureCount,
    /// Two signature lines name the same key.
    SignatureRepeated,
    /// The format number is not 1.
    Format,
    /// Format 1 does not allow this element at this place, or not as often.
    Element,
    /// A required element is missing.
    ElementMissing,
    /// Format 1 does not allow this attribute here, or it is given twice.
    Attribute,
    /// A required attribute is missing.
    AttributeMissing,
    /// A number is not canonical or too large.
    Number,
    /// A hash is not 64 lower-case hexadecimal digits.
    Hash,
    /// A value is neither `true` nor `false`.
    Boolean,
    /// The text is not a name of a component, channel or delta method.
    Name,
    /// The platform is neither `any` nor `ARCH-OS`.
    Platform,
    /// A version or version range is not one of Semantic Versioning.
    Version,
    /// A time is not `YYYY-MM-DDTHH:MM:SSZ`, or not a real date.
    Time,
    /// `expires` is not after `issued`.
    Expires,
    /// The layout is not `flat`.
    Layout,
    /// A base URL breaks the rules of format 1.
    BaseUrl,
    /// A component requires itself, or another one twice.
    Requires,
    /// The rollout is not 0 to 99 %.
    Rollout,
    /// A stepping stone is not older than this release, or not in order.
    SteppingStone,
    /// Notes have no valid language, a language twice, no content, too much content, or a bad URL.
    Notes,
    /// A path breaks a rule of format 1.
    Path(crate::values::rel_path::PathDefect),
    /// Two paths are the same name on some system.
    PathConflict,
    /// The path of a file is also a folder of another file.
    PathIsFolder,
    /// The target of a link is neither a listed file nor a folder of listed files.
    LinkTarget,
    /// `launch` is not a listed file.
    Launch,
    /// `title` or `publisher` is no name for people, `icon` is not a listed file, or none is given.
    Appearance,
    /// The freshness key is not base64, or has more than 600 bytes.
    Freshness,
    /// An update object is not from an earlier release, is named twice, or is smaller than its
    /// table.
    Update,
}

impl Defect {
    /// Returns the stable code of an error with this defect.
    pub fn code(self) -> &'static str {
        match self {
            Defect::TooLarge => "manifest-too-large",
            Defect::TooManyFiles => "manifest-too-many-files",
            Defect::Encoding => "manifest-encoding",
            Defect::Html => "manifest-html",
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
            Defect::Layout => "manifest-layout",
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
            Defect::Appearance => "manifest-appearance",
            Defect::Freshness => "manifest-freshness",
            Defect::Update => "manifest-update",
        }
    }
}
