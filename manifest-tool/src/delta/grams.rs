//! Tells in one memory access that some bytes are nowhere in an old file: a Bloom filter of its stretches of twelve bytes.
//!
//! What it denies is not there; what it affirms may not be there either, in a fifth of the cases.

/// How long the stretches are.
pub const GRAM: usize = 12;

/// The set of all stretches of [`GRAM`] bytes of a text, in half a byte of memory per byte.
pub struct Grams {
    bits: Vec<u64>,
}

impl Grams {
    /// The stretches of `text`.
    pub fn of(text: &[u8]) -> Self {
        let mut grams = Self { bits: vec![0; text.len() / 16 + 1] };
        for gram in text.windows(GRAM) {
            let (word, bit) = grams.place(gram);
            grams.bits[word] |= bit;
        }
        grams
    }

    /// Whether the stretch that `bytes` start with may be there; never when they are fewer.
    pub fn may_have(&self, bytes: &[u8]) -> bool {
        bytes.len() >= GRAM && {
            let (word, bit) = self.place(bytes);
            self.bits[word] & bit != 0
        }
    }

    fn place(&self, bytes: &[u8]) -> (usize, u64) {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let (low, high) = (word(0), word(GRAM - 8));
        let mixed =
            (low ^ high.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ high.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let place = (u128::from(mixed) * (self.bits.len() as u128 * 64)) >> 64;
        (place as usize / 64, 1 << (place % 64))
    }
}
