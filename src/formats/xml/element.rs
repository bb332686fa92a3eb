//! An element: a start tag's name and attributes, taken one by one with their types.

use super::escape::unescape;
use super::{SPACES, XmlError};
use crate::error::Defect;
use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

/// The largest number of attributes. No format uses more than 16.
const MAX_ATTRIBUTES: usize = 32;

/// An element's name, and the attributes that the caller has not taken yet.
#[derive(Debug)]
pub struct XmlElement<'a> {
    /// The name. It has no prefix: the reader refuses a colon.
    pub name: &'a str,
    /// The line of its start tag, from 1.
    pub line: u64,
    attributes: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> XmlElement<'a> {
    /// Takes an attribute and returns its value, or `None` when it is absent.
    pub fn optional(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.attributes.iter().position(|(given, _)| *given == name)?;
        Some(self.attributes.swap_remove(at).1)
    }

    /// Takes an attribute that must be present.
    ///
    /// # Errors
    /// [`Defect::AttributeMissing`].
    pub fn required(&mut self, name: &str) -> Result<Cow<'a, str>, XmlError> {
        self.optional(name)
            .ok_or_else(|| self.error(Defect::AttributeMissing, format!("<{}> has no `{name}`", self.name)))
    }

    /// Takes an attribute that must be present, and parses it.
    ///
    /// # Errors
    /// [`Defect::AttributeMissing`], or `defect` for a value that is not a `T`.
    pub fn value<T: FromStr<Err: Display>>(&mut self, name: &str, defect: Defect) -> Result<T, XmlError> {
        let text = self.required(name)?;
        text.parse().map_err(|error| self.error(defect, format!("{name} `{text}`: {error}")))
    }

    /// Takes an attribute and parses it, or returns `None` when it is absent.
    ///
    /// # Errors
    /// `defect` for a value that is not a `T`.
    pub fn optional_value<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        defect: Defect,
    ) -> Result<Option<T>, XmlError> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| self.error(defect, format!("{name} `{text}`: {error}")))
    }

    /// Takes a number that must be present: decimal, without sign, space or leading zero.
    ///
    /// # Errors
    /// [`Defect::AttributeMissing`], [`Defect::Number`].
    pub fn number(&mut self, name: &str) -> Result<u64, XmlError> {
        let text = self.required(name)?;
        self.parse_number(name, &text)
    }

    /// Takes a number as [`number`](Self::number) does, or returns `None` when it is absent.
    ///
    /// # Errors
    /// [`Defect::Number`].
    pub fn optional_number(&mut self, name: &str) -> Result<Option<u64>, XmlError> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        self.parse_number(name, &text).map(Some)
    }

    fn parse_number(&self, name: &str, text: &str) -> Result<u64, XmlError> {
        let canonical = text == "0" || text.starts_with(|c: char| matches!(c, '1'..='9'));
        text.parse().ok().filter(|_| canonical).ok_or_else(|| {
            self.error(
                Defect::Number,
                format!("{name} `{text}` is not a decimal number below 2^64 without leading zero"),
            )
        })
    }

    /// Takes `true` or `false`; an absent attribute means `false`.
    ///
    /// # Errors
    /// [`Defect::Boolean`].
    pub fn boolean(&mut self, name: &str) -> Result<bool, XmlError> {
        match self.optional(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(self.error(Defect::Boolean, format!("{name} `{other}` is neither true nor false"))),
        }
    }

    /// Checks that the caller has taken every attribute.
    ///
    /// # Errors
    /// [`Defect::Attribute`].
    pub fn finish(self) -> Result<(), XmlError> {
        match self.attributes.first() {
            None => Ok(()),
            Some((name, _)) => {
                Err(self.error(Defect::Attribute, format!("<{}> has an unknown attribute `{name}`", self.name)))
            }
        }
    }

    /// Returns the attributes that the caller has not taken, sorted by name.
    pub fn rest(self) -> Vec<(String, String)> {
        let mut rest: Vec<_> =
            self.attributes.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
        rest.sort_unstable();
        rest
    }

    /// Makes an error on the line of this element.
    pub fn error(&self, defect: Defect, detail: impl Into<String>) -> XmlError {
        XmlError { defect, line: self.line, detail: detail.into() }
    }

    /// Makes the error of an element that the format does not allow here.
    pub fn unknown(&self) -> XmlError {
        self.error(Defect::Element, format!("<{}> is not allowed here", self.name))
    }
}

/// Parses the text between `<` and `>` or `/>`: a name and attributes.
pub(super) fn parse_tag(content: &str, line: u64) -> Result<XmlElement<'_>, (Defect, String)> {
    let name_end = content.find(|c: char| !is_name_character(c)).unwrap_or(content.len());
    let (name, mut rest) = content.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| !c.is_ascii_lowercase()) {
        return Err((Defect::Syntax, format!("`<{content}` has no element name of lower-case letters")));
    }
    let mut attributes: Vec<(&str, Cow<'_, str>)> = Vec::new();
    loop {
        let trimmed = rest.trim_start_matches(SPACES);
        if trimmed.is_empty() {
            return Ok(XmlElement { name, line, attributes });
        }
        if trimmed.len() == rest.len() {
            return Err((Defect::Syntax, format!("<{name}> lacks a space before `{}`", start_of(trimmed))));
        }
        let (attribute, value, after) = parse_attribute(name, trimmed)?;
        if attributes.iter().any(|(given, _)| *given == attribute) {
            return Err((Defect::Attribute, format!("<{name}> has the attribute `{attribute}` twice")));
        }
        // The limit bounds the search for a repeated attribute above.
        if attributes.len() == MAX_ATTRIBUTES {
            return Err((Defect::Attribute, format!("<{name}> has more than {MAX_ATTRIBUTES} attributes")));
        }
        attributes.push((attribute, value));
        rest = after;
    }
}

fn parse_attribute<'a>(element: &str, text: &'a str) -> Result<(&'a str, Cow<'a, str>, &'a str), (Defect, String)> {
    let broken = |what: &str| (Defect::Syntax, format!("<{element}> has {what} at `{}`", start_of(text)));
    let name_end = text.find(|c: char| !is_name_character(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| !c.is_ascii_lowercase()) {
        return Err(broken("no attribute name of lower-case letters"));
    }
    let rest = rest.trim_start_matches(SPACES).strip_prefix('=').ok_or_else(|| broken("no `=`"))?;
    let rest = rest.trim_start_matches(SPACES);
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or_else(|| broken("no quoted value"))?;
    let (raw, after) = rest[1..].split_once(quote).ok_or_else(|| broken("no end of the value"))?;
    if raw.contains(['<', '\n', '\t']) {
        return Err(broken("a `<`, a tab or a line break in the value"));
    }
    Ok((name, unescape(raw).ok_or_else(|| broken("a reference other than &amp; &lt; &gt; &quot; &apos;"))?, after))
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn start_of(text: &str) -> String {
    text.chars().take(20).collect()
}
