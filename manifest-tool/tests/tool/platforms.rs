//! Several platforms of one component: each has its own manifests, and all share the objects.

use crate::publisher::{Publisher, program};

const LINUX: &str = "site/core/x86_64-linux";
const WINDOWS: &str = "site/core/x86_64-windows";
const VERIFY: [&str; 4] = ["verify", "site", "--key", "release.pub.pem"];

/// Creates the build folders `linux` and `windows` of one version. The file `data` is the same.
fn build(publisher: &Publisher, version: &str) {
    for (number, name) in [(1, "linux"), (2, "windows")] {
        let settings = format!(
            "name = \"core\"\nversion = \"{version}\"\nplatform = \"x86_64-{name}\"\n\
             urls = [\"https://dl.example.com/core/\"]\n"
        );
        publisher.write(&format!("{name}/component.toml"), settings);
        publisher.write(&format!("{name}/app"), program(number).repeat(version.matches('1').count()));
        publisher.write(&format!("{name}/data"), program(9));
    }
}

/// Creates a publisher with versions 1.0.0 and 1.1.0 for both platforms.
fn with_two_platforms() -> Publisher {
    let publisher = Publisher::new();
    for version in ["1.0.0", "1.1.0"] {
        build(&publisher, version);
        publisher.run(&["sign", "linux", "windows"]).ok();
    }
    publisher
}

fn sequences(publisher: &Publisher) -> [u64; 2] {
    [LINUX, WINDOWS].map(|dir| publisher.manifest(&format!("{dir}/manifest.xml")).meta.sequence)
}

#[test]
fn platforms_have_their_own_releases_and_share_objects() {
    let publisher = with_two_platforms();
    assert_eq!(sequences(&publisher), [3, 4], "platforms share the count");
    assert!(!publisher.path("site/core/manifest.xml").exists());
    for dir in [LINUX, WINDOWS] {
        assert!(publisher.path(format!("{dir}/latest.xml")).exists());
        assert!(!publisher.path(format!("{dir}/objects")).exists());
    }
    for file in ["x86_64-linux/releases/3/from-1.delta", "x86_64-windows/releases/4/from-2.delta"] {
        assert!(publisher.path(format!("site/core/{file}")).exists(), "{file}");
    }
    let gz = publisher.objects().into_iter().filter(|path| path.extension().is_some_and(|end| end == "gz"));
    assert_eq!(gz.count(), 5, "two programs in two versions, and the data once");
    publisher.run(&VERIFY).ok();
}

#[test]
fn an_object_of_another_platform_is_not_packed_again() {
    let publisher = Publisher::new();
    build(&publisher, "1.0.0");
    publisher.run(&["sign", "linux"]).ok();
    let out = publisher.run(&["sign", "windows"]).ok();
    assert!(out.contains("1 reused"), "{out}");
}

#[test]
fn commands_change_all_platforms_or_the_named_ones() {
    let publisher = with_two_platforms();
    publisher.run(&["resign", "core", "--rollout", "50%"]).ok();
    assert_eq!(sequences(&publisher), [5, 6]);
    publisher.run(&["pause", "core", "--platform", "x86_64-windows"]).ok();
    assert_eq!(sequences(&publisher), [5, 7]);
    publisher.run(&["resign", "core", "--platform", "riscv64-linux"]).fails(22, "riscv64-linux");
    publisher.run(&["promote", "core", "--from", "stable", "--to", "beta"]).ok();
    for dir in [LINUX, WINDOWS] {
        assert!(publisher.path(format!("{dir}/beta.latest.xml")).exists());
    }
    publisher.run(&VERIFY).ok();
    publisher.run(&["publish", "site", "www"]).ok();
    publisher.run(&["verify", "www", "--key", "release.pub.pem"]).ok();
}

