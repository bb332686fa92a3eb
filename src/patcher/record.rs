//! The record of a download in `active-update.xml`: what is asked for where, how far each object has got, what went wrong.

use super::{Patcher, Update};
use crate::disk::fs::Dir;
use crate::disk::layout::{self, ObjectKind};
use crate::error::{Error, Result};
use crate::formats::manifest::Object;
use crate::state::journal::{Journal, State};
use crate::state::{
    self, ActiveUpdate, ActiveUpdates, ObjectDownload, PastUpdate, StateFile as _, UpdateState, UpdateType,
};
use crate::transfer::stage::{Ledger, ObjectEvent};
use crate::values::digest::Sha256;
use crate::values::timestamp::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// How long the record on the disk may be behind.
const PERIOD: Duration = Duration::from_secs(1);
/// How much of the time may go into writing it: a part in so many.
const SMALL_PART: u32 = 20;

/// The record of one update's download.
pub(super) struct Record<'a> {
    state_dir: &'a Dir,
    book: Mutex<Book>,
}

struct Book {
    active: ActiveUpdates,
    /// Where in `active` the update stands.
    at: usize,
    /// Where in the update the patch of each object stands.
    patches: HashMap<Sha256, usize>,
    started: Instant,
    seconds_before: u64,
    /// When to write it next.
    due: Instant,
}

impl<'a> Record<'a> {
    /// Begins the record, or goes on with that of an interrupted download of the same release.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn begin(state_dir: &'a Dir, update: &Update) -> Result<Self> {
        let mut active = ActiveUpdates::load_or_default(state_dir)?;
        let known = active.take(&update.name).filter(|known| known.sequence == update.sequence());
        let now = Timestamp::now();
        let known = known.unwrap_or_else(|| ActiveUpdate {
            component: update.name.clone(),
            kind: UpdateType::Complete,
            from: update.from.clone(),
            version: update.to().clone(),
            sequence: update.sequence(),
            channel: update.trusted.manifest().meta.channel.clone(),
            state: UpdateState::Downloading,
            found: now,
            staged: None,
            bytes: 0,
            seconds: 0,
            fallbacks: 0,
            error: None,
            patches: Vec::new(),
            unknown: Vec::new(),
        });
        let mut old: HashMap<Sha256, ObjectDownload> =
            known.patches.into_iter().map(|patch| (patch.hash, patch)).collect();
        let mut patch = |(kind, object): (ObjectKind, Object)| match old.remove(&object.sha256) {
            Some(patch) => ObjectDownload { state: UpdateState::Downloading, error: None, ..patch },
            None => new_patch(update.mirrors.first(), kind, object),
        };
        let patches: Vec<ObjectDownload> = first_objects(update).map(&mut patch).collect();
        let kind = if update.plan.is_partial() { UpdateType::Partial } else { UpdateType::Complete };
        let seconds_before = known.seconds;
        let by_hash = patches.iter().enumerate().map(|(at, patch)| (patch.hash, at)).collect();
        active.set(ActiveUpdate { kind, patches, state: UpdateState::Downloading, error: None, staged: None, ..known });
        let at = active.updates.len() - 1;
        let started = Instant::now();
        let mut book = Book { active, at, patches: by_hash, started, seconds_before, due: started };
        book.write(state_dir)?;
        Ok(Self { state_dir, book: Mutex::new(book) })
    }

    /// Ends the record with what came of the download.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn end(self, result: &Result<()>, paused: bool) -> Result<()> {
        let mut book = self.lock();
        let update = book.update();
        (update.state, update.error) = match result {
            Ok(()) => (UpdateState::Staged, None),
            Err(Error::Cancelled) if paused => (UpdateState::Paused, None),
            Err(error @ Error::Refused(_)) => (UpdateState::Failed, Some(error.code().to_owned())),
            Err(error) => (UpdateState::Downloading, Some(error.code().to_owned())),
        };
        update.staged = result.is_ok().then(Timestamp::now);
        book.write(self.state_dir)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Record<'_> {
    fn last_url(&self, object: &Sha256) -> Option<Url> {
        let mut book = self.lock();
        let at = *book.patches.get(object)?;
        book.update().patches.get(at)?.final_url.as_deref().and_then(|url| Url::parse(url).ok())
    }

    fn record(&self, object: Object, kind: ObjectKind, url: &Url, event: ObjectEvent) {
        let mut book = self.lock();
        let at = match book.patches.get(&object.sha256) {
            Some(at) => *at,
            None => {
                // Another way than the first one has failed.
                let update = book.update();
                update.patches.push(new_patch(None, kind, object));
                update.fallbacks += 1;
                let at = update.patches.len() - 1;
                book.patches.insert(object.sha256, at);
                at
            }
        };
        let update = book.update();
        let Some(patch) = update.patches.get_mut(at) else { return };
        match event {
            ObjectEvent::From(final_url) => {
                patch.url = url.to_string();
                patch.final_url = (final_url != *url).then(|| final_url.to_string());
            }
            ObjectEvent::Bytes(bytes) => {
                // Fewer than before: it has begun again.
                update.bytes += bytes.checked_sub(patch.bytes).unwrap_or(bytes);
                patch.bytes = bytes;
            }
            ObjectEvent::Done => (patch.state, patch.bytes, patch.error) = (UpdateState::Staged, patch.size, None),
            ObjectEvent::Failed(code) => (patch.state, patch.error) = (UpdateState::Failed, Some(code.to_owned())),
        }
        if Instant::now() >= book.due {
            // What cannot be written now is written with the next news; what is downloaded is on the disk all the same.
            let _ = book.write(self.state_dir);
        }
    }
}

