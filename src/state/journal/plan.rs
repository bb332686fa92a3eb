//! The plan of one swap: the content of every path before and after, for each component.
//!
//! A plan names components and no folders. The helper and `recover` take the folders from their
//! arguments. So a plan cannot lead out of a component, and an install root may be moved, mounted
//! elsewhere or copied.

use crate::disk::inventory::PathContent;
use crate::error::{Defect, Result};
use crate::formats::manifest::{Component, Manifest, Meta};
use crate::formats::xml::{DECLARATION, XmlElement, XmlError, XmlReader, XmlTag, push_attribute};
use crate::state::journal::JournalState;
use crate::values::digest::Sha256;
use crate::values::rel_path::{MANIFEST_NAME, PathDefect, RelPath};
use semver::Version;
use std::str::FromStr;

/// Everything that one swap changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// `true` if the new version must confirm before the backups are deleted.
    pub probation: bool,
    /// The bodies that `seen.xml` named for its components when the swap was prepared.
    ///
    /// A release that the client sees later is newer than the prepared one. The list is empty for a
    /// swap that installs no release.
    pub seen: Vec<Sha256>,
    /// Each component once.
    pub components: Vec<ComponentSteps>,
}

/// The changes of a swap in one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentSteps {
    /// The component.
    pub component: Component,
    /// `true` if stage and backups lie in the component's own `.patcher`, because it is on another
    /// file system.
    pub own_work_dir: bool,
    /// `true` if the configuration names the component's folder.
    pub elsewhere: bool,
    /// The version before, for people.
    pub from: Option<Version>,
    /// The release after; `None` for a removal.
    pub to: Option<ReleaseContent>,
    /// Folders to create for the new version, outermost first.
    pub new_folders: Vec<String>,
    /// Folders with their modes that the new version does not need, innermost first. The swap
    /// removes those that end up empty.
    pub old_folders: Vec<(String, u32)>,
    /// Every path that changes; the manifest is the last.
    pub steps: Vec<Step>,
}

/// The release that a swap installs, as far as it identifies the release.
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
    pub path: SwapPath,
    /// The content before the swap.
    pub old: PathContent,
    /// The content after the swap.
    pub new: PathContent,
    /// The file in the stage that becomes it; `None` for a link or a removal.
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
    /// Returns the path below the component's folder.
    pub fn as_str(&self) -> &str {
        match self {
            SwapPath::Listed(path) => path.as_str(),
            SwapPath::Manifest => MANIFEST_NAME,
        }
    }
}

impl FromStr for SwapPath {
    type Err = PathDefect;

    fn from_str(text: &str) -> Result<Self, PathDefect> {
        if text == MANIFEST_NAME { Ok(SwapPath::Manifest) } else { RelPath::from_record(text).map(SwapPath::Listed) }
    }
}

impl Transaction {
    /// Returns the state that the journal gets when the new version is installed.
    pub fn installed(&self) -> JournalState {
        if self.probation { JournalState::Committed } else { JournalState::Confirmed }
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// The first rule of plans, or of paths in manifests, that the bytes break.
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
                "seen" => {
                    let mut element = element;
                    transaction.seen.push(element.value("body", Defect::Hash)?);
                    element.finish()?;
                    reader.expect_close()?;
                }
                "component" => transaction.components.push(component(&mut reader, element)?),
                _ => return Err(element.unknown()),
            }
        }
        reader.end()?;
        Ok(transaction)
    }
}

/// Writes a plan as [`Transaction::parse`] reads it.
pub fn write(transaction: &Transaction) -> String {
    let mut text = format!("{DECLARATION}<transaction format=\"1\">\n");
    if transaction.probation {
        text.push_str("  <probation/>\n");
    }
    for body in &transaction.seen {
        text.push_str("  <seen");
        push_attribute(&mut text, "body", body);
        text.push_str("/>\n");
    }
    for part in &transaction.components {
        text.push_str("  <component");
        push_attribute(&mut text, "name", &part.component);
        push_attribute(&mut text, "own-work-dir", part.own_work_dir);
        push_attribute(&mut text, "elsewhere", part.elsewhere);
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
            push_attribute(&mut text, "path", step.path.as_str());
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
        own_work_dir: element.boolean("own-work-dir")?,
        elsewhere: element.boolean("elsewhere")?,
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
                path: child.value("path", Defect::Syntax)?,
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

/// Reads a folder's path by the rules of manifests, so that no plan leads out of its component.
fn folder(element: &mut XmlElement<'_>) -> Result<String, XmlError> {
    let text = element.required("path")?;
    let path =
        RelPath::from_record(&text).map_err(|defect| element.error(Defect::Path(defect), format!("path {text:?}")))?;
    Ok(path.as_str().to_owned())
}

fn mode(element: &mut XmlElement<'_>) -> Result<u32, XmlError> {
    let text = element.required("mode")?;
    let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| element.error(Defect::Number, format!("mode {text:?}")))
}

/// Returns `true` for a name that the stage gives to a file: a hash and a number, or the manifest.
fn is_staged_name(name: &str) -> bool {
    let parts = name.split_once('-');
    name == MANIFEST_NAME
        || parts.is_some_and(|(hash, number)| hash.parse::<Sha256>().is_ok() && number.parse::<u32>().is_ok())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn example() -> Transaction {
        let file = |bytes: &[u8], mode| PathContent::File { sha256: Sha256::of(bytes), mode };
        let listed = |path| SwapPath::Listed(RelPath::new(path).unwrap());
        Transaction {
            probation: true,
            seen: vec![Sha256::of(b"seen")],
            components: vec![ComponentSteps {
                component: "core".parse().unwrap(),
                own_work_dir: false,
                elsewhere: false,
                from: Some(Version::new(1, 0, 0)),
                to: Some(ReleaseContent {
                    version: Version::new(2, 0, 0),
                    sequence: u64::MAX,
                    content: Sha256::of(b"content"),
                }),
                new_folders: vec!["a".into(), "a/b".into()],
                old_folders: vec![("old".into(), 0o750)],
                steps: vec![
                    Step { path: listed("old/x"), old: file(b"1", 0o600), new: PathContent::Absent, staged: None },
                    Step {
                        path: listed("a/b/<&>'".replace(['<', '>'], "").as_str()),
                        old: PathContent::Absent,
                        new: file(b"2", 0o755),
                        staged: Some(format!("{}-0", Sha256::of(b"2"))),
                    },
                    Step {
                        path: listed("link"),
                        old: PathContent::Folder,
                        new: PathContent::Link { target: "a/b".into() },
                        staged: None,
                    },
                    Step {
                        path: SwapPath::Manifest,
                        old: file(b"m", 0o644),
                        new: file(b"n", 0o644),
                        staged: Some(MANIFEST_NAME.into()),
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
}
