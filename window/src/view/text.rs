//! Text: shaping and line breaking by parley with the system's fonts, glyphs by swash.

use super::canvas::{Area, Canvas, GlyphImage};
use super::palette::{Ink, Palette};
use parley::editing::{Cursor, Selection};
use parley::layout::{Affinity, Alignment, AlignmentOptions, Cluster, GlyphRun, PositionedLayoutItem};
use parley::style::{FontStyle, FontWeight, GenericFamily, Language, LineHeight, StyleProperty};
use parley::{BaseDirection, FontContext, Layout, LayoutContext};
use std::collections::HashMap;
use std::ops::Range;
use swash::FontRef;
use swash::scale::image::Content;
use swash::scale::{Render, ScaleContext, Source, StrikeWith};
use swash::zeno::{Angle, Format, Transform, Vector};

/// The number of glyph images that are kept.
const MAX_GLYPHS: usize = 4000;
/// The number of horizontal positions within a pixel at which a glyph is painted.
const STEPS: f32 = 4.0;
/// The height of a line in sizes of the font. All scripts share it, whatever font they need.
const LINE_HEIGHT: f32 = 1.5;

/// The style of a whole block of text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockStyle {
    /// The size of the font in logical pixels.
    pub size: f32,
    /// `true` for bold text.
    pub is_bold: bool,
    /// The colour.
    pub ink: Ink,
    /// The direction; `None` if the first strong letter decides.
    pub is_rtl: Option<bool>,
    /// The language, which decides between fonts of Chinese and Japanese.
    pub language: &'static str,
}

/// A stretch of a block with another style.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StyledRange {
    /// The bytes of the text.
    pub range: Range<usize>,
    /// `true` for bold text.
    pub is_bold: bool,
    /// `true` for italic text.
    pub is_italic: bool,
    /// `true` for code.
    pub is_code: bool,
    /// The address of a link.
    pub link: Option<String>,
}

/// A block of text, laid out.
pub struct TextBlock {
    layout: Layout<Ink>,
    /// The text.
    pub text: String,
    /// The links: their bytes in the text, and their addresses.
    pub links: Vec<(Range<usize>, String)>,
    /// `true` if the text runs from right to left.
    pub is_rtl: bool,
    /// The height in physical pixels.
    pub height: f32,
    /// The width of the longest line in physical pixels.
    pub width: f32,
}

impl TextBlock {
    /// Returns the areas of a stretch of the text, one for each line, relative to the block.
    pub fn areas(&self, range: &Range<usize>) -> Vec<Area> {
        let cursor = |index| Cursor::from_byte_index(&self.layout, index, Affinity::Downstream);
        let boxes = Selection::new(cursor(range.start), cursor(range.end)).geometry(&self.layout);
        boxes
            .into_iter()
            .map(|(found, _)| Area::new(found.x0 as f32, found.y0 as f32, found.width() as f32, found.height() as f32))
            .collect()
    }

    /// Returns the index of the link at a point relative to the block.
    pub fn link_at(&self, x: f32, y: f32) -> Option<usize> {
        let (cluster, _) = Cluster::from_point_exact(&self.layout, x, y)?;
        let at = cluster.text_range().start;
        self.links.iter().position(|(range, _)| range.contains(&at))
    }
}

/// The fonts and the glyphs.
pub struct TextEngine {
    fonts: FontContext,
    layouts: LayoutContext<Ink>,
    scaler: ScaleContext,
    glyphs: HashMap<GlyphKey, Option<GlyphImage>>,
}

/// The properties of a glyph image.
#[derive(PartialEq, Eq, Hash)]
struct GlyphKey {
    font: (u64, u32),
    coords: Vec<i16>,
    size_bits: u32,
    glyph: u16,
    step: u8,
    is_emboldened: bool,
    skew_degrees: i8,
}

impl TextEngine {
    /// Finds the fonts of the system.
    pub fn new() -> Self {
        Self {
            fonts: FontContext::new(),
            layouts: LayoutContext::new(),
            scaler: ScaleContext::new(),
            glyphs: HashMap::new(),
        }
    }

