//! The version in the manifest of another tool: Cargo.toml, package.json or pyproject.toml.

use crate::error::{Error, Result};
use crate::setting::checked;
use std::fs;
use std::path::Path;

/// The places of the version in a TOML file, the first that exists counts.
const TOML_PLACES: [&[&str]; 4] = [
    &["package", "version"],
    &["workspace", "package", "version"],
    &["project", "version"],
    &["tool", "poetry", "version"],
];

/// Returns the version that the file at `path` names.
///
/// # Errors
/// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting) for a file that is neither
/// TOML nor JSON by its name and content, or that names no version; an I/O error.
pub fn version_in(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    let version = if path.extension().is_some_and(|end| end == "json") {
        serde_json::from_str::<serde_json::Value>(&text)
            .map(|json| json["version"].as_str().map(str::to_owned))
            .map_err(|error| error.to_string())
    } else {
        toml::from_str::<toml::Table>(&text).map(|table| in_toml(&table)).map_err(|error| error.message().to_owned())
    };
    let version = version.and_then(|version| version.ok_or_else(|| "it names no version".to_owned()));
    checked("version-from", &path.to_string_lossy(), version)
}

fn in_toml(table: &toml::Table) -> Option<String> {
    TOML_PLACES.iter().find_map(|place| {
        let (last, folders) = place.split_last()?;
        let table = folders.iter().try_fold(table, |table, name| table.get(*name)?.as_table())?;
        table.get(*last)?.as_str().map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str, text: &str) -> Result<String, String> {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        version_in(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn each_tool_has_its_place_for_the_version() {
        let found = |name, text| version(name, text).unwrap();
        assert_eq!(found("Cargo.toml", "[package]\nversion = '1.2.3'\n"), "1.2.3");
        let inherited = "[package]\nversion.workspace = true\n[workspace.package]\nversion = '1.2.4'\n";
        assert_eq!(found("Cargo.toml", inherited), "1.2.4");
        assert_eq!(found("pyproject.toml", "[project]\nversion = '2.0.0'\n"), "2.0.0");
        assert_eq!(found("pyproject.toml", "[tool.poetry]\nversion = '2.0.1'\n"), "2.0.1");
        assert_eq!(found("package.json", r#"{"name": "app", "version": "3.0.0-rc.1"}"#), "3.0.0-rc.1");
    }

    #[test]
    fn a_file_without_a_version_is_refused() {
        for (name, text) in [("Cargo.toml", "[package]\n"), ("package.json", "{}"), ("package.json", "{"), ("a", "[")] {
            assert!(version(name, text).unwrap_err().contains(name), "{name}");
        }
        assert!(
            version("Cargo.toml", "[dependencies]\nversion = '1.0.0'\n").unwrap_err().ends_with("it names no version")
        );
    }
}
