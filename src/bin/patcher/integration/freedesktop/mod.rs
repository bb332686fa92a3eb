//! The desktops of Linux, which follow the specifications of freedesktop.org.

mod desktop_entry;
mod icon;

use super::{IntegrationChanges, ShownComponent, bad};
use crate::arguments::IntegrateArguments;
use desktop_entry::DesktopEntry;
use icon::IconPlace;
use patcher::internal::fs::Dir;
use patcher::{Machine, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The mode of the written files.
const FILE_MODE: u32 = 0o644;

/// The folders of the user's desktop, and the name that the component's files have in them.
struct DesktopFiles<'a> {
    applications: PathBuf,
    autostart: PathBuf,
    icons: PathBuf,
    id: &'a str,
}

/// Writes the files of a component, and deletes its other ones.
pub fn integrate(shown: &ShownComponent, arguments: &IntegrateArguments) -> Result<IntegrationChanges> {
    let files = DesktopFiles::of(&shown.id)?;
    let path = shown.program.as_str();
    if !shown.manifest.files.iter().any(|file| file.path == *shown.program && file.executable) {
        return Err(bad("program", path, "it is no program of the release"));
    }
    let program = shown.program.under(shown.dir);
    let program = program.to_str().ok_or_else(|| bad("program", path, "the path is not UTF-8"))?;
    if program.contains(['=', '%']) {
        // Section 7 of the specification forbids `=`. GLib looks for the file before it expands
        // `%%`.
        return Err(bad("program", program, "desktops start no path with `=` or `%`"));
    }
    let mut entry = DesktopEntry {
        title: shown.title.as_str(),
        program,
        icon: shown.icon.as_ref().map(|_| files.id),
        categories: &arguments.categories,
        uninstall: Some(shown.uninstall.words()),
    };
    let mut changes = IntegrationChanges::default();
    if let Some(icon) = &shown.icon {
        let path = icon.path.as_str();
        let place = IconPlace::of(path, &icon.bytes).map_err(|detail| bad("icon", path, detail))?;
        write(&files.icon(&place), &icon.bytes, &mut changes)?;
    }
    write(&files.menu_entry(), entry.text().as_bytes(), &mut changes)?;
    if arguments.autostart {
        entry.uninstall = None;
        write(&files.autostart_entry(), entry.text().as_bytes(), &mut changes)?;
    }
    delete_others(&files, &mut changes)?;
    Ok(changes)
}

/// Deletes all files of a component.
pub fn remove(id: &str) -> Result<IntegrationChanges> {
    let mut changes = IntegrationChanges::default();
    delete_others(&DesktopFiles::of(id)?, &mut changes)?;
    Ok(changes)
}

impl<'a> DesktopFiles<'a> {
    fn of(id: &'a str) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err(Machine::Unsupported { what: "desktop integration" }.into());
        }
        let data = base_dir("XDG_DATA_HOME", ".local/share")?;
        Ok(Self {
            applications: data.join("applications"),
            autostart: base_dir("XDG_CONFIG_HOME", ".config")?.join("autostart"),
            icons: data.join("icons/hicolor"),
            id,
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

fn write(path: &Path, bytes: &[u8], changes: &mut IntegrationChanges) -> Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    fs::create_dir_all(dir).map_err(|source| Machine::Io { action: "create", path: dir.to_owned(), source })?;
    Dir::open(dir)?.replace(name, bytes, FILE_MODE)?;
    changes.written.push(path.to_owned());
    Ok(())
}

/// Deletes the files of the component that this run has not written.
fn delete_others(files: &DesktopFiles, changes: &mut IntegrationChanges) -> Result<()> {
    let entries = [files.menu_entry(), files.autostart_entry()];
    for path in entries.into_iter().chain(IconPlace::all().map(|place| files.icon(&place))) {
        if !changes.written.contains(&path) {
            changes.delete(path)?;
        }
    }
    Ok(())
}

/// Returns a folder of the XDG Base Directory Specification, which ignores relative paths.
fn base_dir(variable: &str, default: &str) -> Result<PathBuf> {
    if let Some(dir) = env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        return Ok(dir);
    }
    let home = env::home_dir().filter(|home| home.is_absolute());
    home.map(|home| home.join(default)).ok_or_else(|| bad("HOME", "", "it names no folder"))
}
