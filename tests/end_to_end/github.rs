//! Publishing to GitHub Releases, and clients that install and update from there.

use crate::guides::{blocks, commands};
use crate::support::github::{Fault, GitHubServer, TOKEN};
use crate::support::programs;
use crate::support::publisher::Publisher;
use crate::support::run::Run;
use crate::support::tree::{Tree, noise};
use crate::support::user::User;
use std::fs;
use std::process::Command;

/// A publisher, GitHub and a user.
struct GitHubWorld {
    github: GitHubServer,
    publisher: Publisher,
    user: User,
}

impl GitHubWorld {
    fn new() -> Self {
        let (github, mut publisher) = (GitHubServer::start(), Publisher::new());
        publisher.serve_at([github.latest()]);
        let user = User::trusting(&publisher);
        Self { github, publisher, user }
    }

    /// Signs the release with this number.
    fn sign(&self, number: u64) {
        self.publisher.release("core", &format!("{number}.0.0"), &release(number)).flat().sign();
    }

    /// Publishes the site under a tag.
    fn publish(&self, tag: &str) -> Run {
        let mut tool = Command::new(programs::manifest_tool());
        tool.arg("publish").arg(self.publisher.site()).arg(format!("github:o/app@{tag}"));
        tool.arg("--trust").arg(self.publisher.public_key());
        Run::of(tool.env("GITHUB_TOKEN", TOKEN).env("GITHUB_API_URL", self.github.api()))
    }

    fn install(&self) {
        self.user.ok(&["install", "core", "--from", &format!("{}core.manifest.xml", self.github.latest())]);
    }

    /// Returns the uploads since the last call, by name.
    fn uploads(&self) -> Vec<String> {
        let name =
            |line: String| line.strip_prefix("POST /uploads/").and_then(|url| Some(url.split_once('=')?.1.to_owned()));
        self.github.take_log().into_iter().filter_map(name).collect()
    }
}

fn release(number: u64) -> Tree {
    let text = format!("release {number}\n").repeat(2000);
    Tree::from_seed(1).file("bin/tool", &[&noise(7, 100_000)[..], text.as_bytes()].concat(), 0o755)
}

/// The storage refuses requests with a token or with a header of the program.
#[test]
fn a_client_installs_and_updates_from_the_latest_release() {
    let world = GitHubWorld::new();
    world.sign(1);
    world.publish("v1").ends(0);
    world.github.take_log();
    let manifest = format!("{}core.manifest.xml", world.github.latest());
    let header = format!("{} X-Secret: app", world.github.latest());
    world.user.ok(&["--header", &header, "install", "core", "--from", &manifest]);
    world.user.has("core", &release(1));
    let requests = |log: &[String]| log.iter().filter(|line| line.contains("/latest/download/")).count();
    assert_eq!(requests(&world.github.take_log()), 2);
    world.sign(2);
    world.publish("v2").ends(0);
    world.github.take_log();
    world.user.ok(&["--header", &header, "update"]);
    world.user.has("core", &release(2));
    let log = world.github.take_log();
    assert_eq!((requests(&log), log.len()), (3, 9), "two redirects each: {log:?}");
    world.user.ok(&["repair", "core"]);
}

/// A new release appears as a whole: before the last step, clients get the one before.
#[test]
fn the_head_is_sent_last_and_a_draft_is_published_after_it() {
    let world = GitHubWorld::new();
    world.sign(1);
    world.publish("v1").ends(0);
    let log = world.github.take_log();
    let sent: Vec<&String> =
        log.iter().filter(|line| line.starts_with("POST ") || line.starts_with("PATCH ")).collect();
    let names = ["", ".install", "core.manifest.xml", "core.latest.xml", "PATCH /api/repos/o/app/releases/2"];
    assert_eq!(sent.len(), names.len(), "{sent:?}");
    assert!(sent.iter().zip(names).all(|(line, name)| line.contains(name)), "{sent:?}");
    assert_eq!(world.github.assets("v1").len(), 3);
}

#[test]
fn faults_of_the_network_are_made_good() {
    let world = GitHubWorld::new();
    world.sign(1);
    world.sign(2);
    world.github.fail(&[Fault::CutOffUpload, Fault::RateLimit, Fault::LostAnswer]);
    world.publish("v2").ends(0);
    world.install();
    world.user.has("core", &release(2));
    world.uploads();
    world.publish("v2").ends(0);
    assert_eq!(world.uploads(), [""; 0], "everything is there");
}

#[test]
fn an_interrupted_publication_continues_and_shows_nothing_before_its_end() {
    let world = GitHubWorld::new();
    world.sign(1);
    world.publish("v1").ends(0);
    world.sign(2);
    // One object after the other fails for good.
    world.github.fail(&[Fault::CutOffUpload; 40]);
    let run = world.publish("v2");
    assert_eq!(run.code, Some(20), "{run:?}");
    assert_eq!(world.github.assets("v2"), [""; 0], "the draft is not public");
    world.install();
    world.user.has("core", &release(1));
    world.github.fail_no_more();
    world.publish("v2").ends(0);
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
}

