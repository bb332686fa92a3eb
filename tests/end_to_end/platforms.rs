//! Several platforms of one component on one site, with one base URL.

use crate::support::scripted::Reply;
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
    assert_eq!(paths[..2], [HEAD, "/core/x86_64-linux/releases/5/from-2.delta"]);
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

#[test]
fn an_old_release_for_any_does_not_replace_that_of_a_platform() {
    let world = World::honest();
    let linux = |version: u64| {
        let (number, tree) = (format!("{version}.0.0"), content("x86_64-linux", version));
        world.publisher.release("core", &number, &tree).with(&["--platform", "x86_64-linux"]).sign();
    };
    linux(1);
    let folder = format!("{}core/", world.server.url());
    world.user.ok(&["--platform", "x86_64-linux", "install", "core", "--from", &folder]);
    world.publisher.release("core", "1.0.0", &content("any", 1)).sign();
    // The attacker serves the release for `any`, which is newer, in the folder of the platform.
    let site = world.publisher.site();
    let any = std::fs::read(site.join("core/manifest.xml")).unwrap();
    world.server.follow(move |request| match request.path.as_str() {
        HEAD => Reply::status(404),
        "/core/x86_64-linux/manifest.xml" => Reply::Bytes(any.clone()),
        _ => Reply::Site,
    });
    world.user.fails(21, "wrong-platform", &["--platform", "x86_64-linux", "update"]);
    world.user.has("core", &content("x86_64-linux", 1));
    // A user who installs it again gets no release for `any`, either.
    world.server.follow(|request| match request.path.contains("x86_64-linux") {
        true => Reply::status(404),
        false => Reply::Site,
    });
    world.user.fails(20, "http-status", &["--platform", "x86_64-linux", "install", "core", "--from", &folder]);
    world.user.has("core", &content("x86_64-linux", 1));
    world.server.follow(|_| Reply::Site);
    linux(2);
    world.user.ok(&["--platform", "x86_64-linux", "update"]);
    world.user.has("core", &content("x86_64-linux", 2));
}

/// Object stores answer 403 for an absent file to a client that may not list the bucket.
#[test]
fn a_store_that_answers_403_for_absent_files_serves_every_client() {
    let world = World::scripted(|_| Reply::Site);
    let site = world.publisher.site();
    world.server.follow(move |request| match site.join(request.path.trim_start_matches('/')).exists() {
        true => Reply::Site,
        false => Reply::status(403),
    });
    world.publish("1.0.0", &content("any", 1));
    let folder = format!("{}core/", world.server.url());
    world.user.ok(&["install", "core", "--from", &folder]);
    std::fs::remove_file(world.publisher.site().join("core/latest.xml")).unwrap();
    world.user.ok(&["check"]);
    world.publish("2.0.0", &content("any", 2));
    std::fs::remove_file(world.publisher.site().join("core/latest.xml")).unwrap();
    world.user.ok(&["update"]);
    world.user.has("core", &content("any", 2));
}
