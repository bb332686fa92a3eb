//! The administrator's rules at work: they turn updates off, or defer a release.

use super::{Config, Patcher};
use crate::disk::fs::Dir;
use crate::error::{Machine, Result};
use crate::formats::manifest::Manifest;
use crate::policy::{self, Policy, PolicyRule, PolicyRules};
use crate::state::{FirstSights, StateFile as _};
use crate::values::timestamp::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

impl Config {
    /// Puts the rules of the administrator in the place of the program's settings.
    ///
    /// A policy that cannot be used changes nothing here: the program starts, and its checks fail.
    pub(super) fn follow_policy(&mut self, path: PathBuf) {
        let Ok(Some(rules)) = policy::read_policy(&path, &self.root) else { return };
        let PolicyRules { channel, mirror, proxy, no_proxy, rate_limit, .. } = rules;
        if let Some(channel) = channel {
            self.channel = channel.to_string();
        }
        self.site = mirror.or(self.site.take());
        let settings = &mut self.settings;
        settings.proxy = proxy.or(settings.proxy.take());
        settings.no_proxy = no_proxy.or(settings.no_proxy.take());
        settings.rate_limit = settings.rate_limit.into_iter().chain(rate_limit).min();
    }
}

impl Patcher {
    /// Returns the administrator's rules as the file has them now; no rules without a file.
    ///
    /// # Errors
    /// [`Machine::Policy`].
    pub(super) fn policy_rules(&self) -> Result<PolicyRules> {
        Ok(policy::read_policy(&self.shared.policy, &self.shared.root.dir)?.unwrap_or_default())
    }

    /// Returns the rules in force for people; `None` without a policy file.
    pub(super) fn policy(&self) -> Result<Option<Policy>> {
        let rules = policy::read_policy(&self.shared.policy, &self.shared.root.dir)?;
        Ok(rules.map(|rules| Policy { path: self.shared.policy.clone(), rules: rules.lines() }))
    }

    /// Returns the rules, provided that they allow updates.
    ///
    /// # Errors
    /// [`Machine::Policy`], [`Machine::UpdatesOff`].
    pub(super) fn require_updates_on(&self) -> Result<PolicyRules> {
        let rules = self.policy_rules()?;
        if rules.allows_updates() {
            return Ok(rules);
        }
        Err(Machine::UpdatesOff { path: self.shared.policy.clone() }.into())
    }

    /// Returns the rule that defers a release on this machine now.
    ///
    /// The cooldown begins at the first sight of the release, which this method records. It does
    /// not apply to a critical release if several keys must sign: a thief of one key cannot sign
    /// that a release is critical then.
    pub(super) fn policy_rule(
        &self,
        state_dir: &Dir,
        rules: &PolicyRules,
        manifest: &Manifest,
    ) -> Result<Option<PolicyRule>> {
        let meta = &manifest.meta;
        if let Some(rule) = rules.version_rule(&meta.component, &meta.version) {
            return Ok(Some(rule));
        }
        let has_cooldown = !(meta.critical && self.shared.keys.threshold() > 1);
        if let Some(days) = rules.cooldown_days.filter(|days| *days > 0 && has_cooldown) {
            let now = Timestamp::now();
            let mut sights = FirstSights::load_or_default(state_dir)?;
            let (first, is_new) = sights.first_sight(&meta.component, &meta.channel, manifest.content_id(), now);
            if is_new {
                sights.save(state_dir)?;
            }
            let until = Timestamp::from_unix(first.unix() + i64::from(days) * SECONDS_PER_DAY);
            if now < until {
                return Ok(Some(PolicyRule::Cooldown { until }));
            }
        }
        Ok(download_rule(rules))
    }

    /// Returns the time until the part of the day in which the client may download, at random
    /// within its first half; `None` if it may download now.
    pub(super) fn pause_until_hours(&self, random: f64) -> Option<Duration> {
        let minute = minute_of_day();
        let hours = self.policy_rules().ok()?.hours.filter(|hours| !hours.contains(minute))?;
        let minutes = f64::from(hours.minutes_until_start(minute)) + f64::from(hours.minutes()) / 2.0 * random;
        Some(Duration::from_secs_f64(minutes * 60.0))
    }
}

/// Returns the rule that forbids downloads now, whatever the release.
pub(super) fn download_rule(rules: &PolicyRules) -> Option<PolicyRule> {
    rules.hours_rule(minute_of_day()).or_else(|| rules.metered_rule(policy::is_metered))
}

/// Returns the minute of the day by the machine's clock, in local time.
fn minute_of_day() -> u32 {
    use chrono::Timelike as _;
    // `Local::now` panics if the clock is before 1970.
    let now = chrono::DateTime::from_timestamp(Timestamp::now().unix(), 0).unwrap_or_default();
    let now = now.with_timezone(&chrono::Local);
    now.hour() * 60 + now.minute()
}
