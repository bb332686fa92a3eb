//! A delta before its streams are packed ([`DeltaDraft`]) and after ([`PackedDelta`]).

use super::stream_packing::{CompressedStream, estimate_all, pack_all};
use super::stream_writer::{BlockStreams, DifferenceWriter, SHORT_RUNS, Spool};
use patcher::internal::delta::{Block, DeltaHeader, DeltaMode, FileSizes, Prediction, StreamKind};
use rayon::prelude::*;
use std::io::{self, Read, Seek, Write};

/// The streams that correct the client's predictions.
pub struct Corrections {
    /// The limit for run lengths with which the differences were written.
    pub short_run: u8,
    /// The streams, in any order.
    pub streams: Vec<(StreamKind, Spool)>,
    /// Estimated size of the packed streams in bytes.
    pub estimate: u64,
}

impl Corrections {
    /// Writes the differences of `blocks` in each variant and keeps the one that packs best.
    ///
    /// # Errors
    /// Any I/O error of either file or the temporary folder, and any error of the prediction.
    pub fn of(
        old: &mut (impl Read + Seek),
        new: &mut (impl Read + Seek),
        blocks: &[Block],
        prediction: &mut impl Prediction,
        memory: usize,
    ) -> io::Result<Self> {
        Self::best(DifferenceWriter::write(old, new, blocks, prediction, memory)?)
    }

    /// Keeps the variant that packs best, and the first one of equals.
    ///
    /// # Errors
    /// Any I/O error of the temporary folder.
    pub fn best(variants: [DifferenceWriter; SHORT_RUNS.len()]) -> io::Result<Self> {
        let variants = variants.into_par_iter().map(|variant| {
            let mut streams = vec![(StreamKind::Run, variant.runs), (StreamKind::Difference, variant.bytes)];
            Ok(Self { short_run: variant.short_run, estimate: estimate_all(&mut streams)?, streams })
        });
        let mut variants = variants.collect::<io::Result<Vec<_>>>()?;
        variants.sort_by_key(|variant| variant.estimate);
        Ok(variants.swap_remove(0))
    }
}

/// A delta whose streams are not packed yet.
pub struct DeltaDraft {
    mode: DeltaMode,
    short_run: u8,
    streams: Vec<(StreamKind, Spool)>,
}

impl DeltaDraft {
    /// Combines all streams of a delta.
    pub fn new(mode: DeltaMode, block_streams: BlockStreams, corrections: Corrections) -> Self {
        let Corrections { short_run, mut streams, .. } = corrections;
        streams.extend(block_streams.streams);
        Self { mode, short_run, streams }
    }

    /// Packs the streams with the strongest settings.
    ///
    /// `dictionary` is the preset dictionary of the extra bytes in dictionary mode, and empty
    /// otherwise.
    ///
    /// # Errors
    /// Any I/O error of the temporary folder.
    pub fn pack(self, sizes: &FileSizes, dictionary: &[u8], memory: usize) -> io::Result<PackedDelta> {
        let packed = pack_all(self.streams, &self.mode, dictionary, memory)?;
        Ok(PackedDelta::new(self.mode, sizes, self.short_run, packed))
    }
}

/// A complete delta before it is written.
pub struct PackedDelta {
    header: DeltaHeader,
    packed: Vec<CompressedStream>,
}

impl PackedDelta {
    /// Combines the packed streams, given in any order, with their header.
    pub fn new(mode: DeltaMode, sizes: &FileSizes, short_run: u8, mut packed: Vec<CompressedStream>) -> Self {
        packed.sort_by_key(|stream| stream.kind as usize);
        let mut header = DeltaHeader { mode, old: sizes.old, new: sizes.new, streams: Default::default(), short_run };
        for stream in &packed {
            header.streams[stream.kind as usize] = stream.length;
        }
        Self { header, packed }
    }

    /// Returns how many bytes of the new file lie outside blocks.
    pub fn extra(&self) -> u64 {
        self.header.streams[StreamKind::Extra as usize].raw
    }

    /// Returns the size of the delta in bytes.
    pub fn size(&self) -> u64 {
        self.packed.iter().map(|stream| stream.length.packed).sum::<u64>() + self.header.to_bytes().len() as u64
    }

    /// Writes the delta and returns its size in bytes.
    ///
    /// # Errors
    /// Any I/O error of `out`.
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
