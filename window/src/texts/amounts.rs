//! Amounts in the user's language: bytes, rates and times.

use super::{TextKey, Texts};

/// The state of a download at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferProgress {
    /// `true` while bytes arrive; `false` while files are copied or made from deltas.
    pub is_downloading: bool,
    /// The bytes fetched so far.
    pub bytes: u64,
    /// The bytes to fetch in all.
    pub bytes_total: u64,
    /// The bytes per second; 0 until the rate is known.
    pub rate: u64,
    /// The seconds left, if they are known.
    pub seconds_left: Option<u64>,
}

impl TransferProgress {
    /// Returns the finished share of the download, from 0 to 1.
    pub fn share(&self) -> f64 {
        if self.bytes_total == 0 { 0.0 } else { (self.bytes as f64 / self.bytes_total as f64).min(1.0) }
    }
}

impl Texts {
    /// Returns an amount of bytes in powers of 1000, with one digit after the point below 100.
    pub fn size(&self, bytes: u64) -> String {
        let (key, unit) = match bytes {
            0..1_000 => return self.filled(TextKey::Bytes, &[("count", &bytes.to_string())]),
            1_000..1_000_000 => (TextKey::Kilobytes, 1e3),
            1_000_000..1_000_000_000 => (TextKey::Megabytes, 1e6),
            _ => (TextKey::Gigabytes, 1e9),
        };
        let count = bytes as f64 / unit;
        let digits = usize::from(count < 99.95);
        let count = format!("{count:.digits$}").replace('.', self.text(TextKey::DecimalSign));
        self.filled(key, &[("count", &count)])
    }

    /// Returns the line below a progress bar: bytes, rate and time left, as far as they are known.
    pub fn progress(&self, progress: &TransferProgress) -> String {
        if progress.bytes_total == 0 || !progress.is_downloading && progress.bytes >= progress.bytes_total {
            return self.text(TextKey::Preparing).to_owned();
        }
        let (done, total) = (self.size(progress.bytes), self.size(progress.bytes_total));
        let mut line = vec![self.filled(TextKey::DoneOf, &[("done", &done), ("total", &total)])];
        if progress.rate > 0 {
            line.push(self.filled(TextKey::Rate, &[("size", &self.size(progress.rate))]));
        }
        if let Some(seconds) = progress.seconds_left {
            let (key, count) = match seconds {
                0..90 => (TextKey::SecondsLeft, seconds),
                90..5400 => (TextKey::MinutesLeft, seconds.div_ceil(60)),
                _ => (TextKey::HoursLeft, seconds.div_ceil(3600)),
            };
            line.push(self.filled(key, &[("count", &count.to_string())]));
        }
        line.join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use super::{Texts, TransferProgress};

    #[test]
    fn sizes_have_two_or_three_digits() {
        let texts = Texts::new(["en"]);
        for (bytes, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100 kB"),
            (1_081_454, "1.1 MB"),
            (999_999_999, "1000 MB"),
            (2_500_000_000, "2.5 GB"),
        ] {
            assert_eq!(texts.size(bytes), text);
        }
        assert_eq!(Texts::new(["fr"]).size(1_081_454), "1,1 Mo");
    }

    #[test]
    fn a_line_of_progress_says_what_is_known() {
        let texts = Texts::new(["en"]);
        let mut progress =
            TransferProgress { is_downloading: true, bytes: 500_000, bytes_total: 2_000_000, ..Default::default() };
        assert_eq!(texts.progress(&progress), "500 kB of 2.0 MB");
        (progress.rate, progress.seconds_left) = (300_000, Some(5));
        assert_eq!(texts.progress(&progress), "500 kB of 2.0 MB · 300 kB per second · 5 s left");
        progress.seconds_left = Some(91);
        assert!(texts.progress(&progress).ends_with("2 min left"));
        progress.seconds_left = Some(7201);
        assert!(texts.progress(&progress).ends_with("3 h left"));
        progress = TransferProgress { bytes: 9, bytes_total: 9, ..Default::default() };
        assert_eq!(texts.progress(&progress), "Preparing files…");
    }

    #[test]
    fn a_share_is_at_most_one() {
        let share = |bytes, bytes_total| TransferProgress { bytes, bytes_total, ..Default::default() }.share();
        assert_eq!((share(0, 0), share(1, 2), share(3, 2)), (0.0, 0.5, 1.0));
    }
}
