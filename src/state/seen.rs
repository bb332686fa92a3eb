//! `seen.xml`: the highest release ever verified for each component and channel, and the servers
//! that ask clients to wait.
//!
//! The floor in the installed manifest holds as well, so an attacker gains nothing by a deleted or
//! damaged file.

use super::file::StateFile;
use crate::error::Defect;
use crate::formats::manifest::{Channel, Component};
use crate::formats::xml::{DECLARATION, XmlError, XmlReader, XmlTag, push_attribute};
#[cfg(feature = "client")]
use crate::trust::VerifiedManifest;
#[cfg(feature = "client")]
use crate::trust::keys::TrustedKeys;
use crate::values::digest::Sha256;
use crate::values::release_order::ReleaseOrder;
use crate::values::timestamp::Timestamp;

/// The time between two requests of a user to a server that asks clients to wait: 1 minute.
const ASK_AGAIN_SECONDS: i64 = 60;

/// The record of verified releases and waiting times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenReleases {
    releases: Vec<SeenRelease>,
    waits: Vec<RetryAfter>,
}

/// The highest release of a component's channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRelease {
    /// The component.
    pub component: Component,
    /// The channel.
    pub channel: Channel,
    /// Its position in the release order.
    pub order: ReleaseOrder,
}

/// A server that asked clients to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryAfter {
    /// Its host, with the port unless it is the default port of the scheme.
    pub host: String,
    /// The end of the wait.
    pub until: Timestamp,
    /// The time of the last request to it.
    pub asked: Timestamp,
}

impl SeenReleases {
    /// Returns the highest release of a component's channel.
    pub fn release(&self, component: &Component, channel: &Channel) -> Option<&SeenRelease> {
        self.releases.iter().find(|release| release.component == *component && release.channel == *channel)
    }

    /// Returns the components of all releases seen, each once for each channel.
    pub fn components(&self) -> impl Iterator<Item = Component> {
        self.releases.iter().map(|release| release.component.clone())
    }

    /// Returns the hashes of the highest bodies of a component, one for each channel.
    pub fn bodies(&self, component: &Component) -> impl Iterator<Item = Sha256> {
        let releases = self.releases.iter().filter(move |release| release.component == *component);
        releases.map(|release| release.order.body)
    }

    /// Records a verified manifest; returns `true` if it is higher than the one before.
    #[cfg(feature = "client")]
    pub fn record(&mut self, verified: &VerifiedManifest, keys: &TrustedKeys) -> bool {
        let meta = &verified.manifest().meta;
        let release = SeenRelease {
            component: meta.component.clone(),
            channel: meta.channel.clone(),
            order: verified.order().clone(),
        };
        let same = |other: &&mut SeenRelease| other.component == release.component && other.channel == release.channel;
        match self.releases.iter_mut().find(same) {
            Some(known) if release.order.is_after(&known.order, keys) => *known = release,
            Some(_) => return false,
            None => self.releases.push(release),
        }
        true
    }

    /// Returns the time before which a server allows no request; `None` if it allows one.
    ///
    /// No server asks for more than `longest` seconds: a later time means that the clock was set
    /// back.
    pub fn retry_after(&self, host: &str, now: Timestamp, longest: u64) -> Option<Timestamp> {
        let until = self.waits.iter().find(|wait| wait.host == host)?.until;
        let left = u64::try_from(until.unix() - now.unix()).ok()?;
        (1..=longest).contains(&left).then_some(until)
    }

    /// Returns `true` if a user who waits for the answer may ask a server before its time, and
    /// records the request.
    ///
    /// The user may do so once in [`ASK_AGAIN_SECONDS`].
    pub fn ask_again(&mut self, host: &str, now: Timestamp) -> bool {
        let Some(wait) = self.waits.iter_mut().find(|wait| wait.host == host) else { return true };
        let may_ask = now.unix() - wait.asked.unix() >= ASK_AGAIN_SECONDS;
        if may_ask {
            wait.asked = now;
        }
        may_ask
    }

    /// Removes the waiting time of a server; returns `true` if it had one.
    pub fn forget_retry_after(&mut self, host: &str) -> bool {
        let before = self.waits.len();
        self.waits.retain(|wait| wait.host != host);
        self.waits.len() < before
    }

    /// Records the waiting time of a server, and removes those that are over.
    pub fn record_retry_after(&mut self, wait: RetryAfter, now: Timestamp) {
        self.waits.retain(|other| other.until > now && other.host != wait.host);
        self.waits.push(wait);
    }
}

