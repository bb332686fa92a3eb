//! Sites that an attacker has changed: the commands use nothing that no trusted key has signed, and
//! no object with other bytes than its manifest names.

use crate::publisher::{Publisher, day, program};
#[cfg(unix)]
use manifest_tool::Result;
#[cfg(unix)]
use manifest_tool::publish::{
    CheckedFile, Destination, Folder, ListedFile, PublishOptions, RemoteFile, ResponseHeaders, publish,
};
use patcher::internal::keys::PublicKey;
#[cfg(unix)]
use patcher::internal::{fs::Lock, layout::SiteNames, manifest::Object};
#[cfg(unix)]
use std::collections::HashMap;
use std::fs;
use std::process::Stdio;

const LATEST: &str = "site/core/manifest.xml";

/// Creates a publisher with two releases, and a stranger's key.
fn with_stranger() -> Publisher {
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    publisher.run(&["keygen", "stranger", "--bits", "2048"]).ok();
    publisher
}

#[test]
fn a_junk_file_among_the_releases_uses_up_no_sequence() {
    let publisher = with_stranger();
    let mut manifest = publisher.manifest(LATEST);
    manifest.meta.sequence = u64::MAX;
    publisher.write("site/core/releases/9.xml", publisher.signed(&manifest, "stranger.key.pem"));
    publisher.write("site/core/releases/8.xml", "<manifest/>");
    publisher.write("site/core/releases/2.xml", publisher.signed(&manifest, "stranger.key.pem"));
    publisher.write("build/bin/app", program(3));
    let out = publisher.sign_as("1.3.0", &[]).ok();
    assert!(out.contains("sequence 3,") && out.contains("9.xml is not a release by a trusted key"), "{out}");
    // The superseded release takes the place of the attacker's file.
    assert_eq!(publisher.manifest("site/core/releases/2.xml").meta.version.to_string(), "1.2.0");
    publisher.run(&["resign", "core"]).ok();
    publisher.run(&["promote", "core", "--from", "stable", "--to", "beta"]).ok();
    assert_eq!(publisher.manifest("site/core/beta.xml").meta.sequence, 5);
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
}

#[test]
fn an_edited_or_forged_latest_manifest_stops_every_command() {
    let publisher = with_stranger();
    let mut manifest = publisher.manifest(LATEST);
    manifest.files[0].gz.as_mut().unwrap().size += 1;
    let good = publisher.read(LATEST);
    let edited = String::from_utf8(good.clone()).unwrap().replace("1.2.0", "0.2.0").into_bytes();
    for (bytes, expected) in
        [(edited, "does not match its content"), (publisher.signed(&manifest, "stranger.key.pem"), "--trust")]
    {
        publisher.write(LATEST, &bytes);
        publisher.sign_as("1.3.0", &[]).fails(21, expected);
        publisher.run(&["resign", "core"]).fails(21, expected);
        publisher.run(&["promote", "core", "--from", "stable", "--to", "beta"]).fails(21, expected);
        publisher.run(&["prune", "core", "--keep", "0"]).fails(21, expected);
        publisher.run(&["publish", "site", "www"]).fails(21, expected);
        assert_eq!(publisher.read(LATEST), bytes);
    }
    assert!(!publisher.path("www").exists());
    publisher.write(LATEST, good);
    publisher.sign_as("1.3.0", &[]).ok();
}

