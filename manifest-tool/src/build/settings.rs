//! What a release is to be: `component.toml` in the build folder, with the command line over it.

use crate::build::globs::Globs;
use crate::build::notes;
use crate::delta::plan::DeltaFlags;
use crate::error::{Error, Result};
use crate::release::stepping_stones::{SteppingStones, StoneFlags};
use patcher::internal::error::Caller;
use patcher::internal::manifest::{Channel, Component, Meta, Notes, Platform, Requirement, base_url};
use patcher::internal::rel_path::RelPath;
use patcher::internal::timestamp::Timestamp;
use semver::{Version, VersionReq};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{env, fs, io};
use url::Url;

/// The settings file's name in a build folder; it is no part of the release.
pub const COMPONENT_FILE: &str = "component.toml";

const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A component.toml with comments, as `init` writes it.
pub const TEMPLATE: &str = include_str!("component.toml");

/// component.toml as it is written; nothing in it is required.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentFile {
    name: Option<String>,
    version: Option<String>,
    urls: Option<Vec<String>>,
    channel: Option<String>,
    platform: Option<String>,
    launch: Option<String>,
    expires: Option<String>,
    rollout: Option<String>,
    requires: Option<BTreeMap<String, String>>,
    notes: Option<BTreeMap<String, OneOrMore>>,
    #[serde(rename = "min-version")]
    min_version: Option<String>,
    #[serde(rename = "stepping-stones")]
    stepping_stones: Option<BTreeMap<String, u64>>,
    /// The build folder: what the file names lies there.
    #[serde(skip)]
    dir: PathBuf,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    preserve: Vec<String>,
    executable: Option<Vec<String>>,
}

/// A value, or a list of them.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMore::One(value) => vec![value],
            OneOrMore::More(values) => values,
        }
    }
}

/// What the command line says; each one that is given wins over component.toml.
#[derive(Debug, Default, clap::Args)]
pub struct Flags {
    /// The component's name
    #[arg(long, value_name = "NAME")]
    pub component: Option<String>,
    /// The version that people read, as in 3.1.0
    #[arg(long)]
    pub version: Option<String>,
    /// Where the component's folder of the site will be served; again for each mirror
    #[arg(long = "base-url", value_name = "URL")]
    pub base_urls: Vec<String>,
    /// The line of releases [default: stable]
    #[arg(long)]
    pub channel: Option<String>,
    /// Where it runs: any, or ARCH-OS as in x86_64-linux [default: any]
    #[arg(long)]
    pub platform: Option<String>,
    /// The program to start, a path in the build folder
    #[arg(long, value_name = "PATH")]
    pub launch: Option<String>,
    /// From when on clients refuse it: a time as in 2027-05-20T00:00:00Z, days as in 180d, or never [default: never]
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// Another component that it needs, and in which versions; again for each
    #[arg(long, value_name = "NAME=RANGE")]
    pub requires: Vec<String>,
    /// The share of clients that it is offered to at first, as in 10%; `resign` raises it [default: 100%]
    #[arg(long, value_name = "PERCENT")]
    pub rollout: Option<String>,
    /// Offer it to everybody, whatever the rollout and whatever a user skipped
    #[arg(long)]
    pub critical: bool,
    /// What is new, in a language: a file of plain text, or the address of a page, as in en=NEWS.txt; again for each
    #[arg(long, value_name = "LANG=FILE|URL")]
    pub notes: Vec<String>,
    /// Publish it even if its version is not higher than the latest one
    #[arg(long)]
    pub allow_downgrade: bool,
    /// What older versions go through first.
    #[command(flatten)]
    pub stepping_stones: StoneFlags,
    /// Deltas.
    #[command(flatten)]
    pub deltas: DeltaFlags,
}

