//! A parsed program with its fields, and labels written over them.

use patcher::internal::delta::program::field::{self, Field, FieldContext};
use patcher::internal::delta::program::field_walk::{read_word, write_word};
use patcher::internal::delta::program::image::{Image, elf};
use patcher::internal::delta::program::parse;
use patcher::internal::delta::program::projection::Projection;
use patcher::internal::delta::program::unscanned_pages::UnscannedPages;
use std::io::Cursor;

/// Programs are labelled and matched again if at least 1/256 of the targets moved in the first
/// round.
///
/// It pays where code was reshuffled. Measured on 23 pairs of programs; see
/// `benches/results/program-deltas.md`.
const MOVED_TARGETS_DIVISOR: usize = 256;
/// Every 16th field is asked for its target.
const SAMPLED_FIELDS_STEP: usize = 16;

/// A program with its fields outside unscanned pages.
pub(super) struct ParsedProgram<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) image: Image,
    pub(super) fields: Vec<Field>,
}

impl<'a> ParsedProgram<'a> {
    pub(super) fn new(bytes: &'a [u8], unscanned: &UnscannedPages) -> Option<Self> {
        let (image, fields) = parse(Cursor::new(bytes), bytes.len() as u64, unscanned).ok()??;
        Some(ParsedProgram { bytes, image, fields })
    }

    /// Returns the target of a field.
    pub(super) fn target(&self, field: &Field) -> Option<u32> {
        let word = word(self.bytes, field.offset as usize, field.kind.width() as usize);
        field::read_target(field.kind, field.extra, word, FieldContext::new(&self.image.layout, field.offset))
    }

    /// Returns the bytes with each field replaced by a label of its target, which `label` may map.
    pub(super) fn with_labels(&self, label: impl Fn(u32) -> u32) -> Vec<u8> {
        let mut labelled = self.bytes.to_vec();
        for field in &self.fields {
            let (at, width) = (field.offset as usize, field.kind.width() as usize);
            let word = word(self.bytes, at, width);
            if let Some(target) = self.target(field) {
                // With the same context for all fields, the label depends only on the target.
                let nowhere = FieldContext { base: 0, address: 0, slice: 0 };
                let label = field::write_target(field.kind, 0, word, nowhere, label(target));
                write_word(&mut labelled[at..at + width], label);
            }
        }
        self.label_relocated(&mut labelled, label);
        labelled
    }

    /// Returns `true` if enough targets differ between two projections to match again.
    pub(super) fn has_moved(&self, one: &Projection, other: &Projection) -> bool {
        let asked = self.fields.iter().step_by(SAMPLED_FIELDS_STEP);
        let targets = asked.filter_map(|field| self.target(field));
        let moved = targets.filter(|target| one.project(*target, None).0 != other.project(*target, None).0);
        moved.count() * SAMPLED_FIELDS_STEP * MOVED_TARGETS_DIVISOR > self.fields.len()
    }

    /// Writes a label for the addend of each relocation at the relocated location.
    ///
    /// The loader writes the address there at run time; the file has zeros.
    pub(super) fn label_relocated(&self, labelled: &mut [u8], label: impl Fn(u32) -> u32) {
        let layout = &self.image.layout;
        for section in self.image.sections.iter().filter(|section| section.kind == elf::SHT_RELA) {
            let table = self.bytes.get(section.offset as usize..section.end() as usize).unwrap_or_default();
            for entry in table.chunks_exact(24) {
                let place = layout.relative_address(word(entry, 0, 8)).and_then(|place| layout.offset_of(place));
                let target = layout.relative_address(word(entry, 16, 8)).filter(|target| *target > 0);
                if let (Some(place), Some(target)) = (place, target)
                    && let Some(word) = labelled.get_mut(place as usize..place as usize + 8)
                {
                    word.copy_from_slice(&u64::from(label(target)).to_le_bytes());
                }
            }
        }
    }
}

/// Reads the number of `width` bytes at `at`.
pub(super) fn word(bytes: &[u8], at: usize, width: usize) -> u64 {
    read_word(&bytes[at..at + width])
}
