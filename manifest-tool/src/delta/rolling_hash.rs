//! Rolling hash: hashes every stretch of a text, in order to find what two texts have in common.

/// Length of a hashed stretch.
pub const STRETCH_BYTES: usize = 32;

/// Returns the hash of every stretch of [`STRETCH_BYTES`] bytes, in order.
///
/// A rolling polynomial, mixed so that low values are distributed evenly.
pub fn hashes(bytes: &[u8]) -> impl Iterator<Item = u64> {
    const BASE: u64 = 0x9E37_79B9_7F4A_7C15;
    let leaving = (0..STRETCH_BYTES).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let mut rolling = 0_u64;
    bytes.iter().enumerate().filter_map(move |(at, byte)| {
        rolling = rolling.wrapping_mul(BASE).wrapping_add(u64::from(*byte) + 1);
        if let Some(left) = at.checked_sub(STRETCH_BYTES) {
            rolling = rolling.wrapping_sub(leaving.wrapping_mul(u64::from(bytes[left]) + 1));
        }
        let mixed = (rolling ^ (rolling >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (at + 1 >= STRETCH_BYTES).then_some(mixed ^ (mixed >> 32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_has_the_same_hash_at_every_position() {
        let text: Vec<u8> = (0..200_u8).collect();
        let all: Vec<u64> = hashes(&text).collect();
        assert_eq!(all.len(), text.len() - STRETCH_BYTES + 1);
        for (at, stretch) in text.windows(STRETCH_BYTES).enumerate() {
            assert_eq!(hashes(stretch).collect::<Vec<_>>(), [all[at]]);
        }
        assert_eq!(hashes(&text[1..STRETCH_BYTES]).count(), 0, "too short");
    }
}
