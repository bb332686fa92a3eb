//! Fetches a manifest, packed where the server packs it: hashes in hexadecimal digits are half as long that way, and a
//! manifest may be larger than everything else of an update.

use super::{Answer, CancelToken, Fetch, Paced, Request};
use crate::error::{Defect, Error, Network, Refused, Result};
use crate::manifest::MAX_BYTES;
use flate2::write::GzDecoder;
use std::io::{self, Write};
use url::Url;

/// What a gzip begins with, and a manifest does not (RFC 1952, 2.3.1).
const GZIP: u8 = 0x1f;

/// A manifest's bytes, and what the server calls them; none when it is still what the server once called `etag`.
///
/// # Errors
/// [`Refused::Manifest`] for more than 64 MiB, [`Network`] and its kinds; [`Network::CutOff`] for a broken gzip as well.
pub fn manifest(
    source: &dyn Fetch,
    url: &Url,
    etag: Option<&str>,
    cancel: &CancelToken,
) -> Result<Option<(Vec<u8>, Option<String>)>> {
    let body = match source.get(&Request { etag, may_be_packed: true, ..Request::new(url, cancel) })? {
        Answer::NotModified => return Ok(None),
        Answer::Found(body) => body,
    };
    let (etag, is_packed) = (body.etag.clone(), body.is_packed);
    let mut text = Text::Plain(Bounded::default());
    let mut reader = Paced::new(body, url, cancel);
    let mut buffer = vec![0; 64 * 1024];
    let mut received = 0;
    loop {
        let count = reader.read(&mut buffer)?;
        received += count as u64;
        let wrong = |error: io::Error| match error.kind() {
            io::ErrorKind::FileTooLarge => too_large(),
            _ => Network::CutOff { url: url.to_string(), received, detail: format!("its gzip is broken: {error}") }
                .into(),
        };
        // Some servers say so of everything that they have.
        if is_packed && received == count as u64 && buffer[0] == GZIP {
            text = Text::Packed(Box::new(GzDecoder::new(Bounded::default())));
        }
        if count == 0 {
            return text.finish().map(|bytes| Some((bytes, etag))).map_err(wrong);
        }
        text.write_all(&buffer[..count]).map_err(wrong)?;
    }
}

fn too_large() -> Error {
    Refused::Manifest { defect: Defect::TooLarge, line: 1, detail: "more than 64 MiB".into() }.into()
}

/// What has come of a manifest.
enum Text {
    Plain(Bounded),
    Packed(Box<GzDecoder<Bounded>>),
}

impl Text {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Text::Plain(text) => text.write_all(bytes),
            Text::Packed(text) => text.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Text::Plain(text) => Ok(text.0),
            Text::Packed(text) => text.finish().map(|text| text.0),
        }
    }
}

/// At most [`MAX_BYTES`], however much a few packed ones may say.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
