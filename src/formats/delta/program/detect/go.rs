//! The tables of Go's runtime (Go 1.20 and later): functions, and the types that reflection knows.
//!
//! Their numbers are distances from the beginnings of tables, which stand in the header of the function table and in the
//! runtime's description of the module (`runtime.moduledata`).

use super::Found;
use crate::formats::delta::program::bytes::Bytes;
use crate::formats::delta::program::field::Kind;
use crate::formats::delta::program::image::{Content, Image};
use std::io::{Read, Seek};

const MAGIC: u32 = 0xffff_fff1;
/// How many bytes of text one bucket of the index over functions stands for, and how many the bucket has.
const BUCKET: (u32, u32) = (4096, 20);
/// What stands for "no data" in a function's list.
const NO_DATA: u32 = u32::MAX;

/// Notes the fields of the function table and of types.
pub fn find<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, found: &mut Found) -> Option<()> {
    let header = header(image, bytes)?;
    let module = module(image, bytes, header);
    let functions = Functions::read(image, bytes, header, module)?;
    let _ = functions.find(image, bytes, found);
    let module = module?;
    let _ = functions.find_index(image, bytes, module, found);
    types(image, bytes, module, found)
}

/// Where the function table's header lies in memory.
fn header<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>) -> Option<u32> {
    for section in image.sections.iter().filter(|section| section.content == Content::Data) {
        let first = section.offset.checked_add(section.address.wrapping_neg() % 32)?;
        for at in (first..section.end()).step_by(32) {
            if bytes.u32(at)? == MAGIC {
                let [zero, zero_too, quantum, word] = bytes.array(at.checked_add(4)?)?;
                if (zero, zero_too, word) == (0, 0, 8) && matches!(quantum, 1 | 4) {
                    return Some(section.address.wrapping_add(at - section.offset));
                }
            }
        }
    }
    None
}

/// Where the runtime's description of the module lies in the file: it begins with the addresses of the function table's header
/// and of the names that follow it.
fn module<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, header: u32) -> Option<u32> {
    let names_at = image.places.offset(header)?.checked_add(32)?;
    let names = header.checked_add(bytes.small_u64(names_at)?)?;
    for section in image.sections.iter().filter(|section| section.content == Content::Data) {
        let first = section.offset.checked_add(section.address.wrapping_neg() % 8)?;
        for at in (first..section.end().saturating_sub(400)).step_by(8) {
            if image.places.relative(bytes.u64(at)?) == Some(header)
                && image.places.relative(bytes.u64(at.checked_add(8)?)?) == Some(names)
            {
                return Some(at);
            }
        }
    }
    None
}

/// The address that a word of the module's description says.
fn word<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, module: u32, number: u32) -> Option<u32> {
    image.places.relative(bytes.u64(module.checked_add(8 * number)?)?)
}

/// Where the parts of the function table lie in memory.
struct Functions {
    count: u32,
    text: u32,
    names: u32,
    units: u32,
    counters: u32,
    table: u32,
    data: Option<u32>,
}

impl Functions {
    fn read<R: Read + Seek>(
        image: &Image,
        bytes: &mut Bytes<R>,
        header: u32,
        module: Option<u32>,
    ) -> Option<Functions> {
        const TEXT: u32 = 22;
        const FUNCTION_DATA: u32 = 40;
        let at = image.places.offset(header)?;
        let text = module.and_then(|module| word(image, bytes, module, TEXT));
        let text = match text {
            Some(text) => text,
            None => image.places.relative(bytes.u64(at.checked_add(24)?)?)?,
        };
        let count = bytes.small_u64(at.checked_add(8)?)?;
        let mut part = |field: u32| header.checked_add(bytes.small_u64(at.checked_add(field)?)?);
        let (names, units, counters, table) = (part(32)?, part(40)?, part(56)?, part(64)?);
        let data = module.and_then(|module| word(image, bytes, module, FUNCTION_DATA));
        Some(Functions { count, text, names, units, counters, table, data })
    }

    fn find<R: Read + Seek>(&self, image: &Image, bytes: &mut Bytes<R>, found: &mut Found) -> Option<()> {
        let table = image.places.offset(self.table)?;
        for number in 0..self.count {
            let at = table.checked_add(number.checked_mul(8)?)?;
            let entry = self.text.wrapping_add(bytes.u32(at)?);
            if let Some(start) = image.places.offset(entry) {
                found.start(start);
            }
            found.add(at, Kind::FromBase, self.text);
            found.add(at.checked_add(4)?, Kind::FromBase, self.table);
            let function = table.checked_add(bytes.u32(at.checked_add(4)?)?)?;
            let _ = self.function(bytes, function, entry, found);
        }
        found.add(table.checked_add(self.count.checked_mul(8)?)?, Kind::FromBase, self.text);
        Some(())
    }

