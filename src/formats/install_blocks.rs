//! The blocks of an install object: unpacks them and cuts the stream into contents.
//!
//! Nothing here is trusted: the caller checks the hash of every content. A block takes as much
//! memory as its unpacked size, at most
//! [`MAX_BLOCK_BYTES`](crate::formats::tables::MAX_BLOCK_BYTES).

use crate::formats::manifest::Object;
use crate::formats::tables::{InstallBlock, InstallTable};
use crate::values::digest::Sha256Hasher;
use lzma_rust2::Lzma2Reader;
use std::io::{self, BufRead, BufReader, Read};

const BUFFER_BYTES: usize = 64 << 10;

/// The reason why [`unpack`] failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError<E> {
    /// The packed bytes are not a block as the table describes it.
    #[error("the block is not valid: {0}")]
    Block(String),
    /// The sink returned an error.
    #[error("{0}")]
    Sink(E),
}

/// Unpacks a block and passes its bytes to `sink` in pieces, never more than the table states.
///
/// # Errors
/// [`UnpackError`].
pub fn unpack<E>(
    packed: impl Read,
    block: &InstallBlock,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), UnpackError<E>> {
    let packed = BufReader::with_capacity(BUFFER_BYTES, packed.take(block.packed));
    if block.packed == block.size {
        return pass(packed, block.size, &mut sink).map(drop);
    }
    // No match reaches back beyond the start of the block.
    let reader = Lzma2Reader::new(packed, block.size as u32, None);
    let mut reader = pass(reader, block.size, &mut sink)?;
    let is_at_end = matches!(reader.read(&mut [0]), Ok(0));
    let is_used_up = reader.inner_mut().fill_buf().is_ok_and(<[u8]>::is_empty);
    if is_at_end && is_used_up { Ok(()) } else { Err(UnpackError::Block("bytes follow its end".into())) }
}

/// Passes exactly `size` bytes to `sink` and returns the reader.
fn pass<R: Read, E>(
    mut reader: R,
    size: u64,
    sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<R, UnpackError<E>> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = size;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match reader.read(&mut buffer[..most]) {
            Ok(0) => return Err(UnpackError::Block("it is cut off".into())),
            Ok(count) => {
                left -= count as u64;
                sink(&buffer[..count]).map_err(UnpackError::Sink)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(UnpackError::Block(error.to_string())),
        }
    }
    Ok(reader)
}

/// A part of a content.
#[derive(Debug, PartialEq, Eq)]
pub struct ContentPiece<'a> {
    /// The number of the content in the table.
    pub content: usize,
    /// The bytes.
    pub bytes: &'a [u8],
    /// `true` if no byte of the content comes before.
    pub is_first: bool,
    /// `true` if no byte of the content follows.
    pub is_last: bool,
}

/// Cuts the unpacked stream into contents.
pub struct ContentCutter<'a> {
    contents: &'a [Object],
    /// The content at the position of the stream.
    content: usize,
    /// The number of its bytes that are still to come.
    left: u64,
}

impl<'a> ContentCutter<'a> {
    /// Starts at the first byte of the stream.
    pub fn new(table: &'a InstallTable) -> Self {
        let left = table.contents.first().map_or(0, |content| content.size);
        Self { contents: &table.contents, content: 0, left }
    }

    /// Takes the next part of a content from `bytes`; returns `None` when all bytes are used.
    ///
    /// An empty content is a part of 0 bytes, also of an empty slice.
    pub fn cut<'b>(&mut self, bytes: &mut &'b [u8]) -> Option<ContentPiece<'b>> {
        let content = self.content;
        let Object { size, .. } = self.contents.get(content)?;
        if bytes.is_empty() && *size > 0 {
            return None;
        }
        let is_first = self.left == *size;
        let count = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (piece, rest) = bytes.split_at(count);
        *bytes = rest;
        self.left -= count as u64;
        let is_last = self.left == 0;
        if is_last {
            self.next();
        }
        Some(ContentPiece { content, bytes: piece, is_first, is_last })
    }

    /// Passes over bytes that were not unpacked. The contents with them are lost.
    pub fn skip(&mut self, mut bytes: u64) {
        while bytes > 0 && self.content < self.contents.len() {
            let count = bytes.min(self.left);
            bytes -= count;
            self.left -= count;
            if self.left == 0 {
                self.next();
            }
        }
    }

    /// Returns the numbers of the contents that have a byte in the next `bytes`.
    pub fn contents_in(&self, mut bytes: u64) -> std::ops::Range<usize> {
        let (mut end, mut left) = (self.content, self.left);
        while bytes > 0 && end < self.contents.len() {
            bytes = bytes.saturating_sub(left);
            end += 1;
            left = self.contents.get(end).map_or(0, |content| content.size);
        }
        self.content..end
    }

    fn next(&mut self) {
        self.content += 1;
        self.left = self.contents.get(self.content).map_or(0, |content| content.size);
    }
}

