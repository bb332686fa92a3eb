//! A reader that gives the tags of a document one after the other.

use super::element::{XmlElement, parse_tag};
use super::{DECLARATION, SPACES, XmlError};
use crate::error::Defect;
use quick_xml::events::Event as Token;

/// Reads a document tag by tag.
pub struct XmlReader<'a> {
    tokens: quick_xml::Reader<&'a [u8]>,
    text: &'a str,
    /// Where the line count has got to: byte offset and line number.
    counted: (usize, u64),
    depth: usize,
    root_closed: bool,
    /// `true` if the last tag was an empty element, whose end the reader has not given yet.
    pending_close: bool,
}

/// A start tag or the end of an element. An empty element gives both.
#[derive(Debug)]
pub enum XmlTag<'a> {
    /// `<name …>`.
    Open(XmlElement<'a>),
    /// `</name>`.
    Close,
}

impl<'a> XmlReader<'a> {
    /// Starts to read a document whose first line is exactly [`DECLARATION`].
    ///
    /// # Errors
    /// [`Defect::Encoding`] for bytes that a document cannot hold, [`Defect::Declaration`] for
    /// another first line.
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
        Ok(Self { tokens, text, counted: (0, 1), depth: 0, root_closed: false, pending_close: false })
    }

    /// Returns the next tag, or `None` at the end of the document.
    ///
    /// # Errors
    /// [`Defect::Syntax`] for anything but tags and white space between them;
    /// [`Defect::Attribute`] for a repeated attribute.
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
                        return Err(self.error(start, Defect::Syntax, format!("`{tag}` is not an end tag")));
                    }
                    return Ok(Some(self.close()));
                }
                Ok(Token::Text(_)) if self.text[start..self.position()].trim_start_matches(SPACES).is_empty() => {
                    continue;
                }
                Ok(Token::Eof) if self.root_closed => return Ok(None),
                Ok(Token::Eof) => return Err(self.error(start, Defect::Syntax, "the document is cut off".into())),
                Ok(_) => {
                    let shown: String = self.text[start..].trim_start().chars().take(20).collect();
                    return Err(self.error(start, Defect::Syntax, format!("`{shown}` is not allowed here")));
                }
                Err(error) => return Err(self.error(start, Defect::Syntax, error.to_string())),
            };
            // Slices of `self.text` live as long as the input; slices of the token do not.
            let end = self.position() - if empty { 2 } else { 1 };
            let content_start = end - content.len();
            let content = &self.text[content_start..end];
            if self.root_closed {
                return Err(self.error(start, Defect::Syntax, "there is a second root element".into()));
            }
            let line = self.line(content_start);
            let element =
                parse_tag(content, line).map_err(|(defect, detail)| self.error(content_start, defect, detail))?;
            self.depth += 1;
            self.pending_close = empty;
            return Ok(Some(XmlTag::Open(element)));
        }
    }

    /// Reads the start of the root element `name` of format 1 without further attributes, and
    /// returns its line.
    ///
    /// # Errors
    /// Those of [`root_element`](Self::root_element); [`Defect::Attribute`].
    pub fn root(&mut self, name: &str) -> Result<u64, XmlError> {
        let element = self.root_element(name)?;
        let line = element.line;
        element.finish()?;
        Ok(line)
    }

    /// Reads the start of the root element `name` of format 1.
    ///
    /// # Errors
    /// [`Defect::ElementMissing`] for another root, [`Defect::Format`] for another format.
    pub fn root_element(&mut self, name: &str) -> Result<XmlElement<'a>, XmlError> {
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
            return Err(element.error(Defect::Format, format!("the format is `{format}`, this program reads format 1")));
        }
        Ok(element)
    }

    /// Checks that nothing follows the root's end tag, which the caller has read.
    ///
    /// # Errors
    /// [`Defect::Syntax`] or [`Defect::Element`] for anything that follows.
    pub fn end(&mut self) -> Result<(), XmlError> {
        match self.tag()? {
            Some(XmlTag::Open(element)) => Err(element.unknown()),
            _ => Ok(()),
        }
    }

    /// Reads the end of an element that has no children.
    ///
    /// # Errors
    /// [`Defect::Element`] for a child element; the errors of [`tag`](Self::tag).
    pub fn expect_close(&mut self) -> Result<(), XmlError> {
        match self.tag()? {
            Some(XmlTag::Close) => Ok(()),
            Some(XmlTag::Open(element)) => Err(element.unknown()),
            None => Err(self.error(self.text.len(), Defect::Syntax, "the document is cut off".into())),
        }
    }

    fn close(&mut self) -> XmlTag<'a> {
        self.depth = self.depth.saturating_sub(1);
        self.root_closed = self.depth == 0;
        XmlTag::Close
    }

    fn position(&self) -> usize {
        DECLARATION.len() + self.tokens.buffer_position() as usize
    }

    /// Returns the line of a byte offset.
    ///
    /// Offsets only grow from call to call, so all calls together read the input once.
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
        // A line break from the document must not split the message.
        XmlError { defect, line: self.line(offset + skipped), detail: detail.replace(['\n', '\t'], " ") }
    }
}

/// Refuses bytes that a document cannot hold, and returns the rest as text.
fn check_characters(bytes: &[u8]) -> Result<&str, XmlError> {
    let line = |offset: usize| 1 + bytes[..offset].iter().filter(|byte| **byte == b'\n').count() as u64;
    let error = |offset, detail: &str| XmlError { defect: Defect::Encoding, line: line(offset), detail: detail.into() };
    let text = std::str::from_utf8(bytes).map_err(|utf8| error(utf8.valid_up_to(), "the text is not UTF-8"))?;
    if text.starts_with('\u{feff}') {
        return Err(error(0, "there is a byte order mark"));
    }
    if let Some(at) = bytes.iter().position(|byte| matches!(byte, 0..=8 | 11..=31 | 127)) {
        let detail = if bytes[at] == b'\r' { "there is a carriage return" } else { "there is a control character" };
        return Err(error(at, detail));
    }
    if !text.is_ascii() {
        // C1 controls and the noncharacters of every plane.
        let bad =
            |c: char| matches!(c, '\u{80}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
        if let Some((at, _)) = text.char_indices().find(|(_, c)| bad(*c)) {
            return Err(error(at, "there is a control character or a noncharacter"));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a whole document. Attributes come out sorted by name.
    fn read(document: &str) -> Result<String, XmlError> {
        let bytes = format!("{DECLARATION}{document}");
        let mut reader = XmlReader::new(bytes.as_bytes())?;
        let mut seen = String::new();
        while let Some(tag) = reader.tag()? {
            match tag {
                XmlTag::Close => seen.push(')'),
                XmlTag::Open(element) => {
                    seen.push_str(element.name);
                    element.rest().iter().for_each(|(name, value)| seen.push_str(&format!(" {name}={value}")));
                    seen.push('(');
                }
            }
        }
        Ok(seen)
    }

    #[test]
    fn equal_documents_in_different_spelling_read_the_same() {
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
    fn documents_outside_the_subset_are_refused() {
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
            let error = read(document).expect_err(document);
            assert!(
                matches!(error.defect, Defect::Syntax | Defect::Attribute | Defect::Encoding),
                "{document}: {error:?}"
            );
        }
    }

    #[test]
    fn bytes_that_a_document_cannot_hold_are_refused() {
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
            assert_eq!(XmlReader::new(&document).err().map(|error| error.defect), Some(Defect::Encoding), "{bytes:?}");
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
                XmlReader::new(document.as_bytes()).err().map(|error| error.defect),
                Some(Defect::Declaration),
                "{first}"
            );
        }
    }
}
