//! From two files to a delta.

use super::draft::{Corrections, Delta, Draft};
use super::pack::{estimate_all, pack_all};
use super::streams::{Differences, Layout};
use super::{dictionary, program, window};
use patcher::internal::delta::{Block, Edge, Mode, Plain, StreamKind};
use std::io::{self, Read, Seek, Write};

/// A share of the memory for each stream, before it goes to disk.
const STREAM_SHARE: u64 = 32;
/// What the strongest preset takes per byte of a dictionary.
const PACKER: u64 = 12;

/// What became of two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The size of the delta in bytes.
    pub size: u64,
    /// What of the new file was found in the old one.
    pub blocks: Vec<Block>,
}

/// About how much memory [`encode`] takes when it may take all that it wants.
pub fn memory(edge: &Edge) -> u64 {
    // Long differences are packed by two at once.
    let dictionaries = StreamKind::PLAIN.iter().chain([&StreamKind::Difference]).map(|kind| kind.dictionary());
    let packers: u64 = dictionaries.map(|dictionary| PACKER * edge.new.min(dictionary.into())).sum();
    let plain = window::memory(edge.old, edge.new).max(packers.saturating_add(edge.new)).saturating_add(1 << 20);
    plain.max(program::memory(edge))
}

/// Writes the delta that makes the new file of `edge` out of its old one, in about `limit` bytes of memory (never below
/// 200 MiB for large files, which is what the packers take).
///
/// The files are taken to be those of `edge`; a client refuses the result if they are not.
///
/// # Errors
/// What either file, `out` or the temporary folder fails with.
pub fn encode(
    old: &mut (impl Read + Seek + Send),
    new: &mut (impl Read + Seek + Send),
    edge: &Edge,
    limit: u64,
    out: &mut impl Write,
) -> io::Result<Encoded> {
    let blocks = window::match_files(old, new, edge, limit)?;
    let spool = usize::try_from(limit / STREAM_SHARE).unwrap_or(usize::MAX);
    let program = if program::memory(edge) <= limit { program::draft(old, new, edge, &blocks, spool)? } else { None };
    let (delta, blocks) = match program {
        None => {
            let plain = plain(old, new, edge, &blocks, spool)?;
            (dictionary::encode(old, new, edge, &blocks, &plain, spool)?.unwrap_or(plain), blocks)
        }
        Some(program) => {
            let mut layout = Layout::write(new, edge.new, &blocks, spool)?;
            let corrections = Corrections::of(old, new, &blocks, &mut Plain, spool)?;
            let plain_estimate = estimate_all(&mut layout.streams)? + corrections.estimate;
            let plain = Draft::new(Mode::Plain, layout, corrections);
            let clearly_smaller = program.estimate < plain_estimate / 2;
            let delta = program.draft.pack(edge, &[], spool)?;
            match if clearly_smaller { None } else { Some(plain.pack(edge, &[], spool)?) } {
                Some(plain) if plain.size() <= delta.size() => (plain, blocks),
                _ => (delta, program.blocks),
            }
        }
    };
    Ok(Encoded { size: delta.write(out)?, blocks })
}

/// The delta of mode 0.
fn plain(
    old: &mut (impl Read + Seek + Send),
    new: &mut (impl Read + Seek + Send),
    edge: &Edge,
    blocks: &[Block],
    memory: usize,
) -> io::Result<Delta> {
    let layout = Layout::write(new, edge.new, blocks, memory)?;
    let mut differences = Differences::write(old, new, blocks, &mut Plain, memory)?;
    let extra = edge.new - blocks.iter().map(|block| block.length).sum::<u64>();
    if extra < differences[0].bytes.stream_position()? {
        return Draft::new(Mode::Plain, layout, Corrections::best(differences)?).pack(edge, &[], memory);
    }
    // The extra bytes take longest to pack, and need not wait for the best way to write the differences.
    let (layout, corrections) = rayon::join(
        || pack_all(layout.streams, &Mode::Plain, &[], memory),
        || {
            let corrections = Corrections::best(differences)?;
            Ok::<_, io::Error>((corrections.short_run, pack_all(corrections.streams, &Mode::Plain, &[], memory)?))
        },
    );
    let (short_run, mut packed) = corrections?;
    packed.extend(layout?);
    Ok(Delta::new(Mode::Plain, edge, short_run, packed))
}
