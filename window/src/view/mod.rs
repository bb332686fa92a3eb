//! The window: it shows the story's state, and passes keys, clicks and the screen reader's actions
//! on as choices.

mod access;
mod appearance;
mod canvas;
mod input;
mod paint;
mod palette;
mod scene;
mod text;

pub use appearance::desktop_is_dark;

use crate::outcome::WindowOutcome;
use crate::page::{Page, PageNames};
use crate::story::{Story, StoryEffect, StoryEvent, StoryState};
use crate::texts::Texts;
use access::{TreeFacts, tree};
use accesskit_winit::Adapter;
use canvas::Canvas;
use input::STEP;
use paint::{Painter, Pointing};
use palette::{DARK, LIGHT};
use scene::{FocusStop, Frame, Scene};
use serde_json::Value;
use softbuffer::{Context, Surface};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::{Duration, Instant};
use text::TextEngine;
use winit::application::ApplicationHandler;
use winit::dpi::{LogicalSize, PhysicalSize};
use winit::event::{ElementState, KeyEvent, MouseButton, MouseScrollDelta, StartCause, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoopProxy};
use winit::window::{Window, WindowId};

/// The width of the window in logical pixels.
const WIDTH: f64 = 520.0;
/// The height until the first page is laid out.
const HEIGHT: f64 = 190.0;
/// The smallest size that the user can give the window.
const MIN_SIZE: LogicalSize<f64> = LogicalSize::new(320.0, 160.0);
/// The time between two pictures of a moving progress bar.
const MOTION_INTERVAL: Duration = Duration::from_millis(50);
/// The time in which the moving part crosses the progress bar once.
const MOTION_PERIOD: Duration = Duration::from_millis(1600);

/// An event from outside of the window.
#[derive(Debug)]
pub enum ViewEvent {
    /// An event of the session.
    Story(StoryEvent),
    /// An event of the screen reader.
    Access(accesskit_winit::Event),
    /// The desktop is dark, or light.
    Dark(bool),
}

impl From<accesskit_winit::Event> for ViewEvent {
    fn from(event: accesskit_winit::Event) -> Self {
        Self::Access(event)
    }
}

/// The settings of the view.
pub struct ViewSettings {
    /// The name of the program.
    pub name: Option<String>,
    /// The name if neither the program nor a release gives one.
    pub fallback_name: String,
    /// The path of the helper's log.
    pub log: String,
    /// The texts.
    pub texts: Texts,
    /// The colours; `None` if they follow the desktop.
    pub is_dark: Option<bool>,
    /// `true` if no window appears without an update.
    pub if_available: bool,
}

/// The view of a story.
pub struct View {
    settings: ViewSettings,
    story: Story,
    send: Box<dyn FnMut(&Value)>,
    proxy: EventLoopProxy<ViewEvent>,
    is_dark: bool,
    engine: TextEngine,
    shown: Option<ShownWindow>,
    outcome: Option<WindowOutcome>,
}

/// A window on the screen.
struct ShownWindow {
    window: Rc<Window>,
    surface: Surface<Rc<Window>, Rc<Window>>,
    adapter: Adapter,
    page: Page,
    scene: Scene,
    frame: Frame,
    pointing: Pointing,
    /// The position of the pointer in physical pixels.
    pointer: (f32, f32),
    /// The stop at which the button of the pointer went down.
    pressed: Option<FocusStop>,
    is_shift_down: bool,
    since: Instant,
}

impl View {
    /// Makes the view of a story, whose first effects are carried out.
    pub fn new(
        settings: ViewSettings,
        (story, effects): (Story, Vec<StoryEffect>),
        send: Box<dyn FnMut(&Value)>,
        proxy: EventLoopProxy<ViewEvent>,
    ) -> Self {
        let is_dark = settings.is_dark.unwrap_or_default();
        let engine = TextEngine::new();
        let mut view = Self { settings, story, send, proxy, is_dark, engine, shown: None, outcome: None };
        view.carry_out(effects);
        view
    }

    /// Returns the outcome, after the event loop has ended.
    pub fn into_outcome(self) -> WindowOutcome {
        self.outcome.unwrap_or(WindowOutcome::Later)
    }

    fn page(&self) -> Page {
        let ViewSettings { name, fallback_name, log, texts, .. } = &self.settings;
        Page::of(&self.story, texts, &PageNames { program: name.as_deref(), fallback: fallback_name, log })
    }

    fn take(&mut self, event_loop: &ActiveEventLoop, event: StoryEvent) {
        let effects = self.story.take(event);
        self.carry_out(effects);
        if self.settings.if_available && self.shown.is_none() && self.outcome.is_none() {
            match self.story.state() {
                StoryState::Checking => {}
                StoryState::UpToDate => self.outcome = Some(WindowOutcome::UpToDate),
                StoryState::Failed(error) => self.outcome = Some(WindowOutcome::Failed(error.clone())),
                _ => self.show(event_loop),
            }
        }
        if self.outcome.is_some() {
            event_loop.exit();
            return;
        }
        self.refresh();
    }

