//! The installer: a program that installs a component for one user of Windows, without
//! administrator rights, and leaves an uninstaller.
//!
//! `makensis` of NSIS builds it from the script `installer.nsi`. The texts of the release are
//! hostile input: the script gets them escaped, and files under the names `0`, `1` and so on.

use super::{SignedBuild, create_output, publish_output};
use crate::error::{Error, Result};
use crate::setting::checked;
use patcher::internal::manifest::{DisplayName, Meta};
use patcher::internal::rel_path::MANIFEST_NAME;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The program that compiles the script.
const MAKENSIS: &str = "makensis";
/// The script, with the names of values between `@`.
const SCRIPT: &str = include_str!("installer.nsi");

/// What an installer needs besides the release, to add it to the menu and to uninstall it.
#[derive(Debug)]
pub struct Uninstalling<'a> {
    /// `patcher.exe` for Windows.
    pub patcher: &'a Path,
    /// The public keys of the publisher, also of later releases.
    pub keys: &'a [PathBuf],
    /// The number of keys that must have signed a release.
    pub threshold: usize,
}

impl SignedBuild {
    /// Builds the installer, which appears whole or not at all, and returns its size in bytes.
    ///
    /// # Errors
    /// - [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting) for a release that
    ///   names no program to launch, or has links.
    /// - [`Error::Changed`] for a file that is not as it was signed.
    /// - [`Error::Installer`] if `makensis` fails; an I/O error.
    pub fn build_installer(&self, uninstalling: &Uninstalling, output: &Path) -> Result<u64> {
        let work = TempDir::new().map_err(|error| Error::io("create", std::env::temp_dir(), error))?;
        let failed = |error| Error::io("write", work.path(), error);
        let script = self.script(uninstalling, work.path())?;
        let path = work.path().join("installer.nsi");
        fs::write(&path, script).map_err(failed)?;
        run_makensis(&path)?;

        let mut built = fs::File::open(work.path().join("installer.exe")).map_err(failed)?;
        let mut file = create_output(output)?;
        io::copy(&mut built, file.as_file_mut()).map_err(|error| Error::io("write", output, error))?;
        publish_output(file, output)
    }

    /// Copies everything into `work`, and returns the script that packs it.
    fn script(&self, uninstalling: &Uninstalling, work: &Path) -> Result<String> {
        let manifest = self.manifest.manifest();
        let Meta { component, version, platform, launch, appearance, .. } = &manifest.meta;
        let launch = checked("launch", "", launch.as_ref().ok_or("an installer needs a program to launch"))?;
        if let Some(link) = manifest.links.first() {
            return checked("platform", platform.as_str(), Err(format!("Windows makes no links, as {}", link.path)));
        }
        let mut folder = None;
        let mut files = String::new();
        let mut icon = String::new();
        for (number, file) in manifest.files.iter().enumerate() {
            let copy = work.join(number.to_string());
            let write = |error| Error::io("write", &copy, error);
            self.copy_file(file, |content| {
                io::copy(content, &mut fs::File::create(&copy).map_err(write)?).map_err(write)?;
                Ok(())
            })?;
            let parent = file.path.parent().unwrap_or_default();
            if folder != Some(parent) {
                files += &format!("  SetOutPath \"$INSTDIR\\.install\\{}\"\n", windows_path(parent));
                folder = Some(parent);
            }
            let name = file.path.segments().next_back().unwrap_or_default();
            files += &format!("  File \"/oname={}\" {number}\n", escaped(name));
            if appearance.icon.as_ref() == Some(&file.path) && name.ends_with(".ico") {
                icon = format!("Icon {number}\nUninstallIcon {number}\n");
            }
        }
        fs::write(work.join(MANIFEST_NAME), self.manifest.bytes()).map_err(|error| Error::io("write", work, error))?;
        copy_into(work, "patcher.exe", uninstalling.patcher)?;
        let mut keys = format!("--threshold {}", uninstalling.threshold);
        let mut key_files = String::new();
        let mut delete_keys = String::new();
        for (number, key) in (1..).zip(uninstalling.keys) {
            let name = format!("{number}.pub.pem");
            copy_into(work, &name, key)?;
            keys += &format!(" --key \"$UPDATER\\{name}\"");
            key_files += &format!("  File {name}\n");
            delete_keys += &format!("  Delete \"$UPDATER\\{name}\"\n");
        }
        let title = appearance.title.as_ref().map_or(component.as_str(), DisplayName::as_str);
        let publisher = appearance.publisher.as_ref().map_or("", DisplayName::as_str);
        let folder = appearance.title.as_ref().and_then(DisplayName::file_name);
        // Debian's NSIS has stubs for these two processors; the first one runs everywhere.
        let target = if platform.as_str().starts_with("x86_64-") { "amd64-unicode" } else { "x86-unicode" };
        Ok(filled(
            SCRIPT,
            &[
                ("TARGET", target),
                ("TITLE", &escaped(title)),
                ("TITLE_WITH_DOUBLE_AMPERSANDS", &escaped(title).replace('&', "&&")),
                ("PUBLISHER", &escaped(publisher)),
                ("VERSION", &escaped(&version.to_string())),
                ("FOLDER", &escaped(folder.as_deref().unwrap_or(component.as_str()))),
                ("COMPONENT", component.as_str()),
                ("LAUNCH", &windows_path(launch.as_str())),
                ("LAUNCH_FOLDER", &windows_path(launch.parent().unwrap_or_default())),
                ("ICON", &icon),
                ("FILES", &files),
                ("KEYS", &keys),
                ("KEY_FILES", &key_files),
                ("DELETE_KEYS", &delete_keys),
            ],
        ))
    }
}

