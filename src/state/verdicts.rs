//! `verdicts.xml`: the releases that did not work on this machine.
//!
//! The client does not offer them again. It recognizes a release that was rolled back by its
//! content: the same files under a new signature are still the same release. It recognizes a
//! release whose swap failed by its sequence, because the cause may be in this machine.

use super::file::StateFile;
use crate::error::Defect;
use crate::formats::manifest::Component;
use crate::formats::xml::{DECLARATION, XmlElement, XmlError, XmlReader, XmlTag, push_attribute};
use crate::state::journal::{ComponentSteps, ReleaseContent};
use crate::values::digest::Sha256;
use crate::values::timestamp::Timestamp;
use semver::Version;
use std::fmt;
use std::str::FromStr;

/// The most verdicts of each kind in the file. The oldest ones are dropped.
const MAX_VERDICTS: usize = 100;
/// The number of failed swaps after which the client no longer offers a release.
pub const MAX_SWAP_ATTEMPTS: u32 = 3;

/// The releases that did not work on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    bad: Vec<BadRelease>,
    failed: Vec<FailedSwap>,
}

/// A release that was installed, did not work, and was rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRelease {
    /// The component.
    pub component: Component,
    /// The version, for people.
    pub version: Version,
    /// The release's [`content_id`](crate::formats::manifest::Manifest::content_id).
    pub content: Sha256,
    /// The reason of the rollback.
    pub reason: RollbackReason,
    /// The time of the rollback.
    pub at: Timestamp,
}

/// A release whose swap has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedSwap {
    /// The component.
    pub component: Component,
    /// The release's sequence.
    pub sequence: u64,
    /// The number of failed swaps.
    pub attempts: u32,
}

/// The reason why a new version was rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RollbackReason {
    /// The program ended with this exit code before it confirmed.
    Exited(i32),
    /// This signal ended the program before it confirmed.
    Killed(i32),
    /// The system could not start the program.
    NotStarted,
    /// The program ran for the whole probation and did not confirm.
    Silent,
    /// The program was started three times and did not confirm.
    Unconfirmed,
    /// The user or the program asked for the old version.
    Asked,
}

impl fmt::Display for RollbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RollbackReason::Exited(code) => write!(f, "it ended with exit code {code}"),
            RollbackReason::Killed(signal) => write!(f, "it was ended by signal {signal}"),
            RollbackReason::NotStarted => f.write_str("it could not be started"),
            RollbackReason::Silent => f.write_str("it did not confirm that it works"),
            RollbackReason::Unconfirmed => {
                f.write_str("it was started several times and never confirmed that it works")
            }
            RollbackReason::Asked => f.write_str("the old version was requested"),
        }
    }
}

impl RollbackReason {
    /// Returns the reason as one word, which [`FromStr`] parses.
    pub fn word(&self) -> String {
        match self {
            RollbackReason::Exited(code) => format!("exited:{code}"),
            RollbackReason::Killed(signal) => format!("killed:{signal}"),
            RollbackReason::NotStarted => "not-started".to_owned(),
            RollbackReason::Silent => "silent".to_owned(),
            RollbackReason::Unconfirmed => "unconfirmed".to_owned(),
            RollbackReason::Asked => "asked".to_owned(),
        }
    }
}

/// The error for a text that no [`RollbackReason::word`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason for a rollback")]
pub struct NotARollbackReason;

impl FromStr for RollbackReason {
    type Err = NotARollbackReason;

    fn from_str(word: &str) -> Result<Self, NotARollbackReason> {
        let (name, number) = word.split_once(':').map_or((word, None), |(name, number)| (name, number.parse().ok()));
        match (name, number) {
            ("exited", Some(code)) => Ok(RollbackReason::Exited(code)),
            ("killed", Some(signal)) => Ok(RollbackReason::Killed(signal)),
            ("not-started", None) => Ok(RollbackReason::NotStarted),
            ("silent", None) => Ok(RollbackReason::Silent),
            ("unconfirmed", None) => Ok(RollbackReason::Unconfirmed),
            ("asked", None) => Ok(RollbackReason::Asked),
            _ => Err(NotARollbackReason),
        }
    }
}

