//! Small programs for tests, generated from a seed, with every kind of table that a detector reads.

use super::budgeted_reader::BudgetedReader;
use super::detect;
use super::field::{Field, FieldKind};
use super::image::Image;
use super::unscanned_pages::UnscannedPages;
use std::io::Cursor;

/// A section of a generated program. Its address equals its offset in the file.
pub struct SampleSection {
    name: &'static str,
    kind: u32,
    executable: bool,
    address: u32,
    bytes: Vec<u8>,
}

/// Returns a data section; `kind` is `sh_type` in ELF files.
pub fn data(name: &'static str, kind: u32, address: u32, bytes: Vec<u8>) -> SampleSection {
    SampleSection { name, kind, executable: false, address, bytes }
}

/// Returns a code section.
pub fn code(name: &'static str, address: u32, bytes: Vec<u8>) -> SampleSection {
    SampleSection { name, kind: 1, executable: true, address, bytes }
}

/// Encodes numbers of four bytes.
pub fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Encodes numbers of eight bytes.
pub fn longs(longs: impl IntoIterator<Item = u64>) -> Vec<u8> {
    longs.into_iter().flat_map(u64::to_le_bytes).collect()
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Builds an ELF file with one segment at `base` that covers the whole file.
pub fn elf(machine: u16, base: u64, parts: &[SampleSection]) -> Vec<u8> {
    let mut file = Vec::new();
    parts.iter().for_each(|part| put(&mut file, part.address as usize, &part.bytes));
    let end = file.len() as u64;
    let names_at = file.len();
    let mut names = vec![0];
    let mut headers = vec![0; 64];
    for part in parts {
        let flags = if part.executable { 6 } else { 2 };
        let mut header = words([names.len() as u32, part.kind]);
        let address = part.address.into();
        header.extend(longs([flags, base + address, address, part.bytes.len() as u64, 0, 0, 0]));
        headers.extend(header);
        names.extend_from_slice(part.name.as_bytes());
        names.push(0);
    }
    let mut header = words([0, 3]);
    header.extend(longs([0, 0, names_at as u64, names.len() as u64, 0, 0, 0]));
    headers.extend(header);
    file.extend(names);
    let table = file.len() as u64;
    file.extend(headers);
    put(&mut file, 0, &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    put(&mut file, 16, &[3, 0]);
    put(&mut file, 18, &machine.to_le_bytes());
    put(&mut file, 32, &longs([64, table]));
    put(&mut file, 54, &[56, 0, 1, 0, 64, 0, parts.len() as u8 + 2, 0, parts.len() as u8 + 1, 0]);
    put(&mut file, 64, &words([1, 5]));
    put(&mut file, 72, &longs([0, base, base, end, end + 0x1000, 0x1000]));
    file
}

/// Builds a PE file with these sections and data directories.
pub fn pe(machine: u16, parts: &[SampleSection], directories: &[(usize, u32, u32)]) -> Vec<u8> {
    let mut file = vec![0; 0x400];
    put(&mut file, 0, b"MZ");
    put(&mut file, 60, &words([128]));
    put(&mut file, 128, b"PE\0\0");
    put(&mut file, 132, &machine.to_le_bytes());
    put(&mut file, 134, &[parts.len() as u8, 0]);
    put(&mut file, 148, &240u16.to_le_bytes());
    put(&mut file, 152, &[0x0b, 2]);
    put(&mut file, 176, &longs([0x1_4000_0000]));
    put(&mut file, 212, &words([0x400]));
    put(&mut file, 260, &words([16]));
    for (number, address, size) in directories {
        put(&mut file, 264 + 8 * number, &words([*address, *size]));
    }
    for (number, part) in parts.iter().enumerate() {
        let at = 392 + 40 * number;
        let size = part.bytes.len() as u32;
        put(&mut file, at, part.name.as_bytes());
        put(&mut file, at + 8, &words([size, part.address, size, part.address]));
        put(&mut file, at + 36, &words([if part.executable { 0x6000_0020 } else { part.kind }]));
        put(&mut file, part.address as usize, &part.bytes);
    }
    file
}

/// Builds a Mach-O file for one processor with one segment and further load commands.
pub fn macho(machine: u32, parts: &[SampleSection], commands: &[Vec<u8>]) -> Vec<u8> {
    const BASE: u64 = 0x1_0000_0000;
    let mut file = Vec::new();
    parts.iter().for_each(|part| put(&mut file, part.address as usize, &part.bytes));
    let end = file.len() as u64;
    let mut segment = words([0x19, 72 + 80 * parts.len() as u32]);
    segment.extend([0; 16]);
    segment.extend(longs([BASE, end + 0x1000, 0, end]));
    segment.extend(words([5, 5, parts.len() as u32, 0]));
    for part in parts {
        let mut section = [0; 32];
        section[..part.name.len()].copy_from_slice(part.name.as_bytes());
        segment.extend(section);
        segment.extend(longs([BASE + u64::from(part.address), part.bytes.len() as u64]));
        let kind = if part.executable { 0x8000_0400 } else { 0 };
        segment.extend(words([part.address, 3, 0, 0, kind, 0, 0, 0]));
    }
    let all: Vec<u8> = [segment].iter().chain(commands).flatten().copied().collect();
    put(&mut file, 0, &words([0xfeed_facf, machine, 0, 2, 1 + commands.len() as u32, all.len() as u32]));
    put(&mut file, 32, &all);
    file
}

/// Combines Mach-O files into one universal file.
pub fn universal(slices: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, slices.len() as u8];
    for (number, slice) in slices.iter().enumerate() {
        let offset = 0x1_0000 * (number as u32 + 1);
        put(&mut file, 16 + 20 * number, &offset.to_be_bytes());
        put(&mut file, offset as usize, slice);
    }
    file
}

/// Parses a program and finds its fields. Panics if it is not a program.
pub fn parsed(file: &[u8]) -> (Image, Vec<Field>) {
    parsed_without(file, &UnscannedPages::default())
}

/// Does the same without the unscanned pages.
pub fn parsed_without(file: &[u8], unscanned: &UnscannedPages) -> (Image, Vec<Field>) {
    let mut reader = BudgetedReader::new(Cursor::new(file), file.len() as u32);
    let image = Image::parse(&mut reader).expect("a program");
    let fields = detect::find_fields(&image, &mut reader, unscanned);
    reader.finish().unwrap();
    (image, fields)
}

/// Returns the fields whose offset lies in `range`.
pub fn fields_in(file: &[u8], range: std::ops::Range<u32>) -> Vec<(u32, FieldKind, u32)> {
    let inside = parsed(file).1.into_iter().filter(|field| range.contains(&field.offset));
    inside.map(|field| (field.offset, field.kind, field.extra)).collect()
}

/// A pseudo-random sequence that depends only on its seed.
pub struct SeededRandom(pub u64);

impl SeededRandom {
    /// Returns the next number below `limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

/// Generates `size` bytes of x86-64 code at `address`, with calls into it and operands at `data`.
pub fn x86_code(random: &mut SeededRandom, address: u32, size: usize, data: u32) -> Vec<u8> {
    let mut code: Vec<u8> = Vec::new();
    while code.len() + 16 < size {
        let here = address + code.len() as u32;
        let distance = |target: u32, length: u32| target.wrapping_sub(here + length).to_le_bytes();
        let function = address + random.below(size as u32) / 16 * 16;
        match random.below(6) {
            0 => code.extend([&[0xe8][..], &distance(function, 5)].concat()),
            1 => code.extend([&[0x0f, 0x85][..], &distance(function, 6)].concat()),
            2 => code.extend([&[0x48, 0x8d, 0x05][..], &distance(data + 4 * random.below(64), 7)].concat()),
            3 => code.extend([&[0xc7, 0x05][..], &distance(data + 512, 10), &[1, 0, 0, 0]].concat()),
            4 => code.extend([0x48, 0x89, 0xe5]),
            _ => code.extend([0xc5, 0xf9, 0x6f, 0xc1]),
        }
    }
    code.resize(size, 0xcc);
    code
}

/// Generates aarch64 code with calls, tests and pairs that load addresses at `data`.
pub fn arm_code(random: &mut SeededRandom, address: u32, count: u32, data: u32) -> Vec<u8> {
    let mut code = Vec::new();
    while (code.len() as u32) < count {
        let here = address + 4 * code.len() as u32;
        let words = (address + 4 * random.below(count)).wrapping_sub(here) >> 2;
        match random.below(5) {
            0 => code.push(0x9400_0000 | words & 0x03ff_ffff),
            1 => code.push(0xb400_0000 | (words & 0x7_ffff) << 5),
            2 => code.push(0x3600_0000 | (words & 0x3fff) << 5),
            3 => {
                let target = data + 8 * random.below(64);
                let pages = (target >> 12).wrapping_sub(here >> 12);
                code.push(0x9000_0003 | (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5);
                code.push(0x9100_0063 | (target & 0xfff) << 10);
            }
            _ => code.push(0xaa01_03e0),
        }
    }
    words(code)
}

/// Generates an x86-64 Linux library with relocations, symbols and a jump table.
pub fn linux(seed: u64) -> Vec<u8> {
    let mut random = SeededRandom(seed);
    let text = x86_code(&mut random, 0x1000, 0x1000, 0x3000);
    let mut table: Vec<u32> = (0..8).map(|_| (0x1000 + random.below(0x1000)).wrapping_sub(0x3000)).collect();
    table.resize(64, 0);
    let relocations = (0..16).flat_map(|number| [0x4000 + 8 * number, 8, 0x1000 + 16 * number]);
    let symbols = (0..8).flat_map(|number| [0x1_0000_0000_0001, 0x1000 + 32 * number, 0]);
    elf(
        62,
        0,
        &[
            data(".dynsym", 11, 0x400, longs(symbols)),
            data(".rela.dyn", 4, 0x600, longs(relocations)),
            code(".text", 0x1000, text),
            data(".rodata", 1, 0x3000, words(table)),
            data(".data.rel.ro", 1, 0x4000, vec![0; 128]),
        ],
    )
}

/// Generates an x86-64 Windows library with unwind tables, relocations and words that look like
/// addresses.
pub fn windows(seed: u64) -> Vec<u8> {
    let mut random = SeededRandom(seed);
    let text = x86_code(&mut random, 0x1000, 0x1000, 0x2000);
    let guesses = (0..128).map(|_| 0x1000 + random.below(0x1000));
    let mut read_only = words(guesses);
    read_only.extend(longs((0..16).map(|number| 0x1_4000_1000 + 16 * number)));
    let functions = (0..32).flat_map(|number| [0x1000 + 128 * number, 0x1080 + 128 * number, 0x2000]);
    let blocks = words([0x2000, 8 + 2 * 16]);
    let entries = (0..16).flat_map(|number: u16| (0xa000 + 0x200 + 8 * number).to_le_bytes());
    pe(
        0x8664,
        &[
            code(".text", 0x1000, text),
            data(".rdata", 0x4000_0040, 0x2000, read_only),
            data(".pdata", 0x4000_0040, 0x3000, words(functions)),
            data(".reloc", 0x4200_0040, 0x4000, blocks.into_iter().chain(entries).collect()),
        ],
        &[(3, 0x3000, 384), (5, 0x4000, 40)],
    )
}

/// Generates an aarch64 macOS program with chained fixups and symbols.
pub fn mac(seed: u64) -> Vec<u8> {
    let mut random = SeededRandom(seed);
    let text = arm_code(&mut random, 0x1000, 1024, 0x3000);
    let chain = (0..16).map(|number: u64| (0x1000 + 16 * number) | if number < 15 { 2 << 51 } else { 0 });
    let mut fixups = words([0, 32, 0, 0, 1, 6, 0, 0, 1, 8]);
    fixups.extend(words([24, 0x0006_4000, 0x3000, 0, 0, 1]));
    let mut symbols = Vec::new();
    for number in 0..8 {
        symbols.extend(words([0, 0x0000_010e]));
        symbols.extend(longs([0x1_0000_1000 + 4 * number]));
    }
    let parts = [
        code("__text", 0x1000, text),
        data("__const", 0, 0x3000, longs(chain)),
        data("__fixups", 0, 0x5000, fixups),
        data("__symbols", 0, 0x6000, symbols),
    ];
    macho(0x0100_000c, &parts, &[words([0x8000_0034, 16, 0x5000, 64]), words([2, 24, 0x6000, 8, 0, 0])])
}

/// Generates a Windows program with several pages of code and as much data with addresses.
///
/// A function starts every 112 bytes. The unwind table leaves out those in `unlisted`.
pub fn wide_windows(seed: u64, unlisted: std::ops::Range<u32>) -> Vec<u8> {
    let mut random = SeededRandom(seed);
    let text = x86_code(&mut random, 0x1000, 0x6000, 0x7000);
    let guesses = words((0..0x400).map(|number| number + 0x1000 + random.below(0x6000)));
    let pointers = longs((0..0x7f0).map(|number| 0x1_4000_1000 + 8 * number));
    let functions = (0x1000..0x6b00).step_by(112).filter(|at| !unlisted.contains(at));
    let functions = words(functions.flat_map(|at| [at, at + 112, 0x7000]));
    let size = functions.len() as u32;
    let parts = [
        code(".text", 0x1000, text),
        data(".rdata", 0x4000_0040, 0x7000, guesses.repeat(4)),
        data(".data", 0xc000_0040, 0xb004, [vec![0; 4], pointers].concat()),
        data(".pdata", 0x4000_0040, 0x1_0000, functions),
    ];
    pe(0x8664, &parts, &[(3, 0x1_0000, size)])
}

/// Generates an aarch64 macOS program with several pages of code that starts two bytes off its
/// alignment.
pub fn wide_mac(seed: u64) -> Vec<u8> {
    let text = arm_code(&mut SeededRandom(seed), 0x1002, 0x1800, 0x9000);
    macho(0x0100_000c, &[code("__text", 0x1002, text), data("__const", 0, 0x9000, vec![1; 0x1000])], &[])
}
