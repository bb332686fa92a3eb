//! The durable record of one swap: its plan, written once, and its state, a file of one line.
//!
//! `txn/plan.xml` holds for every path of every component the content before and after; `journal` holds a state and the
//! hash of that plan. Both are replaced atomically. What has been done is never counted: recovery looks at the disk.

use crate::disk::fs::{Dir, Found};
use crate::disk::inventory::PathContent;
use crate::disk::layout::StateDir;
use crate::error::{Defect, Machine, Result};
use crate::formats::manifest::{Component, Manifest, Meta};
use crate::formats::xml::{DECLARATION, XmlElement, XmlError, XmlReader, XmlTag, push_attribute};
use crate::values::digest::Sha256;
use crate::values::rel_path::{MANIFEST, PathDefect, RelPath};
use semver::Version;
use std::path::PathBuf;
use std::str::FromStr;

/// The journal's file name in the state folder.
pub const JOURNAL: &str = "journal";
/// The folder of the plan and of the backups in a state or work folder.
pub const TRANSACTIONS: &str = "txn";
const PLAN: &str = "plan.xml";
/// The longest plan that is read: 200,000 steps of a path and two contents each, for several components.
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
    /// The new version is installed and on probation: the backups are kept, and it can be taken back.
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

/// Everything that one swap changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Whether the new version must prove itself before the backups go.
    pub probation: bool,
    /// Each component once.
    pub components: Vec<ComponentSteps>,
}

/// What a swap changes in one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentSteps {
    /// The component.
    pub component: Component,
    /// Its folder when the plan was made; a plan for another folder is not carried out.
    pub dir: PathBuf,
    /// Whether stage and backups lie in the component's own `.patcher`, it being on another file system.
    pub own_work_dir: bool,
    /// The version before, for people.
    pub from: Option<Version>,
    /// The release after; none for a removal.
    pub to: Option<ReleaseContent>,
    /// Folders that the new version needs and that are not there, outermost first.
    pub new_folders: Vec<String>,
    /// Folders that hold nothing of the new version, innermost first, with their modes: removed if they end up empty.
    pub old_folders: Vec<(String, u32)>,
    /// Every path that changes; the manifest is the last.
    pub steps: Vec<Step>,
}

/// A release that a component is to become: enough to know it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseContent {
    /// Its version, for people.
    pub version: Version,
    /// Its sequence.
    pub sequence: u64,
    /// Its [`content_id`](crate::formats::manifest::Manifest::content_id).
    pub content: Sha256,
}

impl From<&Manifest> for ReleaseContent {
    fn from(manifest: &Manifest) -> Self {
        let Meta { version, sequence, .. } = &manifest.meta;
        Self { version: version.clone(), sequence: *sequence, content: manifest.content_id() }
    }
}

/// One path's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The path.
    pub place: SwapPath,
    /// What it holds before.
    pub old: PathContent,
    /// What it holds after.
    pub new: PathContent,
    /// The file in the stage that becomes it; none for a link or a removal.
    pub staged: Option<String>,
}

/// A path that a swap may change: a listed one, or the manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SwapPath {
    /// A path of a release.
    Listed(RelPath),
    /// `manifest.xml`.
    Manifest,
}

impl SwapPath {
    /// The path below the component's folder.
    pub fn as_str(&self) -> &str {
        match self {
            SwapPath::Listed(path) => path.as_str(),
            SwapPath::Manifest => MANIFEST,
        }
    }
}

impl FromStr for SwapPath {
    type Err = PathDefect;

    fn from_str(text: &str) -> Result<Self, PathDefect> {
        if text == MANIFEST { Ok(SwapPath::Manifest) } else { RelPath::new(text).map(SwapPath::Listed) }
    }
}

/// The swap under way.
#[derive(Debug)]
pub struct Journal {
    /// How far it has got.
    pub state: State,
    /// What it changes.
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

