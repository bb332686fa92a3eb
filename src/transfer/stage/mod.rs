//! The stage: complete, verified new files of a component that are not installed yet.
//!
//! # How a download works
//!
//! ```text
//!   site or mirror            .patcher/stage/COMPONENT/                          COMPONENT/
//!
//!   objects/ab/….gz ─fetch─►  objects/HASH.part ─verify, decompress─┐
//!                                                                   ▼
//!   objects/cd/….update ─►    objects/HASH.part ─apply deltas──► files/HASH-0.part
//!                             + local files as bases                │ verify
//!   objects/ef/….install ►    objects/HASH.part ─unpack blocks─►    │
//!                                                                   ▼
//!                             local file ─copy, verify────────►  files/HASH-0 ─swap─► app
//! ```
//!
//! 1. [`preflight`] checks permissions and disk space.
//! 2. [`Stage::fill`] starts to fetch the update object, if the plan has one (`update_object`). If
//!    it has an install object, the client unpacks that first (`install_unpack`). Then the client
//!    turns the plan into jobs, one for each new content (`job`). Several workers take jobs from
//!    the list. For a large download the mirrors race first (`mirror_race`).
//! 3. A worker tries up to four ways to a content, the cheapest first (`content`): copy a local
//!    file, apply rows of the update object (`update_rows`), combine chunks (`chunked`), fetch the
//!    whole `.gz` (`whole`). A *row* is one delta of the update object, with the files that it
//!    reads. A flat layout has no `.gz`: after the workers, `blocks_fill` makes the missing
//!    contents from blocks of the install object.
//! 4. Every way that needs the network fetches *objects* (`object`), mirror by mirror. A `.gz` is
//!    verified against its signed SHA-256 before it is used. `update_rows`, `install_unpack` and
//!    `chunked` use parts of an object before that; there the SHA-256 of the finished file decides.
//! 5. A `writer` creates the staged file. It gets its name only after its size and its SHA-256 were
//!    checked.
//! 6. When all contents are staged, [`swap_steps()`] makes them durable and returns the steps of
//!    the swap. `swap` then renames the files into the component.
//!
//! Names in the stage are hashes of contents and not versions. A download that was interrupted, or
//! was for a release that has been superseded, leaves files that the next download uses.
//!
//! # Order of the files
//!
//! Each file uses only files above it:
//!
//! | file | noun |
//! |---|---|
//! | `ledger`, `progress`, `writer`, `scratch_file` | what is recorded, displayed and written |
//! | `arriving_file`, `finished_contents` | how workers wait for bytes and for each other |
//! | `transfer`, `job` | the settings and the work |
//! | `object`, `object_ranges` | one object, fetched and verified; parts of it |
//! | `update_object` | the object that others use on arrival |
//! | `worker` | the worker |
//! | `update_rows`, `chunked`, `whole` | three ways to a content |
//! | `content` | the order of the ways |
//! | `install_unpack` | contents of the arriving install object |
//! | `mirror_race`, `install_fill`, `update_fill`, `blocks_fill`, `fill` | the whole download |
//! | `preflight`, `swap_steps` | before and after it |

mod arriving_file;
mod blocks_fill;
mod chunked;
mod content;
mod fill;
mod finished_contents;
mod install_fill;
mod install_unpack;
mod job;
mod ledger;
mod mirror_race;
mod object;
mod object_ranges;
pub mod preflight;
mod progress;
mod scratch_file;
mod swap_steps;
#[cfg(test)]
mod tests;
mod transfer;
mod update_fill;
mod update_object;
mod update_rows;
mod whole;
mod worker;
mod writer;

pub use ledger::{Ledger, ObjectEvent};
pub use progress::{Phase, Progress};
pub use swap_steps::swap_steps;
pub use transfer::Transfer;

use crate::disk::fs::{self, Dir};
use crate::disk::inventory::PathContent;
use crate::disk::layout::{InstallRoot, STAGED_FILES_DIR_NAME, STAGES_DIR_NAME};
use crate::error::Result;
use crate::formats::manifest::{Component, Object};
use crate::state;
use crate::transfer::plan::{ContentPlan, PathChange, Plan};
use crate::values::digest::Sha256;
use crate::values::rel_path::{MANIFEST_NAME, STATE_DIR_NAME};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use writer::{is_staged, partial};

/// The folder of incomplete and unused objects in a component's stage.
const OBJECTS: &str = "objects";
/// The file of the newest manifest, present when the staged release is a stepping stone.
const NEWEST: &str = "newest.xml";

/// A component's stage.
#[derive(Debug)]
pub struct Stage {
    dir: Dir,
    files: Dir,
    objects: Dir,
    /// `true` if the stage is in the component's own work folder.
    ///
    /// This is the case when the component and the state folder are on different file systems.
    /// Files can be renamed only within one file system.
    pub in_own_work_dir: bool,
}

