//! Desktop integration: the menu entry, icon and autostart of a component, for one user.
//!
//! All shown texts and files are from the signed release or from the caller. The names of the
//! written files have the component's name and a hash of its folder, so that two installations do
//! not share them. A second run replaces the files.

mod desktop_entry;
mod icon;

use crate::arguments::{IntegrateArguments, PatcherArguments};
use desktop_entry::DesktopEntry;
use icon::IconPlace;
use patcher::internal::digest::Sha256;
use patcher::internal::fs::{Dir, read_regular};
use patcher::internal::plain_text::escaped;
use patcher::{Caller, Machine, Patcher, RelPath, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest icon that is read.
const MAX_ICON_BYTES: u64 = 1 << 20;
/// The longest title, in characters.
const MAX_TITLE: usize = 100;
/// The mode of the written files.
const FILE_MODE: u32 = 0o644;

/// The files that a run has changed.
#[derive(Debug, Default)]
pub struct IntegrationChanges {
    pub written: Vec<PathBuf>,
    pub deleted: Vec<PathBuf>,
}

/// The folders of the user's desktop, and the name that the component's files have in them.
struct DesktopFiles {
    applications: PathBuf,
    autostart: PathBuf,
    icons: PathBuf,
    id: String,
}

/// Makes, replaces or deletes the files that `integrate` describes.
///
/// # Errors
/// [`Caller::BadSetting`] for a title, program, icon or category that cannot be shown;
/// [`Machine::Unsupported`] on other systems than Linux; those of reading the installed release.
pub fn integrate(
    patcher: &Patcher,
    integrate: &IntegrateArguments,
    arguments: &PatcherArguments,
) -> Result<IntegrationChanges> {
    let dir = patcher.component_folder(&integrate.name)?;
    if integrate.remove {
        return remove(&integrate.name, &dir);
    }
    let files = DesktopFiles::of(&integrate.name, &dir)?;
    let manifest = patcher.installed_manifest(&integrate.name)?;
    let title = integrate.title.as_deref().unwrap_or(&integrate.name);
    if title.trim().is_empty() || title.chars().count() > MAX_TITLE || escaped(title) != title || title.contains('\n') {
        return Err(bad("title", title, "it is empty, too long, or has control characters"));
    }
    if let Some(category) = integrate.categories.iter().find(|category| !is_category(category)) {
        return Err(bad("category", category, "categories consist of letters, digits and `-`"));
    }
    let launch = manifest.meta.launch.as_ref().map(RelPath::as_str);
    let program = integrate.program.as_deref().or(launch);
    let program = program.ok_or_else(|| bad("program", "", "the release names no program to launch"))?;
    let listed = |path: &str| manifest.files.iter().find(|file| file.path.as_str() == path);
    if !listed(program).is_some_and(|file| file.executable) {
        return Err(bad("program", program, "it is no program of the release"));
    }
    let program = text(&dir.join(program))?;
    if program.contains(['=', '%']) {
        // Section 7 of the specification forbids `=`. GLib looks for the file before it expands
        // `%%`.
        return Err(bad("program", &program, "desktops start no path with `=` or `%`"));
    }
    let icon = match &integrate.icon {
        None => None,
        Some(path) => {
            let file = listed(path).ok_or_else(|| bad("icon", path, "it is no file of the release"))?;
            let full = dir.join(path);
            let bytes = read_regular(&full, MAX_ICON_BYTES);
            let bytes = bytes.map_err(|source| Machine::Io { action: "read", path: full, source })?;
            if Sha256::of(&bytes) != file.sha256 {
                return Err(bad("icon", path, "the file is not that of the release; `repair` restores it"));
            }
            Some((IconPlace::of(path, &bytes).map_err(|detail| bad("icon", path, detail))?, bytes))
        }
    };
    let uninstall = arguments.command_line(&["remove", &integrate.name])?;
    let mut entry = DesktopEntry {
        title,
        program: &program,
        icon: icon.as_ref().map(|_| files.id.as_str()),
        categories: &integrate.categories,
        uninstall: Some(&uninstall),
    };
    let mut changes = IntegrationChanges::default();
    if let Some((place, bytes)) = &icon {
        changes.write(&files.icon(place), bytes)?;
    }
    changes.write(&files.menu_entry(), entry.text().as_bytes())?;
    if integrate.autostart {
        entry.uninstall = None;
        changes.write(&files.autostart_entry(), entry.text().as_bytes())?;
    }
    changes.delete_others(&files)?;
    Ok(changes)
}

/// Deletes everything that [`integrate`] has made for a component.
///
/// # Errors
/// [`Machine::Io`], [`Machine::Unsupported`].
pub fn remove(name: &str, dir: &Path) -> Result<IntegrationChanges> {
    let mut changes = IntegrationChanges::default();
    changes.delete_others(&DesktopFiles::of(name, dir)?)?;
    Ok(changes)
}

impl DesktopFiles {
    fn of(name: &str, dir: &Path) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err(Machine::Unsupported { what: "desktop integration" }.into());
        }
        let data = base_dir("XDG_DATA_HOME", ".local/share")?;
        // The folder itself may be gone. Its parent is the same by each path that leads to it.
        let parent = dir.parent().and_then(|parent| parent.canonicalize().ok());
        let real = parent.zip(dir.file_name()).map_or_else(|| dir.to_owned(), |(parent, name)| parent.join(name));
        let hash = Sha256::of(real.as_os_str().as_encoded_bytes()).to_string();
        Ok(Self {
            applications: data.join("applications"),
            autostart: base_dir("XDG_CONFIG_HOME", ".config")?.join("autostart"),
            icons: data.join("icons/hicolor"),
            id: format!("{name}-{}", &hash[..8]),
        })
    }

    fn menu_entry(&self) -> PathBuf {
        self.applications.join(format!("{}.desktop", self.id))
    }

    fn autostart_entry(&self) -> PathBuf {
        self.autostart.join(format!("{}.desktop", self.id))
    }

    fn icon(&self, place: &IconPlace) -> PathBuf {
        self.icons.join(&place.folder).join(format!("{}.{}", self.id, place.ending))
    }
}

