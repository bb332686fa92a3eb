//! The scene: a page with a place for each part, in physical pixels.

use super::canvas::Area;
use super::palette::Ink;
use super::text::{BlockStyle, StyledRange, TextBlock, TextEngine};
use crate::notes::{NoteBlock, NoteBlockKind};
use crate::page::{ButtonRank, Page, PageButton, PagePart};

/// The distance from the edge of the window, in logical pixels, as all lengths below.
const MARGIN: f32 = 24.0;
/// The distance between parts.
const GAP: f32 = 12.0;
/// The height of a button, large enough for a finger.
const BUTTON_HEIGHT: f32 = 36.0;
/// The distance between the edge of a button and its text.
const BUTTON_PADDING: f32 = 16.0;
/// The distance between the edge of the notes and their text.
const NOTES_PADDING: f32 = 14.0;
/// The least height of the notes.
const NOTES_MIN_HEIGHT: f32 = 96.0;
/// The height that the notes ask for.
const NOTES_HEIGHT: f32 = 220.0;
/// The height of a progress bar.
const BAR_HEIGHT: f32 = 8.0;
/// The indent of a list.
const INDENT: f32 = 22.0;

/// The size of the window and its text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// The width in physical pixels.
    pub width: f32,
    /// The height in physical pixels.
    pub height: f32,
    /// The physical pixels of a logical one.
    pub scale: f32,
    /// `true` if the page is laid out from right to left.
    pub is_rtl: bool,
    /// The language of the page.
    pub language: &'static str,
}

/// A page with a place for each part.
pub struct Scene {
    /// The parts outside of the notes.
    pub items: Vec<SceneItem>,
    /// The notes.
    pub notes: Option<NotesScene>,
    /// The buttons.
    pub buttons: Vec<ButtonItem>,
    /// The height that the page needs, in physical pixels.
    pub wanted_height: f32,
}

/// A part outside of the notes.
pub struct SceneItem {
    /// The place.
    pub area: Area,
    /// The kind.
    pub kind: SceneItemKind,
}

/// The kind of a part.
pub enum SceneItemKind {
    /// The heading of the page.
    Heading(TextBlock),
    /// A paragraph.
    Text(TextBlock),
    /// The line below a progress bar.
    Status(TextBlock),
    /// A progress bar.
    Progress {
        /// Its name.
        name: String,
        /// The finished share.
        share: Option<f64>,
    },
}

/// The notes: blocks in a viewport that scrolls.
pub struct NotesScene {
    /// The name of the notes.
    pub name: String,
    /// The place in the window.
    pub viewport: Area,
    /// The height of all blocks with the padding.
    pub content_height: f32,
    /// The blocks; their places are relative to the unscrolled viewport.
    pub blocks: Vec<NoteItem>,
}

/// A block of the notes.
pub struct NoteItem {
    /// The place, relative to the unscrolled viewport.
    pub area: Area,
    /// The kind.
    pub kind: NoteBlockKind,
    /// The text.
    pub text: TextBlock,
    /// The number or bullet before the text, and its place.
    pub marker: Option<(TextBlock, Area)>,
}

/// A button.
pub struct ButtonItem {
    /// The place.
    pub area: Area,
    /// The text.
    pub label: TextBlock,
    /// The rank.
    pub rank: ButtonRank,
}

/// A part that takes the focus of the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FocusStop {
    /// A button.
    Button(usize),
    /// The notes, which the arrow keys scroll.
    Notes,
    /// A link of a block of the notes.
    Link {
        /// The block.
        block: usize,
        /// The link of the block.
        link: usize,
    },
}

impl Scene {
    /// Gives each part of a page a place.
    pub fn new(page: &Page, frame: Frame, engine: &mut TextEngine) -> Self {
        let mut layouter = Layouter { frame, engine };
        layouter.scene(page)
    }

    /// Returns the stops of the Tab key, in reading order.
    pub fn stops(&self) -> Vec<FocusStop> {
        let notes = self.notes.iter().flat_map(|notes| {
            let links = |(block, item): (usize, &NoteItem)| {
                (0..item.text.links.len()).map(move |link| FocusStop::Link { block, link })
            };
            std::iter::once(FocusStop::Notes).chain(notes.blocks.iter().enumerate().flat_map(links))
        });
        notes.chain((0..self.buttons.len()).map(FocusStop::Button)).collect()
    }

