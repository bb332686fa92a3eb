//! A delta on disk and its streams, each of which is read independently.
//!
//! A stream yields exactly the raw length that the header states. At the end, its packed bytes must
//! be used up as well.

use super::{DeltaError, DeltaHeader, DeltaMode, StreamKind, StreamLengths, varint};
use lzma_rust2::Lzma2Reader;
use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Buffer size for the packed bytes of one stream.
const READ_AHEAD_BYTES: usize = 32 * 1024;

/// A delta on disk whose streams are read side by side.
pub struct DeltaFile<P> {
    file: RefCell<P>,
    /// The parsed header.
    pub header: DeltaHeader,
    /// Where the header ends.
    pub first_stream: u64,
}

impl<P: Read + Seek> DeltaFile<P> {
    /// Reads the header and checks that the streams end where the file ends.
    ///
    /// [`DeltaMode::Inflated`] has none; the list says where its deltas end.
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
        if end != Some(size) && !matches!(header.mode, DeltaMode::Inflated(_)) {
            return Err(DeltaError::Header("its streams do not end where it ends"));
        }
        Ok(Self { file: RefCell::new(file), header, first_stream })
    }

    /// Returns the file itself.
    pub fn into_file(self) -> P {
        self.file.into_inner()
    }

    /// Opens a stream at its start. Any number of streams can be open at a time.
    pub fn stream(&self, kind: StreamKind) -> StreamReader<'_, P> {
        self.stream_with_dictionary(&[], kind)
    }

    /// Opens a stream that was packed with `dictionary` as its preset dictionary.
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
            // No match reaches back beyond the start of the stream, so a small stream needs little
            // memory.
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

/// The unpacked bytes of one stream, limited to the raw length in the header.
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

/// Reads the unpacked bytes and numbers of one stream.
pub struct StreamReader<'a, P> {
    kind: StreamKind,
    reader: BufReader<LimitedStream<'a, P>>,
}

impl<P: Read + Seek> StreamReader<'_, P> {
    /// Returns how many unpacked bytes are left.
    pub fn remaining(&self) -> u64 {
        self.reader.buffer().len() as u64 + self.reader.get_ref().remaining
    }

    /// Fills `bytes` with the next bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), DeltaError> {
        self.reader.read_exact(bytes).map_err(|error| self.read_failure(error))
    }

    /// Returns the bytes that can be read without further I/O, at least one.
    pub fn buffered(&mut self) -> Result<&[u8], DeltaError> {
        // Returning the slice from inside the `match` would keep `self` borrowed in the error arms.
        match self.reader.fill_buf().map(<[u8]>::is_empty) {
            Ok(false) => Ok(self.reader.buffer()),
            Ok(true) => Err(self.invalid("it is cut off")),
            Err(error) => Err(self.read_failure(error)),
        }
    }

    /// Skips `count` bytes of those that [`Self::buffered`] returned.
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
            Ok(None) => Err(self.invalid("a number is not in its shortest form")),
            Err(error) => Err(self.read_failure(error)),
        }
    }

    /// Checks that the stream is used up, packed bytes included.
    pub fn finish(mut self) -> Result<(), DeltaError> {
        let remaining = self.remaining();
        if remaining > 0 {
            return Err(self.invalid(format!("{remaining} bytes are left over")));
        }
        let packed_bytes = match &mut self.reader.get_mut().decoder {
            StreamDecoder::Stored(packed_bytes) => packed_bytes,
            StreamDecoder::Lzma2(reader) => match reader.read(&mut [0]) {
                Ok(0) => reader.inner_mut(),
                Ok(_) => return Err(self.invalid("it is longer than the header states")),
                Err(error) => return Err(self.read_failure(error)),
            },
        };
        if packed_bytes.get_ref().remaining > 0 || !packed_bytes.buffer().is_empty() {
            return Err(self.invalid("bytes follow its end"));
        }
        Ok(())
    }

    /// Returns an error that says how the content of this stream is invalid.
    pub fn invalid(&self, detail: impl Into<String>) -> DeltaError {
        DeltaError::Stream { stream: self.kind, detail: detail.into() }
    }

    /// Distinguishes invalid packed bytes from a delta that cannot be read.
    fn read_failure(&self, error: io::Error) -> DeltaError {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, OutOfMemory, UnexpectedEof, Unsupported};
        match error.kind() {
            UnexpectedEof => self.invalid("it is cut off"),
            InvalidData | InvalidInput | Other | OutOfMemory | Unsupported => self.invalid(error.to_string()),
            _ => DeltaError::ReadDelta(error),
        }
    }
}
