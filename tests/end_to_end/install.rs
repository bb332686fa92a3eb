//! First installations.

use crate::support::server::ServerKind;
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use crate::support::{left_out, programs, run::Run};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

on_every_server!(an_install_brings_exactly_what_was_published);

fn an_install_brings_exactly_what_was_published(kind: ServerKind) {
    let Some(world) = World::on(kind) else { return };
    let tree = Tree::from_seed(1);
    let published = world.publish("1.0.0", &tree);
    world.install("core");
    world.user.has("core", &tree);

    let requests = world.server.take_requests();
    assert_eq!(requests[0].path, "/core/manifest.xml");
    let objects: Vec<&String> = requests[1..].iter().map(|request| &request.path).collect();
    assert_eq!(objects.len(), published.objects().len(), "an object was asked for twice");
    assert_eq!(objects.into_iter().cloned().collect::<BTreeSet<_>>(), published.objects());
    world.user.ok(&["check"]);
}

#[test]
fn a_site_in_a_folder_installs_too() {
    let world = World::honest();
    let tree = Tree::from_seed(2);
    world.publish("1.0.0", &tree);
    let url = format!("file://{}", world.publisher.manifest("core").display());
    world.user.ok(&["install", "core", "--from", &url]);
    world.user.has("core", &tree);
    assert!(world.server.take_requests().is_empty());
    // From then on the base URLs of the manifest count.
    let next = tree.mutate(1);
    world.publish("1.0.1", &next);
    world.user.ok(&["update"]);
    world.user.has("core", &next);
}

#[test]
fn an_installation_adopts_files_with_the_signed_content() {
    let world = World::honest();
    let tree = Tree::from_seed(3);
    world.publish("1.0.0", &tree);
    tree.write(&world.user.component("core"));
    world.install("core");
    world.user.has("core", &tree);
    assert_eq!(world.server.take_paths(), ["/core/manifest.xml"]);
}

#[test]
fn a_lost_manifest_is_restored_without_fetching_files() {
    let world = World::honest();
    let tree = Tree::from_seed(4);
    world.publish("1.0.0", &tree);
    world.install("core");
    world.server.take_requests();
    let manifest = world.user.component("core").join("manifest.xml");
    for damage in [None, Some(""), Some("<manifest/>")] {
        match damage {
            None => std::fs::remove_file(&manifest).unwrap(),
            Some(text) => {
                std::fs::write(&manifest, text).unwrap();
                world.user.fails(22, "installed-manifest", &["update", "core"]);
            }
        }
        world.install("core");
        world.user.has("core", &tree);
        assert_eq!(world.server.take_paths(), ["/core/manifest.xml"]);
    }
}

#[test]
fn a_component_can_lie_elsewhere() {
    let world = World::honest();
    let tree = Tree::from_seed(5);
    world.publish("1.0.0", &tree);
    let mut user = User::trusting(&world.publisher);
    let dir = user.path("somewhere else/the core");
    user.elsewhere.insert("core".into(), dir.clone());
    user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
    user.has("core", &tree);
    assert!(dir.is_dir() && !user.root().join("core").exists());

    let next = tree.mutate(1);
    world.publish("2.0.0", &next);
    user.json(10, &["check"]);
    user.ok(&["update"]);
    user.has("core", &next);
    user.ok(&["remove", "core"]);
    assert!(!dir.exists());
}

#[test]
fn openssl_verifies_the_installed_manifest() {
    if left_out::program("openssl").is_none() {
        return;
    }
    let world = World::honest();
    world.publish("1.0.0", &Tree::from_seed(6));
    world.install("core");
    let check = r"
sed '/^  <signature /d' manifest.xml > ../body &&
sed -n 's|^  <signature [^>]*>\(.*\)</signature>$|\1|p' manifest.xml | head -1 | base64 -d > ../sig &&
openssl dgst -sha256 -verify ../../trusted.pem -signature ../sig ../body";
    let run = || Run::of(Command::new("sh").args(["-c", check]).current_dir(world.user.component("core")));
    assert_eq!(run().ends(0).out, "Verified OK\n");
    let manifest = world.user.component("core").join("manifest.xml");
    let forged = std::fs::read_to_string(&manifest).unwrap().replace("1.0.0", "1.0.1");
    std::fs::write(&manifest, forged).unwrap();
    run().ends(1);
}

#[test]
fn a_component_that_is_installed_under_a_narrow_mask_serves_all_users() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let world = World::honest();
    world.publish("1.0.0", &Tree::default().file("bin/app", b"1", 0o755));
    let root = world.user.root();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o2775)).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077 && exec \"$@\"", "sh"]).arg(programs::patcher());
    world.user.prepare(&mut command, &["--json", "install", "core", "--from", &world.manifest_url("core")]);
    Run::of(&mut command).ends(0);
    for (path, mode) in [("core", 0o2755), ("core/bin", 0o2755), ("core/bin/app", 0o755), ("core/manifest.xml", 0o644)]
    {
        let found = fs::metadata(root.join(path)).unwrap().mode() & 0o7777;
        assert_eq!(format!("{found:o}"), format!("{mode:o}"), "{path}");
    }
}

#[test]
fn a_new_root_may_have_its_state_folder_elsewhere() {
    let mut world = World::honest();
    let tree = Tree::from_seed(5);
    world.publish("1.0.0", &tree);
    fs::remove_dir(world.user.root()).unwrap();
    world.user.options = vec!["--state-dir".to_owned(), world.user.path("state").display().to_string()];
    world.install("core");
    world.user.has("core", &tree);
}
