//! The bytes of each request are the same for every user, on any machine and with any installation.

use super::publisher::{first, sign};
use super::world::{MANIFEST, World, outcome};
use crate::support::programs;
use crate::support::scripted::{Reply, Request, Scripted};
use patcher::Patcher;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

/// Returns the request of a check or for an object; `more` is a header line or empty. Only a
/// manifest may come compressed.
fn expected(path: &str, host: &str, more: &str) -> String {
    let coding = if path.contains("/objects/") { "identity" } else { "gzip" };
    format!(
        "GET {path} HTTP/1.1\r\n{more}accept-encoding: {coding}\r\nuser-agent: patcher\r\naccept: */*\r\nhost: {host}\r\n\r\n"
    )
}

/// Sorts the header lines: HTTP gives their order no meaning.
fn sorted(head: &str) -> Vec<String> {
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    lines[1..].sort();
    lines
}

fn heads(requests: Vec<Request>) -> Vec<String> {
    requests.into_iter().map(|request| request.head).collect()
}

/// Returns the request without its `Host` line.
fn without_host(head: &str, host: &str) -> String {
    head.replace(&format!("host: {host}\r\n"), "")
}

#[test]
fn two_users_send_the_same_bytes() {
    let (one, two) = (World::new(), World::new());
    // The other user has another version, root, set of files and components, and a longer history.
    assert_eq!(two.update(), "updated to 2.0.0");
    let mut later = two.new.clone();
    later.manifest.meta.version = "3.0.0-rc.1+build.7".parse().unwrap();
    later.manifest.meta.sequence = 77;
    two.publish(&later);
    assert_eq!(two.check(), "update to 3.0.0-rc.1+build.7");
    std::fs::write(two.core("mine"), "mine").unwrap();
    std::fs::remove_file(one.state("seen.xml")).unwrap();
    let (one_head, two_head) = {
        one.server.take_requests();
        two.server.take_requests();
        one.check();
        two.check();
        (heads(one.server.take_requests()), heads(two.server.take_requests()))
    };
    assert_eq!(one_head.len(), 1);
    assert_eq!(without_host(&one_head[0], &one.server.host()), without_host(&two_head[0], &two.server.host()));
    assert_eq!(sorted(&one_head[0]), sorted(&expected(MANIFEST, &one.server.host(), "")));
}

#[test]
fn only_if_none_match_differs_and_only_while_the_installed_release_is_the_newest() {
    let world = World::new();
    world.server.put(MANIFEST, sign(world.old.body(), &[first()]));
    for etag in [None, Some(()), Some(())] {
        std::fs::remove_file(world.state("seen.xml"))
            .or_else(|error| if etag.is_some() { Ok(()) } else { Err(error) })
            .unwrap();
        if etag.is_some() {
            assert_eq!(world.check(), "up to date");
        }
        world.server.take_requests();
        assert_eq!(world.check(), "up to date");
        let requests = world.server.take_requests();
        let value = requests[0].header("if-none-match").map(|value| format!("if-none-match: {value}\r\n"));
        assert_eq!(value.is_some(), etag.is_some());
        let line = value.unwrap_or_default();
        assert_eq!(sorted(&requests[0].head), sorted(&expected(MANIFEST, &world.server.host(), &line)));
        if etag.is_none() {
            std::fs::write(world.state("seen.xml"), "").unwrap();
        }
    }
}

#[test]
fn all_clients_send_the_same_object_requests_and_a_range_only_to_resume() {
    let world = World::new();
    let path = world.new.object_path("bin/app");
    let good = world.new.objects[0].clone();
    world.server.lie(&path, Reply::head("200", &format!("Content-Length: {}\r\n", good.len()), &good[..1000]));
    assert_eq!(world.update(), "cut-off");
    let host = world.server.host();
    for request in world.server.take_requests().iter().filter(|request| request.path != MANIFEST) {
        assert_eq!(sorted(&request.head), sorted(&expected(&request.path, &host, "")));
    }
    world.server.be_honest();
    assert_eq!(world.update(), "updated to 2.0.0");
    for request in world.server.take_requests().iter().filter(|request| request.path != MANIFEST) {
        let range = if request.path == path { "range: bytes=1000-\r\n" } else { "" };
        assert_eq!(sorted(&request.head), sorted(&expected(&request.path, &host, range)));
    }
}