    fn carry_out(&mut self, effects: Vec<StoryEffect>) {
        for effect in effects {
            match effect {
                StoryEffect::Send(request) => (self.send)(&request),
                StoryEffect::OpenLink(address) => in_thread(move || opener::open_browser(address)),
                StoryEffect::ShowLog => {
                    let log = self.settings.log.clone();
                    in_thread(move || opener::open(log));
                }
                StoryEffect::End(outcome) => self.outcome = Some(outcome),
            }
        }
    }

    fn show(&mut self, event_loop: &ActiveEventLoop) {
        match self.open(event_loop) {
            Ok(shown) => {
                self.shown = Some(shown);
                self.fit();
                if let Some(shown) = &self.shown {
                    shown.window.set_visible(true);
                    shown.window.request_redraw();
                }
            }
            Err(message) => {
                self.outcome = Some(WindowOutcome::wrong_call(format!("the window cannot be shown: {message}")));
                event_loop.exit();
            }
        }
    }

    fn open(&mut self, event_loop: &ActiveEventLoop) -> Result<ShownWindow, Box<dyn std::error::Error>> {
        let page = self.page();
        // The adapter of the screen reader must exist before the window is visible.
        let attributes = Window::default_attributes()
            .with_title(page.title.as_str())
            .with_inner_size(LogicalSize::new(WIDTH, HEIGHT))
            .with_min_inner_size(MIN_SIZE)
            .with_visible(false);
        let window = Rc::new(event_loop.create_window(attributes)?);
        if self.settings.is_dark.is_none()
            && let Some(theme) = window.theme()
        {
            self.is_dark = theme == winit::window::Theme::Dark;
        }
        let adapter = Adapter::with_event_loop_proxy(event_loop, &window, self.proxy.clone());
        let surface = Surface::new(&Context::new(window.clone())?, window.clone())?;
        let frame = self.frame(window.inner_size(), window.scale_factor());
        let scene = Scene::new(&page, frame, &mut self.engine);
        let focus = FocusStop::Button(0);
        let pointing = Pointing { focus, shows_focus: false, hover: None, scroll: 0.0, motion: 0.0 };
        Ok(ShownWindow {
            window,
            surface,
            adapter,
            page,
            scene,
            frame,
            pointing,
            pointer: (-1.0, -1.0),
            pressed: None,
            is_shift_down: false,
            since: Instant::now(),
        })
    }

    fn frame(&self, size: PhysicalSize<u32>, scale: f64) -> Frame {
        Frame {
            width: size.width as f32,
            height: size.height as f32,
            scale: scale as f32,
            is_rtl: self.settings.texts.is_rtl(),
            language: self.settings.texts.tag(),
        }
    }

    /// Shows the page of the state, if it is another one.
    fn refresh(&mut self) {
        let page = self.page();
        let Some(shown) = &mut self.shown else { return };
        if shown.page == page {
            return;
        }
        let has_other_buttons = shown.page.buttons != page.buttons;
        shown.page = page;
        self.lay_out();
        if has_other_buttons && let Some(shown) = &mut self.shown {
            // The first button, which is the recommended one, has the focus on a new page.
            shown.pointing.focus = FocusStop::Button(0);
            shown.pointing.scroll = 0.0;
            shown.pressed = None;
            self.fit();
        }
        self.update_tree();
    }

    /// Gives the parts of the page their places again.
    fn lay_out(&mut self) {
        let Some(shown) = &mut self.shown else { return };
        shown.scene = Scene::new(&shown.page, shown.frame, &mut self.engine);
        shown.pointing.scroll = shown.pointing.scroll.clamp(0.0, shown.scene.max_scroll());
        shown.pointing.hover = shown.scene.stop_at(shown.pointer.0, shown.pointer.1, shown.pointing.scroll);
        shown.window.request_redraw();
    }

    /// Gives the window the height that the page needs.
    fn fit(&mut self) {
        let Some(shown) = &mut self.shown else { return };
        let wanted = PhysicalSize::new(shown.frame.width as u32, shown.scene.wanted_height.ceil() as u32);
        if let Some(size) = shown.window.request_inner_size(wanted) {
            let scale = shown.window.scale_factor();
            self.resize(size, scale);
        }
    }

    fn resize(&mut self, size: PhysicalSize<u32>, scale: f64) {
        let frame = self.frame(size, scale);
        let Some(shown) = &mut self.shown else { return };
        if shown.frame != frame {
            shown.frame = frame;
            self.lay_out();
            self.update_tree();
        }
    }

    fn update_tree(&mut self) {
        let Some(shown) = &mut self.shown else { return };
        let facts = TreeFacts {
            title: &shown.page.title,
            language: shown.frame.language,
            is_rtl: shown.frame.is_rtl,
            focus: shown.pointing.focus,
            scroll: shown.pointing.scroll,
        };
        let scene = &shown.scene;
        shown.adapter.update_if_active(|| tree(scene, &facts));
    }

