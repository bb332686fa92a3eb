//! Which chunks of an index lie in local files, and where.

use super::cut::{Chunker, MAX_CHUNK_BYTES};
use super::index::{ChunkIndex, key_of};
use std::io::{self, Read};

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLocation {
    /// The file, by the number that it was searched under.
    pub file: u32,
    /// Where in it, in bytes.
    pub offset: u64,
}

/// What was found of an index's chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalChunks {
    locations: Vec<Option<ChunkLocation>>,
}

impl LocalChunks {
    /// Where a chunk lies, if anywhere.
    pub fn location(&self, chunk: usize) -> Option<ChunkLocation> {
        self.locations.get(chunk).copied().flatten()
    }
}

/// A search for chunks in one local file after the other.
#[derive(Debug)]
pub struct ChunkSearch {
    /// Each chunk's key and number, by key.
    wanted: Vec<(u64, u32)>,
    /// Which lengths are wanted at all: other chunks need not be hashed.
    lengths: Vec<bool>,
    known: LocalChunks,
    missing: usize,
}

impl ChunkSearch {
    /// A search for all chunks of `index`.
    pub fn new(index: &ChunkIndex) -> Self {
        let mut lengths = vec![false; MAX_CHUNK_BYTES + 1];
        let mut wanted = Vec::with_capacity(index.chunks().len());
        for (number, chunk) in (0..).zip(index.chunks()) {
            lengths[usize::from(chunk.length)] = true;
            wanted.push((chunk.key(), number));
        }
        wanted.sort_unstable();
        let known = LocalChunks { locations: vec![None; wanted.len()] };
        Self { missing: wanted.len(), wanted, lengths, known }
    }

    /// How many chunks are not found yet.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Looks for chunks in the file `number`. It ends early when nothing is missing any more, or
    /// when `goes_on`, which is asked for every chunk, says no; what was found until then counts.
    ///
    /// # Errors
    /// What `content` fails with; what was found until then counts.
    pub fn file(&mut self, number: u32, content: impl Read, mut goes_on: impl FnMut() -> bool) -> io::Result<()> {
        let mut cutter = Chunker::new(content);
        while self.missing > 0 && goes_on() {
            let Some((offset, chunk)) = cutter.next_chunk()? else { break };
            if self.lengths[chunk.len()] {
                self.found(key_of(chunk), ChunkLocation { file: number, offset });
            }
        }
        Ok(())
    }

    fn found(&mut self, key: u64, location: ChunkLocation) {
        let first = self.wanted.partition_point(|(wanted, _)| *wanted < key);
        for (_, number) in self.wanted[first..].iter().take_while(|(wanted, _)| *wanted == key) {
            let place = &mut self.known.locations[*number as usize];
            if place.is_none() {
                *place = Some(location);
                self.missing -= 1;
            }
        }
    }

    /// What was found.
    pub fn finish(self) -> LocalChunks {
        self.known
    }
}
