//! Reads the policy file, in TOML.

use super::{Hours, PolicyRules};
use crate::disk::fs::{only_administrators_can_change, read_regular};
use crate::error::{Error, Machine, Result};
use crate::transfer::fetch::{MIN_RATE_LIMIT, ProxyAddress, check_proxy, parse_url_or_path};
use crate::values::names::{Channel, Component};
use semver::VersionReq;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The largest policy file that the client reads.
const MAX_POLICY_BYTES: u64 = 64 * 1024;
/// The longest cooldown in days.
const MAX_COOLDOWN_DAYS: u32 = 365;

/// Returns the path of the policy file where the program names no other one.
///
/// It is `/etc/patcher/policy.toml`, and `%ProgramData%\patcher\policy.toml` on Windows.
pub fn default_path() -> PathBuf {
    let folder = if cfg!(windows) {
        std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from)
    } else {
        PathBuf::from("/etc")
    };
    folder.join("patcher").join("policy.toml")
}

/// The rules of a policy file, or those of one install root in it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RuleTable {
    updates: Option<bool>,
    channel: Option<String>,
    mirror: Option<String>,
    proxy: Option<String>,
    no_proxy: Option<String>,
    rate_limit: Option<u64>,
    hours: Option<String>,
    metered: Option<bool>,
    cooldown_days: Option<u32>,
    #[serde(default)]
    versions: BTreeMap<String, String>,
    /// The rules of single install roots, by path.
    #[serde(default)]
    root: BTreeMap<PathBuf, RuleTable>,
}