/// The client does not carry a server's cookie, a referer, or a password from a redirect.
#[test]
fn no_value_from_a_server_is_sent_back() {
    let world = World::new();
    let good = world.server.file(MANIFEST);
    let (host, url) = (world.server.host(), world.server.url());
    world.server.follow(move |request| {
        let cookies = "Set-Cookie: id=4711; Path=/; Max-Age=99999\r\nETag: \"user-4711\"\r\nAlt-Svc: h2=\":1\"\r\n\
                       Strict-Transport-Security: max-age=99999\r\nAccept-CH: Sec-CH-UA-Platform\r\nNEL: {}\r\n";
        match request.path.as_str() {
            MANIFEST => Reply::Status(302, format!("{cookies}Location: {url}next\r\n"), Vec::new()),
            _ => Reply::Status(200, cookies.to_owned(), good.clone()),
        }
    });
    std::fs::remove_file(world.state("seen.xml")).unwrap();
    for _ in 0..2 {
        assert_eq!(world.check(), "update to 2.0.0");
        let heads = heads(world.server.take_requests());
        assert_eq!(heads.len(), 2);
        assert_eq!(sorted(&heads[0]), sorted(&expected(MANIFEST, &host, "")));
        assert_eq!(sorted(&heads[1]), sorted(&expected("/next", &host, "")));
    }
}

/// The first installation on a platform looks like any other.
#[test]
fn a_first_installation_sends_the_same_bytes_as_any_other() {
    let world = World::new();
    let url = format!("{}core/manifest.xml", world.server.url());
    let elsewhere = world.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let mut requests = Vec::new();
    for platform in ["x86_64-linux", "aarch64-macos"] {
        let config = world.config().platform(platform).state_dir(elsewhere.join(platform));
        let install = Patcher::new(config.clone()).unwrap().install("core", &url);
        assert_eq!(outcome(install.map(|update| update.to().to_string())), "2.0.0");
        requests.extend(heads(world.server.take_requests()));
    }
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0], requests[1]);
    assert_eq!(sorted(&requests[0]), sorted(&expected(MANIFEST, &world.server.host(), "")));
}

/// The command line program, in two users' environments.
#[test]
fn the_program_sends_the_same_bytes_in_every_environment() {
    let world = World::new();
    std::fs::write(world.path("key.pem"), &first().pem).unwrap();
    let mut requests = Vec::new();
    for (user, language, home, zone) in
        [("alice", "de_DE.UTF-8", "/home/alice", "Europe/Berlin"), ("bob", "C", "/nowhere", "UTC")]
    {
        // Every request is the first one of its client.
        std::fs::remove_file(world.state("seen.xml")).unwrap();
        let mut program = Command::new(programs::patcher());
        program.arg("--root").arg(world.root()).arg("--key").arg(world.path("key.pem")).arg("check");
        program.env_clear().envs([
            ("USER", user),
            ("LANG", language),
            ("HOME", home),
            ("TZ", zone),
            ("HOSTNAME", user),
        ]);
        assert_eq!(program.stdin(Stdio::null()).output().unwrap().status.code(), Some(10));
        requests.extend(heads(world.server.take_requests()));
    }
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0], requests[1]);
    assert_eq!(sorted(&requests[0]), sorted(&expected(MANIFEST, &world.server.host(), "")));
}

#[test]
fn a_programs_own_headers_stay_with_the_origin_it_requested() {
    let world = World::new();
    let elsewhere = Scripted::in_memory();
    elsewhere.put(MANIFEST, world.server.file(MANIFEST));
    let target = format!("Location: {}core/manifest.xml\r\n", elsewhere.url().replace("//", "//me:too@"));
    world.server.follow(move |_| Reply::Status(302, target.clone(), Vec::new()));
    let config = world.config().header("Authorization", "Bearer of-a-token").header("X-Program", "app");
    assert_eq!(super::world::check(&Patcher::new(config).unwrap()), "update to 2.0.0");
    let (asked, led) = (world.server.take_requests(), elsewhere.take_requests());
    assert_eq!(asked[0].header("authorization"), Some("Bearer of-a-token"));
    assert_eq!((led[0].header("authorization"), led[0].header("x-program")), (None, Some("app")));
}

#[test]
fn a_check_that_finds_nothing_new_is_one_small_request_and_writes_nothing() {
    let world = World::new();
    world.server.put(MANIFEST, sign(world.old.body(), &[first()]));
    let patcher = world.patcher();
    assert_eq!(super::world::check(&patcher), "up to date");
    let files = || {
        let entries = walkdir::WalkDir::new(world.root()).sort_by_file_name().into_iter().map(Result::unwrap);
        let state = entries.map(|entry| (entry.metadata().unwrap(), entry.into_path()));
        state.map(|(meta, path)| (path, meta.ino(), meta.mtime(), meta.mtime_nsec())).collect::<Vec<_>>()
    };
    let before = files();
    world.server.take_requests();
    world.server.take_sent();
    assert_eq!(super::world::check(&patcher), "up to date");
    let requests = world.server.take_requests();
    assert_eq!(requests.len(), 1);
    let (up, down) = (requests[0].head.len() as u64, world.server.take_sent());
    assert!(up + down < 1000, "{up} bytes up, {down} bytes down");
    assert_eq!(files(), before);
}
