//! `component.toml`: the settings of a release that lie in the build folder, as text.

use crate::error::{Error, Result};
use patcher::internal::fs::read_regular;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the settings file in a build folder. The file is not part of the release.
pub const COMPONENT_FILE: &str = "component.toml";

/// The limit for the size of a `component.toml` in bytes.
const MAX_COMPONENT_FILE_BYTES: u64 = 1 << 20;

/// The commented `component.toml` that `init` writes.
pub const TEMPLATE: &str = include_str!("component.toml");

/// The settings of a release as text; no key is required.
///
/// The command line's flags replace single values before [`Settings`](super::settings::Settings)
/// checks them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ComponentFile {
    /// The component's name.
    pub name: Option<String>,
    /// The version that users read.
    pub version: Option<String>,
    /// The base URLs of the mirrors.
    pub urls: Vec<String>,
    /// The channel.
    pub channel: Option<String>,
    /// The platform.
    pub platform: Option<String>,
    /// The program to start after an update.
    pub launch: Option<String>,
    /// The program's name for people.
    pub title: Option<String>,
    /// The publisher's name for people.
    pub publisher: Option<String>,
    /// The icon that desktops show.
    pub icon: Option<String>,
    /// The expiry, as [`expiry`](crate::setting::expiry) parses it.
    pub expires: Option<String>,
    /// The rollout, as [`rollout`](crate::setting::rollout) parses it.
    pub rollout: Option<String>,
    /// `true` enables the weekly count of installations whose users agree.
    pub adoption: bool,
    /// Names of other components, each with a range of versions.
    #[serde(deserialize_with = "pairs")]
    pub requires: Vec<(String, String)>,
    /// Languages, each with a file or a URL of release notes.
    #[serde(deserialize_with = "flattened_pairs")]
    pub notes: Vec<(String, String)>,
    /// The folder that the files of `notes` are relative to, and that they must lie in. Empty for
    /// files that flags name.
    #[serde(skip)]
    pub notes_dir: PathBuf,
    /// The version below which clients need a stepping stone.
    pub min_version: Option<String>,
    /// Sequences of stepping stones, by the version below which clients need them.
    pub stepping_stones: BTreeMap<String, u64>,
    /// Globs of files that are not published.
    pub ignore: Vec<String>,
    /// Globs of files and folders that are published although their names promise secrets.
    pub allow: Vec<String>,
    /// Globs of files that are published although they hold private keys. Not in the file: who can
    /// change the build folder must not be able to publish a key.
    #[serde(skip)]
    pub allow_keys: Vec<String>,
    /// Globs of files that belong to the user once they are installed.
    pub preserve: Vec<String>,
    /// Globs of executable files; `None` means that the file's mode decides.
    pub executable: Option<Vec<String>>,
}

impl ComponentFile {
    /// Reads the `component.toml` of a build folder; an absent file is an empty one.
    ///
    /// # Errors
    /// [`Error::ComponentFile`] for invalid TOML and unknown keys; an I/O error.
    pub fn read(build: &Path) -> Result<Self> {
        let path = build.join(COMPONENT_FILE);
        match read_regular(&path, MAX_COMPONENT_FILE_BYTES) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| Error::NotUtf8 { path: path.clone() })?;
                let file: Self = toml::from_str(&text).map_err(|error| {
                    let before = error.span().map_or("", |span| &text[..span.start]);
                    let line = before.matches('\n').count() + 1;
                    Error::ComponentFile { path: path.clone(), line, detail: error.message().to_owned() }
                })?;
                Ok(Self { notes_dir: build.to_owned(), ..file })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && build.is_dir() => Ok(Self::default()),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }
}

/// A value, or a list of values.
#[derive(Deserialize)]
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

fn pairs<'de, D: Deserializer<'de>>(table: D) -> Result<Vec<(String, String)>, D::Error> {
    Ok(BTreeMap::deserialize(table)?.into_iter().collect())
}

fn flattened_pairs<'de, D: Deserializer<'de>>(table: D) -> Result<Vec<(String, String)>, D::Error> {
    let table = BTreeMap::<String, OneOrMore>::deserialize(table)?.into_iter();
    Ok(table.flat_map(|(key, values)| values.into_vec().into_iter().map(move |value| (key.clone(), value))).collect())
}
