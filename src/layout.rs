//! Where things lie: on the server below a component's base URL, and on the user's machine below the install root.

use crate::digest::Sha256;
use crate::manifest::Name;
use crate::rel_path::{MANIFEST, STATE};
use std::path::{Path, PathBuf};

/// What an object holds; its name on the server ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A whole file, as one gzip member.
    Gz,
    /// A patch.
    Delta,
    /// The index of a gzip's segments.
    Chunks,
}

/// An object's path below a component's base URL: `objects/ab/ab12….gz`.
pub fn object(kind: ObjectKind, sha256: &Sha256) -> String {
    let ending = match kind {
        ObjectKind::Gz => "gz",
        ObjectKind::Delta => "delta",
        ObjectKind::Chunks => "chunks",
    };
    let name = sha256.to_string();
    format!("objects/{}/{name}.{ending}", &name[..2])
}

/// The latest manifest's name below a component's base URL: `manifest.xml` for the channel `stable`, else `CHANNEL.xml`.
pub fn latest(channel: &Name) -> String {
    if channel.as_str() == "stable" { MANIFEST.to_owned() } else { format!("{channel}.xml") }
}

/// A past manifest's path below a component's base URL.
pub fn release(sequence: u64) -> String {
    format!("releases/{sequence}.xml")
}

/// The updater's own files below an install root.
#[derive(Debug, Clone)]
pub struct StateDir {
    /// `<root>/.patcher`, or the folder that the program chose.
    pub dir: PathBuf,
}

impl StateDir {
    /// The state folder of an install root.
    pub fn of_root(root: &Path) -> Self {
        Self { dir: root.join(STATE) }
    }

    /// One updater at a time.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// Held shared by every running instance of the program.
    pub fn running(&self) -> PathBuf {
        self.dir.join("running")
    }

    /// The highest releases verified.
    pub fn seen(&self) -> PathBuf {
        self.dir.join("seen.xml")
    }

    /// The update under way.
    pub fn active_update(&self) -> PathBuf {
        self.dir.join("active-update.xml")
    }

    /// Past updates.
    pub fn history(&self) -> PathBuf {
        self.dir.join("updates.xml")
    }

    /// The state of the swap under way.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// The plan of the swap under way.
    pub fn plan(&self) -> PathBuf {
        self.dir.join("txn").join("plan.xml")
    }

    /// What the helper did.
    pub fn helper_log(&self) -> PathBuf {
        self.dir.join("helper.log")
    }
}

/// The folder of a component that lies on another file system than the state folder; else the state folder itself.
#[derive(Debug, Clone)]
pub struct WorkDir {
    /// Where the component's stage and backups are.
    pub dir: PathBuf,
}

impl WorkDir {
    /// Complete, verified new files that are not live yet.
    pub fn stage(&self, component: &Name) -> PathBuf {
        self.dir.join("stage").join(component.as_str())
    }

    /// What the swap under way replaces.
    pub fn backups(&self, component: &Name) -> PathBuf {
        self.dir.join("txn").join(component.as_str())
    }
}
