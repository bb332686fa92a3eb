//! The inventory: the content at each path of a component on the disk, by hash and mode.

use crate::disk::fs::{self, Found, Tree};
use crate::error::{Machine, Result};
use crate::values::digest::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The content of a path, as it is or as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathContent {
    /// No entry.
    Absent,
    /// A file.
    File {
        /// The hash of its bytes.
        sha256: Sha256,
        /// Its permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// The text of the link.
        target: String,
    },
    /// A folder. No release lists one, but a folder can be at the path of a file.
    Folder,
}

#[cfg(feature = "client")]
impl crate::formats::manifest::LinkOrFile<'_> {
    /// Returns the content that the entry installs.
    pub(crate) fn content(&self) -> PathContent {
        match self {
            Self::File(file) => PathContent::File { sha256: file.sha256, mode: fs::mode(file.executable) },
            Self::Link(link) => PathContent::Link { target: link.target.clone() },
        }
    }
}

impl PathContent {
    /// Returns the hash of a file's bytes; `None` for everything else.
    pub fn sha256(&self) -> Option<Sha256> {
        match self {
            PathContent::File { sha256, .. } => Some(*sha256),
            _ => None,
        }
    }

    /// Returns `true` if both are the same bytes or the same link, whatever their modes.
    pub fn same_bytes(&self, other: &PathContent) -> bool {
        match (self, other) {
            (PathContent::File { sha256: a, .. }, PathContent::File { sha256: b, .. }) => a == b,
            (PathContent::Link { target: a }, PathContent::Link { target: b }) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for PathContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathContent::Absent => f.write_str("absent"),
            PathContent::File { sha256, mode } => write!(f, "file {mode:o} {sha256}"),
            PathContent::Link { target } => write!(f, "link {target}"),
            PathContent::Folder => f.write_str("folder"),
        }
    }
}

/// The error for a text that [`PathContent`] does not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither `absent`, `folder`, `file MODE SHA256` nor `link TARGET`")]
pub struct NotAPathContent;

impl FromStr for PathContent {
    type Err = NotAPathContent;

    fn from_str(text: &str) -> Result<Self, NotAPathContent> {
        match text.split_once(' ') {
            None if text == "absent" => Ok(PathContent::Absent),
            None if text == "folder" => Ok(PathContent::Folder),
            Some(("link", target)) => Ok(PathContent::Link { target: target.to_owned() }),
            Some(("file", rest)) => {
                let (mode, sha256) = rest.split_once(' ').ok_or(NotAPathContent)?;
                let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777).ok_or(NotAPathContent)?;
                Ok(PathContent::File { sha256: sha256.parse().map_err(|_| NotAPathContent)?, mode })
            }
            _ => Err(NotAPathContent),
        }
    }
}

/// The contents of some paths of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The content of each path, and the size of a file in bytes.
    contents: BTreeMap<String, (PathContent, u64)>,
    /// Files and links at the path of a folder of an examined path, which is therefore absent.
    blocked: Vec<(String, PathContent)>,
}

/// Starting a thread takes about as long as hashing this many bytes.
const THREAD_COST_BYTES: u64 = 512 << 10;
/// Opening a file takes about as long as hashing this many bytes.
const OPEN_COST_BYTES: u64 = 16 << 10;

impl Inventory {
    /// Examines `paths` below `dir` with up to `threads` threads, hashing every file; an absent
    /// `dir` holds nothing.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`] for a device, socket or pipe; [`Machine::Io`].
    pub fn take<'a>(dir: &Path, paths: impl Iterator<Item = &'a str>, threads: usize) -> Result<Self> {
        let paths: Vec<&str> = paths.collect();
        let taken = Mutex::new((Self::default(), None));
        let next = AtomicUsize::new(0);
        let work = || {
            let result = Tree::open(dir).and_then(|tree| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let entry = match &tree {
                        Some(tree) => examine(tree, path)?,
                        None => Entry::default(),
                    };
                    let mut taken = taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    taken.0.contents.insert((*path).to_owned(), (entry.content, entry.size));
                    if let Some(blocked) = entry.blocked.filter(|blocked| !taken.0.blocked.contains(blocked)) {
                        taken.0.blocked.push(blocked);
                    }
                }
                Ok(())
            });
            if let Err(error) = result {
                next.store(paths.len(), Ordering::Relaxed);
                taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).1.get_or_insert(error);
            }
        };
        std::thread::scope(|scope| {
            (1..worthwhile(dir, &paths, threads.min(paths.len()))).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        match taken.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            (inventory, None) => Ok(inventory),
            (_, Some(error)) => Err(error),
        }
    }

    /// Returns the inventory of a release that was installed and not changed since.
    #[cfg(feature = "client")]
    pub fn of(manifest: &crate::formats::manifest::Manifest) -> Self {
        let size = |entry: &crate::formats::manifest::LinkOrFile<'_>| match entry {
            crate::formats::manifest::LinkOrFile::File(file) => file.size,
            crate::formats::manifest::LinkOrFile::Link(_) => 0,
        };
        let entries = manifest.entries();
        let contents = entries.iter().map(|entry| (entry.path().as_str().to_owned(), (entry.content(), size(entry))));
        Self { contents: contents.collect(), blocked: Vec::new() }
    }

    /// Returns the content of a path; [`PathContent::Absent`] if it was not examined.
    pub fn content(&self, path: &str) -> &PathContent {
        self.contents.get(path).map_or(&PathContent::Absent, |(content, _)| content)
    }

    /// Returns the size of a file in bytes; 0 for everything else.
    pub fn size(&self, path: &str) -> u64 {
        self.contents.get(path).map_or(0, |(_, size)| *size)
    }

    /// Returns the files and links at the path of a folder of an examined path.
    pub fn blocked(&self) -> impl Iterator<Item = (&str, &PathContent)> {
        self.blocked.iter().map(|(at, content)| (at.as_str(), content))
    }

    /// Returns all paths with their contents, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PathContent)> {
        self.contents.iter().map(|(path, (content, _))| (path.as_str(), content))
    }
}

