//! A call: one HTTP request and its response, on a separate thread.
//!
//! The caller can stop waiting within [`CANCEL_POLL_PERIOD`], even while the HTTP library blocks.
//! The thread ends with the response, when the caller drops the body, or at the client's timeout.

use super::CancelToken;
use super::cancel::CANCEL_POLL_PERIOD;
use crate::error::{Error, Result};
use reqwest::blocking::RequestBuilder;
use reqwest::header::HeaderMap;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

/// The limit on pieces that are read ahead of the caller: 256 KiB in all.
const MAX_QUEUED_PIECES: usize = 4;
/// The size of one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// The beginning of a response.
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, not read yet.
    pub body: ResponseBody,
}

/// The body of a response, received piece by piece from the call's thread.
pub struct ResponseBody {
    events: Receiver<CallEvent>,
    cancel: CancelToken,
    /// The piece that is being read, and how many of its bytes were read.
    piece: Vec<u8>,
    read: usize,
}

/// A message from the call's thread: one head, then the pieces of the body.
enum CallEvent {
    Head(std::result::Result<(u16, HeaderMap), reqwest::Error>),
    Piece(io::Result<Vec<u8>>),
}

/// Sends a request and waits for the head of the response.
///
/// # Errors
/// [`Error::Cancelled`]. The inner result holds the error of the HTTP library.
pub fn call(
    request: RequestBuilder,
    cancel: &CancelToken,
) -> Result<std::result::Result<ResponseHead, reqwest::Error>> {
    let (sender, events) = sync_channel(MAX_QUEUED_PIECES);
    std::thread::spawn(move || run(request, &sender));
    let body = ResponseBody { events, cancel: cancel.clone(), piece: Vec::new(), read: 0 };
    match body.next_event()? {
        Some(CallEvent::Head(Ok((status, headers)))) => Ok(Ok(ResponseHead { status, headers, body })),
        Some(CallEvent::Head(Err(error))) => Ok(Err(error)),
        // Unreachable: the thread always sends a head first.
        _ => Err(Error::Cancelled),
    }
}

/// Runs on the call's thread. `send` fails once the caller has dropped the body.
fn run(request: RequestBuilder, sender: &SyncSender<CallEvent>) {
    let mut response = match request.send() {
        Ok(response) => response,
        Err(error) => return drop(sender.send(CallEvent::Head(Err(error)))),
    };
    let head = (response.status().as_u16(), response.headers().clone());
    if sender.send(CallEvent::Head(Ok(head))).is_err() {
        return;
    }
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let read = response.read(&mut piece).map(|count| {
            piece.truncate(count);
            piece
        });
        let is_last = !matches!(&read, Ok(piece) if !piece.is_empty());
        if sender.send(CallEvent::Piece(read)).is_err() || is_last {
            return;
        }
    }
}

impl ResponseBody {
    /// Waits for the next event; returns `None` when the thread has ended.
    fn next_event(&self) -> Result<Option<CallEvent>> {
        loop {
            self.cancel.check()?;
            match self.events.recv_timeout(CANCEL_POLL_PERIOD) {
                Ok(event) => return Ok(Some(event)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

impl Read for ResponseBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            match self.next_event().map_err(io::Error::other)? {
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
