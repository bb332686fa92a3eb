//! `sights.xml`: the time at which this machine first saw each release, while a policy demands a
//! cooldown.

use super::file::StateFile;
use crate::error::Defect;
use crate::formats::manifest::{Channel, Component};
use crate::formats::xml::{DECLARATION, XmlError, XmlReader, XmlTag, push_attribute};
use crate::values::digest::Sha256;
use crate::values::timestamp::Timestamp;

/// The most first sights of each channel of a component. The oldest ones are dropped.
const MAX_SIGHTS: usize = 20;

/// The first sights of releases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstSights(Vec<FirstSight>);

/// The time at which this machine first saw a release.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FirstSight {
    component: Component,
    channel: Channel,
    /// The [content id](crate::formats::manifest::Manifest::content_id), which a renewal keeps.
    content: Sha256,
    at: Timestamp,
}

impl FirstSights {
    /// Returns the time at which this machine first saw a release, and `true` if that is now.
    ///
    /// A first sight in the future was recorded by a wrong clock, and starts anew.
    pub fn first_sight(
        &mut self,
        component: &Component,
        channel: &Channel,
        content: Sha256,
        now: Timestamp,
    ) -> (Timestamp, bool) {
        let is_channel = |sight: &FirstSight| sight.component == *component && sight.channel == *channel;
        let is_release = |sight: &FirstSight| is_channel(sight) && sight.content == content;
        if let Some(sight) = self.0.iter().find(|sight| is_release(sight) && sight.at <= now) {
            return (sight.at, false);
        }
        self.0.retain(|sight| !is_release(sight));
        if self.0.iter().filter(|sight| is_channel(sight)).count() >= MAX_SIGHTS
            && let Some(oldest) = self.0.iter().position(is_channel)
        {
            self.0.remove(oldest);
        }
        self.0.push(FirstSight { component: component.clone(), channel: channel.clone(), content, at: now });
        (now, true)
    }
}

impl StateFile for FirstSights {
    const NAME: &'static str = "sights.xml";

    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut sights = Vec::new();
        reader.root("sights")?;
        while let Some(XmlTag::Open(mut element)) = reader.tag()? {
            match element.name {
                "release" => sights.push(FirstSight {
                    component: element.value("component", Defect::Name)?,
                    channel: element.value("channel", Defect::Name)?,
                    content: element.value("content", Defect::Hash)?,
                    at: element.value("at", Defect::Time)?,
                }),
                _ => return Err(element.unknown()),
            }
            element.finish()?;
            reader.expect_close()?;
        }
        reader.end()?;
        Ok(Self(sights))
    }

    fn write(&self) -> String {
        let mut text = format!("{DECLARATION}<sights format=\"1\">\n");
        for sight in &self.0 {
            text.push_str("  <release");
            push_attribute(&mut text, "component", &sight.component);
            push_attribute(&mut text, "channel", &sight.channel);
            push_attribute(&mut text, "content", sight.content);
            push_attribute(&mut text, "at", sight.at);
            text.push_str("/>\n");
        }
        text.push_str("</sights>\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sight_of_a_release_stays() {
        let at = |seconds: i64| Timestamp::from_unix(1_000_000 + seconds);
        let (core, stable) = ("core".parse().unwrap(), "stable".parse().unwrap());
        let content = |number: u64| Sha256::of(&number.to_be_bytes());
        let mut seen = FirstSights::default();
        assert_eq!(seen.first_sight(&core, &stable, content(0), at(0)), (at(0), true));
        assert_eq!(seen.first_sight(&core, &stable, content(0), at(9)), (at(0), false));
        assert_eq!(seen.first_sight(&core, &stable, content(0), at(-1)), (at(-1), true), "the clock was set back");
        for number in 1..MAX_SIGHTS as u64 + 5 {
            assert_eq!(seen.first_sight(&core, &stable, content(number), at(10)), (at(10), true));
        }
        assert_eq!(seen.0.len(), MAX_SIGHTS);
        assert_eq!(seen.first_sight(&core, &stable, content(MAX_SIGHTS as u64), at(11)), (at(10), false));
        assert_eq!(FirstSights::parse(seen.write().as_bytes()), Ok(seen));
    }
}
