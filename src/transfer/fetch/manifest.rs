//! Downloads a manifest into memory, as gzip where the server offers that.
//!
//! A manifest consists mostly of hashes in hexadecimal digits. gzip shrinks it to 39 %
//! (`benches/results/bytes.md`, "Many small files"). For a program with many files the manifest is
//! larger than the rest of an update.

use super::{Body, CancelToken, Fetch, Request, StallGuard};
use crate::error::{Defect, Network, Refused, Result};
use crate::formats::manifest::MAX_MANIFEST_BYTES;
use flate2::bufread::GzDecoder;
use std::io::{self, Read as _};
use url::Url;

/// The first byte of a gzip (RFC 1952, 2.3.1). A manifest begins with another one.
const GZIP_MAGIC: u8 = 0x1f;

/// Downloads a manifest and decompresses it.
///
/// # Errors
/// [`Refused::Manifest`] for more than 64 MiB, [`Network::CutOff`] for a damaged gzip, any other
/// [`Network`] error.
pub fn manifest(source: &dyn Fetch, url: &Url, cancel: &CancelToken) -> Result<Vec<u8>> {
    let body = source.get(&Request { accept_gzip: true, ..Request::new(url, cancel) })?;
    let is_gzip = body.is_gzip;
    let bytes = read_all(body, url, MAX_MANIFEST_BYTES, cancel)?;
    check_size(&bytes)?;
    // Some servers label every file as gzip, also those that they send as they are.
    if !is_gzip || bytes.first() != Some(&GZIP_MAGIC) {
        return Ok(bytes);
    }
    let damaged = |error: io::Error| Network::CutOff {
        url: url.to_string(),
        received: bytes.len() as u64,
        detail: format!("the gzip is damaged: {error}"),
    };
    let bytes = decompress(&bytes).map_err(damaged)?;
    check_size(&bytes)?;
    Ok(bytes)
}

/// Downloads a small file; stops at most one buffer above `max_bytes`.
///
/// # Errors
/// Any [`Network`] error.
pub fn small_file(source: &dyn Fetch, url: &Url, max_bytes: u64, cancel: &CancelToken) -> Result<Vec<u8>> {
    read_all(source.get(&Request::new(url, cancel))?, url, max_bytes, cancel)
}

fn read_all(body: Body, url: &Url, max_bytes: u64, cancel: &CancelToken) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    StallGuard::new(body, url, cancel).read_to_end(max_bytes, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// Decompresses exactly one gzip member; stops one byte above [`MAX_MANIFEST_BYTES`].
fn decompress(gzip: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut decoder = GzDecoder::new(gzip);
    decoder.by_ref().take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 <= MAX_MANIFEST_BYTES && !decoder.get_ref().is_empty() {
        return Err(io::Error::other("data follows the end of the gzip"));
    }
    Ok(text)
}

fn check_size(bytes: &[u8]) -> Result<()> {
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(Refused::Manifest { defect: Defect::TooLarge, line: 1, detail: "more than 64 MiB".into() }.into());
    }
    Ok(())
}
