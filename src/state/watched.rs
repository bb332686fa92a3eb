//! `watch.xml`: when the site was last asked by the watcher, and how often in a row that has
//! failed.

use super::file::StateFile;
use crate::error::Defect;
use crate::formats::xml::{DECLARATION, XmlError, XmlReader, XmlTag, push_attribute};
use crate::values::timestamp::Timestamp;
use std::time::Duration;

/// The record that a watcher leaves for the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatcherState {
    /// The last check and the failures in a row that it ends.
    pub last: Option<(Timestamp, u32)>,
}

impl WatcherState {
    /// Returns `true` if the last check is at least `period` ago, or in the future by a wrong
    /// clock.
    pub fn is_due(&self, now: Timestamp, period: Duration) -> bool {
        let since = self.last.and_then(|(last, _)| u64::try_from(now.unix() - last.unix()).ok());
        since.is_none_or(|seconds| Duration::from_secs(seconds) >= period)
    }
}

impl StateFile for WatcherState {
    const NAME: &'static str = "watch.xml";

    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut watched = Self::default();
        reader.root("watch")?;
        while let Some(XmlTag::Open(mut element)) = reader.tag()? {
            match element.name {
                "check" => {
                    let at = element.value("at", Defect::Time)?;
                    watched.last = Some((at, element.value("failures", Defect::Number)?));
                }
                _ => return Err(element.unknown()),
            }
            element.finish()?;
            reader.expect_close()?;
        }
        reader.end()?;
        Ok(watched)
    }

    fn write(&self) -> String {
        let mut text = format!("{DECLARATION}<watch format=\"1\">\n");
        if let Some((at, failures)) = self.last {
            text.push_str("  <check");
            push_attribute(&mut text, "at", at);
            push_attribute(&mut text, "failures", failures);
            text.push_str("/>\n");
        }
        text.push_str("</watch>\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_due_once_in_a_period() {
        let (day, at) = (Duration::from_secs(86_400), Timestamp::from_unix);
        assert!(WatcherState::default().is_due(at(0), day));
        let watched = WatcherState { last: Some((at(100), 0)) };
        let due = [100, 86_499, 86_500, 99].map(|now| watched.is_due(at(now), day));
        assert_eq!(due, [false, false, true, true]);
    }

    #[test]
    fn the_last_check_survives_a_round_trip() {
        for watched in [WatcherState::default(), WatcherState { last: Some((Timestamp::from_unix(5), 2)) }] {
            assert_eq!(WatcherState::parse(watched.write().as_bytes()), Ok(watched));
        }
    }
}
