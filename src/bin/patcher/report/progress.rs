//! The display of a download's progress: a bar on a terminal, or JSON lines for programs.

use super::print_json;
use indicatif::{ProgressBar, ProgressStyle};
use patcher::internal::plain_text::escaped;
use patcher::{Progress, ToJson as _, Update};
use std::time::{Duration, Instant};

/// The shortest time between two lines.
const LINE_INTERVAL: Duration = Duration::from_millis(50);

/// The display of a download's progress.
pub enum DownloadDisplay {
    /// Nothing is shown.
    Silent,
    /// A bar on a terminal.
    Bar(ProgressBar),
    /// A JSON object for each line.
    Lines(ProgressLines),
}

/// The printer of progress events, at most one in 50 ms.
#[derive(Default)]
pub struct ProgressLines {
    /// The request that the download belongs to; `None` outside of a session and for a watcher.
    request: Option<u64>,
    last: Option<Instant>,
}

impl DownloadDisplay {
    /// Begins a bar for these updates.
    pub fn bar(updates: &[Update]) -> Self {
        let bar = ProgressBar::new(updates.iter().map(Update::download_size).sum());
        let template = "{bar:30} {bytes:>10} of {total_bytes}  {bytes_per_sec:>12}  {eta:>4}  {wide_msg}";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        DownloadDisplay::Bar(bar)
    }

    /// Shows the progress of the download.
    pub fn show(&mut self, progress: &Progress) {
        match self {
            DownloadDisplay::Silent => {}
            DownloadDisplay::Bar(bar) => {
                bar.set_length(progress.bytes_total);
                bar.set_position(progress.bytes_done);
                bar.set_message(escaped(progress.path.as_str()).into_owned());
            }
            DownloadDisplay::Lines(lines) => lines.print(progress),
        }
    }

    /// Removes the display.
    pub fn end(&self) {
        if let DownloadDisplay::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl ProgressLines {
    /// Makes a printer for the download of a request.
    pub fn of_request(id: u64) -> Self {
        Self { request: Some(id), last: None }
    }

    /// Prints an event, unless the last one was printed less than 50 ms ago.
    pub fn print(&mut self, progress: &Progress) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < LINE_INTERVAL) {
            return;
        }
        self.last = Some(now);
        let mut object = progress.to_json();
        if let Some(id) = self.request {
            object["id"] = id.into();
        }
        print_json(&object);
    }
}
