//! What a publisher sent, or an attacker in their name, that is not taken.

use crate::values::digest::Sha256;
use crate::values::names::Component;
use crate::values::timestamp::Timestamp;
use semver::Version;

/// What a publisher sent, or an attacker in their name, and why it was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A manifest that is not format 1.
    #[error("the manifest is not valid: line {line}: {detail}")]
    Manifest {
        /// The rule it breaks.
        #[doc(hidden)]
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
        expires: Timestamp,
    },
    /// A `requires` that neither an installed component nor one of this update fulfils.
    #[error("{component} needs {required} {range}, but {}", found.as_ref().map_or("it is not installed".to_owned(), |v| format!("its version is {v}")))]
    Requires {
        /// The component that asks.
        component: Component,
        /// The component that it needs.
        required: Component,
        /// The versions that would do.
        range: String,
        /// The version that is there, or would be.
        found: Option<Version>,
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

impl Refused {
    pub(super) fn code(&self) -> &'static str {
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

/// The rule of manifest format 1 that a manifest breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Defect {
    /// More bytes than 64 MiB.
    TooLarge,
    /// More than 200,000 files.
    TooManyFiles,
    /// Not UTF-8, a byte order mark, a carriage return or another character that XML or this format
    /// excludes.
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
    /// Notes in no language, in one language twice, without content, with too much of it, or at an
    /// address that is none.
    Notes,
    /// A path that format 1 refuses.
    Path(crate::values::rel_path::PathDefect),
    /// Two paths that are one name on some system.
    PathConflict,
    /// A path that is another one's folder.
    PathIsFolder,
    /// A link whose target is not a listed file or a folder of listed files.
    LinkTarget,
    /// `launch` is not a listed file.
    Launch,
    /// A delta's second base that is no smaller file of the release, or that of a delta to another
    /// content.
    SecondBase,
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
            Defect::SecondBase => "manifest-companion",
        }
    }
}
