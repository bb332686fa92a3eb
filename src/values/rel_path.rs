//! Paths as manifests write them: relative, portable, and harmless on every system by their type alone.
//!
//! The grammar is one for the publisher's tool, the client and the helper, on every system: what Linux would take but
//! Windows or macOS would read as another file, a device or a folder above is refused everywhere.

use icu_casemap::CaseMapper;
use icu_normalizer::{
    ComposingNormalizer, ComposingNormalizerBorrowed, DecomposingNormalizer, DecomposingNormalizerBorrowed,
};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

const NFC: ComposingNormalizerBorrowed<'_> = ComposingNormalizer::new_nfc();
const NFD: DecomposingNormalizerBorrowed<'_> = DecomposingNormalizer::new_nfd();

/// The longest path, in bytes of UTF-8.
pub const MAX_BYTES: usize = 240;
/// The most segments, the file's name included.
pub const MAX_SEGMENTS: usize = 16;
/// The signed manifest's name in a component's folder; no path can be it.
pub const MANIFEST: &str = "manifest.xml";
/// The state folder's name; no path leads into it.
pub const STATE: &str = ".patcher";

/// A file's path inside a component: `/` between segments, and nothing that any system reads as something else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Box<str>);

/// The rule that a path breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PathDefect {
    /// No bytes.
    #[error("it is empty")]
    Empty,
    /// Over [`MAX_BYTES`].
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLong,
    /// Over [`MAX_SEGMENTS`].
    #[error("it has more than {MAX_SEGMENTS} segments")]
    TooDeep,
    /// A slash at the start.
    #[error("it is absolute")]
    Absolute,
    /// Two slashes in a row, or one at the end.
    #[error("it has an empty segment")]
    EmptySegment,
    /// A segment `.` or `..`.
    #[error("it has a segment `.` or `..`")]
    Dots,
    /// One of ``\ < > : " | ? *``, which Windows gives a meaning.
    #[error("it has one of \\ < > : \" | ? *")]
    Reserved,
    /// A control character, a line or paragraph separator.
    #[error("it has a control character")]
    Control,
    /// A character that shows nothing or turns the direction of text: two paths would look like one.
    #[error("it has an invisible character or one that changes the direction of text")]
    Invisible,
    /// A character that Unicode has not assigned, or leaves to private use: its case and form may still change.
    #[error("it has an unassigned or private character")]
    Unassigned,
    /// Not in Unicode's normalization form C.
    #[error("it is not in Unicode normalization form C")]
    NotNormalized,
    /// A segment that starts with a space.
    #[error("a segment starts with a space")]
    LeadingSpace,
    /// A segment that ends with a dot or a space, which Windows drops.
    #[error("a segment ends with a dot or a space")]
    TrailingDotOrSpace,
    /// A segment that is a DOS device, with or without an extension.
    #[error("a segment is the name of a DOS device")]
    Device,
    /// `~` before a digit, as in the short names that Windows makes.
    #[error("it has a ~ before a digit, as in the short names of Windows")]
    ShortName,
    /// The manifest itself or the updater's own folder.
    #[error("it is reserved for the updater")]
    Updater,
}

impl PathDefect {
    pub(crate) fn code(self) -> &'static str {
        match self {
            PathDefect::Empty => "path-empty",
            PathDefect::TooLong => "path-too-long",
            PathDefect::TooDeep => "path-too-deep",
            PathDefect::Absolute => "path-absolute",
            PathDefect::EmptySegment => "path-empty-segment",
            PathDefect::Dots => "path-dots",
            PathDefect::Reserved => "path-reserved",
            PathDefect::Control => "path-control",
            PathDefect::Invisible => "path-invisible",
            PathDefect::Unassigned => "path-unassigned",
            PathDefect::NotNormalized => "path-not-normalized",
            PathDefect::LeadingSpace => "path-leading-space",
            PathDefect::TrailingDotOrSpace => "path-trailing-dot-or-space",
            PathDefect::Device => "path-device",
            PathDefect::ShortName => "path-short-name",
            PathDefect::Updater => "path-updater",
        }
    }
}

impl RelPath {
    /// Takes `text` if it keeps every rule of format 1.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn new(text: &str) -> Result<Self, PathDefect> {
        if text.is_empty() {
            return Err(PathDefect::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(PathDefect::TooLong);
        }
        if text.starts_with('/') {
            return Err(PathDefect::Absolute);
        }
        text.chars().try_for_each(check_character)?;
        if !text.is_ascii() && !NFC.is_normalized(text) {
            return Err(PathDefect::NotNormalized);
        }
        if text.split('/').count() > MAX_SEGMENTS {
            return Err(PathDefect::TooDeep);
        }
        text.split('/').try_for_each(check_segment)?;
        let folded = fold(text);
        let first = folded.split('/').next();
        if folded == MANIFEST || first == Some(STATE) {
            return Err(PathDefect::Updater);
        }
        Ok(Self(text.into()))
    }

