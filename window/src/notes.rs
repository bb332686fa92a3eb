//! Release notes: a safe subset of Markdown, as blocks to show.
//!
//! Headings, paragraphs, lists, emphasis, code and links with `http` or `https` remain. HTML is
//! dropped, an image becomes its description, and another link becomes its text.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};

/// The longest notes that are read. The rest is cut off.
const MAX_BYTES: usize = 64 << 10;
/// The largest number of blocks that are shown.
const MAX_BLOCKS: usize = 500;
/// The largest number of links. Each one is a stop of the Tab key.
const MAX_LINKS: usize = 50;
/// The deepest list that is indented further.
const MAX_DEPTH: usize = 4;

/// A block of release notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteBlock {
    /// The kind of the block.
    pub kind: NoteBlockKind,
    /// The text of the block, in stretches of one style.
    pub spans: Vec<NoteSpan>,
}

/// The kind of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoteBlockKind {
    /// A heading of level 1 to 6.
    Heading(usize),
    /// A paragraph, also one that continues a list item.
    Paragraph {
        /// The number of lists around it.
        depth: usize,
    },
    /// The beginning of a list item.
    Item {
        /// The number of lists around it, at least 1.
        depth: usize,
        /// The number or the bullet before it.
        marker: String,
    },
}

/// A stretch of text of one style.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoteSpan {
    /// The text.
    pub text: String,
    /// `true` for strong text.
    pub is_strong: bool,
    /// `true` for emphasized text.
    pub is_emphasized: bool,
    /// `true` for code.
    pub is_code: bool,
    /// The address that the text leads to, with `http` or `https`.
    pub link: Option<String>,
}

impl NoteBlock {
    /// Returns the text of the block.
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }
}

/// Reads release notes in Markdown.
pub fn parse(markdown: &str) -> Vec<NoteBlock> {
    let mut end = markdown.len().min(MAX_BYTES);
    while !markdown.is_char_boundary(end) {
        end -= 1;
    }
    let mut reader = NoteReader::default();
    for event in Parser::new(&markdown[..end]) {
        reader.read(event);
        if reader.blocks.len() >= MAX_BLOCKS {
            break;
        }
    }
    reader.end_block();
    reader.blocks.truncate(MAX_BLOCKS);
    reader.blocks
}

/// Returns the address if a browser may open it.
pub fn web_address(url: &str) -> Option<String> {
    let is_web = ["http://", "https://"].iter().any(|scheme| {
        url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) && url.len() > scheme.len()
    });
    let is_plain = url.len() <= 2048 && url.chars().all(|c| c.is_ascii_graphic() && !"\"'<>`\\^{|}".contains(c));
    (is_web && is_plain).then(|| url.to_owned())
}

/// The state of the reader between two events of the Markdown parser.
#[derive(Default)]
struct NoteReader {
    blocks: Vec<NoteBlock>,
    /// The block in progress.
    block: Option<NoteBlock>,
    /// The next number of each list around; `None` for a list with bullets.
    lists: Vec<Option<u64>>,
    strong: usize,
    emphasis: usize,
    link: Option<String>,
    links: usize,
}

impl NoteReader {
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => self.begin(NoteBlockKind::Heading(number(level))),
            Event::Start(Tag::Paragraph) if self.is_at_item() => {}
            Event::Start(Tag::Paragraph) => self.begin_paragraph(),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented)) if !self.is_at_item() => {
                self.begin_paragraph();
            }
            Event::Start(Tag::List(first)) => {
                self.end_block();
                self.lists.push(first);
            }
            Event::Start(Tag::Item) => {
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}.");
                        *number = number.saturating_add(1);
                        marker
                    }
                    _ => "•".to_owned(),
                };
                self.begin(NoteBlockKind::Item { depth: self.depth().max(1), marker });
            }
            Event::Start(Tag::Strong) => self.strong += 1,
            Event::Start(Tag::Emphasis) => self.emphasis += 1,
            Event::Start(Tag::Link { dest_url, .. }) if self.links < MAX_LINKS => {
                self.link = web_address(&dest_url);
                self.links += usize::from(self.link.is_some());
            }
            Event::End(TagEnd::Strong) => self.strong = self.strong.saturating_sub(1),
            Event::End(TagEnd::Emphasis) => self.emphasis = self.emphasis.saturating_sub(1),
            Event::End(TagEnd::Link) => self.link = None,
            Event::End(TagEnd::List(_)) => {
                self.end_block();
                self.lists.pop();
            }
            Event::End(TagEnd::Heading(_) | TagEnd::Paragraph | TagEnd::CodeBlock | TagEnd::Item) => self.end_block(),
            Event::Text(text) => self.add(&text, false),
            Event::Code(text) => self.add(&text, true),
            Event::SoftBreak => self.add(" ", false),
            Event::HardBreak => self.add("\n", false),
            _ => {}
        }
    }

    fn depth(&self) -> usize {
        self.lists.len().min(MAX_DEPTH)
    }

    /// Returns `true` between the beginning of a list item and its text.
    fn is_at_item(&self) -> bool {
        self.block
            .as_ref()
            .is_some_and(|block| matches!(block.kind, NoteBlockKind::Item { .. }) && block.spans.is_empty())
    }

    fn begin_paragraph(&mut self) {
        self.begin(NoteBlockKind::Paragraph { depth: self.depth() });
    }

    fn begin(&mut self, kind: NoteBlockKind) {
        self.end_block();
        self.block = Some(NoteBlock { kind, spans: Vec::new() });
    }

    fn end_block(&mut self) {
        if let Some(block) = self.block.take()
            && !block.text().trim().is_empty()
        {
            self.blocks.push(block);
        }
    }

    fn add(&mut self, text: &str, is_code: bool) {
        let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control() && !is_reordering(*c)).collect();
        if text.is_empty() {
            return;
        }
        if self.block.is_none() {
            self.begin_paragraph();
        }
        let Some(block) = &mut self.block else { return };
        let span = NoteSpan {
            text,
            is_strong: self.strong > 0,
            is_emphasized: self.emphasis > 0,
            is_code,
            link: self.link.clone(),
        };
        match block.spans.last_mut() {
            Some(last) if (NoteSpan { text: last.text.clone(), ..span.clone() }) == *last => last.text += &span.text,
            _ => block.spans.push(span),
        }
    }
}

