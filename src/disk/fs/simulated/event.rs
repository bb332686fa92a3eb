//! Events: what can happen to a disk in memory before a step.

/// A fault of the machine. It stays as long as the disk is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing new fits on the disk (`ENOSPC`).
    NoSpace,
    /// No file and no folder can be synced (`EIO`).
    NoSync,
    /// The disk is mounted read-only (`EROFS`).
    ReadOnly,
    /// The file or folder at a path cannot be changed, renamed or removed (`EPERM`, `chattr +i`).
    Immutable(String),
    /// Every call fails (`EIO`), as after a disk was pulled out.
    Gone,
}

/// A write by another program, at a path below the disk's root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForeignWrite {
    /// Writes to the file in place: other names of the same file have the new bytes, too.
    InPlace(String, &'static str),
    /// Replaces the entry by a new file.
    Replace(String, &'static str),
    /// Removes the entry, a folder with all its entries.
    Remove(String),
    /// Gives the entry other permission bits.
    SetMode(String, u32),
    /// Replaces the entry by a folder that holds one file.
    Folder(String, &'static str),
    /// Replaces the entry by a symbolic link.
    Link(String, &'static str),
}

/// An event that happens before a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The process ends: neither this step nor a later one happens.
    Death,
    /// A fault begins.
    Fault(Fault),
    /// Another program writes.
    Write(ForeignWrite),
}
