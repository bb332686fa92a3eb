//! `active-update.xml`: the updates in progress, one for each component, with a patch for each
//! object to fetch.

use super::file::StateFile;
use super::update::{UnknownAttribute, UpdateState, UpdateType, push_optional, push_unknown};
use crate::error::Defect;
use crate::formats::manifest::{Channel, Component};
use crate::formats::xml::{DECLARATION, XmlElement, XmlError, XmlReader, XmlTag, push_attribute};
use crate::values::digest::Sha256;
use crate::values::timestamp::Timestamp;
use semver::Version;

/// The updates in progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveUpdates {
    /// The updates, each component once.
    pub updates: Vec<ActiveUpdate>,
}

/// An update in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveUpdate {
    /// The component.
    pub component: Component,
    /// The kind of download.
    pub kind: UpdateType,
    /// The version before; `None` for a first installation.
    pub from: Option<Version>,
    /// The new version.
    pub version: Version,
    /// The sequence of the new release.
    pub sequence: u64,
    /// The channel.
    pub channel: Channel,
    /// The state of the update.
    pub state: UpdateState,
    /// The time when the download began.
    pub found: Timestamp,
    /// The time when the download was complete.
    pub staged: Option<Timestamp>,
    /// The fetched bytes, of all attempts.
    pub bytes: u64,
    /// The time spent on fetching in seconds, of all attempts.
    pub seconds: u64,
    /// The number of objects that were fetched because a cheaper way had failed.
    pub fallbacks: u64,
    /// The code of the error that stopped it last.
    pub error: Option<String>,
    /// The objects that it fetches.
    pub patches: Vec<ObjectDownload>,
    /// Attributes that this version does not know.
    pub unknown: Vec<UnknownAttribute>,
}

/// One object of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDownload {
    /// The kind of object: deltas or chunks, or a whole file.
    pub kind: UpdateType,
    /// The URL of the object.
    pub url: String,
    /// The URL that the redirects led to.
    pub final_url: Option<String>,
    /// The SHA-256 of the object.
    pub hash: Sha256,
    /// The size of the object in bytes.
    pub size: u64,
    /// The number of bytes on the disk.
    pub bytes: u64,
    /// The state of the object: downloading, staged or failed.
    pub state: UpdateState,
    /// The code of the error that stopped it last.
    pub error: Option<String>,
    /// Attributes that this version does not know.
    pub unknown: Vec<UnknownAttribute>,
}

impl ActiveUpdates {
    /// Returns the update of a component, if it has one.
    pub fn of(&self, component: &Component) -> Option<&ActiveUpdate> {
        self.updates.iter().find(|update| update.component == *component)
    }

    /// Adds an update in the place of the earlier one of its component.
    pub fn set(&mut self, update: ActiveUpdate) {
        match self.updates.iter_mut().find(|other| other.component == update.component) {
            Some(other) => *other = update,
            None => self.updates.push(update),
        }
    }

    /// Removes and returns the update of a component.
    pub fn take(&mut self, component: &Component) -> Option<ActiveUpdate> {
        let at = self.updates.iter().position(|update| update.component == *component)?;
        Some(self.updates.remove(at))
    }
}

impl StateFile for ActiveUpdates {
    const NAME: &'static str = "active-update.xml";
    /// 200,000 patches for each of some components.
    const MAX_BYTES: u64 = 256 << 20;

    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut active = Self::default();
        reader.root("active-update")?;
        while let Some(XmlTag::Open(element)) = reader.tag()? {
            if element.name != "update" {
                return Err(element.unknown());
            }
            let mut update = update(element)?;
            while let Some(XmlTag::Open(element)) = reader.tag()? {
                if element.name != "patch" {
                    return Err(element.unknown());
                }
                update.patches.push(patch(element)?);
                reader.expect_close()?;
            }
            active.updates.push(update);
        }
        reader.end()?;
        Ok(active)
    }

    fn write(&self) -> String {
        let mut text = format!("{DECLARATION}<active-update format=\"1\">\n");
        for update in &self.updates {
            text.push_str("  <update");
            push_attribute(&mut text, "component", &update.component);
            push_attribute(&mut text, "type", update.kind);
            push_optional(&mut text, "from", update.from.as_ref());
            push_attribute(&mut text, "version", &update.version);
            push_attribute(&mut text, "sequence", update.sequence);
            push_attribute(&mut text, "channel", &update.channel);
            push_attribute(&mut text, "state", update.state);
            push_attribute(&mut text, "found", update.found);
            push_optional(&mut text, "staged", update.staged);
            push_attribute(&mut text, "bytes", update.bytes);
            push_attribute(&mut text, "seconds", update.seconds);
            push_attribute(&mut text, "fallbacks", update.fallbacks);
            push_optional(&mut text, "error", update.error.as_ref());
            push_unknown(&mut text, &update.unknown);
            text.push_str(">\n");
            for patch in &update.patches {
                text.push_str("    <patch");
                push_attribute(&mut text, "type", patch.kind);
                push_attribute(&mut text, "url", &patch.url);
                push_optional(&mut text, "final-url", patch.final_url.as_ref());
                push_attribute(&mut text, "hash-function", "sha256");
                push_attribute(&mut text, "hash-value", patch.hash);
                push_attribute(&mut text, "size", patch.size);
                push_attribute(&mut text, "bytes", patch.bytes);
                push_attribute(&mut text, "state", patch.state);
                push_optional(&mut text, "error", patch.error.as_ref());
                push_unknown(&mut text, &patch.unknown);
                text.push_str("/>\n");
            }
            text.push_str("  </update>\n");
        }
        text.push_str("</active-update>\n");
        text
    }
}

