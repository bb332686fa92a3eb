//! Stream finder: the deflate streams inside of a file, whatever the container.
//!
//! It searches the bytes that come before a stream: the local header of a zip member, the header of
//! a gzip, or that of a zlib stream. Then it inflates. Zip directories, data descriptors and zip64
//! need no parser, because a deflate stream says itself where it ends. Archives inside of one-file
//! programs and stored members are found as well.

use flate2::{Decompress, FlushDecompress, Status};
use memchr::memchr3_iter;
use std::ops::Range;

/// Shorter streams are not worth an entry in the list.
const MIN_STREAM_BYTES: usize = 24;
/// A stream that grows beyond this factor of the file is a bomb; it stays as it is.
const MAX_GROWTH: usize = 8;
/// zlib's two header bytes: a window of 32 KiB, no preset dictionary, and four hints of a level.
const ZLIB_HEADERS: [[u8; 2]; 4] = [[0x78, 0x01], [0x78, 0x5e], [0x78, 0x9c], [0x78, 0xda]];

/// A deflate stream in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundStream {
    /// Its position in the file.
    pub range: Range<usize>,
    /// Length of its content in bytes.
    pub length: usize,
    /// Its name in a zip or a gzip, empty elsewhere.
    pub name: Range<usize>,
}

/// Returns the streams of a file in order. They do not overlap.
pub fn find_streams(file: &[u8]) -> Vec<FoundStream> {
    let mut streams: Vec<FoundStream> = Vec::new();
    let mut inflater = StreamInflater::new(file.len().saturating_mul(MAX_GROWTH));
    for at in memchr3_iter(b'P', 0x1f, 0x78, file) {
        if streams.last().is_some_and(|last| at < last.range.end) {
            continue;
        }
        let found = zip_member(file, at).or_else(|| gzip_member(file, at)).or_else(|| zlib_stream(file, at));
        let Some(StreamHeader { start, name, is_zlib }) = found else { continue };
        let Some((bytes, length)) = inflater.measure(&file[start..], is_zlib) else { continue };
        if bytes >= MIN_STREAM_BYTES {
            streams.push(FoundStream { range: start..start + bytes, length, name });
        }
    }
    streams
}

/// Inflates a stream whose content has `length` bytes.
pub fn inflate(stream: &[u8], length: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(length + 1);
    // It was inflated when it was found.
    let _ = Decompress::new(false).decompress_vec(stream, &mut content, FlushDecompress::Finish);
    content
}

/// The bytes before a stream.
struct StreamHeader {
    /// Where the stream starts.
    start: usize,
    name: Range<usize>,
    /// `true` if a checksum follows the stream.
    is_zlib: bool,
}

/// Reads a zip member's local header: method deflate, not encrypted.
fn zip_member(file: &[u8], at: usize) -> Option<StreamHeader> {
    let header = file.get(at..at + 30)?;
    let is_deflated = header.starts_with(b"PK\x03\x04") && header[6] & 1 == 0 && header[8..10] == [8, 0];
    let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let name = at + 30..at + 30 + length(26);
    let start = name.end + length(28);
    (is_deflated && start <= file.len()).then_some(StreamHeader { start, name, is_zlib: false })
}

