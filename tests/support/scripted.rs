//! A server in this process that follows a script: what the site has, or a lie.

use super::world::Serving;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How the server answers a request.
#[derive(Clone)]
pub enum Reply {
    /// With the site's file, or 404.
    Site,
    /// With these bytes.
    Bytes(Vec<u8>),
    /// With a status and no body, and a header line more.
    Status(u16, String),
    /// With the site's file, the connection closed after so many bytes.
    CutAfter(usize),
    /// With the site's file, one piece of so many bytes at a time and a pause after each.
    Slowly(usize, Duration),
    /// With the head of an answer, and then nothing for as long as the server runs.
    Silence,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub path: String,
    /// From which byte on the file is wanted.
    pub from: u64,
}

type Answer = dyn Fn(&str) -> Reply + Send + Sync;

/// The server, which stops when it is dropped.
pub struct Scripted {
    shared: Arc<Shared>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    site: PathBuf,
    script: Mutex<Arc<Answer>>,
    requests: Mutex<Vec<Asked>>,
    sent: AtomicU64,
    bytes: AtomicU64,
    stopped: Mutex<bool>,
    stopping: Condvar,
}

impl Scripted {
    /// Serves a folder; `script` says for each path what the answer is.
    pub fn serve(site: &Path, script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            site: site.to_owned(),
            script: Mutex::new(Arc::new(script)),
            requests: Mutex::default(),
            sent: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            stopped: Mutex::new(false),
            stopping: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = Some(std::thread::spawn(move || for_thread.accept(&listener)));
        Self { shared, port, thread }
    }

    /// Follows another script from now on.
    pub fn follow(&self, script: impl Fn(&str) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// The paths that were asked for since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        self.take_asked().into_iter().map(|asked| asked.path).collect()
    }

    /// The requests since the last call.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// How many bytes of files it has sent in all.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// How many bytes of objects were sent since the last call.
    pub fn take_bytes(&self) -> u64 {
        self.shared.bytes.swap(0, Ordering::SeqCst)
    }
}

impl Serving for Scripted {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
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

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut connections = Vec::new();
        for connection in listener.incoming() {
            if *self.stopped.lock().unwrap() {
                break;
            }
            let Ok(stream) = connection else { continue };
            let shared = Arc::clone(self);
            // A client that hangs up in the middle is part of some tests.
            connections.push(std::thread::spawn(move || drop(shared.answer(stream))));
        }
        connections.into_iter().for_each(|connection| drop(connection.join()));
    }

    /// One request, one answer, and the connection ends.
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut range = None;
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line)?;
            range = range.or_else(|| range_of(&line));
        }
        let from = range.map_or(0, |(from, _)| from);
        self.requests.lock().unwrap().push(Asked { path: path.clone(), from });
        let script = Arc::clone(&self.script.lock().unwrap());
        let reply = script(&path);
        let file = std::fs::read(self.site.join(path.trim_start_matches('/')));
        let (status, more, body) = match (&reply, file) {
            (Reply::Status(status, more), _) => (*status, more.clone(), Vec::new()),
            (Reply::Bytes(bytes), _) => (200, String::new(), bytes.clone()),
            (_, Ok(bytes)) if range.is_some_and(|(from, _)| from < bytes.len() as u64) => {
                let (total, (from, last)) = (bytes.len(), range.unwrap());
                let last = last.map_or(total - 1, |last| total.min(last as usize + 1) - 1);
                let part = bytes[from as usize..=last].to_vec();
                (206, format!("Content-Range: bytes {from}-{last}/{total}\r\n"), part)
            }
            (_, Ok(bytes)) => (200, "Accept-Ranges: bytes\r\n".to_owned(), bytes),
            (_, Err(_)) => (404, String::new(), b"<html>not found</html>".to_vec()),
        };
        let length = body.len();
        if path.contains("/objects/") {
            self.bytes.fetch_add(length as u64, Ordering::SeqCst);
        }
        write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n")?;
        match reply {
            Reply::CutAfter(count) => self.send(&mut stream, &body[..count.min(length)])?,
            Reply::Silence => self.pause(Duration::MAX)?,
            Reply::Slowly(piece, pause) => {
                for piece in body.chunks(piece) {
                    self.send(&mut stream, piece)?;
                    self.pause(pause)?;
                }
            }
            _ => self.send(&mut stream, &body)?,
        }
        stream.shutdown(Shutdown::Both)
    }

    fn send(&self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes)?;
        self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }

    /// Waits, but not beyond the end of the server.
    fn pause(&self, pause: Duration) -> io::Result<()> {
        let stopped = self.stopped.lock().unwrap();
        let (stopped, _) = self.stopping.wait_timeout_while(stopped, pause, |stopped| !*stopped).unwrap();
        if *stopped { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// The first byte that a header line asks for, and the last if it names one.
fn range_of(line: &str) -> Option<(u64, Option<u64>)> {
    let line = line.to_ascii_lowercase();
    let (from, last) = line.trim_end().strip_prefix("range: bytes=")?.split_once('-')?;
    Some((from.parse().ok()?, last.parse().ok()))
}