/// Returns `true` for the signs that make text look other than it is read (Unicode TR 36).
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn number(level: HeadingLevel) -> usize {
    level as usize
}

#[cfg(test)]
mod tests {
    use super::{MAX_BLOCKS, MAX_LINKS, NoteBlockKind, parse, web_address};

    /// Returns the blocks as one line each, with the styles of the spans.
    fn shown(markdown: &str) -> Vec<String> {
        let block = |block: &super::NoteBlock| {
            let kind = match &block.kind {
                NoteBlockKind::Heading(level) => format!("h{level}"),
                NoteBlockKind::Paragraph { depth } => format!("p{depth}"),
                NoteBlockKind::Item { depth, marker } => format!("{marker}{depth}"),
            };
            let span = |span: &super::NoteSpan| {
                let marks = [(span.is_strong, '*'), (span.is_emphasized, '/'), (span.is_code, '`')];
                let marks: String = marks.into_iter().filter_map(|(is_set, mark)| is_set.then_some(mark)).collect();
                let link = span.link.as_ref().map(|link| format!("<{link}>")).unwrap_or_default();
                format!("{marks}{}{link}", span.text)
            };
            format!("{kind} {}", block.spans.iter().map(span).collect::<Vec<_>>().join("|"))
        };
        parse(markdown).iter().map(block).collect()
    }

    #[test]
    fn headings_lists_emphasis_and_links_are_shown() {
        let notes = "# Two\n\nFast, *very* **fast**,\nand `small`.\n\n- one\n  1. deep\n- [two](https://example.com/a?b=c)\n\n  more";
        assert_eq!(
            shown(notes),
            [
                "h1 Two",
                "p0 Fast, |/very| |*fast|, and |`small|.",
                "•1 one",
                "1.2 deep",
                "•1 two<https://example.com/a?b=c>",
                "p1 more",
            ]
        );
    }

    #[test]
    fn html_and_images_are_not_shown() {
        let notes = "<script>alert(1)</script>\n\nA <b>b</b> ![a cat](http://example.com/cat.png)";
        assert_eq!(shown(notes), ["p0 A b a cat"]);
    }

    #[test]
    fn only_web_addresses_are_links() {
        for url in ["javascript:alert(1)", "file:///etc/passwd", "mailto:a@b", "http://", "https://a b", "//a", "-x"] {
            assert_eq!(web_address(url), None, "{url}");
        }
        assert_eq!(web_address("HTTPS://example.com/").as_deref(), Some("HTTPS://example.com/"));
        assert_eq!(shown("[a](javascript:x) [b](http://b/)"), ["p0 a |b<http://b/>"]);
    }

    #[test]
    fn the_number_of_blocks_and_links_is_bounded() {
        assert_eq!(parse(&"- x\n".repeat(2 * MAX_BLOCKS)).len(), MAX_BLOCKS);
        let links = parse(&"[a](http://b/) ".repeat(2 * MAX_LINKS));
        assert_eq!(links[0].spans.iter().filter(|span| span.link.is_some()).count(), MAX_LINKS);
        assert!(parse(&"é".repeat(1 << 20))[0].text().len() <= super::MAX_BYTES);
    }

    #[test]
    fn signs_that_reorder_text_are_dropped() {
        assert_eq!(shown("a\u{202e}b\u{7}c"), ["p0 abc"]);
    }
}
