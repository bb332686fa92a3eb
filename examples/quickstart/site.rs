//! The publisher's web server: the files of a folder over HTTP on loopback, as any server would
//! send them.
//!
//! Every answer has its length.

use crate::Result;
use crate::narrator::{size, tell};
use patcher::internal::rel_path::RelPath;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use tiny_http::{Method, Request, Response, Server};

/// A server that runs until it is dropped.
pub struct Site {
    dir: PathBuf,
    url: String,
    server: Arc<Server>,
    answers: Answers,
    thread: Option<JoinHandle<()>>,
}

/// An answer of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The requested path.
    pub path: String,
    /// The HTTP status.
    pub status: u16,
    /// The length of the body in bytes.
    pub bytes: u64,
}

type Answers = Arc<Mutex<Vec<Answer>>>;

impl Site {
    /// Serves the folder `dir` at a free port.
    pub fn serve(dir: PathBuf) -> Result<Self> {
        let server = Arc::new(Server::http("127.0.0.1:0")?);
        let url = format!("http://{}/", server.server_addr());
        let answers = Answers::default();
        let thread = thread::spawn({
            let (server, answers, dir) = (Arc::clone(&server), Arc::clone(&answers), dir.clone());
            move || server.incoming_requests().for_each(|request| answer(request, &dir, &answers))
        });
        Ok(Self { dir, url, server, answers, thread: Some(thread) })
    }

    /// Returns the URL of a file or folder.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Reads a file of the site.
    pub fn read(&self, path: &str) -> Result<String> {
        Ok(fs::read_to_string(self.dir.join(path))?)
    }

    /// Replaces a file in one step, as an attacker on the server can.
    pub fn replace(&self, path: &str, content: &str) -> Result<()> {
        let new = self.dir.join("new");
        fs::write(&new, content)?;
        Ok(fs::rename(new, self.dir.join(path))?)
    }

    /// Prints and returns the answers since the last call, equal ones in a row as one.
    pub fn report(&self) -> Vec<Answer> {
        let mut answers = std::mem::take(&mut *lock(&self.answers));
        for equal in answers.chunk_by(Answer::eq) {
            let Answer { path, status, bytes } = &equal[0];
            let times = if equal.len() > 1 { format!("  {} times", equal.len()) } else { String::new() };
            tell("site", &format!("GET {:<35} {status}{:>9}{times}", shortened(path), size(*bytes)));
        }
        answers.dedup();
        answers
    }
}

impl Answer {
    /// Returns `true` if the answer is an object of a release.
    pub fn is_object(&self) -> bool {
        self.path.contains("/objects/")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.unblock();
        // The panic hook has printed a panic of the thread.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(request: Request, dir: &Path, answers: &Answers) {
    let path = request.url().to_owned();
    let response = respond(&request, dir);
    let (status, bytes) = (response.status_code().0, response.data_length().unwrap_or(0) as u64);
    // Recorded first, so that the report contains every answer that a client has received.
    lock(answers).push(Answer { path, status, bytes });
    // A client may have closed the connection.
    let _ = request.respond(response);
}

fn respond(request: &Request, dir: &Path) -> Response<Cursor<Vec<u8>>> {
    let empty = |status: u16| Response::from_data([]).with_status_code(status);
    if *request.method() != Method::Get {
        return empty(405);
    }
    // The rule for paths of a release also keeps requests inside the folder.
    let path = request.url().strip_prefix('/').and_then(|path| RelPath::new(path).ok());
    let Some(content) = path.and_then(|path| fs::read(path.under(dir)).ok()) else { return empty(404) };
    // Not in chunks, so that the answer has a length.
    Response::from_data(content).with_chunked_threshold(usize::MAX)
}

/// Shortens the name of an object to fit the line.
fn shortened(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) if name.len() > 64 => format!("{folder}/{}…{}", &name[..8], &name[64..]),
        _ => path.to_owned(),
    }
}

fn lock(answers: &Answers) -> MutexGuard<'_, Vec<Answer>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}
