//! Desktop integration: the menu entry, icon, autostart and uninstall entry of a component, for one
//! user.
//!
//! All shown texts and files are from the signed release or from the caller. Entries have the
//! component's name and a hash of its folder, so that two installations do not share them. A second
//! run replaces the entries.

#[cfg(not(windows))]
mod freedesktop;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
use self::freedesktop as desktop;
#[cfg(windows)]
use self::windows as desktop;
use crate::arguments::{IntegrateArguments, PatcherArguments, absolute};
use patcher::internal::digest::Sha256;
use patcher::internal::fs::read_regular;
use patcher::internal::manifest::{Appearance, DisplayName, Manifest};
use patcher::{Caller, Machine, Patcher, RelPath, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The largest icon that is read.
const MAX_ICON_BYTES: u64 = 1 << 20;

/// The files and registry keys that a run has changed.
#[derive(Debug, Default)]
pub struct IntegrationChanges {
    pub written: Vec<PathBuf>,
    pub deleted: Vec<PathBuf>,
}

/// A component as desktops show it; all of it is checked.
struct ShownComponent<'a> {
    /// The name of the entries, unique for the installation.
    id: String,
    /// The folder of the component.
    dir: &'a Path,
    manifest: &'a Manifest,
    title: DisplayName,
    /// The program's path in the release.
    program: &'a RelPath,
    icon: Option<Icon<'a>>,
    uninstall: Uninstall,
}

/// The command that uninstalls a component.
enum Uninstall {
    /// `patcher remove` with its arguments, which asks nothing.
    Remove(Vec<String>),
    /// The program that an installer has left.
    Uninstaller(String),
}

/// An icon of the release.
struct Icon<'a> {
    path: &'a RelPath,
    bytes: Vec<u8>,
}

/// Makes, replaces or deletes the entries that `integrate` describes.
///
/// # Errors
/// [`Caller::BadSetting`] for a title, program, icon or category that cannot be shown;
/// [`Machine::Unsupported`] on macOS; those of reading the installed release.
pub fn integrate(
    patcher: &Patcher,
    integrate: &IntegrateArguments,
    arguments: &PatcherArguments,
) -> Result<IntegrationChanges> {
    let dir = patcher.component_folder(&integrate.name)?;
    if integrate.remove {
        return remove(&integrate.name, &dir);
    }
    if let Some(category) = integrate.categories.iter().find(|category| !is_category(category)) {
        return Err(bad("category", category, "categories consist of letters, digits and `-`"));
    }
    let manifest = patcher.installed_manifest(&integrate.name)?;
    let Appearance { title, icon, .. } = &manifest.meta.appearance;
    let title = match (&integrate.title, title) {
        (Some(title), _) => parse_name(title)?,
        (None, Some(title)) => title.clone(),
        (None, None) => parse_name(manifest.meta.component.as_str())?,
    };
    let program = match &integrate.program {
        Some(path) => Some(listed(&manifest, "program", path)?),
        None => manifest.meta.launch.as_ref(),
    };
    let program = program.ok_or_else(|| bad("program", "", "the release names no program to launch"))?;
    let icon = match &integrate.icon {
        Some(path) => Some(listed(&manifest, "icon", path)?),
        None => icon.as_ref(),
    };
    let uninstall = match &integrate.uninstaller {
        Some(program) => Uninstall::Uninstaller(absolute(program)?),
        None => Uninstall::Remove(arguments.command_line(&["remove", &integrate.name])?),
    };
    let shown = ShownComponent {
        id: entry_id(&integrate.name, &dir),
        dir: &dir,
        manifest: &manifest,
        title,
        program,
        icon: icon.map(|path| Icon::read(&manifest, &dir, path)).transpose()?,
        uninstall,
    };
    desktop::integrate(&shown, integrate)
}

/// Deletes everything that [`integrate`] has made for a component.
///
/// # Errors
/// [`Machine::Io`], [`Machine::Unsupported`].
pub fn remove(name: &str, dir: &Path) -> Result<IntegrationChanges> {
    desktop::remove(&entry_id(name, dir))
}

impl IntegrationChanges {
    /// Deletes a file, if there is one.
    fn delete(&mut self, path: PathBuf) -> Result<()> {
        match fs::remove_file(&path) {
            Ok(()) => self.deleted.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Machine::Io { action: "delete", path, source }.into()),
        }
        Ok(())
    }
}

impl Uninstall {
    /// Returns the program and its arguments.
    fn words(&self) -> &[String] {
        match self {
            Self::Remove(words) => words,
            Self::Uninstaller(program) => std::slice::from_ref(program),
        }
    }
}

impl<'a> Icon<'a> {
    /// Reads an icon, which must be the file of the release.
    fn read(manifest: &Manifest, dir: &Path, path: &'a RelPath) -> Result<Self> {
        let full = path.under(dir);
        let bytes = read_regular(&full, MAX_ICON_BYTES);
        let bytes = bytes.map_err(|source| Machine::Io { action: "read", path: full, source })?;
        let sha256 = Sha256::of(&bytes);
        if !manifest.files.iter().any(|file| file.path == *path && file.sha256 == sha256) {
            return Err(bad("icon", path.as_str(), "the file is not that of the release; `repair` restores it"));
        }
        Ok(Self { path, bytes })
    }
}

/// Returns the name of a component's entries, as in `core-3f1b0c22`.
fn entry_id(name: &str, dir: &Path) -> String {
    // The folder itself may be gone. Its parent is the same by each path that leads to it.
    let parent = dir.parent().and_then(|parent| parent.canonicalize().ok());
    let real = parent.zip(dir.file_name()).map_or_else(|| dir.to_owned(), |(parent, name)| parent.join(name));
    let hash = Sha256::of(real.as_os_str().as_encoded_bytes()).to_string();
    format!("{name}-{}", &hash[..8])
}

/// Finds the path of a file that the release lists.
fn listed<'a>(manifest: &'a Manifest, setting: &'static str, path: &str) -> Result<&'a RelPath> {
    let file = manifest.files.iter().find(|file| file.path.as_str() == path);
    file.map(|file| &file.path).ok_or_else(|| bad(setting, path, "it is no file of the release"))
}

fn is_category(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn parse_name(title: &str) -> Result<DisplayName> {
    title.parse().map_err(|error: <DisplayName as std::str::FromStr>::Err| bad("title", title, &error.to_string()))
}

fn bad(setting: &'static str, value: &str, detail: &str) -> patcher::Error {
    Caller::BadSetting { setting, value: value.to_owned(), detail: detail.to_owned() }.into()
}