    /// Returns the stop at a point, with the notes scrolled down by `scroll`.
    pub fn stop_at(&self, x: f32, y: f32, scroll: f32) -> Option<FocusStop> {
        if let Some(button) = self.buttons.iter().position(|button| button.area.contains(x, y)) {
            return Some(FocusStop::Button(button));
        }
        let notes = self.notes.as_ref().filter(|notes| notes.viewport.contains(x, y))?;
        for (block, item) in notes.blocks.iter().enumerate() {
            let area = item.area.moved(notes.viewport.x, notes.viewport.y - scroll);
            if let Some(link) = item.text.link_at(x - area.x, y - area.y).filter(|_| area.contains(x, y)) {
                return Some(FocusStop::Link { block, link });
            }
        }
        Some(FocusStop::Notes)
    }

    /// Returns the largest distance that the notes scroll.
    pub fn max_scroll(&self) -> f32 {
        self.notes.as_ref().map_or(0.0, |notes| (notes.content_height - notes.viewport.height).max(0.0))
    }

    /// Returns the scroll at which a link is in view, as close to `scroll` as possible.
    pub fn scroll_to(&self, stop: FocusStop, scroll: f32) -> f32 {
        let (FocusStop::Link { block, link }, Some(notes)) = (stop, &self.notes) else { return scroll };
        let Some(area) = notes.link_areas(block, link).first().copied() else { return scroll };
        let lowest = area.y - area.height;
        let highest = area.bottom() + area.height - notes.viewport.height;
        scroll.clamp(highest.min(lowest), lowest.max(highest)).clamp(0.0, self.max_scroll())
    }
}

impl NotesScene {
    /// Returns the areas of a link, relative to the unscrolled viewport.
    pub fn link_areas(&self, block: usize, link: usize) -> Vec<Area> {
        let Some(item) = self.blocks.get(block) else { return Vec::new() };
        let Some((range, _)) = item.text.links.get(link) else { return Vec::new() };
        item.text.areas(range).into_iter().map(|area| area.moved(item.area.x, item.area.y)).collect()
    }
}

struct Layouter<'a> {
    frame: Frame,
    engine: &'a mut TextEngine,
}