/// Unpacks all blocks of an object and returns the numbers of the contents that are wrong.
///
/// `blocks` is the object after its table.
pub fn wrong_contents(mut blocks: impl Read, table: &InstallTable) -> Vec<usize> {
    let mut cutter = ContentCutter::new(table);
    let mut is_right = vec![false; table.contents.len()];
    let mut hasher = Sha256Hasher::default();
    let mut hash = |mut bytes: &[u8]| {
        while let Some(piece) = cutter.cut(&mut bytes) {
            if piece.is_first {
                hasher = Sha256Hasher::default();
            }
            hasher.update(piece.bytes);
            if piece.is_last {
                let Object { size, sha256 } = table.contents[piece.content];
                is_right[piece.content] = hasher.clone().finish() == (sha256, size);
            }
        }
        Ok::<(), std::convert::Infallible>(())
    };
    let _ = hash(&[]);
    // Contents after a block that cannot be unpacked count as wrong.
    let _ = table.blocks.iter().try_for_each(|block| unpack(&mut blocks, block, &mut hash));
    (0..is_right.len()).filter(|content| !is_right[*content]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::digest::Sha256;
    use lzma_rust2::{Lzma2Options, Lzma2Writer};
    use std::convert::Infallible;
    use std::io::Write as _;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut options = Lzma2Options::with_preset(6);
        options.lzma_options.dict_size = 4096.max(bytes.len() as u32);
        let mut writer = Lzma2Writer::new(Vec::new(), options);
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn unpacked(packed: &[u8], size: u64) -> Result<Vec<u8>, UnpackError<Infallible>> {
        let block = InstallBlock { size, packed: packed.len() as u64 };
        let mut bytes = Vec::new();
        let unpacked = unpack(packed, &block, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        assert!(bytes.len() as u64 <= size, "never more than the table states");
        unpacked.map(|()| bytes)
    }

    #[test]
    fn a_block_is_unpacked_or_stored() {
        let bytes = b"hello, ".repeat(50_000);
        assert_eq!(unpacked(&packed(&bytes), bytes.len() as u64), Ok(bytes.clone()));
        assert_eq!(unpacked(&bytes, bytes.len() as u64), Ok(bytes));
    }

    #[test]
    fn every_truncation_and_addition_is_refused() {
        let (bytes, size) = (packed(&b"hello, ".repeat(20)), 140);
        assert!(bytes.len() < 139);
        for length in 1..bytes.len() {
            unpacked(&bytes[..length], size).unwrap_err();
        }
        unpacked(&[&bytes[..], b"\0"].concat(), size).unwrap_err();
    }

    #[test]
    fn sizes_are_exact_and_a_bomb_is_cut_off() {
        let bytes = packed(&vec![0; 5_000_000]);
        for wrong in [bytes.len() as u64 + 1, 4_999_999, 5_000_001] {
            unpacked(&bytes, wrong).unwrap_err();
        }
    }

    #[test]
    fn an_error_of_the_sink_is_passed_on() {
        let block = InstallBlock { size: 3, packed: 3 };
        assert_eq!(unpack(&b"abc"[..], &block, |_| Err("full")), Err(UnpackError::Sink("full")));
    }

    fn table(contents: &[&str]) -> InstallTable {
        let object = |content: &&str| Object { size: content.len() as u64, sha256: Sha256::of(content.as_bytes()) };
        InstallTable { contents: contents.iter().map(object).collect(), blocks: Vec::new() }
    }

    /// Cuts `bytes` and returns its parts as text: `NUMBER:BYTES`, with `<` at the first part and
    /// `>` at the last.
    fn cut(cutter: &mut ContentCutter<'_>, mut bytes: &[u8]) -> String {
        let mut parts = Vec::new();
        while let Some(ContentPiece { content, bytes, is_first, is_last }) = cutter.cut(&mut bytes) {
            let (first, last) = (if is_first { "<" } else { "" }, if is_last { ">" } else { "" });
            parts.push(format!("{content}:{first}{}{last}", std::str::from_utf8(bytes).unwrap()));
        }
        assert!(bytes.is_empty() || cutter.content == cutter.contents.len());
        parts.join(" ")
    }

    #[test]
    fn the_stream_is_cut_wherever_a_block_ends() {
        let contents = ["", "abc", "", "d", "efgh"];
        let (table, stream) = (table(&contents), contents.concat());
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let (mut cutter, mut made) = (ContentCutter::new(&table), vec![String::new(); contents.len()]);
                let mut ended = 0;
                for mut bytes in
                    [&stream[..0], &stream[..first], &stream[first..second], &stream[second..]].map(str::as_bytes)
                {
                    while let Some(piece) = cutter.cut(&mut bytes) {
                        assert_eq!(piece.is_first, made[piece.content].is_empty());
                        made[piece.content].push_str(std::str::from_utf8(piece.bytes).unwrap());
                        ended += usize::from(piece.is_last);
                    }
                }
                assert_eq!((made.concat(), ended), (stream.clone(), contents.len()));
            }
        }
    }

    #[test]
    fn bytes_that_were_skipped_lose_only_their_contents() {
        let table = table(&["", "abc", "de", "f"]);
        let mut cutter = ContentCutter::new(&table);
        assert_eq!(cut(&mut cutter, b""), "0:<>");
        assert_eq!(cutter.contents_in(3), 1..2);
        assert_eq!(cutter.contents_in(4), 1..3);
        assert_eq!(cut(&mut cutter, b"a"), "1:<a");
        cutter.skip(3);
        assert_eq!(cutter.contents_in(1), 2..3);
        assert_eq!(cut(&mut cutter, b"ef"), "2:e> 3:<f>");
        assert_eq!(cut(&mut cutter, b"more than the table has"), "");
    }

    #[test]
    fn wrong_contents_are_found() {
        let mut table = table(&["", "abc", "de"]);
        table.blocks = vec![InstallBlock { size: 4, packed: 4 }, InstallBlock { size: 1, packed: 1 }];
        assert!(wrong_contents(&b"abcde"[..], &table).is_empty());
        assert_eq!(wrong_contents(&b"abxde"[..], &table), [1]);
        assert_eq!(wrong_contents(&b"abcd"[..], &table), [2]);
    }
}
