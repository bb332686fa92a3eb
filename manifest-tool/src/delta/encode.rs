//! From two files to a delta.

use super::pack::{Context, Packed, estimate, pack};
use super::streams::{Differences, Spool, Streams};
use super::{dictionary, program, window};
use patcher::delta::{Block, Edge, Header, Mode, Plain, StreamKind};
use rayon::prelude::*;
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
    let packers: u64 = StreamKind::PLAIN.iter().map(|kind| PACKER * edge.new.min(u64::from(kind.dictionary()))).sum();
    let plain = window::memory(edge.old, edge.new).max(packers.saturating_add(edge.new)).saturating_add(1 << 20);
    plain.max(program::memory(edge))
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
    let streams = Streams::write(old, new, edge.new, &blocks, &mut Plain, spool)?;
    let plain = Draft::new(Mode::Plain, edge, streams, None)?;
    let program = if program::memory(edge) <= limit { program::draft(old, new, edge, &blocks, spool)? } else { None };
    let (delta, blocks) = match program {
        None => {
            let plain = plain.pack(spool)?;
            (dictionary::encode(old, new, edge, &blocks, &plain, spool)?.unwrap_or(plain), blocks)
        }
        Some((program, program_blocks)) => {
            let clearly_smaller = program.estimate < plain.estimate / 2;
            let program = program.pack(spool)?;
            match if clearly_smaller { None } else { Some(plain.pack(spool)?) } {
                Some(plain) if plain.size() <= program.size() => (plain, blocks),
                _ => (program, program_blocks),
            }
        }
    };
    Ok(Encoded { size: delta.write(out)?, blocks })
}

/// A delta whose streams are not packed yet.
pub struct Draft {
    header: Header,
    streams: Vec<(Spool, StreamKind, Context)>,
    /// About how many bytes it will have.
    pub estimate: u64,
}

impl Draft {
    /// Sizes the streams up. `fields` are the two that only a program's mode has.
    ///
    /// # Errors
    /// What the temporary folder fails with.
    pub fn new(mode: Mode, edge: &Edge, streams: Streams, fields: Option<[Spool; 2]>) -> io::Result<Self> {
        let Streams { extra_length, block_length, seek, differences, extra } = streams;
        let Differences { short_run, runs, bytes, .. } = shortest(differences)?;
        let sized: Vec<(u64, (Spool, StreamKind, Context))> = [extra_length, block_length, seek, runs, bytes, extra]
            .into_iter()
            .chain(fields.into_iter().flatten())
            .zip(StreamKind::ALL)
            .collect::<Vec<(Spool, StreamKind)>>()
            .into_par_iter()
            .with_max_len(1)
            .map(|(mut raw, kind)| {
                let (size, context) = estimate(&mut raw, kind)?;
                Ok((size, (raw, kind, context)))
            })
            .collect::<io::Result<_>>()?;
        let estimate = sized.iter().map(|(size, _)| size).sum();
        let streams = sized.into_iter().map(|(_, stream)| stream).collect();
        let header = Header { mode, old: edge.old, new: edge.new, streams: Default::default(), short_run };
        Ok(Self { header, streams, estimate })
    }

    /// Packs the streams, as strongly as possible.
    ///
    /// # Errors
    /// What the temporary folder fails with.
    pub fn pack(self, memory: usize) -> io::Result<Delta> {
        self.pack_after(&[], memory)
    }

    /// The same, the extra bytes as if `before` stood before them.
    ///
    /// # Errors
    /// What the temporary folder fails with.
    pub fn pack_after(mut self, before: &[u8], memory: usize) -> io::Result<Delta> {
        let packed: Vec<Packed> = self
            .streams
            .into_par_iter()
            .with_max_len(1)
            .map(|(raw, kind, context)| pack(raw, kind, context, before, memory))
            .collect::<io::Result<_>>()?;
        for (length, packed) in self.header.streams.iter_mut().zip(&packed) {
            *length = packed.length;
        }
        Ok(Delta { header: self.header.to_bytes(), packed })
    }
}

/// A delta before it is written.
pub struct Delta {
    header: Vec<u8>,
    packed: Vec<Packed>,
}

impl Delta {
    /// How many bytes the new file has outside of blocks.
    pub fn extra(&self) -> u64 {
        self.packed[StreamKind::Extra as usize].length.raw
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.packed.iter().map(|packed| packed.length.packed).sum::<u64>() + self.header.len() as u64
    }

    /// Writes it, and tells how many bytes it has.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn write(self, out: &mut impl Write) -> io::Result<u64> {
        out.write_all(&self.header)?;
        let mut size = self.header.len() as u64;
        for mut packed in self.packed {
            size += io::copy(&mut packed.bytes, out)?;
        }
        Ok(size)
    }
}

/// The way of writing the differences that packs best; the first of equals.
fn shortest(differences: [Differences; 2]) -> io::Result<Differences> {
    let mut sized = differences
        .into_par_iter()
        .map(|mut way| {
            let runs = estimate(&mut way.runs, StreamKind::Run)?.0;
            Ok((runs + estimate(&mut way.bytes, StreamKind::Difference)?.0, way))
        })
        .collect::<io::Result<Vec<_>>>()?;
    sized.sort_by_key(|(size, _)| *size);
    Ok(sized.swap_remove(0).1)
}
