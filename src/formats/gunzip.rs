//! Reads a `.gz` object strictly: exactly one member that ends where the object ends, and no more
//! content than signed.
//!
//! flate2's decoder ignores what follows the first member; here that is an error, as is any header
//! flag (RFC 1952).

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, Cursor, Read as _};

/// DeferralReason an object is not the gzip of a file of the given size.
#[derive(Debug, thiserror::Error)]
pub enum GunzipError {
    /// What is wrong with the object.
    #[error("{0}")]
    Object(String),
    /// The place where the content goes did not take it.
    #[error(transparent)]
    Sink(io::Error),
}

/// Inflates the one member in `object`, at most `size` bytes, piece by piece into `sink`.
///
/// # Errors
/// [`GunzipError::Object`] for a header with flags, broken data, a wrong CRC or length, more than
/// `size` bytes of content, or bytes after the member; then `sink` has had at most `size` bytes.
pub fn gunzip(
    mut object: impl BufRead,
    size: u64,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), GunzipError> {
    let broken = |error: io::Error| GunzipError::Object(error.to_string());
    let mut header = [0; 10];
    object.read_exact(&mut header).map_err(broken)?;
    if header[..4] != [0x1f, 0x8b, 8, 0] {
        return Err(GunzipError::Object("its header is not that of a plain gzip member".into()));
    }
    let mut decoder = GzDecoder::new(Cursor::new(header).chain(object));
    let mut buffer = vec![0; 64 * 1024];
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
        return Err(GunzipError::Object("something follows its gzip member".into()));
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
