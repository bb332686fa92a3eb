//! The input of the user: keys, the pointer, and the actions of a screen reader.

use super::View;
use super::access::stop_of;
use super::scene::FocusStop;
use crate::story::{Choice, StoryEvent};
use accesskit::{Action, ActionRequest};
use winit::event::ElementState;
use winit::event_loop::ActiveEventLoop;
use winit::keyboard::{Key, NamedKey};
use winit::window::CursorIcon;

/// The distance of one step of the arrow keys, in logical pixels.
pub const STEP: f32 = 42.0;

impl View {
    /// Carries out the choice of a stop.
    pub(super) fn activate(&mut self, event_loop: &ActiveEventLoop, stop: FocusStop) {
        let Some(shown) = &mut self.shown else { return };
        let choice = match stop {
            FocusStop::Button(index) => shown.page.buttons.get(index).map(|button| button.choice.clone()),
            FocusStop::Link { block, link } => {
                let notes = shown.scene.notes.as_ref();
                let link = notes.and_then(|notes| notes.blocks.get(block)?.text.links.get(link));
                link.map(|(_, address)| Choice::OpenLink(address.clone()))
            }
            FocusStop::Notes => None,
        };
        if let Some(choice) = choice {
            self.take(event_loop, StoryEvent::Chosen(choice));
        }
    }

    pub(super) fn focus(&mut self, stop: FocusStop) {
        let Some(shown) = &mut self.shown else { return };
        shown.pointing.focus = stop;
        shown.pointing.scroll = shown.scene.scroll_to(stop, shown.pointing.scroll);
        shown.window.request_redraw();
        self.update_tree();
    }

    pub(super) fn scroll(&mut self, by: f32) {
        let Some(shown) = &mut self.shown else { return };
        let scroll = (shown.pointing.scroll + by).clamp(0.0, shown.scene.max_scroll());
        if scroll != shown.pointing.scroll {
            shown.pointing.scroll = scroll;
            shown.window.request_redraw();
            self.update_tree();
        }
    }

    pub(super) fn press(&mut self, event_loop: &ActiveEventLoop, key: &Key) {
        let Some(shown) = &mut self.shown else { return };
        let (focus, escape) = (shown.pointing.focus, shown.page.escape.clone());
        let step = STEP * shown.frame.scale;
        let view_height = shown.scene.notes.as_ref().map_or(0.0, |notes| notes.viewport.height);
        let Key::Named(key) = key else { return };
        match key {
            NamedKey::Escape => self.take(event_loop, StoryEvent::Chosen(escape)),
            NamedKey::Tab => {
                let stops = shown.scene.stops();
                let at = stops.iter().position(|stop| *stop == focus).unwrap_or_default();
                let next = if shown.is_shift_down { at + stops.len() - 1 } else { at + 1 };
                shown.pointing.shows_focus = true;
                if let Some(stop) = stops.get(next % stops.len().max(1)) {
                    self.focus(*stop);
                }
            }
            NamedKey::Enter if focus == FocusStop::Notes => self.activate(event_loop, FocusStop::Button(0)),
            NamedKey::Enter | NamedKey::Space => self.activate(event_loop, focus),
            NamedKey::ArrowDown => self.scroll(step),
            NamedKey::ArrowUp => self.scroll(-step),
            NamedKey::PageDown => self.scroll(view_height - step),
            NamedKey::PageUp => self.scroll(step - view_height),
            NamedKey::Home => self.scroll(f32::MIN),
            NamedKey::End => self.scroll(f32::MAX),
            _ => {}
        }
    }

    pub(super) fn act(&mut self, event_loop: &ActiveEventLoop, request: &ActionRequest) {
        let Some(stop) = stop_of(request.target_node) else { return };
        let page = self.shown.as_ref().and_then(|shown| Some(shown.scene.notes.as_ref()?.viewport.height));
        match request.action {
            Action::Click => self.activate(event_loop, stop),
            Action::Focus | Action::ScrollIntoView => self.focus(stop),
            Action::ScrollDown => self.scroll(page.unwrap_or_default()),
            Action::ScrollUp => self.scroll(-page.unwrap_or_default()),
            _ => {}
        }
    }

    pub(super) fn point(&mut self, x: f32, y: f32) {
        let Some(shown) = &mut self.shown else { return };
        shown.pointer = (x, y);
        let hover = shown.scene.stop_at(x, y, shown.pointing.scroll);
        if hover != shown.pointing.hover {
            let is_link = matches!(hover, Some(FocusStop::Link { .. }));
            shown.window.set_cursor(if is_link { CursorIcon::Pointer } else { CursorIcon::Default });
            shown.pointing.hover = hover;
            shown.window.request_redraw();
        }
    }

    pub(super) fn click(&mut self, event_loop: &ActiveEventLoop, state: ElementState) {
        let Some(shown) = &mut self.shown else { return };
        let stop = shown.pointing.hover;
        match state {
            ElementState::Pressed => {
                shown.pressed = stop;
                shown.pointing.shows_focus = false;
                if let Some(stop) = stop {
                    self.focus(stop);
                }
            }
            ElementState::Released => {
                let pressed = shown.pressed.take();
                if let Some(stop) = stop.filter(|_| pressed == stop) {
                    self.activate(event_loop, stop);
                }
            }
        }
    }
}
