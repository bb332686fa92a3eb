//! Makes deltas between programs: matches both a second time with each address replaced by a label of what it points to, and
//! takes the differences against what the client will predict.

use super::block_matching;
use super::draft::{Corrections, DeltaDraft};
use super::match_index::MatchIndex;
use super::stream_packing::estimate_all;
use super::stream_writer::{BlockStreams, Spool, new_spool, write_number};
use patcher::internal::delta::program::block_map::{BlockMap, MappedRange};
use patcher::internal::delta::program::field::{self, Field, FieldContext};
use patcher::internal::delta::program::field_walk::{FieldWalk, read_word, residual, write_word};
use patcher::internal::delta::program::image::{Image, elf};
use patcher::internal::delta::program::projection::{PredictionSettings, Projection};
use patcher::internal::delta::program::unscanned_pages::{self, MAX_STRETCHES, UnscannedPages};
use patcher::internal::delta::program::{MAX_BLOCKS, ProgramHeader, parse};
use patcher::internal::delta::{Block, DeltaError, DeltaMode, FileSizes, Prediction, StreamKind, varint};
use std::borrow::Cow;
use std::io::{self, Cursor, Read, Seek};
use std::iter;

/// The files are matched on labels a second time where the first time moved at least one in so many targets: it pays where code
/// was really reshuffled (measured on 23 pairs of programs).
const MOVED_TARGETS_DIVISOR: usize = 256;
/// One in so many fields is asked for its target.
const SAMPLED_FIELDS_STEP: usize = 16;

/// How many more bytes another place must explain than going on does: labelled programs have fewer differences by chance than
/// others, and Go's tables want short blocks.
const SLACK_BYTES: usize = 8;

/// Nothing is looked for in pages where no address changes if that costs at most one in so many bytes of the delta,
const UNSCANNED_COST_DIVISOR: u64 = 32;
/// and not more than so many bytes,
const UNSCANNED_COST_BYTES: u64 = 512;
/// if so many are in a row,
const UNSCANNED_STRETCH_PAGES: usize = 4;
/// and if they hold at least one in so many bytes of the code, or one in so many fields.
const UNSCANNED_SHARE_DIVISOR: u64 = 8;
/// What it costs is known when it was tried: with so many lists of pages, each shorter than the one before.
const UNSCANNED_TRIES: usize = 3;

/// About how much memory [`draft`] takes: both files and both labelled ones, the index, and the fields.
pub fn memory_needed(sizes: &FileSizes) -> u64 {
    let (old, new) = (sizes.old, sizes.new);
    old.saturating_mul(12).saturating_add(new.saturating_mul(6)).saturating_add(64 << 20)
}

/// A delta of this mode, not packed yet.
pub struct ProgramDraft {
    /// Its streams.
    pub draft: DeltaDraft,
    /// About how many bytes it will have.
    pub estimate: u64,
    /// What of the new file was found in the old one.
    pub blocks: Vec<Block>,
}

/// The delta between two files as programs that looks smallest; none if one of them is none. `blocks` are those that the bytes alone
/// give. Each stream takes at most `memory` bytes, and the disk beyond.
///
/// # Errors
/// What either file or the temporary folder fails with.
pub fn draft(
    old: &mut (impl Read + Seek),
    new: &mut (impl Read + Seek),
    sizes: &FileSizes,
    blocks: &[Block],
    memory: usize,
) -> io::Result<Option<ProgramDraft>> {
    if !begins_as_program(old)? {
        return Ok(None);
    }
    let (old, new) = (read(old, sizes.old)?, read(new, sizes.new)?);
    let all = UnscannedPages::default();
    let (old, new) = rayon::join(|| ParsedProgram::new(&old, &all), || ParsedProgram::new(&new, &all));
    let (Some(old), Some(new)) = (old, new) else { return Ok(None) };
    let targets = |map| {
        let settings = PredictionSettings { learn: false, guess: false };
        Projection::new(old.image.layout.clone(), new.image.layout.clone(), map, settings, 0)
    };
    let labelled_new = new.with_labels(|target| target);
    let mut moved = map(blocks).map(targets);
    let mut best: Option<BestDraft> = None;
    while let Some(projection) = moved.take() {
        let labelled_old = old.with_labels(|target| projection.project(target, None).0);
        let blocks = block_matching::match_blocks(&MatchIndex::of(&labelled_old), &labelled_new, 0, SLACK_BYTES);
        drop(labelled_old);
        let Some(map) = map(&blocks) else { break };
        let is_first = best.is_none();
        // What is best with the first blocks is so with better ones.
        let (settings, corrections) = match &best {
            None => choose(&old, &new, &blocks, &map, memory)?,
            Some(best) => (best.settings, corrections(&old, &new, &blocks, &map, best.settings, memory)?),
        };
        let mut block_streams = BlockStreams::write(&mut Cursor::new(new.bytes), sizes.new, &blocks, memory)?;
        let estimate = corrections.estimate + estimate_all(&mut block_streams.streams)?;
        if best.as_ref().is_none_or(|best| estimate < best.estimate) {
            moved = is_first.then(|| targets(map.clone())).filter(|then| old.has_moved(&projection, then));
            best = Some(BestDraft { blocks, map, settings, block_streams, corrections, estimate });
        }
    }
    let Some(mut best) = best else { return Ok(None) };
    let unscanned = best.choose_unscanned(&old, &new, memory)?;
    let program = ProgramHeader { layout: new.image.layout, settings: best.settings, unscanned };
    let draft = DeltaDraft::new(DeltaMode::Program(program), best.block_streams, best.corrections);
    Ok(Some(ProgramDraft { draft, estimate: best.estimate, blocks: best.blocks }))
}

