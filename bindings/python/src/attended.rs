//! Work that waits for a network: in a thread, so that the interpreter handles ^C meanwhile.

use crate::errors::exception;
use pyo3::prelude::*;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use updater::{CancelToken, Progress, Result, ToJson as _};

/// The time between two looks at the signals of the process, and between two progress events.
const INTERVAL: Duration = Duration::from_millis(50);

/// The way of progress events from the worker to the thread of the caller.
pub struct ProgressSender {
    sender: Sender<Progress>,
    last: Option<Instant>,
}

impl ProgressSender {
    /// Sends an event, unless the last one was sent less than 50 ms ago.
    pub fn send(&mut self, progress: Progress) {
        let now = Instant::now();
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL) {
            self.last = Some(now);
            // The caller reads until the worker has ended.
            let _ = self.sender.send(progress);
        }
    }
}

/// Does work in a thread. Calls `on_progress` in this one.
///
/// A signal, and an exception of `on_progress`, cancel the work by its token.
pub fn attend<T: Send>(
    py: Python<'_>,
    token: &CancelToken,
    on_progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(ProgressSender) -> Result<T> + Send,
) -> PyResult<T> {
    let (sender, receiver) = channel();
    let receiver = Mutex::new(receiver);
    let mut stopped = None;
    let result = std::thread::scope(|scope| {
        let worker = scope.spawn(move || work(ProgressSender { sender, last: None }));
        loop {
            let received = py.detach(|| match receiver.lock() {
                Ok(receiver) => receiver.recv_timeout(INTERVAL),
                Err(_) => Err(RecvTimeoutError::Disconnected),
            });
            let attended = match received {
                Ok(_) if stopped.is_some() => Ok(()),
                Ok(progress) => {
                    on_progress.map_or(Ok(()), |call| call.call1((progress.to_json().to_string(),)).map(drop))
                }
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if let Err(error) = attended.and_then(|()| py.check_signals()) {
                token.cancel();
                stopped.get_or_insert(error);
            }
        }
        py.detach(|| worker.join())
    });
    let result = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    match stopped {
        Some(error) => Err(error),
        None => result.map_err(|error| exception(py, &error)),
    }
}
