//! Block: symbols that share one code.

use super::bit_writer::BitWriter;
use super::code_lengths::CodeDescription;
use super::huffman::{MAX_SYMBOLS, PrefixCode};
use super::match_search::BackReference;
use super::parameters::{DeflateKind, DeflateParameters};
use super::symbols::{
    DISTANCE_BASES, DISTANCE_CODES, DISTANCE_EXTRA_BITS, END_OF_BLOCK, LENGTH_BASES, LENGTH_EXTRA_BITS, LITERAL_CODES,
    LITERALS, MIN_MATCH, distance_code, fixed_literal_lengths, length_code,
};
use super::window::Window;
use std::sync::LazyLock;

/// The longest code of literals, lengths and distances in bits.
const MAX_BITS: usize = 15;
const STORED: u32 = 0;
const FIXED: u32 = 1;
const DYNAMIC: u32 = 2;
/// Info-ZIP considers the end of a block after each multiple of this many symbols.
const INFO_ZIP_INTERVAL: usize = 1 << 12;
/// Info-ZIP's lowest level that ends blocks early.
const INFO_ZIP_LEVEL: u8 = 3;

/// A literal byte or a match.
#[derive(Clone, Copy)]
struct Symbol {
    /// The distance of a match, or 0 for a literal.
    distance: u16,
    /// The literal, or the length of a match less [`MIN_MATCH`].
    value: u8,
}

/// The symbols since the end of the last block.
pub struct DeflateBlock {
    symbols: Vec<Symbol>,
    literal_counts: [u32; LITERAL_CODES],
    distance_counts: [u32; DISTANCE_CODES],
    /// The position in the whole input at which the block starts.
    start: u64,
    max_symbols: usize,
    ends_early: bool,
}

impl DeflateBlock {
    /// Creates an empty block.
    pub fn new(parameters: &DeflateParameters) -> Self {
        let max_symbols = parameters.block_symbols();
        let mut block = Self {
            symbols: Vec::with_capacity(max_symbols),
            literal_counts: [0; LITERAL_CODES],
            distance_counts: [0; DISTANCE_CODES],
            start: 0,
            max_symbols,
            ends_early: parameters.kind() == DeflateKind::InfoZip && parameters.level() >= INFO_ZIP_LEVEL,
        };
        block.clear();
        block
    }

    /// Starts the first block of another stream.
    pub fn clear(&mut self) {
        self.start = 0;
        self.clear_symbols();
    }

    fn clear_symbols(&mut self) {
        self.symbols.clear();
        self.literal_counts.fill(0);
        self.distance_counts.fill(0);
        self.literal_counts[END_OF_BLOCK] = 1;
    }

    /// Adds a literal when the parser is at `position`, and returns whether the block is full.
    #[inline]
    pub fn add_literal(&mut self, byte: u8, position: u64) -> bool {
        self.literal_counts[usize::from(byte)] += 1;
        self.add(Symbol { distance: 0, value: byte }, position)
    }

    /// Adds a match when the parser is at `position`, and returns whether the block is full.
    #[inline]
    pub fn add_match(&mut self, found: BackReference, position: u64) -> bool {
        let symbol = Symbol { distance: found.distance as u16, value: (found.length - MIN_MATCH) as u8 };
        self.literal_counts[LITERALS + 1 + length_code(symbol.value)] += 1;
        self.distance_counts[distance_code(symbol.distance.wrapping_sub(1))] += 1;
        self.add(symbol, position)
    }

    fn add(&mut self, symbol: Symbol, position: u64) -> bool {
        self.symbols.push(symbol);
        let count = self.symbols.len();
        (self.ends_early && count.is_multiple_of(INFO_ZIP_INTERVAL) && self.is_dense(position))
            || count == self.max_symbols
    }

