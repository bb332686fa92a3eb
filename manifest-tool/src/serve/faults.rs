//! The faults that the server makes on purpose.

use std::time::Duration;

/// The faults of a server; none by default.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Only files whose path contains this text have the faults.
    pub only: Option<String>,
    /// The highest rate of an answer, in bytes per second.
    pub rate: Option<u64>,
    /// Each connection ends after this many bytes of the file.
    pub cut_off: Option<u64>,
    /// Every answer has this HTTP status and no content.
    pub status: Option<u16>,
    /// The server sends the whole file where a client asks for a range.
    pub ignore_ranges: bool,
    /// The server sends another range than the client asks for.
    pub wrong_ranges: bool,
    /// The server changes a byte in each 1,000 bytes of a file.
    pub damage: bool,
}

impl Faults {
    /// Returns the faults for a path: these, or none.
    pub fn for_path(&self, path: &str) -> &Self {
        const NONE: &Faults = &Faults {
            only: None,
            rate: None,
            cut_off: None,
            status: None,
            ignore_ranges: false,
            wrong_ranges: false,
            damage: false,
        };
        if self.only.as_ref().is_none_or(|text| path.contains(text)) { self } else { NONE }
    }

    /// Returns the size of a piece at this rate: ten pieces per second, but at most `most` bytes.
    pub fn piece_bytes(&self, most: usize) -> usize {
        let tenth = self.rate.map_or(most, |rate| usize::try_from(rate / 10).unwrap_or(most));
        tenth.clamp(1, most)
    }

    /// Returns the pause after a piece of this many bytes.
    pub fn pause(&self, bytes: usize) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64))
    }
}

/// Changes the bytes of a piece whose offset in the file is 500, 1,500, and so on.
pub fn damage(piece: &mut [u8], offset: u64) {
    for (byte, at) in piece.iter_mut().zip(offset..) {
        if at % 1000 == 500 {
            *byte ^= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_can_be_limited_to_some_files() {
        let faults = Faults { only: Some(".update".to_owned()), status: Some(503), ..Faults::default() };
        assert_eq!(faults.for_path("/core/objects/ab/ab12.update").status, Some(503));
        assert_eq!(faults.for_path("/core/latest.xml").status, None);
    }

    #[test]
    fn a_rate_makes_small_pieces_with_pauses() {
        let slow = Faults { rate: Some(1000), ..Faults::default() };
        assert_eq!((slow.piece_bytes(4096), slow.pause(100)), (100, Duration::from_millis(100)));
        let fast = Faults::default();
        assert_eq!((fast.piece_bytes(4096), fast.pause(4096)), (4096, Duration::ZERO));
    }

    #[test]
    fn damage_is_at_the_same_places_in_each_piece() {
        let mut whole = vec![0; 3000];
        damage(&mut whole, 0);
        let mut pieces = vec![0; 3000];
        pieces.chunks_mut(700).zip((0..).step_by(700)).for_each(|(piece, at)| damage(piece, at));
        assert_eq!(whole, pieces);
        assert_eq!(whole.iter().filter(|byte| **byte == 1).count(), 3);
    }
}
