//! The layout: the paths on the server below a component's base URL, and those on the user's
//! machine below the install root.

use crate::disk::fs;
use crate::error::Result;
use crate::formats::manifest::{Channel, Component, Meta, Platform, SiteLayout};
use crate::values::digest::Sha256;
use crate::values::rel_path::{MANIFEST_NAME, STATE_DIR_NAME};
use semver::Version;
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

impl ObjectKind {
    fn ending(self) -> &'static str {
        match self {
            ObjectKind::Gz => "gz",
            ObjectKind::Update => "update",
            ObjectKind::Install => "install",
            ObjectKind::Chunks => "chunks",
        }
    }
}

/// Returns an object's path in a layout with folders: `objects/ab/ab12….gz`.
pub fn object_path(kind: ObjectKind, sha256: &Sha256) -> String {
    let name = sha256.to_string();
    format!("objects/{}/{name}.{}", &name[..2], kind.ending())
}

/// The names of a component's files below its base URL, for one platform.
///
/// `docs/reference/site.md` lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteNames {
    layout: SiteLayout,
    component: Component,
    platform: Platform,
}

impl SiteNames {
    /// Returns the names in a layout.
    pub fn new(layout: SiteLayout, component: Component, platform: Platform) -> Self {
        Self { layout, component, platform }
    }

    /// Returns the names of the files of a release.
    pub fn of(meta: &Meta) -> Self {
        Self::new(meta.layout, meta.component.clone(), meta.platform.clone())
    }

    /// Returns the layout.
    pub fn layout(&self) -> SiteLayout {
        self.layout
    }

    /// Returns the component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Returns the platform.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Returns the path of an object. All platforms share it.
    pub fn object(&self, kind: ObjectKind, sha256: &Sha256) -> String {
        match self.layout {
            SiteLayout::Folders => object_path(kind, sha256),
            SiteLayout::Flat => format!("{}-{sha256}.{}", self.component, kind.ending()),
        }
    }

    /// Returns the path of a channel's head: `latest.xml` or `CHANNEL.latest.xml`, in a flat layout
    /// `core.latest.xml` or `core.latest.CHANNEL.xml`.
    pub fn head(&self, channel: &Channel) -> String {
        match (self.layout, is_stable(channel)) {
            (SiteLayout::Folders, true) => format!("{}latest.xml", self.dir()),
            (SiteLayout::Folders, false) => format!("{}{channel}.latest.xml", self.dir()),
            (SiteLayout::Flat, true) => format!("{}.latest.xml", self.stem()),
            (SiteLayout::Flat, false) => format!("{}.latest.{channel}.xml", self.stem()),
        }
    }

    /// Returns the path of a channel's newest manifest: `manifest.xml` or `CHANNEL.xml`, in a flat
    /// layout `core.manifest.xml` or `core.manifest.CHANNEL.xml`.
    pub fn manifest(&self, channel: &Channel) -> String {
        match (self.layout, is_stable(channel)) {
            (SiteLayout::Folders, true) => format!("{}{MANIFEST_NAME}", self.dir()),
            (SiteLayout::Folders, false) => format!("{}{channel}.xml", self.dir()),
            (SiteLayout::Flat, true) => format!("{}.{MANIFEST_NAME}", self.stem()),
            (SiteLayout::Flat, false) => format!("{}.manifest.{channel}.xml", self.stem()),
        }
    }

    /// Returns the path of the manifest of a past release.
    pub fn release(&self, sequence: u64) -> String {
        match self.layout {
            SiteLayout::Folders => format!("{}releases/{sequence}.xml", self.dir()),
            SiteLayout::Flat => format!("{}-{sequence}.xml", self.stem()),
        }
    }

    /// Returns the path of the delta from the manifest of release `from` to that of release `to`.
    pub fn manifest_delta(&self, to: u64, from: u64) -> String {
        match self.layout {
            SiteLayout::Folders => format!("{}releases/{to}/from-{from}.delta", self.dir()),
            SiteLayout::Flat => format!("{}-{to}-from-{from}.delta", self.stem()),
        }
    }

    /// Returns the path of the object that counts one installation with `version` in a week.
    ///
    /// The week is that of [`Timestamp::week`](crate::values::timestamp::Timestamp::week).
    pub fn adoption(&self, week: &str, version: &Version) -> String {
        match self.layout {
            SiteLayout::Folders => format!("{}adoption/{week}/{version}", self.dir()),
            SiteLayout::Flat => format!("{}-adoption-{week}-{version}", self.stem()),
        }
    }

    /// Returns the base URL of the component whose newest manifest is at `manifest`.
    pub fn base_url(&self, manifest: &Url) -> Option<Url> {
        manifest.join(if self.dir().is_empty() { "./" } else { "../" }).ok()
    }

    /// Returns the folder of the platform's releases: `x86_64-linux/`, or an empty text for the
    /// platform `any` and in a flat layout.
    pub fn dir(&self) -> String {
        let has_folder = self.layout == SiteLayout::Folders && self.platform != Platform::any();
        if has_folder { format!("{}/", self.platform) } else { String::new() }
    }

