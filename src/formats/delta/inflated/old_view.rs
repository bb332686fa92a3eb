//! Old view: the old file with the contents of the listed streams in place of the streams.

use super::stream_list::OldStream;
use crate::formats::delta::DeltaError;
use crate::formats::delta::file_range::FileRange;
use flate2::{Decompress, FlushDecompress, Status};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

const BUFFER_BYTES: usize = 64 * 1024;

/// A piece of the view. It ends where the next piece starts.
#[derive(Debug, Clone, Copy)]
struct ViewPiece {
    /// Where it starts in the view.
    view: u64,
    /// Where it starts in its file.
    file: u64,
}

/// The old file, the contents of its streams, and the current read position.
pub struct OldView<B, F> {
    old_file: B,
    /// The contents one after the other.
    contents: F,
    /// Raw bytes and contents in turn; the first and the last piece are raw bytes.
    pieces: Vec<ViewPiece>,
    size: u64,
    position: u64,
}

impl<B: Read + Seek, F: Read + Write + Seek> OldView<B, F> {
    /// Inflates the streams of an old file of `size` bytes into the empty file `contents`.
    ///
    /// # Errors
    /// [`DeltaError::StreamList`] if a stream does not have the stated length,
    /// [`DeltaError::OldFileSize`], [`DeltaError::ReadOldFile`], [`DeltaError::Scratch`].
    pub fn open(mut old_file: B, size: u64, streams: &[OldStream], mut contents: F) -> Result<Self, DeltaError> {
        if old_file.seek(SeekFrom::End(0)).map_err(DeltaError::ReadOldFile)? != size {
            return Err(DeltaError::OldFileSize);
        }
        old_file.rewind().map_err(DeltaError::ReadOldFile)?;
        let mut pieces = Vec::with_capacity(2 * streams.len() + 1);
        let mut input = BufReader::with_capacity(BUFFER_BYTES, &mut old_file);
        let mut output = BufWriter::with_capacity(BUFFER_BYTES, &mut contents);
        let mut inflater = Inflater::new();
        let (mut view, mut file, mut content) = (0, 0, 0);
        for stream in streams {
            pieces.push(ViewPiece { view, file });
            input.seek_relative(stream.gap as i64).map_err(DeltaError::ReadOldFile)?;
            view += stream.gap;
            file += stream.gap;
            pieces.push(ViewPiece { view, file: content });
            file += inflater.inflate(&mut input, stream.length, &mut output)?;
            view += stream.length;
            content += stream.length;
        }
        pieces.push(ViewPiece { view, file });
        output.flush().map_err(DeltaError::Scratch)?;
        drop(output);
        let tail = size.checked_sub(file).ok_or(DeltaError::OldFileSize)?;
        Ok(Self { old_file, contents, pieces, size: view + tail, position: 0 })
    }

    /// Returns the size of the view in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the content of one stream, counted from 0.
    ///
    /// # Errors
    /// [`DeltaError::Scratch`].
    pub fn content(&mut self, stream: usize) -> Result<FileRange<&mut F>, DeltaError> {
        let (content, after) = (self.pieces[2 * stream + 1], self.pieces[2 * stream + 2]);
        let length = after.view - content.view;
        FileRange::new(&mut self.contents, content.file..content.file + length).map_err(DeltaError::Scratch)
    }
}

impl<B: Read + Seek, F: Read + Seek> Read for OldView<B, F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // The first piece starts at 0. Of several pieces with the same start, only the last is not
        // empty.
        let index = self.pieces.partition_point(|piece| piece.view <= self.position).saturating_sub(1);
        let piece = self.pieces[index];
        let end = self.pieces.get(index + 1).map_or(self.size, |next| next.view);
        let left = usize::try_from(end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let most = bytes.len().min(left);
        if most == 0 {
            return Ok(0);
        }
        let start = SeekFrom::Start(piece.file + (self.position - piece.view));
        let bytes = &mut bytes[..most];
        let count = if index.is_multiple_of(2) {
            self.old_file.seek(start)?;
            self.old_file.read(bytes)?
        } else {
            self.contents.seek(start)?;
            self.contents.read(bytes)?
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl<B, F> Seek for OldView<B, F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Inflates raw deflate streams one after the other.
struct Inflater {
    state: Decompress,
    buffer: Vec<u8>,
}

impl Inflater {
    fn new() -> Self {
        Self { state: Decompress::new(false), buffer: vec![0; BUFFER_BYTES] }
    }

    /// Inflates one stream with a content of `length` bytes, and returns the stream's own length.
    ///
    /// It stops as soon as the content is longer.
    fn inflate(&mut self, input: &mut impl BufRead, length: u64, output: &mut impl Write) -> Result<u64, DeltaError> {
        let invalid = |rule| Err(DeltaError::StreamList(rule));
        self.state.reset(false);
        loop {
            let available = input.fill_buf().map_err(DeltaError::ReadOldFile)?;
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let Ok(status) = self.state.decompress(available, &mut self.buffer, FlushDecompress::None) else {
                return invalid("the old file has no deflate stream at a stated position");
            };
            let (read, written) = (self.state.total_in() - read, self.state.total_out() - written);
            input.consume(read as usize);
            if self.state.total_out() > length {
                return invalid("a stream of the old file is longer than stated");
            }
            output.write_all(&self.buffer[..written as usize]).map_err(DeltaError::Scratch)?;
            match status {
                Status::StreamEnd if self.state.total_out() == length => return Ok(self.state.total_in()),
                Status::StreamEnd => return invalid("a stream of the old file is shorter than stated"),
                _ if read == 0 && written == 0 => return invalid("a stream of the old file is cut off"),
                _ => {}
            }
        }
    }
}
