//! The flags of `sign` that replace settings of `component.toml`.

use crate::build::component_file::ComponentFile;
use crate::build::version_file::version_in;
use crate::error::Result;
use crate::setting::checked;
use std::path::PathBuf;

/// Settings on the command line; each one that is given replaces the one in `component.toml`.
#[derive(Debug, Default, Clone, clap::Args)]
pub struct ReleaseFlags {
    /// The component's name
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// The version that users read, as in 3.1.0
    #[arg(long)]
    version: Option<String>,
    /// Take the version from a Cargo.toml, package.json or pyproject.toml
    #[arg(long, value_name = "FILE", conflicts_with = "version")]
    version_from: Option<PathBuf>,
    /// The URL where the component's folder of the site will be served; repeat it for each mirror
    #[arg(long = "base-url", value_name = "URL")]
    base_urls: Vec<String>,
    /// The channel [default: stable]
    #[arg(long)]
    channel: Option<String>,
    /// The platform: any, or ARCH-OS as in x86_64-linux [default: any]
    #[arg(long)]
    platform: Option<String>,
    /// The program to start after an update, a path in the build folder
    #[arg(long, value_name = "PATH")]
    launch: Option<String>,
    /// When clients start to refuse the release: a time as in 2027-05-20T00:00:00Z, days from now
    /// as in 180d, or never [default: 180d]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Another component that this one needs, and in which versions; repeat it for each
    #[arg(long, value_name = "NAME=RANGE")]
    requires: Vec<String>,
    /// The share of clients that are offered the release at first, as in 10%; `resign` raises it
    /// [default: 100%]
    #[arg(long, value_name = "PERCENT")]
    rollout: Option<String>,
    /// Offer the release to all clients, even if the rollout leaves them out or the user skipped it
    #[arg(long)]
    pub critical: bool,
    /// Release notes in one language: a plain text file or the URL of a page, as in en=NEWS.txt;
    /// repeat it for each
    #[arg(long, value_name = "LANG=FILE|URL")]
    notes: Vec<String>,
    /// Publish files and folders that match this glob although their names promise secrets, as
    /// .env does; repeat it for each
    #[arg(long, value_name = "GLOB")]
    allow: Vec<String>,
    /// Publish files that match this glob although they hold private keys, as tests do; repeat it
    /// for each
    #[arg(long = "allow-key", value_name = "GLOB")]
    allow_keys: Vec<String>,
}

impl ReleaseFlags {
    /// Returns the settings of `file`, with those replaced that a flag gives.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting) for a flag that is not
    /// a pair and should be; those of [`version_in`].
    pub fn over(self, file: ComponentFile) -> Result<ComponentFile> {
        let urls = if self.base_urls.is_empty() { file.urls } else { self.base_urls };
        let requires = match &self.requires[..] {
            [] => file.requires,
            flags => pairs("requires", flags, "not NAME=RANGE, as in runtime=>=1.2")?,
        };
        // Files that a flag names are relative to the current folder.
        let (notes, notes_dir) = match &self.notes[..] {
            [] => (file.notes, file.notes_dir),
            flags => (pairs("notes", flags, "not LANG=FILE or LANG=URL, as in en=NEWS.txt")?, PathBuf::new()),
        };
        let version = match &self.version_from {
            Some(path) => Some(version_in(path)?),
            None => self.version.or(file.version),
        };
        Ok(ComponentFile {
            version,
            name: self.component.or(file.name),
            urls,
            channel: self.channel.or(file.channel),
            platform: self.platform.or(file.platform),
            launch: self.launch.or(file.launch),
            expires: self.expires.or(file.expires),
            rollout: self.rollout.or(file.rollout),
            requires,
            notes,
            notes_dir,
            allow: [file.allow, self.allow].concat(),
            allow_keys: self.allow_keys,
            ..file
        })
    }
}

fn pairs(setting: &'static str, flags: &[String], expected: &str) -> Result<Vec<(String, String)>> {
    let pair = |flag: &String| {
        let (key, value) = checked(setting, flag, flag.split_once('=').ok_or(expected))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    flags.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::settings::Settings;

    #[test]
    fn flags_win_over_the_file() {
        let minimal = "name = 'core'\nversion = '1.0.0'\nurls = ['https://dl.example.com/core/']\n";
        let meta = |flags: ReleaseFlags, more: &str| {
            let file = flags.over(toml::from_str(&format!("{minimal}{more}")).unwrap()).unwrap();
            Settings::new(&file, "2026-11-21T00:00:00Z".parse().unwrap())
                .unwrap()
                .meta(7, patcher::internal::manifest::SiteLayout::Folders)
        };
        let flags = ReleaseFlags {
            version: Some("2.0.0".into()),
            base_urls: vec!["http://a.example/".into(), "http://b.example/".into()],
            requires: vec!["runtime=>=1.2".into()],
            expires: Some("2d".into()),
            ..ReleaseFlags::default()
        };
        let replaced = meta(flags, "[requires]\nother = '*'\n");
        assert_eq!((replaced.component.as_str(), replaced.version.to_string().as_str()), ("core", "2.0.0"));
        assert_eq!((replaced.channel.as_str(), replaced.platform.as_str()), ("stable", "any"));
        assert_eq!((replaced.base_urls.len(), replaced.sequence), (2, 7));
        assert_eq!(replaced.requires[0].component.as_str(), "runtime");
        assert_eq!(replaced.requires.len(), 1);
        assert_eq!(replaced.expires.unwrap().to_string(), "2026-11-23T00:00:00Z");

        let flags = ReleaseFlags { expires: Some("never".into()), ..ReleaseFlags::default() };
        assert_eq!(meta(flags, "expires = '2d'\n").expires, None);
    }
}
