//! The durable record of one swap: its plan, written once, and its state, a file of one line.
//!
//! `txn/plan.xml` holds the plan; `journal` holds the state and the hash of that plan. Both are
//! replaced atomically. The journal never counts what was done: recovery compares the disk with the
//! plan.

mod plan;

pub use plan::{ComponentSteps, ReleaseContent, Step, SwapPath, Transaction, write as write_plan};

use crate::disk::fs::{Dir, Found};
use crate::disk::layout::{DAMAGED_SUFFIX, StateDir};
use crate::error::{Machine, Result};
use crate::values::digest::Sha256;

/// The journal's file name in the state folder.
pub const JOURNAL: &str = "journal";
/// The folder of the plan and of the backups in a state or work folder.
pub const TRANSACTIONS: &str = "txn";
const PLAN: &str = "plan.xml";
/// The longest plan that the updater reads: 200,000 steps of a path and two contents each, for
/// several components.
pub const MAX_PLAN_BYTES: u64 = 256 << 20;
/// The longest journal that the updater reads.
const MAX_LINE_BYTES: u64 = 100;

/// The state of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalState {
    /// Everything is staged; nothing is changed.
    Prepared,
    /// Everything is backed up; files are being replaced.
    Applying,
    /// The new version is installed and on probation. The backups are kept for a rollback.
    Committed,
    /// The new version stays. Backups and plan remain to be deleted.
    Confirmed,
}

impl JournalState {
    const ALL: [Self; 4] = [Self::Prepared, Self::Applying, Self::Committed, Self::Confirmed];

    /// Returns the word in the journal.
    fn word(self) -> &'static str {
        match self {
            Self::Prepared => "PREPARED",
            Self::Applying => "APPLYING",
            Self::Committed => "COMMITTED",
            Self::Confirmed => "CONFIRMED",
        }
    }

    /// Returns the name of the file beside the plan to which this state is written ahead.
    ///
    /// No component has such a name.
    fn ahead(self) -> String {
        format!("{JOURNAL}.{}", self.word())
    }
}

/// A swap that is prepared, in progress or on probation.
#[derive(Debug)]
pub struct Journal {
    /// The state of the swap.
    pub state: JournalState,
    /// The changes.
    pub transaction: Transaction,
    /// The hash of its plan, which identifies the swap.
    pub plan: Sha256,
}

