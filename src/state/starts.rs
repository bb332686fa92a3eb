//! `starts.xml`: the starts of a version on probation, and the notices for the program.
//!
//! A notice tells the program, once, that it was updated or rolled back. The file is written when
//! its content changes. The start of a confirmed version changes nothing on the disk.

use super::file::StateFile;
use crate::error::Defect;
use crate::formats::manifest::Component;
use crate::formats::xml::{DECLARATION, XmlError, XmlReader, XmlTag, push_attribute};
use crate::state::RollbackReason;
use crate::values::digest::Sha256;
use semver::Version;

/// The record of the program's starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Starts {
    /// The unconfirmed starts of the version that the swap with this plan installed.
    unconfirmed: Option<(Sha256, u32)>,
    /// The plan of a swap that a program with a terminal asked for.
    terminal: Option<Sha256>,
    /// `true` if an interrupted swap was undone.
    recovered: bool,
    /// The notices for the next start.
    news: Vec<PendingNotice>,
}

/// A change of a component that the client has not reported to the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingNotice {
    /// The component.
    pub component: Component,
    /// The version before.
    pub from: Version,
    /// The version that is installed now.
    pub to: Version,
    /// The reason why `from` was rolled back; `None` if `to` is an update.
    pub rolled_back: Option<RollbackReason>,
}

impl Starts {
    /// Returns the number of starts of the version that the swap with this plan installed.
    pub fn unconfirmed(&self, plan: &Sha256) -> u32 {
        self.unconfirmed.filter(|(of, _)| of == plan).map_or(0, |(_, count)| count)
    }

    /// Counts a start of the version that the swap with this plan installed.
    pub fn count_unconfirmed(&mut self, plan: Sha256) {
        self.unconfirmed = Some((plan, self.unconfirmed(&plan).saturating_add(1)));
    }

    /// Records a start of the version that the swap with this plan installed, without counting it.
    pub fn record_start(&mut self, plan: Sha256) {
        self.unconfirmed = Some((plan, self.unconfirmed(&plan)));
    }

    /// Returns `true` if the version that the swap with this plan installed has ever reached
    /// `init`.
    pub fn has_started(&self, plan: &Sha256) -> bool {
        self.unconfirmed.is_some_and(|(of, _)| of == *plan)
    }

    /// Returns `true` if a program with a terminal asked for the swap with this plan.
    pub fn had_terminal(&self, plan: &Sha256) -> bool {
        self.terminal.as_ref() == Some(plan)
    }

    /// Records that a program with a terminal asked for the swap with this plan.
    pub fn set_terminal(&mut self, plan: Sha256) {
        self.terminal = Some(plan);
    }

    /// Returns `true` if an interrupted swap was undone and the program does not know it yet.
    pub fn recovered(&self) -> bool {
        self.recovered
    }

    /// Records that an interrupted swap was undone, or that the program knows it.
    pub fn set_recovered(&mut self, recovered: bool) {
        self.recovered = recovered;
    }

    /// Queues a notice for the next start. It replaces an earlier one on the same component.
    pub fn queue_notice(&mut self, news: PendingNotice) {
        self.news.retain(|other| other.component != news.component);
        self.news.push(news);
    }

    /// Removes and returns the notices for the program.
    pub fn take_notices(&mut self) -> Vec<PendingNotice> {
        std::mem::take(&mut self.news)
    }
}

impl StateFile for Starts {
    const NAME: &'static str = "starts.xml";

    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut starts = Self::default();
        reader.root("starts")?;
        while let Some(XmlTag::Open(mut element)) = reader.tag()? {
            match element.name {
                "unconfirmed" if starts.unconfirmed.is_none() => {
                    let plan = element.value("plan", Defect::Hash)?;
                    starts.unconfirmed = Some((plan, element.value("count", Defect::Number)?));
                }
                "terminal" if starts.terminal.is_none() => starts.terminal = Some(element.value("plan", Defect::Hash)?),
                "recovered" if !starts.recovered => starts.recovered = true,
                "news" => starts.news.push(PendingNotice {
                    component: element.value("component", Defect::Name)?,
                    from: element.value("from", Defect::Version)?,
                    to: element.value("to", Defect::Version)?,
                    rolled_back: element.optional_value("rolled-back", Defect::Syntax)?,
                }),
                _ => return Err(element.unknown()),
            }
            element.finish()?;
            reader.expect_close()?;
        }
        reader.end()?;
        Ok(starts)
    }

    fn write(&self) -> String {
        let mut text = format!("{DECLARATION}<starts format=\"1\">\n");
        if let Some((plan, count)) = &self.unconfirmed {
            text.push_str("  <unconfirmed");
            push_attribute(&mut text, "plan", plan);
            push_attribute(&mut text, "count", count);
            text.push_str("/>\n");
        }
        if let Some(plan) = &self.terminal {
            text.push_str("  <terminal");
            push_attribute(&mut text, "plan", plan);
            text.push_str("/>\n");
        }
        if self.recovered {
            text.push_str("  <recovered/>\n");
        }
        for news in &self.news {
            text.push_str("  <news");
            push_attribute(&mut text, "component", &news.component);
            push_attribute(&mut text, "from", &news.from);
            push_attribute(&mut text, "to", &news.to);
            if let Some(reason) = &news.rolled_back {
                push_attribute(&mut text, "rolled-back", reason.word());
            }
            text.push_str("/>\n");
        }
        text.push_str("</starts>\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fs::Dir;

    fn news(from: u64, to: u64, rolled_back: Option<RollbackReason>) -> PendingNotice {
        PendingNotice {
            component: "core".parse().unwrap(),
            from: Version::new(from, 0, 0),
            to: Version::new(to, 0, 0),
            rolled_back,
        }
    }

    #[test]
    fn starts_survive_a_round_trip_and_a_damaged_file_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        assert_eq!(Starts::load(&dir).unwrap(), None);
        let mut starts = Starts::default();
        starts.count_unconfirmed(Sha256::of(b"plan"));
        starts.set_terminal(Sha256::of(b"plan"));
        starts.set_recovered(true);
        starts.queue_notice(news(2, 1, Some(RollbackReason::Exited(1))));
        starts.save(&dir).unwrap();
        assert_eq!(Starts::load(&dir).unwrap(), Some(starts));
        dir.replace(Starts::NAME, b"<starts", 0o600).unwrap();
        assert_eq!(Starts::load(&dir).unwrap(), Some(Starts::default()));
    }

    #[test]
    fn starts_are_counted_for_one_swap_only() {
        let (one, two) = (Sha256::of(b"1"), Sha256::of(b"2"));
        let mut starts = Starts::default();
        starts.count_unconfirmed(one);
        starts.count_unconfirmed(one);
        assert_eq!((starts.unconfirmed(&one), starts.unconfirmed(&two)), (2, 0));
        starts.count_unconfirmed(two);
        assert_eq!((starts.unconfirmed(&one), starts.unconfirmed(&two)), (0, 1));
        assert_eq!((starts.has_started(&one), starts.has_started(&two)), (false, true));
        starts.record_start(one);
        assert_eq!((starts.unconfirmed(&one), starts.has_started(&one)), (0, true));
    }

    #[test]
    fn news_of_a_component_replace_older_ones_and_are_told_once() {
        let mut starts = Starts::default();
        starts.queue_notice(news(1, 2, None));
        starts.queue_notice(news(2, 1, Some(RollbackReason::Silent)));
        assert_eq!(starts.take_notices(), [news(2, 1, Some(RollbackReason::Silent))]);
        assert_eq!(starts.take_notices(), []);
    }
}
