//! The codes of the errors: the stable name of each, and the exit code of the program.
//!
//! Exit codes follow [`patcher::Error`]: 2 for a call that cannot be right, 20 for the network, 21
//! for content that clients would refuse, 22 for this machine. `docs/reference/errors.md` lists all
//! codes.

use super::Error;

impl Error {
    /// Returns the stable code: a short name that never changes once released.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Patcher(error) => error.code(),
            Error::Key(error) => error.code(),
            Error::Delta { .. } => "delta",
            Error::SettingMissing { .. } => "setting-missing",
            Error::ComponentFile { .. } => "component-file",
            Error::InsideBuild { .. } => "inside-build",
            Error::OutsideBuild { .. } => "outside-build",
            Error::PublishedKey { .. } => "published-key",
            Error::PublishedSecret { .. } => "published-secret",
            Error::Exists { .. } => "exists",
            Error::Path { .. } => "path",
            Error::NotUtf8 { .. } => "not-utf8",
            Error::LinkTarget { .. } => "link-target",
            Error::Special { .. } => "special-file",
            Error::NoFiles { .. } => "no-files",
            Error::Changed { .. } => "changed",
            Error::ManifestFile { .. } => "manifest-file",
            Error::OtherSigner { .. } => "other-signer",
            Error::FewSigners { .. } => "few-signers",
            Error::Signature { .. } => "signature",
            Error::SequenceTaken { .. } => "sequence-taken",
            Error::VersionNotNewer { .. } => "version-not-newer",
            Error::Installer { .. } => "installer",
            Error::NoSteppingStone { .. } => "no-stepping-stone",
            Error::SequenceNotAfter { .. } => "sequence-not-after",
            Error::LastSequence => "last-sequence",
            Error::ReadBack => "read-back",
            Error::OtherLayout { .. } => "other-layout",
            Error::EmptySite { .. } => "empty-site",
            Error::Missing { .. } => "missing",
            Error::Chunks { source, .. } => source.code(),
            Error::UpdateObject { .. } => "update-object",
            Error::InstallObject { .. } => "install-object",
            Error::Lead { .. } => "lead",
            Error::Unsound { .. } => "unsound",
            Error::NoObject { .. } => "no-object",
            Error::DamagedObject { .. } => "damaged-object",
            Error::Conflict { .. } => "conflict",
            Error::DestinationAhead { .. } => "destination-ahead",
            Error::CopyDiffers { .. } => "copy-differs",
            Error::ObjectStore { .. } => "object-store",
            Error::NotTaken { .. } => "not-taken",
            Error::NoObjectStores { .. } => "no-object-stores",
            Error::LinkInSite { .. } => "link-in-site",
            Error::MisplacedManifest { .. } => "misplaced-manifest",
            Error::RetiredRelease { .. } => "retired-release",
            Error::RolledBackSite { .. } => "rolled-back-site",
            Error::SequenceTwice { .. } => "sequence-twice",
            Error::NothingToStamp { .. } => "nothing-to-stamp",
            Error::Listen { .. } => "listen",
            Error::Output(_) => "output",
        }
    }

    /// Returns the exit code of the program.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Patcher(error) => error.exit_code(),
            Error::Key(error) => error.exit_code(),
            Error::SettingMissing { .. }
            | Error::ComponentFile { .. }
            | Error::InsideBuild { .. }
            | Error::OutsideBuild { .. }
            | Error::PublishedKey { .. }
            | Error::PublishedSecret { .. }
            | Error::VersionNotNewer { .. }
            | Error::NoSteppingStone { .. }
            | Error::SequenceNotAfter { .. }
            | Error::NothingToStamp { .. }
            | Error::NotTaken { .. }
            | Error::NoObjectStores { .. } => 2,
            Error::ObjectStore { .. } => 20,
            Error::Delta { .. }
            | Error::Path { .. }
            | Error::NotUtf8 { .. }
            | Error::LinkTarget { .. }
            | Error::LinkInSite { .. }
            | Error::MisplacedManifest { .. }
            | Error::RetiredRelease { .. }
            | Error::RolledBackSite { .. }
            | Error::Special { .. }
            | Error::NoFiles { .. }
            | Error::ManifestFile { .. }
            | Error::OtherSigner { .. }
            | Error::FewSigners { .. }
            | Error::Signature { .. }
            | Error::SequenceTaken { .. }
            | Error::LastSequence
            | Error::ReadBack
            | Error::OtherLayout { .. }
            | Error::EmptySite { .. }
            | Error::Missing { .. }
            | Error::Chunks { .. }
            | Error::UpdateObject { .. }
            | Error::InstallObject { .. }
            | Error::Lead { .. }
            | Error::Unsound { .. }
            | Error::NoObject { .. }
            | Error::DamagedObject { .. }
            | Error::DestinationAhead { .. }
            | Error::SequenceTwice { .. } => 21,
            Error::Exists { .. }
            | Error::Conflict { .. }
            | Error::Changed { .. }
            | Error::CopyDiffers { .. }
            | Error::Installer { .. }
            | Error::Listen { .. }
            | Error::Output(_) => 22,
        }
    }
}
