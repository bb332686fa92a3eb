//! The small XML of manifests and state files: elements and attributes, read strictly and written canonically.
//!
//! quick-xml finds the tokens; it is no validator, so everything that it lets through and this form excludes is refused
//! here: text, comments, CDATA, processing instructions, a DTD, character references, undeclared prefixes, missing space
//! between attributes, second roots. One element of attributes is in memory at a time.

use crate::error::Defect;
use quick_xml::events::Event as Token;
use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

/// What is wrong, and on which line of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlError {
    /// The rule that it breaks.
    pub defect: Defect,
    /// From 1.
    pub line: u64,
    /// What stands there.
    pub detail: String,
}

/// The first line of every file of this form.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// What may stand between tags and attributes.
const SPACES: [char; 3] = [' ', '\n', '\t'];

/// Reads a document tag by tag.
pub struct XmlReader<'a> {
    tokens: quick_xml::Reader<&'a [u8]>,
    text: &'a str,
    /// Where line counting has got to: byte offset, line.
    counted: (usize, u64),
    depth: usize,
    ended: bool,
    pending_close: bool,
}

/// A start tag or the end of an element; an empty element gives both.
#[derive(Debug)]
pub enum XmlTag<'a> {
    /// `<name …>`.
    Open(XmlElement<'a>),
    /// `</name>`.
    Close,
}

/// An element's name and the attributes nobody has asked for yet.
#[derive(Debug)]
pub struct XmlElement<'a> {
    /// Without prefix: a name with a colon is refused.
    pub name: &'a str,
    /// From 1.
    pub line: u64,
    attributes: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> XmlReader<'a> {
    /// Begins with the declaration, which must be exactly [`DECLARATION`].
    ///
    /// # Errors
    /// [`Defect::Encoding`] for bytes that no value may hold, [`Defect::Declaration`] for another first line.
    pub fn new(bytes: &'a [u8]) -> Result<Self, XmlError> {
        let text = check_characters(bytes)?;
        if !text.starts_with(DECLARATION) {
            let detail = format!("the first line is not {}", DECLARATION.trim_end());
            return Err(XmlError { defect: Defect::Declaration, line: 1, detail });
        }
        let mut tokens = quick_xml::Reader::from_reader(&bytes[DECLARATION.len()..]);
        let config = tokens.config_mut();
        config.check_end_names = true;
        config.expand_empty_elements = false;
        config.allow_dangling_amp = false;
        config.allow_unmatched_ends = false;
        Ok(Self { tokens, text, counted: (0, 1), depth: 0, ended: false, pending_close: false })
    }

    /// The next tag, or none after the root's end and nothing but white space.
    ///
    /// # Errors
    /// Everything that is neither a tag nor white space between tags.
    pub fn tag(&mut self) -> Result<Option<XmlTag<'a>>, XmlError> {
        if std::mem::take(&mut self.pending_close) {
            return Ok(Some(self.close()));
        }
        loop {
            let start = self.position();
            let token = self.tokens.read_event();
            let (content, empty) = match token {
                Ok(Token::Start(tag)) => (tag, false),
                Ok(Token::Empty(tag)) => (tag, true),
                Ok(Token::End(_)) => {
                    let tag = &self.text[start..self.position()];
                    if tag[2..].starts_with(|c: char| c.is_ascii_whitespace()) {
                        return Err(self.error(start, Defect::Syntax, format!("`{tag}` is no end tag")));
                    }
                    return Ok(Some(self.close()));
                }
                Ok(Token::Text(_)) if self.text[start..self.position()].trim_start_matches(SPACES).is_empty() => {
                    continue;
                }
                Ok(Token::Eof) if self.ended => return Ok(None),
                Ok(Token::Eof) => return Err(self.error(start, Defect::Syntax, "the document is cut off".into())),
                Ok(_) => {
                    let shown: String = self.text[start..].trim_start().chars().take(20).collect();
                    return Err(self.error(start, Defect::Syntax, format!("`{shown}` has no place here")));
                }
                Err(error) => return Err(self.error(start, Defect::Syntax, error.to_string())),
            };
            // Offsets into our own text rather than the token's: they live as long as the input.
            let end = self.position() - if empty { 2 } else { 1 };
            let content_start = end - content.len();
            let content = &self.text[content_start..end];
            if self.ended {
                return Err(self.error(start, Defect::Syntax, "a second root element".into()));
            }
            let line = self.line(content_start);
            let element =
                parse_tag(content, line).map_err(|(defect, detail)| self.error(content_start, defect, detail))?;
            self.depth += 1;
            self.pending_close = empty;
            return Ok(Some(XmlTag::Open(element)));
        }
    }

    /// Begins with the root element, which must be `name` of format 1; gives its line.
    ///
    /// # Errors
    /// [`Defect::ElementMissing`] for another root, [`Defect::Format`] for another format.
    pub fn root(&mut self, name: &str) -> Result<u64, XmlError> {
        let mut element = match self.tag()? {
            Some(XmlTag::Open(element)) if element.name == name => element,
            _ => {
                return Err(XmlError {
                    defect: Defect::ElementMissing,
                    line: 1,
                    detail: format!("<{name}> is missing"),
                });
            }
        };
        let format = element.required("format")?;
        if *format != *"1" {
            return Err(
                element.error(Defect::Format, format!("this program reads format 1, not `{format}`; update it"))
            );
        }
        let line = element.line;
        element.finish()?;
        Ok(line)
    }

    /// Ends the document: the root's end tag was read, and nothing follows it.
    ///
    /// # Errors
    /// Whatever follows.
    pub fn end(&mut self) -> Result<(), XmlError> {
        match self.tag()? {
            Some(XmlTag::Open(element)) => Err(element.unknown()),
            _ => Ok(()),
        }
    }

    /// Fails unless the next tag ends an element: for elements that have no children.
    ///
    /// # Errors
    /// A child element, or what [`tag`](Self::tag) refuses.
    pub fn expect_close(&mut self) -> Result<(), XmlError> {
        match self.tag()? {
            Some(XmlTag::Close) => Ok(()),
            Some(XmlTag::Open(element)) => Err(element.unknown()),
            None => Err(self.error(self.text.len(), Defect::Syntax, "the document is cut off".into())),
        }
    }

    fn close(&mut self) -> XmlTag<'a> {
        self.depth = self.depth.saturating_sub(1);
        self.ended = self.depth == 0;
        XmlTag::Close
    }

    fn position(&self) -> usize {
        DECLARATION.len() + self.tokens.buffer_position() as usize
    }

    /// The line of a byte offset; offsets only grow, so that all calls together read the input once.
    fn line(&mut self, offset: usize) -> u64 {
        let (from, line) = self.counted;
        let offset = offset.clamp(from, self.text.len());
        let breaks = self.text.as_bytes()[from..offset].iter().filter(|byte| **byte == b'\n').count();
        self.counted = (offset, line + breaks as u64);
        self.counted.1
    }

    fn error(&mut self, offset: usize, defect: Defect, detail: String) -> XmlError {
        let rest = &self.text[offset.min(self.text.len())..];
        let skipped = rest.len() - rest.trim_start().len();
        // What stands in the document must not make two lines of a message.
        XmlError { defect, line: self.line(offset + skipped), detail: detail.replace(['\n', '\t'], " ") }
    }
}

