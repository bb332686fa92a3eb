//! The durable record of one swap: its plan, written once, and its state, a file of one line.
//!
//! `txn/plan.xml` holds the plan; `journal` holds the state and the hash of that plan. Both are
//! replaced atomically. The journal never counts what was done: recovery compares the disk with the
//! plan.

mod plan;

pub use plan::{ComponentSteps, ReleaseContent, Step, SwapPath, Transaction};

use crate::disk::fs::{Dir, Found};
use crate::disk::layout::StateDir;
use crate::error::{Machine, Result};
use crate::values::digest::Sha256;

/// The journal's file name in the state folder.
pub const JOURNAL: &str = "journal";
/// The folder of the plan and of the backups in a state or work folder.
pub const TRANSACTIONS: &str = "txn";
const PLAN: &str = "plan.xml";
/// The longest plan that is read: 200,000 steps of a path and two contents each, for several
/// components.
const MAX_PLAN: u64 = 256 << 20;
/// The longest journal that is read.
const MAX_LINE: u64 = 100;

/// How far a swap has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything is staged; nothing is changed.
    Prepared,
    /// Everything is backed up; files are being replaced.
    Applying,
    /// The new version is installed and on probation: the backups are kept, and it can be taken
    /// back.
    Committed,
    /// The new version stays; what is left is cleaning up.
    Confirmed,
}

impl State {
    const ALL: [Self; 4] = [Self::Prepared, Self::Applying, Self::Committed, Self::Confirmed];

    /// How the journal says it.
    fn word(self) -> &'static str {
        match self {
            Self::Prepared => "PREPARED",
            Self::Applying => "APPLYING",
            Self::Committed => "COMMITTED",
            Self::Confirmed => "CONFIRMED",
        }
    }

    /// The file beside the plan that the state is written ahead to. No component has such a name.
    fn ahead(self) -> String {
        format!("{JOURNAL}.{}", self.word())
    }
}

/// The swap under way.
#[derive(Debug)]
pub struct Journal {
    /// The state of the swap.
    pub state: State,
    /// The changes.
    pub transaction: Transaction,
    /// The hash of its plan, by which the swap is known.
    pub plan: Sha256,
}

