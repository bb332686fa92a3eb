//! Events on their way from a thread of the library to Node's event loop.

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use std::time::{Duration, Instant};
use updater::{Progress, ToJson};

/// The shortest time between two progress events: 20 in a second.
const INTERVAL: Duration = Duration::from_millis(50);

/// A function of JavaScript that gets JSON. It does not keep the process alive.
pub type Callback = ThreadsafeFunction<String, (), String, Status, false, true, 16>;

/// Sends events to a function of JavaScript. At most 16 of them wait for the event loop.
pub struct EventSender {
    callback: Option<Callback>,
    last: Option<Instant>,
    /// `true` if the last progress had all bytes.
    was_complete: bool,
}

impl EventSender {
    /// Makes a sender. Without a function it sends nothing.
    pub fn new(callback: Option<Callback>) -> Self {
        Self { callback, last: None, was_complete: false }
    }

    /// Sends a progress event, unless the last one is less than 50 ms old or the event loop is
    /// blocked. The first one with all bytes is always due, so that a bar reaches its end.
    pub fn send_progress(&mut self, progress: &Progress) {
        let now = Instant::now();
        let is_complete = progress.bytes_done >= progress.bytes_total;
        let completes = is_complete && !self.was_complete;
        self.was_complete = is_complete;
        if completes || self.last.is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL) {
            self.last = Some(now);
            self.call(progress, ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    /// Sends an event. While the event loop is blocked, it waits.
    pub fn send(&self, event: &impl ToJson) {
        self.call(event, ThreadsafeFunctionCallMode::Blocking);
    }

    fn call(&self, event: &impl ToJson, mode: ThreadsafeFunctionCallMode) {
        if let Some(callback) = &self.callback {
            // A process that ends takes no events.
            let _ = callback.call(event.to_json().to_string(), mode);
        }
    }
}