    /// Notes the fields of one function's entry.
    fn function<R: Read + Seek>(&self, bytes: &mut Bytes<R>, at: u32, entry: u32, found: &mut Found) -> Option<()> {
        let counters = bytes.u32(at.checked_add(28)?)?;
        let data = bytes.u8(at.checked_add(43)?)?;
        if counters > 64 {
            return None;
        }
        found.add(at, Kind::FromBase, self.text);
        found.add(at.checked_add(4)?, Kind::FromBase, self.names);
        if bytes.u32(at.checked_add(12)?)? != 0 {
            found.add(at.checked_add(12)?, Kind::FromBase, entry);
        }
        found.add(at.checked_add(32)?, Kind::Index4, self.units);
        for number in [16, 20, 24].into_iter().chain((0..counters).map(|number| 44 + 4 * number)) {
            let at = at.checked_add(number)?;
            if bytes.u32(at)? != 0 {
                found.add(at, Kind::FromBase, self.counters);
            }
        }
        let list = at.checked_add(44 + 4 * counters)?;
        for number in 0..u32::from(data) {
            let at = list.checked_add(4 * number)?;
            if let Some(base) = self.data.filter(|_| bytes.u32(at) != Some(NO_DATA)) {
                found.add(at, Kind::FromBase, base);
            }
        }
        Some(())
    }

    /// Notes the number with which each bucket of the index over functions begins.
    fn find_index<R: Read + Seek>(
        &self,
        image: &Image,
        bytes: &mut Bytes<R>,
        module: u32,
        found: &mut Found,
    ) -> Option<()> {
        const INDEX: u32 = 19;
        const TEXT_END: u32 = 23;
        let index = image.places.offset(word(image, bytes, module, INDEX)?)?;
        let size = word(image, bytes, module, TEXT_END)?.checked_sub(self.text)?;
        for number in 0..size.div_ceil(BUCKET.0) {
            let at = index.checked_add(number * BUCKET.1)?;
            bytes.u32(at)?;
            found.add(at, Kind::Index8, self.table);
        }
        Some(())
    }
}

/// The part of memory that types and their names lie in.
struct Types {
    start: u32,
    size: u32,
    text: u32,
}

fn types<R: Read + Seek>(image: &Image, bytes: &mut Bytes<R>, module: u32, found: &mut Found) -> Option<()> {
    const TEXT: u32 = 22;
    const TYPES: u32 = 37;
    const TYPES_END: u32 = 38;
    let start = word(image, bytes, module, TYPES)?;
    let size = word(image, bytes, module, TYPES_END)?.checked_sub(start)?;
    let text = word(image, bytes, module, TEXT)?;
    let types = Types { start, size, text };
    let _ = types.find_links(image, bytes, module, found);
    let first = image.places.offset(start)?;
    let mut at = 0;
    while at < size {
        bytes.step(1)?;
        at = at.checked_add(types.find(image, bytes, first.checked_add(at)?, found).unwrap_or(8))?;
    }
    Some(())
}

impl Types {
    /// Notes the list of types that have a name or are made of others.
    fn find_links<R: Read + Seek>(
        &self,
        image: &Image,
        bytes: &mut Bytes<R>,
        module: u32,
        found: &mut Found,
    ) -> Option<()> {
        // Go 1.26 put a word before the lists of sections and of links; a list has an address, a length and a room.
        let is_list = bytes.u64(module.checked_add(8 * 42)?)? == bytes.u64(module.checked_add(8 * 43)?)?;
        let number = if is_list { 44 } else { 45 };
        let table = image.places.offset(word(image, bytes, module, number)?)?;
        for link in 0..bytes.small_u64(module.checked_add(8 * (number + 1))?)? {
            self.distance(bytes, table.checked_add(link.checked_mul(4)?)?, found)?;
        }
        Some(())
    }

    /// Notes a distance from the first type; 0 stands for none.
    fn distance<R: Read + Seek>(&self, bytes: &mut Bytes<R>, at: u32, found: &mut Found) -> Option<()> {
        let distance = bytes.u32(at)?;
        if distance != 0 && distance < self.size {
            found.add(at, Kind::FromBase, self.start);
        }
        Some(())
    }

