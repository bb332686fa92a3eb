//! A path conflict: two valid paths that cannot both exist in one folder on every system.

use super::RelPath;
use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer, DecomposingNormalizerBorrowed};
use std::borrow::Cow;
use std::collections::HashMap;

const NFD: DecomposingNormalizerBorrowed<'_> = DecomposingNormalizer::new_nfd();

/// A path that conflicts with an earlier path of the same list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathConflict {
    /// The position of the path in the list, from 0.
    pub index: usize,
    /// The kind of conflict.
    pub kind: PathConflictKind,
}

/// The two ways in which paths conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathConflictKind {
    /// The paths, or folders in them, have the same name on a system that ignores case.
    SameName,
    /// One path is a folder in the other.
    FileIsFolder,
}

/// Checks that all `paths` can exist in one folder on every system.
///
/// Time and memory grow linearly with the number of segments.
///
/// # Errors
/// The first path that conflicts with an earlier one.
pub fn check_conflicts<'a>(paths: impl Iterator<Item = &'a RelPath>) -> Result<(), PathConflict> {
    // By folded name: the name as written, and whether it is a folder.
    let mut names: HashMap<Cow<'a, str>, (&'a str, bool)> = HashMap::new();
    for (index, path) in paths.enumerate() {
        let text = path.as_str();
        let all = path.folders().map(|folder| (folder, true)).chain([(text, false)]);
        for (name, is_folder) in all {
            let kind = match names.get(&fold(name)) {
                None => {
                    names.insert(fold(name), (name, is_folder));
                    continue;
                }
                Some((other, _)) if *other != name => PathConflictKind::SameName,
                Some((_, true)) if is_folder => continue,
                Some((_, other_is_folder)) if *other_is_folder != is_folder => PathConflictKind::FileIsFolder,
                Some(_) => PathConflictKind::SameName,
            };
            return Err(PathConflict { index, kind });
        }
    }
    Ok(())
}

/// Folds `text` to the form in which a system that ignores case compares names.
///
/// This is full case folding followed by NFC (Unicode 3.13, canonical caseless matching).
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        let folded = CaseMapper::new().fold_string(&NFD.normalize(text)).into_owned();
        return ComposingNormalizer::new_nfc().normalize(&folded).into_owned().into();
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return text.to_ascii_lowercase().into();
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(paths: &[&str]) -> Option<(usize, PathConflictKind)> {
        let paths: Vec<_> = paths.iter().map(|path| RelPath::new(path).unwrap()).collect();
        check_conflicts(paths.iter()).err().map(|conflict| (conflict.index, conflict.kind))
    }

    #[test]
    fn names_that_fold_together_conflict() {
        use PathConflictKind::*;
        assert_eq!(conflict(&["a/b", "a/c", "b"]), None);
        assert_eq!(conflict(&["a", "a"]), Some((1, SameName)));
        assert_eq!(conflict(&["a", "b", "A"]), Some((2, SameName)));
        assert_eq!(conflict(&["Dir/a", "dir/b"]), Some((1, SameName)));
        assert_eq!(conflict(&["straße", "STRASSE"]), Some((1, SameName)));
        assert_eq!(conflict(&["Ä", "ä"]), Some((1, SameName)));
        assert_eq!(conflict(&["a", "a/b"]), Some((1, FileIsFolder)));
        assert_eq!(conflict(&["a/b", "a"]), Some((1, FileIsFolder)));
        assert_eq!(conflict(&["x/b", "X"]), Some((1, SameName)));
    }
}