    /// The swap under way; none when there is none.
    ///
    /// # Errors
    /// [`Machine::JournalUnreadable`] for a journal or plan that cannot be understood; nothing is changed.
    pub fn read(state_dir: &Dir) -> Result<Option<Self>> {
        let unreadable = |detail| unreadable(state_dir, detail);
        let Some((state, plan)) = Self::peek(state_dir)? else { return Ok(None) };
        let bytes = match state_dir.folder(TRANSACTIONS)? {
            Some(folder) => folder.read_small(PLAN, MAX_PLAN)?,
            None => None,
        };
        let Some(bytes) = bytes else {
            // The plan is removed after everything else that is cleaned up, just before the journal.
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
    /// [`Machine::StateDamaged`] for a plan that could not be read again, [`Machine::Io`]; then there is no journal.
    pub fn begin(state_dir: &Dir, transaction: Transaction) -> Result<Self> {
        let folder = state_dir.folder_or_new(TRANSACTIONS, 0o700)?;
        let text = write(&transaction);
        if Transaction::parse(text.as_bytes()).as_ref() != Ok(&transaction) {
            let detail =
                "the plan does not survive being written; is there a control character in a folder's name?".into();
            return Err(Machine::StateDamaged { path: folder.join(PLAN), detail }.into());
        }
        // A journal of a swap that was prepared and never begun must not stand beside another plan than its own.
        Self::end(state_dir)?;
        folder.replace(PLAN, text.as_bytes(), 0o600)?;
        let mut journal = Self { state: State::Prepared, transaction, plan: Sha256::of(text.as_bytes()) };
        journal.advance(state_dir, State::Prepared)?;
        Ok(journal)
    }

    /// Writes states that are still to come beside the plan, so that to [`advance`](Self::advance) to one of them later takes
    /// a rename and a sync, and nothing else. Changes nothing for anybody who does not.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn write_ahead(&self, state_dir: &Dir, states: &[State]) -> Result<()> {
        let folder = state_dir.folder_or_new(TRANSACTIONS, 0o700)?;
        let mut before = (state_dir, JOURNAL.to_owned());
        for state in states {
            // The file that this state will replace gets a second name: to free a file takes as long as to sync a folder.
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

    /// What the journal says when the swap is in this state.
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

impl Transaction {
    /// The state in which its new version is installed.
    pub fn installed(&self) -> State {
        if self.probation { State::Committed } else { State::Confirmed }
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// What is not as a plan is written; every path in it keeps the rules of manifests.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut transaction = Self::default();
        reader.root("transaction")?;
        while let Some(XmlTag::Open(element)) = reader.tag()? {
            match element.name {
                "probation" if !transaction.probation => {
                    element.finish()?;
                    reader.expect_close()?;
                    transaction.probation = true;
                }
                "component" => transaction.components.push(component(&mut reader, element)?),
                _ => return Err(element.unknown()),
            }
        }
        reader.end()?;
        Ok(transaction)
    }
}

fn write(transaction: &Transaction) -> String {
    let mut text = format!("{DECLARATION}<transaction format=\"1\">\n");
    if transaction.probation {
        text.push_str("  <probation/>\n");
    }
    for part in &transaction.components {
        text.push_str("  <component");
        push_attribute(&mut text, "name", &part.component);
        push_attribute(&mut text, "dir", part.dir.display());
        push_attribute(&mut text, "own-work-dir", part.own_work_dir);
        if let Some(version) = &part.from {
            push_attribute(&mut text, "from", version);
        }
        if let Some(release) = &part.to {
            push_attribute(&mut text, "to", &release.version);
            push_attribute(&mut text, "sequence", release.sequence);
            push_attribute(&mut text, "content", release.content);
        }
        text.push_str(">\n");
        for path in &part.new_folders {
            text.push_str("    <new-folder");
            push_attribute(&mut text, "path", path);
            text.push_str("/>\n");
        }
        for (path, mode) in &part.old_folders {
            text.push_str("    <old-folder");
            push_attribute(&mut text, "path", path);
            push_attribute(&mut text, "mode", format_args!("{mode:o}"));
            text.push_str("/>\n");
        }
        for step in &part.steps {
            text.push_str("    <step");
            push_attribute(&mut text, "path", step.place.as_str());
            push_attribute(&mut text, "old", &step.old);
            push_attribute(&mut text, "new", &step.new);
            if let Some(staged) = &step.staged {
                push_attribute(&mut text, "staged", staged);
            }
            text.push_str("/>\n");
        }
        text.push_str("  </component>\n");
    }
    text.push_str("</transaction>\n");
    text
}

fn component(reader: &mut XmlReader<'_>, mut element: XmlElement<'_>) -> Result<ComponentSteps, XmlError> {
    let mut part = ComponentSteps {
        component: element.value("name", Defect::Name)?,
        dir: PathBuf::from(element.required("dir")?.into_owned()),
        own_work_dir: element.boolean("own-work-dir")?,
        from: element.optional_value("from", Defect::Version)?,
        to: match element.optional_value("to", Defect::Version)? {
            Some(version) => Some(ReleaseContent {
                version,
                sequence: element.number("sequence")?,
                content: element.value("content", Defect::Hash)?,
            }),
            None => None,
        },
        new_folders: Vec::new(),
        old_folders: Vec::new(),
        steps: Vec::new(),
    };
    element.finish()?;
    while let Some(XmlTag::Open(mut child)) = reader.tag()? {
        match child.name {
            "new-folder" => part.new_folders.push(folder(&mut child)?),
            "old-folder" => {
                let path = folder(&mut child)?;
                part.old_folders.push((path, mode(&mut child)?));
            }
            "step" => part.steps.push(Step {
                place: child.value("path", Defect::Syntax)?,
                old: child.value("old", Defect::Syntax)?,
                new: child.value("new", Defect::Syntax)?,
                staged: match child.optional("staged") {
                    Some(name) if is_staged_name(&name) => Some(name.into_owned()),
                    Some(name) => return Err(child.error(Defect::Syntax, format!("staged name {name:?}"))),
                    None => None,
                },
            }),
            _ => return Err(child.unknown()),
        }
        child.finish()?;
        reader.expect_close()?;
    }
    Ok(part)
}

/// A folder's path, held to the grammar of manifests again: a plan leads nowhere out of its component.
fn folder(element: &mut XmlElement<'_>) -> Result<String, XmlError> {
    let text = element.required("path")?;
    let path = RelPath::new(&text).map_err(|defect| element.error(Defect::Path(defect), format!("path {text:?}")))?;
    Ok(path.as_str().to_owned())
}

fn mode(element: &mut XmlElement<'_>) -> Result<u32, XmlError> {
    let text = element.required("mode")?;
    let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| element.error(Defect::Number, format!("mode {text:?}")))
}

/// The names that the stage gives to its files: a hash and a number.
fn is_staged_name(name: &str) -> bool {
    let parts = name.split_once('-');
    name == MANIFEST
        || parts.is_some_and(|(hash, number)| hash.parse::<Sha256>().is_ok() && number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Transaction {
        let file = |bytes: &[u8], mode| PathContent::File { sha256: Sha256::of(bytes), mode };
        let listed = |path| SwapPath::Listed(RelPath::new(path).unwrap());
        Transaction {
            probation: true,
            components: vec![ComponentSteps {
                component: "core".parse().unwrap(),
                dir: "/opt/a & b/core".into(),
                own_work_dir: false,
                from: Some(Version::new(1, 0, 0)),
                to: Some(ReleaseContent {
                    version: Version::new(2, 0, 0),
                    sequence: u64::MAX,
                    content: Sha256::of(b"content"),
                }),
                new_folders: vec!["a".into(), "a/b".into()],
                old_folders: vec![("old".into(), 0o750)],
                steps: vec![
                    Step { place: listed("old/x"), old: file(b"1", 0o600), new: PathContent::Absent, staged: None },
                    Step {
                        place: listed("a/b/<&>'".replace(['<', '>'], "").as_str()),
                        old: PathContent::Absent,
                        new: file(b"2", 0o755),
                        staged: Some(format!("{}-0", Sha256::of(b"2"))),
                    },
                    Step {
                        place: listed("link"),
                        old: PathContent::Folder,
                        new: PathContent::Link { target: "a/b".into() },
                        staged: None,
                    },
                    Step {
                        place: SwapPath::Manifest,
                        old: file(b"m", 0o644),
                        new: file(b"n", 0o644),
                        staged: Some(MANIFEST.into()),
                    },
                ],
            }],
        }
    }

    #[test]
    fn a_plan_survives_a_round_trip() {
        let transaction = example();
        assert_eq!(Transaction::parse(write(&transaction).as_bytes()), Ok(transaction));
    }

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
        transaction.components[0].dir = "/opt/a\nb".into();
        assert_eq!(Journal::begin(&dir, transaction).unwrap_err().code(), "state-damaged");
        assert!(Journal::read(&dir).unwrap().is_none());
    }

    #[test]
    fn a_plan_that_leaves_its_component_is_refused() {
        let good = write(&example());
        for (from, to) in [
            ("path=\"old/x\"", "path=\"../x\""),
            ("path=\"old/x\"", "path=\"/x\""),
            ("path=\"a/b\"", "path=\"a/../../b\""),
            ("name=\"core\"", "name=\"../core\""),
            ("staged=\"manifest.xml\"", "staged=\"../manifest.xml\""),
            ("staged=\"manifest.xml\"", "staged=\"x\""),
            ("<step", "<stop"),
            ("own-work-dir=\"false\"", "own-work-dir=\"\""),
        ] {
            assert!(good.contains(from), "{from}");
            Transaction::parse(good.replacen(from, to, 1).as_bytes()).unwrap_err();
        }
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
