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

/// The unpacked stream of an install object, and the place of each content in it.
#[derive(Debug)]
pub struct InstallContents {
    stream: Mutex<File>,
    places: HashMap<Sha256, Range<u64>>,
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
        let place = |content: &patcher::internal::manifest::Object| {
            let place = start..start + content.size;
            start = place.end;
            (content.sha256, place)
        };
        Ok(Self { places: table.contents.iter().map(place).collect(), stream: Mutex::new(stream) })
    }

    /// Copies a content; returns `false` if the object does not hold it as it should be.
    ///
    /// # Errors
    /// An I/O error.
    pub fn copy(&self, content: &Sha256, mut output: impl Write) -> io::Result<bool> {
        let Some(place) = self.places.get(content) else { return Ok(false) };
        let mut stream = self.stream.lock().map_err(|_| io::Error::other("another thread has panicked"))?;
        stream.seek(SeekFrom::Start(place.start))?;
        let (mut bytes, mut hasher) = ((&mut *stream).take(place.end - place.start), Sha256Hasher::default());
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
