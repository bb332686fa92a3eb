//! Match search: the longest earlier string that equals the bytes ahead.

use super::parameters::Effort;
use super::symbols::MAX_MATCH;
use super::window::{MAX_DISTANCE_BYTES, Window};

/// A match at the current position.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackReference {
    /// Its length in bytes. The search returns `shorter_than` or less if it finds none.
    pub length: usize,
    /// The number of bytes from its start to the position.
    pub distance: usize,
}

/// Searches the chain that starts at `candidate` for a match longer than `at_least` bytes.
///
/// The first longest match wins. Without a longer match, the result has the length `at_least`. A
/// match does not extend beyond the input.
pub fn longest_match(window: &Window, mut candidate: usize, at_least: usize, effort: &Effort) -> BackReference {
    let (bytes, position) = (window.bytes(), window.position());
    let longest = window.lookahead().min(MAX_MATCH);
    let mut best = BackReference { length: at_least, distance: 0 };
    if at_least >= longest {
        return BackReference { length: longest, distance: 0 };
    }
    let nice = effort.nice.min(longest);
    let limit = position.saturating_sub(MAX_DISTANCE_BYTES);
    let mut chain = if at_least >= effort.good { effort.chain >> 2 } else { effort.chain };
    let ahead = &bytes[position..position + longest];
    let first = [ahead[0], ahead[1]];
    // A longer match has equal bytes at the end of the best one and after it.
    let mut last = [ahead[best.length - 1], ahead[best.length]];
    loop {
        let earlier = &bytes[candidate..candidate + longest];
        if earlier[best.length - 1..=best.length] == last && earlier[..2] == first {
            let length = common_prefix(earlier, ahead);
            if length > best.length {
                best = BackReference { length, distance: position - candidate };
                if length >= nice {
                    return best;
                }
                last = [ahead[length - 1], ahead[length]];
            }
        }
        candidate = window.before(candidate);
        chain -= 1;
        if candidate <= limit || chain == 0 {
            return best;
        }
    }
}

/// Returns the number of equal bytes at the start of two strings of the same length.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let (one_words, one_rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    for (index, (one, other)) in one_words.iter().zip(other_words).enumerate() {
        let difference = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if difference != 0 {
            return index * 8 + difference.trailing_zeros() as usize / 8;
        }
    }
    let rest = one_rest.iter().zip(other_rest).take_while(|(one, other)| one == other).count();
    one_words.len() * 8 + rest
}
