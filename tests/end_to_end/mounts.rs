//! Components that are mount points, mounts inside a component, and file systems that keep less
//! than Unix needs.

use crate::namespace::{in_namespace, objects};
use crate::support::left_out;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use serde_json::Value;
use std::fs;
use std::process::Command;

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

/// Returns a world with version 2 of two components published, and with version 1 in `$DIR/site1`.
fn two_components() -> World<Scripted> {
    let world = World::honest();
    let release = |version, text| {
        for component in ["core", "addon"] {
            world.publisher.release(component, version, &tree(text)).sign();
        }
    };
    release("1.0.0", "1");
    let copied = Command::new("cp").arg("-a").arg(world.publisher.site()).arg(world.user.path("site1")).status();
    assert!(copied.unwrap().success());
    release("2.0.0", "2");
    world
}

/// Makes the addon a disk that can be taken away and comes back.
const DISK: &str = "mkdir $DIR/disk $ROOT/addon && mount -t tmpfs none $DIR/disk && mount --bind $DIR/disk $ROOT/addon";
const INSTALL_BOTH: &str = "P install core --from $DIR/site1/core/ && P install addon --from $DIR/site1/addon/";

#[test]
fn a_refused_rollback_writes_nothing_to_a_bare_mount_point() {
    let world = two_components();
    let script = format!(
        "{INSTALL_BOTH} && P update && umount $ROOT/addon; P rollback; ls -A $ROOT/addon > $DIR/bare; P verify; \
         mkdir $ROOT/addon/.patcher; P verify; rmdir $ROOT/addon/.patcher; \
         mount --bind $DIR/disk $ROOT/addon && P rollback && cat $ROOT/addon/app"
    );
    let Some(run) = in_namespace(&world, DISK, &script) else { return };
    assert!(run.out.ends_with("\n1"), "{run:#?}");
    let run = Run { out: run.out.trim_end_matches('1').to_owned(), ..run };
    let codes: Vec<Option<String>> =
        objects(&run).iter().map(|object| object["error"]["code"].as_str().map(str::to_owned)).collect();
    assert_eq!(codes, [None, None, None, Some("other-tree".to_owned()), None, None, None], "{run:#?}");
    assert_eq!(fs::read_to_string(world.user.path("bare")).unwrap(), "");
    world.user.has("core", &tree("1"));
}

#[test]
fn a_confirmation_without_the_disk_of_a_component_keeps_the_users_text() {
    let world = two_components();
    // A program has a file open that version 2 replaces, and writes to it, which is a backup then.
    let script = format!(
        "{INSTALL_BOTH} && exec 7>>$ROOT/addon/app; P update && echo words >&7; exec 7>&-; umount $ROOT/addon; \
         P confirm; cp $DIR/root/.patcher/waiting.xml $DIR/waiting; ls -A $ROOT/addon > $DIR/bare; \
         echo changed > $ROOT/core/app; P repair core; \
         mount --bind $DIR/disk $ROOT/addon; P recover; cp $ROOT/addon/app.saved $DIR/saved; \
         ls -A $ROOT/addon/.patcher/txn > $DIR/left"
    );
    let Some(run) = in_namespace(&world, DISK, &script) else { return };
    let left =
        |name: &str| fs::read_to_string(world.user.path(name)).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    assert_eq!((left("bare").as_str(), left("saved").as_str(), left("left").as_str()), ("", "1words\n", ""));
    assert!(left("waiting").contains("addon"), "{run:#?}");
    assert!(!world.user.state("waiting.xml").exists());
    // The other component was not kept waiting.
    assert!(objects(&run).iter().all(|object| object["error"].is_null()), "{run:#?}");
    world.user.has("core", &tree("2"));
}

#[test]
fn a_mount_that_comes_during_the_probation_bars_the_rollback_before_the_first_change() {
    let world = two_components();
    let script = format!(
        "{INSTALL_BOTH} && P update && mount --bind $ROOT/core $ROOT/core && {{ P rollback; P status; umount $ROOT/core; }} \
         && P rollback"
    );
    let Some(run) = in_namespace(&world, "true", &script) else { return };
    assert_eq!(run.code, Some(0), "{run:#?}");
    let objects = objects(&run);
    assert_eq!(objects[3]["error"]["code"], "mount-inside", "{run:#?}");
    assert_eq!(objects[4]["swap"], "probation", "{run:#?}");
    world.user.has("core", &tree("1"));
}

/// A disk that fills during the probation keeps no version from being confirmed or rolled back,
/// whether a program has called `init` or not.
#[test]
fn a_full_disk_bars_no_decision() {
    let disk = "truncate -s 12M $DIR/image && mkfs.ext4 -q -F $DIR/image && mount -o loop $DIR/image $ROOT";
    let Some(_) = left_out::program("mkfs.ext4") else { return };
    for decision in ["P confirm", "P rollback core"] {
        for start in [
            "true",
            "echo '{\"id\":1,\"method\":\"start\"}' | P session --program $ROOT/core/app -- $ROOT/core/app > $DIR/session",
        ] {
            let world = two_components();
            let script = format!(
                "{INSTALL_BOTH} > /dev/null && P update core > /dev/null; {start}; \
                 cat /dev/zero > $ROOT/filler 2> /dev/null; \
                 for i in $(seq 100); do echo x 2> /dev/null > $ROOT/filler$i || break; done; \
                 {decision}; code=$?; cat $ROOT/core/app; umount $ROOT; exit $code"
            );
            let Some(run) = in_namespace(&world, disk, &script) else { return };
            let version = if decision == "P confirm" { '2' } else { '1' };
            assert!(run.code == Some(0) && run.out.ends_with(version), "{decision} {start}: {run:#?}");
            let session = fs::read_to_string(world.user.path("session"));
            assert!(start == "true" || session.is_ok_and(|session| session.contains("\"started\"")), "{run:#?}");
        }
    }
}
