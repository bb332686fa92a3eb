//! The history, `updates.xml`: the past updates and their results, the newest first.

use super::active::{ActiveUpdate, ActiveUpdates};
use super::file::StateFile;
use super::outcomes::{self, OUTCOMES_FILE, OutcomeLine, has_outcomes};
use super::starts::{PendingNotice, Starts};
use super::update::{UnknownAttribute, UpdateState, UpdateType, push_optional, push_unknown};
use crate::disk::fs::Dir;
use crate::error::{Defect, Result};
use crate::formats::manifest::Component;
use crate::formats::xml::{DECLARATION, XmlElement, XmlError, XmlReader, XmlTag, push_attribute};
use crate::values::timestamp::Timestamp;
use semver::Version;

/// The number of past updates that are kept unless the program sets another one.
pub const DEFAULT_KEPT_UPDATES: usize = 50;

/// The updates of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The number of updates that are kept.
    pub limit: usize,
    /// The newest first.
    pub updates: Vec<PastUpdate>,
}

impl Default for History {
    fn default() -> Self {
        Self { limit: DEFAULT_KEPT_UPDATES, updates: Vec::new() }
    }
}

/// An update of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastUpdate {
    /// The component.
    pub component: Component,
    /// The kind of download.
    pub kind: UpdateType,
    /// The version before; `None` for a first installation.
    pub from: Option<Version>,
    /// The new version.
    pub to: Version,
    /// The sequence of the new release.
    pub sequence: u64,
    /// The time when the download began.
    pub found: Option<Timestamp>,
    /// The time when the download was complete.
    pub staged: Option<Timestamp>,
    /// The time of the swap.
    pub installed: Option<Timestamp>,
    /// The time of the confirmation.
    pub confirmed: Option<Timestamp>,
    /// The time of the rollback.
    pub rolled_back: Option<Timestamp>,
    /// The time when the swap failed.
    pub failed: Option<Timestamp>,
    /// The fetched bytes, of all attempts.
    pub bytes: u64,
    /// The time spent on fetching in seconds, of all attempts.
    pub seconds: u64,
    /// The number of objects that were fetched because a cheaper way had failed.
    pub fallbacks: u64,
    /// The result: applied, confirmed, rolled back or failed.
    pub result: UpdateState,
    /// The code of the error, or the reason of the rollback.
    pub error: Option<String>,
    /// Attributes that this version does not know.
    pub(super) unknown: Vec<UnknownAttribute>,
}

/// The limit for the size of the file of outcomes in bytes.
const MAX_OUTCOMES_BYTES: u64 = 1 << 20;

/// Returns the active and the past updates, with the outcomes that are in neither file yet.
///
/// `limit` is the number of past updates to keep; `None` means the number in the file.
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io).
pub fn load_updates(state_dir: &Dir, limit: Option<usize>) -> Result<(ActiveUpdates, History)> {
    let (mut active, mut history) = (ActiveUpdates::load_or_default(state_dir)?, History::load_or_default(state_dir)?);
    history.limit = limit.unwrap_or(history.limit);
    history.updates.truncate(history.limit);
    for line in read_outcomes(state_dir) {
        history.record(&line, &mut active);
    }
    Ok((active, history))
}

/// Moves updates with an outcome from `active-update.xml` to `updates.xml`.
///
/// The caller holds the updater's lock.
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io).
pub fn move_outcomes_to_history(state_dir: &Dir, limit: Option<usize>) -> Result<()> {
    if !has_outcomes(state_dir)? {
        return Ok(());
    }
    let (active, history) = load_updates(state_dir, limit)?;
    // In this order: after a crash, an outcome comes a second time and is recognized.
    history.save(state_dir)?;
    active.save(state_dir)?;
    queue_notices(state_dir)?;
    state_dir.remove_file(OUTCOMES_FILE)
}

