//! A scripted server in this process: it answers with a file of its site, or with any other bytes,
//! and records every request.

use super::world::Serving;
use patcher::internal::digest::Sha256;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedRequest {
    /// Every byte up to the empty line.
    pub head: String,
    /// The path, with its slash and a query.
    pub path: String,
}

impl ScriptedRequest {
    /// Returns the value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.to_lowercase() == name).map(|(_, value)| value)
    }

    /// Returns the first byte that the client asks for: 0 without a range.
    pub fn first_byte(&self) -> u64 {
        self.range().map_or(0, |(first, _)| first)
    }

    /// Returns the first byte of the range, and the last one if the header names it.
    fn range(&self) -> Option<(u64, Option<u64>)> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()))
    }
}

/// How the server answers a request.
#[derive(Clone)]
pub enum Reply {
    /// The site's file with an `ETag`, `If-None-Match` and ranges, as web servers do it, or 404.
    Site,
    /// The site's answer, cut off after this number of bytes of the body.
    CutAfter(usize),
    /// The site's answer, the body in pieces of this many bytes with a pause after each.
    Slowly(usize, Duration),
    /// The head of the site's answer, then silence.
    SilentBody,
    /// Status 200 and these bytes.
    Bytes(Vec<u8>),
    /// A status, header lines and a body.
    Status(u16, String, Vec<u8>),
    /// Exactly these bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// Exactly these bytes, then silence.
    Silence(Vec<u8>),
    /// The first bytes, then the second ones again and again until the client hangs up.
    Endless(Vec<u8>, Vec<u8>),
    /// One byte at a time, with a pause after each.
    Trickle(Vec<u8>, Duration),
}

impl Reply {
    /// Returns a status without a body.
    pub fn status(status: u16) -> Self {
        Reply::Status(status, String::new(), Vec::new())
    }

    /// Returns a redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Reply::Status(status, format!("Location: {location}\r\n"), Vec::new())
    }

    /// Returns a status line with these header lines and this body; nothing is added.
    pub fn head(status: &str, lines: &str, body: &[u8]) -> Self {
        Reply::Raw(answer(status, lines, body))
    }

    /// Returns `true` if the client gives up only at its timeout.
    pub fn is_silence(&self) -> bool {
        matches!(self, Reply::SilentBody | Reply::Silence(_) | Reply::Trickle(..))
    }
}

/// Returns the bytes of an answer.
pub fn answer(status: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status} x\r\nConnection: close\r\n{lines}\r\n").as_bytes(), body].concat()
}

/// Returns the header line for the rest of a file from a byte on.
pub fn content_range(from: usize, total: usize) -> String {
    format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1)
}

type Script = dyn Fn(&ScriptedRequest) -> Reply + Send + Sync;

/// The server, which stops when it is dropped.
pub struct Scripted {
    shared: Arc<ScriptedState>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

struct ScriptedState {
    site: ServedFiles,
    script: Mutex<Arc<Script>>,
    requests: Mutex<Vec<ScriptedRequest>>,
    sent: AtomicU64,
    object_bytes: AtomicU64,
    stopped: Mutex<bool>,
    stopping: Condvar,
}

/// The files that the server has.
enum ServedFiles {
    Folder(PathBuf),
    Memory(Mutex<BTreeMap<String, Vec<u8>>>),
}

/// The size of an endless answer. No client may read that far.
const ENDLESS_BYTES: u64 = 1 << 30;
/// The longest time without a request from a client that has connected.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

impl Scripted {
    /// Serves a folder by a script.
    pub fn serve(site: &Path, script: impl Fn(&ScriptedRequest) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(ServedFiles::Folder(site.to_owned()), Arc::new(script))
    }

    /// Serves an empty site in memory.
    pub fn in_memory() -> Self {
        Self::start(ServedFiles::Memory(Mutex::default()), Arc::new(|_| Reply::Site))
    }