impl Journal {
    /// The state and the plan's hash, without reading the plan; none when no swap is under way.
    ///
    /// # Errors
    /// [`Machine::JournalUnreadable`] for a journal that cannot be understood.
    pub fn peek(state_dir: &Dir) -> Result<Option<(State, Sha256)>> {
        let unreadable = |detail| unreadable(state_dir, detail);
        let Some(line) = state_dir.read_small(JOURNAL, MAX_LINE).map_err(|error| unreadable(error.to_string()))? else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&line);
        parse_line(&line).map(Some).ok_or_else(|| unreadable(format!("it says {line:?}")).into())
    }

    /// Returns state and plan as one word each; `None` when no swap is under way, or none that can
    /// be understood.
    pub fn mark(state_dir: &Dir) -> Option<String> {
        let (state, plan) = Self::peek(state_dir).ok()??;
        Some(format!("{} {plan}", state.word()))
    }

    /// The swap under way; none when there is none.
    ///
    /// # Errors
    /// [`Machine::JournalUnreadable`] for a journal or plan that cannot be understood; nothing is
    /// changed.
    pub fn read(state_dir: &Dir) -> Result<Option<Self>> {
        let unreadable = |detail| unreadable(state_dir, detail);
        let Some((state, plan)) = Self::peek(state_dir)? else { return Ok(None) };
        let bytes = match state_dir.folder(TRANSACTIONS)? {
            Some(folder) => folder.read_small(PLAN, MAX_PLAN)?,
            None => None,
        };
        let Some(bytes) = bytes else {
            // The plan is removed after everything else that is cleaned up, just before the
            // journal.
            return match state {
                State::Confirmed => Ok(Some(Self { state, transaction: Transaction::default(), plan })),
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

    /// Writes the plan of a new swap and the state [`State::Prepared`].
    ///
    /// # Errors
    /// [`Machine::StateDamaged`] for a plan that could not be read again, [`Machine::Io`]; then
    /// there is no journal.
    pub fn begin(state_dir: &Dir, transaction: Transaction) -> Result<Self> {
        let folder = state_dir.folder_or_new(TRANSACTIONS, 0o700)?;
        let text = plan::write(&transaction);
        if Transaction::parse(text.as_bytes()).as_ref() != Ok(&transaction) {
            let detail =
                "the plan does not survive being written; a version or a link holds a control character".into();
            return Err(Machine::StateDamaged { path: folder.join(PLAN), detail }.into());
        }
        // A journal of a swap that was prepared and never begun must not stand beside another plan
        // than its own.
        Self::end(state_dir)?;
        folder.replace(PLAN, text.as_bytes(), 0o600)?;
        let mut journal = Self { state: State::Prepared, transaction, plan: Sha256::of(text.as_bytes()) };
        journal.advance(state_dir, State::Prepared)?;
        Ok(journal)
    }

    /// Writes states that are still to come beside the plan, so that to [`advance`](Self::advance)
    /// to one of them later takes a rename and a sync, and nothing else. Changes nothing for
    /// anybody who does not.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn write_ahead(&self, state_dir: &Dir, states: &[State]) -> Result<()> {
        let folder = state_dir.folder_or_new(TRANSACTIONS, 0o700)?;
        let mut before = (state_dir, JOURNAL.to_owned());
        for state in states {
            // The file that this state will replace gets a second name: to free a file takes as
            // long as to sync a folder.
            let second = format!("{}.before", state.ahead());
            folder.remove_file(&second)?;
            before.0.hard_link(&before.1, &folder, &second)?;
            folder.replace(&state.ahead(), self.line(*state).as_bytes(), 0o600)?;
            before = (&folder, state.ahead());
        }
        Ok(())
    }

    /// Writes the next state, durable when this returns.
    ///
    /// # Errors
    /// [`Machine::Io`]; the state on disk may then be either.
    pub fn advance(&mut self, state_dir: &Dir, state: State) -> Result<()> {
        let line = self.line(state);
        match state_dir.folder(TRANSACTIONS)? {
            // Its bytes were durable before it had this name.
            Some(folder) if folder.read_small(&state.ahead(), MAX_LINE)?.as_deref() == Some(line.as_bytes()) => {
                folder.rename(&state.ahead(), state_dir, JOURNAL)?;
                state_dir.sync()?;
            }
            _ => state_dir.replace(JOURNAL, line.as_bytes(), 0o600)?,
        }
        self.state = state;
        Ok(())
    }

    /// Returns the text of the journal for this state of the swap.
    fn line(&self, state: State) -> String {
        format!("{} {}\n", state.word(), self.plan)
    }

    /// Ends a swap of which nothing is left to undo or to finish: the journal goes, durably.
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

fn unreadable(state_dir: &Dir, detail: String) -> Machine {
    let layout = StateDir { dir: state_dir.path().to_owned() };
    Machine::JournalUnreadable { path: layout.journal(), detail }
}

fn parse_line(line: &str) -> Option<(State, Sha256)> {
    let (word, hash) = line.strip_suffix('\n')?.split_once(' ')?;
    let state = State::ALL.into_iter().find(|state| state.word() == word)?;
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
        for state in [State::Prepared, State::Applying, State::Committed, State::Confirmed] {
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
        journal.write_ahead(&dir, &[State::Applying, State::Committed]).unwrap();
        assert_eq!(Journal::peek(&dir).unwrap(), Some((State::Prepared, journal.plan)));
        let folder = dir.folder(TRANSACTIONS).unwrap().unwrap();
        folder.replace("journal.COMMITTED", b"COMMITTED of another plan\n", 0o600).unwrap();
        for (state, left) in [(State::Applying, false), (State::Committed, true)] {
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
