//! One component of a swap: its steps with the folders that they work on, and its backups.

use crate::disk::fs::{Dir, Found, Tree, create_root};
use crate::disk::inventory::{Inventory, PathContent};
use crate::disk::layout::{InstallRoot, STAGED_FILES_DIR_NAME, STAGES_DIR_NAME};
use crate::error::{Machine, Result};
use crate::state;
use crate::state::journal::{ComponentSteps, Step, SwapPath, TRANSACTIONS};
use crate::swap::side::Side;
use crate::values::rel_path::{MANIFEST_NAME, STATE_DIR_NAME};
use std::ffi::OsStr;
use std::path::Path;
use std::rc::Rc;

/// The number of threads that hash. Asking the system for the number of cores would add some
/// kilobytes to the helper.
pub const THREADS: usize = 4;
/// The folder among the backups that the stage moves to once the swap is committed.
pub const RETIRED: &str = STAGES_DIR_NAME;
/// The mode of the folders of a release.
pub const FOLDER: u32 = 0o755;

/// A component's steps with the folders that they work on.
#[derive(Debug)]
pub struct ComponentSwap {
    /// The steps.
    pub steps: ComponentSteps,
    /// The component's folder.
    pub tree: Tree,
    /// The folders that may hold staged files: the stage, and its rest after the commit.
    pub stages: Vec<Rc<Dir>>,
    /// The folder of backups, each named by its step's index.
    pub backups: Rc<Dir>,
    /// `true` if the configuration names the component's folder or the state folder.
    pub may_be_elsewhere: bool,
    /// `true` if [`check_forth`](super::check::check_forth) has found every target old. Then the
    /// exchange need not examine them again.
    pub checked: bool,
}

impl ComponentSwap {
    /// Opens the folders of a component's steps; creates the component's folder if it is absent.
    ///
    /// # Errors
    /// [`Machine::OtherTree`] if the component was installed in another folder, or is
    /// [lost](is_lost): nothing is written then. [`Machine::UnsafePath`], [`Machine::Io`].
    pub fn open(root: &InstallRoot, steps: ComponentSteps) -> Result<Self> {
        let dir = root.checked_component(&steps.component)?;
        let is_named = root.elsewhere.contains_key(&steps.component);
        let may_be_elsewhere = is_named || root.state.dir != root.dir.join(STATE_DIR_NAME);
        let is_absent = may_be_elsewhere && steps.from.is_some() && Tree::open(&dir)?.is_none();
        if is_absent || steps.elsewhere != is_named || is_lost(root, &steps)? {
            return Err(Machine::OtherTree { component: steps.component.clone(), dir }.into());
        }
        make_component_folder(&dir)?;
        let work = work_dir(root, &steps)?;
        let tree = Tree::from(Dir::open(&dir)?.with_aside(&work));
        let name = steps.component.as_str();
        let backups = work.folder_or_new(TRANSACTIONS, 0o700)?.folder_or_new(name, 0o700)?;
        let mut stages = Vec::new();
        let stage = |folder: Option<Dir>| folder.map_or(Ok(None), |stage| stage.folder(STAGED_FILES_DIR_NAME));
        if let Some(all) = work.folder(STAGES_DIR_NAME)? {
            stages.extend(stage(all.folder(name)?)?.map(Rc::new));
        }
        stages.extend(stage(backups.folder(RETIRED)?)?.map(Rc::new));
        Ok(Self { steps, tree, stages, backups: Rc::new(backups), may_be_elsewhere, checked: false })
    }

    /// Returns `true` if every target is known to have the content that this side replaces.
    pub fn was_checked(&self, side: Side) -> bool {
        self.checked && side == Side::New
    }

    /// Returns the folders that this side does not have, innermost first.
    pub fn leaving_folders(&self, side: Side) -> Vec<&str> {
        match side {
            Side::New => self.steps.old_folders.iter().map(|(path, _)| path.as_str()).collect(),
            Side::Old => self.steps.new_folders.iter().rev().map(String::as_str).collect(),
        }
    }

    /// Returns the folders that the other side does not have, outermost first, with their modes.
    pub fn coming_folders(&self, side: Side) -> Vec<(&str, u32)> {
        match side {
            Side::New => self.steps.new_folders.iter().map(|path| (path.as_str(), FOLDER)).collect(),
            Side::Old => self.steps.old_folders.iter().rev().map(|(path, mode)| (path.as_str(), *mode)).collect(),
        }
    }

    /// Returns the folders in which a step makes, replaces or removes an entry.
    ///
    /// The empty path is the component's folder.
    pub fn changed_folders(&self) -> Vec<String> {
        let changed = self.steps.steps.iter().map(|step| step.path.as_str());
        let made = self.steps.new_folders.iter().map(String::as_str);
        let removed = self.steps.old_folders.iter().map(|(path, _)| path.as_str());
        let parent = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
        let mut folders: Vec<String> = changed.chain(made).chain(removed).map(parent).collect();
        folders.sort_unstable();
        folders.dedup();
        folders
    }

