//! `manifest-tool bundle`: an archive that users extract is an installed component.

use crate::support::programs;
use crate::support::run::Run;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn build<S>(world: &World<S>) -> PathBuf {
    world.publisher.public_key().with_file_name("build").join("core")
}

fn bundle<S>(world: &World<S>, output: &str, trusted: PathBuf) -> Run {
    let mut tool = Command::new(programs::manifest_tool());
    tool.arg("bundle").arg(build(world)).arg("--output").arg(world.user.path(output)).arg("--trust").arg(trusted);
    Run::of(&mut tool)
}

#[test]
fn an_extracted_bundle_is_an_installed_component_that_updates() {
    let world = World::honest();
    let (one, two) = (Tree::from_seed(1), Tree::from_seed(1).mutate(2));
    world.publish("1.0.0", &one);
    let run = bundle(&world, "core.tar.xz", world.publisher.public_key()).ends(0);
    assert!(run.out.starts_with("core 1.0.0, sequence 1, ") && run.out.ends_with(" bytes\n"), "{run:?}");
    // The same release makes the same archive.
    bundle(&world, "again.tar.xz", world.publisher.public_key()).ends(0);
    let archive = world.user.path("core.tar.xz");
    assert_eq!(fs::read(&archive).unwrap(), fs::read(world.user.path("again.tar.xz")).unwrap());

    Run::of(Command::new("tar").arg("-xJf").arg(&archive).arg("-C").arg(world.user.root())).ends(0);
    world.user.has("core", &one);
    world.publish("2.0.0", &two);
    world.user.ok(&["update"]);
    world.user.has("core", &two);
}

#[test]
fn only_what_was_signed_is_packed() {
    let world = World::honest();
    world.publish("1.0.0", &Tree::from_seed(1));
    fs::write(build(&world).join("more"), "not signed").unwrap();
    let stranger = crate::support::publisher::Publisher::stranger();
    let run = bundle(&world, "stranger.tar.xz", stranger.public_key());
    assert!(run.code != Some(0) && run.err.contains("manifest.xml"), "{run:?}");
    bundle(&world, "core.tar.xz", world.publisher.public_key()).ends(0);
    let list = Run::of(Command::new("tar").arg("-tJf").arg(world.user.path("core.tar.xz"))).ends(0).out;
    assert!(list.ends_with("\ncore/manifest.xml\n") && !list.contains("core/more"), "{list}");

    fs::write(build(&world).join("bin/app"), "changed after signing").unwrap();
    let run = bundle(&world, "changed.tar.xz", world.publisher.public_key());
    assert!(run.code != Some(0) && run.err.contains("bin/app"), "{run:?}");
    for name in ["stranger.tar.xz", "changed.tar.xz"] {
        assert!(!world.user.path(name).exists(), "{name}");
    }
    let inside = build(&world).join("bundle.tar.xz");
    let run = bundle(&world, inside.to_str().unwrap(), world.publisher.public_key());
    assert!(run.code != Some(0) && !inside.exists(), "{run:?}");
}
