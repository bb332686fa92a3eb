//! `file:` addresses: a site in a folder, on a USB stick or a share.

use super::{Body, Request, Response, unreachable};
use crate::error::{Caller, Network, Result};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;
use url::Url;

/// The address that somebody means by a text: http, https or file, or the path of a file or folder. A folder's ends in `/`.
/// A path may be that of a stick which is not plugged in now, and then it has to be absolute.
///
/// # Errors
/// [`Caller::BadSetting`] for `setting` when it is none.
pub fn parse_url_or_path(setting: &'static str, text: &str) -> Result<Url> {
    let bad = |detail: String| Caller::BadSetting { setting, value: text.to_owned(), detail };
    let path = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => return Ok(url),
        Ok(url) if url.scheme() == "file" => {
            url.to_file_path().map_err(|()| bad("not the address of a local file".to_owned()))?
        }
        _ if !Path::new(text).is_absolute() && !Path::new(text).exists() => {
            return Err(bad("neither http, https, file nor a path".to_owned()).into());
        }
        _ => std::path::absolute(text).map_err(|error| bad(error.to_string()))?,
    };
    let url = if path.is_dir() { Url::from_directory_path(&path) } else { Url::from_file_path(&path) };
    Ok(url.map_err(|()| bad("not the path of a file or folder".to_owned()))?)
}

pub(super) fn get(request: &Request<'_>) -> Result<Response> {
    let url = request.url;
    let path = url.to_file_path().map_err(|()| unreachable(url, "not the address of a local file"))?;
    match open(&path, request.resume) {
        Ok((file, from)) => {
            let reader: Box<dyn Read + Send> = match request.at_most {
                Some(most) => Box::new(file.take(most)),
                None => Box::new(file),
            };
            Ok(Response::Body(Body { from, ranges: true, ..Body::new(reader, url.clone()) }))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(windows)]
    #[test]
    fn drives_and_shares_have_addresses() {
        assert_eq!(parse_url_or_path("site", r"Z:\not\a b").unwrap().as_str(), "file:///Z:/not/a%20b");
        assert_eq!(parse_url_or_path("site", r"\\server\share\a").unwrap().as_str(), "file://server/share/a");
        assert_eq!(parse_url_or_path("site", "file:///Z:/not/there").unwrap().as_str(), "file:///Z:/not/there");
    }

    #[cfg(unix)]
    #[test]
    fn folders_and_files_have_addresses() {
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