    fn redraw(&mut self) {
        let Some(shown) = &mut self.shown else { return };
        let (width, height) = (shown.frame.width as u32, shown.frame.height as u32);
        let (Some(mut canvas), Some(columns), Some(rows)) =
            (Canvas::new(width, height), NonZeroU32::new(width), NonZeroU32::new(height))
        else {
            return;
        };
        shown.pointing.motion = motion(shown.since.elapsed());
        let palette = if self.is_dark { DARK } else { LIGHT };
        let (scale, is_rtl) = (shown.frame.scale, shown.frame.is_rtl);
        Painter { canvas: &mut canvas, engine: &mut self.engine, palette, scale, is_rtl }
            .paint(&shown.scene, &shown.pointing);
        // A picture that cannot be shown is replaced by the next one.
        if shown.surface.resize(columns, rows).is_err() {
            return;
        }
        let Ok(mut buffer) = shown.surface.buffer_mut() else { return };
        buffer.iter_mut().zip(canvas.pixels()).for_each(|(target, pixel)| *target = pixel);
        shown.window.pre_present_notify();
        let _ = buffer.present();
    }
}

impl ApplicationHandler<ViewEvent> for View {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.shown.is_none() && !self.settings.if_available {
            self.show(event_loop);
        }
    }

    fn new_events(&mut self, _: &ActiveEventLoop, cause: StartCause) {
        if let (StartCause::ResumeTimeReached { .. }, Some(shown)) = (cause, &self.shown) {
            shown.window.request_redraw();
        }
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        let moves = self.shown.is_some() && matches!(self.story.state(), StoryState::Checking);
        let next = Instant::now() + MOTION_INTERVAL;
        event_loop.set_control_flow(if moves { ControlFlow::WaitUntil(next) } else { ControlFlow::Wait });
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, event: ViewEvent) {
        match event {
            ViewEvent::Story(event) => self.take(event_loop, event),
            ViewEvent::Dark(is_dark) => {
                self.is_dark = self.settings.is_dark.unwrap_or(is_dark);
                if let Some(shown) = &self.shown {
                    shown.window.request_redraw();
                }
            }
            ViewEvent::Access(event) => match event.window_event {
                accesskit_winit::WindowEvent::InitialTreeRequested => self.update_tree(),
                accesskit_winit::WindowEvent::ActionRequested(request) => self.act(event_loop, &request),
                accesskit_winit::WindowEvent::AccessibilityDeactivated => {}
            },
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(shown) = &mut self.shown else { return };
        shown.adapter.process_event(&shown.window, &event);
        let scale = shown.window.scale_factor();
        match event {
            WindowEvent::CloseRequested => {
                let escape = shown.page.escape.clone();
                self.take(event_loop, StoryEvent::Chosen(escape));
            }
            WindowEvent::Resized(size) => self.resize(size, scale),
            WindowEvent::ScaleFactorChanged { scale_factor, .. } => {
                let size = shown.window.inner_size();
                self.resize(size, scale_factor);
            }
            WindowEvent::ThemeChanged(theme) => {
                self.is_dark = self.settings.is_dark.unwrap_or(theme == winit::window::Theme::Dark);
                shown.window.request_redraw();
            }
            WindowEvent::RedrawRequested => self.redraw(),
            WindowEvent::ModifiersChanged(modifiers) => shown.is_shift_down = modifiers.state().shift_key(),
            WindowEvent::KeyboardInput {
                event: KeyEvent { logical_key, state: ElementState::Pressed, .. },
                is_synthetic: false,
                ..
            } => self.press(event_loop, &logical_key),
            WindowEvent::CursorMoved { position, .. } => self.point(position.x as f32, position.y as f32),
            WindowEvent::CursorLeft { .. } => self.point(-1.0, -1.0),
            WindowEvent::MouseInput { state, button: MouseButton::Left, .. } => self.click(event_loop, state),
            WindowEvent::MouseWheel { delta, .. } => self.scroll(match delta {
                MouseScrollDelta::LineDelta(_, lines) => -lines * STEP * scale as f32,
                MouseScrollDelta::PixelDelta(distance) => -distance.y as f32,
            }),
            _ => {}
        }
    }
}

/// Runs `open` in a thread, because it may wait for the desktop. A failure has no effect.
fn in_thread<T>(open: impl FnOnce() -> T + Send + 'static) {
    std::thread::spawn(move || drop(open()));
}

/// Returns the position of the moving part of a progress bar, which goes to the end and back.
fn motion(elapsed: Duration) -> f32 {
    let turn = elapsed.as_secs_f32() / MOTION_PERIOD.as_secs_f32() % 2.0;
    if turn < 1.0 { turn } else { 2.0 - turn }
}