#[test]
fn prune_keeps_what_another_platform_names() {
    let publisher = with_two_platforms();
    let before = publisher.objects();
    publisher.run(&["prune", "core", "--keep", "0", "--platform", "x86_64-windows"]).ok();
    assert!(publisher.objects().len() < before.len());
    publisher.run(&VERIFY).ok();
    let linux = publisher.path(format!("{LINUX}/releases/1.xml"));
    assert!(linux.exists());
    publisher.run(&["prune", "core", "--keep", "0"]).ok();
    assert!(!linux.exists());
    publisher.run(&VERIFY).ok();
}

#[test]
fn a_file_of_bytes_to_sign_holds_one_platform() {
    let publisher = with_two_platforms();
    publisher.run(&["resign", "core", "--body", "body"]).fails(2, "x86_64-linux, x86_64-windows");
    build(&publisher, "1.2.0");
    publisher.run(&["sign", "linux", "windows", "--body", "body"]).fails(2, "one build folder");
    publisher.run(&["resign", "core", "--body", "body", "--platform", "x86_64-linux"]).ok();
    publisher.openssl(&["dgst", "-sha256", "-sign", "release.key.pem", "-out", "sig", "body"]);
    publisher.run(&["attach", "body", "--signature", "sig", "--key", "release.pub.pem", "--site", "site"]).ok();
    assert_eq!(sequences(&publisher), [5, 4]);
    publisher.run(&VERIFY).ok();
}

#[test]
fn two_build_folders_of_one_platform_are_refused_before_anything_is_signed() {
    let publisher = Publisher::new();
    build(&publisher, "1.0.0");
    let settings = publisher.read("linux/component.toml");
    publisher.write("windows/component.toml", settings);
    publisher.run(&["sign", "linux", "windows"]).fails(2, "same component, channel and platform");
    assert!(!publisher.path("site").join("core").exists());
}

#[test]
fn a_manifest_in_the_folder_of_another_platform_is_found() {
    let publisher = with_two_platforms();
    let linux = publisher.read(format!("{LINUX}/manifest.xml"));
    publisher.write(&format!("{WINDOWS}/manifest.xml"), linux);
    publisher.run(&VERIFY).fails(21, "clients would refuse 1 of 6");
    publisher.run(&["resign", "core"]).fails(21, "for platform `x86_64-linux`, not `x86_64-windows`");
}

#[test]
fn a_new_platform_keeps_the_retired_key_and_the_freshness_key() {
    let publisher = Publisher::new();
    for name in ["standby", "fresh"] {
        publisher.run(&["keygen", name, "--bits", "2048"]).ok();
    }
    build(&publisher, "1.0.0");
    publisher.run(&["sign", "linux", "--freshness-key", "fresh.pub.pem"]).ok();
    let rotated = ["--key", "standby.key.pem", "--trust", "release.pub.pem"];
    publisher.run(&[&["resign", "core", "--retire", "release.pub.pem"], &rotated[..]].concat()).ok();
    publisher.run(&[&["sign", "windows"], &rotated[..]].concat()).ok();
    let meta = |dir: &str| publisher.manifest(&format!("{dir}/manifest.xml")).meta;
    assert_eq!(meta(WINDOWS).retires, meta(LINUX).retires);
    assert_eq!(meta(WINDOWS).freshness, meta(LINUX).freshness);
    assert!(meta(LINUX).retires.is_some() && meta(LINUX).freshness.is_some());
}

#[test]
fn a_platform_without_the_channel_is_left_out() {
    let publisher = with_two_platforms();
    let only_linux = ["promote", "core", "--from", "stable", "--to", "beta", "--platform", "x86_64-linux"];
    publisher.run(&only_linux).ok();
    publisher.run(&["pause", "core", "--channel", "beta"]).ok();
    let beta = publisher.manifest(&format!("{LINUX}/beta.xml")).meta;
    assert_eq!(beta.rollout, Some(0));
    publisher.run(&["pause", "core", "--channel", "alpha"]).fails(22, "alpha.xml");
}
