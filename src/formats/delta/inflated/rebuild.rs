//! Rebuilding: deflates the contents of the new view on all cores, in the order of the file.
//!
//! The view is cut into jobs. Threads take jobs in order and hand over the finished bytes in
//! pieces. They wait while [`MAX_BUFFERED_BYTES`] wait to be written. The thread with the job that
//! is written next never waits, so there is no deadlock.

use super::stream_list::StreamList;
use crate::formats::deflate::{DeflateEncoder, DeflateParameters};
use crate::formats::delta::DeltaError;
use std::collections::{HashMap, VecDeque};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Limit for the finished bytes that wait to be written.
pub const MAX_BUFFERED_BYTES: usize = 8 << 20;
/// Bytes of the view that a thread reads at a time.
const READ_BYTES: usize = 64 * 1024;
/// A job has at least this many bytes of the view if it has several streams.
const JOB_BYTES: u64 = 256 * 1024;

/// A range of the view that becomes one stretch of the new file.
struct RebuildStep {
    view: Range<u64>,
    /// The encoder of a content; `None` for raw bytes.
    parameters: Option<DeflateParameters>,
}

/// Deflates the listed contents of `view` and writes the new file of `size` bytes to `out`.
///
/// # Errors
/// [`DeltaError::StreamList`] if the result has another size, [`DeltaError::Scratch`],
/// [`DeltaError::WriteNewFile`].
pub fn rebuild<F: Read + Seek + Send>(
    view: F,
    list: &StreamList,
    size: u64,
    out: &mut impl Write,
) -> Result<(), DeltaError> {
    let jobs = jobs(list);
    let queue = JobQueue { state: Mutex::default(), changed: Condvar::new() };
    let view = Mutex::new(view);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&view, &jobs, &queue));
        }
        let written = write_all(&jobs, &queue, size, out);
        // Threads that still work notice it and end.
        queue.stop();
        written
    })
}

/// Cuts the view into jobs, each a list of steps.
fn jobs(list: &StreamList) -> Vec<Vec<RebuildStep>> {
    let (mut main, mut own) = (0, list.main_bytes());
    let (mut jobs, mut job, mut job_bytes) = (Vec::new(), Vec::new(), 0);
    let mut take = |from: &mut u64, bytes: u64, parameters| {
        let step = RebuildStep { view: *from..*from + bytes, parameters };
        *from += bytes;
        job.push(step);
        job_bytes += bytes;
        if job_bytes >= JOB_BYTES {
            jobs.push(std::mem::take(&mut job));
            job_bytes = 0;
        }
    };
    for stream in &list.new {
        take(&mut main, stream.gap, None);
        let from = if stream.own_delta.is_some() { &mut own } else { &mut main };
        take(from, stream.length, Some(stream.parameters));
    }
    take(&mut main, list.tail, None);
    jobs.push(job);
    jobs
}

/// The finished bytes of all jobs, in pieces.
struct JobQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    /// The next job that a thread takes.
    next: usize,
    /// The job that is written to the new file now.
    current: usize,
    /// The pieces of each job that has begun. `None` ends a job.
    pieces: HashMap<usize, VecDeque<Option<Vec<u8>>>>,
    /// The bytes of all pieces.
    buffered: usize,
    /// The first error of a thread.
    error: Option<DeltaError>,
    is_stopped: bool,
}

