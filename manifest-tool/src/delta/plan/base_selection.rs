//! Base selection: chooses the file of an old release from which a delta to a new file starts.
//!
//! In this order of preference:
//!
//! 1. the file at the same path
//! 2. the only file whose name differs just in a hash, or just in numbers
//! 3. the most similar one of the files that the new release drops
//! 4. its sibling: a file in the same folder with the same extension, such as another translation,
//!    whose words then serve as the packer's dictionary

use super::archives::sketch;
use crate::build::tree::TreeFile;
use crate::delta::sketch::{MIN_SHARED_HASHES, Sketch};
use crate::error::Result;
use patcher::internal::delta::MAX_DICTIONARY_BYTES;
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{File, Manifest};
use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use tempfile::NamedTempFile;

/// Limit for the number of old files that are compared with one new file.
const MAX_CANDIDATES: usize = 16;
/// A sibling is searched among this many names before and after that of the new file.
const MAX_NEIGHBOURS: usize = 64;

/// The files of one old release.
pub struct BaseCandidates<'a> {
    by_path: HashMap<&'a str, &'a File>,
    /// All files by folder and extension, sorted by path.
    siblings: HashMap<(&'a str, &'a str), Vec<&'a File>>,
    /// Files that the new release drops, by extension, sorted by size.
    dropped: BTreeMap<&'a str, Vec<&'a File>>,
    /// Files that the new release drops, by their path without hashes, and by that without numbers.
    by_pattern: [HashMap<String, Vec<&'a File>>; 2],
    sketches: HashMap<Sha256, Sketch>,
}

impl<'a> BaseCandidates<'a> {
    /// Indexes the files of `manifest`; `paths` are those of the new release.
    pub fn new(manifest: &'a Manifest, paths: &HashSet<&str>) -> Self {
        let dropped: Vec<&File> = manifest.files.iter().filter(|file| !paths.contains(file.path.as_str())).collect();
        let mut by_pattern = [HashMap::new(), HashMap::new()];
        for file in &dropped {
            for (map, pattern) in by_pattern.iter_mut().zip(patterns(file.path.as_str())) {
                map.entry(pattern).or_insert_with(Vec::new).push(*file);
            }
        }
        let mut by_ending: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
        dropped.iter().for_each(|file| by_ending.entry(ending(file.path.as_str())).or_default().push(file));
        by_ending.values_mut().for_each(|files| files.sort_by_key(|file| (file.size, file.path.clone())));
        let by_path = manifest.files.iter().map(|file| (file.path.as_str(), file)).collect();
        let mut siblings = HashMap::new();
        for file in &manifest.files {
            siblings.entry(kind(file.path.as_str())).or_insert_with(Vec::new).push(file);
        }
        siblings.values_mut().for_each(|files| files.sort_by_key(|file| &file.path));
        Self { by_path, siblings, dropped: by_ending, by_pattern, sketches: HashMap::new() }
    }

    /// Returns the file from which a delta to `new` should start.
    ///
    /// # Errors
    /// Any error of reading either file.
    pub fn best_base(
        &mut self,
        new: &TreeFile,
        path: impl Fn() -> PathBuf,
        old: impl Fn(&File) -> Result<NamedTempFile>,
    ) -> Result<Option<&'a File>> {
        if let Some(file) = self.by_path.get(new.path.as_str()) {
            return Ok(Some(file));
        }
        for (map, pattern) in self.by_pattern.iter().zip(patterns(new.path.as_str())) {
            if let Some([file]) = map.get(&pattern).map(Vec::as_slice) {
                return Ok(Some(file));
            }
        }
        Ok(self.most_similar(new, path, old)?.or_else(|| self.sibling(new)))
    }

    /// Returns the most similar one of the dropped files, or `None` if none is similar.
    fn most_similar(
        &mut self,
        new: &TreeFile,
        path: impl Fn() -> PathBuf,
        old: impl Fn(&File) -> Result<NamedTempFile>,
    ) -> Result<Option<&'a File>> {
        let Some(files) = self.dropped.get(ending(new.path.as_str())) else { return Ok(None) };
        let mut candidates: Vec<&'a File> =
            files.iter().copied().filter(|file| file.size / 4 <= new.size && new.size / 4 <= file.size).collect();
        candidates.sort_by_key(|file| (file.size.abs_diff(new.size), file.path.clone()));
        candidates.truncate(MAX_CANDIDATES);
        if candidates.is_empty() {
            return Ok(None);
        }
        let wanted = sketch(&path())?;
        let mut best = None;
        for file in candidates {
            let sketch = match self.sketches.entry(file.sha256) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(sketch(old(file)?.path())?),
            };
            let shared = sketch.shares(&wanted);
            if shared >= MIN_SHARED_HASHES && best.is_none_or(|(most, _)| shared > most) {
                best = Some((shared, file));
            }
        }
        Ok(best.map(|(_, file)| file))
    }

    /// Returns the sibling that shares the most leading words of its name, and then the nearest in
    /// size.
    ///
    /// Both files together must fit into a dictionary delta.
    fn sibling(&self, new: &TreeFile) -> Option<&'a File> {
        let name = new.path.as_str();
        let files = self.siblings.get(&kind(name))?;
        // The list is sorted, so names with a common start are adjacent.
        let at = files.partition_point(|file| file.path.as_str() < name);
        let near = &files[at.saturating_sub(MAX_NEIGHBOURS)..files.len().min(at + MAX_NEIGHBOURS)];
        let in_common = |path: &str| {
            let alike = path.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).map(|(byte, _)| byte);
            alike.enumerate().filter(|(_, byte)| !byte.is_ascii_alphanumeric()).last().map_or(0, |(at, _)| at)
        };
        let fits = |file: &&&File| file.size.saturating_add(new.size) <= MAX_DICTIONARY_BYTES;
        let distance = |file: &&&File| (Reverse(in_common(file.path.as_str())), file.size.abs_diff(new.size));
        near.iter().filter(fits).min_by_key(distance).copied()
    }
}

/// Returns the folder and the extension of a path.
fn kind(path: &str) -> (&str, &str) {
    (path.rsplit_once('/').map_or("", |(folder, _)| folder), ending(path))
}

fn ending(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, ending)| if ending.contains('/') { "" } else { ending })
}

/// Replaces long hexadecimal numbers in a path, and in a second version all numbers.
fn patterns(path: &str) -> [String; 2] {
    let mut hashes = String::new();
    let mut rest = path;
    while !rest.is_empty() {
        let length = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        if length >= 8 {
            hashes.push('*');
            rest = &rest[length..];
            continue;
        }
        let next = rest.chars().next().map_or(1, char::len_utf8);
        let step = length.max(next);
        hashes.push_str(&rest[..step]);
        rest = &rest[step..];
    }
    let mut numbers = String::new();
    for character in hashes.chars() {
        let is_digit = character.is_ascii_digit();
        if !is_digit {
            numbers.push(character);
        } else if !numbers.ends_with('#') {
            numbers.push('#');
        }
    }
    [hashes, numbers]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_numbers_in_names_are_ignored() {
        assert_eq!(patterns("static/1036.0d1f109c3d842497fd51.js")[0], "static/1036.*.js");
        assert_eq!(patterns("lib/libfoo.so.6.7.1")[1], "lib/libfoo.so.#.#.#");
        assert_eq!(patterns("decade/fed.é")[0], "decade/fed.é");
    }
}
