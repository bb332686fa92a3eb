//! From two files to a delta.

use super::pack::{Packed, estimate, pack};
use super::streams::{Differences, Spool, Streams};
use super::{program, window};
use patcher::delta::{Edge, Header, Mode, PackedStream, Plain, StreamKind};
use rayon::prelude::*;
use std::io::{self, Read, Seek, Write};

/// A share of the memory for each stream, before it goes to disk.
const STREAM_SHARE: u64 = 32;
/// What the strongest preset takes per byte of a dictionary.
const PACKER: u64 = 12;

/// What became of two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded {
    /// The size of the delta in bytes.
    pub size: u64,
    /// How many blocks it has.
    pub blocks: usize,
}

/// About how much memory [`encode`] takes when it may take all that it wants.
pub fn memory(edge: &Edge) -> u64 {
    let packers: u64 =
        StreamKind::PLAIN.iter().map(|kind| PACKER * edge.new.size.min(u64::from(kind.dictionary()))).sum();
    window::memory(edge.old.size, edge.new.size).max(packers.saturating_add(edge.new.size)).saturating_add(1 << 20)
}

/// Writes the delta that makes the new file of `edge` out of its old one, in about `limit` bytes of memory (never below
/// 160 MiB for large files, which is what the packers take).
///
/// The files are taken to be those of `edge`; a client refuses the result if they are not.
///
/// # Errors
/// What either file, `out` or the temporary folder fails with.
pub fn encode(
    old: &mut (impl Read + Seek),
    new: &mut (impl Read + Seek),
    edge: &Edge,
    limit: u64,
    out: &mut impl Write,
) -> io::Result<Encoded> {
    let blocks = window::match_files(old, new, edge, limit)?;
    let spool = usize::try_from(limit / STREAM_SHARE).unwrap_or(usize::MAX);
    let streams = Streams::write(old, new, edge.new.size, &blocks, &mut Plain, spool)?;
    let plain = Delta::new(Mode::Plain, edge, streams, None, spool)?;
    let program = if program::memory(edge) <= limit { program::delta(old, new, edge, &blocks, spool)? } else { None };
    match program {
        Some((program, blocks)) if program.size() < plain.size() => program.write(blocks, out),
        _ => plain.write(blocks.len(), out),
    }
}

/// A delta before it is written.
pub struct Delta {
    header: Vec<u8>,
    packed: Vec<Packed>,
}

impl Delta {
    /// Packs the streams. `fields` are the two that only a program's mode has.
    ///
    /// # Errors
    /// What the temporary folder fails with.
    pub fn new(
        mode: Mode,
        edge: &Edge,
        streams: Streams,
        fields: Option<[Spool; 2]>,
        memory: usize,
    ) -> io::Result<Self> {
        let Streams { extra_length, block_length, seek, differences, extra } = streams;
        let Differences { short_run, runs, bytes, .. } = shortest(differences)?;
        let raw = [extra_length, block_length, seek, runs, bytes, extra];
        let packed: Vec<Packed> = raw
            .into_iter()
            .chain(fields.into_iter().flatten())
            .zip(StreamKind::ALL)
            .collect::<Vec<(Spool, StreamKind)>>()
            .into_par_iter()
            .with_max_len(1)
            .map(|(raw, kind)| pack(raw, kind, memory))
            .collect::<io::Result<_>>()?;
        let mut streams = [PackedStream::default(); StreamKind::ALL.len()];
        for (length, packed) in streams.iter_mut().zip(&packed) {
            *length = packed.length;
        }
        let header = Header { mode, old: edge.old, new: edge.new, streams, short_run }.to_bytes();
        Ok(Self { header, packed })
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.packed.iter().map(|packed| packed.length.packed).sum::<u64>() + self.header.len() as u64
    }

    fn write(self, blocks: usize, out: &mut impl Write) -> io::Result<Encoded> {
        out.write_all(&self.header)?;
        let mut size = self.header.len() as u64;
        for mut packed in self.packed {
            size += io::copy(&mut packed.bytes, out)?;
        }
        Ok(Encoded { size, blocks })
    }
}

/// The way of writing the differences that packs best; the first of equals.
fn shortest(differences: [Differences; 2]) -> io::Result<Differences> {
    let mut sized = differences
        .into_par_iter()
        .map(|mut way| {
            let runs = estimate(&mut way.runs, StreamKind::Run)?;
            Ok((runs + estimate(&mut way.bytes, StreamKind::Difference)?, way))
        })
        .collect::<io::Result<Vec<_>>>()?;
    sized.sort_by_key(|(size, _)| *size);
    Ok(sized.swap_remove(0).1)
}
