//! Programs with an async runtime: the library works on their threads and does not end the runtime.

use crate::scene::Scene;
use patcher::{Config, Patcher};
use std::fs;

/// Runs `program` on a thread of an async runtime, as `#[tokio::main]` does.
fn in_a_runtime<T>(program: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap().block_on(program)
}

fn config(scene: &Scene) -> Config {
    let user = &scene.world.user;
    Config::new(user.root()).trusted_key(fs::read_to_string(user.key()).unwrap()).proxy("")
}

#[test]
fn a_handle_is_made_used_and_dropped_inside_of_a_runtime() {
    let scene = Scene::new();
    let version = in_a_runtime(async {
        let patcher = Patcher::new(config(&scene)).unwrap();
        patcher.start().unwrap();
        let update = patcher.check_component("core").unwrap().update().unwrap();
        let staged = update.download(|_| ()).unwrap();
        staged.updates()[0].to().to_string()
    });
    assert_eq!(version, "2.0.0");
}

#[test]
fn a_runtime_works_on_while_a_thread_for_blocking_calls_checks() {
    let scene = Scene::new();
    let version = in_a_runtime(async {
        let patcher = Patcher::new(config(&scene)).unwrap();
        patcher.start().unwrap();
        let check = tokio::task::spawn_blocking(move || patcher.check_component("core"));
        let ticks = async { tokio::task::yield_now().await };
        let (check, ()) = tokio::join!(check, ticks);
        check.unwrap().unwrap().update().unwrap().to().to_string()
    });
    assert_eq!(version, "2.0.0");
}
