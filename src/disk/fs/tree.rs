//! A component's folder: paths of many segments, walked without following a link.

use super::{Dir, Fingerprint, Found};
use crate::error::{Error, Machine, Result};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// A component's folder.
///
/// It keeps the last used subfolder open, because the next path is often in the same one.
#[derive(Debug)]
pub struct Tree {
    root: Rc<Dir>,
    last: RefCell<Option<(String, Rc<Dir>)>>,
}

impl Tree {
    /// Opens a component's folder; returns `None` if it is absent.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn open(path: &Path) -> Result<Option<Self>> {
        match Dir::open(path) {
            Ok(dir) => Ok(Some(dir.into())),
            Err(Error::Machine(Machine::Io { source, .. })) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the component's own folder.
    pub fn root(&self) -> &Dir {
        &self.root
    }

    /// Returns the kind of entry at a path.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn find(&self, path: &str) -> Result<Found> {
        let (folder, name) = split(path);
        match self.walk(folder)? {
            Ok(dir) => dir.find(name),
            Err(instead) => Ok(instead),
        }
    }

    /// Returns the fingerprint of the entry at a path; `None` if it is absent.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn fingerprint(&self, path: &str) -> Result<Option<Fingerprint>> {
        let (folder, name) = split(path);
        self.walk(folder)?.map_or(Ok(None), |dir| dir.fingerprint(name))
    }

    /// Opens the folder at `path` (empty for the component's own); returns `None` if it is absent.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if a file or a link is in the way.
    pub fn folder(&self, path: &str) -> Result<Option<Rc<Dir>>> {
        match self.walk(path)? {
            Ok(dir) => Ok(Some(dir)),
            Err(Found::Blocked { at, .. }) => Err(Machine::UnsafePath { path: self.root.join(&at) }.into()),
            Err(_) => Ok(None),
        }
    }

    /// Opens the folder at `path`; returns `None` if it is absent, or if another entry is there or
    /// on the way.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn find_folder(&self, path: &str) -> Result<Option<Rc<Dir>>> {
        Ok(self.walk(path)?.ok())
    }

    /// Returns the folder that holds `path`, and the name in it.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] if a file or a link is in the way, [`Machine::Io`] for an absent
    /// folder.
    pub fn parent<'a>(&self, path: &'a str) -> Result<(Rc<Dir>, &'a str)> {
        let (folder, name) = split(path);
        let absent = || Error::io("open", self.root.join(folder), std::io::ErrorKind::NotFound.into());
        Ok((self.folder(folder)?.ok_or_else(absent)?, name))
    }

    /// Closes the subfolder that it keeps open. Call it after folders were removed.
    pub fn forget(&self) {
        self.last.borrow_mut().take();
    }

    /// Opens the folder at `path`, or returns the entry that is there instead.
    fn walk(&self, path: &str) -> Result<std::result::Result<Rc<Dir>, Found>> {
        if path.is_empty() {
            return Ok(Ok(Rc::clone(&self.root)));
        }
        if let Some((last, dir)) = &*self.last.borrow()
            && last == path
        {
            return Ok(Ok(Rc::clone(dir)));
        }
        let mut dir = Rc::clone(&self.root);
        let mut end = 0;
        for segment in path.split('/') {
            end += segment.len() + usize::from(end > 0);
            dir = match dir.folder(segment) {
                Ok(Some(next)) => Rc::new(next),
                Ok(None) => return Ok(Err(Found::Absent)),
                Err(Error::Machine(Machine::UnsafePath { .. })) => {
                    let link = matches!(dir.find(segment)?, Found::Link { .. });
                    return Ok(Err(Found::Blocked { at: path[..end].to_owned(), link }));
                }
                Err(error) => return Err(error),
            };
        }
        *self.last.borrow_mut() = Some((path.to_owned(), Rc::clone(&dir)));
        Ok(Ok(dir))
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl From<Dir> for Tree {
    fn from(dir: Dir) -> Self {
        Self { root: Rc::new(dir), last: RefCell::new(None) }
    }
}

/// Fails if `path` is a link, which the updater must not follow.
///
/// # Errors
/// [`Machine::UnsafePath`].
pub fn refuse_link(path: &Path) -> Result<()> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let Some(above) = Tree::open(above)? else { return Ok(()) };
    match above.find(name)? {
        Found::Link { .. } => Err(Machine::UnsafePath { path: path.to_owned() }.into()),
        _ => Ok(()),
    }
}