impl Journal {
    /// Returns the state and the plan's hash, without reading the plan.
    ///
    /// Returns `None` if the state folder has no journal.
    ///
    /// # Errors
    /// [`Machine::JournalUnreadable`].
    pub fn peek(state_dir: &Dir) -> Result<Option<(JournalState, Sha256)>> {
        let unreadable = |detail| unreadable(state_dir, detail);
        let Some(line) =
            state_dir.read_small(JOURNAL, MAX_LINE_BYTES).map_err(|error| unreadable(error.to_string()))?
        else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&line);
        parse_line(&line).map(Some).ok_or_else(|| unreadable(format!("it says {line:?}")).into())
    }

    /// Returns the state and the plan's hash as text.
    ///
    /// Returns `None` without a journal, or if the journal cannot be read.
    pub fn mark(state_dir: &Dir) -> Option<String> {
        let (state, plan) = Self::peek(state_dir).ok()??;
        Some(format!("{} {plan}", state.word()))
    }

    /// Reads the journal and its plan; returns `None` if the state folder has no journal.
    ///
    /// # Errors
    /// [`Machine::JournalUnreadable`] for a journal or a plan.
    pub fn read(state_dir: &Dir) -> Result<Option<Self>> {
        let unreadable = |detail| unreadable(state_dir, detail);
        let Some((state, plan)) = Self::peek(state_dir)? else { return Ok(None) };
        let read = |folder: Option<Dir>| folder.map_or(Ok(None), |folder| folder.read_small(PLAN, MAX_PLAN_BYTES));
        let bytes = state_dir.folder(TRANSACTIONS).and_then(read).map_err(|error| unreadable(error.to_string()))?;
        let Some(bytes) = bytes else {
            // The plan is removed after everything else that is cleaned up, just before the
            // journal.
            return match state {
                JournalState::Confirmed => Ok(Some(Self { state, transaction: Transaction::default(), plan })),
                _ => Err(unreadable("its plan is missing".into()).into()),
            };
        };
        if Sha256::of(&bytes) != plan {
            return Err(unreadable("its plan is another one".into()).into());
        }
        let transaction = Transaction::parse(&bytes)
            .map_err(|flaw| unreadable(format!("plan line {}: {}", flaw.line, flaw.detail)))?;
        Ok(Some(Self { state, transaction, plan }))
    }

    /// Renames the backups and a journal that cannot be read to `NAME.damaged`, `NAME-2.damaged`
    /// and so on.
    ///
    /// # Errors
    /// [`Machine::Io`].
    #[cfg(feature = "client")]
    pub fn set_aside(state_dir: &Dir) -> Result<()> {
        // The journal last: without it, the backups would be leftovers.
        for name in [TRANSACTIONS, JOURNAL] {
            set_aside(state_dir, name)?;
        }
        state_dir.sync()
    }

    /// Writes the plan of a new swap and the state [`JournalState::Prepared`].
    ///
    /// # Errors
    /// [`Machine::StateDamaged`] for a plan that could not be read again, [`Machine::Io`]. After an
    /// error, the state folder has no journal.
    pub fn begin(state_dir: &Dir, transaction: Transaction) -> Result<Self> {
        let folder = state_dir.folder_or_new(TRANSACTIONS, 0o700)?;
        let text = plan::write(&transaction);
        if Transaction::parse(text.as_bytes()).as_ref() != Ok(&transaction) {
            let detail =
                "the plan does not survive being written; a version or a link holds a control character".into();
            return Err(Machine::StateDamaged { path: folder.join(PLAN), detail }.into());
        }
        // The journal of an earlier prepared swap must not lie beside the new plan.
        Self::end(state_dir)?;
        folder.replace(PLAN, text.as_bytes(), 0o600)?;
        let mut journal = Self { state: JournalState::Prepared, transaction, plan: Sha256::of(text.as_bytes()) };
        journal.advance(state_dir, JournalState::Prepared)?;
        Ok(journal)
    }

    /// Writes later states to files beside the plan.
    ///
    /// [`advance`](Self::advance) to one of them then takes only a rename and a sync. Without such
    /// a call the files have no effect.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn write_ahead(&self, state_dir: &Dir, states: &[JournalState]) -> Result<()> {
        let folder = state_dir.folder_or_new(TRANSACTIONS, 0o700)?;
        let mut before = (state_dir, JOURNAL.to_owned());
        for state in states {
            // The file that this state will replace gets a second name. Otherwise the rename would
            // free the file, which takes as long as the sync of a folder.
            let second = format!("{}.before", state.ahead());
            folder.remove_file(&second)?;
            before.0.hard_link(&before.1, &folder, &second)?;
            folder.replace(&state.ahead(), self.line(*state).as_bytes(), 0o600)?;
            before = (&folder, state.ahead());
        }
        Ok(())
    }

    /// Writes the next state, which is durable when this returns.
    ///
    /// # Errors
    /// [`Machine::Io`]; the disk then has the state before or the new one.
    pub fn advance(&mut self, state_dir: &Dir, state: JournalState) -> Result<()> {
        let line = self.line(state);
        // Whatever else has this name is of no use, and bars no decision.
        let read = |folder: &Dir| folder.read_small(&state.ahead(), MAX_LINE_BYTES).ok().flatten();
        let is_ahead = |folder: &Dir| read(folder).as_deref() == Some(line.as_bytes());
        match state_dir.folder(TRANSACTIONS)? {
            // Its bytes were durable before it had this name.
            Some(folder) if is_ahead(&folder) => {
                folder.rename(&state.ahead(), state_dir, JOURNAL)?;
                state_dir.sync()?;
            }
            _ => state_dir.replace(JOURNAL, line.as_bytes(), 0o600)?,
        }
        self.state = state;
        Ok(())
    }

    /// Returns the text of the journal for this state of the swap.
    fn line(&self, state: JournalState) -> String {
        format!("{} {}\n", state.word(), self.plan)
    }

    /// Removes the journal durably. Call it when nothing remains to be undone or finished.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn end(state_dir: &Dir) -> Result<()> {
        if state_dir.find(JOURNAL)? == Found::Absent {
            return Ok(());
        }
        state_dir.remove_file(JOURNAL)?;
        state_dir.sync()
    }
}

