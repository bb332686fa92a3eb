//! Which chunks of an index lie in local files, and where.

use super::cut::{Cutter, MAX_CHUNK};
use super::index::{Index, key_of};
use std::io::{self, Read};

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The file, by the number that it was searched under.
    pub file: u32,
    /// Where in it, in bytes.
    pub offset: u64,
}

/// What was found of an index's chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    locations: Vec<Option<Location>>,
}

impl Known {
    /// Where a chunk lies, if anywhere.
    pub fn location(&self, chunk: usize) -> Option<Location> {
        self.locations.get(chunk).copied().flatten()
    }
}

/// A search for chunks in one local file after the other.
#[derive(Debug)]
pub struct Search {
    /// Each chunk's key and number, by key.
    wanted: Vec<(u64, u32)>,
    /// Which lengths are wanted at all: other chunks need not be hashed.
    lengths: Vec<bool>,
    known: Known,
    missing: usize,
}

impl Search {
    /// A search for all chunks of `index`.
    pub fn new(index: &Index) -> Self {
        let mut lengths = vec![false; MAX_CHUNK + 1];
        let mut wanted = Vec::with_capacity(index.chunks().len());
        for (number, chunk) in (0..).zip(index.chunks()) {
            lengths[usize::from(chunk.length)] = true;
            wanted.push((chunk.key(), number));
        }
        wanted.sort_unstable();
        let known = Known { locations: vec![None; wanted.len()] };
        Self { missing: wanted.len(), wanted, lengths, known }
    }

    /// How many chunks are not found yet.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Looks for chunks in the file `number`. It ends early when nothing is missing any more, or when `goes_on`, which is
    /// asked for every chunk, says no; what was found until then counts.
    ///
    /// # Errors
    /// What `content` fails with; what was found until then counts.
    pub fn file(&mut self, number: u32, content: impl Read, mut goes_on: impl FnMut() -> bool) -> io::Result<()> {
        let mut cutter = Cutter::new(content);
        while self.missing > 0 && goes_on() {
            let Some((offset, chunk)) = cutter.next_chunk()? else { break };
            if self.lengths[chunk.len()] {
                self.found(key_of(chunk), Location { file: number, offset });
            }
        }
        Ok(())
    }

    fn found(&mut self, key: u64, location: Location) {
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
    pub fn finish(self) -> Known {
        self.known
    }
}
