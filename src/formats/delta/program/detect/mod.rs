//! Finds the fields of a program: one module per detector.
//!
//! The result depends on the bytes of the program and its unscanned pages, and on nothing else. All
//! arithmetic uses integers, all walks follow the order of the file, and the fields are sorted by a
//! total order. Publisher and client therefore find the same fields. A missed or mistaken field
//! makes the delta larger, never its result wrong.
//!
//! `pointers`, `unwind_tables`, `go_tables` and `pe_directories` read tables. `x86_sweep` and
//! `aarch64_sweep` read code; the former passes each instruction to `relative_branches`,
//! `rip_relative` and `jump_tables`.

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

/// Largest number of fields for merge sort. It is fast on fields that are mostly in order, but it
/// takes half as much memory again.
const MAX_MERGE_SORTED: usize = 1 << 22;

/// The fields found so far: at most one per four bytes of the file.
#[derive(Debug)]
pub struct FoundFields<'a> {
    /// Pages in which no field is added.
    unscanned: &'a UnscannedPages,
    fields: Vec<Field>,
    room: usize,
    /// File offsets of functions, as far as tables list them.
    function_starts: Vec<u32>,
}

impl FoundFields<'_> {
    fn new(unscanned: &UnscannedPages, file_length: u32) -> FoundFields<'_> {
        FoundFields { unscanned, fields: Vec::new(), room: file_length as usize / 4, function_starts: Vec::new() }
    }

    /// Adds a field, unless its page is unscanned or the limit is reached.
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

    /// Adds the start of a function.
    fn add_function_start(&mut self, offset: u32) {
        if self.function_starts.len() < self.room / 4 {
            self.function_starts.push(offset);
        }
    }

    /// Sorts the fields and removes overlaps. A certain field replaces a guess that overlaps it.
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

/// Finds all fields outside unscanned pages, sorted and without overlaps.
pub fn find_fields<R: Read + Seek>(
    image: &Image,
    reader: &mut BudgetedReader<R>,
    unscanned: &UnscannedPages,
) -> Vec<Field> {
    let mut found = FoundFields::new(unscanned, reader.length());
    // A detector returns `None` when a table is missing or ends early. The fields found so far
    // stay.
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