/// An attacker with one key of two and write access to the site must not get the other signature.
#[test]
fn one_stolen_key_of_two_decides_nothing_on_a_site() {
    let publisher = with_stranger();
    let both = ["--key", "release.key.pem", "--key", "stranger.key.pem"];
    publisher.run(&[&["resign", "core", "--threshold", "1"][..], &both].concat()).ok();
    let mut forged = publisher.manifest(LATEST);
    forged.meta.sequence = u64::MAX;
    forged.meta.retires = Some(PublicKey::from_pem(&text(&publisher, "release.pub.pem")).unwrap().id());
    let good = publisher.read(LATEST);
    let bytes = publisher.signed(&forged, "stranger.key.pem");

    // Among the past releases it uses up no sequence, and retires nothing.
    publisher.write("site/core/releases/9.xml", &bytes);
    assert!(publisher.run(&[&["resign", "core"][..], &both].concat()).ok().contains("sequence 4"));
    assert_eq!(publisher.manifest(LATEST).meta.retires, None);

    publisher.write(LATEST, &bytes);
    publisher.write("build/manifest.xml", &bytes);
    let trust = ["--trust", "release.pub.pem", "--trust", "stranger.pub.pem", "--threshold", "2"];
    let promote = ["promote", "core", "--from", "stable", "--to", "beta"];
    for signing in [&["resign", "core"][..], &["pause", "core"], &promote] {
        publisher
            .run(&[signing, &both].concat())
            .fails(21, "signed by 1 of the given keys that are not retired, and 2 must");
    }
    publisher.sign_as("1.3.0", &both).fails(21, "signed by 1 of the given keys that are not retired, and 2 must");
    for command in [&["publish", "site", "www"][..], &["prune", "core", "--keep", "0"], &["bundle", "build"]] {
        publisher
            .run(&[command, &trust].concat())
            .fails(21, "signed by 1 of the given keys that are not retired, and 2 must");
    }
    let verify = ["verify", "site", "--key", "release.pub.pem", "--key", "stranger.pub.pem", "--threshold"];
    assert!(publisher.run(&[&verify[..], &["2"]].concat()).out.contains("signed by 1 of the 2"));
    publisher.run(&[&verify[..], &["3"]].concat()).fails(2, "threshold");
    assert_eq!(publisher.read(LATEST), bytes);

    publisher.write(LATEST, good);
    publisher.run(&[&["resign", "core", "--sequence", "7"][..], &both].concat()).ok();
}

fn text(publisher: &Publisher, path: &str) -> String {
    String::from_utf8(publisher.read(path)).unwrap()
}

#[test]
fn a_release_of_another_component_does_not_count() {
    let publisher = with_stranger();
    let mut manifest = publisher.manifest(LATEST);
    manifest.meta.component = "addon".parse().unwrap();
    manifest.meta.sequence = 99;
    publisher.write("site/core/releases/99.xml", publisher.signed(&manifest, "release.key.pem"));
    assert!(publisher.sign_as("1.3.0", &[]).ok().contains("sequence 3,"));
}

#[test]
fn a_changed_object_is_made_again_and_never_named() {
    let publisher = with_stranger();
    for object in publisher.objects() {
        let mut bytes = fs::read(&object).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&object, bytes).unwrap();
    }
    publisher.run(&["publish", "site", "www"]).fails(21, "does not have the bytes");
    publisher.sign_as("1.3.0", &["--updates", "0"]).ok();
    publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok();
}

#[test]
fn prune_keeps_nothing_for_a_strangers_release_and_leaves_its_file_alone() {
    let publisher = with_stranger();
    let manifest = publisher.manifest("site/core/releases/1.xml");
    publisher.write("site/core/releases/1.xml", publisher.signed(&manifest, "stranger.key.pem"));
    let out = publisher.run(&["prune", "core", "--keep", "5"]).ok();
    assert!(out.contains("0 manifests and 1 object,"), "{out}");
    assert!(publisher.path("site/core/releases/1.xml").exists());
}

#[test]
fn another_publishers_destination_is_not_overwritten() {
    let publisher = with_stranger();
    publisher.run(&["publish", "site", "www"]).ok();
    let foreign = publisher.signed(&publisher.manifest(LATEST), "stranger.key.pem");
    publisher.write("www/core/manifest.xml", &foreign);
    publisher.run(&["publish", "site", "www"]).fails(21, "--trust");
    assert_eq!(publisher.read("www/core/manifest.xml"), foreign);
    publisher.run(&["publish", "site", "www", "--trust", "release.pub.pem", "--trust", "stranger.pub.pem"]).ok();
}

#[test]
fn a_sequence_jumps_only_by_the_flag() {
    let publisher = with_stranger();
    publisher.sign_as("1.3.0", &["--sequence", "2"]).fails(2, "does not come after 2");
    assert!(publisher.sign_as("1.3.0", &["--sequence", "100"]).ok().contains("sequence 100,"));
    assert!(publisher.run(&["resign", "core"]).ok().contains("sequence 101,"));
    assert!(publisher.run(&["resign", "core", "--sequence", "200"]).ok().contains("sequence 200,"));
}

