//! One HTTP request on a thread of its own, so that whoever waits for its answer can stop waiting at once.
//!
//! The thread ends with the answer, when nobody reads on, or at the client's own time limit.

use super::CancelToken;
use crate::error::{Error, Result};
use reqwest::blocking::RequestBuilder;
use reqwest::header::HeaderMap;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// How long a stopped caller may have to wait.
const TICK: Duration = Duration::from_millis(50);
/// How many pieces of an answer may wait to be read, and their size: 256 KiB in all.
const PIECES: usize = 4;
const PIECE: usize = 64 * 1024;

/// The beginning of an answer.
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The rest.
    pub body: ResponseBody,
}

enum CallEvent {
    Head(std::result::Result<(u16, HeaderMap), reqwest::Error>),
    Piece(io::Result<Vec<u8>>),
}

/// Sends a request and waits for the head of its answer.
///
/// # Errors
/// [`Error::Cancelled`]; inside, what kept the answer from coming.
pub fn call(
    request: RequestBuilder,
    cancel: &CancelToken,
) -> Result<std::result::Result<ResponseHead, reqwest::Error>> {
    let (sender, news) = sync_channel(PIECES);
    std::thread::spawn(move || talk(request, &sender));
    let body = ResponseBody { news, cancel: cancel.clone(), piece: Vec::new(), read: 0 };
    match body.next()? {
        Some(CallEvent::Head(Ok((status, headers)))) => Ok(Ok(ResponseHead { status, headers, body })),
        Some(CallEvent::Head(Err(error))) => Ok(Err(error)),
        // The thread says nothing before the head and does not end without it.
        _ => Err(Error::Cancelled),
    }
}

/// What the thread does. A failed `send` means that nobody listens any more.
fn talk(request: RequestBuilder, sender: &SyncSender<CallEvent>) {
    let mut response = match request.send() {
        Ok(response) => response,
        Err(error) => return drop(sender.send(CallEvent::Head(Err(error)))),
    };
    let head = (response.status().as_u16(), response.headers().clone());
    if sender.send(CallEvent::Head(Ok(head))).is_err() {
        return;
    }
    loop {
        let mut piece = vec![0; PIECE];
        let read = response.read(&mut piece).map(|count| {
            piece.truncate(count);
            piece
        });
        let last = !matches!(&read, Ok(piece) if !piece.is_empty());
        if sender.send(CallEvent::Piece(read)).is_err() || last {
            return;
        }
    }
}

/// The body of an answer, as it comes in.
pub struct ResponseBody {
    news: Receiver<CallEvent>,
    cancel: CancelToken,
    piece: Vec<u8>,
    read: usize,
}

impl ResponseBody {
    /// The next piece of news; none when the thread has ended.
    fn next(&self) -> Result<Option<CallEvent>> {
        loop {
            self.cancel.check()?;
            match self.news.recv_timeout(TICK) {
                Ok(news) => return Ok(Some(news)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

impl Read for ResponseBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            match self.next().map_err(io::Error::other)? {
                Some(CallEvent::Piece(piece)) => (self.piece, self.read) = (piece?, 0),
                _ => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.read);
        buffer[..count].copy_from_slice(&self.piece[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}
