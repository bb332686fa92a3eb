//! The progress line: one line on a terminal with the phase, bytes, rate and time left of long
//! work.
//!
//! The line never wraps: fields that do not fit are left out, the least important ones first. It is
//! coloured unless `NO_COLOR` is set. Nothing is shown if the standard error is no terminal.

use console::{Term, style};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write as _;
use std::io::Read;
use std::time::Duration;

/// The time between two drawings.
const TICK: Duration = Duration::from_millis(100);
/// The columns of the bar.
const BAR_COLUMNS: usize = 14;
/// The columns of the longest phases, `downloading` and `compressing`.
const PHASE_COLUMNS: usize = 11;
/// The space between two fields.
const GAP: &str = "  ";

/// A line on the terminal that disappears at its end.
#[derive(Debug)]
pub struct ProgressLine(ProgressBar);

impl ProgressLine {
    /// Begins a phase of unknown length.
    pub fn new(phase: &'static str) -> Self {
        let bar = ProgressBar::no_length();
        // `wide_msg` is cut where the terminal ends.
        let line = ProgressStyle::with_template("{prefix:.cyan}{figures}{wide_msg}");
        let figures = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let columns = usize::from(Term::stderr().size().1);
            // A failed drawing is tried again at the next tick.
            let _ = out.write_str(&Figures::of(state).text(columns.saturating_sub(PHASE_COLUMNS)));
        };
        bar.set_style(line.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("figures", figures));
        let line = Self(bar.with_prefix(padded(phase)));
        if !line.0.is_hidden() {
            line.0.enable_steady_tick(TICK);
        }
        line
    }

    /// Makes a line that is never shown.
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Begins the next phase, whose length is unknown until [`expect`](Self::expect).
    pub fn phase(&self, name: &'static str) {
        self.0.set_prefix(padded(name));
        self.0.unset_length();
        self.0.reset();
    }

    /// Adds bytes to those that the phase processes in all.
    pub fn expect(&self, bytes: u64) {
        self.0.set_length(self.0.length().unwrap_or(0).saturating_add(bytes));
    }

    /// Adds bytes to those that the phase has processed.
    pub fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Shows the current activity, `done` of `total` bytes, and the file in progress.
    pub fn show(&self, activity: &'static str, done: u64, total: u64, file: &str) {
        self.0.set_prefix(padded(activity));
        self.0.set_length(total);
        self.0.set_position(done);
        self.0.set_message(format!("{GAP}{file}"));
    }

    /// Returns a reader that counts the bytes which it passes on.
    pub fn count<R: Read>(&self, reader: R) -> impl Read + use<R> {
        self.0.wrap_read(reader)
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn padded(phase: &str) -> String {
    format!("{phase:<PHASE_COLUMNS$}")
}

/// The numbers of a phase at one moment.
struct Figures {
    done: u64,
    total: Option<u64>,
    /// Bytes per second.
    rate: u64,
    elapsed: Duration,
    left: Duration,
}

impl Figures {
    fn of(state: &ProgressState) -> Self {
        let rate = state.per_sec().clamp(0.0, 1e15);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1e15")]
        let rate = rate as u64;
        Self { done: state.pos(), total: state.len(), rate, elapsed: state.elapsed(), left: state.eta() }
    }

    /// Returns the fields that fit into `room` columns, each with a gap before it.
    fn text(&self, room: usize) -> String {
        let fitting =
            |field: String| if GAP.len() + field.len() <= room { GAP.to_owned() + &field } else { String::new() };
        let Some(total) = self.total.filter(|total| *total > 0) else {
            return fitting(format!("{:#}", HumanDuration(self.elapsed)));
        };
        let mut fields = vec![format!("{} of {}", HumanBytes(self.done), HumanBytes(total))];
        if GAP.len() + fields[0].len() > room {
            return fitting(format!("{}%", u128::from(self.done) * 100 / u128::from(total)));
        }
        if self.rate > 0 {
            fields.push(format!("{}/s", HumanBytes(self.rate)));
            fields.push(format!("{:#} left", HumanDuration(self.left)));
        }
        let (mut text, mut columns) = (String::new(), 0);
        for field in &fields {
            columns += GAP.len() + field.len();
            if columns > room {
                break;
            }
            let _ = write!(text, "{GAP}{field}");
        }
        let is_room_for_bar = columns + GAP.len() + BAR_COLUMNS <= room;
        if is_room_for_bar { format!("{GAP}{}{text}", bar(self.done, total)) } else { text }
    }
}

/// Draws a bar of [`BAR_COLUMNS`] columns.
fn bar(done: u64, total: u64) -> String {
    let share = u128::from(done.min(total)) * BAR_COLUMNS as u128 / u128::from(total.max(1));
    let full = usize::try_from(share).unwrap_or(BAR_COLUMNS);
    let (full, rest) = ("━".repeat(full), "─".repeat(BAR_COLUMNS - full));
    format!("{}{}", style(full).green().for_stderr(), style(rest).dim().for_stderr())
}

/// Returns how much smaller `bytes` is than `full`, in percent rounded down.
pub fn percent_saved(bytes: u64, full: u64) -> u64 {
    let saved = u128::from(full.saturating_sub(bytes)) * 100 / u128::from(full.max(1));
    u64::try_from(saved).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_do_not_fit_are_left_out() {
        let (elapsed, left) = (Duration::from_secs(3), Duration::from_secs(75));
        let figures = Figures { done: 5 << 20, total: Some(20 << 20), rate: 1 << 20, elapsed, left };
        let all = "  5.00 MiB of 20.00 MiB  1.00 MiB/s  75s left";
        assert_eq!(figures.text(200), format!("  {}{all}", bar(1, 4)));
        assert_eq!(figures.text(all.len()), all);
        assert_eq!(figures.text(all.len() - 1), "  5.00 MiB of 20.00 MiB  1.00 MiB/s");
        assert_eq!(figures.text(23), "  5.00 MiB of 20.00 MiB");
        assert_eq!(
            (figures.text(22).as_str(), figures.text(5).as_str(), figures.text(4).as_str()),
            ("  25%", "  25%", "")
        );
        for room in 0..200 {
            assert!(console::measure_text_width(&figures.text(room)) <= room, "{room}");
        }
        let empty = Figures { total: Some(0), ..figures };
        assert_eq!(empty.text(4), "  3s");
        let unknown = Figures { total: None, ..empty };
        assert_eq!((unknown.text(4).as_str(), unknown.text(3).as_str()), ("  3s", ""));
    }

    #[test]
    fn the_bar_is_full_at_the_end_only() {
        let full = |done, total| bar(done, total).matches('━').count();
        assert_eq!([full(0, 10), full(5, 10), full(9, 10), full(10, 10), full(11, 10)], [0, 7, 12, 14, 14]);
        assert_eq!((full(0, 0), full(u64::MAX, u64::MAX)), (0, 14));
    }

    #[test]
    fn the_saved_share_is_rounded_down() {
        assert_eq!(percent_saved(1, 1000), 99);
        assert_eq!((percent_saved(0, 1000), percent_saved(1000, 1000), percent_saved(2000, 1000)), (100, 0, 0));
        assert_eq!(percent_saved(0, 0), 0);
    }
}
