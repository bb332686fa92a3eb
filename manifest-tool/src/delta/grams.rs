//! Tells in one or two memory accesses that some bytes are nowhere in an old file: a Bloom filter of its stretches.
//!
//! What it denies is not there; what it affirms may not be there either, in a few cases of a hundred.

/// How long the stretches are that it is asked for.
pub const GRAM: usize = 12;
/// How long the stretches are that it has: one at every second place, so that the longer ones contain one of them.
const HELD: usize = GRAM - 1;

/// The set of all stretches of [`GRAM`] bytes of a text, in half a byte of memory per byte.
pub struct Grams {
    bits: Vec<u64>,
}

impl Grams {
    /// The stretches of `text`.
    pub fn of(text: &[u8]) -> Self {
        let mut grams = Self { bits: vec![0; text.len() / 16 + 1] };
        for gram in text.windows(HELD).step_by(2) {
            let (word, bits) = grams.place(gram);
            grams.bits[word] |= bits;
        }
        grams
    }

    /// Whether the stretch that `bytes` start with may be there; never when they are fewer.
    #[inline]
    pub fn may_have(&self, bytes: &[u8]) -> bool {
        bytes.len() >= GRAM && (self.holds(bytes) || self.holds(&bytes[1..]))
    }

    #[inline]
    fn holds(&self, bytes: &[u8]) -> bool {
        let (word, bits) = self.place(bytes);
        self.bits[word] & bits == bits
    }

    /// The word of a stretch, and its two bits there.
    #[inline]
    fn place(&self, bytes: &[u8]) -> (usize, u64) {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let (low, high) = (word(0), word(HELD - 8));
        let mixed = (low ^ high.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 32 ^ high).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let place = (u128::from(mixed) * self.bits.len() as u128) >> 64;
        let bits = mixed ^ mixed >> 29;
        (place as usize, 1 << (bits & 63) | 1 << (bits >> 6 & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_denied_and_what_is_not_mostly_is() {
        let text: Vec<u8> = (0..5000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let grams = Grams::of(&text);
        assert!(text.windows(GRAM).all(|gram| grams.may_have(gram)));
        let absent = text.windows(GRAM).map(|gram| gram.iter().map(|byte| !byte).collect::<Vec<_>>());
        assert!(absent.filter(|gram| grams.may_have(gram)).count() < text.len() / 4);
        assert!(!grams.may_have(&text[..GRAM - 1]), "too short");
    }
}
