//! Parser: turns the input into literals and matches.

use super::bit_writer::BitWriter;
use super::block::DeflateBlock;
use super::match_search::{BackReference, longest_match};
use super::parameters::{DeflateParameters, DeflateStrategy, Effort};
use super::symbols::MIN_MATCH;
use super::window::{MAX_DISTANCE_BYTES, MIN_LOOKAHEAD_BYTES, Window};

/// A match of [`MIN_MATCH`] bytes at a larger distance costs more than three literals.
const TOO_FAR_BYTES: usize = 4096;
/// The strategy "filtered" ignores matches up to this length.
const FILTERED_BYTES: usize = 5;
/// The length that stands for no match.
const NO_MATCH: usize = MIN_MATCH - 1;

/// The state of the parser between two pieces of input.
pub struct Parser {
    effort: Effort,
    is_filtered: bool,
    /// The match at the position before the current one. Only the lazy parser has one.
    previous: BackReference,
    /// `true` if the byte before the position is in no symbol yet.
    is_literal_pending: bool,
}

impl Parser {
    /// Creates the parser of a level.
    pub fn new(parameters: &DeflateParameters) -> Self {
        Self {
            effort: parameters.effort(),
            is_filtered: parameters.strategy() == DeflateStrategy::Filtered,
            previous: BackReference { length: NO_MATCH, distance: 0 },
            is_literal_pending: false,
        }
    }

    /// Parses until too little input is ahead, or all of it if it `is_last`.
    pub fn parse(&mut self, window: &mut Window, block: &mut DeflateBlock, bits: &mut BitWriter, is_last: bool) {
        loop {
            if window.lookahead() < MIN_LOOKAHEAD_BYTES {
                window.slide();
                if !is_last || window.lookahead() == 0 {
                    return;
                }
            }
            let is_full = if self.effort.is_lazy { self.step_lazily(window, block) } else { self.step(window, block) };
            if is_full {
                block.write(window, window.total() - u64::from(self.is_literal_pending), bits, false);
            }
        }
    }

    /// Writes the last block.
    pub fn finish(&mut self, window: &Window, block: &mut DeflateBlock, bits: &mut BitWriter) {
        if std::mem::take(&mut self.is_literal_pending) {
            block.add_literal(window.bytes()[window.position() - 1], window.total());
        }
        block.write(window, window.total(), bits, true);
        self.previous = BackReference { length: NO_MATCH, distance: 0 };
    }

    /// Adds the next symbol, and returns whether the block is full.
    fn step(&self, window: &mut Window, block: &mut DeflateBlock) -> bool {
        let found = match candidate(window) {
            Some(candidate) => longest_match(window, candidate, NO_MATCH, &self.effort),
            None => BackReference::default(),
        };
        if found.length < MIN_MATCH {
            let is_full = block.add_literal(window.bytes()[window.position()], window.total());
            window.advance(1);
            return is_full;
        }
        let is_full = block.add_match(found, window.total());
        let after = window.lookahead() - found.length;
        if found.length <= self.effort.lazy && after >= MIN_MATCH {
            for _ in 1..found.length {
                window.advance(1);
                window.insert();
            }
            window.advance(1);
        } else {
            window.advance(found.length);
        }
        is_full
    }

    /// Decides about the byte before the position, and returns whether the block is full.
    ///
    /// If the match at that byte is at least as long as the one at the position, it becomes a
    /// symbol. Otherwise the byte becomes a literal, and the match at the position is kept for the
    /// next step.
    fn step_lazily(&mut self, window: &mut Window, block: &mut DeflateBlock) -> bool {
        let previous = self.previous;
        let mut found = BackReference { length: NO_MATCH, distance: 0 };
        if let Some(candidate) = candidate(window)
            && previous.length < self.effort.lazy
        {
            found = longest_match(window, candidate, previous.length, &self.effort);
            let is_poor = (self.is_filtered && found.length <= FILTERED_BYTES)
                || (found.length == MIN_MATCH && found.distance > TOO_FAR_BYTES);
            if is_poor {
                found.length = NO_MATCH;
            }
        }
        if previous.length >= MIN_MATCH && found.length <= previous.length {
            let is_full = block.add_match(previous, window.total());
            // The position before the current one and the current one are in their chains.
            let last_insert = window.total() + window.lookahead().saturating_sub(MIN_MATCH) as u64;
            let can_insert = window.lookahead() >= MIN_MATCH;
            for _ in 2..previous.length {
                window.advance(1);
                if can_insert && window.total() <= last_insert {
                    window.insert();
                }
            }
            window.advance(1);
            self.is_literal_pending = false;
            self.previous = BackReference { length: NO_MATCH, distance: 0 };
            return is_full;
        }
        let is_full =
            self.is_literal_pending && block.add_literal(window.bytes()[window.position() - 1], window.total());
        self.is_literal_pending = true;
        self.previous = found;
        window.advance(1);
        is_full
    }
}

/// Enters the position into its chain, and returns the position before it if it is near enough.
fn candidate(window: &mut Window) -> Option<usize> {
    if window.lookahead() < MIN_MATCH {
        return None;
    }
    let candidate = window.insert();
    (candidate != 0 && window.position() - candidate <= MAX_DISTANCE_BYTES).then_some(candidate)
}
