//! Paints a scene.

use super::canvas::{Area, Canvas};
use super::palette::Palette;
use super::scene::{ButtonItem, FocusStop, NotesScene, Scene, SceneItemKind};
use super::text::TextEngine;
use crate::page::ButtonRank;

/// The parts of the picture that the user changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pointing {
    /// The stop with the focus.
    pub focus: FocusStop,
    /// `true` if the focus shows: after a key was used.
    pub shows_focus: bool,
    /// The stop under the pointer.
    pub hover: Option<FocusStop>,
    /// The distance by which the notes are scrolled down, in physical pixels.
    pub scroll: f32,
    /// The place of the moving part of a progress bar without a share, from 0 to 1.
    pub motion: f32,
}

/// Paints scenes with the colours of a theme.
pub struct Painter<'a> {
    /// The pixels.
    pub canvas: &'a mut Canvas,
    /// The fonts.
    pub engine: &'a mut TextEngine,
    /// The colours.
    pub palette: Palette,
    /// The physical pixels of a logical one.
    pub scale: f32,
    /// `true` if the page is laid out from right to left.
    pub is_rtl: bool,
}

impl Painter<'_> {
    /// Paints a scene.
    pub fn paint(&mut self, scene: &Scene, pointing: &Pointing) {
        let palette = self.palette;
        self.canvas.clear(palette.ground);
        for item in &scene.items {
            match &item.kind {
                SceneItemKind::Heading(text) | SceneItemKind::Text(text) | SceneItemKind::Status(text) => {
                    self.engine.paint(self.canvas, text, item.area.x, item.area.y, &palette);
                }
                SceneItemKind::Progress { share, .. } => self.progress(item.area, *share, pointing.motion),
            }
        }
        if let Some(notes) = &scene.notes {
            self.notes(notes, pointing);
        }
        for (index, button) in scene.buttons.iter().enumerate() {
            let stop = FocusStop::Button(index);
            self.button(button, pointing.hover == Some(stop), pointing.shows_focus && pointing.focus == stop);
        }
    }

    fn progress(&mut self, area: Area, share: Option<f64>, motion: f32) {
        let radius = area.height / 2.0;
        self.canvas.fill(area, radius, self.palette.track);
        let (from, to) = match share {
            Some(share) => (0.0, share as f32),
            None => (motion * 0.7, motion * 0.7 + 0.3),
        };
        let (x, width) = (area.width * from, area.width * (to - from));
        if width < 1.0 {
            return;
        }
        let x = if self.is_rtl { area.right() - x - width } else { area.x + x };
        self.canvas.fill(Area::new(x, area.y, width.max(area.height), area.height), radius, self.palette.accent);
    }

    fn notes(&mut self, notes: &NotesScene, pointing: &Pointing) {
        let (view, palette, line) = (notes.viewport, self.palette, self.scale.round().max(1.0));
        let radius = 8.0 * self.scale;
        self.canvas.fill(view, radius, palette.sheet);
        self.canvas.clip(Some(view.grown(-line)));
        for (index, block) in notes.blocks.iter().enumerate() {
            let area = block.area.moved(view.x, view.y - pointing.scroll);
            if area.bottom() < view.y || area.y > view.bottom() {
                continue;
            }
            self.engine.paint(self.canvas, &block.text, area.x, area.y, &palette);
            if let Some((marker, place)) = &block.marker {
                let place = place.moved(view.x, view.y - pointing.scroll);
                self.engine.paint(self.canvas, marker, place.x, place.y, &palette);
            }
            for link in 0..block.text.links.len() {
                if pointing.shows_focus && pointing.focus == (FocusStop::Link { block: index, link }) {
                    for area in notes.link_areas(index, link) {
                        let area = area.moved(view.x, view.y - pointing.scroll).grown(line);
                        self.canvas.outline(area, 3.0 * self.scale, 2.0 * line, palette.accent);
                    }
                }
            }
        }
        self.scroll_bar(notes, pointing.scroll);
        self.canvas.clip(None);
        let is_focused = pointing.shows_focus && pointing.focus == FocusStop::Notes;
        let (edge, width) = if is_focused { (palette.accent, 2.0 * line) } else { (palette.edge, line) };
        self.canvas.outline(view, radius, width, edge);
    }

    fn scroll_bar(&mut self, notes: &NotesScene, scroll: f32) {
        let view = notes.viewport;
        if notes.content_height <= view.height {
            return;
        }
        let (inset, width) = (3.0 * self.scale, 5.0 * self.scale);
        let track = view.height - 2.0 * inset;
        let height = (track * view.height / notes.content_height).max(24.0 * self.scale);
        let travel = scroll / (notes.content_height - view.height);
        let x = if self.is_rtl { view.x + inset } else { view.right() - inset - width };
        let bar = Area::new(x, view.y + inset + (track - height) * travel, width, height);
        self.canvas.fill(bar, width / 2.0, self.palette.track);
    }

    fn button(&mut self, button: &ButtonItem, is_hovered: bool, is_focused: bool) {
        let palette = self.palette;
        let ground = match (button.rank, is_hovered) {
            (ButtonRank::Primary, false) => palette.accent,
            (ButtonRank::Primary, true) => palette.accent_hover,
            (ButtonRank::Plain | ButtonRank::Apart, false) => palette.button,
            (ButtonRank::Plain | ButtonRank::Apart, true) => palette.button_hover,
        };
        let (area, radius) = (button.area, 6.0 * self.scale);
        self.canvas.fill(area, radius, ground);
        if is_focused {
            // The ring has a gap, so that it shows around a button of the same colour.
            let (gap, width) = (2.0 * self.scale, (2.0 * self.scale).round());
            self.canvas.outline(area.grown(gap + width), radius + gap + width, width, palette.accent);
        }
        let x = area.x + (area.width - button.label.width) / 2.0;
        let y = area.y + (area.height - button.label.height) / 2.0;
        self.engine.paint(self.canvas, &button.label, x, y, &palette);
    }
}
