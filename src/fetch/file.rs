//! `file:` addresses: a site in a folder, on a USB stick or a share.

use super::{Answer, Body, unreachable};
use crate::error::{Network, Result};
use std::fs::File;
use std::io;
use url::Url;

pub(super) fn get(url: &Url) -> Result<Answer> {
    let path = url.to_file_path().map_err(|()| unreachable(url, "not the address of a local file"))?;
    match File::open(path) {
        Ok(file) => Ok(Answer::Found(Body { reader: Box::new(file), etag: None })),
        // As a web server puts it: the next mirror may have it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Network::Status { url: url.to_string(), status: 404, retry_after: None }.into())
        }
        Err(error) => Err(unreachable(url, error)),
    }
}
