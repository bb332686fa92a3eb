//! Symbols: the codes and extra bits of match lengths and distances (RFC 1951, section 3.2.5).

/// The shortest match.
pub const MIN_MATCH: usize = 3;
/// The longest match.
pub const MAX_MATCH: usize = 258;
/// The number of literals. Lengths follow them in the same code.
pub const LITERALS: usize = 256;
/// The symbol that ends a block.
pub const END_OF_BLOCK: usize = 256;
/// The size of the code of literals and lengths.
pub const LITERAL_CODES: usize = 286;
/// The size of the code of distances.
pub const DISTANCE_CODES: usize = 30;

/// The number of extra bits of each length code.
pub const LENGTH_EXTRA_BITS: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// The number of extra bits of each distance code.
pub const DISTANCE_EXTRA_BITS: [u8; DISTANCE_CODES] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

/// The first length of each code, less [`MIN_MATCH`].
pub const LENGTH_BASES: [u8; 29] = length_bases();
/// The first distance of each code, less 1.
pub const DISTANCE_BASES: [u16; DISTANCE_CODES] = distance_bases();
/// The code of each length less [`MIN_MATCH`].
const LENGTH_CODES: [u8; 256] = length_codes();
/// The code of each distance less 1 below 256, and then of each 128th distance.
const DISTANCE_CODE_TABLE: [u8; 512] = distance_code_table();

/// Returns the code of a length less [`MIN_MATCH`].
pub fn length_code(length: u8) -> usize {
    usize::from(LENGTH_CODES[usize::from(length)])
}

/// Returns the code of a distance less 1.
pub fn distance_code(distance: u16) -> usize {
    let index = if distance < 256 { distance } else { 256 + (distance >> 7) };
    usize::from(DISTANCE_CODE_TABLE[usize::from(index & 511)])
}

const fn length_bases() -> [u8; 29] {
    let mut bases = [0; 29];
    let mut code = 1;
    while code < 28 {
        bases[code] = bases[code - 1] + (1 << LENGTH_EXTRA_BITS[code - 1]);
        code += 1;
    }
    // The length 258 has a separate code.
    bases[28] = 255;
    bases
}

const fn length_codes() -> [u8; 256] {
    let mut codes = [0; 256];
    let (mut code, mut length) = (0, 0);
    while length < 256 {
        if code < 28 && length as u8 == LENGTH_BASES[code + 1] {
            code += 1;
        }
        codes[length] = code as u8;
        length += 1;
    }
    codes
}

const fn distance_bases() -> [u16; DISTANCE_CODES] {
    let mut bases = [0; DISTANCE_CODES];
    let mut code = 1;
    while code < DISTANCE_CODES {
        bases[code] = bases[code - 1] + (1 << DISTANCE_EXTRA_BITS[code - 1]);
        code += 1;
    }
    bases
}

const fn distance_code_table() -> [u8; 512] {
    let mut table = [0; 512];
    let (mut code, mut index) = (0, 0);
    while index < 512 {
        let distance = if index < 256 { index } else { (index - 256) << 7 };
        while code + 1 < DISTANCE_CODES && DISTANCE_BASES[code + 1] as usize <= distance {
            code += 1;
        }
        // The second half starts again at distance 0.
        if index == 256 {
            code = 0;
        }
        table[index] = code as u8;
        index += 1;
    }
    table
}

/// Returns the lengths of the fixed code (RFC 1951, section 3.2.6).
///
/// It has two more symbols than are used. They take part in the assignment of codes.
pub const fn fixed_literal_lengths() -> [u8; 288] {
    let mut lengths = [8; 288];
    let mut symbol = 144;
    while symbol < 280 {
        lengths[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    lengths
}
