//! Finds the addresses inside a program.
//!
//! What is found depends on the program's bytes and on where it is unscanned, nothing else: integers, walks in the order of the file, and
//! a list sorted by a total order. Both ends of a delta find the same; what is missed or mistaken costs bytes in the delta, never
//! the result.

mod aarch64_sweep;
mod go_tables;
mod jump_tables;
mod pe_directories;
mod pointers;
mod relative_branches;
mod rip_relative;
mod swept_instruction;
mod unwind_tables;
mod x86_sweep;

use super::budgeted_reader::BudgetedReader;
use super::field::{Field, FieldKind};
use super::image::{Image, ImageFormat, Processor};
use super::unscanned_pages::UnscannedPages;
use std::io::{Read, Seek};

/// So many fields are sorted by merging, which is quick as most of them come in order, but takes half of their memory again.
const MAX_MERGE_SORTED: usize = 1 << 22;

/// The fields of a program while they are found: at most one for four bytes of the file.
#[derive(Debug)]
pub struct FoundFields<'a> {
    /// Where none is wanted.
    unscanned: &'a UnscannedPages,
    fields: Vec<Field>,
    room: usize,
    /// Where functions begin in the file, as far as tables say so.
    function_starts: Vec<u32>,
}

impl FoundFields<'_> {
    fn new(unscanned: &UnscannedPages, file_length: u32) -> FoundFields<'_> {
        FoundFields { unscanned, fields: Vec::new(), room: file_length as usize / 4, function_starts: Vec::new() }
    }

    /// Notes a field, unless it is unscanned or there are too many already.
    #[inline]
    fn add_field(&mut self, offset: u32, kind: FieldKind, extra: u32) {
        if self.fields.len() < self.room && !self.unscanned.contains(offset) {
            if self.fields.len() == self.fields.capacity() {
                self.reserve_more();
            }
            self.fields.push(Field { offset, kind, extra });
        }
    }

    #[cold]
    fn reserve_more(&mut self) {
        self.fields.reserve_exact(self.fields.len() / 8 + 1024);
    }

    /// Notes where a function begins.
    fn add_function_start(&mut self, offset: u32) {
        if self.function_starts.len() < self.room / 4 {
            self.function_starts.push(offset);
        }
    }

    /// The fields in order, none overlapping another; one that is certain displaces one that is a guess.
    fn finish(mut self) -> Vec<Field> {
        if self.fields.len() <= MAX_MERGE_SORTED {
            self.fields.sort_by_key(|field| field.sort_key());
        } else {
            self.fields.sort_unstable();
        }
        self.fields.dedup_by(|next, kept| {
            let overlap = next.offset - kept.offset < kept.kind.width();
            if overlap && kept.kind.is_guess() && !next.kind.is_guess() {
                *kept = *next;
            }
            overlap
        });
        self.fields
    }
}

/// All fields of a program but the unscanned ones, sorted, without overlaps.
pub fn find_fields<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    unscanned: &UnscannedPages,
) -> Vec<Field> {
    let mut found = FoundFields::new(unscanned, reader.length());
    // A table that ends early, or is none, says so by `None`: what was found of it stays.
    let _ = pointers::find(image, reader, &mut found);
    let _ = unwind_tables::find(image, reader, &mut found);
    let is_go = go_tables::find(image, reader, &mut found).is_some();
    if image.format == ImageFormat::Pe {
        let _ = pe_directories::find(image, reader, !is_go, &mut found);
    }
    found.function_starts.sort_unstable();
    found.function_starts.dedup();
    let starts = std::mem::take(&mut found.function_starts);
    let mut tables = jump_tables::JumpTables::default();
    for (section, machine) in image.code() {
        match machine {
            Processor::X86_64 => x86_sweep::sweep(image, reader, section, &starts, &mut tables, &mut found),
            Processor::Aarch64 => aarch64_sweep::sweep(image, reader, section, &mut tables, &mut found),
        }
    }
    drop(starts);
    tables.find(image, reader, &mut found);
    found.finish()
}