/// The smallest delta so far.
struct BestDraft {
    blocks: Vec<Block>,
    map: BlockMap,
    settings: PredictionSettings,
    block_streams: BlockStreams,
    corrections: Corrections,
    /// About how many bytes it will have, but for what every header has.
    estimate: u64,
}

impl BestDraft {
    /// Lets the client look for no addresses where none changes, if that saves it enough of them: tells where.
    fn choose_unscanned(
        &mut self,
        old: &ParsedProgram<'_>,
        new: &ParsedProgram<'_>,
        memory: usize,
    ) -> io::Result<UnscannedPages> {
        let affordable = UNSCANNED_COST_BYTES.min(self.estimate / UNSCANNED_COST_DIVISOR);
        let pages = old.unchanged(new, &self.blocks, self.settings);
        let lengths = iter::successors(Some(UNSCANNED_STRETCH_PAGES), |shortest| Some(shortest + shortest.div_ceil(4)))
            .take_while(|shortest| *shortest < pages.len());
        let stretches = lengths.map(|shortest| UnscannedPages::new(without_short_runs(&pages, shortest)));
        let affordable_ones = stretches.filter(|unscanned| !unscanned.is_empty()).filter_map(|unscanned| {
            header_bytes(&unscanned).filter(|size| *size <= affordable).map(|size| (unscanned, size))
        });
        for (unscanned, size) in affordable_ones.take(UNSCANNED_TRIES) {
            let worth = if old.is_worth(&unscanned) { ParsedProgram::new(old.bytes, &unscanned) } else { None };
            let Some(scanned) = worth else { break };
            let corrections = corrections(&scanned, new, &self.blocks, &self.map, self.settings, memory)?;
            let estimate = self.estimate - self.corrections.estimate + corrections.estimate + size;
            if estimate <= self.estimate + affordable {
                (self.corrections, self.estimate) = (corrections, estimate);
                return Ok(unscanned);
            }
        }
        Ok(UnscannedPages::default())
    }
}

/// How many bytes a header has of it; none if it cannot have that many stretches.
fn header_bytes(unscanned: &UnscannedPages) -> Option<u64> {
    let mut bytes = Vec::new();
    unscanned.write(&mut bytes);
    (unscanned.stretches().count() <= MAX_STRETCHES).then_some(bytes.len() as u64)
}

/// The same pages, but where fewer than `shortest` in a row are unscanned, they are not.
fn without_short_runs(pages: &[bool], shortest: usize) -> Vec<bool> {
    let runs = pages.chunk_by(|page, next| page == next);
    runs.flat_map(|run| iter::repeat_n(run[0] && run.len() >= shortest, run.len())).collect()
}

