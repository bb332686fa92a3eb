//! Files that were in use when they had to go, and were moved aside: see [`Dir::with_aside`].

use crate::disk::fs::{Dir, Tree};
use crate::disk::layout::InstallRoot;
use crate::error::Result;
use crate::state;
use crate::values::rel_path::STATE;

/// Removes them as far as nobody uses them any more; the others stay until the next time.
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io), [`Machine::UnsafePath`](crate::error::Machine::UnsafePath).
pub fn sweep(root: &InstallRoot) -> Result<()> {
    let mut work_dirs: Vec<Dir> = state::open(root)?.into_iter().collect();
    for dir in root.elsewhere.values() {
        if let Some(tree) = Tree::open(dir)? {
            work_dirs.extend(tree.root().folder(STATE)?);
        }
    }
    work_dirs.iter().try_for_each(Dir::sweep_aside)
}
