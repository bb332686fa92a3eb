//! Archives: packed files that deltas can follow, because they contain deflate streams.
//!
//! One change alters all later bytes of a packed file, so most are not worth a delta. An archive
//! is, and its members identify it: two archives can have members in common without sharing bytes.

use crate::delta::encode::inflated::stream_finder::{FoundStream, find_streams};
use crate::delta::sketch::Sketch;
use crate::error::{Error, Result};
use patcher::internal::digest::Sha256;
use std::fs;
use std::io::Read as _;
use std::path::Path;

/// Only the first bytes of a file are searched.
const SEARCHED_BYTES: u64 = 8 << 20;
/// Streams make at least 1/4 of the searched bytes of an archive.
const MIN_STREAMS_DIVISOR: usize = 4;
/// The start of a zip.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Returns `true` if a file consists of deflate streams to a good part.
///
/// # Errors
/// An I/O error.
pub fn is_archive(path: &Path) -> Result<bool> {
    let bytes = start(path)?;
    let streams = find_streams(&bytes).into_iter().map(|stream| stream.range.len()).sum::<usize>();
    Ok(streams > 0 && streams >= bytes.len() / MIN_STREAMS_DIVISOR)
}

/// Returns the sketch of a file: of its members if it is a zip, and otherwise of its bytes.
///
/// # Errors
/// An I/O error.
pub fn sketch(path: &Path) -> Result<Sketch> {
    let bytes = start(path)?;
    if !bytes.starts_with(ZIP_MAGIC) {
        return Ok(Sketch::of(&bytes));
    }
    let hash = |part: &[u8]| u64::from_be_bytes(std::array::from_fn(|at| Sha256::of(part).as_bytes()[at]));
    let members = find_streams(&bytes);
    let hashes = |stream: &FoundStream| [hash(&bytes[stream.name.clone()]), hash(&bytes[stream.range.clone()])];
    Ok(Sketch::of_hashes(members.iter().flat_map(hashes)))
}

fn start(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| Error::io("read", path, error);
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(failed)?.take(SEARCHED_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::sketch::MIN_SHARED_HASHES;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use std::io::Write as _;
    use tempfile::NamedTempFile;

    fn file(bytes: &[u8]) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// Returns a zip of 20 members, which all contain the version.
    fn zip(version: &str, level: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in 0..20 {
            let name = format!("member {number}");
            bytes.extend_from_slice(b"PK\x03\x04\x14\0\0\0\x08\0");
            bytes.extend_from_slice(&[0; 16]);
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend([0; 2]);
            bytes.extend_from_slice(name.as_bytes());
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
            let lines = (0..200_u64).map(|line| format!("{} {version}\n", line.wrapping_mul(number + 9_973_777_777)));
            encoder.write_all(lines.collect::<String>().as_bytes()).unwrap();
            bytes.extend(encoder.finish().unwrap());
        }
        bytes
    }

    #[test]
    fn zips_resemble_each_other_by_their_members() {
        let (old, new) = (zip("1.0", 1), zip("2.0", 9));
        let shared =
            |one: &[u8], other: &[u8]| sketch(file(one).path()).unwrap().shares(&sketch(file(other).path()).unwrap());
        assert!(shared(&old, &new) >= MIN_SHARED_HASHES);
        // Without the start of a zip, their bytes are compared.
        assert_eq!(shared(&old[1..], &new[1..]), 0);
    }

    #[test]
    fn an_archive_consists_of_streams() {
        let zip = zip("1.0", 6);
        assert!(is_archive(file(&zip).path()).unwrap());
        let noise: Vec<u8> = (0..zip.len() as u32 / 8).flat_map(|n| *Sha256::of(&n.to_le_bytes()).as_bytes()).collect();
        assert!(!is_archive(file(&noise).path()).unwrap());
        assert!(!is_archive(file(&[&noise[..], &zip].concat()).path()).unwrap(), "a small part of a packed file");
        assert!(!is_archive(file(b"").path()).unwrap());
    }
}
