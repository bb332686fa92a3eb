//! A small web server for a site, with which developers try out their own updates.
//!
//! It serves files of one folder to `GET` and `HEAD`, one request for each connection, and can fail
//! on purpose (`faults`). It is no server for users: it has no TLS and no limit for connections.
//! `request` reads the requests and finds the files.

pub mod faults;
mod request;

use crate::error::{Error, Result};
use faults::Faults;
use patcher::internal::fs::open_regular;
use request::{ServedRequest, Wanted};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The time in which a client must send its request, and accept each piece of the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The size of a piece of an answer, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// A server that listens.
pub struct SiteServer {
    listener: TcpListener,
    site: PathBuf,
    faults: Faults,
}

/// The status of an answer, with the part of the file that it sends.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    status: u16,
    start: u64,
    length: u64,
}

impl SiteServer {
    /// Listens at an address.
    ///
    /// # Errors
    /// [`Error::Listen`]; [`patcher::Machine::Io`] if the site is no folder.
    pub fn new(site: &Path, address: SocketAddr, faults: Faults) -> Result<Self> {
        site.read_dir().map_err(|error| Error::io("read", site, error))?;
        let listener = TcpListener::bind(address).map_err(|source| Error::Listen { address, source })?;
        Ok(Self { listener, site: site.to_owned(), faults })
    }

    /// Returns the URL of the site.
    ///
    /// # Errors
    /// [`Error::Output`] if the system does not tell the port.
    pub fn url(&self) -> Result<String> {
        Ok(format!("http://{}/", self.listener.local_addr().map_err(Error::Output)?))
    }

    /// Answers requests until the process ends, and writes a line for each of them to `log`.
    pub fn serve(&self, log: &mut impl Write) {
        let (sender, lines) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A connection that fails is the client's concern.
                for stream in self.listener.incoming().flatten() {
                    let sender = sender.clone();
                    scope.spawn(move || self.answer(stream).map(|line| sender.send(line)));
                }
            });
            for line in lines {
                // The server also works without its log.
                let _ = writeln!(log, "{line}").and_then(|()| log.flush());
            }
        });
    }

    /// Answers one request, and returns a line about it.
    fn answer(&self, mut stream: TcpStream) -> io::Result<String> {
        stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
        stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
        let Some(request) = ServedRequest::read(&mut stream)? else {
            write_head(&mut stream, 400, &[("Content-Length", "0".to_owned())])?;
            return Ok("400 a request that is not HTTP/1.1".to_owned());
        };
        let faults = self.faults.for_path(&request.path);
        let status = match (request.is_supported(), faults.status) {
            (false, _) => Some(405),
            (true, status) => status,
        };
        let file = match status {
            None => request.file(&self.site).and_then(|path| open_regular(&path).ok()),
            Some(_) => None,
        };
        let Some(mut file) = file else {
            let status = status.unwrap_or(404);
            write_head(&mut stream, status, &[("Content-Length", "0".to_owned())])?;
            return Ok(format!("{status} {} {}", request.method, request.path));
        };
        let size = file.metadata()?.len();
        let part = part_of(&request.wanted, size, faults);
        let mut headers = vec![
            ("Content-Length", part.length.to_string()),
            ("Content-Type", "application/octet-stream".to_owned()),
            ("Accept-Ranges", "bytes".to_owned()),
        ];
        match part.status {
            206 => {
                headers.push(("Content-Range", format!("bytes {}-{}/{size}", part.start, part.start + part.length - 1)))
            }
            416 => headers.push(("Content-Range", format!("bytes */{size}"))),
            _ => {}
        }
        write_head(&mut stream, part.status, &headers)?;
        let sent = if request.method == "HEAD" { 0 } else { send(&mut stream, &mut file, &part, faults)? };
        Ok(format!("{} {} {} ({sent} bytes)", part.status, request.method, request.path))
    }
}

/// Returns the part of a file to send.
fn part_of(wanted: &Wanted, size: u64, faults: &Faults) -> Part {
    let whole = Part { status: 200, start: 0, length: size };
    let (start, end) = match *wanted {
        Wanted::Whole => return whole,
        Wanted::Range { .. } if faults.ignore_ranges => return whole,
        Wanted::Range { start, end } => (start, end.map_or(size, |end| size.min(end.saturating_add(1)))),
        Wanted::Last { bytes } => (size.saturating_sub(bytes), size),
    };
    if start >= end {
        return Part { status: 416, start: 0, length: 0 };
    }
    let wrong = if faults.wrong_ranges { start.min(1 + start / 2) } else { 0 };
    Part { status: 206, start: start - wrong, length: end - start }
}

/// Sends the part of a file, with the faults; returns the number of bytes.
fn send(stream: &mut TcpStream, file: &mut File, part: &Part, faults: &Faults) -> io::Result<u64> {
    file.seek(SeekFrom::Start(part.start))?;
    let limit = part.length.min(faults.cut_off.unwrap_or(u64::MAX));
    let mut piece = [0; PIECE_BYTES];
    let mut sent = 0;
    while sent < limit {
        let most = faults.piece_bytes(PIECE_BYTES).min(usize::try_from(limit - sent).unwrap_or(PIECE_BYTES));
        let count = file.read(&mut piece[..most])?;
        if count == 0 {
            break;
        }
        if faults.damage {
            faults::damage(&mut piece[..count], part.start + sent);
        }
        stream.write_all(&piece[..count])?;
        sent += count as u64;
        std::thread::sleep(faults.pause(count));
    }
    Ok(sent)
}

fn write_head(stream: &mut TcpStream, status: u16, headers: &[(&str, String)]) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} {}\r\nConnection: close\r\n", reason(status));
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(wanted: Wanted, faults: &Faults) -> (u16, u64, u64) {
        let Part { status, start, length } = part_of(&wanted, 100, faults);
        (status, start, length)
    }

    #[test]
    fn a_range_is_cut_at_the_end_of_the_file() {
        let honest = Faults::default();
        assert_eq!(part(Wanted::Whole, &honest), (200, 0, 100));
        assert_eq!(part(Wanted::Range { start: 10, end: Some(19) }, &honest), (206, 10, 10));
        assert_eq!(part(Wanted::Range { start: 90, end: None }, &honest), (206, 90, 10));
        assert_eq!(part(Wanted::Range { start: 90, end: Some(u64::MAX) }, &honest), (206, 90, 10));
        assert_eq!(part(Wanted::Range { start: 100, end: None }, &honest), (416, 0, 0));
        assert_eq!(part(Wanted::Range { start: 9, end: Some(8) }, &honest), (416, 0, 0));
        assert_eq!(part(Wanted::Last { bytes: 5 }, &honest), (206, 95, 5));
        assert_eq!(part(Wanted::Last { bytes: 500 }, &honest), (206, 0, 100));
    }

    #[test]
    fn faults_answer_a_range_with_the_whole_file_or_another_range() {
        let range = || Wanted::Range { start: 10, end: Some(19) };
        assert_eq!(part(range(), &Faults { ignore_ranges: true, ..Faults::default() }), (200, 0, 100));
        assert_eq!(part(range(), &Faults { wrong_ranges: true, ..Faults::default() }), (206, 4, 10));
    }
}