/// Reads the rules for an install root; `None` without a policy file.
///
/// # Errors
/// [`Machine::Policy`] for a file that other users than administrators can change, or that breaks
/// a rule of the format. A client that ignored such a file would do what the administrator forbids.
pub fn read_policy(path: &Path, root: &Path) -> Result<Option<PolicyRules>> {
    let unusable = |detail: String| Error::from(Machine::Policy { path: path.to_owned(), detail });
    match only_administrators_can_change(path) {
        Ok(true) => {}
        Ok(false) => return Err(unusable("other users than administrators can change it".to_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
    }
    let bytes = read_regular(path, MAX_POLICY_BYTES).map_err(|error| unusable(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8".to_owned()))?;
    rules(&text, root).map(Some).map_err(unusable)
}

/// Returns the rules that a policy file has for an install root.
fn rules(text: &str, root: &Path) -> Result<PolicyRules, String> {
    let mut all: RuleTable = toml::from_str(text).map_err(|error| in_one_line(&error, text))?;
    let tables = std::mem::take(&mut all.root);
    let mut rules = all.resolve()?;
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for (path, table) in tables {
        // All tables are checked: a mistake in one shows on every machine.
        let own = table.resolve().map_err(|detail| format!("root.{:?}: {detail}", path.display().to_string()))?;
        if resolved(&path) == resolved(root) {
            rules = rules.overridden_by(own);
        }
    }
    Ok(rules)
}

/// Returns the error of the TOML reader with its line, without the excerpt of the file.
fn in_one_line(error: &toml::de::Error, text: &str) -> String {
    let line =
        error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line}: {}", error.message().replace('\n', ", "))
}

impl RuleTable {
    /// Parses and checks every value.
    fn resolve(self) -> Result<PolicyRules, String> {
        if !self.root.is_empty() {
            return Err("a table of a root contains another one".to_owned());
        }
        let mirror = self.mirror.map(ProxyAddress);
        if let Some(mirror) = &mirror {
            parse_url_or_path("mirror", &mirror.0).map_err(|error| error.to_string())?;
        }
        let proxy = self.proxy.map(ProxyAddress);
        proxy.iter().try_for_each(check_proxy).map_err(|error| error.to_string())?;
        if let Some(rate) = self.rate_limit.filter(|rate| *rate < MIN_RATE_LIMIT) {
            return Err(format!("rate-limit = {rate}: fewer than {MIN_RATE_LIMIT} bytes per second"));
        }
        if let Some(days) = self.cooldown_days.filter(|days| *days > MAX_COOLDOWN_DAYS) {
            return Err(format!("cooldown-days = {days}: more than {MAX_COOLDOWN_DAYS}"));
        }
        let mut versions = BTreeMap::new();
        for (name, accepted) in self.versions {
            versions.insert(parse::<Component>("versions", name)?, parse::<VersionReq>("versions", accepted)?);
        }
        Ok(PolicyRules {
            updates: self.updates,
            channel: self.channel.map(|text| parse::<Channel>("channel", text)).transpose()?,
            mirror,
            proxy,
            no_proxy: self.no_proxy,
            rate_limit: self.rate_limit,
            hours: self.hours.map(|text| parse::<Hours>("hours", text)).transpose()?,
            metered: self.metered,
            cooldown_days: self.cooldown_days,
            versions,
        })
    }
}

fn parse<T: FromStr<Err: fmt::Display>>(key: &str, text: String) -> Result<T, String> {
    text.parse().map_err(|error| format!("{key} = {text:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, root: &str) -> Vec<String> {
        rules(text, Path::new(root)).unwrap().lines()
    }

    const ALL: &str = "
updates = true
channel = 'beta'
mirror = 'https://me:s3cret@mirror.example.com/'
proxy = 'http://me:s3cret@proxy:3128'
no-proxy = 'intranet'
rate-limit = 500_000
hours = '22:00-06:00'
metered = false
cooldown-days = 7
[versions]
core = '~2.3'
";

    #[test]
    fn a_policy_shows_all_rules_and_no_password() {
        let expected = [
            "updates = true",
            "channel = beta",
            "mirror = mirror.example.com/",
            "proxy = proxy:3128",
            "no-proxy = intranet",
            "rate-limit = 500000",
            "hours = 22:00-06:00",
            "metered = false",
            "cooldown-days = 7",
            "versions.core = ~2.3",
        ];
        assert_eq!(lines(ALL, "/opt/app"), expected);
    }

    #[test]
    fn the_rules_of_a_root_replace_the_same_rules_of_all_roots() {
        let text = "cooldown-days = 7\nrate-limit = 5000\n[versions]\ncore = '1'\naddon = '2'\n\
                    [root.'/opt/app']\nupdates = false\ncooldown-days = 0\n[root.'/opt/app'.versions]\ncore = '3'\n";
        assert_eq!(
            lines(text, "/opt/app"),
            ["updates = false", "rate-limit = 5000", "cooldown-days = 0", "versions.addon = ^2", "versions.core = ^3"]
        );
        assert_eq!(
            lines(text, "/opt/other"),
            ["rate-limit = 5000", "cooldown-days = 7", "versions.addon = ^2", "versions.core = ^1"]
        );
    }

    #[test]
    fn a_mistake_names_its_line_or_its_key() {
        for (text, detail) in [
            ("updates = 'no'", "line 1: "),
            ("\n\nupdate = false", "unknown field `update`"),
            ("[root.'/opt/app']\nupdate = false", "unknown field `update`"),
            ("channel = 'Beta!'", "channel = \"Beta!\""),
            ("hours = 'night'", "hours = \"night\": not two different times"),
            ("rate-limit = 10", "rate-limit = 10: fewer than 1000"),
            ("cooldown-days = 366", "cooldown-days = 366"),
            ("proxy = 'gopher://proxy'", "proxy cannot be"),
            ("mirror = 'ftp:mirror'", "mirror cannot be"),
            ("[versions]\ncore = 'new'", "versions = \"new\""),
            ("[versions]\n'../core' = '1'", "versions = \"../core\""),
            ("[root.'/opt/other']\nhours = ''", "root.\"/opt/other\": hours"),
        ] {
            let error = rules(text, Path::new("/opt/app")).unwrap_err();
            assert!(error.contains(detail), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_machine_without_a_policy_file_has_no_rules() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_policy(&dir.path().join("patcher").join("policy.toml"), dir.path()).unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_policy_that_other_users_can_change_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        std::fs::write(&path, "updates = false").unwrap();
        let is_root = rustix::process::geteuid().is_root();
        // The user of this test owns the file, and only root is an administrator.
        assert_eq!(read_policy(&path, dir.path()).is_ok(), is_root);
        for (place, mode) in [(path.as_path(), 0o666), (dir.path(), 0o777)] {
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read_policy(&path, dir.path()).unwrap_err();
            assert_eq!(error.code(), "policy", "{error}");
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_policy_behind_a_link_that_other_users_can_replace_is_refused() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (open, closed) = (dir.path().join("open"), dir.path().join("closed"));
        std::fs::create_dir(&open).unwrap();
        std::fs::create_dir(&closed).unwrap();
        std::fs::write(closed.join("policy.toml"), "updates = false").unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        symlink("../closed/policy.toml", open.join("policy.toml")).unwrap();
        symlink(&open, closed.join("folder")).unwrap();
        symlink("../closed", closed.join("sound")).unwrap();
        for path in [open.join("policy.toml"), closed.join("folder/policy.toml")] {
            assert_eq!(read_policy(&path, dir.path()).unwrap_err().code(), "policy", "{}", path.display());
        }
        // The user of this test owns the files, and only root is an administrator.
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(read_policy(&closed.join("sound/policy.toml"), dir.path()).is_ok(), is_root);
    }
}