impl Book {
    fn update(&mut self) -> &mut ActiveUpdate {
        &mut self.active.updates[self.at]
    }

    fn write(&mut self, state_dir: &Dir) -> Result<()> {
        let start = Instant::now();
        let seconds = self.seconds_before + self.started.elapsed().as_secs();
        self.update().seconds = seconds;
        let written = self.active.save(state_dir);
        self.due = Instant::now() + PERIOD.max(start.elapsed() * SMALL_PART);
        written
    }
}

fn new_patch(mirror: Option<&Url>, kind: ObjectKind, object: Object) -> ObjectDownload {
    let url = mirror.and_then(|mirror| mirror.join(&layout::object_path(kind, &object.sha256)).ok());
    ObjectDownload {
        kind: if kind == ObjectKind::Gz { UpdateType::Complete } else { UpdateType::Partial },
        url: url.map(String::from).unwrap_or_default(),
        final_url: None,
        hash: object.sha256,
        size: object.size,
        bytes: 0,
        state: UpdateState::Downloading,
        error: None,
        unknown: Vec::new(),
    }
}

/// The objects of the first way to each content.
fn first_objects(update: &Update) -> impl Iterator<Item = (ObjectKind, Object)> {
    let fetched = update.plan.contents.values().filter(|obtain| obtain.copy.is_none());
    fetched.flat_map(|obtain| match (&obtain.chain, &obtain.chunks) {
        (Some(chain), _) => chain.hops.iter().map(|hop| (ObjectKind::Delta, hop.delta)).collect(),
        (None, Some(chunks)) => vec![(ObjectKind::Chunks, chunks.index), (ObjectKind::Gz, obtain.gz)],
        (None, None) => vec![(ObjectKind::Gz, obtain.gz)],
    })
}

impl Patcher {
    /// The updates under way, as far as they have got.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io), [`Machine::JournalUnreadable`](crate::error::Machine::JournalUnreadable).
    pub fn active(&self) -> Result<Vec<ActiveUpdate>> {
        let Some(state_dir) = state::open(&self.inner.root)? else { return Ok(Vec::new()) };
        let (mut active, _) = state::load_updates(&state_dir, None)?;
        let paused = self.paused()?.is_some();
        let swap = Journal::peek(&state_dir)?.map(|(state, _)| state);
        for update in &mut active.updates {
            update.state = match (update.state, swap) {
                (UpdateState::Downloading, _) if paused => UpdateState::Paused,
                (UpdateState::Staged, Some(State::Prepared)) => UpdateState::Pending,
                (UpdateState::Staged, Some(State::Applying)) => UpdateState::Applying,
                (state, _) => state,
            };
        }
        Ok(active.updates)
    }

    /// The updates of the past, the newest first.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn history(&self) -> Result<Vec<PastUpdate>> {
        let Some(state_dir) = state::open(&self.inner.root)? else { return Ok(Vec::new()) };
        Ok(state::load_updates(&state_dir, self.inner.history)?.1.updates)
    }

    /// Files of the updater that were damaged and set aside, by name.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn set_aside(&self) -> Result<Vec<String>> {
        state::open(&self.inner.root)?.map_or(Ok(Vec::new()), |state_dir| state::damaged_files(&state_dir))
    }
}
