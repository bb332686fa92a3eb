//! A strict gunzip: one gzip member, no header flags, and exactly the signed size.
//!
//! flate2's decoder accepts header flags (RFC 1952) and ignores bytes after the first member. This
//! reader refuses both.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, Cursor, Read as _};

const HEADER_BYTES: usize = 10;
/// The first bytes of a gzip header: magic number, method deflate, no flags (RFC 1952).
const PLAIN_MEMBER: [u8; 4] = [0x1f, 0x8b, 8, 0];
const BUFFER_BYTES: usize = 64 << 10;

/// The reason why [`gunzip`] failed.
#[derive(Debug, thiserror::Error)]
pub enum GunzipError {
    /// The object is not one gzip member with content of the given size.
    #[error("{0}")]
    Object(String),
    /// The sink returned an error.
    #[error(transparent)]
    Sink(io::Error),
}

/// Inflates the gzip member in `object` and passes its content to `sink` in pieces.
///
/// `sink` gets at most `size` bytes, whatever the object holds.
///
/// # Errors
/// [`GunzipError::Object`] for header flags, broken data, a wrong CRC or length, content that is
/// not `size` bytes long, or bytes after the member. [`GunzipError::Sink`] for an error of `sink`.
pub fn gunzip(
    mut object: impl BufRead,
    size: u64,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), GunzipError> {
    let broken = |error: io::Error| GunzipError::Object(error.to_string());
    let mut header = [0; HEADER_BYTES];
    object.read_exact(&mut header).map_err(broken)?;
    if header[..4] != PLAIN_MEMBER {
        return Err(GunzipError::Object("it does not start with a gzip header without flags".into()));
    }
    let mut decoder = GzDecoder::new(Cursor::new(header).chain(object));
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = size;
    loop {
        let count = match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(error)),
        };
        left = left
            .checked_sub(count as u64)
            .ok_or_else(|| GunzipError::Object(format!("it holds more than {size} bytes")))?;
        sink(&buffer[..count]).map_err(GunzipError::Sink)?;
    }
    if left > 0 {
        return Err(GunzipError::Object(format!("it holds {} bytes, not {size}", size - left)));
    }
    let rest = decoder.into_inner().fill_buf().map_err(broken)?.len();
    if rest > 0 {
        return Err(GunzipError::Object("bytes follow its gzip member".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn read(object: &[u8], size: u64) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        let result = gunzip(object, size, |bytes| content.write_all(bytes));
        assert!(content.len() as u64 <= size);
        result.map(|()| content).map_err(|error| error.to_string())
    }

    #[test]
    fn one_member_is_read_whole() {
        let content = b"abc".repeat(100_000);
        assert_eq!(read(&gzip(&content), content.len() as u64), Ok(content));
        assert_eq!(read(&gzip(b""), 0), Ok(Vec::new()));
    }

    #[test]
    fn every_truncation_and_addition_is_refused() {
        let object = gzip(b"hello, hello, hello");
        for length in 0..object.len() {
            read(&object[..length], 19).unwrap_err();
        }
        read(&[&object[..], b"\0"].concat(), 19).unwrap_err();
        read(&[&object[..], &object[..]].concat(), 38).unwrap_err();
        read(&[&object[..], &object[..]].concat(), 19).unwrap_err();
    }

    #[test]
    fn sizes_are_exact_and_a_bomb_is_cut_off() {
        read(&gzip(b"abc"), 2).unwrap_err();
        read(&gzip(b"abc"), 4).unwrap_err();
        read(&gzip(&vec![0; 50_000_000]), 1000).unwrap_err();
    }

    #[test]
    fn header_flags_are_refused() {
        let mut named = flate2::GzBuilder::new().filename("x").write(Vec::new(), flate2::Compression::best());
        named.write_all(b"abc").unwrap();
        read(&named.finish().unwrap(), 3).unwrap_err();
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let mut object = gzip(b"abc");
        let crc = object.len() - 8;
        object[crc] ^= 1;
        read(&object, 3).unwrap_err();
    }
}
