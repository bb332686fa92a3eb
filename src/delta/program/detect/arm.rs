//! Addresses in aarch64 code: branches, and pairs of `adrp` with the instructions that add the low bits.

use super::{Found, jump_tables::Tables};
use crate::delta::program::aarch64::{Instruction, decode};
use crate::delta::program::bytes::Bytes;
use crate::delta::program::field::{self, Kind, Place};
use crate::delta::program::image::{Image, Section};
use std::io::{Read, Seek};

/// A register with the address of a page, and the instruction that put it there until its target is known.
#[derive(Clone, Copy)]
struct Page {
    address: u32,
    /// Where the `adrp` lies in the file, until a use of the register tells its target.
    open: Option<u32>,
}

/// Goes through one section word by word.
pub fn sweep<R: Read + Seek>(
    image: &Image,
    bytes: &mut Bytes<R>,
    section: &Section,
    tables: &mut Tables,
    found: &mut Found,
) {
    let mut pages: [Option<Page>; 32] = [None; 32];
    let end = section.end().min(bytes.length());
    let slice = Place::new(&image.places, section.offset).slice;
    let mut at = section.offset;
    while let Some(word) = bytes.page(at).first_chunk().map(|word| u32::from_le_bytes(*word)) {
        if at >= end {
            break;
        }
        let place =
            Place { base: image.places.base, address: section.address.wrapping_add(at - section.offset), slice };
        let target = |kind| field::read(kind, 0, u64::from(word), place).unwrap_or(0);
        match decode(word) {
            Instruction::Branch26 { call } => {
                if call {
                    pages[..19].iter_mut().for_each(|page| forget(page, found));
                }
                if image.is_code(target(Kind::Branch26)) {
                    found.add(at, Kind::Branch26, 0);
                }
            }
            Instruction::Branch19 if image.is_code(target(Kind::Branch19)) => found.add(at, Kind::Branch19, 0),
            Instruction::Branch14 if image.is_code(target(Kind::Branch14)) => found.add(at, Kind::Branch14, 0),
            Instruction::Branch19 | Instruction::Branch14 => {}
            Instruction::Adr => {
                let target = target(Kind::Adr);
                if image.places.holds(target) {
                    found.add(at, Kind::Adr, 0);
                    tables.note_address(image, target);
                }
            }
            Instruction::Page { to } => {
                forget(&mut pages[usize::from(to)], found);
                let page = (place.address & !0xfff).wrapping_add(field::signed_adr(word) << 12);
                if image.places.holds(page) || image.places.holds(page.wrapping_add(0xfff)) {
                    pages[usize::from(to)] = Some(Page { address: page, open: Some(at) });
                }
            }
            Instruction::Low12 { from, to, distance } => {
                if let Some(page) = &mut pages[usize::from(from)] {
                    let target = page.address.wrapping_add(distance);
                    if image.places.holds(target) {
                        if let Some(open) = page.open.take() {
                            found.add(open, Kind::Page, target);
                        }
                        found.add(at, Kind::Low12, target);
                        tables.note_address(image, target);
                    }
                }
                if let Some(to) = to {
                    forget(&mut pages[usize::from(to)], found);
                }
            }
            Instruction::Other { to } => forget(&mut pages[usize::from(to)], found),
        }
        let Some(next) = at.checked_add(4) else { break };
        at = next;
    }
}

/// Takes a register to hold something else. An `adrp` that nothing was added to is noted with its page.
fn forget(register: &mut Option<Page>, found: &mut Found) {
    if let Some(Page { address, open: Some(open) }) = register.take() {
        found.add(open, Kind::Page, address);
    }
}