    /// Returns `true` if the block has few matches and still takes less than half of its input.
    fn is_dense(&self, position: u64) -> bool {
        let matches: u64 = self.distance_counts.iter().copied().map(u64::from).sum();
        let distance_bits = self.distance_counts.iter().zip(DISTANCE_EXTRA_BITS);
        let distance_bits: u64 = distance_bits.map(|(count, extra)| u64::from(*count) * (5 + u64::from(extra))).sum();
        let symbols = self.symbols.len() as u64;
        let out_bytes = (symbols * 8 + distance_bits) >> 3;
        matches < symbols / 2 && out_bytes < (position - self.start) / 2
    }

    /// Writes the block, whose input ends at `end`, with its cheapest code, and starts the next
    /// one.
    pub fn write(&mut self, window: &Window, end: u64, bits: &mut BitWriter, is_last: bool) {
        let literals = PrefixCode::from_counts(&self.literal_counts, MAX_BITS);
        let distances = PrefixCode::from_counts(&self.distance_counts, MAX_BITS);
        let description = CodeDescription::of(&literals, &distances);
        let [fixed_literals, fixed_distances] = &*FIXED_CODES;
        let dynamic_bytes = bytes(self.cost(&literals, &distances) + description.cost);
        let fixed_bytes = bytes(self.cost(fixed_literals, fixed_distances));
        let length = end - self.start;
        let kind = |kind: u32| kind << 1 | u32::from(is_last);
        match window.range(self.start, end) {
            Some(stored) if length + 4 <= dynamic_bytes.min(fixed_bytes) => {
                bits.write(kind(STORED), 3);
                bits.align();
                bits.write(length as u32 & 0xffff, 16);
                bits.write(!length as u32 & 0xffff, 16);
                bits.write_bytes(stored);
            }
            _ if fixed_bytes <= dynamic_bytes => {
                bits.write(kind(FIXED), 3);
                self.write_symbols(fixed_literals, fixed_distances, bits);
            }
            _ => {
                bits.write(kind(DYNAMIC), 3);
                description.write(bits);
                self.write_symbols(&literals, &distances, bits);
            }
        }
        self.clear_symbols();
        self.start = end;
    }

    /// Returns the bits that the symbols take with two codes.
    fn cost(&self, literals: &PrefixCode, distances: &PrefixCode) -> u64 {
        let length_extra = |symbol: usize| match symbol.checked_sub(LITERALS + 1) {
            Some(length) => LENGTH_EXTRA_BITS[length],
            None => 0,
        };
        literals.cost(&self.literal_counts, length_extra)
            + distances.cost(&self.distance_counts, |symbol| DISTANCE_EXTRA_BITS[symbol])
    }

    fn write_symbols(&self, literals: &PrefixCode, distances: &PrefixCode, bits: &mut BitWriter) {
        let literal = |symbol: usize, bits: &mut BitWriter| {
            bits.write(literals.codes[symbol].into(), literals.lengths[symbol].into());
        };
        for Symbol { distance, value } in self.symbols.iter().copied() {
            let Some(distance) = distance.checked_sub(1) else {
                literal(value.into(), bits);
                continue;
            };
            let code = length_code(value);
            literal(LITERALS + 1 + code, bits);
            bits.write((value - LENGTH_BASES[code]).into(), LENGTH_EXTRA_BITS[code].into());
            let code = distance_code(distance);
            bits.write(distances.codes[code].into(), distances.lengths[code].into());
            bits.write((distance - DISTANCE_BASES[code]).into(), DISTANCE_EXTRA_BITS[code].into());
        }
        literal(END_OF_BLOCK, bits);
    }
}

/// The fixed codes of literals and lengths, and of distances.
static FIXED_CODES: LazyLock<[PrefixCode; 2]> = LazyLock::new(|| {
    let mut distances = [0; MAX_SYMBOLS];
    distances[..DISTANCE_CODES].fill(5);
    [
        PrefixCode::from_lengths(fixed_literal_lengths(), MAX_SYMBOLS),
        PrefixCode::from_lengths(distances, DISTANCE_CODES),
    ]
});

/// Returns the bytes of a block with its three bits of kind.
fn bytes(bits: u64) -> u64 {
    (bits + 3).div_ceil(8)
}