    /// The path as the manifest writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names from the component's folder down; the last is the file's.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The folder that it lies in, if that is not the component's own.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// Every folder above it below the component's own, the outermost first.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// The names under which a file of the user's that is in the way is kept beside this path, in the order of preference.
    pub fn saved_names(&self) -> impl Iterator<Item = RelPath> {
        let endings = (1..100).map(|number| if number == 1 { ".saved".to_owned() } else { format!(".saved-{number}") });
        endings.filter_map(move |ending| RelPath::new(&format!("{self}{ending}")).ok())
    }

    /// The path below `dir`, for messages and for the system.
    pub fn under(&self, dir: &Path) -> PathBuf {
        let mut path = dir.to_owned();
        path.extend(self.segments());
        path
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Whether `name` is one that Windows gives to a device, whatever its case or extension.
pub(crate) fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ').to_ascii_lowercase();
    match stem.as_str() {
        "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" => true,
        _ => ["com", "lpt"].iter().any(|device| {
            stem.strip_prefix(device).is_some_and(|number| {
                let mut number = number.chars();
                matches!((number.next(), number.next()), (Some('1'..='9' | '¹' | '²' | '³'), None))
            })
        }),
    }
}

fn check_character(character: char) -> Result<(), PathDefect> {
    if matches!(character, '\\' | '<' | '>' | ':' | '"' | '|' | '?' | '*') {
        return Err(PathDefect::Reserved);
    }
    if character.is_ascii() && !character.is_ascii_control() {
        return Ok(());
    }
    match CodePointMapData::<GeneralCategory>::new().get(character) {
        GeneralCategory::Control | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator => {
            Err(PathDefect::Control)
        }
        // Bidi controls and most zero-width characters; the rest, fillers and variation selectors, is ignorable.
        GeneralCategory::Format => Err(PathDefect::Invisible),
        _ if CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character) => Err(PathDefect::Invisible),
        GeneralCategory::Unassigned | GeneralCategory::PrivateUse => Err(PathDefect::Unassigned),
        _ => Ok(()),
    }
}

fn check_segment(segment: &str) -> Result<(), PathDefect> {
    if segment.is_empty() {
        return Err(PathDefect::EmptySegment);
    }
    if segment == "." || segment == ".." {
        return Err(PathDefect::Dots);
    }
    if segment.starts_with(' ') {
        return Err(PathDefect::LeadingSpace);
    }
    if segment.ends_with(['.', ' ']) {
        return Err(PathDefect::TrailingDotOrSpace);
    }
    if is_device(segment) {
        return Err(PathDefect::Device);
    }
    let mut rest = segment.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'~') {
        rest = &rest[at + 1..];
        if rest.first().is_some_and(u8::is_ascii_digit) {
            return Err(PathDefect::ShortName);
        }
    }
    Ok(())
}

/// What `text` is to a system that ignores case: full case folding, then NFC (Unicode 3.13, canonical caseless matching).
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        let folded = CaseMapper::new().fold_string(&NFD.normalize(text)).into_owned();
        return NFC.normalize(&folded).into_owned().into();
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return text.to_ascii_lowercase().into();
    }
    text.into()
}

/// Two paths that cannot be in one manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathConflict {
    /// They, or folders of theirs, differ but are one name on a system that ignores case.
    SameName,
    /// One is the other's folder.
    FileIsFolder,
}

