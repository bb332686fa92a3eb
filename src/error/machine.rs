//! Machine errors: rights, space, files in use, damaged state.

use super::Error;
use crate::values::names::Component;
use std::path::PathBuf;

/// An error of this machine: its file system, its state files, other programs on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Machine {
    /// The system refused an operation on a file or folder.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation, a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// This user has no right to change a folder that the update must change.
    #[error("no right to change {}", path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
    },
    /// The folder belongs to another user, so that this user's updater does not trust or change it.
    #[error("{} belongs to another user", path.display())]
    OtherOwner {
        /// The folder.
        path: PathBuf,
    },
    /// Other users can change a file or folder of the updater, and with it what is installed.
    #[error("{} belongs to another user, or other users can change it", path.display())]
    WritableByOthers {
        /// The file or folder.
        path: PathBuf,
    },
    /// The disk has too little free space. The client checks that before the first byte.
    #[error("not enough space on the disk of {}: {needed} bytes are needed, {available} are free", path.display())]
    NoSpace {
        /// A folder on that disk.
        path: PathBuf,
        /// The bytes for downloads, new files and backups.
        needed: u64,
        /// The bytes that are free for this user.
        available: u64,
    },
    /// A link or special file is at a path of the program. The client does not follow it: the
    /// target could be a file of another user.
    #[error("{} is a link or a special file; the client does not change anything through it", path.display())]
    UnsafePath {
        /// The path.
        path: PathBuf,
    },
    /// A folder with files of the user is at a path where the release has a file.
    #[error("{} is a folder with files of the user, and the release has a file of that name", path.display())]
    FolderInTheWay {
        /// The folder.
        path: PathBuf,
    },
    /// Another file system is mounted inside the component, and the update changes something in it.
    #[error("{} is mounted inside the component, and no file can be moved into it", path.display())]
    MountInside {
        /// The mount point, or a folder below it.
        path: PathBuf,
    },
    /// A file or folder has a name that is the same on this system, such as `readme` for `README`.
    #[error("cannot create {}: `{by}` exists, which is the same name on this system", path.display())]
    NameTaken {
        /// The path that the release needs.
        path: PathBuf,
        /// The name of the existing file or folder.
        by: String,
    },
    /// Another program has a file open in a way that forbids its replacement.
    #[error("{} is in use by another program", path.display())]
    InUse {
        /// The file or folder.
        path: PathBuf,
    },
    /// The component is not installed in this install root.
    #[error("{component} is not installed in {}", dir.display())]
    NotInstalled {
        /// The component.
        component: Component,
        /// The folder that it would be in.
        dir: PathBuf,
    },
    /// The install root has no component, or does not exist.
    #[error("nothing is installed in {}", dir.display())]
    NothingInstalled {
        /// The install root.
        dir: PathBuf,
    },
    /// The manifest of an installed component is damaged, or no trusted key signed it.
    #[error("the installed manifest {} is damaged: {detail}", path.display())]
    InstalledManifest {
        /// The component.
        component: Component,
        /// The manifest's file.
        path: PathBuf,
        /// The reason.
        detail: String,
    },
    /// A file of the state folder is damaged.
    #[error("{} is damaged: {detail}", path.display())]
    StateDamaged {
        /// The file.
        path: PathBuf,
        /// The reason.
        detail: String,
    },
    /// The journal of a swap cannot be read. Nothing was deleted.
    #[error("the journal {} cannot be read ({detail}); nothing was deleted, and the backups are in {}", path.display(), path.with_file_name("txn").display())]
    JournalUnreadable {
        /// The journal.
        path: PathBuf,
        /// The reason.
        detail: String,
    },
    /// A file differs from the plan of the swap. Nothing was swapped.
    #[error("{} changed since the update was prepared ({detail}); nothing was swapped", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The file as it is now.
        detail: String,
    },
    /// A staged file is missing or was changed. Nothing was swapped.
    #[error("the staged file {} is missing or damaged ({detail}); nothing was swapped", path.display())]
    StageDamaged {
        /// The staged file, or the path that it is for.
        path: PathBuf,
        /// The file as it is now.
        detail: String,
    },
    /// A file changed while the swap replaced files.
    #[error("{} changed during the swap: {detail}", path.display())]
    ChangedInSwap {
        /// The file.
        path: PathBuf,
        /// The content that it should have.
        detail: String,
    },
    /// A file of the version before cannot come back, as its backup is missing or was written to.
    #[error("the backup of {} is missing or damaged", path.display())]
    BackupDamaged {
        /// The file.
        path: PathBuf,
    },
    /// A component's files belong to neither version of the swap that the journal describes.
    #[error("the files of {component} in {} belong to neither version of the swap", dir.display())]
    OtherTree {
        /// The component.
        component: Component,
        /// Its folder.
        dir: PathBuf,
    },
    /// A step of the swap failed. It was undone, and the old version is complete.
    #[error("the swap failed and was undone: {cause}")]
    SwapUndone {
        /// The error of the step.
        cause: Box<Error>,
    },
    /// A step of the undo failed. The journal and the backups are kept for the next attempt.
    #[error("the swap could not be undone completely: {cause}; the backups are kept")]
    UndoFailed {
        /// The error of the step.
        cause: Box<Error>,
    },
    /// The helper program does not exist.
    #[error("the helper program {} does not exist", path.display())]
    HelperMissing {
        /// The path at which the client looked for it.
        path: PathBuf,
    },
    /// The administrator's policy cannot be used. Until it can, there are no updates.
    #[error("the policy {} cannot be used: {detail}", path.display())]
    Policy {
        /// The policy file.
        path: PathBuf,
        /// The reason.
        detail: String,
    },
    /// The administrator's policy turns updates off.
    #[error("the policy {} turns updates off", path.display())]
    UpdatesOff {
        /// The policy file.
        path: PathBuf,
    },
    /// This system lacks a function.
    #[error("{what} is not supported on this system")]
    Unsupported {
        /// The function.
        what: &'static str,
    },
}

