//! Projection: predicts the words of fields in the new program.
//!
//! A field's old target is read, projected through the block map, and written at its new offset.
//! Publisher and client ask for the same predictions in the same order and record the same actual
//! words. They are therefore always in the same state. A wrong prediction costs a few bytes of the
//! delta.

use super::block_map::{BlockMap, MappedRange};
use super::field::{self, Field, FieldContext, FieldKind, GUESS_COUNTERS};
use super::image::ImageLayout;

/// Limit for the confidence counters. A counter reaches a negative value after at most five misses.
const CONFIDENCE_LIMIT: i32 = 4;

/// Options that the publisher chooses per delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PredictionSettings {
    /// Use a new target that one field revealed for later fields with the same old target.
    pub learn: bool,
    /// Predict guesses while their confidence counter is not negative.
    pub guess: bool,
}

/// A predicted word and the values needed to record the actual word.
#[derive(Debug, Clone, Copy)]
pub struct WordPrediction {
    /// The word that is expected in the new file.
    pub word: u64,
    /// Input for [`Projection::record_actual`]; `None` if the old word encodes no address.
    inputs: Option<PredictionInputs>,
}

#[derive(Debug, Clone, Copy)]
struct PredictionInputs {
    kind: FieldKind,
    extra: u32,
    context: FieldContext,
    old_word: u64,
    /// The word with its target projected, even if the confidence counter ruled it out.
    projected_word: u64,
    target: u32,
    projected: u32,
}

/// Maps addresses of the old program to the new one and learns from actual words.
#[derive(Debug)]
pub struct Projection {
    old: ImageLayout,
    new: ImageLayout,
    map: BlockMap,
    learned: Option<LearnedTargets>,
    confidence: [i32; GUESS_COUNTERS],
    /// The last base address that was projected, and its result: many consecutive fields share one.
    base: (u32, u32),
}

impl Projection {
    /// Creates a projection that has learned nothing yet.
    ///
    /// `fields` is the number of fields of the old program; it limits the table of learned targets.
    pub fn new(
        old: ImageLayout,
        new: ImageLayout,
        map: BlockMap,
        settings: PredictionSettings,
        fields: usize,
    ) -> Projection {
        let learned = settings.learn.then(|| LearnedTargets::new(fields));
        let mut projection = Projection { old, new, map, learned, confidence: [0; GUESS_COUNTERS], base: (0, 0) };
        projection.base = (0, projection.project(0, None).0);
        projection
    }

    /// Returns the new position of an old address, and whether a block determines it.
    ///
    /// `within` is the current block. If it contains the address, it decides.
    pub fn project(&self, address: u32, within: Option<&MappedRange>) -> (u32, bool) {
        if let Some(offset) = self.old.offset_of(address) {
            let inside = within.and_then(|block| block.map_offset(offset)).map(|new| (new, true));
            let found = inside.or_else(|| self.map.map_offset(offset));
            if let Some(found) = found.and_then(|(new, exact)| Some((self.new.address_of(new)?, exact))) {
                return found;
            }
        }
        // Not in the file, or without a block to go by: keep the distance from the end of the
        // segment's bytes in the file.
        let number = self.old.segment_of(address);
        let segments = number.and_then(|number| Some((self.old.segments.get(number)?, self.new.segments.get(number)?)));
        let shift = segments.map_or(0, |(old, new)| {
            let old_end = old.address.wrapping_add(old.file_size);
            new.address.wrapping_add(new.file_size).wrapping_sub(old_end)
        });
        (address.wrapping_add(shift), false)
    }