/// A tag that stays, such as one of a channel: manifests and heads are replaced in place.
#[test]
fn a_public_release_is_changed_in_place() {
    let mut world = GitHubWorld::new();
    world.publisher.serve_at([world.github.download("updates")]);
    world.sign(1);
    world.publish("updates").ends(0);
    let manifest = format!("{}core.manifest.xml", world.github.download("updates"));
    world.user.ok(&["install", "core", "--from", &manifest]);
    world.sign(2);
    world.uploads();
    world.publish("updates").ends(0);
    let uploads = world.uploads();
    assert_eq!(uploads[uploads.len() - 2..], ["core.manifest.xml", "core.latest.xml"]);
    world.user.ok(&["update"]);
    world.user.has("core", &release(2));
    world.publisher.run_tool(&["resign", "core", "--rollout", "50%"]);
    world.publish("updates").ends(0);
    world.user.ok(&["check"]);
}

/// A program and its add-on, of which one changes: both lie in each release.
#[test]
fn one_release_has_several_components() {
    let world = GitHubWorld::new();
    let addon = Tree::default().file("addon", &noise(9, 50_000), 0o644);
    let sign_addon = |version: &str, tree: &Tree| drop(world.publisher.release("addon", version, tree).flat().sign());
    world.sign(1);
    sign_addon("1.0.0", &addon);
    world.publish("v1").ends(0);
    let assets = world.github.assets("v1");
    for name in ["core.manifest.xml", "core.latest.xml", "addon.manifest.xml", "addon.latest.xml"] {
        assert!(assets.iter().any(|asset| asset == name), "{name}: {assets:?}");
    }
    world.install();
    let latest = world.github.latest();
    world.user.ok(&["install", "addon", "--from", &format!("{latest}addon.manifest.xml")]);
    world.user.has("addon", &addon);

    world.sign(2);
    world.publish("v2").ends(0);
    let updated = world.user.ok(&["update"]);
    assert_eq!(updated["applied"].as_array().unwrap().len(), 1, "{updated:#}");
    world.user.has("core", &release(2));
    world.user.has("addon", &addon);
    let addon = addon.file("more", b"more", 0o644);
    sign_addon("2.0.0", &addon);
    world.sign(3);
    world.publish("v3").ends(0);
    assert_eq!(world.user.ok(&["update"])["applied"].as_array().unwrap().len(), 2);
    world.user.has("core", &release(3));
    world.user.has("addon", &addon);
}

#[test]
fn an_immutable_release_needs_another_tag() {
    let world = GitHubWorld::new();
    world.github.make_immutable();
    world.sign(1);
    world.publish("v1").ends(0);
    world.sign(2);
    world.uploads();
    let run = world.publish("v1");
    assert!(run.code == Some(2) && run.err.contains("immutable; publish under another tag"), "{run:?}");
    assert_eq!(world.uploads(), [""; 0]);
    world.publish("v2").ends(0);
    world.install();
    world.user.has("core", &release(2));
}

#[test]
fn a_release_with_too_many_assets_gets_none() {
    let world = GitHubWorld::new();
    world.github.crowd("v1", 998);
    world.sign(1);
    let run = world.publish("v1");
    assert!(run.code == Some(2) && run.err.contains("1001 assets"), "{run:?}");
    assert_eq!(world.uploads(), [""; 0]);
}

#[test]
fn folders_and_a_missing_token_are_refused() {
    let world = GitHubWorld::new();
    world.publisher.release("core", "1.0.0", &release(1)).sign();
    let run = world.publish("v1");
    assert!(run.code == Some(2) && run.err.contains("--layout flat"), "{run:?}");
    let mut tool = Command::new(programs::manifest_tool());
    tool.arg("publish").arg(world.publisher.site()).arg("github:o/app@v1").env_remove("GITHUB_TOKEN");
    tool.arg("--trust").arg(world.publisher.public_key());
    let run = Run::of(&mut tool);
    assert!(run.code == Some(2) && run.err.contains("GITHUB_TOKEN"), "{run:?}");
}

/// A build machine that lost the site would start again at sequence 1, which clients refuse.
#[test]
fn a_site_that_was_lost_does_not_replace_a_later_release() {
    let world = GitHubWorld::new();
    world.sign(1);
    world.sign(2);
    world.publish("v2").ends(0);
    fs::remove_dir_all(world.publisher.site()).unwrap();
    world.sign(3);
    let run = world.publish("v3");
    assert!(run.err.contains("has sequence 2, and the site has 1"), "{run:?}");
    assert_eq!(world.github.assets("v3"), [""; 0]);
}

/// The guide leads from a build folder to an installed program in three commands.
#[test]
fn the_commands_of_the_guide_work() {
    let world = GitHubWorld::new();
    let dir = tempfile::tempdir().unwrap();
    release(1).write(&dir.path().join("build"));
    for name in ["release.key.pem", "release.pub.pem"] {
        fs::copy(world.publisher.public_key().with_file_name(name), dir.path().join(name)).unwrap();
    }
    let typed: Vec<String> = blocks("guide/github.md", "sh").iter().flat_map(|block| commands(block)).collect();
    assert_eq!(typed.len(), 3, "{typed:?}");
    let path = format!("{}:{}", programs::patcher().parent().unwrap().display(), std::env::var("PATH").unwrap());
    for command in typed {
        let own = command.replace("https://github.com/OWNER/REPO/releases/latest/download/", &world.github.latest());
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(own.replace("OWNER/REPO", "o/app")).current_dir(&dir).env("PATH", &path);
        shell
            .env("GITHUB_TOKEN", TOKEN)
            .env("GITHUB_API_URL", world.github.api())
            .env("MANIFEST_KEY", "release.key.pem");
        Run::of(&mut shell).ends(0);
    }
    world.user.ok(&["install", "app", "--from", &format!("{}app.manifest.xml", world.github.latest())]);
    world.user.has("app", &release(1));
}
