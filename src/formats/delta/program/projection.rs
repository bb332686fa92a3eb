//! Predicts the fields of the new program from those of the old one and the map between them.
//!
//! Both ends of a delta ask for the same predictions in the same order and tell the same outcomes, so that they are always in
//! the same state. A prediction that is wrong costs a few bytes in the delta.

use super::block_map::{BlockMap, MappedRange};
use super::field::{self, Field, FieldContext, FieldKind, GUESS_COUNTERS};
use super::image::ImageLayout;

/// What a publisher chooses for each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PredictionSettings {
    /// Whether a target's new place is remembered when a field told it.
    pub learn: bool,
    /// Whether words that only look like addresses are predicted, as long as that goes well.
    pub guess: bool,
}

/// A prediction, until its outcome is known.
#[derive(Debug, Clone, Copy)]
pub struct WordPrediction {
    /// The word that is expected in the new file.
    pub word: u64,
    /// What is remembered for [`Projection::outcome`]: nothing where no address could be read.
    known: Option<PredictionInputs>,
}

#[derive(Debug, Clone, Copy)]
struct PredictionInputs {
    kind: FieldKind,
    extra: u32,
    place: FieldContext,
    old_word: u64,
    /// The word if its target is projected, whether or not that was believed.
    projected_word: u64,
    target: u32,
    projected: u32,
}

/// The way from the old program's addresses to the new one's, with what was learned on it.
#[derive(Debug)]
pub struct Projection {
    old: ImageLayout,
    new: ImageLayout,
    map: BlockMap,
    learned: Option<LearnedTargets>,
    confidence: [i32; GUESS_COUNTERS],
    /// The last base that was projected, and where it went: many fields in a row have the same.
    base: (u32, u32),
}

impl Projection {
    /// A projection that has learned nothing yet. `fields` is the number of the old program's fields.
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

    /// Where an address of the old program is in the new one, and whether a block says so.
    pub fn project(&self, address: u32, within: Option<&MappedRange>) -> (u32, bool) {
        if let Some(offset) = self.old.offset_of(address) {
            let inside = within.and_then(|block| block.map_offset(offset)).map(|new| (new, true));
            let found = inside.or_else(|| self.map.map_offset(offset));
            if let Some(found) = found.and_then(|(new, exact)| Some((self.new.address_of(new)?, exact))) {
                return found;
            }
        }
        // Not in the file, or nowhere near a block: as far from its segment's end in the file as before.
        let number = self.old.segment_of(address);
        let segments = number.and_then(|number| Some((self.old.segments.get(number)?, self.new.segments.get(number)?)));
        let shift = segments.map_or(0, |(old, new)| {
            let old_end = old.address.wrapping_add(old.file_size);
            new.address.wrapping_add(new.file_size).wrapping_sub(old_end)
        });
        (address.wrapping_add(shift), false)
    }

    /// What the field's word, `old_word` in the old file, will be at `new_offset` of the new file, in the course of `block`.
    pub fn predict(&mut self, field: &Field, old_word: u64, new_offset: u32, block: &MappedRange) -> WordPrediction {
        let unknown = WordPrediction { word: old_word, known: None };
        let (old_place, place) = (FieldContext::new(&self.old, field.offset), FieldContext::new(&self.new, new_offset));
        let Some(target) = field::read_target(field.kind, field.extra, old_word, old_place) else { return unknown };
        let (mut projected, exact) = self.project(target, Some(block));
        let learned = self.learned.as_ref().and_then(|learned| learned.find(target));
        if let Some(learned) = learned.filter(|learned| !exact || learned.count > 0) {
            projected = learned.new;
        }
        if field.kind.has_base() && self.base.0 != field.extra {
            self.base = (field.extra, self.project(field.extra, None).0);
        }
        let extra = if field.kind.has_base() { self.base.1 } else { field.extra };
        let projected_word = field::write_target(field.kind, extra, old_word, place, projected);
        let believed = field.kind.guess_counter().is_none_or(|counter| self.confidence[counter] >= 0);
        let word = if believed { projected_word } else { old_word };
        let known = PredictionInputs { kind: field.kind, extra, place, old_word, projected_word, target, projected };
        WordPrediction { word, known: Some(known) }
    }

    /// Takes note of what a predicted word really is.
    pub fn record_actual(&mut self, prediction: &WordPrediction, word: u64) {
        let Some(known) = &prediction.known else { return };
        if let Some(counter) = known.kind.guess_counter() {
            let score = i32::from(known.projected_word == word) - i32::from(known.old_word == word);
            self.confidence[counter] = (self.confidence[counter] + score).clamp(-CONFIDENCE_LIMIT, CONFIDENCE_LIMIT);
        } else if let Some(learned) = self.learned.as_mut().filter(|_| !known.kind.is_partial())
            && let Some(new) = field::read_target(known.kind, known.extra, word, known.place)
        {
            learned.record(known.target, new, known.projected == new);
        }
    }
}

/// How many wrong guesses it takes at most to turn from belief to disbelief.
const CONFIDENCE_LIMIT: i32 = 4;

/// Where old targets were seen to be: a table of fixed size, in which a new target displaces another one of the same slot.
#[derive(Debug)]
struct LearnedTargets {
    /// The old target and its [`Observation`], as numbers, which come from the system as zeros: what is never filled is never touched.
    slots: Vec<[u32; 3]>,
    /// A bit for each slot, whether it was ever filled: most are not, and what is small is at hand.
    filled: Vec<u64>,
}

/// Where an old target was seen to be.
#[derive(Debug, Clone, Copy)]
struct Observation {
    new: u32,
    /// How often it was seen again, less how often another was; 0 after the first time.
    count: u32,
}

impl LearnedTargets {
    /// The most slots, of twelve bytes.
    const MAX_SLOTS: usize = 1 << 19;

    fn new(fields: usize) -> LearnedTargets {
        let slots = fields.next_power_of_two().min(LearnedTargets::MAX_SLOTS);
        LearnedTargets { slots: vec![[0; 3]; slots], filled: vec![0; slots.div_ceil(64)] }
    }

    fn slot(&self, old: u32) -> usize {
        // Fibonacci hashing: the high bits of a product are mixed best.
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
