//! What about this machine is in the way.

use super::Error;
use crate::values::names::Component;
use std::path::PathBuf;

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
    /// A symbolic link (or something that is neither file nor folder) where the program's own files
    /// and folders are.
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
    /// A file or folder is there whose name differs only in letters that this system takes for the
    /// same.
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
        component: Component,
        /// Where it would be.
        dir: PathBuf,
    },
    /// The installed manifest is missing its signature, its form, or altogether while its files are
    /// there.
    #[error("the installed manifest {} is damaged ({detail}); `install {component} --from URL` adopts the files that are there", path.display())]
    InstalledManifest {
        /// The component.
        component: Component,
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
            Machine::ChangedInSwap { .. } => "changed-in-swap",
            Machine::BackupDamaged { .. } => "backup-damaged",
            Machine::OtherTree { .. } => "other-tree",
            Machine::SwapUndone { .. } => "swap-undone",
            Machine::UndoFailed { .. } => "undo-failed",
            Machine::HelperMissing { .. } => "helper-missing",
            Machine::Unsupported { .. } => "unsupported",
        }
    }
}
