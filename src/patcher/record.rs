//! The record of a download in `active-update.xml`: the URL, progress and last error of each
//! object.

use super::Update;
use crate::disk::fs::Dir;
use crate::disk::layout::{ObjectKind, SiteNames};
use crate::error::{Error, Result};
use crate::formats::manifest::Object;
use crate::state::{ActiveUpdate, ActiveUpdates, ObjectDownload, StateFile as _, UpdateState, UpdateType};
use crate::transfer::plan::PlannedObject;
use crate::transfer::stage::{Ledger, ObjectEvent};
use crate::values::digest::Sha256;
use crate::values::timestamp::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// The shortest time between two writes of the record.
const MIN_WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// The next write waits this many times as long as the last one took: writing takes at most 1/20 of
/// the time.
const WRITE_TIME_FACTOR: u32 = 20;

/// The record of one update's download.
pub(super) struct DownloadRecord<'a> {
    state_dir: &'a Dir,
    shared: Mutex<RecordState>,
}

struct RecordState {
    active: ActiveUpdates,
    /// The index of the update in `active`.
    at: usize,
    /// The index of each object's entry in the update.
    patches: HashMap<Sha256, usize>,
    started: Instant,
    /// The seconds of earlier attempts.
    seconds_before: u64,
    next_write: Instant,
}

impl<'a> DownloadRecord<'a> {
    /// Begins the record, or continues that of an interrupted download of the same release.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn begin(state_dir: &'a Dir, update: &Update) -> Result<Self> {
        let mut active = ActiveUpdates::load_or_default(state_dir)?;
        let known = active.take(&update.component).filter(|known| known.sequence == update.sequence());
        let now = Timestamp::now();
        let known = known.unwrap_or_else(|| ActiveUpdate {
            component: update.component.clone(),
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
        let names = SiteNames::of(&update.trusted.manifest().meta);
        let mut patch = |(kind, object): (ObjectKind, Object)| match old.remove(&object.sha256) {
            Some(patch) => ObjectDownload { state: UpdateState::Downloading, error: None, ..patch },
            None => {
                let url =
                    update.mirrors.first().and_then(|mirror| mirror.join(&names.object(kind, &object.sha256)).ok());
                new_patch(url.map(String::from).unwrap_or_default(), kind, object)
            }
        };
        let patches: Vec<ObjectDownload> = first_objects(update).map(&mut patch).collect();
        let kind = if update.plan.is_partial() { UpdateType::Partial } else { UpdateType::Complete };
        let seconds_before = known.seconds;
        let by_hash = patches.iter().enumerate().map(|(at, patch)| (patch.hash, at)).collect();
        active.set(ActiveUpdate { kind, patches, state: UpdateState::Downloading, error: None, ..known });
        let at = active.updates.len() - 1;
        let started = Instant::now();
        let mut state = RecordState { active, at, patches: by_hash, started, seconds_before, next_write: started };
        state.write(state_dir)?;
        Ok(Self { state_dir, shared: Mutex::new(state) })
    }

    /// Ends the record with the result of the download.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn end(self, result: &Result<()>, is_paused: bool) -> Result<()> {
        let mut state = self.lock();
        let update = state.update();
        (update.state, update.error) = match result {
            Ok(()) => (UpdateState::Staged, None),
            Err(Error::Cancelled) if is_paused => (UpdateState::Paused, None),
            Err(error @ Error::Refused(_)) => (UpdateState::Failed, Some(error.code().to_owned())),
            Err(error) => (UpdateState::Downloading, Some(error.code().to_owned())),
        };
        // A release that was staged before keeps its time: a service waits from then on.
        update.staged = result.is_ok().then(|| update.staged.unwrap_or_else(Timestamp::now));
        state.write(self.state_dir)
    }