impl<'a> XmlElement<'a> {
    /// Takes an attribute that may be absent.
    pub fn optional(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.attributes.iter().position(|(given, _)| *given == name)?;
        Some(self.attributes.swap_remove(at).1)
    }

    /// Takes an attribute that must be there.
    ///
    /// # Errors
    /// [`Defect::AttributeMissing`].
    pub fn required(&mut self, name: &str) -> Result<Cow<'a, str>, XmlError> {
        self.optional(name)
            .ok_or_else(|| self.error(Defect::AttributeMissing, format!("<{}> has no `{name}`", self.name)))
    }

    /// Takes an attribute that must be there and mean a `T`.
    ///
    /// # Errors
    /// [`Defect::AttributeMissing`], or `defect` for a value that is none.
    pub fn value<T: FromStr<Err: Display>>(&mut self, name: &str, defect: Defect) -> Result<T, XmlError> {
        let text = self.required(name)?;
        text.parse().map_err(|error| self.error(defect, format!("{name} `{text}`: {error}")))
    }

    /// Takes an attribute that may be absent, else must mean a `T`.
    ///
    /// # Errors
    /// `defect` for a value that is none.
    pub fn optional_value<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        defect: Defect,
    ) -> Result<Option<T>, XmlError> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| self.error(defect, format!("{name} `{text}`: {error}")))
    }

    /// Takes a number: decimal, without sign, space or leading zero.
    ///
    /// # Errors
    /// [`Defect::AttributeMissing`], [`Defect::Number`].
    pub fn number(&mut self, name: &str) -> Result<u64, XmlError> {
        let text = self.required(name)?;
        self.parse_number(name, &text)
    }

    /// Takes such a number that may be absent.
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
            self.error(Defect::Number, format!("{name} `{text}` is not a number below 2^64 in its shortest form"))
        })
    }

    /// Takes a truth that is false when absent.
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

    /// Fails when an attribute is left that nobody asked for.
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

    /// The attributes that nobody has asked for, by name.
    pub fn rest(self) -> Vec<(String, String)> {
        let mut rest: Vec<_> =
            self.attributes.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
        rest.sort_unstable();
        rest
    }

    /// A flaw of this element.
    pub fn error(&self, defect: Defect, detail: impl Into<String>) -> XmlError {
        XmlError { defect, line: self.line, detail: detail.into() }
    }

    /// The flaw of standing where no such element may stand.
    pub fn unknown(&self) -> XmlError {
        self.error(Defect::Element, format!("<{}> has no place here", self.name))
    }
}