impl IntegrationChanges {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Ok(());
        };
        fs::create_dir_all(dir).map_err(|source| Machine::Io { action: "create", path: dir.to_owned(), source })?;
        Dir::open(dir)?.replace(name, bytes, FILE_MODE)?;
        self.written.push(path.to_owned());
        Ok(())
    }

    /// Deletes the files of the component that this run has not written.
    fn delete_others(&mut self, files: &DesktopFiles) -> Result<()> {
        let entries = [files.menu_entry(), files.autostart_entry()];
        for path in entries.into_iter().chain(IconPlace::all().map(|place| files.icon(&place))) {
            if self.written.contains(&path) {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => self.deleted.push(path),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Machine::Io { action: "delete", path, source }.into()),
            }
        }
        Ok(())
    }
}

/// Returns a folder of the XDG Base Directory Specification, which ignores relative paths.
fn base_dir(variable: &str, default: &str) -> Result<PathBuf> {
    if let Some(dir) = env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        return Ok(dir);
    }
    let home = env::home_dir().filter(|home| home.is_absolute());
    home.map(|home| home.join(default)).ok_or_else(|| bad("HOME", "", "it names no folder"))
}

fn is_category(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Returns a path as text: desktop entries are UTF-8.
fn text(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| bad("program", &path.to_string_lossy(), "the path is not UTF-8"))?;
    Ok(text.to_owned())
}

fn bad(setting: &'static str, value: &str, detail: &str) -> patcher::Error {
    Caller::BadSetting { setting, value: value.to_owned(), detail: detail.to_owned() }.into()
}
