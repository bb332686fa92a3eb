//! Components that are mount points, mounts inside a component, and file systems that keep less
//! than Unix needs.

use crate::namespace::{in_namespace, objects};
use crate::support::left_out;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use serde_json::Value;
use std::fs;

fn tree(text: &str) -> Tree {
    Tree::default().file("app", text.as_bytes(), 0o755).file("data/inner/x", text.as_bytes(), 0o644)
}

/// Returns a world with version 1 published and an empty root.
fn world() -> World<Scripted> {
    let world = World::honest();
    world.publish("1.0.0", &tree("1"));
    world
}

const MOUNT: &str = "mkdir $ROOT/core && mount -t tmpfs -o size=4m none $ROOT/core";

#[test]
fn a_component_that_is_a_mount_is_staged_in_one_command_and_applied_in_another() {
    let world = world();
    let script = "P install core --from $URL && touch $DIR/installed; \
                  while [ ! -e $DIR/published ]; do sleep 0.05; done; P download && P apply && cat $ROOT/core/app";
    std::thread::scope(|scope| {
        scope.spawn(|| {
            crate::support::deadline::wait_for("the installation", || {
                world.user.path("installed").exists().then_some(())
            });
            world.publish("2.0.0", &tree("2"));
            fs::write(world.user.path("published"), "").unwrap();
        });
        let Some(run) = in_namespace(&world, MOUNT, script) else {
            fs::write(world.user.path("installed"), "").unwrap();
            return;
        };
        assert_eq!(run.code, Some(0), "{run:#?}");
        assert!(run.out.ends_with("\n2"), "{run:#?}");
    });
}

#[test]
fn a_component_that_is_a_mount_can_be_removed_and_installed_again() {
    let world = world();
    let script = "P install core --from $URL && P remove core && P status && P check; P install core --from $URL \
                  && P verify && P remove core && P recover";
    let Some(run) = in_namespace(&world, MOUNT, script) else { return };
    assert_eq!(run.code, Some(0), "{run:#?}");
    let objects = objects(&run);
    assert_eq!(objects.len(), 8, "{run:#?}");
    let codes: Vec<&str> = objects.iter().filter_map(|object| object["error"]["code"].as_str()).collect();
    assert_eq!(codes, ["nothing-installed"], "the check after the removal: {run:#?}");
    assert_eq!(objects[2]["swap"], Value::Null);
}

#[test]
fn a_mount_inside_a_component_is_reported_before_any_object_request() {
    for mount in [
        "mount -t tmpfs none $ROOT/core/data",
        "mkdir $DIR/other && mount --bind $DIR/other $ROOT/core/data/inner",
        "cp $ROOT/core/app $DIR/app && mount --bind $DIR/app $ROOT/core/app",
    ] {
        let world = world();
        world.install("core");
        world.publish("2.0.0", &tree("2"));
        world.server.take_paths();
        let Some(run) = in_namespace(&world, mount, "P update") else { return };
        run.fails(22, "mount-inside");
        assert!(!world.server.take_paths().iter().any(|path| path.contains("/objects/")), "{mount}");
        // Without it nothing has changed.
        world.user.has("core", &tree("1"));
        world.user.ok(&["update"]);
    }
}

#[test]
fn a_mount_that_comes_after_the_download_is_reported_before_the_program_ends() {
    let world = world();
    world.install("core");
    world.publish("2.0.0", &tree("2"));
    world.user.ok(&["download"]);
    let mount = "mkdir $DIR/other && mount --bind $DIR/other $ROOT/core/data";
    let Some(run) = in_namespace(&world, mount, "P apply --wait-pid $$ --restart -- true") else { return };
    run.fails(22, "mount-inside");
    assert!(!world.user.state("journal").exists());
    world.user.ok(&["apply"]);
    world.user.has("core", &tree("2"));
}

#[test]
fn a_file_system_without_permission_bits_is_refused_before_any_object_request() {
    let world = world();
    let (Some(_), Some(_)) = (left_out::program("mkntfs"), left_out::program("ntfs-3g")) else { return };
    let mount = "truncate -s 20M $DIR/image && mkntfs -q -F $DIR/image && mkdir $ROOT/core \
                 && mount -t ntfs-3g -o loop $DIR/image $ROOT/core";
    let script = "P install core --from $URL; code=$?; umount $ROOT/core; exit $code";
    let Some(run) = in_namespace(&world, mount, script) else { return };
    run.fails(22, "unsupported");
    assert_eq!(world.server.take_paths(), ["/core/manifest.xml"]);
}