/// Finds out whether all `paths` can lie in one folder on every system.
///
/// # Errors
/// The index of the first path that cannot stand beside the ones before it. Time and memory grow linearly.
pub fn check_together<'a>(paths: impl Iterator<Item = &'a RelPath>) -> Result<(), (usize, PathConflict)> {
    let mut names: HashMap<Cow<'a, str>, (&'a str, bool)> = HashMap::new();
    for (index, path) in paths.enumerate() {
        let text = path.as_str();
        let all = path.folders().map(|folder| (folder, true)).chain([(text, false)]);
        for (name, is_folder) in all {
            match names.get(&fold(name)) {
                None => {
                    names.insert(fold(name), (name, is_folder));
                }
                Some((other, _)) if *other != name => return Err((index, PathConflict::SameName)),
                Some((_, true)) if is_folder => {}
                Some((_, other_is_folder)) if *other_is_folder != is_folder => {
                    return Err((index, PathConflict::FileIsFolder));
                }
                Some(_) => return Err((index, PathConflict::SameName)),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_are_taken() {
        for text in [
            "bin/app",
            "a",
            "Ünïcode/naïve.txt",
            "lib/libz.so.1",
            "a b/c",
            ".hidden",
            "sub/manifest.xml",
            "com0.txt",
            "company/x",
            "x~",
            "日本/語",
            "a/.patcher-notes",
            "~backup",
            "aux2",
        ] {
            assert_eq!(RelPath::new(text).as_ref().map(RelPath::as_str), Ok(text));
        }
        RelPath::new(&"a".repeat(240)).unwrap();
        RelPath::new(&vec!["a"; 16].join("/")).unwrap();
    }

    #[test]
    fn each_rule_has_a_path_that_breaks_it() {
        use PathDefect::*;
        let long = "a".repeat(241);
        let deep = vec!["a"; 17].join("/");
        for (text, defect) in [
            ("", Empty),
            (&long, TooLong),
            (&deep, TooDeep),
            ("/etc/passwd", Absolute),
            ("//server/share", Absolute),
            ("a//b", EmptySegment),
            ("a/", EmptySegment),
            (".", Dots),
            ("..", Dots),
            ("a/../b", Dots),
            ("a/.", Dots),
            ("a\\b", Reserved),
            ("C:", Reserved),
            ("c:/x", Reserved),
            ("a:stream", Reserved),
            ("a*", Reserved),
            ("a?", Reserved),
            ("<a", Reserved),
            ("a>", Reserved),
            ("a|b", Reserved),
            ("\"a", Reserved),
            ("a\u{0}b", Control),
            ("a\nb", Control),
            ("a\u{7f}", Control),
            ("a\u{85}", Control),
            ("a\u{2028}b", Control),
            ("a\u{202e}txt.exe", Invisible),
            ("a\u{200b}b", Invisible),
            ("\u{feff}a", Invisible),
            ("a\u{fe0f}", Invisible),
            ("a\u{378}", Unassigned),
            ("a\u{e000}", Unassigned),
            ("a\u{10ffff}", Unassigned),
            ("cafe\u{301}", NotNormalized),
            (" a", LeadingSpace),
            ("b/ a", LeadingSpace),
            ("a.", TrailingDotOrSpace),
            ("a /b", TrailingDotOrSpace),
            ("...", TrailingDotOrSpace),
            ("CON", Device),
            ("a/nul.txt", Device),
            ("aux .c", Device),
            ("LPT9", Device),
            ("com¹", Device),
            ("conin$", Device),
            ("CONOUT$.log", Device),
            ("progra~1", ShortName),
            ("a~~2", ShortName),
            ("manifest.xml", Updater),
            ("Manifest.XML", Updater),
            (".patcher/x", Updater),
            (".PATCHER", Updater),
            ("mani\u{17f}.xml/nul", Device),
        ] {
            assert_eq!(RelPath::new(text), Err(defect), "{text:?}");
        }
        // U+017F, the long s, folds to s; U+212A, the Kelvin sign, is not NFC.
        assert_eq!(RelPath::new("manife\u{17f}t.xml"), Err(Updater));
    }

    fn together(paths: &[&str]) -> Result<(), (usize, PathConflict)> {
        let paths: Vec<_> = paths.iter().map(|path| RelPath::new(path).unwrap()).collect();
        check_together(paths.iter())
    }

    #[test]
    fn names_that_fold_together_conflict() {
        assert_eq!(together(&["a/b", "a/c", "b"]), Ok(()));
        assert_eq!(together(&["a", "a"]), Err((1, PathConflict::SameName)));
        assert_eq!(together(&["a", "b", "A"]), Err((2, PathConflict::SameName)));
        assert_eq!(together(&["Dir/a", "dir/b"]), Err((1, PathConflict::SameName)));
        assert_eq!(together(&["straße", "STRASSE"]), Err((1, PathConflict::SameName)));
        assert_eq!(together(&["Ä", "ä"]), Err((1, PathConflict::SameName)));
        assert_eq!(together(&["a", "a/b"]), Err((1, PathConflict::FileIsFolder)));
        assert_eq!(together(&["a/b", "a"]), Err((1, PathConflict::FileIsFolder)));
        assert_eq!(together(&["x/b", "X"]), Err((1, PathConflict::SameName)));
    }
}
