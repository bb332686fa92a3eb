//! Pairing: the streams that changed between two files, and the old stream of each new one.

use super::parameter_search::find_parameters;
use super::stream_finder::{FoundStream, find_streams, inflate};
use crate::delta::sketch::{MIN_SHARED_HASHES, Sketch};
use patcher::internal::deflate::DeflateParameters;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// Smaller programs are left to the main delta.
const MIN_PROGRAM_BYTES: usize = 64 * 1024;

/// A changed stream of the new file.
#[derive(Debug, Clone)]
pub struct ChangedStream {
    /// Its position and length.
    pub stream: FoundStream,
    /// The encoder that makes it.
    pub parameters: DeflateParameters,
    /// The old stream, as an index into [`ChangedStreams::old`], from which its own delta starts.
    pub base: Option<usize>,
}

/// The streams to inflate.
#[derive(Debug, Clone, Default)]
pub struct ChangedStreams {
    /// The streams of the old file that the new one lacks.
    pub old: Vec<FoundStream>,
    /// The streams of the new file that the old one lacks and an encoder makes.
    pub new: Vec<ChangedStream>,
}

impl ChangedStreams {
    /// Compares the streams of two files.
    pub fn find(old_file: &[u8], new_file: &[u8]) -> Self {
        let new = find_streams(new_file);
        if new.is_empty() {
            return Self::default();
        }
        let old = find_streams(old_file);
        let known: HashSet<&[u8]> = old.iter().map(|stream| &old_file[stream.range.clone()]).collect();
        let kept: HashSet<&[u8]> = new.iter().map(|stream| &new_file[stream.range.clone()]).collect();
        let is_changed = |stream: &FoundStream| !known.contains(&new_file[stream.range.clone()]);
        let new: Vec<_> = new.iter().filter(|stream| is_changed(stream)).cloned().collect();
        let (mut listed, mut raw_names) = (Vec::new(), HashSet::new());
        for (stream, parameters) in new.iter().zip(find_parameters(new_file, &new)) {
            match parameters {
                Some(parameters) => listed.push(ChangedStream { stream: stream.clone(), parameters, base: None }),
                None => drop(raw_names.insert(&new_file[stream.name.clone()])),
            }
        }
        // The old version of a stream that stays as it is stays as it is too.
        let is_listed = |stream: &&FoundStream| {
            let name = &old_file[stream.name.clone()];
            !kept.contains(&old_file[stream.range.clone()]) && (name.is_empty() || !raw_names.contains(name))
        };
        let mut streams = Self { old: old.iter().filter(is_listed).cloned().collect(), new: listed };
        streams.pair_programs(old_file, new_file);
        streams
    }

    /// Returns the bytes of the changed streams in the new file.
    pub fn new_bytes(&self) -> usize {
        self.new.iter().map(|changed| changed.stream.range.len()).sum()
    }

    /// Finds the old version of each large program: by name, or else the most similar one.
    fn pair_programs(&mut self, old_file: &[u8], new_file: &[u8]) {
        let mut by_name = HashMap::new();
        for (index, stream) in self.old.iter().enumerate().filter(|(_, stream)| !stream.name.is_empty()) {
            by_name.insert(&old_file[stream.name.clone()], index);
        }
        let large = self.new.iter().filter(|changed| changed.stream.length >= MIN_PROGRAM_BYTES);
        if large.count() == 0 {
            return;
        }
        let program = |file: &[u8], stream: &FoundStream| {
            let is_large = stream.length >= MIN_PROGRAM_BYTES && is_program(file, stream);
            is_large.then(|| Sketch::of(&inflate(&file[stream.range.clone()], stream.length)))
        };
        let old: Vec<Option<Sketch>> = self.old.par_iter().map(|stream| program(old_file, stream)).collect();
        let bases = self.new.par_iter().map(|changed| {
            let sketch = program(new_file, &changed.stream)?;
            let name = &new_file[changed.stream.name.clone()];
            if let Some(index) = by_name.get(name).filter(|index| old[**index].is_some()) {
                return Some(*index);
            }
            let shared = old.iter().enumerate().filter_map(|(index, old)| Some((old.as_ref()?.shares(&sketch), index)));
            let best = shared.max_by_key(|(shared, index)| (*shared, std::cmp::Reverse(*index)));
            best.filter(|(shared, _)| *shared >= MIN_SHARED_HASHES).map(|(_, index)| index)
        });
        let bases: Vec<_> = bases.collect();
        self.new.iter_mut().zip(bases).for_each(|(changed, base)| changed.base = base);
    }
}

/// Returns `true` if the content of a stream starts like a program: ELF, PE or thin Mach-O.
fn is_program(file: &[u8], stream: &FoundStream) -> bool {
    let start = inflate(&file[stream.range.clone()], 4);
    matches!(start[..], [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] | [0xcf, 0xfa, 0xed, 0xfe, ..])
}
