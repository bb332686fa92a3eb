//! A server on loopback that says exactly what a test wants it to say, byte for byte, and remembers
//! what it was asked.

use super::publisher::sha256;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Every byte up to the empty line.
    pub head: String,
    pub path: String,
}

impl Request {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.to_lowercase() == name).map(|(_, value)| value)
    }
}

/// What the server does.
#[derive(Clone)]
pub enum Reply {
    /// What the site has, with an ETag, `If-None-Match` and ranges, as web servers do it.
    Site,
    /// Status 200 and these bytes.
    Bytes(Vec<u8>),
    /// A status, header lines and a body of the length that it says.
    Status(u16, String, Vec<u8>),
    /// Exactly these bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// Exactly these bytes, then nothing for as long as the client waits.
    Silence(Vec<u8>),
    /// The first bytes, then the second ones again and again until the client hangs up.
    Endless(Vec<u8>, Vec<u8>),
    /// One byte at a time, a pause after each.
    Trickle(Vec<u8>, Duration),
}

impl Reply {
    /// Whether the client must give it up.
    pub fn is_silence(&self) -> bool {
        matches!(self, Reply::Silence(_) | Reply::Trickle(..))
    }

    /// A head with these lines after the status line, then a body; nothing is added.
    pub fn head(status: &str, lines: &str, body: &[u8]) -> Self {
        Reply::Raw(head(status, lines, body))
    }
}

/// The bytes of an answer.
pub fn head(status: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status} x\r\nConnection: close\r\n{lines}\r\n").as_bytes(), body].concat()
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// The server, which stops when it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    site: Mutex<BTreeMap<String, Vec<u8>>>,
    script: Mutex<Arc<Script>>,
    requests: Mutex<Vec<Request>>,
    sent: AtomicU64,
    stopped: AtomicBool,
}

/// More than any client may take of an endless answer.
const ENOUGH: u64 = 1 << 30;

impl Server {
    /// With an empty site.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            site: Mutex::default(),
            script: Mutex::new(Arc::new(|_| Reply::Site)),
            requests: Mutex::default(),
            sent: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        let thread = Some(std::thread::spawn(move || for_thread.accept(&listener)));
        Self { shared, port, thread }
    }

    /// Ends in a slash.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Host and port.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Puts a file on the site, over what is there.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.shared.site.lock().unwrap().insert(path.to_owned(), bytes);
    }

    /// A file of the site.
    pub fn file(&self, path: &str) -> Vec<u8> {
        self.shared.site.lock().unwrap()[path].clone()
    }

    /// Follows a script from now on.
    pub fn follow(&self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// Serves the site, but one path is answered with `reply`.
    pub fn lie(&self, path: &str, reply: Reply) {
        let path = path.to_owned();
        self.follow(move |request| if request.path == path { reply.clone() } else { Reply::Site });
    }

    /// Serves the site.
    pub fn be_honest(&self) {
        self.follow(|_| Reply::Site);
    }

    /// What it was asked since the last call.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// The paths that it was asked for since the last call.
    pub fn take_paths(&self) -> Vec<String> {
        self.take_requests().into_iter().map(|request| request.path).collect()
    }

    /// The bytes of answers that the system took from it since the last call.
    pub fn take_sent(&self) -> u64 {
        self.shared.sent.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut connections = Vec::new();
        for connection in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                break;
            }
            let Ok(stream) = connection else { continue };
            let shared = Arc::clone(self);
            // A client that hangs up in the middle is part of most tests.
            connections.push(std::thread::spawn(move || drop(shared.answer(stream))));
        }
        connections.into_iter().for_each(|connection| drop(connection.join()));
    }

    /// One request, one answer, and the connection ends.
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            bytes.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&bytes).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let request = Request { head, path };
        self.requests.lock().unwrap().push(request.clone());
        let script = Arc::clone(&self.script.lock().unwrap());
        match script(&request) {
            Reply::Site => self.send(&mut stream, &self.honest(&request))?,
            Reply::Bytes(body) => self.send(&mut stream, &whole(200, "", &body))?,
            Reply::Status(status, lines, body) => self.send(&mut stream, &whole(status, &lines, &body))?,
            Reply::Raw(bytes) => self.send(&mut stream, &bytes)?,
            Reply::Silence(bytes) => {
                self.send(&mut stream, &bytes)?;
                return self.wait_for_the_end(&mut stream);
            }
            Reply::Endless(start, more) => {
                self.send(&mut stream, &start)?;
                let mut sent = 0;
                while sent < ENOUGH && !self.stopped.load(Ordering::SeqCst) {
                    self.send(&mut stream, &more)?;
                    sent += more.len() as u64;
                }
            }
            Reply::Trickle(bytes, pause) => {
                for byte in bytes.chunks(1) {
                    if self.stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    self.send(&mut stream, byte)?;
                    std::thread::sleep(pause);
                }
            }
        }
        stream.shutdown(Shutdown::Write)?;
        self.wait_for_the_end(&mut stream)
    }

    fn send(&self, stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = stream.write(bytes)?;
            self.sent.fetch_add(count as u64, Ordering::SeqCst);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Reads until the client hangs up or the server stops.
    fn wait_for_the_end(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        while !self.stopped.load(Ordering::SeqCst) {
            match stream.read(&mut [0; 64]) {
                Ok(0) => break,
                Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                _ => {}
            }
        }
        Ok(())
    }

    fn honest(&self, request: &Request) -> Vec<u8> {
        let site = self.site.lock().unwrap();
        let Some(bytes) = site.get(&request.path) else { return whole(404, "", b"<html>not found</html>") };
        let etag = format!("\"{}\"", &sha256(bytes).to_string()[..16]);
        let line = format!("ETag: {etag}\r\nAccept-Ranges: bytes\r\n");
        if request.header("if-none-match") == Some(&etag) {
            return whole(304, &line, b"");
        }
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let range = range.map(|(from, last)| (from.parse().unwrap(), last.parse().unwrap_or(bytes.len() - 1)));
        match range {
            Some((from, last)) if from <= last && last < bytes.len() => {
                let part = format!("{line}Content-Range: bytes {from}-{last}/{}\r\n", bytes.len());
                whole(206, &part, &bytes[from..=last])
            }
            Some(_) => whole(416, "", b""),
            None => whole(200, &line, bytes),
        }
    }
}

/// The header line of the rest of an object.
pub fn content_range(from: usize, total: usize) -> String {
    format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1)
}

fn whole(status: u16, lines: &str, body: &[u8]) -> Vec<u8> {
    head(&status.to_string(), &format!("Content-Length: {}\r\n{lines}", body.len()), body)
}
