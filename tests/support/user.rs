//! A user's machine: an install root in a temporary folder, and runs of the real `patcher` on it.

use super::programs;
use super::publisher::Publisher;
use super::run::Run;
use super::schema;
use super::tree::Tree;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// An install root and the key that it trusts.
pub struct User {
    dir: TempDir,
    key: PathBuf,
    /// Options that every run gets before the command.
    pub options: Vec<String>,
    /// The components outside the install root.
    pub elsewhere: BTreeMap<String, PathBuf>,
}

impl User {
    /// Creates an empty install root that trusts a publisher.
    pub fn trusting(publisher: &Publisher) -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let key = dir.path().join("trusted.pem");
        fs::copy(publisher.public_key(), &key).unwrap();
        Self { dir, key, options: Vec::new(), elsewhere: BTreeMap::new() }
    }

    /// Returns the path of a file beside the install root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the install root.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// Returns the file of the trusted public key.
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// Returns the folder of a component.
    pub fn component(&self, name: &str) -> PathBuf {
        self.elsewhere.get(name).cloned().unwrap_or_else(|| self.root().join(name))
    }

    /// Returns a file of the state folder.
    pub fn state(&self, name: &str) -> PathBuf {
        self.root().join(".patcher").join(name)
    }

    /// Prepares a run of the program with its options and `arguments`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs::patcher());
        self.prepare(&mut command, arguments);
        command
    }

    /// Adds the options and `arguments` to another program that starts `patcher`.
    pub fn prepare(&self, command: &mut Command, arguments: &[&str]) {
        command.arg("--root").arg(self.root()).arg("--key").arg(&self.key).args(&self.options);
        for (name, dir) in &self.elsewhere {
            command.arg("--component").arg(format!("{name}={}", dir.display()));
        }
        command.args(arguments);
        // The servers are on loopback, which no proxy of the machine may serve.
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.stdin(Stdio::null());
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Runs the program with `--json`, expects this exit code, and returns the JSON object.
    #[track_caller]
    pub fn json(&self, exit: i32, arguments: &[&str]) -> Value {
        let value = self.run(&[&["--json"], arguments].concat()).ends(exit).json();
        schema::expect("outcome", &value);
        value
    }

    /// Runs the program with `--json` and expects success.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Value {
        self.json(0, arguments)
    }

    /// Runs the program with `--json` and expects this exit code and this stable code.
    #[track_caller]
    pub fn fails(&self, exit: i32, code: &str, arguments: &[&str]) {
        let run = self.run(&[&["--json"], arguments].concat());
        run.fails(exit, code);
        schema::expect("failure", &run.json());
    }

    /// Reads a component's folder.
    pub fn tree(&self, component: &str) -> Tree {
        Tree::read(&self.component(component))
    }

    /// Expects a component to hold `tree`, and `patcher verify` to agree.
    #[track_caller]
    pub fn has(&self, component: &str, tree: &Tree) {
        tree.assert_is(&self.tree(component));
        self.ok(&["verify", component]);
    }
}