impl Verdicts {
    /// Returns the verdict on a release, if it was rolled back.
    pub fn bad_release(&self, component: &Component, content: &Sha256) -> Option<&BadRelease> {
        self.bad.iter().find(|bad| bad.component == *component && bad.content == *content)
    }

    /// Returns the number of failed swaps to a release.
    pub fn failed_swaps(&self, component: &Component, sequence: u64) -> u32 {
        let same = |failed: &&FailedSwap| failed.component == *component && failed.sequence == sequence;
        self.failed.iter().find(same).map_or(0, |failed| failed.attempts)
    }

    /// Records that every release of these steps was rolled back.
    pub fn record_rollback(&mut self, components: &[ComponentSteps], reason: RollbackReason, at: Timestamp) {
        for (component, ReleaseContent { version, content, .. }) in releases(components) {
            self.bad.retain(|bad| bad.component != *component || bad.content != *content);
            let (component, version, content) = (component.clone(), version.clone(), *content);
            self.bad.push(BadRelease { component, version, content, reason, at });
        }
        keep_newest(&mut self.bad);
    }

    /// Counts a failed swap for every release of these steps.
    pub fn count_failed_swap(&mut self, components: &[ComponentSteps]) {
        for (component, ReleaseContent { sequence, .. }) in releases(components) {
            let attempts = self.failed_swaps(component, *sequence).saturating_add(1);
            // A failed swap to an older release no longer matters.
            self.failed.retain(|failed| failed.component != *component);
            self.failed.push(FailedSwap { component: component.clone(), sequence: *sequence, attempts });
        }
        keep_newest(&mut self.failed);
    }

    /// Removes the verdicts on a release that the user installs all the same.
    ///
    /// Returns `true` if there was one.
    pub fn remove(&mut self, component: &Component, content: &Sha256, sequence: u64) -> bool {
        let before = self.bad.len() + self.failed.len();
        self.bad.retain(|bad| bad.component != *component || bad.content != *content);
        self.failed.retain(|failed| failed.component != *component || failed.sequence != sequence);
        self.bad.len() + self.failed.len() < before
    }
}

impl StateFile for Verdicts {
    const NAME: &'static str = "verdicts.xml";

    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut verdicts = Self::default();
        reader.root("verdicts")?;
        while let Some(XmlTag::Open(mut element)) = reader.tag()? {
            match element.name {
                "bad" => verdicts.bad.push(bad(&mut element)?),
                "failed" => verdicts.failed.push(FailedSwap {
                    component: element.value("component", Defect::Name)?,
                    sequence: element.number("sequence")?,
                    attempts: element.value("attempts", Defect::Number)?,
                }),
                _ => return Err(element.unknown()),
            }
            element.finish()?;
            reader.expect_close()?;
        }
        reader.end()?;
        Ok(verdicts)
    }

    fn write(&self) -> String {
        let mut text = format!("{DECLARATION}<verdicts format=\"1\">\n");
        for bad in &self.bad {
            text.push_str("  <bad");
            push_attribute(&mut text, "component", &bad.component);
            push_attribute(&mut text, "version", &bad.version);
            push_attribute(&mut text, "content", bad.content);
            push_attribute(&mut text, "reason", bad.reason.word());
            push_attribute(&mut text, "at", bad.at);
            text.push_str("/>\n");
        }
        for failed in &self.failed {
            text.push_str("  <failed");
            push_attribute(&mut text, "component", &failed.component);
            push_attribute(&mut text, "sequence", failed.sequence);
            push_attribute(&mut text, "attempts", failed.attempts);
            text.push_str("/>\n");
        }
        text.push_str("</verdicts>\n");
        text
    }
}