/// Returns the number of threads, up to `most`, that save more time than their start takes.
fn worthwhile(dir: &Path, paths: &[&str], most: usize) -> usize {
    let Ok(Some(tree)) = Tree::open(dir) else { return 1 };
    let (mut threads, mut bytes) = (1, 0);
    for path in paths {
        if threads >= most {
            break;
        }
        let size = if let Ok(Found::File { size, .. }) = tree.find(path) { size } else { 0 };
        bytes += OPEN_COST_BYTES + size;
        threads += usize::from(bytes >= THREAD_COST_BYTES);
        bytes %= THREAD_COST_BYTES;
    }
    threads
}

/// Returns the number of threads that hash at a time: one for each core.
#[cfg(feature = "client")]
pub fn hash_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the content of a single path.
///
/// # Errors
/// As [`Inventory::take`].
pub fn content_at(tree: &Tree, path: &str) -> Result<PathContent> {
    examine(tree, path).map(|entry| entry.content)
}

struct Entry {
    content: PathContent,
    size: u64,
    blocked: Option<(String, PathContent)>,
}

impl Default for Entry {
    fn default() -> Self {
        Self { content: PathContent::Absent, size: 0, blocked: None }
    }
}

fn examine(tree: &Tree, path: &str) -> Result<Entry> {
    let entry = |content| Entry { content, ..Entry::default() };
    Ok(match tree.find(path)? {
        Found::Absent => Entry::default(),
        Found::Folder { .. } => entry(PathContent::Folder),
        Found::Link { target } => entry(PathContent::Link { target }),
        Found::Special => return Err(Machine::UnsafePath { path: tree.root().join(path) }.into()),
        Found::File { mode, .. } => {
            let (dir, name) = tree.parent(path)?;
            match dir.open_file(name)? {
                None => Entry::default(),
                Some(mut file) => {
                    let (sha256, size) = fs::hash(&mut file, &tree.root().join(path))?;
                    Entry { content: PathContent::File { sha256, mode }, size, blocked: None }
                }
            }
        }
        Found::Blocked { at, .. } => {
            let what = content_at(tree, &at)?;
            Entry { blocked: Some((at, what)), ..Entry::default() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_survive_a_round_trip() {
        let file = PathContent::File { sha256: Sha256::of(b"x"), mode: 0o755 };
        for content in [PathContent::Absent, PathContent::Folder, file, PathContent::Link { target: "a b".into() }] {
            assert_eq!(content.to_string().parse(), Ok(content));
        }
        for text in ["", "file", "file 644", "file 99999 00", "file 644 xyz", "other x", "Absent"] {
            assert_eq!(text.parse::<PathContent>(), Err(NotAPathContent), "{text}");
        }
    }

    #[test]
    fn an_inventory_tells_files_links_folders_and_what_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/file"), "x").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("file", dir.path().join("a/link")).unwrap();
        let paths = ["a", "a/file", "a/link", "a/file/below", "gone"];
        let inventory = Inventory::take(dir.path(), paths.into_iter(), 3).unwrap();
        assert_eq!(*inventory.content("a"), PathContent::Folder);
        assert_eq!(inventory.content("a/file").sha256(), Some(Sha256::of(b"x")));
        assert_eq!(inventory.size("a/file"), 1);
        #[cfg(unix)]
        assert_eq!(*inventory.content("a/link"), PathContent::Link { target: "file".into() });
        assert_eq!(*inventory.content("gone"), PathContent::Absent);
        assert_eq!(*inventory.content("a/file/below"), PathContent::Absent);
        assert_eq!(inventory.blocked().map(|(at, _)| at).collect::<Vec<_>>(), ["a/file"]);
    }
}