    /// Returns the start of the names of the platform's releases in a flat layout.
    ///
    /// The names of components, platforms and channels contain no dot, and channel and platform
    /// have different places in a name. So no two files of a site have the same name.
    fn stem(&self) -> String {
        let Self { component, platform, .. } = self;
        if *platform == Platform::any() { component.to_string() } else { format!("{component}.{platform}") }
    }
}

fn is_stable(channel: &Channel) -> bool {
    channel.as_str() == "stable"
}

/// The end of the name of a damaged state file that was set aside.
pub const DAMAGED_SUFFIX: &str = ".damaged";

/// The name of the folder of stages in a state or work folder.
pub const STAGES_DIR_NAME: &str = "stage";
/// The folder of finished files in a component's stage.
pub const STAGED_FILES_DIR_NAME: &str = "files";

/// An install root: the folder with the components, and the components that lie elsewhere.
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
    /// Returns an install root whose state folder has its usual place.
    pub fn new(dir: PathBuf) -> Self {
        Self { state: StateDir { dir: dir.join(STATE_DIR_NAME) }, dir, elsewhere: BTreeMap::new() }
    }

    /// Returns the folder of a component.
    pub fn component(&self, name: &Component) -> PathBuf {
        self.elsewhere.get(name).cloned().unwrap_or_else(|| self.dir.join(name.as_str()))
    }

    /// Returns the folder of a component, which must not be a link.
    ///
    /// A folder that the program itself has named may be a link.
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

/// The lock in the install root that the programs of all users share, if a service updates them.
#[cfg(feature = "client")]
pub const ALL_USERS_LOCK_NAME: &str = ".patcher-users";

/// The updater's own files below an install root.
#[derive(Debug, Clone)]
pub struct StateDir {
    /// `<root>/.patcher`, or the folder that the program chose.
    pub dir: PathBuf,
}

impl StateDir {
    /// Returns the path of the journal, which has the state of a swap.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(layout: SiteLayout, platform: &str, channel: &str) -> [String; 5] {
        let names = SiteNames::new(layout, "core".parse().unwrap(), platform.parse().unwrap());
        let channel = channel.parse().unwrap();
        let object = names.object(ObjectKind::Update, &Sha256::of(b""));
        [names.head(&channel), names.manifest(&channel), names.release(42), names.manifest_delta(42, 41), object]
    }

    #[test]
    fn names_have_folders() {
        let [head, manifest, release, delta, object] = names(SiteLayout::Folders, "any", "stable");
        assert_eq!([head, manifest, release], ["latest.xml", "manifest.xml", "releases/42.xml"]);
        assert_eq!(delta, "releases/42/from-41.delta");
        assert!(object.starts_with("objects/e3/e3b0c4") && object.ends_with(".update"), "{object}");
        let [head, manifest, release, ..] = names(SiteLayout::Folders, "x86_64-linux", "beta");
        assert_eq!([head, manifest], ["x86_64-linux/beta.latest.xml", "x86_64-linux/beta.xml"]);
        assert_eq!(release, "x86_64-linux/releases/42.xml");
    }

    #[test]
    fn flat_names_have_none() {
        let [head, manifest, release, delta, object] = names(SiteLayout::Flat, "any", "stable");
        assert_eq!([head, manifest, release], ["core.latest.xml", "core.manifest.xml", "core-42.xml"]);
        assert_eq!(delta, "core-42-from-41.delta");
        assert!(object.starts_with("core-e3b0c4") && object.ends_with(".update"), "{object}");
        let [head, manifest, release, delta, _] = names(SiteLayout::Flat, "x86_64-linux", "beta");
        assert_eq!([head, manifest], ["core.x86_64-linux.latest.beta.xml", "core.x86_64-linux.manifest.beta.xml"]);
        assert_eq!([release, delta], ["core.x86_64-linux-42.xml", "core.x86_64-linux-42-from-41.delta"]);
    }

    #[test]
    fn a_channel_that_looks_like_a_platform_has_other_names() {
        let channel = names(SiteLayout::Flat, "any", "x86_64-linux");
        let platform = names(SiteLayout::Flat, "x86_64-linux", "stable");
        assert!(channel[..2].iter().all(|name| !platform.contains(name)), "{channel:?} {platform:?}");
    }

    #[test]
    fn the_base_url_is_where_objects_are() {
        let base = |layout, platform: &str, url: &str| {
            let names = SiteNames::new(layout, "core".parse().unwrap(), platform.parse().unwrap());
            names.base_url(&url.parse().unwrap()).unwrap().to_string()
        };
        assert_eq!(base(SiteLayout::Folders, "any", "http://h/core/manifest.xml"), "http://h/core/");
        assert_eq!(
            base(SiteLayout::Folders, "x86_64-linux", "http://h/core/x86_64-linux/manifest.xml"),
            "http://h/core/"
        );
        assert_eq!(base(SiteLayout::Flat, "x86_64-linux", "http://h/d/core.x86_64-linux.manifest.xml"), "http://h/d/");
    }
}
