//! One component of a swap: its folders, the check before the first change, and its backups.

use super::changed;
use crate::disk::fs::{Dir, Tree};
use crate::disk::inventory::{Inventory, PathContent};
use crate::disk::layout::{FILES, InstallRoot, STAGES};
use crate::error::{Machine, Result};
use crate::state;
use crate::state::journal::{ComponentSteps, Step, TRANSACTIONS};
use crate::values::rel_path::STATE;

/// How many threads hash at a time. To ask the system how many cores there are would take the helper some kilobytes of code.
const THREADS: usize = 4;

/// A component's steps with the folders that they work on.
#[derive(Debug)]
pub struct ComponentSwap {
    pub steps: ComponentSteps,
    pub tree: Tree,
    /// The staged files; absent when no step needs one.
    pub staged: Option<Dir>,
    pub backups: Dir,
}

impl ComponentSwap {
    /// Opens the folders of a component's steps; its own folder is made when it is absent.
    pub fn open(root: &InstallRoot, steps: ComponentSteps) -> Result<Self> {
        let dir = root.checked_component(&steps.component)?;
        if dir.display().to_string() != steps.dir.display().to_string() {
            return Err(changed(
                steps.dir,
                format!("the swap was prepared for this folder, {} is now at {}", steps.component, dir.display()),
            ));
        }
        crate::disk::fs::create_root(&dir)?;
        let work = work_dir(root, &steps)?;
        let tree = Tree::from(Dir::open(&dir)?.with_aside(&work));
        let name = steps.component.as_str();
        let staged = match work.folder(STAGES)? {
            Some(stages) => stages.folder(name)?.map_or(Ok(None), |stage| stage.folder(FILES))?,
            None => None,
        };
        let backups = work.folder_or_new(TRANSACTIONS, 0o700)?.folder_or_new(name, 0o700)?;
        Ok(Self { steps, tree, staged, backups })
    }

    /// The steps that end with a file or a link.
    pub fn puts(&self) -> impl Iterator<Item = &Step> {
        self.steps.steps.iter().filter(|step| step.new != PathContent::Absent)
    }

    /// The steps that end with nothing.
    pub fn deletes(&self) -> impl Iterator<Item = &Step> {
        self.steps.steps.iter().filter(|step| step.new == PathContent::Absent)
    }

    /// Makes sure that the disk is as the plan says: every target still old, every staged file whole, nothing in the way.
    pub fn check(&self) -> Result<()> {
        let dir = self.tree.root().path();
        let targets = self.inventory()?;
        for step in &self.steps.steps {
            let found = targets.content(step.place.as_str());
            if *found != step.old {
                return Err(changed(dir.join(step.place.as_str()), format!("{found}, not {}", step.old)));
            }
        }
        for (at, content) in targets.blocked() {
            if !self.deletes().any(|step| step.place.as_str() == at && step.old == *content) {
                return Err(Machine::UnsafePath { path: dir.join(at) }.into());
            }
        }
        let names = || self.puts().filter_map(|step| step.staged.as_deref());
        let Some(staged) = &self.staged else {
            return names().next().map_or(Ok(()), |name| Err(changed(dir.join(name), "nothing is staged")));
        };
        let files = Inventory::take(staged.path(), names(), THREADS)?;
        for step in self.puts() {
            if let Some(name) = &step.staged
                && *files.content(name) != step.new
            {
                return Err(changed(staged.join(name), format!("{}, not {}", files.content(name), step.new)));
            }
        }
        Ok(())
    }

    /// What is at every path of the steps now.
    pub fn inventory(&self) -> Result<Inventory> {
        let paths = self.steps.steps.iter().map(|step| step.place.as_str());
        Inventory::take(self.tree.root().path(), paths, THREADS)
    }

    /// Gives every file that will go a second name, so that it can come back, durably.
    pub fn back_up(&self) -> Result<()> {
        // What an attempt that was given up has left.
        for left in self.backups.names()? {
            self.backups.remove_tree(&left)?;
        }
        for (index, step) in self.steps.steps.iter().enumerate() {
            let PathContent::File { mode, .. } = step.old else { continue };
            let (dir, name) = self.tree.parent(step.place.as_str())?;
            let backup = index.to_string();
            dir.link_or_copy(name, &self.backups, &backup, mode)?;
        }
        self.backups.sync()
    }
}

/// The folder of stages and backups: the state folder, or one beside the component when that is on another file system.
fn work_dir(root: &InstallRoot, steps: &ComponentSteps) -> Result<Dir> {
    if steps.own_work_dir {
        let work = Dir::open(&root.component(&steps.component))?.folder_or_new(STATE, 0o700)?;
        return Ok(work.with_own_aside());
    }
    state::open_or_create(root)
}

/// Removes what a swap has put aside.
pub fn remove_backups(root: &InstallRoot, steps: &ComponentSteps) -> Result<()> {
    remove_work(root, steps, TRANSACTIONS)
}

/// Puts what is left of a component's stage among its backups, with which it goes: to move a folder takes less time than to
/// remove it with all that it holds.
pub fn retire_stage(root: &InstallRoot, steps: &ComponentSteps) -> Result<()> {
    // There a folder cannot be moved while anything in it is open.
    if cfg!(windows) {
        return remove_stage(root, steps);
    }
    let work = work_dir(root, steps)?;
    let name = steps.component.as_str();
    let backups = work.folder_or_new(TRANSACTIONS, 0o700)?.folder_or_new(name, 0o700)?;
    match work.folder(STAGES)? {
        Some(stages) => stages.rename(name, &backups, STAGES),
        None => Ok(()),
    }
}

/// Removes what was staged for a component.
pub fn remove_stage(root: &InstallRoot, steps: &ComponentSteps) -> Result<()> {
    remove_work(root, steps, STAGES)
}

fn remove_work(root: &InstallRoot, steps: &ComponentSteps, kind: &str) -> Result<()> {
    // A work folder of the component's own has gone with the component.
    if steps.own_work_dir && Tree::open(&root.component(&steps.component))?.is_none() {
        return Ok(());
    }
    match work_dir(root, steps)?.folder(kind)? {
        Some(folder) => folder.remove_leftovers(steps.component.as_str()),
        None => Ok(()),
    }
}

/// Removes the folder of a component that is not installed, if nothing of the user's is in it.
pub fn remove_vacated(root: &InstallRoot, steps: &ComponentSteps, installed: bool) -> Result<()> {
    let dir = root.component(&steps.component);
    let (false, Some(parent), Some(name)) = (installed, dir.parent(), dir.file_name().and_then(|name| name.to_str()))
    else {
        return Ok(());
    };
    if steps.own_work_dir
        && let Some(tree) = Tree::open(&dir)?
        && tree.root().names()? == [STATE]
    {
        tree.root().remove_tree(STATE)?;
    }
    let parent = Dir::open(parent)?;
    if parent.remove_folder(name)? { parent.sync() } else { Ok(()) }
}
