//! The settings of a release: the values of `component.toml` and of flags, checked one by one.

use super::component_file::ComponentFile;
use super::globs::Globs;
use super::notes;
use crate::error::{Error, Result};
use crate::setting::{checked, checked_url, expiry, parsed, rollout};
use patcher::internal::manifest::{
    Appearance, Channel, Component, Meta, Notes, Platform, Requirement, SiteLayout, base_url,
};
use patcher::internal::rel_path::RelPath;
use patcher::internal::timestamp::Timestamp;
use semver::{Version, VersionReq};
use url::Url;

/// The term of a release whose publisher sets none.
pub const DEFAULT_TERM: &str = "180d";

/// The checked settings of a release.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The component's name.
    pub component: Component,
    version: Version,
    base_urls: Vec<Url>,
    /// The channel.
    pub channel: Channel,
    /// The platform.
    pub platform: Platform,
    /// The program to start after an update.
    pub launch: Option<RelPath>,
    appearance: Appearance,
    issued: Timestamp,
    expires: Option<Timestamp>,
    requires: Vec<Requirement>,
    rollout: Option<u8>,
    /// `true` offers the release to all clients, even to those that the rollout leaves out.
    pub critical: bool,
    adoption: bool,
    notes: Vec<Notes>,
    /// Files that are not published.
    pub ignore: Globs,
    /// Files and folders that are published although their names promise secrets.
    pub allow: Globs,
    /// Files that are published although they hold private keys.
    pub allow_keys: Globs,
    /// Files that are installed when missing, and otherwise belong to the user.
    pub preserve: Globs,
    /// Executable files; `None` means that the file's mode decides.
    pub executable: Option<Globs>,
}

impl Settings {
    /// Checks the settings of a release that is issued at `issued`.
    ///
    /// # Errors
    /// [`Error::SettingMissing`], or
    /// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting) for the first invalid
    /// value.
    pub fn new(file: &ComponentFile, issued: Timestamp) -> Result<Self> {
        let missing = |setting, key, flag| move || Error::SettingMissing { setting, key, flag };
        let component = file.name.as_deref().ok_or_else(missing("name", "name", "--component"))?;
        let version = file.version.as_deref().ok_or_else(missing("version", "version", "--version"))?;
        if file.urls.is_empty() {
            return Err(missing("URL", "urls", "--base-url")());
        }
        let base_urls = file.urls.iter().map(|url| checked_url("base-url", url, base_url(url)));
        let requires = file.requires.iter().map(|(name, range)| {
            Ok(Requirement { component: parsed("requires", name)?, version: parsed::<VersionReq>("requires", range)? })
        });
        Ok(Self {
            requires: requires.collect::<Result<_>>()?,
            notes: notes::read(&file.notes, &file.notes_dir)?,
            component: parsed("component", component)?,
            version: release_version(version)?,
            base_urls: base_urls.collect::<Result<_>>()?,
            channel: parsed("channel", file.channel.as_deref().unwrap_or("stable"))?,
            platform: parsed("platform", file.platform.as_deref().unwrap_or("any"))?,
            launch: path("launch", file.launch.as_deref())?,
            appearance: Appearance {
                title: file.title.as_deref().map(|title| parsed("title", title)).transpose()?,
                publisher: file.publisher.as_deref().map(|publisher| parsed("publisher", publisher)).transpose()?,
                icon: path("icon", file.icon.as_deref())?,
            },
            issued,
            // Without an expiry, a client would never notice that an attacker hides newer releases.
            expires: expiry(file.expires.as_deref().unwrap_or(DEFAULT_TERM), issued)?,
            rollout: match &file.rollout {
                Some(percent) => rollout(percent)?,
                None => None,
            },
            critical: false,
            adoption: file.adoption,
            ignore: Globs::new("ignore", &file.ignore)?,
            allow: Globs::new("allow", &file.allow)?,
            allow_keys: Globs::new("allow-key", &file.allow_keys)?,
            preserve: Globs::new("preserve", &file.preserve)?,
            executable: match &file.executable {
                Some(globs) => Some(Globs::new("executable", globs)?),
                None => None,
            },
        })
    }

