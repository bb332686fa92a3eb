//! The search for the chunks of an index in local files.

use super::chunker::{Chunker, MAX_CHUNK_BYTES};
use super::index::{ChunkIndex, key_of};
use std::io::{self, Read};

/// The position of a chunk in a local file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLocation {
    /// The number of the file, as the caller gave it to [`ChunkSearch::search_file`].
    pub file: u32,
    /// The offset in the file, in bytes.
    pub offset: u64,
}

/// The chunks of an index that a search found, with their positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalChunks {
    locations: Vec<Option<ChunkLocation>>,
}

impl LocalChunks {
    /// Returns the position of a chunk, or `None` when no local file has it.
    pub fn location(&self, chunk: usize) -> Option<ChunkLocation> {
        self.locations.get(chunk).copied().flatten()
    }
}

/// A search for all chunks of an index, in one local file after the other.
#[derive(Debug)]
pub struct ChunkSearch {
    /// The key and position in the index of each chunk, sorted by key.
    wanted: Vec<(u64, u32)>,
    /// For each length, whether a chunk has it. Chunks of other lengths are not hashed.
    lengths: Vec<bool>,
    known: LocalChunks,
    missing: usize,
}

impl ChunkSearch {
    /// Starts a search for all chunks of `index`.
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

    /// Returns the number of chunks that the search has not found yet.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Searches the `content` of the file with this `number`.
    ///
    /// It stops early when no chunk is missing, or when `may_continue` returns `false`. It asks
    /// `may_continue` before every chunk. Chunks found before a stop or an error count.
    ///
    /// # Errors
    /// The error of `content`.
    pub fn search_file(
        &mut self,
        number: u32,
        content: impl Read,
        mut may_continue: impl FnMut() -> bool,
    ) -> io::Result<()> {
        let mut cutter = Chunker::new(content);
        while self.missing > 0 && may_continue() {
            let Some((offset, chunk)) = cutter.next_chunk()? else { break };
            if self.lengths[chunk.len()] {
                self.add_location(key_of(chunk), ChunkLocation { file: number, offset });
            }
        }
        Ok(())
    }

    fn add_location(&mut self, key: u64, location: ChunkLocation) {
        let first = self.wanted.partition_point(|(wanted, _)| *wanted < key);
        for (_, number) in self.wanted[first..].iter().take_while(|(wanted, _)| *wanted == key) {
            let known = &mut self.known.locations[*number as usize];
            if known.is_none() {
                *known = Some(location);
                self.missing -= 1;
            }
        }
    }

    /// Ends the search and returns the chunks that it found.
    pub fn finish(self) -> LocalChunks {
        self.known
    }
}