    /// Lays out a block of text. `width` is in physical pixels; without it there is one line.
    pub fn block(
        &mut self,
        text: String,
        style: BlockStyle,
        ranges: Vec<StyledRange>,
        width: Option<f32>,
        scale: f32,
    ) -> TextBlock {
        let mut builder = self.layouts.ranged_builder(&mut self.fonts, &text, scale, true);
        builder.set_base_direction(match style.is_rtl {
            Some(true) => BaseDirection::Rtl,
            Some(false) => BaseDirection::Ltr,
            None => BaseDirection::Auto,
        });
        builder.push_default(GenericFamily::SystemUi);
        builder.push_default(StyleProperty::FontSize(style.size));
        builder.push_default(StyleProperty::Brush(style.ink));
        builder.push_default(LineHeight::FontSizeRelative(LINE_HEIGHT));
        builder.push_default(StyleProperty::Locale(style.language.parse::<Language>().ok()));
        if style.is_bold {
            builder.push_default(FontWeight::BOLD);
        }
        let mut links = Vec::new();
        for StyledRange { range, is_bold, is_italic, is_code, link } in ranges {
            if is_bold {
                builder.push(FontWeight::BOLD, range.clone());
            }
            if is_italic {
                builder.push(FontStyle::Italic, range.clone());
            }
            if is_code {
                builder.push(GenericFamily::Monospace, range.clone());
            }
            if let Some(link) = link {
                builder.push(StyleProperty::Brush(Ink::Link), range.clone());
                builder.push(StyleProperty::Underline(true), range.clone());
                links.push((range, link));
            }
        }
        let mut layout = builder.build(&text);
        layout.break_all_lines(width);
        layout.align(Alignment::Start, AlignmentOptions::default());
        let (width, height) = (layout.width(), layout.height());
        let is_rtl = layout.is_rtl();
        TextBlock { layout, text, links, is_rtl, height, width }
    }

    /// Paints a block of text.
    pub fn paint(&mut self, canvas: &mut Canvas, block: &TextBlock, x: f32, y: f32, palette: &Palette) {
        for line in block.layout.lines() {
            for item in line.items() {
                if let PositionedLayoutItem::GlyphRun(run) = item {
                    self.paint_run(canvas, &run, x, y, palette);
                }
            }
        }
    }

    fn paint_run(&mut self, canvas: &mut Canvas, glyphs: &GlyphRun<'_, Ink>, x: f32, y: f32, palette: &Palette) {
        let run = glyphs.run();
        let (font, size, synthesis) = (run.font(), run.font_size(), run.synthesis());
        let Some(font_ref) = FontRef::from_index(font.data.as_ref(), font.index as usize) else { return };
        let colour = palette.ink(glyphs.style().brush);
        let coords: Vec<i16> = run.normalized_coords().iter().map(|coord| coord.to_bits()).collect();
        let skew_degrees = synthesis.skew().unwrap_or_default() as i8;
        if self.glyphs.len() > MAX_GLYPHS {
            self.glyphs.clear();
        }
        for glyph in glyphs.positioned_glyphs() {
            let (left, baseline) = (x + glyph.x, (y + glyph.y).round());
            let step = ((left.fract() + 1.0).fract() * STEPS) as u8;
            let key = GlyphKey {
                font: (font.data.id(), font.index),
                coords: coords.clone(),
                size_bits: size.to_bits(),
                glyph: glyph.id as u16,
                step,
                is_emboldened: synthesis.embolden(),
                skew_degrees,
            };
            let scaler = &mut self.scaler;
            let image = self.glyphs.entry(key).or_insert_with(|| {
                let mut scaler = scaler.builder(font_ref).size(size).hint(true).normalized_coords(&coords).build();
                let sources = [Source::ColorOutline(0), Source::ColorBitmap(StrikeWith::BestFit), Source::Outline];
                let mut render = Render::new(&sources);
                render.format(Format::Alpha).offset(Vector::new(f32::from(step) / STEPS, 0.0));
                if synthesis.embolden() {
                    render.embolden(size / 40.0);
                }
                if skew_degrees != 0 {
                    let angle = Angle::from_degrees(f32::from(skew_degrees));
                    render.transform(Some(Transform::skew(angle, Angle::ZERO)));
                }
                let image = render.render(&mut scaler, glyph.id as u16)?;
                Some(GlyphImage {
                    left: image.placement.left,
                    top: image.placement.top,
                    width: image.placement.width,
                    bytes: image.data,
                    is_coloured: image.content == Content::Color,
                })
            });
            if let Some(image) = image {
                canvas.glyph(left.floor() as i32, baseline as i32, image, colour);
            }
        }
        if glyphs.style().underline.is_some() {
            let metrics = run.font_metrics();
            let height = metrics.underline_size.max(1.0).round();
            let top = (y + glyphs.baseline() - metrics.underline_offset).round();
            canvas.fill(Area::new(x + glyphs.offset(), top, glyphs.advance(), height), 0.0, colour);
        }
    }
}