    /// Returns the manifest's description of the release.
    ///
    /// It lacks the objects, and the values that are inherited from earlier releases.
    pub fn meta(&self, sequence: u64, layout: SiteLayout) -> Meta {
        Meta {
            component: self.component.clone(),
            version: self.version.clone(),
            sequence,
            channel: self.channel.clone(),
            platform: self.platform.clone(),
            issued: self.issued,
            expires: self.expires,
            launch: self.launch.clone(),
            appearance: self.appearance.clone(),
            layout,
            base_urls: self.base_urls.clone(),
            requires: self.requires.clone(),
            rollout: self.rollout,
            critical: self.critical,
            adoption: self.adoption,
            retires: None,
            stepping_stones: Vec::new(),
            updates: Vec::new(),
            install: None,
            freshness: None,
            notes: self.notes.clone(),
        }
    }
}

/// Parses the path of a file in the build folder.
fn path(setting: &'static str, text: Option<&str>) -> Result<Option<RelPath>> {
    text.map(|text| checked(setting, text, RelPath::new(text))).transpose()
}

/// Parses the version of a release.
fn release_version(text: &str) -> Result<Version> {
    let detail = |error: semver::Error| match text.split('.').count() {
        1 | 2 if text.split('.').all(|part| part.parse::<u64>().is_ok()) => {
            format!("three numbers are needed, as in {text}{}", ".0".repeat(3 - text.split('.').count()))
        }
        _ => error.to_string(),
    };
    checked("version", text, text.parse().map_err(detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::component_file::{COMPONENT_FILE, TEMPLATE};
    use std::fs;

    const ISSUED: &str = "2026-11-21T00:00:00Z";

    fn settings(file: &str) -> Result<Settings> {
        Settings::new(&toml::from_str(file).unwrap(), ISSUED.parse().unwrap())
    }

    fn code(file: &str) -> &'static str {
        settings(file).unwrap_err().code()
    }

    const MINIMAL: &str = "name = 'core'\nversion = '1.0.0'\nurls = ['https://dl.example.com/core/']\n";

    #[test]
    fn values_that_clients_refuse_are_bad_settings() {
        for wrong in [
            "channel = 'Beta'",
            "platform = 'linux'",
            "launch = '../app'",
            "icon = '../app.png'",
            "title = ' '",
            "publisher = 'a\u{202e}b'",
            "expires = '2026-11-21T00:00:00Z'",
            "expires = '0d'",
            "expires = 'soon'",
            "ignore = ['[']",
            "[requires]\nruntime = 'newest'",
            "rollout = '101%'",
            "rollout = '-1%'",
            "rollout = 'some'",
            "[notes]\nenglish = 'https://example.com/'",
            "[notes]\nen = 'ftp://example.com/'",
            "[notes]\nen = ['https://example.com/a', 'https://example.com/b']",
        ] {
            assert_eq!(code(&format!("{MINIMAL}{wrong}\n")), "bad-setting", "{wrong}");
        }
        assert_eq!(code(&MINIMAL.replace("core/", "core")), "bad-setting");
    }

    #[test]
    fn a_version_of_two_numbers_is_completed_in_the_message() {
        let message = |version: &str| settings(&MINIMAL.replace("1.0.0", version)).unwrap_err().to_string();
        assert!(message("1.5").ends_with("three numbers are needed, as in 1.5.0"), "{}", message("1.5"));
        assert!(message("2").ends_with("as in 2.0.0"));
        assert!(!message("1.x").contains("three numbers"));
    }

    #[test]
    fn name_version_and_url_have_no_default() {
        for line in MINIMAL.lines() {
            assert_eq!(code(&MINIMAL.replace(line, "")), "setting-missing");
        }
    }

    #[test]
    fn the_template_is_a_complete_component_file() {
        let without_marks = TEMPLATE.replace("# ", "");
        let is_setting = |line: &&str| line.contains(" = ") || line.starts_with('[');
        let filled: Vec<&str> = without_marks.lines().filter(is_setting).collect();
        assert_eq!(settings(TEMPLATE).unwrap_err().code(), "setting-missing", "its examples are no settings");
        let dir = tempfile::TempDir::new().unwrap();
        fs::write(dir.path().join("NEWS.txt"), "All of it.\n").unwrap();
        fs::write(dir.path().join(COMPONENT_FILE), filled.join("\n")).unwrap();
        let file = ComponentFile::read(dir.path()).unwrap();
        let meta = Settings::new(&file, ISSUED.parse().unwrap()).unwrap().meta(7, SiteLayout::Folders);
        assert_eq!((meta.rollout, meta.notes.len()), (Some(10), 2));
        assert_eq!(meta.notes.iter().find(|notes| notes.language.as_str() == "en").unwrap().lines, ["All of it."]);
        assert!(toml::from_str::<ComponentFile>("nmae = 'core'").is_err());
    }
}
