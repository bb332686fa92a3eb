//! Fetches a manifest, packed where the server packs it: hashes in hexadecimal digits are half as long that way, and a
//! manifest may be larger than everything else of an update.

use super::{CancelToken, Fetch, Request, Response, StallGuard};
use crate::error::{Defect, Network, Refused, Result};
use crate::formats::manifest::MAX_MANIFEST_BYTES;
use flate2::bufread::GzDecoder;
use std::io::{self, Read as _};
use url::Url;

/// What a gzip begins with, and a manifest does not (RFC 1952, 2.3.1).
const GZIP: u8 = 0x1f;

/// A manifest as a server sent it.
pub struct FetchedManifest {
    /// The bytes, unpacked and not verified.
    pub bytes: Vec<u8>,
    /// The ETag of the response.
    pub etag: Option<String>,
}

/// A manifest's bytes, and what the server calls them; none when it is still what the server once called `etag`.
///
/// # Errors
/// [`Refused::Manifest`] for more than 64 MiB, [`Network`] and its kinds; [`Network::CutOff`] for a broken gzip as well.
pub fn manifest(
    source: &dyn Fetch,
    url: &Url,
    etag: Option<&str>,
    cancel: &CancelToken,
) -> Result<Option<FetchedManifest>> {
    let body = match source.get(&Request { etag, may_be_packed: true, ..Request::new(url, cancel) })? {
        Response::NotModified => return Ok(None),
        Response::Body(body) => body,
    };
    let (etag, is_packed) = (body.etag.clone(), body.is_packed);
    let mut reader = StallGuard::new(body, url, cancel);
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..count]);
        bounded(&bytes)?;
    }
    // Some servers say so of everything that they have.
    if is_packed && bytes.first() == Some(&GZIP) {
        let broken = |error: io::Error| Network::CutOff {
            url: url.to_string(),
            received: bytes.len() as u64,
            detail: format!("its gzip is broken: {error}"),
        };
        bytes = unpacked(&bytes).map_err(broken)?;
        bounded(&bytes)?;
    }
    Ok(Some(FetchedManifest { bytes, etag }))
}

/// The content of one gzip member and nothing behind it; no more than a byte over [`MAX_MANIFEST_BYTES`].
fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut decoder = GzDecoder::new(packed);
    decoder.by_ref().take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 <= MAX_MANIFEST_BYTES && !decoder.get_ref().is_empty() {
        return Err(io::Error::other("something follows it"));
    }
    Ok(text)
}

fn bounded(bytes: &[u8]) -> Result<()> {
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(Refused::Manifest { defect: Defect::TooLarge, line: 1, detail: "more than 64 MiB".into() }.into());
    }
    Ok(())
}
