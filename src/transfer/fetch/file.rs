//! `file:` URLs: a site in a local folder, on a USB stick or on a network share.

use super::proxy::without_secrets;
use super::{Body, ByteRange, Request, unreachable};
use crate::disk::fs;
use crate::error::{Caller, Network, Result};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;
use url::Url;

/// Parses an http, https or file URL, or the path of a local file or folder.
///
/// The URL of a folder ends in `/`. An absolute path need not exist: a USB stick may be unplugged.
///
/// # Errors
/// [`Caller::BadSetting`] with the name `setting`.
pub fn parse_url_or_path(setting: &'static str, text: &str) -> Result<Url> {
    let bad = |detail: String| Caller::BadSetting { setting, value: without_secrets(text).to_owned(), detail };
    let path = match Url::parse(text) {
        Ok(mut url) if matches!(url.scheme(), "http" | "https") => {
            // No server gets to see it, and it may be a secret.
            url.set_fragment(None);
            return Ok(url);
        }
        Ok(url) if url.scheme() == "file" => {
            url.to_file_path().map_err(|()| bad("not the URL of a local file".to_owned()))?
        }
        _ if !Path::new(text).is_absolute() && !Path::new(text).exists() => {
            return Err(bad("neither an http, https or file URL nor an existing path".to_owned()).into());
        }
        _ => std::path::absolute(text).map_err(|error| bad(error.to_string()))?,
    };
    let url = if path.is_dir() { Url::from_directory_path(&path) } else { Url::from_file_path(&path) };
    Ok(url.map_err(|()| bad("the path has no file URL".to_owned()))?)
}

/// Opens the file that a `file:` URL names.
pub(super) fn get(request: &Request<'_>) -> Result<Body> {
    let url = request.url;
    let path = url.to_file_path().map_err(|()| unreachable(url, "not the URL of a local file"))?;
    match open(&path, request.range) {
        Ok((reader, offset)) => Ok(Body { offset, accepts_ranges: true, ..Body::new(reader, url.clone()) }),
        // The same error as from a web server, so that the next mirror is asked.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Network::Status { url: url.to_string(), status: 404, retry_after: None }.into())
        }
        Err(error) => Err(unreachable(url, error)),
    }
}

/// Opens a range of a file and returns its offset; the whole file when its size is not as expected.
fn open(path: &Path, range: Option<ByteRange>) -> io::Result<(Box<dyn Read + Send>, u64)> {
    let mut file = fs::open_regular(path)?;
    match range {
        Some(ByteRange { start, end, total }) if file.metadata()?.len() == total => {
            file.seek(SeekFrom::Start(start))?;
            Ok((Box::new(file.take(end.saturating_sub(start))), start))
        }
        _ => Ok((Box::new(file), 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(windows)]
    #[test]
    fn drives_and_shares_become_file_urls() {
        assert_eq!(parse_url_or_path("site", r"Z:\not\a b").unwrap().as_str(), "file:///Z:/not/a%20b");
        assert_eq!(parse_url_or_path("site", r"\\server\share\a").unwrap().as_str(), "file://server/share/a");
        assert_eq!(parse_url_or_path("site", "file:///Z:/not/there").unwrap().as_str(), "file:///Z:/not/there");
    }

    #[cfg(unix)]
    #[test]
    fn folders_and_files_become_file_urls() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let file = dir.path().join("a b");
        std::fs::write(&file, "").unwrap();
        for text in [path.to_owned(), format!("{path}/"), format!("file://{path}"), format!("file://{path}/")] {
            assert_eq!(parse_url_or_path("site", &text).unwrap().as_str(), format!("file://{path}/"));
        }
        assert_eq!(parse_url_or_path("site", file.to_str().unwrap()).unwrap().as_str(), format!("file://{path}/a%20b"));
        assert_eq!(parse_url_or_path("site", "https://h/x").unwrap().as_str(), "https://h/x");
        assert_eq!(parse_url_or_path("site", "/not/there").unwrap().as_str(), "file:///not/there");
        for bad in ["", "ftp://h/x", "http://", "data:x", "not/there"] {
            assert_eq!(parse_url_or_path("site", bad).unwrap_err().code(), "bad-setting", "{bad}");
        }
    }
}
