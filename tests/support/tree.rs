//! Folders of files, made and changed by a seed, and compared by bytes, modes and links.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The content of a path.
#[derive(Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file and its permission bits.
    File { bytes: Vec<u8>, mode: u32 },
    /// A symbolic link and its target.
    Link { target: String },
    /// An empty folder, which no release contains.
    EmptyFolder,
}

/// The files, links and empty folders of a folder, by path.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tree(pub BTreeMap<String, Entry>);

/// The updater's own names in a component's folder.
const UPDATERS: [&str; 2] = ["manifest.xml", ".patcher"];
/// The size of the largest file, in bytes.
const MAX_FILE_BYTES: u64 = 150_000;

impl Tree {
    /// Makes about thirty files of 0 bytes to 100 kB and a link, in nested folders. Some are
    /// executable.
    pub fn from_seed(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut tree = Self::default()
            .file("bin/app", &chance.program(MAX_FILE_BYTES), 0o755)
            .file("empty", b"", 0o644)
            .file("größe/naïve ßtraße.txt", "Grüße\n".repeat(99).as_bytes(), 0o644)
            .file("größe/日本語/説明.txt", "説明\n".repeat(500).as_bytes(), 0o644)
            .file("lib/libapp.so.1.0", &chance.program(MAX_FILE_BYTES / 2), 0o755)
            .link("lib/libapp.so", "libapp.so.1.0");
        for _ in 0..25 {
            tree.add(&mut chance);
        }
        tree
    }

    /// Makes the next version: files changed, added, removed, renamed, with another executable bit,
    /// and a link with another target. The same seed makes the same changes.
    pub fn mutate(&self, seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut next = self.clone();
        next.put("bin/app", chance.program(MAX_FILE_BYTES), 0o755);
        next.put(&format!("lib/libapp.so.1.{seed}"), chance.program(MAX_FILE_BYTES / 2), 0o755);
        next = next.link("lib/libapp.so", &format!("libapp.so.1.{seed}"));
        let free: Vec<String> = self.0.keys().filter(|path| path.starts_with("data/")).cloned().collect();
        for path in &free {
            let Some(Entry::File { mut bytes, mode }) = next.0.get(path).cloned() else { continue };
            match chance.below(8) {
                0 => next = next.without(path),
                1 => {
                    next = next.without(path);
                    next.put(&format!("moved/{seed}/{}", path.replace('/', "-")), bytes, mode);
                }
                2 => next.put(path, bytes, mode ^ 0o111),
                3 | 4 => {
                    let at = chance.below(bytes.len() as u64 + 1) as usize;
                    bytes.insert(at, seed as u8);
                    next.put(path, bytes, mode);
                }
                _ => {}
            }
        }
        for _ in 0..3 {
            next.add(&mut chance);
        }
        next
    }

    /// Adds or replaces a file.
    pub fn file(mut self, path: &str, bytes: &[u8], mode: u32) -> Self {
        self.put(path, bytes.to_vec(), mode);
        self
    }