impl JobQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the next job.
    fn take_job(&self) -> usize {
        let mut state = self.lock();
        state.next += 1;
        state.next - 1
    }

    /// Passes on a piece of a job; returns `false` if the reader has stopped.
    fn push(&self, job: usize, piece: Option<Vec<u8>>) -> bool {
        let must_wait =
            |state: &mut QueueState| state.buffered >= MAX_BUFFERED_BYTES && state.current != job && !state.is_stopped;
        let state = self.changed.wait_while(self.lock(), must_wait);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.buffered += piece.as_ref().map_or(0, Vec::len);
        state.pieces.entry(job).or_default().push_back(piece);
        self.changed.notify_all();
        !state.is_stopped
    }

    /// Waits for the next piece of a job, `None` at its end.
    fn pop(&self, job: usize) -> Result<Option<Vec<u8>>, DeltaError> {
        let has_none =
            |state: &mut QueueState| state.error.is_none() && state.pieces.get(&job).is_none_or(VecDeque::is_empty);
        let state = self.changed.wait_while(self.lock(), has_none);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        let piece = state.pieces.get_mut(&job).and_then(VecDeque::pop_front).flatten();
        match &piece {
            Some(piece) => state.buffered -= piece.len(),
            None => {
                state.pieces.remove(&job);
                state.current = job + 1;
            }
        }
        self.changed.notify_all();
        Ok(piece)
    }

    fn fail(&self, error: DeltaError) {
        self.lock().error.get_or_insert(error);
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }
}

/// The last encoder of a thread. A new one takes longer than a small stream.
#[derive(Default)]
struct Encoders(Option<DeflateEncoder>);

impl Encoders {
    /// Returns an encoder at the start of a stream.
    fn with(&mut self, parameters: DeflateParameters) -> &mut DeflateEncoder {
        let fits = self.0.take().filter(|encoder| encoder.parameters() == parameters);
        self.0.insert(fits.unwrap_or_else(|| DeflateEncoder::new(parameters)))
    }
}

/// Takes jobs and makes their bytes until none is left.
fn work<F: Read + Seek>(view: &Mutex<F>, jobs: &[Vec<RebuildStep>], queue: &JobQueue) {
    let mut encoders = Encoders::default();
    loop {
        let number = queue.take_job();
        let Some(job) = jobs.get(number) else { return };
        match make(view, job, &mut encoders, |piece| queue.push(number, Some(piece))) {
            Ok(true) if queue.push(number, None) => {}
            Ok(_) => return,
            Err(error) => return queue.fail(DeltaError::Scratch(error)),
        }
    }
}

/// Makes the bytes of a job; returns `false` as soon as `push` does.
fn make<F: Read + Seek>(
    view: &Mutex<F>,
    job: &[RebuildStep],
    encoders: &mut Encoders,
    mut push: impl FnMut(Vec<u8>) -> bool,
) -> std::io::Result<bool> {
    let mut input = vec![0; READ_BYTES];
    let mut output = Vec::new();
    for step in job {
        let mut encoder = step.parameters.map(|parameters| encoders.with(parameters));
        let mut at = step.view.start;
        while at < step.view.end {
            let count = (step.view.end - at).min(READ_BYTES as u64) as usize;
            let input = &mut input[..count];
            {
                let mut view = view.lock().unwrap_or_else(PoisonError::into_inner);
                view.seek(SeekFrom::Start(at))?;
                view.read_exact(input)?;
            }
            at += count as u64;
            match &mut encoder {
                Some(encoder) => encoder.write(input, &mut output),
                None => output.extend_from_slice(input),
            }
            if output.len() >= READ_BYTES && !push(std::mem::take(&mut output)) {
                return Ok(false);
            }
        }
        if let Some(encoder) = encoder {
            encoder.finish(&mut output);
        }
    }
    Ok(push(output))
}

/// Writes the bytes of all jobs in order.
fn write_all(jobs: &[Vec<RebuildStep>], queue: &JobQueue, size: u64, out: &mut impl Write) -> Result<(), DeltaError> {
    let mut left = size;
    for job in 0..jobs.len() {
        while let Some(piece) = queue.pop(job)? {
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or(DeltaError::StreamList("the rebuilt file is longer than the new file"))?;
            out.write_all(&piece).map_err(DeltaError::WriteNewFile)?;
        }
    }
    match left {
        0 => Ok(()),
        _ => Err(DeltaError::StreamList("the rebuilt file is shorter than the new file")),
    }
}
