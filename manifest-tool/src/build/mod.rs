//! The build folder: its `component.toml` and the files of a release.

pub mod component_file;
pub mod globs;
pub mod links;
pub mod notes;
pub mod secrets;
pub mod settings;
pub mod tree;
pub mod version_file;
pub mod warnings;