/// What a release is to be, each value checked for itself.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The component.
    pub component: Component,
    version: Version,
    base_urls: Vec<Url>,
    /// The line of releases.
    pub channel: Channel,
    platform: Platform,
    launch: Option<RelPath>,
    issued: Timestamp,
    expires: Option<Timestamp>,
    requires: Vec<Requirement>,
    rollout: Option<u8>,
    critical: bool,
    notes: Vec<Notes>,
    /// Whether the version need not grow.
    pub allow_downgrade: bool,
    /// What older versions go through first.
    pub stepping_stones: SteppingStones,
    /// How deltas are made.
    pub deltas: DeltaFlags,
    /// What stays out of the release.
    pub ignore: Globs,
    /// What is installed when missing and otherwise left alone.
    pub preserve: Globs,
    /// What is executable; where none is set, the owner's permission decides.
    pub executable: Option<Globs>,
}

impl ComponentFile {
    /// Reads the component.toml of a build folder; one that is not there says nothing.
    ///
    /// # Errors
    /// [`Error::ComponentFile`] for what is no TOML or not known here, or the system's answer.
    pub fn read(build: &Path) -> Result<Self> {
        let path = build.join(COMPONENT_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let file: Self = toml::from_str(&text).map_err(|error| {
                    let before = error.span().map_or("", |span| &text[..span.start]);
                    let line = before.matches('\n').count() + 1;
                    Error::ComponentFile { path: path.clone(), line, detail: error.message().to_owned() }
                })?;
                Ok(Self { dir: build.to_owned(), ..file })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && build.is_dir() => Ok(Self::default()),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }
}

impl Settings {
    /// Puts `flags` over `file`; `issued` is the time of signing.
    ///
    /// # Errors
    /// [`Error::SettingMissing`], or [`Caller::BadSetting`] for the first value that cannot be.
    pub fn new(flags: Flags, file: ComponentFile, issued: Timestamp) -> Result<Self> {
        let missing = |setting, key, flag| move || Error::SettingMissing { setting, key, flag };
        let component = flags.component.or(file.name).ok_or_else(missing("name", "name", "--component"))?;
        let version = flags.version.or(file.version).ok_or_else(missing("version", "version", "--version"))?;
        let base_urls = given(flags.base_urls).or(file.urls).and_then(given);
        let base_urls = base_urls.ok_or_else(missing("URL", "urls", "--base-url"))?;
        let requires = match given(flags.requires) {
            Some(flags) => flags.iter().map(|flag| requirement_flag(flag)).collect::<Result<_>>()?,
            None => file
                .requires
                .unwrap_or_default()
                .iter()
                .map(|(name, range)| requirement(name, range))
                .collect::<Result<_>>()?,
        };
        let notes = match given(flags.notes) {
            Some(flags) => {
                let pair = |flag: &String| {
                    let pair = flag.split_once('=').ok_or("not LANG=FILE or LANG=URL, as in en=NEWS.txt");
                    checked("notes", flag, pair).map(|(language, source)| (language.to_owned(), source.to_owned()))
                };
                notes::read(&flags.iter().map(pair).collect::<Result<Vec<_>>>()?, Path::new(""))?
            }
            None => {
                let file_notes = file.notes.unwrap_or_default().into_iter();
                let pairs = file_notes
                    .flat_map(|(language, sources)| sources.into_vec().into_iter().map(move |s| (language.clone(), s)));
                notes::read(&pairs.collect::<Vec<_>>(), &file.dir)?
            }
        };
        Ok(Self {
            deltas: flags.deltas,
            component: parsed("component", &component)?,
            version: parsed("version", &version)?,
            base_urls: base_urls.iter().map(|url| checked("base-url", url, base_url(url))).collect::<Result<_>>()?,
            channel: parsed("channel", flags.channel.or(file.channel).as_deref().unwrap_or("stable"))?,
            platform: parsed("platform", flags.platform.or(file.platform).as_deref().unwrap_or("any"))?,
            launch: match flags.launch.or(file.launch) {
                Some(launch) => Some(checked("launch", &launch, RelPath::new(&launch))?),
                None => None,
            },
            issued,
            expires: match flags.expires.or(file.expires) {
                Some(expires) => expiry(&expires, issued)?,
                None => None,
            },
            requires,
            rollout: match flags.rollout.or(file.rollout) {
                Some(percent) => rollout(&percent)?,
                None => None,
            },
            critical: flags.critical,
            notes,
            allow_downgrade: flags.allow_downgrade,
            stepping_stones: SteppingStones::new(
                flags.stepping_stones,
                file.min_version,
                file.stepping_stones.unwrap_or_default(),
            )?,
            ignore: Globs::new("ignore", &file.ignore)?,
            preserve: Globs::new("preserve", &file.preserve)?,
            executable: match &file.executable {
                Some(globs) => Some(Globs::new("executable", globs)?),
                None => None,
            },
        })
    }