impl Machine {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Machine::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => "permission-denied",
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "no-space",
                std::io::ErrorKind::ReadOnlyFilesystem => "read-only",
                std::io::ErrorKind::NotFound => "not-found",
                _ => "io",
            },
            Machine::NotWritable { .. } => "not-writable",
            Machine::OtherOwner { .. } => "other-owner",
            Machine::WritableByOthers { .. } => "writable-by-others",
            Machine::NoSpace { .. } => "no-space",
            Machine::UnsafePath { .. } => "unsafe-path",
            Machine::FolderInTheWay { .. } => "folder-in-the-way",
            Machine::MountInside { .. } => "mount-inside",
            Machine::NameTaken { .. } => "name-taken",
            Machine::InUse { .. } => "in-use",
            Machine::NotInstalled { .. } => "not-installed",
            Machine::NothingInstalled { .. } => "nothing-installed",
            Machine::InstalledManifest { .. } => "installed-manifest",
            Machine::StateDamaged { .. } => "state-damaged",
            Machine::JournalUnreadable { .. } => "journal-unreadable",
            Machine::Changed { .. } => "changed",
            Machine::StageDamaged { .. } => "stage-damaged",
            Machine::ChangedInSwap { .. } => "changed-in-swap",
            Machine::BackupDamaged { .. } => "backup-damaged",
            Machine::OtherTree { .. } => "other-tree",
            Machine::SwapUndone { .. } => "swap-undone",
            Machine::UndoFailed { .. } => "undo-failed",
            Machine::HelperMissing { .. } => "helper-missing",
            Machine::Policy { .. } => "policy",
            Machine::UpdatesOff { .. } => "updates-off",
            Machine::Unsupported { .. } => "unsupported",
        }
    }
}
