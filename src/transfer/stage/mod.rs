//! The stage: complete, verified new files of a component that are not live yet.
//!
//! A file enters the stage only through a `Writer`, which checks size and SHA-256 before it gives it its final name, so
//! that whatever has such a name is whole. Names are those of the content, so that an interrupted download, or one for a
//! release that was superseded, leaves nothing that is fetched twice.

mod chunked;
mod content;
mod fill;
mod finished_contents;
mod ledger;
mod mirror_race;
mod object;
mod object_locks;
pub mod preflight;
mod progress;
mod swap_steps;
#[cfg(test)]
mod tests;
mod writer;

pub use fill::Transfer;
pub use ledger::{Ledger, ObjectEvent};
pub use progress::{Phase, Progress};
pub use swap_steps::swap_steps;

use crate::disk::fs::{self, Dir};
use crate::disk::layout::{InstallRoot, STAGED_FILES_DIR_NAME, STAGES_DIR_NAME};
use crate::error::Result;
use crate::formats::manifest::Component;
use crate::transfer::plan::{PathChange, Plan};
use crate::values::digest::Sha256;
use crate::values::rel_path::{MANIFEST_NAME, STATE_DIR_NAME};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use writer::{is_staged, partial};

/// The folder of objects under way in a component's stage.
const OBJECTS: &str = "objects";
/// The newest manifest in a stage whose release is a stepping stone.
const NEWEST: &str = "newest.xml";

/// A component's stage.
#[derive(Debug)]
pub struct Stage {
    dir: Dir,
    files: Dir,
    objects: Dir,
    /// Whether it lies in a work folder of the component's own, that being on another file system than the state folder.
    pub in_own_work_dir: bool,
}

impl Stage {
    /// Opens the stage of a component, made when it is absent.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io), [`Machine::UnsafePath`](crate::error::Machine::UnsafePath).
    pub fn open(root: &InstallRoot, state_dir: &Dir, component: &Component) -> Result<Self> {
        let dir = root.component(component);
        let in_own_work_dir = nearest_folder(&dir)?.device()? != state_dir.device()?;
        let stages = if in_own_work_dir {
            fs::create_root(&dir)?;
            Dir::open(&dir)?.folder_or_new(STATE_DIR_NAME, 0o700)?.folder_or_new(STAGES_DIR_NAME, 0o700)?
        } else {
            state_dir.folder_or_new(STAGES_DIR_NAME, 0o700)?
        };
        let dir = stages.folder_or_new(component.as_str(), 0o700)?;
        let (files, objects) = (dir.folder_or_new(STAGED_FILES_DIR_NAME, 0o700)?, dir.folder_or_new(OBJECTS, 0o700)?);
        Ok(Self { dir, files, objects, in_own_work_dir })
    }

    /// The manifest of the release that is staged, as it came; none when there is none.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn manifest(&self) -> Result<Option<Vec<u8>>> {
        self.dir.read_small(MANIFEST_NAME, crate::formats::manifest::MAX_MANIFEST_BYTES)
    }

    /// The newest manifest, when what is staged is a stepping stone that it names.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn newest_manifest(&self) -> Result<Option<Vec<u8>>> {
        self.dir.read_small(NEWEST, crate::formats::manifest::MAX_MANIFEST_BYTES)
    }

    /// Keeps the manifest of the release that is being staged; with the newest one, if it is a stepping stone that that one
    /// names.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn set_manifest(&self, bytes: &[u8], newest: Option<&[u8]>) -> Result<()> {
        // Between the two writes there is a manifest that is refused, or none: never one that is taken for another.
        self.dir.remove_file(MANIFEST_NAME)?;
        match newest {
            Some(newest) => self.dir.replace(NEWEST, newest, fs::PLAIN)?,
            None => self.dir.remove_file(NEWEST)?,
        }
        self.dir.replace(MANIFEST_NAME, bytes, fs::PLAIN)
    }

    /// Removes what an earlier, superseded download left and `plan` has no use for.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn sweep(&self, plan: &Plan) -> Result<()> {
        let wanted: HashSet<String> = staged_names(&plan.changes).into_iter().flatten().collect();
        for name in self.files.names()?.iter().filter(|name| !wanted.contains(*name)) {
            self.files.remove_tree(name)?;
        }
        let objects: HashSet<String> = plan
            .contents
            .values()
            .flat_map(|obtain| obtain.objects().map(|object| object.sha256.to_string()))
            .flat_map(|name| [partial(&name), name])
            .collect();
        for name in self.objects.names()?.iter().filter(|name| !objects.contains(*name)) {
            self.objects.remove_tree(name)?;
        }
        Ok(())
    }

    /// Whether every new file of a plan is staged, whole.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn is_complete(&self, plan: &Plan) -> Result<bool> {
        for (change, name) in plan.changes.iter().zip(staged_names(&plan.changes)) {
            let (Some(name), None) = (name, &change.saved_from) else { continue };
            if !is_staged(&self.files, &name, &change.new)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The bytes of the new files that are staged already.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for name in self.files.names()? {
            if let fs::Found::File { size, .. } = self.files.find(&name)? {
                sum += size;
            }
        }
        Ok(sum)
    }
}

/// The stage's name for the new content of each change: the hash, and a number among the changes to that content. None
/// for links and removals.
fn staged_names(changes: &[PathChange]) -> Vec<Option<String>> {
    let mut counts: HashMap<Sha256, usize> = HashMap::new();
    let name = |change: &PathChange| {
        let hash = change.new.sha256()?;
        let count = counts.entry(hash).or_default();
        *count += 1;
        Some(format!("{hash}-{}", *count - 1))
    };
    changes.iter().map(name).collect()
}

/// The folder at `path`, or the nearest one above it that exists.
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io).
pub fn nearest_folder(path: &Path) -> Result<Dir> {
    let mut path = path;
    loop {
        match (Dir::open(path), path.parent()) {
            (Err(error), Some(above)) if error.code() == "not-found" => path = above,
            (opened, _) => return opened,
        }
    }
}
