//! Release notes: texts for people about a release, in the languages of the publisher.

use super::Meta;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// The release notes in one language: a page, lines of text, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notes {
    /// The language.
    pub language: Language,
    /// A page to read.
    pub href: Option<Url>,
    /// Lines of plain text without control characters, so that a terminal may show them.
    pub lines: Vec<String>,
}

/// A language: `[a-z]{2,3}(-[A-Za-z0-9]{2,8})*` in at most 35 bytes, a part of BCP 47 (RFC
/// 5646, which asks for 35 in 4.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language(Box<str>);

impl Language {
    /// Returns the language as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the language without script and region: `pt` of `pt-BR`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or(&self.0)
    }

    /// Returns `true` if it is `tag`, ignoring case (RFC 5646, 2.1.1).
    fn is(&self, tag: &str) -> bool {
        self.0.eq_ignore_ascii_case(tag)
    }
}

/// The error for a text that is not a [`Language`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a language as in en, pt-BR or zh-Hant-TW")]
pub struct NotALanguage;

impl FromStr for Language {
    type Err = NotALanguage;

    fn from_str(text: &str) -> Result<Self, NotALanguage> {
        let (primary, rest) = text.split_once('-').map_or((text, None), |(primary, rest)| (primary, Some(rest)));
        let is_primary = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_subtag =
            |tag: &str| (2..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_rest = rest.is_none_or(|rest| rest.split('-').all(is_subtag));
        if is_primary && is_rest && text.len() <= 35 { Ok(Self(text.into())) } else { Err(NotALanguage) }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Meta {
    /// Returns the notes for a user who prefers these languages, the best one first.
    ///
    /// For each language it looks for notes in this language, then in a wider one (`zh-Hant` for
    /// `zh-Hant-TW`; RFC 4647, 3.4), then in a related one (`pt-BR` for `pt-PT`). If no language
    /// has notes, it takes the English ones, or the first ones. Returns `None` if the release has
    /// no notes.
    pub fn notes_for(&self, preferred: &[Language]) -> Option<&Notes> {
        let chosen = preferred.iter().find_map(|language| self.notes_in(language.as_str()));
        chosen.or_else(|| self.notes_in("en")).or(self.notes.first())
    }

    fn notes_in(&self, wanted: &str) -> Option<&Notes> {
        let mut range = wanted;
        loop {
            let found = self.notes.iter().find(|notes| notes.language.is(range));
            match (found, range.rsplit_once('-')) {
                (Some(_), _) => return found,
                (None, Some((wider, _))) => range = wider,
                // The rest is the primary language.
                (None, None) => return self.notes.iter().find(|notes| notes.language.primary() == range),
            }
        }
    }

    /// Returns `true` if there are notes in this language already.
    pub(super) fn has_notes_in(&self, language: &Language) -> bool {
        self.notes.iter().any(|notes| notes.language.is(language.as_str()))
    }
}
