//! `file:` addresses: a site in a folder, on a USB stick or a share.

use super::{Answer, Body, Request, unreachable};
use crate::error::{Network, Result};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

pub(super) fn get(request: &Request<'_>) -> Result<Answer> {
    let url = request.url;
    let path = url.to_file_path().map_err(|()| unreachable(url, "not the address of a local file"))?;
    match open(&path, request.resume) {
        Ok((file, from)) => Ok(Answer::Found(Body { reader: Box::new(file), etag: None, from })),
        // As a web server puts it: the next mirror may have it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Network::Status { url: url.to_string(), status: 404, retry_after: None }.into())
        }
        Err(error) => Err(unreachable(url, error)),
    }
}

/// Opens a file where it is to be resumed; from its start when it has another size than it should have.
fn open(path: &Path, resume: Option<(u64, u64)>) -> io::Result<(File, u64)> {
    let mut file = File::open(path)?;
    match resume {
        Some((from, total)) if file.metadata()?.len() == total => {
            Ok((file.seek(SeekFrom::Start(from)).map(|_| file)?, from))
        }
        _ => Ok((file, 0)),
    }
}
