//! The streams of one delta, each read on its own from the one file that they lie in.
//!
//! A stream gives exactly its raw length; at its end it must be used up, packed bytes included.

use super::{DeltaError, DeltaHeader, StreamKind, StreamLengths, varint};
use lzma_rust2::Lzma2Reader;
use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// How much of a stream is read from the delta at once.
const READ_AHEAD_BYTES: usize = 32 * 1024;

/// A delta on disk that several streams are read from.
pub struct DeltaFile<P> {
    file: RefCell<P>,
    /// The header of the delta.
    pub header: DeltaHeader,
    first_stream: u64,
}

impl<P: Read + Seek> DeltaFile<P> {
    /// Reads the header, and checks that the streams end where the delta does.
    pub fn open(mut file: P) -> Result<Self, DeltaError> {
        let size = file.seek(SeekFrom::End(0)).map_err(DeltaError::ReadDelta)?;
        file.rewind().map_err(DeltaError::ReadDelta)?;
        let mut head = BufReader::with_capacity(512, &mut file);
        let header = DeltaHeader::read(&mut head)?;
        let first_stream = head.stream_position().map_err(DeltaError::ReadDelta)?;
        let mut end = Some(first_stream);
        for stream in &header.streams {
            end = end.and_then(|end| end.checked_add(stream.packed));
        }
        if end != Some(size) {
            return Err(DeltaError::Header("its streams do not end where it ends"));
        }
        Ok(Self { file: RefCell::new(file), header, first_stream })
    }

    /// Opens a stream from its start; any number of them can be open at once.
    pub fn stream(&self, kind: StreamKind) -> StreamReader<'_, P> {
        self.stream_with_dictionary(&[], kind)
    }

    /// Opens a stream that was packed as if `dictionary` stood before it.
    pub fn stream_with_dictionary(&self, dictionary: &[u8], kind: StreamKind) -> StreamReader<'_, P> {
        let index = kind as usize;
        let before: u64 = self.header.streams[..index].iter().map(|stream| stream.packed).sum();
        let StreamLengths { raw, packed } = self.header.streams[index];
        let position = self.first_stream + before;
        let packed_bytes = PackedBytes { file: &self.file, position, remaining: packed };
        let packed_bytes = BufReader::with_capacity(READ_AHEAD_BYTES.min(packed as usize), packed_bytes);
        let decoder = if raw == packed {
            StreamDecoder::Stored(packed_bytes)
        } else {
            // No match reaches back further than the whole stream: small streams cost little memory.
            let size = match dictionary {
                [] => u64::from(kind.dictionary_bytes()).min(raw),
                _ => dictionary.len() as u64 + raw.min(self.header.new),
            };
            let dictionary = Some(dictionary).filter(|dictionary| !dictionary.is_empty());
            StreamDecoder::Lzma2(Box::new(Lzma2Reader::new(packed_bytes, size as u32, dictionary)))
        };
        StreamReader { kind, reader: BufReader::new(LimitedStream { remaining: raw, decoder }) }
    }
}

/// The packed bytes of one stream.
struct PackedBytes<'a, P> {
    file: &'a RefCell<P>,
    position: u64,
    remaining: u64,
}

impl<P: Read + Seek> Read for PackedBytes<'_, P> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(self.position))?;
        let count = file.read(&mut bytes[..most])?;
        self.position += count as u64;
        self.remaining -= count as u64;
        Ok(count)
    }
}

enum StreamDecoder<'a, P> {
    Stored(BufReader<PackedBytes<'a, P>>),
    Lzma2(Box<Lzma2Reader<BufReader<PackedBytes<'a, P>>>>),
}

/// The bytes of a stream, no more than its header says.
struct LimitedStream<'a, P> {
    remaining: u64,
    decoder: StreamDecoder<'a, P>,
}

impl<P: Read + Seek> Read for LimitedStream<'_, P> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let count = match &mut self.decoder {
            StreamDecoder::Stored(packed_bytes) => packed_bytes.read(&mut bytes[..most])?,
            StreamDecoder::Lzma2(reader) => reader.read(&mut bytes[..most])?,
        };
        self.remaining -= count as u64;
        Ok(count)
    }
}

/// The unpacked bytes of one stream.
pub struct StreamReader<'a, P> {
    kind: StreamKind,
    reader: BufReader<LimitedStream<'a, P>>,
}

impl<P: Read + Seek> StreamReader<'_, P> {
    /// How many bytes are left.
    pub fn remaining(&self) -> u64 {
        self.reader.buffer().len() as u64 + self.reader.get_ref().remaining
    }

    /// Fills `bytes` with the next ones.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), DeltaError> {
        self.reader.read_exact(bytes).map_err(|error| self.read_failure(error))
    }

    /// The next bytes that are at hand, at least one.
    pub fn buffered(&mut self) -> Result<&[u8], DeltaError> {
        // What is at hand cannot be returned from within the match: it would keep the stream borrowed for the error.
        match self.reader.fill_buf().map(<[u8]>::is_empty) {
            Ok(false) => Ok(self.reader.buffer()),
            Ok(true) => Err(self.invalid("it is cut off")),
            Err(error) => Err(self.read_failure(error)),
        }
    }

    /// Passes over bytes that were at hand.
    pub fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }

    /// Reads the next byte.
    pub fn read_byte(&mut self) -> Result<u8, DeltaError> {
        let mut byte = [0];
        self.fill(&mut byte)?;
        Ok(byte[0])
    }

    /// Reads the next number.
    pub fn read_number(&mut self) -> Result<u64, DeltaError> {
        match varint::read(&mut self.reader) {
            Ok(Some(number)) => Ok(number),
            Ok(None) => Err(self.invalid("a number is not in its one form")),
            Err(error) => Err(self.read_failure(error)),
        }
    }

    /// Checks that it is used up.
    pub fn finish(mut self) -> Result<(), DeltaError> {
        let remaining = self.remaining();
        if remaining > 0 {
            return Err(self.invalid(format!("{remaining} bytes are left over")));
        }
        let packed_bytes = match &mut self.reader.get_mut().decoder {
            StreamDecoder::Stored(packed_bytes) => packed_bytes,
            StreamDecoder::Lzma2(reader) => match reader.read(&mut [0]) {
                Ok(0) => reader.inner_mut(),
                Ok(_) => return Err(self.invalid("it is longer than it says")),
                Err(error) => return Err(self.read_failure(error)),
            },
        };
        if packed_bytes.get_ref().remaining > 0 || !packed_bytes.buffer().is_empty() {
            return Err(self.invalid("something follows its end"));
        }
        Ok(())
    }

    /// An error about its content.
    pub fn invalid(&self, detail: impl Into<String>) -> DeltaError {
        DeltaError::Stream { stream: self.kind, detail: detail.into() }
    }

    /// Tells a disk that cannot be read from packed bytes that make no sense.
    fn read_failure(&self, error: io::Error) -> DeltaError {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, OutOfMemory, UnexpectedEof, Unsupported};
        match error.kind() {
            UnexpectedEof => self.invalid("it is cut off"),
            InvalidData | InvalidInput | Other | OutOfMemory | Unsupported => self.invalid(error.to_string()),
            _ => DeltaError::ReadDelta(error),
        }
    }
}
