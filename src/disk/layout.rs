//! Where things lie: on the server below a component's base URL, and on the user's machine below
//! the install root.

use crate::disk::fs;
use crate::error::Result;
use crate::formats::manifest::{Channel, Component, Platform};
use crate::values::digest::Sha256;
use crate::values::rel_path::{MANIFEST_NAME, STATE_DIR_NAME};
use std::collections::BTreeMap;
use std::path::PathBuf;
use url::Url;

/// The kind of an object, which gives the ending of its name on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A whole file, as one gzip member.
    Gz,
    /// Everything that leads from one release to another.
    Update,
    /// All contents of a release.
    Install,
    /// The index of a gzip's segments.
    Chunks,
}

/// An object's path below a component's base URL: `objects/ab/ab12….gz`.
pub fn object_path(kind: ObjectKind, sha256: &Sha256) -> String {
    let ending = match kind {
        ObjectKind::Gz => "gz",
        ObjectKind::Update => "update",
        ObjectKind::Install => "install",
        ObjectKind::Chunks => "chunks",
    };
    let name = sha256.to_string();
    format!("objects/{}/{name}.{ending}", &name[..2])
}

/// The folder of a platform's releases below a component's base URL: `x86_64-linux/`, or empty for
/// the platform `any`.
///
/// The names of heads, manifests and manifest deltas are relative to it.
pub fn platform_dir(platform: &Platform) -> String {
    if *platform == Platform::any() { String::new() } else { format!("{platform}/") }
}

/// Returns the base URL of the component whose latest manifest, for `platform`, is at `manifest`.
pub fn base_url_of(manifest: &Url, platform: &Platform) -> Option<Url> {
    let below = if *platform == Platform::any() { "./" } else { "../" };
    manifest.join(below).ok()
}

/// The latest manifest's name in the folder of its platform: `manifest.xml` for the channel
/// `stable`, else `CHANNEL.xml`.
pub fn latest_manifest_name(channel: &Channel) -> String {
    if channel.as_str() == "stable" { MANIFEST_NAME.to_owned() } else { format!("{channel}.xml") }
}

/// The head's name in the folder of its platform: `latest.xml` for the channel `stable`, else
/// `CHANNEL.latest.xml`.
pub fn head_name(channel: &Channel) -> String {
    if channel.as_str() == "stable" { "latest.xml".to_owned() } else { format!("{channel}.latest.xml") }
}

/// The path, in the folder of a platform, of the delta from the manifest of release `from` to that
/// of release `to`.
pub fn manifest_delta_path(to: u64, from: u64) -> String {
    format!("releases/{to}/from-{from}.delta")
}

/// A past manifest's path in the folder of its platform.
pub fn release_manifest_path(sequence: u64) -> String {
    format!("releases/{sequence}.xml")
}

/// The name of the folder of stages in a state or work folder.
pub const STAGES_DIR_NAME: &str = "stage";
/// The folder of finished files in a component's stage.
pub const STAGED_FILES_DIR_NAME: &str = "files";

/// An install root: the folder that holds the components, with those that lie elsewhere by name.
#[derive(Debug, Clone)]
pub struct InstallRoot {
    /// The install root itself.
    pub dir: PathBuf,
    /// The updater's own files.
    pub state: StateDir,
    /// Components that do not lie in the folder of their name under the root.
    pub elsewhere: BTreeMap<Component, PathBuf>,
}

impl InstallRoot {
    /// An install root with its state folder where it usually is.
    pub fn new(dir: PathBuf) -> Self {
        Self { state: StateDir { dir: dir.join(STATE_DIR_NAME) }, dir, elsewhere: BTreeMap::new() }
    }

    /// The folder of a component.
    pub fn component(&self, name: &Component) -> PathBuf {
        self.elsewhere.get(name).cloned().unwrap_or_else(|| self.dir.join(name.as_str()))
    }

    /// The folder of a component, made sure to be no link unless the program said that it lies
    /// there.
    ///
    /// # Errors
    /// [`Machine::UnsafePath`](crate::error::Machine::UnsafePath).
    pub fn checked_component(&self, name: &Component) -> Result<PathBuf> {
        let dir = self.component(name);
        if !self.elsewhere.contains_key(name) {
            fs::refuse_link(&dir)?;
        }
        Ok(dir)
    }
}

/// The updater's own files below an install root.
#[derive(Debug, Clone)]
pub struct StateDir {
    /// `<root>/.patcher`, or the folder that the program chose.
    pub dir: PathBuf,
}

impl StateDir {
    /// The state of the swap under way.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }
}
