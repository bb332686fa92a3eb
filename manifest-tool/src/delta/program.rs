//! Makes deltas between programs: matches both a second time with each address replaced by a label of what it points to, and
//! takes the differences against what the client will predict.

use super::encode;
use super::{matching, suffix::Suffixes};
use patcher::delta::program::field::{self, Field, Place};
use patcher::delta::program::image::{Image, Places, elf};
use patcher::delta::program::map::{BlockMap, Piece};
use patcher::delta::program::project::{Projection, Settings};
use patcher::delta::program::walk::{Walk, residual};
use patcher::delta::program::{MAX_BLOCKS, Program, parse};
use patcher::delta::{Block, Mode, STEP, StreamKind, varint};
use rayon::prelude::*;
use std::convert::Infallible;
use std::io::Cursor;

/// How many times the files are matched on labels: a second time pays where code was really reshuffled.
const PASSES: usize = 2;

/// The smallest patch from `old` to `new` as programs; none if one of them is none. `blocks` are those that the bytes alone
/// give.
pub fn patch(old: &[u8], new: &[u8], blocks: &[Block]) -> Option<Vec<u8>> {
    let (old_program, new_program) = rayon::join(|| Parsed::new(old), || Parsed::new(new));
    let (old_program, new_program) = (old_program?, new_program?);
    let mut blocks = blocks.to_vec();
    let mut best: Option<Vec<u8>> = None;
    for _ in 0..PASSES {
        blocks = rematch(&old_program, &new_program, &blocks)?;
        let settings = [(true, true), (true, false), (false, true), (false, false)];
        let has_guesses = old_program.fields.iter().any(|field| field.kind.gate().is_some());
        let patches = settings.into_par_iter().filter(|(_, guess)| has_guesses || !guess);
        let patches = patches.filter_map(|(learn, guess)| {
            write(&old_program, &new_program, &blocks, Settings { learn, guess })
        });
        let smallest = patches.min_by_key(Vec::len)?;
        if best.as_ref().is_some_and(|best| best.len() <= smallest.len()) {
            break;
        }
        best = Some(smallest);
    }
    best
}

/// A program with its fields.
struct Parsed<'a> {
    bytes: &'a [u8],
    image: Image,
    fields: Vec<Field>,
}

impl<'a> Parsed<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (image, fields) = parse(Cursor::new(bytes), bytes.len() as u64).ok()??;
        Some(Parsed { bytes, image, fields })
    }

    /// The bytes with each field replaced by a label of its target, which `label` may move.
    fn labelled(&self, label: impl Fn(u32) -> u32) -> Vec<u8> {
        let mut labelled = self.bytes.to_vec();
        for field in &self.fields {
            let (at, width) = (field.offset as usize, field.kind.width() as usize);
            let word = word(self.bytes, at, width);
            let place = Place::new(&self.image.places, field.offset);
            if let Some(target) = field::read(field.kind, field.extra, word, place) {
                // As if all fields lay in one place: then only the target tells two of them apart.
                let nowhere = Place { base: 0, address: 0, slice: 0 };
                let label = field::write(field.kind, 0, word, nowhere, label(target));
                labelled[at..at + width].copy_from_slice(&label.to_le_bytes()[..width]);
            }
        }
        self.label_relocated(&mut labelled, label);
        labelled
    }

    /// Writes the label of each relocation's addend where the loader would write the address: the file has zeros there.
    fn label_relocated(&self, labelled: &mut [u8], label: impl Fn(u32) -> u32) {
        let places = &self.image.places;
        for section in self.image.sections.iter().filter(|section| section.kind == elf::SHT_RELA) {
            let table = self.bytes.get(section.offset as usize..section.end() as usize).unwrap_or_default();
            for entry in table.chunks_exact(24) {
                let place = places.relative(word(entry, 0, 8)).and_then(|place| places.offset(place));
                let target = places.relative(word(entry, 16, 8)).filter(|target| *target > 0);
                if let (Some(place), Some(target)) = (place, target) {
                    if let Some(word) = labelled.get_mut(place as usize..place as usize + 8) {
                        word.copy_from_slice(&u64::from(label(target)).to_le_bytes());
                    }
                }
            }
        }
    }
}

/// The number of `width` bytes that lies `at`, within `bytes`.
fn word(bytes: &[u8], at: usize, width: usize) -> u64 {
    let mut word = [0; 8];
    word[..width].copy_from_slice(&bytes[at..at + width]);
    u64::from_le_bytes(word)
}

/// The map of these blocks; none if they are too many or too large for the mode.
fn map(blocks: &[Block]) -> Option<BlockMap> {
    let pieces: Option<Vec<Piece>> = blocks.iter().map(Piece::of).collect();
    pieces.filter(|pieces| pieces.len() <= MAX_BLOCKS).map(BlockMap::new)
}

fn projection(old: &Places, new: &Places, blocks: &[Block], settings: Settings, fields: usize) -> Option<Projection> {
    Some(Projection::new(old.clone(), new.clone(), map(blocks)?, settings, fields))
}

/// The blocks that the labels give: those of the old program are of where its targets went, by the blocks so far.
fn rematch(old: &Parsed<'_>, new: &Parsed<'_>, blocks: &[Block]) -> Option<Vec<Block>> {
    let settings = Settings { learn: false, guess: false };
    let projection = projection(&old.image.places, &new.image.places, blocks, settings, 0)?;
    let old = old.labelled(|target| projection.project(target, None).0);
    let new = new.labelled(|target| target);
    Some(matching::blocks(&old, &Suffixes::sort(&old), &new))
}

/// The patch with these blocks and settings.
fn write(old: &Parsed<'_>, new: &Parsed<'_>, blocks: &[Block], settings: Settings) -> Option<Vec<u8>> {
    let mut fields = old.fields.clone();
    if !settings.guess {
        fields.retain(|field| field.kind.gate().is_none());
    }
    let projection = projection(&old.image.places, &new.image.places, blocks, settings, fields.len())?;
    let mut walk = Walk::new(fields, projection);
    let (mut runs, mut residuals, mut run) = (Vec::new(), Vec::new(), 0);
    let mut streams = encode::streams(old.bytes, new.bytes, blocks, |block, expected| {
        let Some(piece) = Piece::of(block) else { return };
        for (number, step) in expected.chunks_mut(STEP).enumerate() {
            let Ok(()) = walk.step(&piece, (number * STEP) as u32, step, |at, width, guess| {
                let word = word(new.bytes, at as usize, width as usize);
                match residual(width, guess.word, word) {
                    0 => run += 1,
                    residual => {
                        varint::write(run, &mut runs);
                        varint::write(varint::zigzag(residual), &mut residuals);
                        run = 0;
                    }
                }
                Ok::<u64, Infallible>(word)
            });
        }
    });
    streams[StreamKind::FieldRun as usize] = runs;
    streams[StreamKind::FieldResidual as usize] = residuals;
    let mode = Mode::Program(Program { places: new.image.places.clone(), settings });
    Some(encode::patch(old.bytes, new.bytes, mode, &streams))
}
