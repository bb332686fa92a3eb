//! Code lengths: how a dynamic code is described at the start of its block.
//!
//! The lengths of both codes are written with a third code, whose symbols also stand for repeated
//! lengths (RFC 1951, section 3.2.7).

use super::bit_writer::BitWriter;
use super::huffman::PrefixCode;

/// Repeats the length before it 3 to 6 times.
const REPEAT: u8 = 16;
/// Stands for 3 to 10 lengths 0.
const FEW_ZEROS: u8 = 17;
/// Stands for 11 to 138 lengths 0.
const MANY_ZEROS: u8 = 18;
const SYMBOLS: usize = 19;
/// The order in which the lengths of the third code are written: rare ones come last.
const ORDER: [usize; SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The longest code of the third code in bits.
const MAX_BITS: usize = 7;

/// A symbol of the third code.
struct LengthSymbol {
    symbol: u8,
    /// The number of repeats, less the smallest.
    repeats: u8,
}

/// The description of two codes.
pub struct CodeDescription {
    symbols: Vec<LengthSymbol>,
    code: PrefixCode,
    /// The number of written lengths of the third code.
    written: usize,
    literals: usize,
    distances: usize,
    /// Its size in bits.
    pub cost: u64,
}

impl CodeDescription {
    /// Describes the code of literals and lengths, and that of distances.
    pub fn of(literals: &PrefixCode, distances: &PrefixCode) -> Self {
        let mut symbols = Vec::new();
        for code in [literals, distances] {
            add_runs(&code.lengths[..code.used], &mut symbols);
        }
        let mut counts = [0; SYMBOLS];
        symbols.iter().for_each(|symbol| counts[usize::from(symbol.symbol)] += 1);
        let code = PrefixCode::from_counts(&counts, MAX_BITS);
        let last = ORDER.iter().rposition(|symbol| code.lengths[*symbol] > 0).unwrap_or(0);
        let written = last.max(3) + 1;
        let cost = code.cost(&counts, |symbol| extra_bits(symbol as u8)) + 5 + 5 + 4 + 3 * written as u64;
        Self { symbols, code, written, literals: literals.used, distances: distances.used, cost }
    }

    /// Writes the description.
    pub fn write(&self, bits: &mut BitWriter) {
        bits.write(self.literals as u32 - 257, 5);
        bits.write(self.distances as u32 - 1, 5);
        bits.write(self.written as u32 - 4, 4);
        for symbol in &ORDER[..self.written] {
            bits.write(self.code.lengths[*symbol].into(), 3);
        }
        for LengthSymbol { symbol, repeats } in &self.symbols {
            let at = usize::from(*symbol);
            bits.write(self.code.codes[at].into(), self.code.lengths[at].into());
            bits.write((*repeats).into(), extra_bits(*symbol).into());
        }
    }
}

fn extra_bits(symbol: u8) -> u8 {
    match symbol {
        REPEAT => 2,
        FEW_ZEROS => 3,
        MANY_ZEROS => 7,
        _ => 0,
    }
}

/// Appends the symbols of the lengths of one code.
fn add_runs(lengths: &[u8], symbols: &mut Vec<LengthSymbol>) {
    for run in lengths.chunk_by(|one, other| one == other) {
        let length = run[0];
        let (mut left, mut is_first) = (run.len(), true);
        while left > 0 {
            // Repeats refer to the length before them, so the first length is written as it is.
            let (most, least) = match length {
                0 => (138, 3),
                _ if is_first => (7, 4),
                _ => (6, 3),
            };
            let count = left.min(most);
            let mut push = |symbol, repeats: usize| symbols.push(LengthSymbol { symbol, repeats: repeats as u8 });
            match length {
                _ if count < least => (0..count).for_each(|_| push(length, 0)),
                0 if count <= 10 => push(FEW_ZEROS, count - 3),
                0 => push(MANY_ZEROS, count - 11),
                _ if is_first => {
                    push(length, 0);
                    push(REPEAT, count - 4);
                }
                _ => push(REPEAT, count - 3),
            }
            left -= count;
            is_first = false;
        }
    }
}