    fn start(site: ServedFiles, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(ScriptedState {
            site,
            script: Mutex::new(script),
            requests: Mutex::default(),
            sent: AtomicU64::new(0),
            object_bytes: AtomicU64::new(0),
            stopped: Mutex::new(false),
            stopping: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = Some(std::thread::spawn(move || for_thread.accept(&listener)));
        Self { shared, port, thread }
    }

    /// Returns the address, with a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}/", self.host())
    }

    /// Returns host and port.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Puts a file on a site in memory, and replaces an earlier one with this path.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        let ServedFiles::Memory(files) = &self.shared.site else { panic!("the site is a folder") };
        files.lock().unwrap().insert(path.to_owned(), bytes);
    }

    /// Returns a file of the site.
    pub fn file(&self, path: &str) -> Vec<u8> {
        self.shared.site.read(path).unwrap()
    }

    /// Follows another script from now on.
    pub fn follow(&self, script: impl Fn(&ScriptedRequest) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// Serves the site, except for one path.
    pub fn lie(&self, path: &str, reply: Reply) {
        let path = path.to_owned();
        self.follow(move |request| if request.path == path { reply.clone() } else { Reply::Site });
    }

    /// Serves the site.
    pub fn be_honest(&self) {
        self.follow(|_| Reply::Site);
    }

    /// Returns the requests since the last call, in order.
    pub fn take_requests(&self) -> Vec<ScriptedRequest> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// Returns the paths of the requests since the last call, in order.
    pub fn take_paths(&self) -> Vec<String> {
        self.take_requests().into_iter().map(|request| request.path).collect()
    }

    /// Returns the bytes of all answers that the system took since the last call.
    pub fn take_sent(&self) -> u64 {
        self.shared.sent.swap(0, Ordering::SeqCst)
    }

    /// Returns the bytes of objects in the answers since the last call.
    pub fn take_object_bytes(&self) -> u64 {
        self.shared.object_bytes.swap(0, Ordering::SeqCst)
    }
}

impl Serving for Scripted {
    fn url(&self) -> String {
        self.url()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        *self.shared.stopped.lock().unwrap() = true;
        self.shared.stopping.notify_all();
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl ServedFiles {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        match self {
            ServedFiles::Folder(dir) => std::fs::read(dir.join(path.trim_start_matches('/'))).ok(),
            ServedFiles::Memory(files) => files.lock().unwrap().get(path).cloned(),
        }
    }

    /// Returns the status, header lines and body with which a web server answers.
    fn answer(&self, request: &ScriptedRequest) -> (u16, String, Vec<u8>) {
        let path = request.path.split('?').next().unwrap_or_default();
        let Some(bytes) = self.read(path) else {
            return (404, String::new(), b"<html>not found</html>".to_vec());
        };
        let etag = format!("\"{}\"", &Sha256::of(&bytes).to_string()[..16]);
        let lines = format!("ETag: {etag}\r\nAccept-Ranges: bytes\r\n");
        if request.header("if-none-match") == Some(&etag) {
            return (304, lines, Vec::new());
        }
        let Some((first, last)) = request.range() else { return (200, lines, bytes) };
        let (first, total) = (first as usize, bytes.len());
        let last = last.map_or(total, |last| total.min(last as usize + 1));
        if first >= last {
            return (416, String::new(), Vec::new());
        }
        let lines = format!("{lines}Content-Range: bytes {first}-{}/{total}\r\n", last - 1);
        (206, lines, bytes[first..last].to_vec())
    }
}

impl ScriptedState {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut connections = Vec::new();
        for connection in listener.incoming() {
            if self.is_stopped() {
                break;
            }
            let Ok(stream) = connection else { continue };
            let shared = Arc::clone(self);
            // A client that hangs up in the middle is part of most tests.
            connections.push(std::thread::spawn(move || drop(shared.converse(stream))));
        }
        connections.into_iter().for_each(|connection| drop(connection.join()));
    }

