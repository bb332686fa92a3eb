//! Heads and manifest deltas: what a check costs, and what a head that lies can do.

use crate::support::publisher::Published;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::Tree;
use crate::support::world::World;
use std::fs;

const HEAD: &str = "/core/latest.xml";
const MANIFEST: &str = "/core/manifest.xml";
const DELTA: &str = "/core/releases/2/from-1.delta";

/// Creates a world in which release 1 is installed and release 2 is published.
fn outdated() -> (World<Scripted>, Published) {
    let world = World::honest();
    world.publish("1.0.0", &Tree::from_seed(1));
    world.install("core");
    let published = world.publish("2.0.0", &Tree::from_seed(2));
    world.server.take_requests();
    (world, published)
}

#[test]
fn a_check_with_nothing_new_fetches_the_head_and_writes_nothing() {
    let (world, _) = outdated();
    world.user.ok(&["update"]);
    let state = world.user.root().join(".patcher/seen.xml");
    let before = fs::metadata(&state).unwrap().modified().unwrap();
    world.server.take_requests();
    world.user.json(0, &["check"]);
    assert_eq!(world.server.take_paths(), [HEAD]);
    assert_eq!(fs::metadata(&state).unwrap().modified().unwrap(), before);
}

#[test]
fn a_renewed_manifest_comes_as_a_delta() {
    let (world, _) = outdated();
    world.user.ok(&["update"]);
    world.publisher.run_tool(&["resign", "core", "--rollout", "50%"]);
    world.server.take_requests();
    world.user.json(0, &["check"]);
    assert_eq!(world.server.take_paths(), [HEAD, "/core/releases/3/from-2.delta"]);
    world.server.take_requests();
    world.user.json(0, &["check"]);
    assert_eq!(world.server.take_paths(), [HEAD], "the renewed manifest was adopted");
}

/// Whatever is wrong with the head or the delta, the client finds the release in the same check.
#[test]
fn a_head_or_delta_that_is_missing_damaged_or_wrong_leads_to_the_whole_manifest() {
    type Lie = fn(Vec<u8>) -> Reply;
    let lies: [(&str, &str, Lie); 16] = [
        ("no head", HEAD, |_| Reply::status(404)),
        ("a head that is gone", HEAD, |_| Reply::status(410)),
        ("a web page as head", HEAD, |_| Reply::Bytes(b"<html>Welcome to the hotel's network</html>".to_vec())),
        ("an empty head", HEAD, |_| Reply::Bytes(Vec::new())),
        ("a head that is too long", HEAD, |bytes| Reply::Bytes([bytes, vec![b' '; 5000]].concat())),
        ("a head of another component", HEAD, |bytes| replaced(bytes, "\"core\"", "\"addon\"")),
        ("a head of another channel", HEAD, |bytes| replaced(bytes, "\"stable\"", "\"beta\"")),
        ("a later sequence", HEAD, |bytes| replaced(bytes, "sequence=\"2\"", "sequence=\"9\"")),
        ("an earlier sequence", HEAD, |bytes| replaced(bytes, "sequence=\"2\"", "sequence=\"0\"")),
        ("another size", HEAD, |bytes| replaced(bytes, "size=\"", "size=\"1")),
        ("a server error", HEAD, |_| Reply::status(500)),
        ("a redirect to itself", HEAD, |_| Reply::redirect(302, HEAD)),
        ("a head that is cut off", HEAD, |bytes| Reply::head("200 OK", "Content-Length: 5000\r\n", &bytes)),
        ("a silent head", HEAD, |_| Reply::Silence(Vec::new())),
        ("no delta", DELTA, |_| Reply::status(404)),
        ("a damaged delta", DELTA, |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Reply::Bytes(bytes)
        }),
    ];
    for (what, path, lie) in lies {
        let (world, _) = outdated();
        let site = world.publisher.site();
        world.server.follow(move |request| match request.path == path {
            true => lie(fs::read(site.join(path.trim_start_matches('/'))).unwrap()),
            false => Reply::Site,
        });
        world.user.ok(&["--retries", "0", "--check-timeout", "10", "update"]);
        world.user.has("core", &Tree::from_seed(2));
        let requests = world.server.take_paths();
        assert!(requests.contains(&MANIFEST.to_owned()), "{what}: {requests:?}");
    }
}

fn replaced(bytes: Vec<u8>, from: &str, to: &str) -> Reply {
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{text}");
    Reply::Bytes(text.replacen(from, to, 1).into_bytes())
}

/// A head that was replayed only delays: it moves no floor, and leads to no older release.
#[test]
fn an_old_head_delays_and_never_leads_back() {
    for age in 0..3 {
        let world = World::honest();
        let mut heads = Vec::new();
        for build in 1..=3 {
            world.publish(&format!("{build}.0.0"), &Tree::from_seed(build));
            heads.push(fs::read(world.publisher.site().join("core/latest.xml")).unwrap());
            if build == 2 {
                world.install("core");
            }
        }
        let replay = |head: Vec<u8>| {
            world.server.follow(move |request| match request.path == HEAD {
                true => Reply::Bytes(head.clone()),
                false => Reply::Site,
            });
        };
        replay(heads[age].clone());
        // The head of release 2 says that nothing is new, that of release 1 leads to the manifest.
        world.user.json(if age == 1 { 0 } else { 10 }, &["check"]);
        world.user.has("core", &Tree::from_seed(2));
        world.server.be_honest();
        world.user.json(10, &["check"]);
        // The client has seen release 3: the head of release 2 no longer says that nothing is new.
        replay(heads[1].clone());
        world.user.json(10, &["check"]);
    }
}

/// The ways in which a server's file can be wrong.
const LIES: [&str; 6] = ["good", "missing", "cut off", "flipped", "another file", "too long"];

fn lie(what: &str, bytes: &[u8], other: &[u8]) -> Reply {
    match what {
        "good" => Reply::Bytes(bytes.to_vec()),
        "missing" => Reply::status(404),
        "cut off" => Reply::Bytes(bytes[..bytes.len() / 2].to_vec()),
        "flipped" => {
            let flip = |at: usize| if at % 40 == 20 { bytes[at] ^ 1 } else { bytes[at] };
            Reply::Bytes((0..bytes.len()).map(flip).collect())
        }
        "another file" => Reply::Bytes(other.to_vec()),
        _ => Reply::Bytes([bytes, &[0]].concat()),
    }
}

/// Head, manifest delta and update object, each wrong in every way, in every combination.
#[test]
fn every_combination_of_wrong_files_leads_to_the_same_release_in_one_run() {
    let (world, published) = outdated();
    let update = published.update_from(1);
    let file = |path: &str| fs::read(world.publisher.site().join(path.trim_start_matches('/'))).unwrap();
    let files = [HEAD, DELTA, &update].map(|path| (path.to_owned(), file(path)));
    for choice in 0..LIES.len().pow(3) {
        let lies = [choice % 6, choice / 6 % 6, choice / 36].map(|at| LIES[at]);
        let files = files.clone();
        world.server.follow(move |request| {
            let at = files.iter().position(|(path, _)| *path == request.path);
            at.map_or(Reply::Site, |at| lie(lies[at], &files[at].1, &files[(at + 1) % 3].1))
        });
        let _ = fs::remove_dir_all(world.user.root().join(".patcher"));
        world.user.ok(&["download"]);
        let status = world.user.ok(&["status"]);
        assert_eq!(status["staged"][0]["version"], "2.0.0", "{lies:?}: {status}");
    }
    world.user.ok(&["apply"]);
    world.user.has("core", &Tree::from_seed(2));
}