/// Creates a component's folder or an install root, with the folders above it.
///
/// Each new folder is durable when this returns. Existing folders stay unchanged.
///
/// # Errors
/// [`Machine::Io`].
pub fn create_root(path: &Path) -> Result<()> {
    match Dir::open(path) {
        Err(Error::Machine(Machine::Io { source, .. })) if source.kind() == std::io::ErrorKind::NotFound => {}
        opened => return opened.map(drop),
    }
    // From the outermost missing folder: each folder is durable before the next one is created in
    // it.
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_root(above)?;
    super::steps::next("make the folder")?;
    match super::system::create_folder(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::io("make the folder", path, error));
        }
        _ => {}
    }
    Dir::open(above)?.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_on_the_way_is_told_and_never_followed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/c"), "abc").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("a/out")).unwrap();
        let tree = Tree::open(dir.path()).unwrap().unwrap();
        assert!(matches!(tree.find("a/b/c").unwrap(), Found::File { size: 3, .. }));
        assert_eq!(tree.find("a/b/d").unwrap(), Found::Absent);
        assert_eq!(tree.find("x/y/z").unwrap(), Found::Absent);
        assert_eq!(tree.find("a/b/c/d").unwrap(), Found::Blocked { at: "a/b/c".into(), link: false });
        assert_eq!(tree.find("a/out/secret").unwrap(), Found::Blocked { at: "a/out".into(), link: true });
        assert_eq!(tree.parent("a/out/secret").unwrap_err().code(), "unsafe-path");
        assert!(matches!(tree.find("a/out").unwrap(), Found::Link { .. }));
    }

    #[cfg(unix)]
    #[test]
    fn every_folder_above_a_new_root_lasts() {
        use crate::disk::fs::simulated::{Disk, Mounted};
        let mounted = Mounted::new(Disk::default());
        create_root(&mounted.path().join("a/b/c")).unwrap();
        let cut = mounted.disk().power_cut(|_| false);
        assert_eq!(cut.paths().into_keys().collect::<Vec<_>>(), ["a", "a/b", "a/b/c"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_whose_sync_fails_is_not_taken_for_a_durable_one() {
        use crate::disk::fs::simulated::{Disk, Event, Fault, Mounted};
        let mut disk = Disk::default();
        for name in ["stage/a", "stage/b"] {
            disk.add_file(name, b"staged", 0o600);
        }
        let mounted = Mounted::new(disk);
        let stage = Dir::open(&mounted.path().join("stage")).unwrap();
        mounted.schedule(mounted.steps(), Event::Fault(Fault::NoSync));
        assert_eq!(stage.seal_files(&[("a", 0o644)]).unwrap_err().code(), "io");
        assert_eq!(stage.names().unwrap(), ["b"]);
    }

    #[test]
    fn processes_that_replace_a_file_at_once_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..8_u8 {
                let path = dir.path();
                scope.spawn(move || {
                    let folder = Dir::open(path).unwrap();
                    for _ in 0..40 {
                        folder.replace("state", &[number], 0o600).unwrap();
                    }
                });
            }
            // Another process starts meanwhile, and removes what a crash may have left.
            let folder = Dir::open(dir.path()).unwrap();
            (0..40).for_each(|_| folder.remove_temporaries(None).unwrap());
        });
        assert_eq!(Dir::open(dir.path()).unwrap().names().unwrap(), ["state"]);
    }

    #[test]
    fn what_a_crash_leaves_beside_a_file_is_removed_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Dir::open(dir.path()).unwrap();
        for name in ["a.new", "a.new-2", "b.new", "a.new-x", "a.newer", "a"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        folder.remove_temporaries(Some("a")).unwrap();
        assert_eq!(folder.names().unwrap(), ["a", "a.new-x", "a.newer", "b.new"]);
        folder.remove_temporaries(None).unwrap();
        assert_eq!(folder.names().unwrap(), ["a", "a.new-x", "a.newer"]);
    }

    #[test]
    fn a_replaced_file_is_old_or_new_and_a_large_one_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Dir::open(dir.path()).unwrap();
        assert_eq!(folder.read_small("state", 10).unwrap(), None);
        folder.replace("state", b"one", 0o600).unwrap();
        folder.replace("state", b"two", 0o600).unwrap();
        assert_eq!(folder.read_small("state", 10).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(folder.read_small("state", 2).unwrap_err().code(), "state-damaged");
        assert_eq!(folder.names().unwrap(), ["state"]);
    }
}