/// Whether a file begins as a program does: what is none need not be read whole.
fn begins_as_program(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut magic = [0; 4];
    file.rewind()?;
    match file.read_exact(&mut magic) {
        Ok(()) => Ok(Image::is_magic(&magic)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn read(file: &mut (impl Read + Seek), size: u64) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// A program with those of its fields that are looked for.
struct ParsedProgram<'a> {
    bytes: &'a [u8],
    image: Image,
    fields: Vec<Field>,
}

impl<'a> ParsedProgram<'a> {
    fn new(bytes: &'a [u8], unscanned: &UnscannedPages) -> Option<Self> {
        let (image, fields) = parse(Cursor::new(bytes), bytes.len() as u64, unscanned).ok()??;
        Some(ParsedProgram { bytes, image, fields })
    }

    /// Where a field leads.
    fn target(&self, field: &Field) -> Option<u32> {
        let word = word(self.bytes, field.offset as usize, field.kind.width() as usize);
        field::read_target(field.kind, field.extra, word, FieldContext::new(&self.image.layout, field.offset))
    }

    /// The bytes with each field replaced by a label of its target, which `label` may move.
    fn with_labels(&self, label: impl Fn(u32) -> u32) -> Vec<u8> {
        let mut labelled = self.bytes.to_vec();
        for field in &self.fields {
            let (at, width) = (field.offset as usize, field.kind.width() as usize);
            let word = word(self.bytes, at, width);
            if let Some(target) = self.target(field) {
                // As if all fields lay in one place: then only the target tells two of them apart.
                let nowhere = FieldContext { base: 0, address: 0, slice: 0 };
                let label = field::write_target(field.kind, 0, word, nowhere, label(target));
                write_word(&mut labelled[at..at + width], label);
            }
        }
        self.label_relocated(&mut labelled, label);
        labelled
    }

    /// Whether enough targets are elsewhere with one projection than with the other.
    fn has_moved(&self, one: &Projection, other: &Projection) -> bool {
        let asked = self.fields.iter().step_by(SAMPLED_FIELDS_STEP);
        let targets = asked.filter_map(|field| self.target(field));
        let moved = targets.filter(|target| one.project(*target, None).0 != other.project(*target, None).0);
        moved.count() * SAMPLED_FIELDS_STEP * MOVED_TARGETS_DIVISOR > self.fields.len()
    }

    /// Whether enough of the code, or of the fields, is unscanned.
    fn is_worth(&self, unscanned: &UnscannedPages) -> bool {
        let (mut code, mut unscanned_code) = (0, 0);
        for (section, _) in self.image.code() {
            let outside =
                unscanned.scanned_ranges(section.offset, section.end()).map(|part| u64::from(part.end - part.start));
            code += u64::from(section.size);
            unscanned_code += u64::from(section.size).saturating_sub(outside.sum());
        }
        let unscanned_fields = self.fields.iter().filter(|field| unscanned.contains(field.offset)).count();
        unscanned_code > code / UNSCANNED_SHARE_DIVISOR
            || unscanned_fields as u64 > self.fields.len() as u64 / UNSCANNED_SHARE_DIVISOR
    }

    /// For each page whether no field in it that will be predicted has another word in the new program, as far as `blocks` go.
    fn unchanged(&self, new: &ParsedProgram<'_>, blocks: &[Block], settings: PredictionSettings) -> Vec<bool> {
        let is_predicted = |field: &Field| settings.guess || !field.kind.is_guess();
        let mut pages = vec![true; self.bytes.len().div_ceil(unscanned_pages::PAGE_BYTES as usize)];
        for block in blocks {
            let end = block.old + block.length;
            let first = self.fields.partition_point(|field| u64::from(field.offset) < block.old);
            for field in self.fields[first..].iter().take_while(|field| u64::from(field.offset) < end) {
                let (at, width) = (field.offset as usize, field.kind.width() as usize);
                let to = at + block.new as usize - block.old as usize;
                let is_whole = at as u64 + width as u64 <= end;
                if is_whole && is_predicted(field) && self.bytes[at..at + width] != new.bytes[to..to + width] {
                    pages[at / unscanned_pages::PAGE_BYTES as usize] = false;
                }
            }
        }
        pages
    }

    /// Writes the label of each relocation's addend where the loader would write the address: the file has zeros there.
    fn label_relocated(&self, labelled: &mut [u8], label: impl Fn(u32) -> u32) {
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

/// The number of `width` bytes that lies `at`, within `bytes`.
fn word(bytes: &[u8], at: usize, width: usize) -> u64 {
    read_word(&bytes[at..at + width])
}

/// The map of these blocks; none if they are too many or too large for the mode.
fn map(blocks: &[Block]) -> Option<BlockMap> {
    let pieces: Option<Vec<MappedRange>> = blocks.iter().map(MappedRange::from_block).collect();
    pieces.filter(|pieces| pieces.len() <= MAX_BLOCKS).map(BlockMap::new)
}

/// The settings with which a client has to be told least beside these blocks, and what that is.
fn choose(
    old: &ParsedProgram<'_>,
    new: &ParsedProgram<'_>,
    blocks: &[Block],
    map: &BlockMap,
    memory: usize,
) -> io::Result<(PredictionSettings, Corrections)> {
    let with = |learn, guess| {
        let settings = PredictionSettings { learn, guess };
        corrections(old, new, blocks, map, settings, memory).map(|corrections| (settings, corrections))
    };
    let better = |one: (PredictionSettings, Corrections), other: (PredictionSettings, Corrections)| {
        if other.1.estimate < one.1.estimate { other } else { one }
    };
    let has_guesses = old.fields.iter().any(|field| field.kind.is_guess());
    let (learning, not_learning) = rayon::join(|| with(true, has_guesses), || with(false, has_guesses));
    let best = better(learning?, not_learning?);
    let learn = best.0.learn;
    if has_guesses { Ok(better(best, with(learn, false)?)) } else { Ok(best) }
}

/// What a client has to be told beside these blocks, with these settings.
fn corrections(
    old: &ParsedProgram<'_>,
    new: &ParsedProgram<'_>,
    blocks: &[Block],
    map: &BlockMap,
    settings: PredictionSettings,
    memory: usize,
) -> io::Result<Corrections> {
    let is_certain = |field: &&Field| !field.kind.is_guess();
    let fields: Cow<'_, [Field]> =
        if settings.guess { (&old.fields).into() } else { old.fields.iter().filter(is_certain).copied().collect() };
    let (old_places, layout) = (old.image.layout.clone(), new.image.layout.clone());
    let projection = Projection::new(old_places, layout, map.clone(), settings, fields.len());
    let walk = FieldWalk::new(fields, projection);
    let (runs, residuals) = (new_spool(memory), new_spool(memory));
    let mut expected = RecordingPrediction { walk, new: new.bytes, runs, residuals, run: 0 };
    let (mut old_bytes, mut new_bytes) = (Cursor::new(old.bytes), Cursor::new(new.bytes));
    let mut corrections = Corrections::of(&mut old_bytes, &mut new_bytes, blocks, &mut expected, memory)?;
    let RecordingPrediction { runs, residuals, .. } = expected;
    let mut fields = [(StreamKind::FieldRun, runs), (StreamKind::FieldResidual, residuals)];
    corrections.estimate += estimate_all(&mut fields)?;
    corrections.streams.extend(fields);
    Ok(corrections)
}

/// What the client will predict, with what it has to be told of fields where it is wrong.
struct RecordingPrediction<'a> {
    walk: FieldWalk<'a>,
    new: &'a [u8],
    runs: Spool,
    residuals: Spool,
    /// How many fields in a row were predicted right.
    run: u64,
}

impl Prediction for RecordingPrediction<'_> {
    fn predict(&mut self, block: &Block, offset: u64, bytes: &mut [u8]) -> Result<(), DeltaError> {
        let (Some(piece), Ok(offset)) = (MappedRange::from_block(block), u32::try_from(offset)) else {
            return Err(DeltaError::NotAProgram);
        };
        let RecordingPrediction { walk, new, runs, residuals, run } = self;
        walk.predict_step(&piece, offset, bytes, |at, width, guess| {
            let word = word(new, at as usize, width as usize);
            match residual(width, guess.word, word) {
                0 => *run += 1,
                residual => {
                    write_number(runs, std::mem::take(run)).map_err(DeltaError::WriteNewFile)?;
                    write_number(residuals, varint::zigzag(residual)).map_err(DeltaError::WriteNewFile)?;
                }
            }
            Ok(word)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode;
    use super::*;
    use patcher::internal::delta::{DeltaHeader, apply};
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

    fn sizes(old: &[u8], new: &[u8]) -> FileSizes {
        FileSizes { old: old.len() as u64, new: new.len() as u64 }
    }

    fn delta(old: &[u8], new: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut patch = Vec::new();
        encode(&mut Cursor::new(old), &mut Cursor::new(new), &sizes(old, new), 1 << 30, &mut patch)?;
        Ok(patch)
    }

    #[test]
    fn a_program_whose_code_moved_costs_little() {
        let (old, new) = (program(0), program(3));
        let patch = delta(&old, &new).unwrap();
        assert!(matches!(DeltaHeader::read(&mut &patch[..]).unwrap().mode, DeltaMode::Program(_)));
        assert!(patch.len() < 400, "{} bytes", patch.len());
        let mut made = Vec::new();
        apply(Cursor::new(&old), Cursor::new(&patch), &sizes(&old, &new), &mut made).unwrap();
        assert!(made == new);
    }

    /// The same with as many bytes of calls behind, which are the same wherever they lie.
    fn with_calls(mut file: Vec<u8>) -> Vec<u8> {
        let call = [&[0xe8][..], &(-0x4000i32).to_le_bytes(), &[0x90; 11]].concat();
        let size = 2 * file.len();
        file.extend(call.iter().cycle().take(size - file.len()).copied().collect::<Vec<_>>());
        file[96..104].copy_from_slice(&(size as u64).to_le_bytes());
        file[104..112].copy_from_slice(&(size as u64).to_le_bytes());
        file
    }

    #[test]
    fn pages_without_changed_addresses_are_left_unscanned() {
        let (old, new) = (with_calls(program(0)), with_calls(program(3)));
        let patch = delta(&old, &new).unwrap();
        let apply = |patch: &[u8]| {
            let mut made = Vec::new();
            apply(Cursor::new(&old), Cursor::new(patch), &sizes(&old, &new), &mut made).map(|()| made)
        };
        assert!(apply(&patch).unwrap() == new);
        // Some of these calls lead to what has moved less: who looks for them takes them to change.
        let mut header = DeltaHeader::read(&mut &patch[..]).unwrap();
        let rest = &patch[header.to_bytes().len()..];
        let DeltaMode::Program(program) = &mut header.mode else { panic!("plain") };
        assert_eq!(program.unscanned.stretches().collect::<Vec<_>>(), [(6, 6)]);
        program.unscanned = UnscannedPages::default();
        let scanned = [&header.to_bytes(), rest].concat();
        assert!(apply(&scanned).map_or(true, |made| made != new));
    }

    #[test]
    fn only_moved_targets_count_as_moved() {
        let bytes = program(0);
        let program = ParsedProgram::new(&bytes, &UnscannedPages::default()).unwrap();
        let half = bytes.len() as u64 / 2;
        let projection = |shift| {
            let blocks = [Block { old: 0, new: 0, length: half }, Block { old: half, new: half + shift, length: half }];
            let layout = || program.image.layout.clone();
            Projection::new(
                layout(),
                layout(),
                map(&blocks).unwrap(),
                PredictionSettings { learn: false, guess: false },
                0,
            )
        };
        assert!(!program.has_moved(&projection(0), &projection(0)));
        assert!(program.has_moved(&projection(0), &projection(16)));
        let (still, moved) = (projection(0), projection(16));
        let without = ParsedProgram { fields: Vec::new(), ..program };
        assert!(!without.has_moved(&still, &moved));
    }

    #[test]
    fn short_unscanned_stretches_are_left_out() {
        let pages = [true, false, true, true, true, false, false, true, true];
        let longer =
            |shortest| UnscannedPages::new(without_short_runs(&pages, shortest)).stretches().collect::<Vec<_>>();
        assert_eq!(longer(1), [(0, 1), (1, 3), (2, 2)]);
        assert_eq!(longer(2), [(2, 3), (2, 2)]);
        assert_eq!(longer(3), [(2, 3)]);
        assert_eq!(longer(4), []);
    }

    #[test]
    fn more_unscanned_stretches_than_a_header_can_hold_are_refused() {
        let pages = |count: usize| UnscannedPages::new([false, true].repeat(count));
        assert_eq!(header_bytes(&pages(MAX_STRETCHES)), Some(2 + 2 * MAX_STRETCHES as u64));
        assert_eq!(header_bytes(&pages(MAX_STRETCHES + 1)), None);
    }

    #[test]
    fn other_files_get_a_plain_delta() {
        let (old, new) = (program(0), program(3));
        let patch = delta(&old[1..], &new[1..]).unwrap();
        assert_eq!(DeltaHeader::read(&mut &patch[..]).unwrap().mode, DeltaMode::Plain);
    }

    #[test]
    fn a_program_delta_is_refused_if_the_old_file_is_not_a_program() {
        let (old, new) = (program(0), program(3));
        let patch = delta(&old, &new).unwrap();
        let mut other = old.clone();
        other[0] = 0;
        let error = apply(Cursor::new(&other), Cursor::new(&patch), &sizes(&old, &new), &mut Vec::new()).unwrap_err();
        assert_eq!(error.code(), "delta-not-a-program");
    }

    #[test]
    fn a_damaged_delta_never_writes_more_than_the_new_size() {
        let (old, new) = (program(0), program(3));
        let patch = delta(&old, &new).unwrap();
        let sizes = sizes(&old, &new);
        for at in 0..patch.len() {
            for value in [0, 0xff, patch[at] ^ 1] {
                let mut damaged = patch.clone();
                damaged[at] = value;
                let mut made = Vec::new();
                let result = apply(Cursor::new(&old), Cursor::new(&damaged), &sizes, &mut made);
                assert!(made.len() as u64 <= sizes.new);
                assert!(result.is_err() || made.len() as u64 == sizes.new);
            }
        }
    }
}