    /// Predicts the word of `field` at `new_offset` of the new file, while `block` is applied.
    ///
    /// `old_word` is the word in the old file.
    pub fn predict(&mut self, field: &Field, old_word: u64, new_offset: u32, block: &MappedRange) -> WordPrediction {
        let unknown = WordPrediction { word: old_word, inputs: None };
        let (old_context, context) =
            (FieldContext::new(&self.old, field.offset), FieldContext::new(&self.new, new_offset));
        let Some(target) = field::read_target(field.kind, field.extra, old_word, old_context) else { return unknown };
        let (mut projected, exact) = self.project(target, Some(block));
        let learned = self.learned.as_ref().and_then(|learned| learned.find(target));
        if let Some(learned) = learned.filter(|learned| !exact || learned.count > 0) {
            projected = learned.new;
        }
        if field.kind.has_base() && self.base.0 != field.extra {
            self.base = (field.extra, self.project(field.extra, None).0);
        }
        let extra = if field.kind.has_base() { self.base.1 } else { field.extra };
        let projected_word = field::write_target(field.kind, extra, old_word, context, projected);
        let believed = field.kind.guess_counter().is_none_or(|counter| self.confidence[counter] >= 0);
        let word = if believed { projected_word } else { old_word };
        let inputs = PredictionInputs { kind: field.kind, extra, context, old_word, projected_word, target, projected };
        WordPrediction { word, inputs: Some(inputs) }
    }

    /// Records the actual word, for learning and for the confidence counters.
    pub fn record_actual(&mut self, prediction: &WordPrediction, word: u64) {
        let Some(inputs) = &prediction.inputs else { return };
        if let Some(counter) = inputs.kind.guess_counter() {
            let score = i32::from(inputs.projected_word == word) - i32::from(inputs.old_word == word);
            self.confidence[counter] = (self.confidence[counter] + score).clamp(-CONFIDENCE_LIMIT, CONFIDENCE_LIMIT);
        } else if let Some(learned) = self.learned.as_mut().filter(|_| !inputs.kind.is_partial())
            && let Some(new) = field::read_target(inputs.kind, inputs.extra, word, inputs.context)
        {
            learned.record(inputs.target, new, inputs.projected == new);
        }
    }
}

/// Learned targets: a hash table of fixed size in which a new entry replaces the one in its slot.
#[derive(Debug)]
struct LearnedTargets {
    /// Old target, new target and count of each [`Observation`].
    ///
    /// Plain numbers, because the system supplies zeroed pages and unused slots then cost no
    /// memory.
    slots: Vec<[u32; 3]>,
    /// One bit per slot: whether it was ever filled. Most are not, and these bits fit into the
    /// cache.
    filled: Vec<u64>,
}

/// The new position of an old target, as seen in earlier fields.
#[derive(Debug, Clone, Copy)]
struct Observation {
    new: u32,
    /// Confirmations minus contradictions, from 0 to 3. The first observation counts 0.
    count: u32,
}

impl LearnedTargets {
    /// Limit for the number of slots of 12 bytes.
    const MAX_SLOTS: usize = 1 << 19;

    fn new(fields: usize) -> LearnedTargets {
        let slots = fields.next_power_of_two().min(LearnedTargets::MAX_SLOTS);
        LearnedTargets { slots: vec![[0; 3]; slots], filled: vec![0; slots.div_ceil(64)] }
    }

    fn slot(&self, old: u32) -> usize {
        // Fibonacci hashing: the high bits of the product are mixed best.
        let bits = self.slots.len().trailing_zeros();
        (u64::from(old.wrapping_mul(0x9e37_79b1)) << bits >> 32) as usize
    }

    fn is_filled(&self, slot: usize) -> bool {
        self.filled[slot / 64] >> (slot % 64) & 1 == 1
    }

    fn find(&self, old: u32) -> Option<Observation> {
        let slot = self.slot(old);
        let [seen, new, count] = if self.is_filled(slot) { self.slots[slot] } else { return None };
        (seen == old && old != 0).then_some(Observation { new, count })
    }

    fn record(&mut self, old: u32, new: u32, was_expected: bool) {
        let slot = self.slot(old);
        let is_filled = self.is_filled(slot);
        if was_expected && !is_filled {
            return;
        }
        let [seen, seen_new, count] = &mut self.slots[slot];
        if is_filled && *seen == old {
            if *seen_new == new {
                *count = (*count + 1).min(3);
            } else if *count > 0 {
                *count -= 1;
            } else {
                *seen_new = new;
            }
        } else if !was_expected {
            self.slots[slot] = [old, new, 0];
            self.filled[slot / 64] |= 1 << (slot % 64);
        }
    }
}
