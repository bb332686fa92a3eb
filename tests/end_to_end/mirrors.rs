//! Several base URLs: the client takes the signed bytes from the first mirror that has them.

use crate::support::publisher::{Published, Publisher};
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::Tree;
use crate::support::user::User;

/// A first mirror that follows a script, and a second one that works.
struct MirrorWorld {
    first: Scripted,
    second: Scripted,
    publisher: Publisher,
    user: User,
}

impl MirrorWorld {
    /// Creates a world with version 1 installed while both mirrors worked, and version 2 published.
    fn new() -> (Self, Published, Tree) {
        let mut publisher = Publisher::new();
        let serve = || Scripted::serve(&publisher.site(), |_| Reply::Site);
        let (first, second) = (serve(), serve());
        publisher.serve_at([first.url(), second.url()]);
        let mut user = User::trusting(&publisher);
        user.options = vec!["--retries".into(), "0".into()];
        publisher.release("core", "1.0.0", &Tree::from_seed(1)).sign();
        user.ok(&["install", "core", "--from", &format!("{}core/manifest.xml", first.url())]);
        let next = Tree::from_seed(1).mutate(2);
        let published = publisher.release("core", "2.0.0", &next).whole().sign();
        first.take_paths();
        assert!(second.take_paths().is_empty(), "the first mirror was well");
        (Self { first, second, publisher, user }, published, next)
    }
}

#[test]
fn the_second_mirror_serves_what_the_first_does_not_have() {
    let garbage = || Reply::Bytes(b"<html>Welcome to the hotel's network</html>".to_vec());
    let lies: [fn() -> Reply; 4] = [garbage, || Reply::status(503), || Reply::status(404), || Reply::CutAfter(10)];
    for lie in lies {
        let (mirrors, published, next) = MirrorWorld::new();
        mirrors.first.follow(move |_| lie());
        mirrors.user.ok(&["update"]);
        mirrors.user.has("core", &next);
        assert!(mirrors.second.take_paths().contains(&published.object("bin/app")));
    }
}

#[test]
fn the_second_mirror_serves_when_the_first_is_down() {
    let (mut mirrors, _, next) = MirrorWorld::new();
    // The port of `discard` (RFC 863), which no program serves today.
    mirrors.publisher.serve_at(["http://127.0.0.1:9/".to_owned(), mirrors.second.url()]);
    mirrors.publisher.release("core", "3.0.0", &next).sign();
    mirrors.user.ok(&["update"]);
    let last = next.mutate(3);
    mirrors.publisher.release("core", "4.0.0", &last).sign();
    mirrors.user.ok(&["update"]);
    mirrors.user.has("core", &last);
}

#[test]
fn an_outdated_mirror_is_skipped() {
    let (mirrors, _, next) = MirrorWorld::new();
    let old = std::fs::read(mirrors.user.component("core").join("manifest.xml")).unwrap();
    mirrors.user.ok(&["update"]);
    let last = next.mutate(3);
    mirrors.publisher.release("core", "3.0.0", &last).sign();
    mirrors
        .first
        .follow(move |request| if request.path.ends_with(".xml") { Reply::Bytes(old.clone()) } else { Reply::Site });
    mirrors.user.ok(&["update"]);
    mirrors.user.has("core", &last);
}

#[test]
fn one_bad_object_comes_from_the_second_mirror() {
    let (mirrors, published, next) = MirrorWorld::new();
    let bad = published.object("bin/app");
    let lie = bad.clone();
    mirrors
        .first
        .follow(move |request| if request.path == lie { Reply::Bytes(b"garbage".to_vec()) } else { Reply::Site });
    mirrors.user.ok(&["update"]);
    mirrors.user.has("core", &next);
    assert_eq!(mirrors.second.take_paths(), [bad]);
}

#[test]
fn the_first_refusal_is_reported_if_all_mirrors_fail() {
    let (mirrors, ..) = MirrorWorld::new();
    let before = mirrors.user.tree("core");
    mirrors.first.follow(|_| Reply::Bytes(Vec::new()));
    mirrors.second.follow(|_| Reply::status(500));
    let run = mirrors.user.run(&["--json", "update"]);
    assert_eq!(run.code, Some(21), "{run:?}");
    before.assert_is(&mirrors.user.tree("core"));
}
