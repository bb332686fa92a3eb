//! Downloads a manifest into memory, as gzip where the server offers that.
//!
//! A manifest consists mostly of hashes in hexadecimal digits. gzip shrinks it to 39 %
//! (`benches/results/bytes.md`, "Many small files"). For a program with many files the manifest is
//! larger than the rest of an update.

use super::{CancelToken, Fetch, Request, StallGuard};
use crate::error::{Defect, Network, Refused, Result};
use crate::formats::manifest::MAX_MANIFEST_BYTES;
use flate2::write::GzDecoder;
use std::io::{self, Write as _};
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
    let mut received = 0;
    let mut text = ManifestText::Plain(BoundedText::default());
    let damaged = |received, error: io::Error| Network::CutOff {
        url: url.to_string(),
        received,
        detail: format!("the gzip is damaged: {error}"),
    };
    StallGuard::new(body, url, cancel).read_to_end(MAX_MANIFEST_BYTES, |piece| {
        // Some servers label every file as gzip, also those that they send as they are.
        if received == 0 && is_gzip && piece.first() == Some(&GZIP_MAGIC) {
            text = ManifestText::Gzip(Box::new(GzDecoder::new(BoundedText::default())));
        }
        received += piece.len() as u64;
        text.write(piece).map_err(|error| damaged(received, error).into())
    })?;
    let text = text.finish().map_err(|error| damaged(received, error))?;
    if text.is_too_large || received > MAX_MANIFEST_BYTES {
        return Err(Refused::Manifest { defect: Defect::TooLarge, line: 1, detail: "more than 64 MiB".into() }.into());
    }
    Ok(text.bytes)
}

/// Downloads a small file; stops at most one buffer above `max_bytes`.
///
/// # Errors
/// Any [`Network`] error.
pub fn small_file(source: &dyn Fetch, url: &Url, max_bytes: u64, cancel: &CancelToken) -> Result<Vec<u8>> {
    let body = source.get(&Request::new(url, cancel))?;
    let mut bytes = Vec::new();
    StallGuard::new(body, url, cancel).read_to_end(max_bytes, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// The text of a manifest while it arrives.
///
/// A gzip is decompressed piece by piece: the client never holds it beside its text.
enum ManifestText {
    Plain(BoundedText),
    Gzip(Box<GzDecoder<BoundedText>>),
}

impl ManifestText {
    /// Adds a piece of the response.
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(text) => text.write_all(piece),
            Self::Gzip(decoder) => decoder.write_all(piece).map_err(|error| match error.kind() {
                io::ErrorKind::WriteZero => io::Error::other("data follows the end of the gzip"),
                _ => error,
            }),
        }
    }

    /// Returns the whole text, which must be of exactly one gzip member.
    fn finish(self) -> io::Result<BoundedText> {
        match self {
            Self::Plain(text) => Ok(text),
            Self::Gzip(decoder) => decoder.finish(),
        }
    }
}

/// A text of at most [`MAX_MANIFEST_BYTES`]. It drops what exceeds them.
#[derive(Default)]
struct BoundedText {
    bytes: Vec<u8>,
    is_too_large: bool,
}

impl io::Write for BoundedText {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.is_too_large |= (self.bytes.len() + piece.len()) as u64 > MAX_MANIFEST_BYTES;
        if !self.is_too_large {
            self.bytes.extend_from_slice(piece);
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
