//! Addresses in aarch64 code: branches, and pairs of `adrp` with the instructions that add the low bits.

use super::{Found, jump_tables::Tables};
use crate::formats::delta::program::aarch64::{Instruction, decode};
use crate::formats::delta::program::bytes::Bytes;
use crate::formats::delta::program::field::{self, Kind, Place};
use crate::formats::delta::program::image::{Image, Section};
use std::io::{Read, Seek};
use std::ops::Range;

/// A register with the address of a page, and the instruction that put it there until its target is known.
#[derive(Clone, Copy)]
struct Page {
    address: u32,
    /// Where the `adrp` lies in the file, until a use of the register tells its target.
    open: Option<u32>,
}

/// Goes through one section word by word, but for what is unscanned.
pub fn sweep<R: Read + Seek>(
    image: &Image,
    bytes: &mut Bytes<R>,
    section: &Section,
    tables: &mut Tables,
    found: &mut Found,
) {
    let end = section.end().min(bytes.length());
    for part in found.unscanned.outside(section.offset, end) {
        sweep_part(image, bytes, section, part, tables, found);
    }
}

fn sweep_part<R: Read + Seek>(
    image: &Image,
    bytes: &mut Bytes<R>,
    section: &Section,
    part: Range<u32>,
    tables: &mut Tables,
    found: &mut Found,
) {
    let mut pages: [Option<Page>; 32] = [None; 32];
    let slice = Place::new(&image.places, section.offset).slice;
    // Instructions are counted from the section's beginning.
    let mut at = part.start.saturating_add((section.offset.wrapping_sub(part.start)) % 4);
    while let Some(word) = bytes.page(at).first_chunk().map(|word| u32::from_le_bytes(*word)) {
        if at >= part.end || bytes.step(1).is_none() {
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

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::Kind;
    use crate::formats::delta::program::samples::*;

    fn found(text: &[u32]) -> Vec<(u32, Kind, u32)> {
        let text = [text, &[0xd503_201f; 16]].concat();
        let parts = [code(".text", 0x1000, words(text)), data(".data", 1, 0x2000, vec![0; 0x1000])];
        fields_in(&elf(183, 0, &parts), 0x1000..0x1800)
    }

    #[test]
    fn branches_within_the_code_are_fields() {
        assert_eq!(found(&[0x9400_0002]), [(0x1000, Kind::Branch26, 0)]);
        assert_eq!(found(&[0xb400_0041]), [(0x1000, Kind::Branch19, 0)]);
        assert_eq!(found(&[0x3600_0041]), [(0x1000, Kind::Branch14, 0)]);
        assert_eq!(found(&[0x9500_0002]), []);
    }

    #[test]
    fn a_page_and_what_adds_to_it_share_a_target() {
        let pair = [(0x1000, Kind::Page, 0x2128), (0x1004, Kind::Low12, 0x2128)];
        assert_eq!(found(&[0xb000_0003, 0x9104_a063]), pair); // adrp x3; add x3, x3, #0x128
        assert_eq!(found(&[0xb000_0003, 0xf940_9463]), pair); // ldr x3, [x3, #0x128]
    }

    #[test]
    fn a_register_that_was_changed_is_no_page() {
        let page = [(0x1000, Kind::Page, 0x2000)];
        assert_eq!(found(&[0xb000_0003, 0xaa01_03e3, 0x9104_a063]), page); // mov x3, x1
        assert_eq!(found(&[0xb000_0003, 0x9400_0001, 0x9104_a063]), [page[0], (0x1004, Kind::Branch26, 0)]);
    }
}