fn bad(element: &mut XmlElement<'_>) -> Result<BadRelease, XmlError> {
    Ok(BadRelease {
        component: element.value("component", Defect::Name)?,
        version: element.value("version", Defect::Version)?,
        content: element.value("content", Defect::Hash)?,
        reason: element.value("reason", Defect::Syntax)?,
        at: element.value("at", Defect::Time)?,
    })
}

/// Returns the releases that the steps install; a removal installs none.
fn releases(components: &[ComponentSteps]) -> impl Iterator<Item = (&Component, &ReleaseContent)> {
    components.iter().filter_map(|part| Some((&part.component, part.to.as_ref()?)))
}

fn keep_newest<T>(list: &mut Vec<T>) {
    list.drain(..list.len().saturating_sub(MAX_VERDICTS));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fs::Dir;

    fn steps(sequence: u64, content: &[u8]) -> Vec<ComponentSteps> {
        let to = ReleaseContent { version: Version::new(2, 0, 0), sequence, content: Sha256::of(content) };
        vec![ComponentSteps {
            component: "core".parse().unwrap(),
            own_work_dir: false,
            elsewhere: false,
            from: None,
            to: Some(to),
            new_folders: Vec::new(),
            old_folders: Vec::new(),
            steps: Vec::new(),
        }]
    }

    #[test]
    fn verdicts_survive_a_round_trip_and_a_damaged_file_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        let mut verdicts = Verdicts::default();
        for reason in [
            RollbackReason::Exited(-1),
            RollbackReason::Killed(9),
            RollbackReason::NotStarted,
            RollbackReason::Silent,
            RollbackReason::Asked,
        ] {
            verdicts.record_rollback(&steps(1, reason.word().as_bytes()), reason, Timestamp::from_unix(0));
        }
        verdicts.count_failed_swap(&steps(u64::MAX, b""));
        verdicts.save(&dir).unwrap();
        assert_eq!(Verdicts::load_or_default(&dir).unwrap(), verdicts);
        dir.replace(Verdicts::NAME, b"<verdicts", 0o600).unwrap();
        assert_eq!(Verdicts::load_or_default(&dir).unwrap(), Verdicts::default());
    }

    #[test]
    fn a_bad_release_is_known_by_its_content_until_it_is_forgiven() {
        let core: Component = "core".parse().unwrap();
        let mut verdicts = Verdicts::default();
        verdicts.record_rollback(&steps(7, b"a"), RollbackReason::Silent, Timestamp::from_unix(0));
        assert_eq!(verdicts.bad_release(&core, &Sha256::of(b"a")).unwrap().reason, RollbackReason::Silent);
        assert!(verdicts.bad_release(&core, &Sha256::of(b"b")).is_none());
        assert!(verdicts.remove(&core, &Sha256::of(b"a"), 8));
        assert!(verdicts.bad_release(&core, &Sha256::of(b"a")).is_none());
    }

    #[test]
    fn failures_are_counted_for_one_sequence_only() {
        let core: Component = "core".parse().unwrap();
        let mut verdicts = Verdicts::default();
        verdicts.count_failed_swap(&steps(7, b"a"));
        verdicts.count_failed_swap(&steps(7, b"a"));
        assert_eq!(verdicts.failed_swaps(&core, 7), 2);
        assert_eq!(verdicts.failed_swaps(&core, 8), 0);
        verdicts.count_failed_swap(&steps(8, b"b"));
        assert_eq!((verdicts.failed_swaps(&core, 7), verdicts.failed_swaps(&core, 8)), (0, 1));
    }

    #[test]
    fn only_the_newest_verdicts_are_kept() {
        let mut verdicts = Verdicts::default();
        for number in 0..150_u64 {
            verdicts.record_rollback(
                &steps(number, &number.to_le_bytes()),
                RollbackReason::Asked,
                Timestamp::from_unix(0),
            );
        }
        assert_eq!(verdicts.bad.len(), MAX_VERDICTS);
        assert_eq!(verdicts.bad[0].content, Sha256::of(&50_u64.to_le_bytes()));
    }
}
