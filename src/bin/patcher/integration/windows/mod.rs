//! Windows: a shortcut in the start menu, and entries in the registry, for one user.
//!
//! | entry | place |
//! |---|---|
//! | shortcut | `TITLE.lnk` in the user's start menu |
//! | uninstall entry | `NAME-HASH` below [`UNINSTALL_KEY`] |
//! | autostart | the value `NAME-HASH` of [`RUN_KEY`] |

mod command_line;
mod shell_link;

use super::{IntegrationChanges, ShownComponent, Uninstall, bad};
use crate::arguments::IntegrateArguments;
use command_line::command_line;
use known_folders::{KnownFolder, get_known_folder_path};
use patcher::internal::rel_path::RelPath;
use patcher::{Machine, Result};
use shell_link::ShellLink;
use std::fs;
use std::path::{Path, PathBuf};
use windows_registry::{CURRENT_USER, Key};

/// The key that lists the programs of the user in the system's settings.
const UNINSTALL_KEY: &str = r"Software\Microsoft\Windows\CurrentVersion\Uninstall";
/// The key with the programs that start when the user logs on.
const RUN_KEY: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";
/// The value of the uninstall entry that names the file of the shortcut, so that a release with
/// another title replaces it.
const SHORTCUT_VALUE: &str = "Shortcut";
/// The first bytes of an `.ico`: a reserved number and the type.
const ICO_START: &[u8] = &[0, 0, 1, 0];
/// The option that makes an uninstaller silent, as NSIS and others have it.
const SILENT: &str = "/S";

/// Writes the entries of a component, and deletes its other ones.
pub fn integrate(shown: &ShownComponent, arguments: &IntegrateArguments) -> Result<IntegrationChanges> {
    let dir = without_prefix(shown.dir);
    let program = shown.program.under(&dir);
    let icon = match &shown.icon {
        Some(icon) if icon.bytes.starts_with(ICO_START) => icon.path.under(&dir),
        Some(icon) => return Err(bad("icon", icon.path.as_str(), "it is no .ico")),
        None => program.clone(),
    };
    let menu = menu_folder()?;
    let old_shortcut = shortcut_name(&shown.id);
    let shortcut = free_name(&menu, shown, old_shortcut.as_deref());

    let mut changes = IntegrationChanges::default();
    let path = format!(r"{UNINSTALL_KEY}\{}", shown.id);
    let key = create_key(&path)?;
    set_uninstall_values(&key, shown, &dir, &icon, &shortcut).map_err(|error| failed("write", &path, error))?;
    changes.written.push(registry_path(&path));

    let link = menu.join(&shortcut);
    let parent = program.parent().unwrap_or(&dir);
    fs::create_dir_all(&menu)
        .and_then(|()| ShellLink { target: &program, working_dir: parent, icon: &icon }.save(&link))
        .map_err(|source| Machine::Io { action: "write", path: link.clone(), source })?;
    if let Some(old) = old_shortcut.filter(|old| *old != shortcut) {
        changes.delete(menu.join(old))?;
    }
    changes.written.push(link);

    if arguments.autostart {
        let program = command_line([program.to_string_lossy()]);
        let set = create_key(RUN_KEY)?.set_string(&shown.id, program);
        set.map_err(|error| failed("write", RUN_KEY, error))?;
        changes.written.push(run_path(&shown.id));
    } else {
        remove_autostart(&shown.id, &mut changes)?;
    }
    Ok(changes)
}

/// Deletes all entries of a component.
pub fn remove(id: &str) -> Result<IntegrationChanges> {
    let mut changes = IntegrationChanges::default();
    if let Some(shortcut) = shortcut_name(id) {
        changes.delete(menu_folder()?.join(shortcut))?;
    }
    remove_autostart(id, &mut changes)?;
    // The last, because it names the shortcut.
    let path = format!(r"{UNINSTALL_KEY}\{id}");
    if CURRENT_USER.open(&path).is_ok() {
        CURRENT_USER.remove_tree(&path).map_err(|error| failed("delete", &path, error))?;
        changes.deleted.push(registry_path(&path));
    }
    Ok(changes)
}