/// Reads the header of a gzip member (RFC 1952, section 2.3).
fn gzip_member(file: &[u8], at: usize) -> Option<StreamHeader> {
    let flags = match file.get(at..at + 4)? {
        [0x1f, 0x8b, 8, flags] if flags & 0xe0 == 0 => *flags,
        _ => return None,
    };
    let text_end = |start: usize| Some(start + memchr::memchr(0, file.get(start..)?)? + 1);
    let mut start = at + 10;
    if flags & 4 != 0 {
        let length = file.get(start..start + 2)?;
        start += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    let mut name = start..start;
    if flags & 8 != 0 {
        name.end = text_end(start)?;
        start = name.end;
    }
    if flags & 16 != 0 {
        start = text_end(start)?;
    }
    if flags & 2 != 0 {
        start += 2;
    }
    (start <= file.len()).then_some(StreamHeader { start, name, is_zlib: false })
}

/// Reads the header of a zlib stream (RFC 1950).
fn zlib_stream(file: &[u8], at: usize) -> Option<StreamHeader> {
    let is_zlib = ZLIB_HEADERS.iter().any(|header| file[at..].starts_with(header));
    is_zlib.then_some(StreamHeader { start: at + 2, name: 0..0, is_zlib })
}

/// Inflates streams to find out where they end.
struct StreamInflater {
    state: Decompress,
    buffer: Vec<u8>,
    max_length: usize,
}

impl StreamInflater {
    fn new(max_length: usize) -> Self {
        Self { state: Decompress::new(false), buffer: vec![0; 64 * 1024], max_length }
    }

    /// Returns the lengths of the stream at the start of `bytes` and of its content.
    ///
    /// Two header bytes are weak evidence for a zlib stream, so its checksum must be right.
    fn measure(&mut self, bytes: &[u8], is_zlib: bool) -> Option<(usize, usize)> {
        self.state.reset(false);
        let mut checksum = Adler32::default();
        loop {
            let before = (self.state.total_in(), self.state.total_out());
            let rest = bytes.get(before.0 as usize..)?;
            let status = self.state.decompress(rest, &mut self.buffer, FlushDecompress::None).ok()?;
            let (read, written) = (self.state.total_in() as usize, self.state.total_out() as usize);
            if is_zlib {
                checksum.add(&self.buffer[..written - before.1 as usize]);
            }
            if written > self.max_length {
                return None;
            }
            match status {
                Status::StreamEnd => {
                    let is_right = !is_zlib || bytes.get(read..read + 4)? == checksum.value().to_be_bytes();
                    return (is_right && written > 0).then_some((read, written));
                }
                _ if (read as u64, written as u64) == before => return None,
                _ => {}
            }
        }
    }
}

/// The checksum of a zlib stream (RFC 1950, section 9).
struct Adler32 {
    sum: u32,
    sum_of_sums: u32,
}

impl Default for Adler32 {
    fn default() -> Self {
        Self { sum: 1, sum_of_sums: 0 }
    }
}

impl Adler32 {
    const MODULUS: u32 = 65_521;

    fn add(&mut self, bytes: &[u8]) {
        // 5,552 bytes are the most whose sums fit into 32 bits.
        for piece in bytes.chunks(5552) {
            for byte in piece {
                self.sum += u32::from(*byte);
                self.sum_of_sums += self.sum;
            }
            self.sum %= Self::MODULUS;
            self.sum_of_sums %= Self::MODULUS;
        }
    }

    fn value(&self) -> u32 {
        self.sum_of_sums << 16 | self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write as _;

    fn text(word: &str) -> Vec<u8> {
        (0..500).flat_map(|number| format!("{word} {number}\n").into_bytes()).collect()
    }

    fn deflated(content: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// Returns a zip member with a data descriptor instead of sizes, and an extra field.
    fn member(name: &str, method: u8, flags: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = [b"PK\x03\x04\x14\0", &[flags | 8, 0, method, 0][..], &[0; 16]].concat();
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend(4_u16.to_le_bytes());
        [&bytes, name.as_bytes(), &[0; 4], data, b"PK\x07\x08", &[0; 12]].concat()
    }

    fn contents(file: &[u8]) -> Vec<(String, Vec<u8>)> {
        let content = |stream: FoundStream| {
            let name = String::from_utf8(file[stream.name.clone()].to_vec()).unwrap();
            (name, inflate(&file[stream.range.clone()], stream.length))
        };
        find_streams(file).into_iter().map(content).collect()
    }

    #[test]
    fn members_of_a_zip_are_found_without_their_directory() {
        let (one, two) = (text("one"), text("two"));
        let inner = member("inner", 8, 0, &deflated(&two));
        let file = [b"program", &member("a/one", 8, 0, &deflated(&one))[..], &member("in.zip", 0, 0, &inner)].concat();
        assert_eq!(contents(&file), [("a/one".to_owned(), one), ("inner".to_owned(), two)]);
    }

    #[test]
    fn encrypted_and_broken_members_are_left_alone() {
        let stream = deflated(&text("one"));
        assert_eq!(contents(&member("encrypted", 8, 1, &stream)), []);
        assert_eq!(contents(&member("cut", 8, 0, &stream)[..200]), []);
        assert_eq!(contents(&member("not deflate", 8, 0, &text("one"))), []);
    }

    #[test]
    fn gzip_and_zlib_streams_are_found_anywhere() {
        let (one, two) = (text("one"), text("two"));
        let mut gzip = flate2::GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra([1, 2, 3])
            .write(Vec::new(), Compression::fast());
        gzip.write_all(&one).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&two).unwrap();
        let mut file =
            [b"x\x9c noise x\xda", &gzip.finish().unwrap()[..], b"P", &zlib.finish().unwrap(), b"x"].concat();
        assert_eq!(contents(&file), [("name\0".to_owned(), one.clone()), (String::new(), two)]);
        // A wrong checksum after a zlib stream.
        let checksum = file.len() - 2;
        file[checksum] ^= 1;
        assert_eq!(contents(&file), [("name\0".to_owned(), one)]);
    }

    #[test]
    fn a_bomb_stays_as_it_is() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![0; 5_000_000]).unwrap();
        assert_eq!(contents(&gzip.finish().unwrap()), []);
    }
}