impl Layouter<'_> {
    fn px(&self, logical: f32) -> f32 {
        (logical * self.frame.scale).round()
    }

    fn text(&mut self, text: &str, size: f32, is_bold: bool, ink: Ink, width: Option<f32>) -> TextBlock {
        let Frame { is_rtl, language, scale, .. } = self.frame;
        let style = BlockStyle { size, is_bold, ink, is_rtl: Some(is_rtl), language };
        self.engine.block(text.to_owned(), style, Vec::new(), width, scale)
    }

    fn scene(&mut self, page: &Page) -> Scene {
        let Frame { width, height, .. } = self.frame;
        let (margin, gap) = (self.px(MARGIN), self.px(GAP));
        let inner = (width - 2.0 * margin).max(1.0);
        let (mut buttons, buttons_height) = self.buttons(&page.buttons, inner);
        let mut items = Vec::new();
        let mut notes_parts = None;
        let mut y = margin;
        for part in &page.parts {
            let kind = match part {
                PagePart::Heading(text) => SceneItemKind::Heading(self.text(text, 20.0, true, Ink::Text, Some(inner))),
                PagePart::Text(text) => SceneItemKind::Text(self.text(text, 14.5, false, Ink::Text, Some(inner))),
                PagePart::Detail(text) => SceneItemKind::Text(self.text(text, 13.0, false, Ink::Detail, Some(inner))),
                PagePart::Status(text) => SceneItemKind::Status(self.text(text, 13.5, false, Ink::Detail, Some(inner))),
                PagePart::Progress { name, share } => SceneItemKind::Progress { name: name.clone(), share: *share },
                PagePart::Notes { name, blocks } => {
                    notes_parts = Some((name.clone(), blocks));
                    continue;
                }
            };
            let height = match &kind {
                SceneItemKind::Heading(text) | SceneItemKind::Text(text) | SceneItemKind::Status(text) => text.height,
                SceneItemKind::Progress { .. } => self.px(BAR_HEIGHT),
            };
            items.push(SceneItem { area: Area::new(margin, y, inner, height.ceil()), kind });
            y += height.ceil() + gap;
        }
        let buttons_space = buttons_height + margin;
        let (notes, notes_height) = match notes_parts {
            Some((name, blocks)) => {
                let (blocks, content_height) = self.notes(blocks, inner);
                let free = (height - y - gap - buttons_space).max(self.px(NOTES_MIN_HEIGHT));
                let viewport = Area::new(margin, y, inner, free);
                let wanted = self.px(NOTES_HEIGHT).min(content_height).max(self.px(NOTES_MIN_HEIGHT));
                (Some(NotesScene { name, viewport, content_height, blocks }), wanted + gap)
            }
            None => (None, 0.0),
        };
        let wanted_height = y + notes_height + gap + buttons_space;
        // Buttons stay at the lower edge, unless the window is too low for the page.
        let lowest = notes.as_ref().map_or(y, |notes| notes.viewport.bottom() + gap);
        let top = (height - buttons_space).max(lowest);
        for button in &mut buttons {
            button.area = button.area.moved(margin, top);
        }
        Scene { items, notes, buttons, wanted_height }
    }

    /// Places the buttons at the end of a row, those that stand apart at its start. If the row is
    /// too short, each button has a separate row.
    fn buttons(&mut self, buttons: &[PageButton], inner: f32) -> (Vec<ButtonItem>, f32) {
        let (height, padding, gap) = (self.px(BUTTON_HEIGHT), self.px(BUTTON_PADDING), self.px(8.0));
        let mut items = Vec::new();
        for button in buttons {
            let ink = if button.rank == ButtonRank::Primary { Ink::OnAccent } else { Ink::Text };
            let label = self.text(&button.label, 14.0, false, ink, None);
            let width = (label.width.ceil() + 2.0 * padding).max(self.px(88.0));
            items.push(ButtonItem { area: Area::new(0.0, 0.0, width, height), label, rank: button.rank });
        }
        let row: f32 = items.iter().map(|item| item.area.width + gap).sum::<f32>() - gap;
        if row > inner {
            for (index, item) in items.iter_mut().enumerate() {
                item.area = Area::new(0.0, index as f32 * (height + gap), inner, height);
            }
            let rows = items.len() as f32;
            return (items, rows * height + (rows - 1.0).max(0.0) * gap);
        }
        // The first button is the outermost one at the end of the row.
        let (mut start, mut end) = (0.0, inner);
        for item in &mut items {
            let width = item.area.width;
            if item.rank == ButtonRank::Apart {
                item.area.x = start;
                start += width + gap;
            } else {
                item.area.x = end - width;
                end -= width + gap;
            }
            item.area = mirrored(item.area, inner, self.frame.is_rtl);
        }
        (items, height)
    }

    fn notes(&mut self, blocks: &[NoteBlock], width: f32) -> (Vec<NoteItem>, f32) {
        let padding = self.px(NOTES_PADDING);
        // The scroll bar lies in the padding of the end.
        let mut y = padding;
        let mut items = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            let (size, is_bold, depth, space) = match &block.kind {
                NoteBlockKind::Heading(1) => (16.0, true, 0, 10.0),
                NoteBlockKind::Heading(_) => (14.5, true, 0, 10.0),
                NoteBlockKind::Paragraph { depth } => (14.0, false, *depth, 6.0),
                NoteBlockKind::Item { depth, .. } => (14.0, false, *depth, 3.0),
            };
            if index > 0 {
                y += self.px(space);
            }
            let indent = self.px(INDENT) * depth as f32;
            let inner = (width - 2.0 * padding - indent).max(1.0);
            let Frame { language, scale, .. } = self.frame;
            // The notes may be in another language than the page, and in another direction.
            let style = BlockStyle { size, is_bold, ink: Ink::Text, is_rtl: None, language };
            let text = self.engine.block(block.text(), style, styled_ranges(block), Some(inner), scale);
            let height = text.height.ceil();
            let is_rtl = text.is_rtl;
            let area = mirrored(Area::new(padding + indent, y, inner, height), width, is_rtl);
            let marker = match &block.kind {
                NoteBlockKind::Item { marker, .. } => {
                    let style = BlockStyle { is_rtl: Some(is_rtl), is_bold: false, ..style };
                    let marker = self.engine.block(marker.clone(), style, Vec::new(), None, scale);
                    let (marker_width, gap) = (marker.width, self.px(7.0));
                    let place = Area::new(padding + indent - gap - marker_width, y, marker_width, height);
                    Some((marker, mirrored(place, width, is_rtl)))
                }
                _ => None,
            };
            y += height;
            items.push(NoteItem { area, kind: block.kind.clone(), text, marker });
        }
        (items, y + padding)
    }
}

/// Returns the place of `area` within `width`, counted from the right side if that is the start.
fn mirrored(area: Area, width: f32, is_rtl: bool) -> Area {
    if is_rtl { Area { x: width - area.right(), ..area } } else { area }
}

/// Returns the stretches of a block and their styles.
fn styled_ranges(block: &NoteBlock) -> Vec<StyledRange> {
    let mut start = 0;
    let range = |span: &crate::notes::NoteSpan| {
        let range = start..start + span.text.len();
        start = range.end;
        StyledRange {
            range,
            is_bold: span.is_strong,
            is_italic: span.is_emphasized,
            is_code: span.is_code,
            link: span.link.clone(),
        }
    };
    block.spans.iter().map(range).collect()
}
