//! Makes deltas between programs: matches both a second time with each address replaced by a label of what it points to, and
//! takes the differences against what the client will predict.

use super::encode;
use super::{matching, suffix::Suffixes};
use patcher::delta::program::field::{self, Field, Place};
use patcher::delta::program::image::{Image, elf};
use patcher::delta::program::map::{BlockMap, Piece};
use patcher::delta::program::project::{Projection, Settings};
use patcher::delta::program::walk::{Walk, residual};
use patcher::delta::program::{MAX_BLOCKS, Program, parse};
use patcher::delta::{Block, DeltaError, Mode, Prediction, StreamKind, varint};
use rayon::prelude::*;
use std::io::Cursor;

/// How many times the files are matched on labels: a second time pays where code was really reshuffled.
const PASSES: usize = 2;

/// The smallest patch from `old` to `new` as programs; none if one of them is none. `blocks` are those that the bytes alone
/// give.
///
/// # Errors
/// None that two files in memory can cause.
pub fn patch(old: &[u8], new: &[u8], blocks: &[Block]) -> Result<Option<Vec<u8>>, DeltaError> {
    let (Some(old), Some(new)) = rayon::join(|| Parsed::new(old), || Parsed::new(new)) else { return Ok(None) };
    let has_guesses = old.fields.iter().any(|field| field.kind.gate().is_some());
    let settings = [(true, true), (true, false), (false, true), (false, false)];
    let settings = settings.into_iter().filter(|(_, guess)| has_guesses || !guess);
    let settings: Vec<Settings> = settings.map(|(learn, guess)| Settings { learn, guess }).collect();
    let mut blocks = blocks.to_vec();
    let mut best: Option<Vec<u8>> = None;
    for _ in 0..PASSES {
        let Some(matched) = rematch(&old, &new, &blocks) else { break };
        blocks = matched;
        let Some(map) = map(&blocks) else { break };
        let patches = settings.par_iter().map(|settings| write(&old, &new, &blocks, &map, *settings));
        let Some(smallest) = patches.collect::<Result<Vec<_>, _>>()?.into_iter().min_by_key(Vec::len) else { break };
        if best.as_ref().is_some_and(|best| best.len() <= smallest.len()) {
            break;
        }
        best = Some(smallest);
    }
    Ok(best)
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

/// The blocks that the labels give: those of the old program are of where its targets went, by the blocks so far.
fn rematch(old: &Parsed<'_>, new: &Parsed<'_>, blocks: &[Block]) -> Option<Vec<Block>> {
    let settings = Settings { learn: false, guess: false };
    let projection = Projection::new(old.image.places.clone(), new.image.places.clone(), map(blocks)?, settings, 0);
    let old = old.labelled(|target| projection.project(target, None).0);
    let new = new.labelled(|target| target);
    Some(matching::blocks(&old, &Suffixes::sort(&old), &new))
}

/// The patch with these blocks and settings.
fn write(
    old: &Parsed<'_>,
    new: &Parsed<'_>,
    blocks: &[Block],
    map: &BlockMap,
    settings: Settings,
) -> Result<Vec<u8>, DeltaError> {
    let mut fields = old.fields.clone();
    if !settings.guess {
        fields.retain(|field| field.kind.gate().is_none());
    }
    let (old_places, places) = (old.image.places.clone(), new.image.places.clone());
    let projection = Projection::new(old_places, places.clone(), map.clone(), settings, fields.len());
    let walk = Walk::new(fields, projection);
    let mut expected = Expected { walk, new: new.bytes, runs: Vec::new(), residuals: Vec::new(), run: 0 };
    let mut streams = encode::streams(old.bytes, new.bytes, blocks, &mut expected)?;
    streams[StreamKind::FieldRun as usize] = expected.runs;
    streams[StreamKind::FieldResidual as usize] = expected.residuals;
    let mode = Mode::Program(Program { places, settings });
    Ok(encode::patch(old.bytes, new.bytes, mode, &streams))
}

/// What the client will predict, with what it has to be told of fields where it is wrong.
struct Expected<'a> {
    walk: Walk,
    new: &'a [u8],
    runs: Vec<u8>,
    residuals: Vec<u8>,
    /// How many fields in a row were predicted right.
    run: u64,
}

