//! The administrator's policy: rules for the updates of all installations on a machine.
//!
//! The file belongs to the administrators. It binds every program that links the library, and it
//! wins over the settings of the program and of its user. `read` reads the file, `hours` is the
//! part of the day in which clients download, and `metered` looks at the network.
//! `docs/guide/administrator.md` explains the rules.

mod hours;
mod metered;
mod read;

pub use hours::Hours;
pub use metered::is_metered;
pub use read::{default_path, read_policy};

use crate::transfer::fetch::{self, ProxyAddress};
use crate::values::names::{Channel, Component};
use crate::values::timestamp::Timestamp;
use semver::{Version, VersionReq};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The rules of a policy for one install root.
#[derive(Debug, Clone, Default)]
pub struct PolicyRules {
    /// `Some(false)` if clients install no updates.
    pub updates: Option<bool>,
    /// The channel to follow.
    pub channel: Option<Channel>,
    /// The site to ask instead of those in the manifests.
    pub mirror: Option<ProxyAddress>,
    /// The proxy for all requests.
    pub proxy: Option<ProxyAddress>,
    /// The hosts to reach without a proxy.
    pub no_proxy: Option<String>,
    /// The highest rate, in bytes per second.
    pub rate_limit: Option<u64>,
    /// The part of the day in which clients download.
    pub hours: Option<Hours>,
    /// `Some(false)` if clients download nothing on a metered network.
    pub metered: Option<bool>,
    /// The days between the first sight of a release and its installation.
    pub cooldown_days: Option<u32>,
    /// The accepted versions of components.
    pub versions: BTreeMap<Component, VersionReq>,
}

/// The rules in force for an install root.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The policy file.
    pub path: PathBuf,
    /// The rules, as the file writes them: `cooldown-days = 7`. No rule shows a password.
    pub rules: Vec<String>,
}

/// The rule of a policy that defers a release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyRule {
    /// The version is not in the accepted range.
    Version {
        /// The accepted versions, as in `~2.3`.
        accepted: String,
    },
    /// The machine has seen the release for fewer days than the policy demands.
    Cooldown {
        /// The time from which the client offers it.
        until: Timestamp,
    },
    /// Clients download only in another part of the day.
    Hours {
        /// The permitted part, as in `22:00-06:00`.
        allowed: String,
    },
    /// Clients download nothing on a metered network.
    Metered,
}

impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { accepted } => write!(f, "the administrator accepts the versions {accepted}"),
            Self::Cooldown { until } => write!(f, "the administrator lets new releases wait, this one until {until}"),
            Self::Hours { allowed } => write!(f, "the administrator allows downloads at {allowed}"),
            Self::Metered => f.write_str("the administrator allows no downloads on a metered network"),
        }
    }
}

impl PolicyRules {
    /// Returns `false` if the policy turns updates off.
    pub fn allows_updates(&self) -> bool {
        self.updates.unwrap_or(true)
    }

    /// Returns the rule that forbids a version of a component.
    pub fn version_rule(&self, component: &Component, version: &Version) -> Option<PolicyRule> {
        let accepted = self.versions.get(component).filter(|accepted| !accepted.matches(version))?;
        Some(PolicyRule::Version { accepted: accepted.to_string() })
    }

    /// Returns the rule that forbids a download at a minute of the day.
    pub fn hours_rule(&self, minute: u32) -> Option<PolicyRule> {
        let hours = self.hours.filter(|hours| !hours.contains(minute))?;
        Some(PolicyRule::Hours { allowed: hours.to_string() })
    }

    /// Returns the rule that forbids a download on the network of now.
    ///
    /// A network of which nothing is known is not metered: `is_metered` returns `None`.
    pub fn metered_rule(&self, is_metered: impl FnOnce() -> Option<bool>) -> Option<PolicyRule> {
        let is_forbidden = self.metered == Some(false) && is_metered() == Some(true);
        is_forbidden.then_some(PolicyRule::Metered)
    }

    /// Returns these rules, with those replaced that `narrower` sets.
    fn overridden_by(self, narrower: Self) -> Self {
        let mut versions = self.versions;
        versions.extend(narrower.versions);
        Self {
            updates: narrower.updates.or(self.updates),
            channel: narrower.channel.or(self.channel),
            mirror: narrower.mirror.or(self.mirror),
            proxy: narrower.proxy.or(self.proxy),
            no_proxy: narrower.no_proxy.or(self.no_proxy),
            rate_limit: narrower.rate_limit.or(self.rate_limit),
            hours: narrower.hours.or(self.hours),
            metered: narrower.metered.or(self.metered),
            cooldown_days: narrower.cooldown_days.or(self.cooldown_days),
            versions,
        }
    }

    /// Returns the rules as lines of a policy file.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let shown = |url: &ProxyAddress| fetch::without_secrets(&url.0).to_owned();
        let mut add = |name: &str, value: Option<String>| lines.extend(value.map(|value| format!("{name} = {value}")));
        add("updates", self.updates.map(|updates| updates.to_string()));
        add("channel", self.channel.as_ref().map(Channel::to_string));
        add("mirror", self.mirror.as_ref().map(shown));
        add("proxy", self.proxy.as_ref().map(shown));
        add("no-proxy", self.no_proxy.clone());
        add("rate-limit", self.rate_limit.map(|rate| rate.to_string()));
        add("hours", self.hours.map(|hours| hours.to_string()));
        add("metered", self.metered.map(|metered| metered.to_string()));
        add("cooldown-days", self.cooldown_days.map(|days| days.to_string()));
        self.versions.iter().for_each(|(component, accepted)| lines.push(format!("versions.{component} = {accepted}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_network_that_is_known_to_be_metered_forbids_downloads() {
        let rule = |metered, network| PolicyRules { metered, ..PolicyRules::default() }.metered_rule(|| network);
        assert_eq!(rule(Some(false), Some(true)), Some(PolicyRule::Metered));
        for (metered, network) in [(Some(false), Some(false)), (Some(false), None), (Some(true), Some(true))] {
            assert_eq!(rule(metered, network), None);
        }
        assert_eq!(PolicyRules::default().metered_rule(|| panic!("no rule looks at the network")), None);
    }
}