#[test]
fn a_retired_key_stays_retired_in_later_releases() {
    let publisher = with_stranger();
    let retired = |path: &str| publisher.manifest(path).meta.retires;
    let standby = ["--key", "stranger.key.pem", "--trust", "release.pub.pem"];
    publisher.sign_as("1.3.0", &[&standby[..], &["--retire", "stranger.pub.pem"]].concat()).fails(2, "which signs it");
    publisher.sign_as("1.3.0", &[&standby[..], &["--retire", "release.pub.pem"]].concat()).ok();
    let id = retired(LATEST);
    assert!(id.is_some());
    publisher.sign_as("1.4.0", &["--key", "stranger.key.pem"]).ok();
    assert_eq!(retired(LATEST), id);
    publisher.sign_as("1.4.1", &["--key", "stranger.key.pem", "--channel", "beta"]).ok();
    assert_eq!(retired("site/core/beta.xml"), id);
    publisher.run(&["resign", "core", "--key", "stranger.key.pem"]).ok();
    assert_eq!(retired(LATEST), id);
    // The retired key alone signs nothing that follows.
    publisher
        .sign_as("1.5.0", &["--trust", "stranger.pub.pem"])
        .fails(21, "signed by 0 of the given keys that are not retired");
}

/// Two publishers at once: every round gives two sequences.
#[test]
fn two_commands_at_once_take_two_sequences() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let time = day(0).unix().to_string();
    let environment = [("SOURCE_DATE_EPOCH", time.as_str())];
    for round in 1..=10 {
        let runs = ["stable", "beta"].map(|channel| {
            let version = format!("1.{round}.0");
            let args = ["sign", "build", "--component", "core", "--version", &version, "--channel", channel];
            let args = [&args[..], &["--base-url", "https://dl.example.com/core/"]].concat();
            publisher.command(&args, &environment).stdout(Stdio::null()).spawn().unwrap()
        });
        assert!(runs.map(|mut run| run.wait().unwrap().success()).iter().all(|success| *success));
        let sequence = |name: &str| publisher.manifest(&format!("site/core/{name}.xml")).meta.sequence;
        let mut sequences = [sequence("manifest"), sequence("beta")];
        sequences.sort_unstable();
        assert_eq!(sequences, [2 * round, 2 * round + 1]);
    }
}

#[test]
fn an_old_manifest_in_the_place_of_the_latest_one_is_not_signed_again() {
    let publisher = with_stranger();
    publisher.run(&["keygen", "fresh", "--bits", "2048"]).ok();
    publisher.sign_as("1.3.0", &["--freshness-key", "fresh.pub.pem"]).ok();
    publisher.sign_as("1.4.0", &[]).ok();
    // The attacker keeps the latest manifest among the past ones, or takes it away.
    publisher.write("site/core/releases/4.xml", publisher.read(LATEST));
    publisher.write(LATEST, publisher.read("site/core/releases/3.xml"));
    publisher.sign_as("1.5.0", &["--channel", "beta"]).ok();
    let before = publisher.read(LATEST);
    let promote = ["promote", "core", "--from", "beta", "--to", "stable"];
    let stamp = ["stamp", "site", "--key", "fresh.key.pem"];
    for command in [&["resign", "core"][..], &["pause", "core"], &stamp, &promote] {
        publisher.run(command).fails(21, "was the site rolled back?");
        assert_eq!(publisher.read(LATEST), before);
    }
    // Its version is not the one to be above, and its stepping stones are not those to be kept.
    publisher.sign_as("1.6.0", &[]).fails(21, "was the site rolled back?");
    assert_eq!(publisher.read(LATEST), before);
}

