//! The canvas: pixels in memory, and the shapes and glyphs that are painted on them.

use super::palette::Colour;
use tiny_skia::{FillRule, Mask, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

/// A rectangle in physical pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Area {
    /// The left edge.
    pub x: f32,
    /// The upper edge.
    pub y: f32,
    /// The width.
    pub width: f32,
    /// The height.
    pub height: f32,
}

impl Area {
    /// Makes an area.
    pub fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    /// Returns `true` if the point is inside.
    pub fn contains(&self, x: f32, y: f32) -> bool {
        x >= self.x && x < self.right() && y >= self.y && y < self.bottom()
    }

    /// Returns the right edge.
    pub fn right(&self) -> f32 {
        self.x + self.width
    }

    /// Returns the lower edge.
    pub fn bottom(&self) -> f32 {
        self.y + self.height
    }

    /// Returns the area with each edge moved outwards.
    pub fn grown(&self, by: f32) -> Self {
        Self::new(self.x - by, self.y - by, self.width + 2.0 * by, self.height + 2.0 * by)
    }

    /// Returns the area moved.
    pub fn moved(&self, x: f32, y: f32) -> Self {
        Self::new(self.x + x, self.y + y, self.width, self.height)
    }
}

/// The image of a glyph, relative to its origin on the baseline.
pub struct GlyphImage {
    /// The left edge.
    pub left: i32,
    /// The distance from the upper edge down to the baseline.
    pub top: i32,
    /// The width in pixels.
    pub width: u32,
    /// The bytes: one of coverage for each pixel, or four of colour.
    pub bytes: Vec<u8>,
    /// `true` for a glyph with its own colours.
    pub is_coloured: bool,
}

/// Pixels in memory.
pub struct Canvas {
    pixmap: Pixmap,
    clip: Option<Area>,
}

impl Canvas {
    /// Makes a canvas; `None` for a size of 0 or beyond all limits.
    pub fn new(width: u32, height: u32) -> Option<Self> {
        Some(Self { pixmap: Pixmap::new(width, height)?, clip: None })
    }

    /// Limits what is painted from now on to an area.
    pub fn clip(&mut self, area: Option<Area>) {
        self.clip = area;
    }

    /// Fills everything.
    pub fn clear(&mut self, colour: Colour) {
        self.pixmap.fill(tiny_skia::Color::from_rgba8(colour[0], colour[1], colour[2], 255));
    }

    /// Fills an area with round corners.
    pub fn fill(&mut self, area: Area, radius: f32, colour: Colour) {
        let Some(path) = rounded(area, radius) else { return };
        let mask = self.mask();
        self.pixmap.fill_path(&path, &paint(colour), FillRule::Winding, Transform::identity(), mask.as_ref());
    }

    /// Draws the edge of an area with round corners, inside of it.
    pub fn outline(&mut self, area: Area, radius: f32, width: f32, colour: Colour) {
        let Some(path) = rounded(area.grown(-width / 2.0), radius) else { return };
        let mask = self.mask();
        let stroke = Stroke { width, ..Stroke::default() };
        self.pixmap.stroke_path(&path, &paint(colour), &stroke, Transform::identity(), mask.as_ref());
    }

    /// Paints a glyph whose origin is at a pixel.
    pub fn glyph(&mut self, x: i32, y: i32, image: &GlyphImage, colour: Colour) {
        let (width, height) = (self.pixmap.width() as i32, self.pixmap.height() as i32);
        let clip = self.clip.unwrap_or(Area::new(0.0, 0.0, width as f32, height as f32));
        let bytes_per_pixel = if image.is_coloured { 4 } else { 1 };
        let row_bytes = image.width as usize * bytes_per_pixel;
        if row_bytes == 0 {
            return;
        }
        let pixels = self.pixmap.data_mut();
        for (row, line) in (0_i32..).zip(image.bytes.chunks_exact(row_bytes)) {
            for (column, source) in (0_i32..).zip(line.chunks_exact(bytes_per_pixel)) {
                let (x, y) = (x + image.left + column, y - image.top + row);
                let is_inside = (0..width).contains(&x) && (0..height).contains(&y);
                if !is_inside || !clip.contains(x as f32, y as f32) {
                    continue;
                }
                let at = (y as usize * width as usize + x as usize) * 4;
                let (colour, alpha) = match source {
                    [red, green, blue, alpha] => ([*red, *green, *blue], *alpha),
                    [coverage, ..] => (colour, *coverage),
                    [] => continue,
                };
                for (target, source) in pixels[at..at + 3].iter_mut().zip(colour) {
                    let mixed = u32::from(source) * u32::from(alpha) + u32::from(*target) * (255 - u32::from(alpha));
                    *target = (mixed / 255) as u8;
                }
            }
        }
    }

    /// Returns the pixels as 0x00RRGGBB, row by row.
    pub fn pixels(&self) -> impl Iterator<Item = u32> + '_ {
        let pixel = |bytes: &[u8]| u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        self.pixmap.data().chunks_exact(4).map(pixel)
    }

    fn mask(&self) -> Option<Mask> {
        let mut mask = Mask::new(self.pixmap.width(), self.pixmap.height())?;
        let path = rounded(self.clip?, 0.0)?;
        mask.fill_path(&path, FillRule::Winding, false, Transform::identity());
        Some(mask)
    }
}

fn paint(colour: Colour) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(colour[0], colour[1], colour[2], 255);
    paint
}

/// Returns the path of a rectangle with round corners, as four lines and four quarter circles.
fn rounded(area: Area, radius: f32) -> Option<Path> {
    let Area { x, y, width, height } = area;
    let rect = Rect::from_xywh(x, y, width, height)?;
    let radius = radius.min(width / 2.0).min(height / 2.0);
    if radius <= 0.0 {
        return Some(PathBuilder::from_rect(rect));
    }
    // The distance of control points that makes a cubic curve a quarter circle.
    let bend = radius * 0.447_715;
    let (right, bottom) = (rect.right(), rect.bottom());
    let mut path = PathBuilder::new();
    path.move_to(x + radius, y);
    path.line_to(right - radius, y);
    path.cubic_to(right - bend, y, right, y + bend, right, y + radius);
    path.line_to(right, bottom - radius);
    path.cubic_to(right, bottom - bend, right - bend, bottom, right - radius, bottom);
    path.line_to(x + radius, bottom);
    path.cubic_to(x + bend, bottom, x, bottom - bend, x, bottom - radius);
    path.line_to(x, y + radius);
    path.cubic_to(x, y + bend, x + bend, y, x + radius, y);
    path.close();
    path.finish()
}