fn update(mut element: XmlElement<'_>) -> Result<ActiveUpdate, XmlError> {
    Ok(ActiveUpdate {
        component: element.value("component", Defect::Name)?,
        kind: element.value("type", Defect::Syntax)?,
        from: element.optional_value("from", Defect::Version)?,
        version: element.value("version", Defect::Version)?,
        sequence: element.number("sequence")?,
        channel: element.value("channel", Defect::Name)?,
        state: element.value("state", Defect::Syntax)?,
        found: element.value("found", Defect::Time)?,
        staged: element.optional_value("staged", Defect::Time)?,
        bytes: element.number("bytes")?,
        seconds: element.number("seconds")?,
        fallbacks: element.number("fallbacks")?,
        error: element.optional("error").map(Into::into),
        patches: Vec::new(),
        unknown: element.rest(),
    })
}

fn patch(mut element: XmlElement<'_>) -> Result<ObjectDownload, XmlError> {
    let function = element.required("hash-function")?;
    if function != "sha256" {
        return Err(element.error(Defect::Hash, format!("hash function `{function}`")));
    }
    Ok(ObjectDownload {
        kind: element.value("type", Defect::Syntax)?,
        url: element.required("url")?.into_owned(),
        final_url: element.optional("final-url").map(Into::into),
        hash: element.value("hash-value", Defect::Hash)?,
        size: element.number("size")?,
        bytes: element.number("bytes")?,
        state: element.value("state", Defect::Syntax)?,
        error: element.optional("error").map(Into::into),
        unknown: element.rest(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fs::Dir;

    fn example() -> ActiveUpdates {
        let patch = ObjectDownload {
            kind: UpdateType::Partial,
            url: "http://a/core/objects/ab/ab.gz?&".into(),
            final_url: Some("http://b/".into()),
            hash: Sha256::of(b"object"),
            size: 9,
            bytes: 4,
            state: UpdateState::Failed,
            error: Some("cut-off".into()),
            unknown: Vec::new(),
        };
        let update = ActiveUpdate {
            component: "core".parse().unwrap(),
            kind: UpdateType::Complete,
            from: None,
            version: Version::new(2, 0, 0),
            sequence: u64::MAX,
            channel: "stable".parse().unwrap(),
            state: UpdateState::Downloading,
            found: Timestamp::from_unix(0),
            staged: None,
            bytes: 4,
            seconds: 1,
            fallbacks: 0,
            error: None,
            patches: vec![patch.clone(), ObjectDownload { final_url: None, error: None, ..patch }],
            unknown: Vec::new(),
        };
        ActiveUpdates { updates: vec![update] }
    }

    #[test]
    fn updates_under_way_survive_a_round_trip() {
        assert_eq!(ActiveUpdates::parse(example().write().as_bytes()), Ok(example()));
    }

    #[test]
    fn attributes_of_a_later_version_survive_a_rewrite() {
        let text =
            example().write().replace("<update ", "<update mood=\"good\" ").replace("<patch ", "<patch via=\"&lt;\" ");
        let active = ActiveUpdates::parse(text.as_bytes()).unwrap();
        let again = active.write();
        assert!(again.contains(" mood=\"good\"") && again.matches(" via=\"&lt;\"").count() == 2, "{again}");
        assert_eq!(ActiveUpdates::parse(again.as_bytes()), Ok(active));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        dir.replace(ActiveUpdates::NAME, b"<active-update", 0o600).unwrap();
        assert_eq!(ActiveUpdates::load(&dir).unwrap(), Some(ActiveUpdates::default()));
        assert_eq!(super::super::damaged_files(&dir).unwrap(), ["active-update.xml.damaged"]);
        assert_eq!(ActiveUpdates::load(&dir).unwrap(), None);
    }
}