#[cfg(unix)]
#[test]
fn links_and_pipes_on_a_site_lead_nowhere() {
    use std::os::unix::fs::symlink;
    let publisher = with_stranger();
    // A file that is no manifest delta is not published, whatever it is.
    let secret = publisher.path("release.key.pem");
    fs::create_dir_all(publisher.path("site/core/releases/2")).unwrap();
    fs::hard_link(&secret, publisher.path("site/core/releases/2/from-7.delta")).unwrap();
    fs::copy(&secret, publisher.path("site/core/releases/2/from-1.delta")).unwrap();
    for pipe in ["site/core/releases/9.xml", "site/core/releases/2/from-3.delta"] {
        let made = std::process::Command::new("mkfifo").arg(publisher.path(pipe)).status();
        assert!(made.unwrap().success());
    }
    publisher.run(&["publish", "site", "www"]).ok();
    assert!(!publisher.path("www/core/releases/2").exists());
    publisher.run(&["prune", "core", "--keep", "0"]).ok();
    // A folder that is a link leads no write and no removal out of the site.
    fs::create_dir_all(publisher.path("outside/ab")).unwrap();
    publisher.write(&format!("outside/ab/ab{}.gz", "0".repeat(62)), "not yours");
    fs::rename(publisher.path("site/core/objects"), publisher.path("kept")).unwrap();
    symlink(publisher.path("outside"), publisher.path("site/core/objects")).unwrap();
    refuses_links(&publisher);
    assert_eq!(fs::read_dir(publisher.path("outside/ab")).unwrap().count(), 1);
    fs::remove_file(publisher.path("site/core/objects")).unwrap();
    fs::rename(publisher.path("kept"), publisher.path("site/core/objects")).unwrap();
    publisher.sign_as("1.9.0", &[]).ok();
}

/// Expects that no command takes a site with a link.
#[cfg(unix)]
fn refuses_links(publisher: &Publisher) {
    for command in [&["prune", "core", "--keep", "0"][..], &["resign", "core"], &["publish", "site", "www"]] {
        publisher.run(command).fails(21, "is a link");
    }
    publisher.sign_as("1.9.0", &[]).fails(21, "is a link");
}

