//! The publisher's machine: a folder to build programs and sign releases, with the commands that a
//! publisher types.

use crate::Result;
use crate::narrator::{command, output};
use patcher::internal::manifest::Platform;
use patcher::internal::relaunch::HELPER;
use std::env::{self, consts::EXE_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The publisher's folder: `build`, `site`, and the key pair.
pub struct Workshop {
    dir: PathBuf,
    /// The folder of built programs, as in `target/debug`.
    programs: PathBuf,
}

impl Workshop {
    /// Makes a workshop in `dir`, with the programs of the target folder of this program.
    pub fn new(dir: &Path) -> Result<Self> {
        let program = env::current_exe()?;
        // target/debug/examples/quickstart
        let programs = program.ancestors().nth(2).ok_or("it is run with `cargo run --example quickstart`")?;
        Ok(Self { dir: dir.to_owned(), programs: programs.to_owned() })
    }

    /// Returns the folder that the publisher uploads.
    pub fn site(&self) -> PathBuf {
        self.dir.join("site")
    }

    /// Builds the programs that come with patcher.
    pub fn build_tools(&self) -> Result<()> {
        command("cargo build --package component-patcher-tool");
        self.cargo(&["build", "--package", "component-patcher-tool"], &[])?;
        command("cargo rustc --package patcher-helper -- -C strip=symbols");
        self.cargo(&["rustc", "--package", "patcher-helper", "--", "-C", "strip=symbols"], &[])
    }

    /// Makes the key pair `release` and returns its public half in PEM.
    pub fn make_keys(&self) -> Result<String> {
        self.manifest_tool(&["keygen", "release"])?;
        Ok(fs::read_to_string(self.dir.join("release.pub.pem"))?)
    }

    /// Builds a version of the greeter with its other files into the folder `build`.
    pub fn build(&self, version: &str, greeting: &str, key: &str, url: &str) -> Result<()> {
        command(&format!("GREETER_VERSION={version} GREETER_KEY=\"$(cat release.pub.pem)\" \\"));
        output("  cargo rustc --example greeter -- -C strip=symbols");
        self.cargo(
            &["rustc", "--quiet", "--example", "greeter", "--", "-C", "strip=symbols"],
            &[("GREETER_VERSION", version), ("GREETER_KEY", key.trim_end())],
        )?;
        let build = self.dir.join("build");
        fs::create_dir_all(build.join("bin"))?;
        fs::create_dir_all(build.join("share"))?;
        let greeter = format!("greeter{EXE_SUFFIX}");
        fs::copy(self.programs.join("examples").join(&greeter), build.join("bin").join(&greeter))?;
        fs::copy(self.programs.join(HELPER), build.join("bin").join(HELPER))?;
        fs::write(build.join("share/greeting.txt"), format!("{greeting}\n"))?;
        fs::write(build.join("share/manual.txt"), "It greets. There is nothing to be configured.\n")?;
        let platform = Platform::host();
        let settings = format!(
            "name = \"greeter\"\nversion = \"{version}\"\nurls = [\"{url}\"]\nplatform = \"{platform}\"\n\
             launch = \"bin/{greeter}\"\n"
        );
        Ok(fs::write(build.join("component.toml"), settings)?)
    }

    /// Removes the greeting from the folder `build`: without it, the greeter ends with an error.
    pub fn forget_greeting(&self) -> Result<()> {
        Ok(fs::remove_file(self.dir.join("build/share/greeting.txt"))?)
    }

    /// Returns the folder of the releases for this platform, below the site.
    pub fn releases(&self) -> String {
        format!("greeter/{}/", Platform::host())
    }

    /// Signs the folder `build` into the site.
    pub fn sign(&self) -> Result<()> {
        self.manifest_tool(&["sign", "build"])
    }

    fn manifest_tool(&self, arguments: &[&str]) -> Result<()> {
        command(&format!("manifest-tool {}", arguments.join(" ")));
        let mut tool = Command::new(self.programs.join(format!("manifest-tool{EXE_SUFFIX}")));
        // The key beside the site counts, not the one of the environment.
        tool.args(arguments).current_dir(&self.dir).env_remove("MANIFEST_KEY").stdin(Stdio::null());
        let done = tool.output()?;
        output(&String::from_utf8_lossy(&done.stdout));
        if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim_end().into()) }
    }

    /// Runs cargo with the profile and the target folder of this program.
    fn cargo(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
        let (target, profile) = (self.programs.parent(), self.programs.file_name());
        let (Some(target), Some(profile)) = (target, profile.and_then(|name| name.to_str())) else {
            return Err("it is run with `cargo run --example quickstart`".into());
        };
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // The variables of `cargo run` would make build scripts of other packages run again.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                cargo.env_remove(name);
            }
        }
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target).envs(environment.iter().copied());
        let (verb, rest) = arguments.split_at(1);
        cargo.args(verb).args(["--profile", if profile == "debug" { "dev" } else { profile }]).args(rest);
        if cargo.status()?.success() { Ok(()) } else { Err("cargo could not build it".into()) }
    }
}
