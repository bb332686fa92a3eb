//! `choices.xml`: the user's decisions about updates, and the random number for rollouts.
//!
//! The number decides in which share of the machines this one is. It never leaves the machine.

use super::file::StateFile;
use crate::error::Defect;
use crate::formats::manifest::Component;
use crate::formats::xml::{DECLARATION, XmlError, XmlReader, XmlTag, push_attribute};
use crate::values::digest::Sha256;
use crate::values::timestamp::Timestamp;
use semver::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};

/// The most skipped versions in the file. The oldest ones are dropped.
const MAX_SKIPPED_VERSIONS: usize = 100;

/// The user's decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// The time at which the user paused downloads; `None` if they are allowed.
    pub paused: Option<Timestamp>,
    skipped: Vec<(Component, Version)>,
    removed: BTreeSet<Component>,
    draw: Option<u64>,
    /// The components whose adoption was counted, each with the last week; `None` if the user has
    /// not agreed to be counted.
    counted_weeks: Option<BTreeMap<Component, String>>,
}

impl Choices {
    /// Returns `true` if the user has skipped this version.
    pub fn skips(&self, component: &Component, version: &Version) -> bool {
        self.skipped.iter().any(|(name, skipped)| name == component && skipped == version)
    }

    /// Records that the user skips this version.
    pub fn skip(&mut self, component: Component, version: Version) {
        self.skipped.retain(|(name, skipped)| *name != component || *skipped != version);
        self.skipped.push((component, version));
        self.skipped.drain(..self.skipped.len().saturating_sub(MAX_SKIPPED_VERSIONS));
    }

    /// Removes a version from the skipped ones; returns `true` if it was one.
    pub fn unskip(&mut self, component: &Component, version: &Version) -> bool {
        let before = self.skipped.len();
        self.skipped.retain(|(name, skipped)| name != component || skipped != version);
        self.skipped.len() < before
    }

    /// Returns `true` if the user has removed this component, or if its installation has not ended.
    pub fn is_removed(&self, component: &Component) -> bool {
        self.removed.contains(component)
    }

    /// Records whether this component counts as removed; returns `true` if that is a change.
    pub fn set_removed(&mut self, component: &Component, is_removed: bool) -> bool {
        if is_removed { self.removed.insert(component.clone()) } else { self.removed.remove(component) }
    }

    /// Returns `true` if the user agrees that adoption is counted.
    pub fn allows_adoption(&self) -> bool {
        self.counted_weeks.is_some()
    }

    /// Records whether the user agrees that adoption is counted.
    pub fn allow_adoption(&mut self, is_allowed: bool) {
        self.counted_weeks = if is_allowed { Some(self.counted_weeks.take().unwrap_or_default()) } else { None };
    }

    /// Records that a component is counted in a week.
    ///
    /// Returns `false` if the user has not agreed, or if the week was counted before.
    pub fn count_adoption(&mut self, component: &Component, week: &str) -> bool {
        let Some(weeks) = &mut self.counted_weeks else { return false };
        weeks.insert(component.clone(), week.to_owned()).as_deref() != Some(week)
    }

    /// Draws the random number unless it was drawn before; returns `true` if it is new.
    pub fn draw_number(&mut self) -> bool {
        let none = self.draw.is_none();
        self.draw.get_or_insert_with(|| RandomState::new().hash_one(0));
        none
    }

    /// Returns `true` if this machine is among the `percent` of all to which a release is offered.
    ///
    /// Each version has another share of the machines. The share only grows with the percentage.
    pub fn is_in_rollout(&self, percent: u8, component: &Component, version: &Version) -> bool {
        let ticket = format!("{:016x} {component} {version}", self.draw.unwrap_or_default());
        let [a, b, c, d, ..] = *Sha256::of(ticket.as_bytes()).as_bytes();
        u32::from_be_bytes([a, b, c, d]) % 100 < u32::from(percent)
    }
}