#[cfg(unix)]
#[test]
fn a_link_at_any_depth_of_a_component_is_refused_before_anything_is_written() {
    use std::os::unix::fs::symlink;
    let publisher = with_stranger();
    let outside = publisher.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(publisher.path("site/core/x86_64-linux/releases")).unwrap();
    let prefix = (0..=255).map(|byte| format!("objects/{byte:02x}"));
    let prefix = prefix.map(|name| format!("site/core/{name}")).find(|name| !publisher.path(name).exists()).unwrap();
    let latest = "site/core/beta.xml".to_owned();
    let deltas = ["", "x86_64-linux/"].map(|dir| format!("site/core/{dir}releases/3"));
    for name in deltas.into_iter().chain([prefix, latest]) {
        symlink(&outside, publisher.path(&name)).unwrap();
        refuses_links(&publisher);
        fs::remove_file(publisher.path(&name)).unwrap();
        // The destination is as hostile as the site.
        let copy = publisher.path(name.replacen("site", "www", 1));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        symlink(&outside, &copy).unwrap();
        publisher.run(&["publish", "site", "www"]).fails(21, "is a link");
        fs::remove_dir_all(publisher.path("www")).unwrap();
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // The publisher's own link to the site or to a component is none inside of a component.
    fs::rename(publisher.path("site/core"), publisher.path("kept")).unwrap();
    symlink(publisher.path("kept"), publisher.path("site/core")).unwrap();
    publisher.sign_as("1.9.0", &[]).ok();
}

#[cfg(unix)]
#[test]
fn a_folder_that_becomes_a_link_while_a_site_is_published_leads_nowhere() {
    let publisher = with_stranger();
    fs::create_dir_all(publisher.path("www/core/releases")).unwrap();
    fs::create_dir(publisher.path("outside")).unwrap();
    let (file, secret) = (publisher.path("www/core/objects"), publisher.path("outside"));
    let late = Late { folder: Folder::new(publisher.path("www")), file, secret };
    let options = PublishOptions { parallel: 1, is_dry_run: false };
    let error = publish(&publisher.path("site"), &publisher.site_keys(), &late, options).unwrap_err();
    assert_eq!(error.code(), "link-in-site", "{error}");
    assert_eq!(fs::read_dir(publisher.path("outside")).unwrap().count(), 0);
}

/// A copy under the name of another channel would be stamped, and its head would be published.
#[test]
fn a_manifest_counts_under_its_own_name_only() {
    for layout in ["folders", "flat"] {
        let publisher = Publisher::new();
        publisher.run(&["keygen", "fresh", "--bits", "2048"]).ok();
        let flags = ["--layout", layout, "--freshness-key", "fresh.pub.pem"];
        publisher.sign_with_install_object("1.0.0", &flags).ok();
        publisher.write("build/bin/app", program(2));
        publisher.sign_with_install_object("1.1.0", &[]).ok();
        let (past, head, copy) = match layout {
            "flat" => ("site/core-1.xml", "site/core.latest.xml", "site/core.manifest.zeta.xml"),
            _ => ("site/core/releases/1.xml", "site/core/latest.xml", "site/core/zeta.xml"),
        };
        let before = publisher.read(head);
        publisher.write(copy, publisher.read(past));
        publisher.run(&["stamp", "site", "--key", "fresh.key.pem"]).fails(21, "is a copy");
        publisher.run(&["publish", "site", "www"]).fails(21, "is a copy");
        publisher.run(&["resign", "core"]).fails(21, "is a copy");
        assert_eq!(publisher.read(head), before);
        fs::remove_file(publisher.path(copy)).unwrap();
        publisher.run(&["stamp", "site", "--key", "fresh.key.pem"]).ok();
    }
}

/// A link to such a device has no end, and a pipe has no beginning.
#[cfg(unix)]
#[test]
fn endless_files_end_with_an_error() {
    use std::os::unix::fs::symlink;
    let publisher = with_stranger();
    fs::remove_file(publisher.path(LATEST)).unwrap();
    symlink("/dev/zero", publisher.path(LATEST)).unwrap();
    publisher.run(&["resign", "core"]).fails(21, "is a link");
    let made = std::process::Command::new("mkfifo").arg(publisher.path("build/component.toml")).status();
    assert!(made.unwrap().success());
    publisher.sign_as("1.3.0", &[]).fails(22, "no regular file");
}

/// A destination before which an attacker replaces a file of the site, after `publish` has read it.
#[cfg(unix)]
struct Late {
    folder: Folder,
    file: std::path::PathBuf,
    secret: std::path::PathBuf,
}

#[cfg(unix)]
impl Destination for Late {
    fn list(&self, below: &str) -> Result<HashMap<String, ListedFile>> {
        let _ = fs::remove_file(&self.file);
        std::os::unix::fs::symlink(&self.secret, &self.file).unwrap();
        self.folder.list(below)
    }

    fn read(&self, path: &str) -> Result<Option<RemoteFile>> {
        self.folder.read(path)
    }

    fn replace(&self, path: &str, bytes: &[u8], old: Option<&RemoteFile>, headers: ResponseHeaders) -> Result<()> {
        self.folder.replace(path, bytes, old, headers)
    }

    fn lock(&self, component: &SiteNames) -> Result<Option<Lock>> {
        self.folder.lock(component)
    }

    fn put(&self, path: &str, from: &CheckedFile, headers: ResponseHeaders) -> Result<()> {
        self.folder.put(path, from, headers)
    }

    fn check(&self, path: &str, object: &Object, headers: ResponseHeaders) -> Result<()> {
        self.folder.check(path, object, headers)
    }

    fn name(&self, path: &str) -> String {
        self.folder.name(path)
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_while_a_site_is_published_is_not_sent() {
    for (name, expected) in [("releases/1.xml", "changed"), ("objects", "damaged-object")] {
        let publisher = with_stranger();
        publisher.write("secret", "password");
        let file =
            if name == "objects" { publisher.objects().remove(0) } else { publisher.path("site/core").join(name) };
        let late = Late { folder: Folder::new(publisher.path("www")), file, secret: publisher.path("secret") };
        let options = PublishOptions { parallel: 1, is_dry_run: false };
        let error = publish(&publisher.path("site"), &publisher.site_keys(), &late, options).unwrap_err();
        assert_eq!(error.code(), expected, "{error}");
        for entry in walkdir::WalkDir::new(publisher.path("www")).into_iter().map(|entry| entry.unwrap()) {
            assert_ne!(fs::read(entry.path()).unwrap_or_default(), b"password", "{}", entry.path().display());
        }
    }
}
