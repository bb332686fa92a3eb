//! Finds the addresses inside a program.
//!
//! What is found depends on the program's bytes and on where it is unscanned, nothing else: integers, walks in the order of the file, and
//! a list sorted by a total order. Both ends of a delta find the same; what is missed or mistaken costs bytes in the delta, never
//! the result.

mod arm;
mod go;
mod jump_tables;
mod pe_directories;
mod pointers;
mod relative_branches;
mod rip_relative;
mod sweep;
mod unwind;

use super::bytes::Bytes;
use super::field::{Field, Kind};
use super::image::{Format, Image, Machine};
use super::unscanned::Unscanned;
use std::io::{Read, Seek};

/// So many fields are sorted by merging, which is quick as most of them come in order, but takes half of their memory again.
const MOST_MERGED: usize = 1 << 22;

/// The fields of a program while they are found: at most one for four bytes of the file.
#[derive(Debug)]
pub struct Found<'a> {
    /// Where none is wanted.
    unscanned: &'a Unscanned,
    fields: Vec<Field>,
    room: usize,
    /// Where functions begin in the file, as far as tables say so.
    starts: Vec<u32>,
}

impl Found<'_> {
    fn new(unscanned: &Unscanned, file_length: u32) -> Found<'_> {
        Found { unscanned, fields: Vec::new(), room: file_length as usize / 4, starts: Vec::new() }
    }

    /// Notes a field, unless it is unscanned or there are too many already.
    #[inline]
    fn add(&mut self, offset: u32, kind: Kind, extra: u32) {
        if self.fields.len() < self.room && !self.unscanned.holds(offset) {
            if self.fields.len() == self.fields.capacity() {
                self.grow();
            }
            self.fields.push(Field { offset, kind, extra });
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.fields.reserve_exact(self.fields.len() / 8 + 1024);
    }

    /// Notes where a function begins.
    fn start(&mut self, offset: u32) {
        if self.starts.len() < self.room / 4 {
            self.starts.push(offset);
        }
    }

    /// The fields in order, none overlapping another; one that is certain displaces one that is a guess.
    fn finish(mut self) -> Vec<Field> {
        if self.fields.len() <= MOST_MERGED {
            self.fields.sort_by_key(|field| field.rank());
        } else {
            self.fields.sort_unstable();
        }
        self.fields.dedup_by(|next, kept| {
            let overlap = next.offset - kept.offset < kept.kind.width();
            if overlap && kept.kind.gate().is_some() && next.kind.gate().is_none() {
                *kept = *next;
            }
            overlap
        });
        self.fields
    }
}

/// All fields of a program but the unscanned ones, sorted, without overlaps.
pub fn fields<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, unscanned: &Unscanned) -> Vec<Field> {
    let mut found = Found::new(unscanned, bytes.length());
    // A table that ends early, or is none, says so by `None`: what was found of it stays.
    let _ = pointers::find(image, bytes, &mut found);
    let _ = unwind::find(image, bytes, &mut found);
    let is_go = go::find(image, bytes, &mut found).is_some();
    if image.format == Format::Pe {
        let _ = pe_directories::find(image, bytes, !is_go, &mut found);
    }
    found.starts.sort_unstable();
    found.starts.dedup();
    let starts = std::mem::take(&mut found.starts);
    let mut tables = jump_tables::Tables::default();
    for (section, machine) in image.code() {
        match machine {
            Machine::X86_64 => sweep::x86(image, bytes, section, &starts, &mut tables, &mut found),
            Machine::Aarch64 => arm::sweep(image, bytes, section, &mut tables, &mut found),
        }
    }
    drop(starts);
    tables.find(image, bytes, &mut found);
    found.finish()
}