    /// Returns the folder that holds a step's staged file, and the file's name in it.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn staged_file<'a>(&self, step: &'a Step) -> Result<Option<(Rc<Dir>, &'a str)>> {
        let Some(name) = step.staged.as_deref() else { return Ok(None) };
        for stage in &self.stages {
            if stage.find(name)? != crate::disk::fs::Found::Absent {
                return Ok(Some((Rc::clone(stage), name)));
            }
        }
        Ok(None)
    }

    /// Examines every path of the steps.
    ///
    /// # Errors
    /// As [`Inventory::take`].
    pub fn inventory(&self) -> Result<Inventory> {
        let paths = self.steps.steps.iter().map(|step| step.path.as_str());
        Inventory::take(self.tree.root().path(), paths, THREADS)
    }

    /// Backs up every old file: gives it a second name, durably.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn back_up(&self) -> Result<()> {
        // Backups of an earlier attempt that was given up.
        for left in self.backups.names()? {
            self.backups.remove_tree(&left)?;
        }
        for (index, step) in self.steps.steps.iter().enumerate() {
            let PathContent::File { mode, .. } = step.old else { continue };
            let (dir, name) = self.tree.parent(step.path.as_str())?;
            let backup = index.to_string();
            // The manifest is copied: no other program has its copy open, and the client needs it
            // to fetch the contents of damaged backups.
            match step.path {
                SwapPath::Manifest => dir.copy(name, &self.backups, &backup, mode)?,
                SwapPath::Listed(_) => dir.link_or_copy(name, &self.backups, &backup, mode)?,
            }
        }
        self.backups.sync()
    }
}

/// Creates the component's folder if it is absent, with the mode of a release's folders.
///
/// The user's mask may take bits away from a new folder. The set-group-id bit, which comes from the
/// folder above, stays.
fn make_component_folder(dir: &Path) -> Result<()> {
    let is_new = Tree::open(dir)?.is_none();
    create_root(dir)?;
    if is_new
        && let (Some(above), Some(name)) = (dir.parent(), dir.file_name().and_then(OsStr::to_str))
        && let Found::Folder { mode } = Dir::open(above)?.find(name)?
        && mode & 0o777 != FOLDER
    {
        // A mode is not content: a failure here is ignored.
        let _ = Dir::open(dir)?.set_mode(mode & 0o7000 | FOLDER);
    }
    Ok(())
}

/// Returns `true` if the component is on another file system that is not mounted now.
///
/// Its folder is absent or bare: it has neither the manifest, nor the stage, nor the backups of the
/// swap.
///
/// # Errors
/// [`Machine::Io`].
pub fn is_lost(root: &InstallRoot, steps: &ComponentSteps) -> Result<bool> {
    if !steps.own_work_dir {
        return Ok(false);
    }
    let Some(tree) = Tree::open(&root.component(&steps.component))? else { return Ok(true) };
    if tree.find(MANIFEST_NAME)? != Found::Absent {
        return Ok(false);
    }
    let Some(work) = tree.root().folder(STATE_DIR_NAME)? else { return Ok(true) };
    let of_component = |kind| work.folder(kind)?.map_or(Ok(None), |all| all.folder(steps.component.as_str()));
    if of_component(STAGES_DIR_NAME)?.is_some() {
        return Ok(false);
    }
    // The backup of the old manifest is removed after the manifest is in its place again.
    of_component(TRANSACTIONS)?.map_or(Ok(true), |backups| Ok(steps.from.is_some() && backups.names()?.is_empty()))
}

/// Opens the folder of stages and backups; creates it if it is absent.
///
/// It is the state folder. A component on another file system has its own one, `.patcher` in the
/// component's folder.
///
/// # Errors
/// [`Machine::Io`], [`Machine::UnsafePath`].
pub fn work_dir(root: &InstallRoot, steps: &ComponentSteps) -> Result<Dir> {
    if steps.own_work_dir {
        let work = Dir::open(&root.component(&steps.component))?.folder_or_new(STATE_DIR_NAME, 0o700)?;
        return Ok(work.with_own_aside());
    }
    state::open_or_create(root)
}

/// Opens the folder of stages and backups; returns `None` if it is absent.
///
/// # Errors
/// As [`work_dir`].
pub fn existing_work_dir(root: &InstallRoot, steps: &ComponentSteps) -> Result<Option<Dir>> {
    if !steps.own_work_dir {
        return state::open(root);
    }
    let Some(tree) = Tree::open(&root.component(&steps.component))? else { return Ok(None) };
    Ok(tree.root().folder(STATE_DIR_NAME)?.map(Dir::with_own_aside))
}
