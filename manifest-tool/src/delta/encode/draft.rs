//! A delta before its streams are packed, and after.

use super::stream_packing::{CompressedStream, estimate_all, pack_all};
use super::stream_writer::{BlockStreams, DifferenceWriter, SHORT_RUNS, Spool};
use patcher::internal::delta::{Block, DeltaHeader, DeltaMode, FileSizes, Prediction, StreamKind};
use rayon::prelude::*;
use std::io::{self, Read, Seek, Write};

/// What a client adds to its predictions: the streams that depend on these.
pub struct Corrections {
    /// How the runs of zeros are cut short.
    pub short_run: u8,
    /// The streams, in no order.
    pub streams: Vec<(StreamKind, Spool)>,
    /// About how many bytes they will have.
    pub estimate: u64,
}

impl Corrections {
    /// Those of the bytes in `blocks`, in the way of writing them that packs best.
    ///
    /// # Errors
    /// What either file, the prediction or the temporary folder fails with.
    pub fn of(
        old: &mut (impl Read + Seek),
        new: &mut (impl Read + Seek),
        blocks: &[Block],
        prediction: &mut impl Prediction,
        memory: usize,
    ) -> io::Result<Self> {
        Self::best(DifferenceWriter::write(old, new, blocks, prediction, memory)?)
    }

    /// Those of several ways of writing them that pack best; the first of equals.
    ///
    /// # Errors
    /// What the temporary folder fails with.
    pub fn best(ways: [DifferenceWriter; SHORT_RUNS.len()]) -> io::Result<Self> {
        let ways = ways.into_par_iter().map(|way| {
            let mut streams = vec![(StreamKind::Run, way.runs), (StreamKind::Difference, way.bytes)];
            Ok(Self { short_run: way.short_run, estimate: estimate_all(&mut streams)?, streams })
        });
        let mut ways = ways.collect::<io::Result<Vec<_>>>()?;
        ways.sort_by_key(|way| way.estimate);
        Ok(ways.swap_remove(0))
    }
}

/// A delta whose streams are not packed yet.
pub struct DeltaDraft {
    mode: DeltaMode,
    short_run: u8,
    streams: Vec<(StreamKind, Spool)>,
}

impl DeltaDraft {
    /// From all its streams.
    pub fn new(mode: DeltaMode, block_streams: BlockStreams, corrections: Corrections) -> Self {
        let Corrections { short_run, mut streams, .. } = corrections;
        streams.extend(block_streams.streams);
        Self { mode, short_run, streams }
    }

    /// Packs the streams, as strongly as possible; the extra bytes as if `before` stood before them.
    ///
    /// # Errors
    /// What the temporary folder fails with.
    pub fn pack(self, sizes: &FileSizes, before: &[u8], memory: usize) -> io::Result<PackedDelta> {
        let packed = pack_all(self.streams, &self.mode, before, memory)?;
        Ok(PackedDelta::new(self.mode, sizes, self.short_run, packed))
    }
}

/// A delta before it is written.
pub struct PackedDelta {
    header: DeltaHeader,
    packed: Vec<CompressedStream>,
}

impl PackedDelta {
    /// From the streams of the mode, in any order.
    pub fn new(mode: DeltaMode, sizes: &FileSizes, short_run: u8, mut packed: Vec<CompressedStream>) -> Self {
        packed.sort_by_key(|stream| stream.kind as usize);
        let mut header = DeltaHeader { mode, old: sizes.old, new: sizes.new, streams: Default::default(), short_run };
        for stream in &packed {
            header.streams[stream.kind as usize] = stream.length;
        }
        Self { header, packed }
    }

    /// How many bytes the new file has outside of blocks.
    pub fn extra(&self) -> u64 {
        self.header.streams[StreamKind::Extra as usize].raw
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.packed.iter().map(|stream| stream.length.packed).sum::<u64>() + self.header.to_bytes().len() as u64
    }

    /// Writes it, and tells how many bytes it has.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn write(self, out: &mut impl Write) -> io::Result<u64> {
        let header = self.header.to_bytes();
        out.write_all(&header)?;
        let mut size = header.len() as u64;
        for mut stream in self.packed {
            size += io::copy(&mut stream.bytes, out)?;
        }
        Ok(size)
    }
}
