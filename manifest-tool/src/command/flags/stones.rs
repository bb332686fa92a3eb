//! The flags that send clients with old versions to a stepping stone first.

use crate::error::Result;
use crate::release::stepping_stones::StonePolicy;
use crate::setting::{checked, parsed};
use semver::Version;
use std::collections::BTreeMap;

/// Stepping stones on the command line.
#[derive(Debug, Default, Clone, clap::Args)]
pub struct StoneFlags {
    /// Send clients below VERSION first to the newest release on the site from VERSION on and below
    /// this release
    #[arg(long, value_name = "VERSION")]
    min_version: Option<String>,
    /// Send clients below a version first to the release on the site with this sequence; repeat it
    /// for each
    #[arg(long = "stepping-stone", value_name = "BELOW=SEQUENCE")]
    stones: Vec<String>,
    /// Use only the stepping stones of this command line, none from the previous release or from
    /// component.toml
    #[arg(long)]
    no_stepping_stones: bool,
}

impl StoneFlags {
    /// Returns the policy; flags take precedence over the settings of `component.toml`.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting).
    pub fn policy(self, min_version: Option<String>, stones: BTreeMap<String, u64>) -> Result<StonePolicy> {
        let carry = !self.no_stepping_stones;
        let min_version = self.min_version.or(min_version.filter(|_| carry));
        let named: Result<Vec<(Version, u64)>> = if self.stones.is_empty() && carry {
            stones.iter().map(|(below, sequence)| Ok((parsed("stepping-stone", below)?, *sequence))).collect()
        } else {
            self.stones.iter().map(|flag| named_stone(flag)).collect()
        };
        let min_versions = min_version.iter().map(|version| parsed("min-version", version)).collect::<Result<_>>()?;
        Ok(StonePolicy { carry, min_versions, named: named? })
    }
}

fn named_stone(flag: &str) -> Result<(Version, u64)> {
    let parts = flag.split_once('=').ok_or("not BELOW=SEQUENCE, as in 2.0.0=41");
    let (below, sequence) = checked("stepping-stone", flag, parts)?;
    Ok((parsed("stepping-stone", below)?, parsed("stepping-stone", sequence)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_are_none_are_bad_settings() {
        let code = |min_version: Option<&str>, below: &str| {
            let stones = BTreeMap::from([(below.to_owned(), 41)]);
            let policy = StoneFlags::default().policy(min_version.map(str::to_owned), stones);
            policy.map_err(|error| error.code()).err()
        };
        assert_eq!(code(Some("2"), "2.0.0"), Some("bad-setting"));
        assert_eq!(code(None, "2"), Some("bad-setting"));
        assert_eq!(code(Some("2.0.0"), "2.0.0"), None);
    }
}
