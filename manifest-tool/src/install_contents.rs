//! The contents of an install object, unpacked to a temporary file.

use patcher::internal::digest::{Sha256, Sha256Hasher};
use patcher::internal::install_blocks::{UnpackError, unpack};
use patcher::internal::manifest::IndexedObject;
use patcher::internal::tables::InstallTable;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::ops::Range;
use std::sync::Mutex;

/// The unpacked stream of an install object, and the position of each content in it.
#[derive(Debug)]
pub struct InstallContents {
    stream: Mutex<File>,
    positions: HashMap<Sha256, Range<u64>>,
}

impl InstallContents {
    /// Unpacks an object.
    ///
    /// # Errors
    /// An I/O error; one of the kind [`io::ErrorKind::InvalidData`] for an object that is not
    /// valid.
    pub fn unpack(mut object: File, indexed: &IndexedObject) -> io::Result<Self> {
        let invalid = |detail: String| io::Error::new(io::ErrorKind::InvalidData, detail);
        object.rewind()?;
        let table = InstallTable::read(&object, indexed).map_err(|error| invalid(error.to_string()))?;
        object.seek(SeekFrom::Start(indexed.table.size))?;
        let (mut blocks, mut stream) = (BufReader::new(object), tempfile::tempfile()?);
        for block in &table.blocks {
            unpack(&mut blocks, block, |bytes| stream.write_all(bytes)).map_err(|error| match error {
                UnpackError::Sink(error) => error,
                UnpackError::Block(detail) => invalid(detail),
            })?;
        }
        let mut start = 0;
        let position = |content: &patcher::internal::manifest::Object| {
            let position = start..start + content.size;
            start = position.end;
            (content.sha256, position)
        };
        Ok(Self { positions: table.contents.iter().map(position).collect(), stream: Mutex::new(stream) })
    }

    /// Copies a content; returns `false` if the object does not hold it as it should be.
    ///
    /// # Errors
    /// An I/O error.
    pub fn copy(&self, content: &Sha256, mut output: impl Write) -> io::Result<bool> {
        let Some(position) = self.positions.get(content) else { return Ok(false) };
        let mut stream = self.stream.lock().map_err(|_| io::Error::other("another thread has panicked"))?;
        stream.seek(SeekFrom::Start(position.start))?;
        let (mut bytes, mut hasher) = ((&mut *stream).take(position.end - position.start), Sha256Hasher::default());
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match bytes.read(&mut buffer)? {
                0 => return Ok(hasher.finish().0 == *content),
                count => {
                    hasher.update(&buffer[..count]);
                    output.write_all(&buffer[..count])?;
                }
            }
        }
    }
}