impl Prediction for Expected<'_> {
    fn predict(&mut self, block: &Block, offset: u64, bytes: &mut [u8]) -> Result<(), DeltaError> {
        let (Some(piece), Ok(offset)) = (Piece::of(block), u32::try_from(offset)) else {
            return Err(DeltaError::NotAProgram);
        };
        let Expected { walk, new, runs, residuals, run } = self;
        walk.step(&piece, offset, bytes, |at, width, guess| {
            let word = word(new, at as usize, width as usize);
            match residual(width, guess.word, word) {
                0 => *run += 1,
                residual => {
                    varint::write(std::mem::take(run), runs);
                    varint::write(varint::zigzag(residual), residuals);
                }
            }
            Ok(word)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode as delta;
    use patcher::delta::{Content, Edge, Header, Mode, apply};
    use patcher::digest::Sha256;
    use std::io::Cursor;

    /// An ELF file whose functions of 32 bytes each call another one; `extra` functions stand before the one in the middle.
    fn program(extra: usize) -> Vec<u8> {
        const FUNCTIONS: usize = 600;
        const CODE: usize = 0x1000;
        let at = |number: usize| CODE + 32 * (number + if number < FUNCTIONS / 2 { 0 } else { extra });
        let mut file = vec![0xcc; CODE + 32 * (FUNCTIONS + extra)];
        file[..CODE].fill(0);
        for number in 0..FUNCTIONS {
            let here = at(number);
            file[here..here + 4].copy_from_slice(&[0x48, 0x83, 0xec, number as u8]);
            for call in 0..4 {
                let place = here + 4 + 5 * call;
                let target = at((number * 7919 + call * 104_729) % FUNCTIONS);
                file[place] = 0xe8;
                file[place + 1..place + 5].copy_from_slice(&(target as i32 - place as i32 - 5).to_le_bytes());
            }
        }
        let size = file.len() as u64;
        file[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
        file[18] = 62;
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64] = 1;
        file[68] = 5;
        file[96..104].copy_from_slice(&size.to_le_bytes());
        file[104..112].copy_from_slice(&size.to_le_bytes());
        file
    }

    fn edge(old: &[u8], new: &[u8]) -> Edge {
        let content = |bytes: &[u8]| Content { size: bytes.len() as u64, sha256: Sha256::of(bytes) };
        Edge { old: content(old), new: content(new) }
    }

    #[test]
    fn a_program_whose_code_moved_costs_little() {
        let (old, new) = (program(0), program(3));
        let patch = delta(&old, &new).unwrap();
        assert!(matches!(Header::read(&mut &patch[..]).unwrap().mode, Mode::Program(_)));
        assert!(patch.len() < 400, "{} bytes", patch.len());
        let mut made = Vec::new();
        apply(Cursor::new(&old), Cursor::new(&patch), &edge(&old, &new), &mut made).unwrap();
        assert!(made == new);
    }

    #[test]
    fn what_is_no_program_gets_a_plain_delta() {
        let (old, new) = (program(0), program(3));
        let patch = delta(&old[1..], &new[1..]).unwrap();
        assert_eq!(Header::read(&mut &patch[..]).unwrap().mode, Mode::Plain);
    }

    #[test]
    fn a_program_delta_for_what_is_no_program_is_refused() {
        let (old, new) = (program(0), program(3));
        let patch = delta(&old, &new).unwrap();
        let mut other = old.clone();
        other[0] = 0;
        let error = apply(Cursor::new(&other), Cursor::new(&patch), &edge(&old, &new), &mut Vec::new()).unwrap_err();
        assert_eq!(error.code(), "delta-not-a-program");
    }

    #[test]
    fn a_damaged_patch_never_gives_more_than_was_signed() {
        let (old, new) = (program(0), program(3));
        let patch = delta(&old, &new).unwrap();
        let edge = edge(&old, &new);
        for at in 0..patch.len() {
            for value in [0, 0xff, patch[at] ^ 1] {
                let mut damaged = patch.clone();
                damaged[at] = value;
                let mut made = Vec::new();
                let result = apply(Cursor::new(&old), Cursor::new(&damaged), &edge, &mut made);
                assert!(made.len() as u64 <= edge.new.size);
                assert!(result.is_err() || made.len() as u64 == edge.new.size);
            }
        }
    }
}
