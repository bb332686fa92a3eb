//! The environment of a program that is started again, without what binds it to its last run.
//!
//! A PyInstaller program and an AppImage unpack or mount themselves into a folder of their own for
//! each run. They tell their processes about it in environment variables. A new version that
//! inherits them looks for its files in the folder of the old one, which is gone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The variables that name the folder of a run.
const FOLDERS: [&str; 3] = ["_PYI_APPLICATION_HOME_DIR", "_MEIPASS2", "APPDIR"];
/// The other variables of an AppImage's runtime.
const APPIMAGE: [&str; 3] = ["APPIMAGE", "ARGV0", "OWD"];
/// The start of the names of PyInstaller's variables.
const PYINSTALLER: &str = "_PYI_";
/// The end of the name under which PyInstaller saves the value of a variable that it changes.
const SAVED: &str = "_ORIG";

/// Returns the variables that must change for a new run. The value `None` removes one.
///
/// - Variables of PyInstaller and of AppImage's runtime are removed.
/// - Variables that PyInstaller saved get their values back.
/// - In all others, entries that lead into the folder of the run are removed.
pub fn unbound(variables: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<OsString, Option<OsString>> {
    let variables: BTreeMap<OsString, OsString> = variables.collect();
    let value = |name: &str| variables.get(OsStr::new(name)).filter(|value| !value.is_empty());
    let folders: Vec<PathBuf> = FOLDERS.into_iter().filter_map(value).map(PathBuf::from).collect();
    let mut changes = BTreeMap::new();
    for (name, text) in &variables {
        let word = name.to_string_lossy();
        let is_appimage = value("APPDIR").is_some() && APPIMAGE.contains(&&*word);
        if word.starts_with(PYINSTALLER) || FOLDERS.contains(&&*word) || is_appimage {
            changes.insert(name.clone(), None);
        } else if let Some(saved) = value(&format!("{word}{SAVED}")).filter(|_| !folders.is_empty()) {
            changes.insert(name.clone(), Some(saved.clone()));
            changes.insert(OsString::from(format!("{word}{SAVED}")), None);
        } else if let Some(kept) = without_folders(text, &folders) {
            changes.entry(name.clone()).or_insert(kept);
        }
    }
    changes
}

/// Returns a list of paths without those in `folders`. The outer `None` means that it has none of
/// them, the inner one that nothing is left.
fn without_folders(list: &OsStr, folders: &[PathBuf]) -> Option<Option<OsString>> {
    let is_inside = |path: &Path| folders.iter().any(|folder| path.starts_with(folder));
    if !std::env::split_paths(list).any(|path| is_inside(&path)) {
        return None;
    }
    let rest: Vec<PathBuf> = std::env::split_paths(list).filter(|path| !is_inside(path)).collect();
    if rest.is_empty() {
        return Some(None);
    }
    Some(std::env::join_paths(rest).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the changes to these variables. A value without text means that one is removed.
    fn changes(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let text = |text: OsString| text.into_string().unwrap();
        unbound(variables).into_iter().map(|(name, value)| (text(name), value.map_or(String::new(), text))).collect()
    }

    /// Joins paths as this system writes them in a variable.
    fn joined(paths: &[&str]) -> String {
        std::env::join_paths(paths).unwrap().into_string().unwrap()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_ordinary_environment_stays() {
        let ordinary =
            [("PATH", "/usr/bin"), ("LD_LIBRARY_PATH", "/opt/lib"), ("LD_LIBRARY_PATH_ORIG", "/old"), ("OWD", "x")];
        assert_eq!(changes(&ordinary), []);
    }

    #[test]
    fn a_pyinstaller_program_is_unpacked_again() {
        let variables = [
            ("_PYI_APPLICATION_HOME_DIR", "/tmp/_MEI1"),
            ("_PYI_ARCHIVE_FILE", "/opt/app/app/app"),
            ("_PYI_PARENT_PROCESS_LEVEL", "1"),
            ("LD_LIBRARY_PATH", "/tmp/_MEI1"),
            ("TCL_LIBRARY", "/tmp/_MEI1/tcl"),
            ("HOME", "/home/me"),
        ];
        let gone = ["LD_LIBRARY_PATH", "TCL_LIBRARY", "_PYI_APPLICATION_HOME_DIR"];
        let gone = [&gone[..], &["_PYI_ARCHIVE_FILE", "_PYI_PARENT_PROCESS_LEVEL"]].concat();
        assert_eq!(changes(&variables), pairs(&gone.iter().map(|name| (*name, "")).collect::<Vec<_>>()));
    }

    #[test]
    fn the_users_library_path_comes_back() {
        for folder in ["_MEIPASS2", "_PYI_APPLICATION_HOME_DIR"] {
            let variables = [
                (folder, "/tmp/_MEI1"),
                ("LD_LIBRARY_PATH", &joined(&["/tmp/_MEI1", "/mine"])),
                ("LD_LIBRARY_PATH_ORIG", "/mine"),
            ];
            let expected = [("LD_LIBRARY_PATH", "/mine"), ("LD_LIBRARY_PATH_ORIG", ""), (folder, "")];
            assert_eq!(changes(&variables), pairs(&expected));
        }
    }

    #[test]
    fn an_appimage_is_mounted_again() {
        let variables = [
            ("APPDIR", "/tmp/.mount_app1"),
            ("APPIMAGE", "/opt/app/app/app.AppImage"),
            ("ARGV0", "./app.AppImage"),
            ("OWD", "/home/me"),
            ("PATH", &joined(&["/tmp/.mount_app1/usr/bin", "/usr/bin", "/bin"])),
            ("XDG_DATA_DIRS", "/tmp/.mount_app1/usr/share"),
        ];
        let expected =
            [("APPDIR", ""), ("APPIMAGE", ""), ("ARGV0", ""), ("OWD", ""), ("PATH", &joined(&["/usr/bin", "/bin"]))];
        assert_eq!(changes(&variables), pairs(&[&expected[..], &[("XDG_DATA_DIRS", "")]].concat()));
    }
}
