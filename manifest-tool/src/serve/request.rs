//! A request: method, path and range, and the file that the path names.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest request line with headers, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// A request of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct ServedRequest {
    /// The method, as in `GET`.
    pub method: String,
    /// The path, which begins with `/`, without a query.
    pub path: String,
    /// The part of the file that the client asks for.
    pub wanted: Wanted,
}

/// The part of a file that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The whole file.
    Whole,
    /// The bytes from `start` to `end`, both included; to the end of the file without `end`.
    Range {
        /// The first byte.
        start: u64,
        /// The last byte.
        end: Option<u64>,
    },
    /// This many bytes at the end of the file.
    Last {
        /// The number of bytes.
        bytes: u64,
    },
}

impl ServedRequest {
    /// Reads a request; returns `None` if it is not HTTP/1.1 or too long.
    ///
    /// # Errors
    /// An I/O error of the connection.
    pub fn read(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let (mut head, mut piece) = (Vec::new(), [0; 1024]);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let count = stream.read(&mut piece)?;
            if count == 0 || head.len() + count > MAX_HEAD_BYTES {
                return Ok(None);
            }
            head.extend_from_slice(&piece[..count]);
        }
        Ok(String::from_utf8(head).ok().and_then(|head| Self::parse(&head)))
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let path = target.split('?').next().filter(|path| path.starts_with('/'))?;
        if words.next().is_some() || !version.starts_with("HTTP/1.") {
            return None;
        }
        let headers = lines.filter_map(|line| line.split_once(':'));
        let range = headers.filter(|(name, _)| name.eq_ignore_ascii_case("range")).map(|(_, value)| value.trim());
        // As a server may do, it ignores ranges that it does not understand, such as several ones.
        let wanted = range.last().and_then(parse_range).unwrap_or(Wanted::Whole);
        Some(Self { method: method.to_owned(), path: path.to_owned(), wanted })
    }

    /// Returns `true` for the methods that the server knows.
    pub fn is_supported(&self) -> bool {
        self.method == "GET" || self.method == "HEAD"
    }

    /// Returns the file that the path names; `None` if it leads out of the site, also by a link.
    pub fn file(&self, site: &Path) -> Option<PathBuf> {
        let mut file = site.to_owned();
        for name in self.path.split('/').skip(1) {
            // The names of a site have no other characters.
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
            if name.is_empty() || name.starts_with("..") || name == "." || !name.chars().all(is_plain) {
                return None;
            }
            file.push(name);
            if file.symlink_metadata().ok()?.is_symlink() {
                return None;
            }
        }
        Some(file)
    }
}

/// Parses one range, as in `bytes=0-99`, `bytes=100-` or `bytes=-5`.
fn parse_range(value: &str) -> Option<Wanted> {
    let (start, end) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some(match (start, end) {
        ("", bytes) => Wanted::Last { bytes: bytes.parse().ok()? },
        (start, "") => Wanted::Range { start: start.parse().ok()?, end: None },
        (start, end) => Wanted::Range { start: start.parse().ok()?, end: Some(end.parse().ok()?) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str) -> Option<ServedRequest> {
        ServedRequest::read(&mut head.as_bytes()).unwrap()
    }

    #[test]
    fn a_request_has_a_method_a_path_and_a_range() {
        let found = request("GET /core/latest.xml?x=1 HTTP/1.1\r\nHost: x\r\nrange: bytes=5-9\r\n\r\n").unwrap();
        let wanted = Wanted::Range { start: 5, end: Some(9) };
        assert_eq!(found, ServedRequest { method: "GET".into(), path: "/core/latest.xml".into(), wanted });
        assert_eq!(parse_range("bytes=5-"), Some(Wanted::Range { start: 5, end: None }));
        assert_eq!(parse_range("bytes=-5"), Some(Wanted::Last { bytes: 5 }));
        for wrong in ["bytes=1-2,4-5", "bytes=a-b", "items=1-2", "bytes=-", "bytes=99999999999999999999-"] {
            assert_eq!(parse_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_text_that_is_no_request_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(MAX_HEAD_BYTES));
        for wrong in ["", "\r\n\r\n", "GET\r\n\r\n", "GET http://x/ HTTP/1.1\r\n\r\n", "GET / HTTP/2\r\n\r\n", &long] {
            assert_eq!(request(wrong), None, "{}", wrong.len());
        }
    }

    #[test]
    fn no_path_leads_out_of_the_site() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("site");
        std::fs::create_dir_all(site.join("core")).unwrap();
        std::fs::write(site.join("core/latest.xml"), "x").unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        let file =
            |path: &str| ServedRequest { method: "GET".into(), path: path.into(), wanted: Wanted::Whole }.file(&site);
        assert_eq!(file("/core/latest.xml"), Some(site.join("core/latest.xml")));
        for wrong in ["/../secret", "/core/../../secret", "/core//latest.xml", "/%2e%2e/secret", "/core/", "/", "/a\\b"]
        {
            assert_eq!(file(wrong), None, "{wrong}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(dir.path(), site.join("link")).unwrap();
            assert_eq!(file("/link/secret"), None);
        }
    }
}