/// Refuses bytes that no document of this form holds, and gives the rest as text.
fn check_characters(bytes: &[u8]) -> Result<&str, XmlError> {
    let line = |offset: usize| 1 + bytes[..offset].iter().filter(|byte| **byte == b'\n').count() as u64;
    let flaw = |offset, detail: &str| XmlError { defect: Defect::Encoding, line: line(offset), detail: detail.into() };
    let text = std::str::from_utf8(bytes).map_err(|error| flaw(error.valid_up_to(), "not UTF-8"))?;
    if text.starts_with('\u{feff}') {
        return Err(flaw(0, "a byte order mark"));
    }
    if let Some(at) = bytes.iter().position(|byte| matches!(byte, 0..=8 | 11..=31 | 127)) {
        let what = if bytes[at] == b'\r' { "a carriage return" } else { "a control character" };
        return Err(flaw(at, what));
    }
    if !text.is_ascii() {
        // C1 controls and the noncharacters of every plane.
        let bad =
            |c: char| matches!(c, '\u{80}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
        if let Some((at, _)) = text.char_indices().find(|(_, c)| bad(*c)) {
            return Err(flaw(at, "a control character or a noncharacter"));
        }
    }
    Ok(text)
}

/// Splits what stands between `<` and `>` (or `/>`) into a name and attributes.
fn parse_tag(content: &str, line: u64) -> Result<XmlElement<'_>, (Defect, String)> {
    let name_end = content.find(|c: char| !is_name_character(c)).unwrap_or(content.len());
    let (name, mut rest) = content.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| !c.is_ascii_lowercase()) {
        return Err((Defect::Syntax, format!("`<{content}` has no element name that this format knows")));
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
            return Err((Defect::Attribute, format!("<{name}> has `{attribute}` twice")));
        }
        // No element of this form has more; the bound keeps the search above linear.
        if attributes.len() == 32 {
            return Err((Defect::Attribute, format!("<{name}> has too many attributes")));
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
        return Err(broken("no attribute name that this format knows"));
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

const ENTITIES: [(&str, char); 5] = [("amp;", '&'), ("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("apos;", '\'')];

fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    let Some((before, mut rest)) = raw.split_once('&') else {
        return Some(raw.into());
    };
    let mut value = before.to_owned();
    loop {
        let (name, character) = ENTITIES.iter().find(|(name, _)| rest.starts_with(name))?;
        value.push(*character);
        rest = &rest[name.len()..];
        match rest.split_once('&') {
            Some((text, next)) => {
                value.push_str(text);
                rest = next;
            }
            None => {
                value.push_str(rest);
                return Some(value.into());
            }
        }
    }
}

/// `value` as it stands between double quotes.
pub fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['&', '<', '>', '"', '\'']) {
        return value.into();
    }
    let mut escaped = String::with_capacity(value.len() + 16);
    for character in value.chars() {
        match ENTITIES.iter().find(|(_, plain)| *plain == character) {
            Some((name, _)) => escaped.extend(["&", name]),
            None => escaped.push(character),
        }
    }
    escaped.into()
}

