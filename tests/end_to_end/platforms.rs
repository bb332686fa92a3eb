//! Several platforms of one component on one site, with one base URL.

use crate::support::tree::Tree;
use crate::support::world::World;

const HEAD: &str = "/core/x86_64-linux/latest.xml";

/// Returns the content of a version on a platform.
fn content(platform: &str, version: u64) -> Tree {
    Tree::from_seed(platform.len() as u64).mutate(version)
}

fn publish(world: &World<crate::support::scripted::Scripted>, version: u64) {
    for platform in ["any", "x86_64-linux", "aarch64-macos"] {
        let (number, tree) = (format!("{version}.0.0"), content(platform, version));
        world.publisher.release("core", &number, &tree).with(&["--platform", platform]).sign();
    }
}

#[test]
fn each_platform_gets_its_own_release_from_the_folder_of_the_component() {
    let world = World::honest();
    publish(&world, 1);
    let folder = format!("{}core/", world.server.url());
    world.user.ok(&["--platform", "x86_64-linux", "install", "core", "--from", &folder]);
    world.user.has("core", &content("x86_64-linux", 1));
    publish(&world, 2);
    world.server.take_requests();
    world.user.ok(&["--platform", "x86_64-linux", "update"]);
    world.user.has("core", &content("x86_64-linux", 2));
    let paths = world.server.take_paths();
    assert_eq!(paths[..2], [HEAD, "/core/x86_64-linux/releases/2/from-1.delta"]);
    assert!(paths[2..].iter().all(|path| path.starts_with("/core/objects/")), "{paths:?}");
    world.user.ok(&["--platform", "x86_64-linux", "update"]);
    assert_eq!(world.server.take_paths(), [HEAD]);
}

#[test]
fn a_platform_without_a_release_gets_the_one_for_all_platforms() {
    let world = World::honest();
    publish(&world, 1);
    let folder = format!("{}core/", world.server.url());
    world.user.ok(&["--platform", "riscv64-linux", "install", "core", "--from", &folder]);
    world.user.has("core", &content("any", 1));
    publish(&world, 2);
    world.user.ok(&["--platform", "riscv64-linux", "update"]);
    world.user.has("core", &content("any", 2));
}

#[test]
fn the_manifest_of_another_platform_is_refused() {
    let world = World::honest();
    publish(&world, 1);
    let other = format!("{}core/aarch64-macos/manifest.xml", world.server.url());
    let run = world.user.run(&["--platform", "x86_64-linux", "install", "core", "--from", &other]);
    run.ends(21);
}