impl Stage {
    /// Opens the stage of a component, and creates it if it is absent.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io),
    /// [`Machine::UnsafePath`](crate::error::Machine::UnsafePath); those of
    /// [`state::check_folder`] and [`preflight::check_mode`] for the component's own work folder.
    pub fn open(root: &InstallRoot, state_dir: &Dir, component: &Component) -> Result<Self> {
        let dir = root.component(component);
        let in_own_work_dir = nearest_folder(&dir)?.mount()? != state_dir.mount()?;
        let stages = if in_own_work_dir {
            fs::create_root(&dir)?;
            let work = Dir::open(&dir)?.folder_or_new(STATE_DIR_NAME, 0o700)?;
            // As the state folder, it may have been made by another user.
            state::check_folder(&work).or_else(|error| {
                // Without permission bits, every folder looks like one that others can write.
                preflight::check_mode(&work, fs::PLAIN_MODE)?;
                Err(error)
            })?;
            work.folder_or_new(STAGES_DIR_NAME, 0o700)?
        } else {
            state_dir.folder_or_new(STAGES_DIR_NAME, 0o700)?
        };
        let dir = stages.folder_or_new(component.as_str(), 0o700)?;
        let (files, objects) = (dir.folder_or_new(STAGED_FILES_DIR_NAME, 0o700)?, dir.folder_or_new(OBJECTS, 0o700)?);
        Ok(Self { dir, files, objects, in_own_work_dir })
    }

    /// Returns the bytes of the staged release's manifest, or `None` without a staged release.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn manifest(&self) -> Result<Option<Vec<u8>>> {
        self.dir.read_small(MANIFEST_NAME, crate::formats::manifest::MAX_MANIFEST_BYTES)
    }

    /// Returns the bytes of the newest manifest if the staged release is a stepping stone.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn newest_manifest(&self) -> Result<Option<Vec<u8>>> {
        self.dir.read_small(NEWEST, crate::formats::manifest::MAX_MANIFEST_BYTES)
    }

    /// Saves the manifest of the release to stage.
    ///
    /// `newest` is the newest manifest, if the release is a stepping stone that it names.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn set_manifest(&self, bytes: &[u8], newest: Option<&[u8]>) -> Result<()> {
        // After a crash between the writes there is no manifest, or one that verification refuses
        // because it is older than a release seen before.
        self.dir.remove_file(MANIFEST_NAME)?;
        match newest {
            Some(newest) => self.dir.replace(NEWEST, newest, fs::PLAIN_MODE)?,
            None => self.dir.remove_file(NEWEST)?,
        }
        self.dir.replace(MANIFEST_NAME, bytes, fs::PLAIN_MODE)
    }

    /// Removes the files of earlier downloads that `plan` does not use.
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
            .flat_map(ContentPlan::objects)
            .chain(shared_objects(plan))
            .map(|object| object.sha256.to_string())
            .flat_map(|name| [partial(&name), name])
            .collect();
        for name in self.objects.names()?.iter().filter(|name| !objects.contains(*name)) {
            self.objects.remove_tree(name)?;
        }
        Ok(())
    }

    /// Removes the objects that make several contents, once all contents are staged.
    fn remove_objects(&self, plan: &Plan) -> Result<()> {
        for object in shared_objects(plan) {
            let name = object.sha256.to_string();
            self.objects.remove_file(&partial(&name))?;
            self.objects.remove_file(&partial(&ranges_name(&object)))?;
        }
        Ok(())
    }

    /// Returns `true` if every new file of a plan is staged with the right content.
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

    /// Gives the staged files of a plan their modes, makes them durable, and returns the name of
    /// each change's file; `None` for links and removals.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io), also when a file is not staged.
    pub fn seal(&self, plan: &Plan) -> Result<Vec<Option<String>>> {
        let names = staged_names(&plan.changes);
        let files = plan.changes.iter().zip(&names).filter_map(|(change, name)| match (&change.new, name) {
            (PathContent::File { mode, .. }, Some(name)) => Some((name.as_str(), *mode)),
            _ => None,
        });
        self.files.seal_files(&files.collect::<Vec<_>>())?;
        self.files.sync()?;
        Ok(names)
    }

    /// Returns the size of all staged files in bytes.
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

/// Returns the objects that make several contents of a plan.
fn shared_objects(plan: &Plan) -> impl Iterator<Item = Object> {
    let planned = plan.object.iter().flat_map(|planned| planned.objects().iter());
    planned.chain(&plan.install).map(|indexed| indexed.object)
}

/// Returns the name of the file with ranges of an object in the stage.
fn ranges_name(object: &Object) -> String {
    format!("{}-ranges", object.sha256)
}

/// Returns the staged name of each change: `HASH-NUMBER`, or `None` for links and removals.
///
/// The number counts the changes with the same content, from 0.
fn staged_names(changes: &[PathChange]) -> Vec<Option<String>> {
    let mut counts: HashMap<Sha256, usize> = HashMap::new();
    let name = |change: &PathChange| {
        let hash = change.new.sha256()?;
        let count = counts.entry(hash).or_default();
        *count += 1;
        Some(staged_name(&hash, *count - 1))
    };
    changes.iter().map(name).collect()
}

/// Returns the staged name of the change with this number among those with the same content.
fn staged_name(content: &Sha256, number: usize) -> String {
    format!("{content}-{number}")
}

/// Opens the folder at `path`, or the nearest parent that exists.
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