/// Appends one attribute with a space before it.
pub fn push_attribute(text: &mut String, name: &str, value: impl std::fmt::Display) {
    text.extend([" ", name, "=\"", &escape(&value.to_string()), "\""]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all of a document whose elements may have any attributes.
    fn read(document: &str) -> Result<String, XmlError> {
        let bytes = format!("{DECLARATION}{document}");
        let mut reader = XmlReader::new(bytes.as_bytes())?;
        let mut seen = String::new();
        while let Some(tag) = reader.tag()? {
            match tag {
                XmlTag::Close => seen.push(')'),
                XmlTag::Open(element) => {
                    seen.push_str(element.name);
                    element.attributes.iter().for_each(|(name, value)| seen.push_str(&format!(" {name}={value}")));
                    seen.push('(');
                }
            }
        }
        Ok(seen)
    }

    #[test]
    fn every_way_to_write_the_same_is_taken() {
        let seen = "a(b x=1 y=&<>\"'())";
        for document in [
            "<a><b x=\"1\" y=\"&amp;&lt;&gt;&quot;&apos;\"/></a>",
            "<a>\n  <b\n\tx = '1'\n y='&amp;&lt;&gt;&quot;&apos;'></b >\n</a>\n\n",
            "<a ><b x='1'  y='&amp;&lt;>&quot;&apos;' /></a>",
        ] {
            assert_eq!(read(document).as_deref(), Ok(seen), "{document}");
        }
    }

    #[test]
    fn lines_are_counted_from_the_declaration() {
        assert_eq!(read("<a>\n<b x=1/>\n</a>").unwrap_err().line, 3);
        assert_eq!(read("<a>\n\n  text</a>").unwrap_err().line, 4);
    }

    #[test]
    fn what_quick_xml_lets_through_is_refused() {
        for document in [
            "",
            "<a>",
            "<a></b>",
            "<a/><a/>",
            "<a/>text",
            "<a/></a>",
            "text<a/>",
            "<a>text</a>",
            "<a><!-- c --></a>",
            "<!-- c --><a/>",
            "<a/><!-- c -->",
            "<a><![CDATA[x]]></a>",
            "<a><?pi x?></a>",
            "<!DOCTYPE a><a/>",
            "<a><?xml version=\"1.0\"?></a>",
            "<a/><?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<x:a/>",
            "<a xmlns=\"u\"/><b/>",
            "<a xmlns:x=\"u\"/>",
            "<a x:y=\"1\"/>",
            "<a x=\"1\"y=\"2\"/>",
            "<a x=1/>",
            "<a x/>",
            "<a x=\"1/>",
            "<a x=\"<\"/>",
            "<a x=\"&#1;\"/>",
            "<a x=\"&#65;\"/>",
            "<a x=\"&nbsp;\"/>",
            "<a x=\"&\"/>",
            "<a x=\"&amp\"/>",
            "<a x=\"a\tb\"/>",
            "<a x=\"a\nb\"/>",
            "< a/>",
            "<A/>",
            "<1/>",
            "<a &amp;/>",
            "<a></ a>",
            "<a>&amp;</a>",
            "<a / >",
            "<a x='1' x='2'/>",
            "<a/>\u{0}",
            "<a X=\"1\"/>",
            "<a =\"1\"/>",
            "<a></a x=\"1\">",
            "<>",
            "</>",
            "<a/ x=\"1\">",
        ] {
            let flaw = read(document).expect_err(document);
            assert!(
                matches!(flaw.defect, Defect::Syntax | Defect::Attribute | Defect::Encoding),
                "{document}: {flaw:?}"
            );
        }
    }

    #[test]
    fn bytes_that_no_value_holds_are_refused() {
        for bytes in [
            &b"\xef\xbb\xbf"[..],
            b"\xff",
            b"\0",
            b"\r\n",
            b"\x7f",
            b"\x1b",
            "\u{fffe}".as_bytes(),
            "\u{85}".as_bytes(),
            "\u{1ffff}".as_bytes(),
        ] {
            let document = [bytes, DECLARATION.as_bytes(), b"<a/>"].concat();
            assert_eq!(XmlReader::new(&document).err().map(|flaw| flaw.defect), Some(Defect::Encoding), "{bytes:?}");
        }
    }

    #[test]
    fn the_first_line_is_exactly_the_declaration() {
        for first in [
            "",
            "<?xml version='1.0' encoding='UTF-8'?>\n",
            "<?xml version=\"1.0\"?>\n",
            " <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        ] {
            let document = format!("{first}<a/>");
            assert_eq!(
                XmlReader::new(document.as_bytes()).err().map(|flaw| flaw.defect),
                Some(Defect::Declaration),
                "{first}"
            );
        }
    }

    #[test]
    fn escaping_round_trips() {
        let value = "a<b>&\"c'd";
        assert_eq!(unescape(&escape(value)).as_deref(), Some(value));
    }
}