    /// What the manifest says of the release; its stepping stones are chosen on the site.
    pub fn meta(&self, sequence: u64) -> Meta {
        Meta {
            component: self.component.clone(),
            version: self.version.clone(),
            sequence,
            channel: self.channel.clone(),
            platform: self.platform.clone(),
            issued: self.issued,
            expires: self.expires,
            launch: self.launch.clone(),
            base_urls: self.base_urls.clone(),
            requires: self.requires.clone(),
            rollout: self.rollout,
            critical: self.critical,
            stepping_stones: Vec::new(),
            notes: self.notes.clone(),
        }
    }
}

fn given<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(crate) fn checked<T>(setting: &'static str, value: &str, result: Result<T, impl Display>) -> Result<T> {
    result.map_err(|error| Caller::BadSetting { setting, value: value.to_owned(), detail: error.to_string() }.into())
}

pub(crate) fn parsed<T: FromStr<Err: Display>>(setting: &'static str, value: &str) -> Result<T> {
    checked(setting, value, value.parse())
}

fn requirement(name: &str, range: &str) -> Result<Requirement> {
    Ok(Requirement { component: parsed("requires", name)?, version: parsed::<VersionReq>("requires", range)? })
}

fn requirement_flag(flag: &str) -> Result<Requirement> {
    let (name, range) = checked("requires", flag, flag.split_once('=').ok_or("not NAME=RANGE, as in runtime=>=1.2"))?;
    requirement(name, range)
}

/// When what is issued at `issued` expires: at a time, days later, or `never`.
///
/// # Errors
/// [`Caller::BadSetting`].
pub fn expiry(text: &str, issued: Timestamp) -> Result<Option<Timestamp>> {
    let expires = match text.strip_suffix('d').map(str::parse::<u32>) {
        _ if text == "never" => return Ok(None),
        Some(days) => days.ok().map(|days| Timestamp::from_unix(issued.unix() + i64::from(days) * 86_400)),
        None => text.parse().ok(),
    };
    let expires = match expires {
        None => Err("neither a time as in 2027-05-20T00:00:00Z nor days as in 180d nor never"),
        Some(expires) if expires <= issued => Err("it would expire before it is issued"),
        Some(expires) => Ok(Some(expires)),
    };
    checked("expires", text, expires)
}

/// The share of clients that a release is offered to, as the manifest says it: nothing for everybody.
///
/// # Errors
/// [`Caller::BadSetting`].
pub fn rollout(text: &str) -> Result<Option<u8>> {
    let percent: Option<u8> = text.strip_suffix('%').unwrap_or(text).parse().ok();
    match percent {
        Some(100) => Ok(None),
        Some(percent @ ..100) => Ok(Some(percent)),
        _ => checked("rollout", text, Err("not a percentage from 0% to 100%")),
    }
}

/// The time of signing: SOURCE_DATE_EPOCH where it is set (<https://reproducible-builds.org/specs/source-date-epoch/>), else
/// the machine's clock.
///
/// # Errors
/// [`Caller::BadSetting`].
pub fn issued() -> Result<Timestamp> {
    let Some(value) = env::var_os(SOURCE_DATE_EPOCH) else { return Ok(Timestamp::now()) };
    let value = value.to_string_lossy();
    let seconds = value.parse().map_err(|_| "not a number of seconds");
    checked(SOURCE_DATE_EPOCH, &value, seconds).map(Timestamp::from_unix)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUED: &str = "2026-11-21T00:00:00Z";

    fn settings(flags: Flags, file: &str) -> Result<Settings> {
        Settings::new(flags, toml::from_str(file).unwrap(), ISSUED.parse().unwrap())
    }

    fn code(file: &str) -> &'static str {
        settings(Flags::default(), file).unwrap_err().code()
    }