/// Queues a notice for the program's next start for each update and each rollback.
fn queue_notices(state_dir: &Dir) -> Result<()> {
    // A program that was never started here has nothing to compare with.
    let Some(mut starts) = Starts::load(state_dir)? else { return Ok(()) };
    for OutcomeLine { component, from, to, result, detail, .. } in read_outcomes(state_dir) {
        let Some(from) = from.filter(|from| *from != to) else { continue };
        match result.parse() {
            Ok(UpdateState::Applied) => starts.queue_notice(PendingNotice { component, from, to, rolled_back: None }),
            Ok(UpdateState::RolledBack) => {
                let rolled_back = detail.and_then(|word| word.parse().ok());
                starts.queue_notice(PendingNotice { component, from: to, to: from, rolled_back });
            }
            _ => {}
        }
    }
    starts.save(state_dir)
}

/// Reads the file of outcomes.
fn read_outcomes(state_dir: &Dir) -> Vec<OutcomeLine> {
    // The updater writes no larger file.
    let text = state_dir.read_small(OUTCOMES_FILE, MAX_OUTCOMES_BYTES).ok().flatten().unwrap_or_default();
    outcomes::lines(&String::from_utf8_lossy(&text))
}

impl History {
    fn record(&mut self, line: &OutcomeLine, active: &mut ActiveUpdates) {
        let Ok(result) = line.result.parse::<UpdateState>() else { return };
        let same = |past: &PastUpdate| past.component == line.component && past.sequence == line.sequence;
        if self.updates.iter().any(|past| same(past) && past.time_of(result) == Some(line.at)) {
            return;
        }
        let is_it = |update: &ActiveUpdate| update.component == line.component && update.sequence == line.sequence;
        let in_progress =
            if active.of(&line.component).is_some_and(is_it) { active.take(&line.component) } else { None };
        let known = self.updates.iter().position(|past| same(past) && past.result == UpdateState::Applied);
        let mut past = match known {
            Some(at) => self.updates.remove(at),
            None => PastUpdate::new(line, in_progress.as_ref()),
        };
        past.result = result;
        match result {
            UpdateState::Applied => past.installed = Some(line.at),
            UpdateState::Confirmed => {
                past.installed.get_or_insert(line.at);
                past.confirmed = Some(line.at);
            }
            UpdateState::RolledBack => past.rolled_back = Some(line.at),
            _ => {
                past.failed = Some(line.at);
                // It may be tried again.
                active.updates.extend(in_progress.map(|update| ActiveUpdate {
                    state: UpdateState::Failed,
                    error: line.detail.clone(),
                    ..update
                }));
            }
        }
        if line.detail.is_some() {
            past.error.clone_from(&line.detail);
        }
        self.updates.insert(0, past);
        self.updates.truncate(self.limit);
    }
}

impl PastUpdate {
    fn new(line: &OutcomeLine, in_progress: Option<&ActiveUpdate>) -> Self {
        Self {
            component: line.component.clone(),
            kind: in_progress.map(|update| update.kind).unwrap_or_default(),
            from: line.from.clone(),
            to: line.to.clone(),
            sequence: line.sequence,
            found: in_progress.map(|update| update.found),
            staged: in_progress.and_then(|update| update.staged),
            installed: None,
            confirmed: None,
            rolled_back: None,
            failed: None,
            bytes: in_progress.map_or(0, |update| update.bytes),
            seconds: in_progress.map_or(0, |update| update.seconds),
            fallbacks: in_progress.map_or(0, |update| update.fallbacks),
            result: UpdateState::Applied,
            error: None,
            unknown: Vec::new(),
        }
    }

    /// Returns the time of this result, if the update had it.
    fn time_of(&self, result: UpdateState) -> Option<Timestamp> {
        match result {
            UpdateState::Applied => self.installed,
            UpdateState::Confirmed => self.confirmed,
            UpdateState::RolledBack => self.rolled_back,
            _ => self.failed,
        }
    }
}