    /// If what lies `at` looks like a type: its size without what is not the same for all types of its kind.
    fn find<R: Read + Seek>(&self, image: &Image, bytes: &mut Bytes<R>, at: u32, found: &mut Found) -> Option<u32> {
        let [flags, align, field_align, kind] = bytes.array(at.checked_add(20)?)?;
        let kind = kind & 0x1f;
        if !matches!(align, 1 | 2 | 4 | 8) || align != field_align || !(1..=26).contains(&kind) || flags >= 0x40 {
            return None;
        }
        let (size, with_pointers) = (bytes.u64(at)?, bytes.u64(at.checked_add(8)?)?);
        let (name, pointer) = (bytes.u32(at.checked_add(40)?)?, bytes.u32(at.checked_add(44)?)?);
        if with_pointers > size || size >> 40 != 0 || name == 0 || name >= self.size || pointer >= self.size {
            return None;
        }
        for function in [24, 32] {
            let function = bytes.u64(at.checked_add(function)?)?;
            if function != 0 {
                image.places.relative(function)?;
            }
        }
        self.distance(bytes, at.checked_add(40)?, found);
        self.distance(bytes, at.checked_add(44)?, found);
        let size = match kind {
            17 => 72,           // array
            18 => 64,           // channel
            20 | 25 => 80,      // interface, struct
            21 => 112,          // map
            19 | 22 | 23 => 56, // function, pointer, slice
            _ => 48,
        };
        if kind == 20 {
            let list = image.places.relative(bytes.u64(at.checked_add(56)?)?);
            if let Some(list) = list.and_then(|list| image.places.offset(list)) {
                for number in 0..2 * bytes.small_u64(at.checked_add(64)?)?.min(self.size / 8) {
                    self.distance(bytes, list.checked_add(4 * number)?, found)?;
                }
            }
        }
        if flags & 1 != 0 {
            let _ = self.methods(bytes, at.checked_add(size)?, found);
        }
        Some(size)
    }

    /// Notes the package and the methods of a type that has a name.
    fn methods<R: Read + Seek>(&self, bytes: &mut Bytes<R>, at: u32, found: &mut Found) -> Option<()> {
        self.distance(bytes, at, found);
        let count = bytes.u16(at.checked_add(4)?)?;
        let list = at.checked_add(bytes.u32(at.checked_add(8)?)?)?;
        for number in 0..u32::from(count) {
            let method = list.checked_add(16 * number)?;
            self.distance(bytes, method, found)?;
            self.distance(bytes, method.checked_add(4)?, found)?;
            for function in [8, 12] {
                let function = method.checked_add(function)?;
                // A method that cannot be called is written as -1 or 0.
                if !matches!(bytes.u32(function)?, 0 | u32::MAX) {
                    found.add(function, Kind::FromBase, self.text);
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::delta::program::field::Kind;
    use crate::formats::delta::program::samples::*;

    /// A program with one function and one type.
    fn go() -> Vec<u8> {
        const BASE: u64 = 0x40_0000;
        let mut table = words([0xffff_fff1, 0x0801_0000]);
        table.extend(longs([1, 0, BASE + 0x1000, 0x100, 0x200, 0x280, 0x300, 0x400]));
        table.resize(0x400, 0);
        table.extend(words([0, 0x20, 0x40, 0, 0, 0, 0, 0, 0, 0]));
        table.resize(0x420, 0);
        table.extend(words([0, 5, 0, 0, 1, 2, 3, 1, 0, 0, 0x0100_0000, 9, 0x18]));
        let mut types = vec![0; 64];
        types.extend(longs([8, 0]));
        types.extend(words([1, 0x0208_0800, 0, 0, 0, 0, 4, 0]));
        let mut module = longs([BASE + 0x2000, BASE + 0x2100]);
        module.resize(512, 0);
        for (number, address) in [(22, 0x1000), (23, 0x1040), (37, 0x3000), (38, 0x3080), (40, 0x3000)] {
            module[8 * number..8 * number + 8].copy_from_slice(&(BASE + address).to_le_bytes());
        }
        let parts = [
            code(".text", 0x1000, vec![0x90; 64]),
            data(".gopclntab", 1, 0x2000, table),
            data(".rodata", 1, 0x3000, types),
            data(".noptrdata", 1, 0x4000, module),
        ];
        elf(62, BASE, &parts)
    }

    #[test]
    fn a_function_has_fields_in_the_table_and_in_its_entry() {
        let expected = [
            (0x2400, Kind::FromBase, 0x1000),
            (0x2404, Kind::FromBase, 0x2400),
            (0x2408, Kind::FromBase, 0x1000),
            (0x2420, Kind::FromBase, 0x1000),
            (0x2424, Kind::FromBase, 0x2100),
            (0x2430, Kind::FromBase, 0x2300),
            (0x2434, Kind::FromBase, 0x2300),
            (0x2438, Kind::FromBase, 0x2300),
            (0x2440, Kind::Index4, 0x2200),
            (0x244c, Kind::FromBase, 0x2300),
            (0x2450, Kind::FromBase, 0x3000),
        ];
        assert_eq!(fields_in(&go(), 0x2400..0x2500), expected);
    }

    #[test]
    fn a_type_has_a_name_and_what_is_no_type_has_none() {
        let mut file = go();
        assert_eq!(fields_in(&file, 0x3000..0x3080), [(0x3068, Kind::FromBase, 0x3000)]);
        file[0x3056] = 3; // an alignment that there is not
        assert_eq!(fields_in(&file, 0x3000..0x3080), []);
    }
}