    fn lock(&self) -> MutexGuard<'_, RecordState> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for DownloadRecord<'_> {
    fn last_url(&self, object: &Sha256) -> Option<Url> {
        let mut state = self.lock();
        let at = *state.patches.get(object)?;
        state.update().patches.get(at)?.final_url.as_deref().and_then(|url| Url::parse(url).ok())
    }

    fn record(&self, object: Object, kind: ObjectKind, url: &Url, event: ObjectEvent) {
        let mut state = self.lock();
        let at = match state.patches.get(&object.sha256) {
            Some(at) => *at,
            None => {
                // The plan did not begin with this object: a cheaper way has failed.
                let update = state.update();
                update.patches.push(new_patch(String::new(), kind, object));
                update.fallbacks += 1;
                let at = update.patches.len() - 1;
                state.patches.insert(object.sha256, at);
                at
            }
        };
        let update = state.update();
        let Some(patch) = update.patches.get_mut(at) else { return };
        match event {
            ObjectEvent::From(final_url) => {
                patch.url = url.to_string();
                patch.final_url = (final_url != *url).then(|| final_url.to_string());
            }
            ObjectEvent::Bytes(bytes) => {
                // A smaller number than before means that the download of the object began anew.
                update.bytes += bytes.checked_sub(patch.bytes).unwrap_or(bytes);
                patch.bytes = bytes;
            }
            ObjectEvent::Done => (patch.state, patch.bytes, patch.error) = (UpdateState::Staged, patch.size, None),
            ObjectEvent::Failed(code) => (patch.state, patch.error) = (UpdateState::Failed, Some(code.to_owned())),
        }
        if Instant::now() >= state.next_write {
            // The next event writes again. The downloaded bytes do not depend on the record.
            let _ = state.write(self.state_dir);
        }
    }
}

impl RecordState {
    fn update(&mut self) -> &mut ActiveUpdate {
        &mut self.active.updates[self.at]
    }

    fn write(&mut self, state_dir: &Dir) -> Result<()> {
        let start = Instant::now();
        let seconds = self.seconds_before + self.started.elapsed().as_secs();
        self.update().seconds = seconds;
        let written = self.active.save(state_dir);
        self.next_write = Instant::now() + MIN_WRITE_INTERVAL.max(start.elapsed() * WRITE_TIME_FACTOR);
        written
    }
}

fn new_patch(url: String, kind: ObjectKind, object: Object) -> ObjectDownload {
    ObjectDownload {
        kind: match kind {
            ObjectKind::Gz | ObjectKind::Install => UpdateType::Complete,
            ObjectKind::Update | ObjectKind::Chunks => UpdateType::Partial,
        },
        url,
        final_url: None,
        hash: object.sha256,
        size: object.size,
        bytes: 0,
        state: UpdateState::Downloading,
        error: None,
        unknown: Vec::new(),
    }
}

/// Returns the objects that the plan begins with: its own object, then those of each content.
fn first_objects(update: &Update) -> impl Iterator<Item = (ObjectKind, Object)> {
    let whole = match &update.plan.object {
        Some(PlannedObject::Exact { indexed, .. }) => Some((ObjectKind::Update, indexed.object)),
        Some(PlannedObject::Install(indexed)) => Some((ObjectKind::Install, indexed.object)),
        Some(PlannedObject::Search(_)) | None => None,
    };
    let fetched = || update.plan.contents.values().filter(|content| content.copy.is_none() && !content.is_in_object);
    let needs_blocks = fetched().any(|content| content.whole.gz().is_none());
    let blocks = update.plan.install.filter(|_| needs_blocks).map(|install| (ObjectKind::Install, install.object));
    let of_contents = fetched().flat_map(|content| {
        let index = content.chunks.as_ref().map(|chunks| (ObjectKind::Chunks, chunks.index));
        index.into_iter().chain(content.whole.gz().map(|gz| (ObjectKind::Gz, gz)))
    });
    whole.into_iter().chain(blocks).chain(of_contents)
}