    /// Adds or replaces a link.
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.0.insert(path.to_owned(), Entry::Link { target: target.to_owned() });
        self
    }

    /// Removes a path.
    pub fn without(mut self, path: &str) -> Self {
        self.0.remove(path).unwrap();
        self
    }

    /// Renames a file.
    pub fn renamed(mut self, path: &str, to: &str) -> Self {
        let entry = self.0.remove(path).unwrap();
        self.0.insert(to.to_owned(), entry);
        self
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>, mode: u32) {
        self.0.insert(path.to_owned(), Entry::File { bytes, mode });
    }

    fn add(&mut self, chance: &mut Chance) {
        let mut path = "data".to_owned();
        for _ in 0..chance.below(4) {
            path.push_str(&format!("/folder {}", chance.below(4)));
        }
        path.push_str(&format!("/{:08x}.bin", chance.next() as u32));
        let size = [0, 1, 100, 4096, 20_000, MAX_FILE_BYTES][chance.below(6) as usize];
        let bytes = if chance.below(2) == 0 { chance.noise(size) } else { chance.program(size) };
        let mode = if chance.below(4) == 0 { 0o755 } else { 0o644 };
        self.put(&path, bytes, mode);
    }

    /// Makes the folder `dir` hold exactly this tree.
    pub fn write(&self, dir: &Path) {
        let _ = fs::remove_dir_all(dir);
        self.write_into(dir);
    }

    /// Writes the tree into a folder, over the files in it.
    pub fn write_into(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        for (path, entry) in &self.0 {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match entry {
                Entry::File { bytes, mode } => {
                    fs::write(&path, bytes).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                }
                Entry::Link { target } => std::os::unix::fs::symlink(target, &path).unwrap(),
                Entry::EmptyFolder => fs::create_dir(&path).unwrap(),
            }
        }
    }

    /// Reads a component's folder without the updater's own files. An absent folder gives an empty
    /// tree.
    pub fn read(dir: &Path) -> Self {
        let mut tree = Self::default();
        if !dir.exists() {
            return tree;
        }
        let walk = walkdir::WalkDir::new(dir).min_depth(1).into_iter();
        for entry in
            walk.filter_entry(|entry| entry.depth() > 1 || !UPDATERS.iter().any(|name| entry.file_name() == *name))
        {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            let found = if entry.file_type().is_symlink() {
                Entry::Link { target: fs::read_link(path).unwrap().to_str().unwrap().to_owned() }
            } else if entry.file_type().is_file() {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                Entry::File { bytes: fs::read(path).unwrap(), mode }
            } else if fs::read_dir(path).unwrap().next().is_none() {
                Entry::EmptyFolder
            } else {
                continue;
            };
            tree.0.insert(name, found);
        }
        tree
    }

    /// Expects `found` to be the same, and prints the differences.
    #[track_caller]
    pub fn assert_is(&self, found: &Tree) {
        let differences = self.differences(found);
        assert!(differences.is_empty(), "{differences}");
    }

    /// Lists what is different in `found`, one path per line.
    pub fn differences(&self, found: &Tree) -> String {
        let mut text = String::new();
        for (path, wanted) in &self.0 {
            match found.0.get(path) {
                Some(found) if found == wanted => {}
                Some(found) => text.push_str(&format!("{path}: {found:?}, not {wanted:?}\n")),
                None => text.push_str(&format!("{path}: nothing, not {wanted:?}\n")),
            }
        }
        for (path, extra) in found.0.iter().filter(|(path, _)| !self.0.contains_key(*path)) {
            text.push_str(&format!("{path}: {extra:?}, not nothing\n"));
        }
        text
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Entry::File { bytes, mode } => {
                let start = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).into_owned();
                write!(f, "file {mode:o} of {} bytes, {start:?}", bytes.len())
            }
            Entry::Link { target } => write!(f, "link to {target}"),
            Entry::EmptyFolder => f.write_str("empty folder"),
        }
    }
}

/// Returns bytes that no compression makes smaller.
pub fn noise(seed: u64, size: u64) -> Vec<u8> {
    Chance(seed).noise(size)
}

/// Returns pseudo-random numbers below `limit`.
pub fn numbers(seed: u64, limit: u64) -> impl Iterator<Item = u64> {
    let mut chance = Chance(seed);
    std::iter::repeat_with(move || chance.below(limit))
}

/// Pseudo-random numbers, the same for the same seed (SplitMix64, Steele, Lea and Flood 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Returns bytes that no compression makes smaller.
    fn noise(&mut self, size: u64) -> Vec<u8> {
        (0..size).map(|_| self.next() as u8).collect()
    }

    /// Returns bytes that repeat themselves, as those of programs do.
    fn program(&mut self, size: u64) -> Vec<u8> {
        let words: Vec<[u8; 8]> = (0..64).map(|_| self.next().to_le_bytes()).collect();
        let mut bytes: Vec<u8> = (0..=size / 8).flat_map(|_| words[self.below(64) as usize]).collect();
        bytes.truncate(size as usize);
        bytes
    }
}