/// Renames an entry to `NAME.damaged`, or to `NAME-2.damaged` and so on; does nothing if it is
/// absent.
///
/// # Errors
/// [`Machine::Io`].
pub fn set_aside(state_dir: &Dir, name: &str) -> Result<()> {
    let mut aside = format!("{name}{DAMAGED_SUFFIX}");
    for number in 2.. {
        if state_dir.find(name)? == Found::Absent || state_dir.rename_new(name, state_dir, &aside)? {
            break;
        }
        aside = format!("{name}-{number}{DAMAGED_SUFFIX}");
    }
    Ok(())
}

fn unreadable(state_dir: &Dir, detail: String) -> Machine {
    let layout = StateDir { dir: state_dir.path().to_owned() };
    Machine::JournalUnreadable { path: layout.journal(), detail }
}

fn parse_line(line: &str) -> Option<(JournalState, Sha256)> {
    let (word, hash) = line.strip_suffix('\n')?.split_once(' ')?;
    let state = JournalState::ALL.into_iter().find(|state| state.word() == word)?;
    Some((state, hash.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::plan::tests::example;
    use super::*;
    use crate::disk::inventory::PathContent;

    #[test]
    fn states_follow_each_other_and_end() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        assert!(Journal::read(&dir).unwrap().is_none());
        let mut journal = Journal::begin(&dir, example()).unwrap();
        for state in [JournalState::Prepared, JournalState::Applying, JournalState::Committed, JournalState::Confirmed]
        {
            journal.advance(&dir, state).unwrap();
            let read = Journal::read(&dir).unwrap().unwrap();
            assert_eq!((read.state, &read.transaction), (state, &example()));
        }
        Journal::end(&dir).unwrap();
        assert!(Journal::read(&dir).unwrap().is_none());
    }

    #[test]
    fn a_state_that_was_written_ahead_is_moved_into_its_place_if_it_is_of_this_plan() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        let mut journal = Journal::begin(&dir, example()).unwrap();
        journal.write_ahead(&dir, &[JournalState::Applying, JournalState::Committed]).unwrap();
        assert_eq!(Journal::peek(&dir).unwrap(), Some((JournalState::Prepared, journal.plan)));
        let folder = dir.folder(TRANSACTIONS).unwrap().unwrap();
        folder.replace("journal.COMMITTED", b"COMMITTED of another plan\n", 0o600).unwrap();
        for (state, left) in [(JournalState::Applying, false), (JournalState::Committed, true)] {
            journal.advance(&dir, state).unwrap();
            assert_eq!(Journal::peek(&dir).unwrap(), Some((state, journal.plan)));
            assert_eq!(folder.find(&state.ahead()).unwrap() != Found::Absent, left);
        }
    }

    #[test]
    fn a_plan_that_could_not_be_read_again_is_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        let mut transaction = example();
        transaction.components[0].steps[2].new = PathContent::Link { target: "a\nb".into() };
        assert_eq!(Journal::begin(&dir, transaction).unwrap_err().code(), "state-damaged");
        assert!(Journal::read(&dir).unwrap().is_none());
    }

    #[test]
    fn a_journal_without_its_plan_is_unreadable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let dir = Dir::open(dir.path()).unwrap();
        let code = || Journal::read(&dir).unwrap_err().code();
        Journal::begin(&dir, example()).unwrap();
        let plan = path.join("txn/plan.xml");
        let bytes = std::fs::read(&plan).unwrap();
        std::fs::write(&plan, [&bytes[..], b"\n"].concat()).unwrap();
        assert_eq!(code(), "journal-unreadable");
        std::fs::remove_file(&plan).unwrap();
        assert_eq!(code(), "journal-unreadable");
        for line in ["", "PREPARED", "DONE 00\n", "PREPARED zz\n", &"x".repeat(200)] {
            std::fs::write(path.join("journal"), line).unwrap();
            assert_eq!(code(), "journal-unreadable", "{line}");
        }
    }
}