/// Copies a file of the publisher into the work folder.
fn copy_into(work: &Path, name: &str, from: &Path) -> Result<()> {
    fs::copy(from, work.join(name)).map_err(|error| Error::io("read", from, error))?;
    Ok(())
}

fn run_makensis(script: &Path) -> Result<()> {
    let failed = |detail| Error::Installer { detail };
    let mut command = Command::new(MAKENSIS);
    let run = command.args(["-V2", "-INPUTCHARSET", "UTF8"]).arg(script).output();
    let output = run.map_err(|error| failed(format!("{MAKENSIS} of NSIS cannot be started: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Err(failed(format!("{MAKENSIS} has failed: {}", patcher::internal::plain_text::escaped(text.trim()))))
}

/// Escapes a text for a string of NSIS in double quotes (NSIS Users Manual, 4.1).
fn escaped(text: &str) -> String {
    let text = text.replace('$', "$$").replace('"', "$\\\"");
    // The preprocessor expands `${NAME}` and `$%NAME%` even after `$$`.
    text.replace("$${", "$$${U+7B}").replace("$$%", "$$${U+25}")
}

/// Returns a path of the release for a string of NSIS.
fn windows_path(path: &str) -> String {
    escaped(&path.replace('/', "\\"))
}

/// Puts values in the place of their names, each once: a value may have the form of a name.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let part = |(number, part): (usize, &str)| match number % 2 {
        0 => part.to_owned(),
        _ => values.iter().find(|(name, _)| *name == part).map_or_else(String::new, |(_, value)| (*value).to_owned()),
    };
    template.split('@').enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_a_string_or_is_expanded() {
        assert_eq!(escaped(r#"a"b $INSTDIR $(X) $"#), r#"a$\"b $$INSTDIR $$(X) $$"#);
        assert_eq!(escaped("${X} $${X} $%X% {%"), "$$${U+7B}X} $$$$${U+7B}X} $$${U+25}X% {%");
        assert_eq!(windows_path("bin/$a.exe"), r"bin\$$a.exe");
        let values = [("TITLE", "@FILES@"), ("FILES", "all")];
        assert_eq!(filled("1 @TITLE@ 2 @FILES@", &values), "1 @FILES@ 2 all");
    }
}
