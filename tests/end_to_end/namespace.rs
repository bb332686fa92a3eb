//! Shell scripts with mounts of their own, which no other process sees.

use crate::support::left_out;
use crate::support::programs;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::world::World;
use serde_json::Value;
use std::process::Command;

/// Runs a shell script in which `P` is `patcher --json` with its options, `$ROOT` the install root,
/// `$DIR` the folder around it and `$URL` the manifest's address. Its mounts end with it. Returns
/// `None` where `mounts`, its first part, fails.
pub fn in_namespace(world: &World<Scripted>, mounts: &str, script: &str) -> Option<Run> {
    let unshare = left_out::program("unshare")?;
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new(unshare);
    command.arg("--mount").args((!is_root).then_some("--map-root-user")).args(["sh", "-c"]);
    // An empty IFS keeps a path with a space one word.
    command.arg(format!("IFS=\nalias P='\"$@\"'\n{{ {mounts}; }} > /dev/null || exit 99\n{script}"));
    command.arg("sh").arg(programs::patcher());
    world.user.prepare(&mut command, &["--json"]);
    command.env("ROOT", world.user.root()).env("DIR", world.user.path("")).env("URL", world.manifest_url("core"));
    let run = Run::of(&mut command);
    if run.code == Some(99) {
        left_out::report(&format!("it cannot be mounted here: {}", run.err));
        return None;
    }
    Some(run)
}

/// Returns the JSON objects that the commands of a script have printed.
pub fn objects(run: &Run) -> Vec<Value> {
    run.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {run:#?}"))).collect()
}
