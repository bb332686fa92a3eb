//! A relative path as manifests write it: portable, and safe to join to a folder on every system.
//!
//! The grammar is the same on every system, for `manifest-tool`, the client and the helper. It
//! refuses everything that Windows or macOS would read as another file, a device or a parent
//! folder.

mod conflict;
mod defect;

pub(crate) use conflict::fold;
pub use conflict::{PathConflict, PathConflictKind, check_conflicts};
pub use defect::PathDefect;

use icu_normalizer::{ComposingNormalizer, ComposingNormalizerBorrowed};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::fmt;
use std::path::{Path, PathBuf};

const NFC: ComposingNormalizerBorrowed<'_> = ComposingNormalizer::new_nfc();

/// The longest path, in bytes of UTF-8.
pub const MAX_PATH_BYTES: usize = 240;
/// The largest number of segments, including the file's name.
pub const MAX_PATH_SEGMENTS: usize = 16;
/// The name of the signed manifest in a component's folder. No [`RelPath`] has this name.
pub const MANIFEST_NAME: &str = "manifest.xml";
/// The name of the state folder. No [`RelPath`] leads into it.
pub const STATE_DIR_NAME: &str = ".patcher";

/// The characters that Windows gives another meaning.
const RESERVED: [char; 8] = ['\\', '<', '>', ':', '"', '|', '?', '*'];

/// The number of names that a client tries for a saved file: `.saved`, `.saved-2` to `.saved-99`.
const MAX_SAVED_NAMES: u32 = 99;

/// The path of a file inside a component, with `/` between its segments.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Box<str>);

impl RelPath {
    /// Checks `text` against every path rule of format 1.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    #[doc(hidden)]
    pub fn new(text: &str) -> Result<Self, PathDefect> {
        if text.is_empty() {
            return Err(PathDefect::Empty);
        }
        if text.len() > MAX_PATH_BYTES {
            return Err(PathDefect::TooLong);
        }
        if text.starts_with('/') {
            return Err(PathDefect::Absolute);
        }
        text.chars().try_for_each(check_character)?;
        if !text.is_ascii() && !NFC.is_normalized(text) {
            return Err(PathDefect::NotNormalized);
        }
        if text.split('/').count() > MAX_PATH_SEGMENTS {
            return Err(PathDefect::TooDeep);
        }
        text.split('/').try_for_each(check_segment)?;
        let folded = fold(text);
        let first = folded.split('/').next();
        if folded == MANIFEST_NAME || first == Some(STATE_DIR_NAME) {
            return Err(PathDefect::Updater);
        }
        Ok(Self(text.into()))
    }

    /// Reads a path that was a `RelPath` when this program wrote it down.
    ///
    /// Every rule that keeps a path inside its component and off Windows devices is checked again.
    /// The rules on invisible characters and normal forms are not: their tables are a tenth of the
    /// helper, and they keep no path from anywhere.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub(crate) fn from_record(text: &str) -> Result<Self, PathDefect> {
        if text.is_empty() {
            return Err(PathDefect::Empty);
        }
        if text.starts_with('/') {
            return Err(PathDefect::Absolute);
        }
        for character in text.chars() {
            if RESERVED.contains(&character) {
                return Err(PathDefect::Reserved);
            }
            if character.is_control() {
                return Err(PathDefect::Control);
            }
        }
        text.split('/').try_for_each(check_segment)?;
        let first = text.split('/').next().unwrap_or_default();
        if text.eq_ignore_ascii_case(MANIFEST_NAME) || first.eq_ignore_ascii_case(STATE_DIR_NAME) {
            return Err(PathDefect::Updater);
        }
        Ok(Self(text.into()))
    }

    /// Returns the path as the manifest writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the names from the component's folder down. The last one is the file's.
    #[doc(hidden)]
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns the folder that holds the file, or `None` for the component's own folder.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// Returns all folders between the component's folder and the file, the outermost first.
    #[doc(hidden)]
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// Returns the names under which a client may save a user's file that is at this path.
    ///
    /// The preferred name comes first: `NAME.saved`, then `NAME.saved-2` and so on.
    #[doc(hidden)]
    pub fn saved_names(&self) -> impl Iterator<Item = RelPath> {
        let endings = (1..=MAX_SAVED_NAMES)
            .map(|number| if number == 1 { ".saved".to_owned() } else { format!(".saved-{number}") });
        endings.filter_map(move |ending| RelPath::new(&format!("{self}{ending}")).ok())
    }

    /// Returns the path below `dir`, with the system's separators.
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

/// Reports whether Windows opens a device under `name`, in any case and with any extension.
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
    if RESERVED.contains(&character) {
        return Err(PathDefect::Reserved);
    }
    if character.is_ascii() && !character.is_ascii_control() {
        return Ok(());
    }
    match CodePointMapData::<GeneralCategory>::new().get(character) {
        GeneralCategory::Control | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator => {
            Err(PathDefect::Control)
        }
        // Bidi controls and most zero-width characters. Fillers and variation selectors are
        // default-ignorable instead.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_path_cannot_leave_its_component() {
        for path in
            ["", "/a", "../a", "a/../b", "a//b", ".", "a\\b", "c:a", "a\nb", ".PATCHER/x", "Manifest.xml", "nul"]
        {
            assert!(RelPath::from_record(path).is_err(), "{path:?}");
        }
        assert_eq!(RelPath::from_record("größe/a.saved").unwrap().as_str(), "größe/a.saved");
    }

    #[test]
    fn ordinary_paths_are_accepted() {
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
}
