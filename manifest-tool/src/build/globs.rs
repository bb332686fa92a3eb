//! The globs of component.toml, with the meaning that they have in `.gitignore`.
//!
//! A glob without a slash matches a name in any folder; one with a slash matches from the build
//! folder down. `*` matches within a name, `**` across folders. A glob that matches a folder also
//! matches everything in it.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use patcher::internal::error::{Caller, Result};
use std::path::Path;

/// Globs of one kind.
#[derive(Debug, Clone)]
pub struct Globs(GlobSet);

impl Globs {
    /// Compiles `patterns`. `setting` is their setting, for messages.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for the first one that is no glob.
    pub fn new(setting: &'static str, patterns: &[String]) -> Result<Self> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let bad = |error: globset::Error| {
                let detail = error.kind().to_string();
                Caller::BadSetting { setting, value: pattern.clone(), detail }
            };
            set.add(compile(pattern).map_err(bad)?);
        }
        let set = set.build().map_err(|error| {
            let detail = error.kind().to_string();
            Caller::BadSetting { setting, value: patterns.join(" "), detail }
        })?;
        Ok(Self(set))
    }

    /// Returns `true` if a glob matches the path or a folder above it.
    ///
    /// The path is relative to the build folder.
    pub fn matches(&self, path: &Path) -> bool {
        path.ancestors().take_while(|path| !path.as_os_str().is_empty()).any(|path| self.0.is_match(path))
    }
}

fn compile(pattern: &str) -> Result<Glob, globset::Error> {
    let pattern = pattern.trim_end_matches('/');
    let rooted = match pattern.strip_prefix('/') {
        Some(rooted) => rooted.to_owned(),
        None if pattern.contains('/') => pattern.to_owned(),
        None => format!("**/{pattern}"),
    };
    GlobBuilder::new(&rooted).literal_separator(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Globs::new("ignore", &[pattern.to_owned()]).unwrap().matches(Path::new(path))
    }

    #[test]
    fn a_glob_without_a_slash_matches_a_name_in_any_folder() {
        assert!(matches("*.pdb", "app.pdb") && matches("*.pdb", "bin/x/app.pdb"));
        assert!(matches("docs", "docs/a/b.html") && matches("docs/", "lib/docs/a.html"));
        assert!(!matches("docs", "docs.txt"));
    }

    #[test]
    fn a_glob_with_a_slash_matches_from_the_top() {
        assert!(matches("bin/*", "bin/app") && matches("/README", "README"));
        assert!(!matches("bin/*", "lib/bin/app") && !matches("/README", "doc/README"));
        assert!(matches("lib/**/*.map", "lib/a/b/c.map") && !matches("lib/*.map", "lib/a/c.map"));
    }

    #[test]
    fn what_is_no_glob_is_a_bad_setting() {
        assert_eq!(Globs::new("ignore", &["[".to_owned()]).unwrap_err().code(), "bad-setting");
    }
}
