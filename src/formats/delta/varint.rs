//! Variable-length numbers of format 1: seven bits per byte, highest bits first.
//!
//! All bytes but the last have the top bit set. The highest bits come first because they say most
//! about the rest, so that the packer predicts the following bytes better. A number has exactly one
//! encoding: no leading zero byte, at most 10 bytes.

use std::io::{self, Read};

/// Appends a number.
pub fn write(number: u64, to: &mut Vec<u8>) {
    let groups = (64 - number.leading_zeros()).div_ceil(7).max(1);
    for group in (1..groups).rev() {
        to.push((number >> (7 * group)) as u8 | 0x80);
    }
    to.push(number as u8 & 0x7f);
}

/// Reads a number. Returns `None` if it is not in its shortest form or not below 2^64.
///
/// # Errors
/// Any I/O error of `from`, including an unexpected end.
pub fn read(from: &mut impl Read) -> io::Result<Option<u64>> {
    let mut number = 0u64;
    let mut byte = [0];
    for index in 0..10 {
        from.read_exact(&mut byte)?;
        if index == 0 && byte[0] == 0x80 || number >> 57 != 0 {
            return Ok(None);
        }
        number = number << 7 | u64::from(byte[0] & 0x7f);
        if byte[0] < 0x80 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Folds the sign into the lowest bit: 0, -1, 1, -2 become 0, 1, 2, 3.
pub fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

/// Undoes [`zigzag`].
pub fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_form() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            write(number, &mut bytes);
            assert_eq!(read(&mut &bytes[..]).unwrap(), Some(number));
            bytes.insert(0, 0x80);
            assert_eq!(read(&mut &bytes[..]).unwrap(), None, "{number} with a leading zero");
        }
    }

    #[test]
    fn numbers_that_are_too_large_or_truncated_are_refused() {
        let above = [[0x82].as_slice(), &[0x80; 8], &[0]].concat();
        assert_eq!(read(&mut &above[..]).unwrap(), None, "2^64");
        assert_eq!(read(&mut &[0xff; 20][..]).unwrap(), None);
        read(&mut &[0xff; 3][..]).unwrap_err();
    }

    #[test]
    fn signs_are_folded_both_ways() {
        for (number, folded) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)] {
            assert_eq!((zigzag(number), unzigzag(folded)), (folded, number));
        }
    }
}