    /// Takes one request, sends one answer, and ends the connection.
    fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
        stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
        stream.set_nodelay(true)?;
        let request = read_request(&mut stream)?;
        self.requests.lock().unwrap().push(request.clone());
        let script = Arc::clone(&self.script.lock().unwrap());
        let reply = script(&request);
        match &reply {
            Reply::Site | Reply::CutAfter(_) | Reply::Slowly(..) | Reply::SilentBody => {
                let (status, lines, body) = self.site.answer(&request);
                self.send_head(&mut stream, &request, status, &lines, &body)?;
                match reply {
                    Reply::CutAfter(count) => self.send(&mut stream, &body[..count.min(body.len())])?,
                    Reply::Slowly(piece, pause) => self.send_slowly(&mut stream, &body, piece, pause)?,
                    Reply::SilentBody => return self.wait_for_hangup(&mut stream),
                    _ => self.send(&mut stream, &body)?,
                }
            }
            Reply::Bytes(body) => self.send_whole(&mut stream, &request, 200, "", body)?,
            Reply::Status(status, lines, body) => self.send_whole(&mut stream, &request, *status, lines, body)?,
            Reply::Raw(bytes) => self.send(&mut stream, bytes)?,
            Reply::Silence(bytes) => {
                self.send(&mut stream, bytes)?;
                return self.wait_for_hangup(&mut stream);
            }
            Reply::Endless(start, more) => {
                self.send(&mut stream, start)?;
                let mut sent = 0;
                while sent < ENDLESS_BYTES && !self.is_stopped() {
                    self.send(&mut stream, more)?;
                    sent += more.len() as u64;
                }
            }
            Reply::Trickle(bytes, pause) => self.send_slowly(&mut stream, bytes, 1, *pause)?,
        }
        stream.shutdown(Shutdown::Write)?;
        self.wait_for_hangup(&mut stream)
    }

    fn send_whole(
        &self,
        stream: &mut TcpStream,
        request: &ScriptedRequest,
        status: u16,
        lines: &str,
        body: &[u8],
    ) -> io::Result<()> {
        self.send_head(stream, request, status, lines, body)?;
        self.send(stream, body)
    }

    fn send_head(
        &self,
        stream: &mut TcpStream,
        request: &ScriptedRequest,
        status: u16,
        lines: &str,
        body: &[u8],
    ) -> io::Result<()> {
        if request.path.contains("/objects/") {
            self.object_bytes.fetch_add(body.len() as u64, Ordering::SeqCst);
        }
        let lines = format!("Content-Length: {}\r\n{lines}", body.len());
        self.send(stream, &answer(&status.to_string(), &lines, b""))
    }

    fn send_slowly(&self, stream: &mut TcpStream, bytes: &[u8], piece: usize, pause: Duration) -> io::Result<()> {
        for piece in bytes.chunks(piece) {
            self.send(stream, piece)?;
            self.pause(pause)?;
        }
        Ok(())
    }

    fn send(&self, stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = stream.write(bytes)?;
            self.sent.fetch_add(count as u64, Ordering::SeqCst);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Waits, but not beyond the end of the server.
    fn pause(&self, pause: Duration) -> io::Result<()> {
        let stopped = self.stopped.lock().unwrap();
        let (stopped, _) = self.stopping.wait_timeout_while(stopped, pause, |stopped| !*stopped).unwrap();
        if *stopped { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Reads until the client hangs up or the server stops.
    fn wait_for_hangup(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        while !self.is_stopped() {
            match stream.read(&mut [0; 64]) {
                Ok(0) => break,
                Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                _ => {}
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap()
    }
}

/// Reads the head of a request byte by byte: the client sends nothing after it.
fn read_request(stream: &mut TcpStream) -> io::Result<ScriptedRequest> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok(ScriptedRequest { head, path })
}