impl StateFile for History {
    const NAME: &'static str = "updates.xml";

    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut history = Self::default();
        reader.root("updates")?;
        while let Some(XmlTag::Open(mut element)) = reader.tag()? {
            match element.name {
                "keep" => {
                    history.limit = element.value("updates", Defect::Number)?;
                    element.finish()?;
                }
                "update" => history.updates.push(update(element)?),
                _ => return Err(element.unknown()),
            }
            reader.expect_close()?;
        }
        reader.end()?;
        Ok(history)
    }

    fn write(&self) -> String {
        let mut text = format!("{DECLARATION}<updates format=\"1\">\n");
        if self.limit != DEFAULT_KEPT_UPDATES {
            text.push_str("  <keep");
            push_attribute(&mut text, "updates", self.limit);
            text.push_str("/>\n");
        }
        for past in &self.updates {
            text.push_str("  <update");
            push_attribute(&mut text, "component", &past.component);
            push_attribute(&mut text, "type", past.kind);
            push_optional(&mut text, "from", past.from.as_ref());
            push_attribute(&mut text, "to", &past.to);
            push_attribute(&mut text, "sequence", past.sequence);
            push_optional(&mut text, "found", past.found);
            push_optional(&mut text, "staged", past.staged);
            push_optional(&mut text, "installed", past.installed);
            push_optional(&mut text, "confirmed", past.confirmed);
            push_optional(&mut text, "rolled-back", past.rolled_back);
            push_optional(&mut text, "failed", past.failed);
            push_attribute(&mut text, "bytes", past.bytes);
            push_attribute(&mut text, "seconds", past.seconds);
            push_attribute(&mut text, "fallbacks", past.fallbacks);
            push_attribute(&mut text, "result", past.result);
            push_optional(&mut text, "error", past.error.as_ref());
            push_unknown(&mut text, &past.unknown);
            text.push_str("/>\n");
        }
        text.push_str("</updates>\n");
        text
    }
}

