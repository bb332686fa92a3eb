//! The appearance: how desktops, menus and installers show a component.

use crate::values::plain_text::escaped;
use crate::values::rel_path::RelPath;
use std::fmt;
use std::str::FromStr;

/// The most characters of a [`DisplayName`].
const MAX_DISPLAY_NAME_CHARS: usize = 100;

/// The names and the icon under which desktops show a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appearance {
    /// The name of the program.
    pub title: Option<DisplayName>,
    /// The name of the person or company that publishes it.
    pub publisher: Option<DisplayName>,
    /// The icon, one of the listed files.
    pub icon: Option<RelPath>,
}

/// A name for people: one line of 1 to 100 characters that every program shows as it is.
///
/// It has no control or bidirectional characters, and no white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(Box<str>);

impl DisplayName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of a file or folder that shows this name.
    ///
    /// Characters that no file name on Windows has are `-`, and so is `%`: Windows puts variables
    /// in its place when it reads a shortcut. Returns `None` where even this makes no name that all
    /// systems accept.
    pub fn file_name(&self) -> Option<String> {
        let is_reserved = |c: char| matches!(c, '\\' | '/' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%');
        let name: String = self.0.chars().map(|c| if is_reserved(c) { '-' } else { c }).collect();
        RelPath::new(&name).is_ok().then_some(name)
    }
}

/// The error for a text that is not a [`DisplayName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one line of 1 to 100 characters without control characters and without spaces at its ends")]
pub struct NotADisplayName;

impl FromStr for DisplayName {
    type Err = NotADisplayName;

    fn from_str(text: &str) -> Result<Self, NotADisplayName> {
        let has_good_length = (1..=MAX_DISPLAY_NAME_CHARS).contains(&text.chars().count());
        let is_one_line = escaped(text) == text && !text.contains(['\n', '\t']);
        if has_good_length && is_one_line && text.trim() == text { Ok(Self(text.into())) } else { Err(NotADisplayName) }
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_file_can_have_makes_no_file_name() {
        let file_name = |text: &str| text.parse::<DisplayName>().unwrap().file_name();
        assert_eq!(file_name("R&D: \"1/2\" é").as_deref(), Some("R&D- -1-2- é"));
        assert_eq!(file_name("%PATH% 100%").as_deref(), Some("-PATH- 100-"));
        assert_eq!(file_name("..\\x").as_deref(), Some("..-x"));
        for text in ["nul", "../..", "..", "a.", "manifest.xml", ".patcher"] {
            assert_eq!(file_name(text), None, "{text}");
        }
    }
}