    const MINIMAL: &str = "name = 'core'\nversion = '1.0.0'\nurls = ['https://dl.example.com/core/']\n";

    #[test]
    fn flags_win_over_the_file() {
        let flags = Flags {
            version: Some("2.0.0".into()),
            base_urls: vec!["http://a.example/".into(), "http://b.example/".into()],
            requires: vec!["runtime=>=1.2".into()],
            expires: Some("2d".into()),
            ..Flags::default()
        };
        let meta = settings(flags, &format!("{MINIMAL}[requires]\nother = '*'\n")).unwrap().meta(7);
        assert_eq!((meta.component.as_str(), meta.version.to_string().as_str()), ("core", "2.0.0"));
        assert_eq!((meta.channel.as_str(), meta.platform.as_str()), ("stable", "any"));
        assert_eq!((meta.base_urls.len(), meta.sequence), (2, 7));
        assert_eq!(meta.requires[0].component.as_str(), "runtime");
        assert_eq!(meta.requires.len(), 1);
        assert_eq!(meta.expires.unwrap().to_string(), "2026-11-23T00:00:00Z");

        let flags = Flags { expires: Some("never".into()), ..Flags::default() };
        let meta = settings(flags, &format!("{MINIMAL}expires = '2d'\n")).unwrap().meta(7);
        assert_eq!(meta.expires, None);
    }

    #[test]
    fn values_that_clients_refuse_are_bad_settings() {
        for wrong in [
            "channel = 'Beta'",
            "platform = 'linux'",
            "launch = '../app'",
            "expires = '2026-11-21T00:00:00Z'",
            "expires = '0d'",
            "expires = 'soon'",
            "ignore = ['[']",
            "[requires]\nruntime = 'newest'",
            "rollout = '101%'",
            "rollout = '-1%'",
            "rollout = 'some'",
            "min-version = '2'",
            "[stepping-stones]\n2 = 41",
            "[notes]\nenglish = 'https://example.com/'",
            "[notes]\nen = 'ftp://example.com/'",
            "[notes]\nen = ['https://example.com/a', 'https://example.com/b']",
        ] {
            assert_eq!(code(&format!("{MINIMAL}{wrong}\n")), "bad-setting", "{wrong}");
        }
        assert_eq!(code(&MINIMAL.replace("core/", "core")), "bad-setting");
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
        settings(Flags::default(), TEMPLATE).unwrap();
        let dir = tempfile::TempDir::new().unwrap();
        fs::write(dir.path().join("NEWS.txt"), "All of it.\n").unwrap();
        fs::write(dir.path().join(COMPONENT_FILE), filled.join("\n")).unwrap();
        let file = ComponentFile::read(dir.path()).unwrap();
        let meta = Settings::new(Flags::default(), file, ISSUED.parse().unwrap()).unwrap().meta(7);
        assert_eq!((meta.rollout, meta.notes.len()), (Some(10), 2));
        assert_eq!(meta.notes.iter().find(|notes| notes.language.as_str() == "en").unwrap().lines, ["All of it."]);
        assert!(toml::from_str::<ComponentFile>("nmae = 'core'").is_err());
    }
}