fn update(mut element: XmlElement<'_>) -> Result<PastUpdate, XmlError> {
    Ok(PastUpdate {
        component: element.value("component", Defect::Name)?,
        kind: element.value("type", Defect::Syntax)?,
        from: element.optional_value("from", Defect::Version)?,
        to: element.value("to", Defect::Version)?,
        sequence: element.number("sequence")?,
        found: element.optional_value("found", Defect::Time)?,
        staged: element.optional_value("staged", Defect::Time)?,
        installed: element.optional_value("installed", Defect::Time)?,
        confirmed: element.optional_value("confirmed", Defect::Time)?,
        rolled_back: element.optional_value("rolled-back", Defect::Time)?,
        failed: element.optional_value("failed", Defect::Time)?,
        bytes: element.number("bytes")?,
        seconds: element.number("seconds")?,
        fallbacks: element.number("fallbacks")?,
        result: element.value("result", Defect::Syntax)?,
        error: element.optional("error").map(Into::into),
        unknown: element.rest(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::journal::{ComponentSteps, ReleaseContent};
    use crate::state::{RollbackReason, SwapOutcome, record_outcome};
    use crate::values::digest::Sha256;

    fn part(sequence: u64) -> ComponentSteps {
        let to = ReleaseContent { version: Version::new(sequence, 0, 0), sequence, content: Sha256::of(b"") };
        ComponentSteps {
            component: "core".parse().unwrap(),
            own_work_dir: false,
            elsewhere: false,
            from: Some(Version::new(0, 9, 0)),
            to: Some(to),
            new_folders: Vec::new(),
            old_folders: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn active(sequence: u64) -> ActiveUpdate {
        ActiveUpdate {
            component: "core".parse().unwrap(),
            kind: UpdateType::Partial,
            from: Some(Version::new(0, 9, 0)),
            version: Version::new(sequence, 0, 0),
            sequence,
            channel: "stable".parse().unwrap(),
            state: UpdateState::Staged,
            found: at(1),
            staged: Some(at(2)),
            bytes: 100,
            seconds: 7,
            fallbacks: 1,
            error: None,
            patches: Vec::new(),
            unknown: Vec::new(),
        }
    }

    #[test]
    fn an_update_becomes_history_and_its_end_is_added_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        ActiveUpdates { updates: vec![active(1)] }.save(&dir).unwrap();
        record_outcome(&dir, &[part(1)], SwapOutcome::Applied, at(3)).unwrap();
        move_outcomes_to_history(&dir, None).unwrap();
        assert_eq!(ActiveUpdates::load(&dir).unwrap().unwrap().updates, []);
        record_outcome(&dir, &[part(1)], SwapOutcome::Confirmed, at(4)).unwrap();
        let outcomes = dir.read_small(OUTCOMES_FILE, 1000).unwrap().unwrap();
        move_outcomes_to_history(&dir, None).unwrap();
        // A crash before the outcomes are gone.
        dir.replace(OUTCOMES_FILE, &outcomes, 0o600).unwrap();
        move_outcomes_to_history(&dir, None).unwrap();
        assert!(!has_outcomes(&dir).unwrap());
        let history = History::load(&dir).unwrap().unwrap();
        let [past] = &history.updates[..] else { panic!("{history:?}") };
        assert_eq!((past.found, past.staged, past.installed), (Some(at(1)), Some(at(2)), Some(at(3))));
        assert_eq!(
            (past.confirmed, past.result, past.bytes, past.seconds),
            (Some(at(4)), UpdateState::Confirmed, 100, 7)
        );
        assert_eq!(past.kind, UpdateType::Partial);
    }

    #[test]
    fn a_failed_swap_is_history_and_may_be_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        ActiveUpdates { updates: vec![active(1)] }.save(&dir).unwrap();
        record_outcome(&dir, &[part(1)], SwapOutcome::Failed("no-space"), at(3)).unwrap();
        record_outcome(&dir, &[part(1)], SwapOutcome::Applied, at(4)).unwrap();
        record_outcome(&dir, &[part(1)], SwapOutcome::RolledBack(RollbackReason::Exited(1)), at(5)).unwrap();
        move_outcomes_to_history(&dir, None).unwrap();
        let history = History::load(&dir).unwrap().unwrap();
        let results: Vec<_> = history.updates.iter().map(|past| (past.result, past.error.as_deref())).collect();
        assert_eq!(results, [(UpdateState::RolledBack, Some("exited:1")), (UpdateState::Failed, Some("no-space"))]);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        History { limit: 3, updates: Vec::new() }.save(&dir).unwrap();
        for sequence in 1..=5 {
            record_outcome(&dir, &[part(sequence)], SwapOutcome::Confirmed, at(1)).unwrap();
        }
        move_outcomes_to_history(&dir, None).unwrap();
        let history = History::load(&dir).unwrap().unwrap();
        let sequences = |history: History| history.updates.iter().map(|past| past.sequence).collect::<Vec<_>>();
        assert_eq!(sequences(history), [5, 4, 3]);
        // The number of the program counts more than that of the file, and is saved there.
        record_outcome(&dir, &[part(6)], SwapOutcome::Confirmed, at(1)).unwrap();
        move_outcomes_to_history(&dir, Some(2)).unwrap();
        let history = History::load(&dir).unwrap().unwrap();
        assert_eq!(history.limit, 2);
        assert_eq!(sequences(history), [6, 5]);
    }

    #[test]
    fn history_survives_a_round_trip_with_what_it_does_not_know() {
        let lines = outcomes::lines("2026-11-21T00:00:00Z core 1 - 1.0.0 applied -\nno line\n");
        let mut history = History { limit: 7, updates: vec![PastUpdate::new(&lines[0], None)] };
        history.updates[0].unknown.push(("mood".into(), "<good>".into()));
        assert_eq!(History::parse(history.write().as_bytes()), Ok(history));
    }
}
