//! Builds the programs once for each test process, so that `cargo test` needs no earlier build.

use super::run::Run;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the path of the command line program.
pub fn patcher() -> PathBuf {
    dir().join("patcher")
}

/// Returns the path of the publisher's tool.
pub fn manifest_tool() -> PathBuf {
    dir().join("manifest-tool")
}

/// Returns the path of the helper. It lies beside [`patcher`], which looks for it there.
pub fn helper() -> PathBuf {
    dir().join("patcher-helper")
}

/// Returns a program that links the library, without debug information, as tests publish it.
pub fn scribe() -> PathBuf {
    static SCRIBE: OnceLock<PathBuf> = OnceLock::new();
    let strip = || {
        let scribe = dir().join("examples/scribe");
        // Several test processes write the same file at the same time.
        let (fresh, small) = (dir().join(format!("scribe-{}", std::process::id())), dir().join("scribe-small"));
        let stripped = Command::new("strip").arg("-o").arg(&fresh).arg(&scribe).status();
        let is_stripped = stripped.is_ok_and(|status| status.success());
        if is_stripped && std::fs::rename(&fresh, &small).is_ok() { small } else { scribe }
    };
    SCRIBE.get_or_init(strip).clone()
}

/// Returns the folder of the programs, in the profile that the tests were built with.
fn dir() -> &'static Path {
    static DIR: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    DIR.get_or_init(build).as_ref().unwrap_or_else(|words| panic!("the programs cannot be built: {words}"))
}

/// Builds the programs. Returns their folder, or cargo's output as the error.
fn build() -> Result<PathBuf, String> {
    let test = std::env::current_exe().unwrap();
    let dir = test.ancestors().nth(2).unwrap();
    let profile = match dir.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The tests have all features, so cargo compiles everything only once.
    cargo.args(["build", "--quiet", "--workspace", "--all-features", "--bins", "--example", "scribe"]);
    cargo.args(["--profile", profile]);
    cargo.arg("--target-dir").arg(dir.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
    // Build scripts run again if cargo's variables for the test change their environment.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| text.starts_with(start)) {
            cargo.env_remove(&name);
        }
    }
    keep_clock(&mut cargo);
    // Examples link the library.
    cargo.arg("--lib");
    let built = cargo.output().unwrap();
    if built.status.success() { Ok(dir.to_owned()) } else { Err(String::from_utf8_lossy(&built.stderr).into_owned()) }
}

/// Keeps the compiler on the real clock: it hangs in the library that `.ci/clock` sets one with.
fn keep_clock(compiler: &mut Command) {
    compiler.env_remove("LD_PRELOAD");
}

/// Builds an example that trusts a publisher's key, from a copy of its source beside the key.
pub fn example(source: &str, key: &Path, work: &Path) -> PathBuf {
    let name = Path::new(source).file_stem().unwrap();
    let (copy, program) = (work.join(source), work.join(name));
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(source), &copy).unwrap();
    std::fs::copy(key, work.join("release.pub.pem")).unwrap();
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "-D", "warnings", "-C", "strip=symbols"]).arg(&copy).arg("-o").arg(&program);
    rustc.arg("--extern").arg(format!("patcher={}", dir().join("libpatcher.rlib").display()));
    rustc.arg("-L").arg(format!("dependency={}", dir().join("deps").display()));
    keep_clock(&mut rustc);
    Run::of(&mut rustc).ends(0);
    program
}