impl StateFile for SeenReleases {
    const NAME: &'static str = "seen.xml";

    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut seen = SeenReleases::default();
        reader.root("seen")?;
        while let Some(XmlTag::Open(mut element)) = reader.tag()? {
            match element.name {
                "release" => seen.releases.push(SeenRelease {
                    component: element.value("component", Defect::Name)?,
                    channel: element.value("channel", Defect::Name)?,
                    order: ReleaseOrder {
                        key: element.value("key", Defect::Hash)?,
                        sequence: element.number("sequence")?,
                        body: element.value("body", Defect::Hash)?,
                    },
                }),
                "wait" => seen.waits.push(RetryAfter {
                    host: element.required("host")?.into_owned(),
                    until: element.value("until", Defect::Time)?,
                    asked: element.value("asked", Defect::Time)?,
                }),
                _ => return Err(element.unknown()),
            }
            element.finish()?;
            reader.expect_close()?;
        }
        reader.end()?;
        Ok(seen)
    }

    fn write(&self) -> String {
        let mut text = format!("{DECLARATION}<seen format=\"1\">\n");
        for release in &self.releases {
            text.push_str("  <release");
            push_attribute(&mut text, "component", &release.component);
            push_attribute(&mut text, "channel", &release.channel);
            push_attribute(&mut text, "key", release.order.key);
            push_attribute(&mut text, "sequence", release.order.sequence);
            push_attribute(&mut text, "body", release.order.body);
            text.push_str("/>\n");
        }
        for wait in &self.waits {
            text.push_str("  <wait");
            push_attribute(&mut text, "host", &wait.host);
            push_attribute(&mut text, "until", wait.until);
            push_attribute(&mut text, "asked", wait.asked);
            text.push_str("/>\n");
        }
        text.push_str("</seen>\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fs::Dir;

    fn example() -> SeenReleases {
        let order = ReleaseOrder { key: Sha256::of(b"key"), sequence: u64::MAX, body: Sha256::of(b"body") };
        let release = SeenRelease { component: "core".parse().unwrap(), channel: "stable".parse().unwrap(), order };
        let wait = RetryAfter {
            host: "a:8080".into(),
            until: "2027-01-01T00:00:00Z".parse().unwrap(),
            asked: "2026-12-31T23:59:00Z".parse().unwrap(),
        };
        SeenReleases { releases: vec![release], waits: vec![wait] }
    }

    #[test]
    fn what_was_seen_survives_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        example().save(&dir).unwrap();
        assert_eq!(SeenReleases::load_or_default(&dir).unwrap(), example());
    }

    #[test]
    fn a_damaged_memory_is_empty_and_can_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("seen.xml"), "<seen").unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        assert_eq!(SeenReleases::load_or_default(&dir).unwrap(), SeenReleases::default());
        example().save(&dir).unwrap();
        assert_eq!(SeenReleases::load_or_default(&dir).unwrap(), example());
    }

    #[test]
    fn a_server_is_left_alone_until_its_time_and_no_longer() {
        let at = |seconds: i64| Timestamp::from_unix(1_000 + seconds);
        let mut seen = SeenReleases::default();
        seen.record_retry_after(RetryAfter { host: "a".into(), until: at(60), asked: at(0) }, at(0));
        assert_eq!(seen.retry_after("a", at(59), 60), Some(at(60)));
        assert_eq!(seen.retry_after("a", at(60), 60), None);
        assert_eq!(seen.retry_after("b", at(0), 60), None);
        assert_eq!(seen.retry_after("a", at(-1), 60), None, "the clock was set back");
        seen.record_retry_after(RetryAfter { host: "b".into(), until: at(99), asked: at(70) }, at(70));
        assert_eq!(seen.waits.len(), 1);
    }

    #[test]
    fn a_user_may_ask_again_once_a_minute() {
        let at = |seconds: i64| Timestamp::from_unix(1_000_000 + seconds);
        let mut seen = SeenReleases::default();
        assert!(seen.ask_again("a", at(0)));
        seen.record_retry_after(RetryAfter { host: "a".into(), until: at(3600), asked: at(0) }, at(0));
        assert!(!seen.ask_again("a", at(59)) && !seen.ask_again("a", at(-3600)));
        assert!(seen.ask_again("a", at(60)));
        assert!(!seen.ask_again("a", at(61)) && seen.ask_again("a", at(120)));
        assert!(seen.forget_retry_after("a") && !seen.forget_retry_after("a"));
    }
}