impl StateFile for Choices {
    const NAME: &'static str = "choices.xml";

    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut choices = Self::default();
        reader.root("choices")?;
        while let Some(XmlTag::Open(mut element)) = reader.tag()? {
            match element.name {
                "paused" => choices.paused = Some(element.value("since", Defect::Time)?),
                "skip" => choices
                    .skipped
                    .push((element.value("component", Defect::Name)?, element.value("version", Defect::Version)?)),
                "removed" => drop(choices.removed.insert(element.value("component", Defect::Name)?)),
                "draw" => choices.draw = Some(element.number("number")?),
                "adoption" => choices.allow_adoption(true),
                "counted" => {
                    let (component, week) = (element.value("component", Defect::Name)?, element.required("week")?);
                    choices.count_adoption(&component, &week);
                }
                _ => return Err(element.unknown()),
            }
            element.finish()?;
            reader.expect_close()?;
        }
        reader.end()?;
        Ok(choices)
    }

    fn write(&self) -> String {
        let mut text = format!("{DECLARATION}<choices format=\"1\">\n");
        if let Some(since) = self.paused {
            text.push_str("  <paused");
            push_attribute(&mut text, "since", since);
            text.push_str("/>\n");
        }
        for (component, version) in &self.skipped {
            text.push_str("  <skip");
            push_attribute(&mut text, "component", component);
            push_attribute(&mut text, "version", version);
            text.push_str("/>\n");
        }
        for component in &self.removed {
            text.push_str("  <removed");
            push_attribute(&mut text, "component", component);
            text.push_str("/>\n");
        }
        if let Some(number) = self.draw {
            text.push_str("  <draw");
            push_attribute(&mut text, "number", number);
            text.push_str("/>\n");
        }
        if let Some(weeks) = &self.counted_weeks {
            text.push_str("  <adoption/>\n");
            for (component, week) in weeks {
                text.push_str("  <counted");
                push_attribute(&mut text, "component", component);
                push_attribute(&mut text, "week", week);
                text.push_str("/>\n");
            }
        }
        text.push_str("</choices>\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core() -> Component {
        "core".parse().unwrap()
    }

    #[test]
    fn choices_survive_a_round_trip() {
        let mut choices = Choices { paused: Some(Timestamp::from_unix(9)), ..Choices::default() };
        choices.skip(core(), Version::new(2, 0, 0));
        assert!(choices.set_removed(&core(), true) && !choices.set_removed(&core(), true));
        choices.draw_number();
        choices.allow_adoption(true);
        assert!(choices.count_adoption(&core(), "2026-W49"));
        assert_eq!(Choices::parse(choices.write().as_bytes()), Ok(choices));
    }

    #[test]
    fn a_component_is_counted_once_a_week_and_only_if_the_user_agrees() {
        let mut choices = Choices::default();
        let mut count = |allowed: bool, week| {
            choices.allow_adoption(allowed);
            choices.count_adoption(&core(), week)
        };
        let weeks =
            [(false, "2026-W49"), (true, "2026-W49"), (true, "2026-W49"), (true, "2026-W50"), (false, "2026-W51")];
        assert_eq!(weeks.map(|(allowed, week)| count(allowed, week)), [false, true, false, true, false]);
    }

    #[test]
    fn one_version_is_skipped_and_no_other() {
        let mut choices = Choices::default();
        choices.skip(core(), Version::new(2, 0, 0));
        assert!(choices.skips(&core(), &Version::new(2, 0, 0)));
        assert!(!choices.skips(&core(), &Version::new(2, 0, 1)));
        assert!(choices.unskip(&core(), &Version::new(2, 0, 0)));
        assert!(!choices.skips(&core(), &Version::new(2, 0, 0)));
    }

    #[test]
    fn a_share_of_the_machines_takes_part_and_stays_when_it_grows() {
        let versions: Vec<Version> = (0..10).map(|patch| Version::new(1, 0, patch)).collect();
        let machines = (0..1000).map(|draw| Choices { draw: Some(draw), ..Choices::default() });
        let mut counts = [0; 3];
        for machine in machines {
            for version in &versions {
                let taking = [0, 10, 50].map(|percent| machine.is_in_rollout(percent, &core(), version));
                assert!(!taking[0] && (!taking[1] || taking[2]));
                counts.iter_mut().zip(taking).for_each(|(count, takes)| *count += usize::from(takes));
            }
        }
        assert_eq!(counts[0], 0);
        assert!((900..1100).contains(&counts[1]) && (4800..5200).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn a_number_is_drawn_once() {
        let mut choices = Choices::default();
        assert!(choices.draw_number());
        let drawn = choices.clone();
        assert!(!choices.draw_number());
        assert_eq!(choices, drawn);
    }
}
