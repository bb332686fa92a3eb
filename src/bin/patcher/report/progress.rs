//! The display of a download's progress: a line on a terminal, or JSON lines for programs.

use super::print_json;
use indicatif::HumanBytes;
use patcher::internal::plain_text::escaped;
use patcher::internal::progress_line::{ProgressLine, percent_saved};
use patcher::{Phase, Progress, ToJson as _, Update};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// The shortest time between two lines.
const LINE_INTERVAL: Duration = Duration::from_millis(50);

/// The display of a download's progress.
pub enum DownloadDisplay {
    /// Nothing is shown.
    Silent,
    /// A line on a terminal.
    Terminal(DownloadLine),
    /// A JSON object for each line.
    Lines(ProgressLines),
}

/// The progress of a download on a terminal.
pub struct DownloadLine {
    line: ProgressLine,
    begun: Instant,
    fetched: u64,
    /// The bytes that first installations of the releases fetch.
    install_size: u64,
}

/// The printer of progress events, at most one in 50 ms.
#[derive(Default)]
pub struct ProgressLines {
    /// The request that the download belongs to; `None` outside of a session and for a watcher.
    request: Option<u64>,
    last: Option<Instant>,
}

impl DownloadDisplay {
    /// Shows the progress of the download.
    pub fn show(&mut self, progress: &Progress) {
        match self {
            DownloadDisplay::Silent => {}
            DownloadDisplay::Terminal(line) => line.show(progress),
            DownloadDisplay::Lines(lines) => lines.print(progress),
        }
    }

    /// Replaces a line on the terminal by what the download has saved.
    pub fn finish(self) {
        if let DownloadDisplay::Terminal(line) = self {
            line.finish();
        }
    }
}

impl DownloadLine {
    /// Begins the line for these updates.
    pub fn new(updates: &[Update]) -> Self {
        let install_size = updates.iter().map(Update::install_size).sum();
        let line = ProgressLine::new("downloading");
        line.expect(updates.iter().map(Update::download_size).sum());
        Self { line, begun: Instant::now(), fetched: 0, install_size }
    }

    fn show(&mut self, progress: &Progress) {
        self.fetched = progress.bytes_done;
        let activity = match progress.phase {
            Phase::Copying => "copying",
            Phase::Patching => "patching",
            _ => "downloading",
        };
        self.line.show(activity, progress.bytes_done, progress.bytes_total, &escaped(progress.path.as_str()));
    }

    fn finish(self) {
        drop(self.line);
        let (fetched, install) = (HumanBytes(self.fetched), HumanBytes(self.install_size));
        let seconds = self.begun.elapsed().as_secs_f64();
        let saved = percent_saved(self.fetched, self.install_size);
        let saved = if saved > 0 { format!(", {saved}% of {install} saved") } else { String::new() };
        // A failure has no effect: the line is for display only.
        let _ = writeln!(std::io::stderr(), "fetched {fetched} in {seconds:.1} s{saved}");
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