/// Sets what the system's settings show of a program, and how they uninstall it.
fn set_uninstall_values(
    key: &Key,
    shown: &ShownComponent,
    dir: &Path,
    icon: &Path,
    shortcut: &str,
) -> windows_registry::Result<()> {
    let meta = &shown.manifest.meta;
    let bytes: u64 = shown.manifest.files.iter().map(|file| file.size).sum();
    key.set_string("DisplayName", shown.title.as_str())?;
    key.set_string("DisplayVersion", meta.version.to_string())?;
    match &meta.appearance.publisher {
        Some(publisher) => key.set_string("Publisher", publisher.as_str())?,
        None => remove_value(key, "Publisher")?,
    }
    key.set_string("DisplayIcon", icon.to_string_lossy())?;
    key.set_string("InstallLocation", dir.to_string_lossy())?;
    key.set_u32("EstimatedSize", u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX))?;
    key.set_u32("NoModify", 1)?;
    key.set_u32("NoRepair", 1)?;
    let uninstall = command_line(shown.uninstall.words());
    let silent = match &shown.uninstall {
        Uninstall::Remove(_) => uninstall.clone(),
        Uninstall::Uninstaller(_) => format!("{uninstall} {SILENT}"),
    };
    key.set_string("UninstallString", uninstall)?;
    key.set_string("QuietUninstallString", silent)?;
    key.set_string(SHORTCUT_VALUE, shortcut)
}

fn remove_autostart(id: &str, changes: &mut IntegrationChanges) -> Result<()> {
    if CURRENT_USER.open(RUN_KEY).and_then(|key| key.get_type(id)).is_ok() {
        let removed = create_key(RUN_KEY)?.remove_value(id);
        removed.map_err(|error| failed("delete", RUN_KEY, error))?;
        changes.deleted.push(run_path(id));
    }
    Ok(())
}

fn remove_value(key: &Key, name: &str) -> windows_registry::Result<()> {
    if key.get_type(name).is_ok() { key.remove_value(name) } else { Ok(()) }
}

/// Returns the name of the shortcut that an earlier run has written.
fn shortcut_name(id: &str) -> Option<String> {
    let key = CURRENT_USER.open(format!(r"{UNINSTALL_KEY}\{id}")).ok()?;
    // Other programs of the user can write the value.
    key.get_string(SHORTCUT_VALUE).ok().filter(|name| RelPath::new(name).is_ok_and(|path| path.segments().count() == 1))
}

/// Returns the name of a shortcut that is new, or that an earlier run has written.
fn free_name(menu: &Path, shown: &ShownComponent, old: Option<&str>) -> String {
    let plain = shown.title.file_name().map(|title| format!("{title}.lnk"));
    let is_free = |name: &String| old == Some(name.as_str()) || !menu.join(name).exists();
    plain.filter(is_free).unwrap_or_else(|| format!("{}.lnk", shown.id))
}

/// Returns the folder of the user's start menu.
fn menu_folder() -> Result<PathBuf> {
    let folder = get_known_folder_path(KnownFolder::Programs);
    folder.ok_or_else(|| Machine::Unsupported { what: "a user without a start menu" }.into())
}

/// Removes the prefix `\\?\` from a path, which the start menu does not take.
fn without_prefix(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    match text.strip_prefix(r"\\?\") {
        Some(plain) if !plain.starts_with("UNC") => plain.into(),
        _ => path.to_owned(),
    }
}

fn create_key(path: &str) -> Result<Key> {
    CURRENT_USER.create(path).map_err(|error| failed("create", path, error))
}

fn run_path(id: &str) -> PathBuf {
    registry_path(&format!(r"{RUN_KEY}\{id}"))
}

fn registry_path(path: &str) -> PathBuf {
    format!(r"HKEY_CURRENT_USER\{path}").into()
}

fn failed(action: &'static str, path: &str, error: ::windows::core::Error) -> patcher::Error {
    Machine::Io { action, path: registry_path(path), source: error.into() }.into()
}
