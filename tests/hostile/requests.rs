//! The bytes of each request are the same for every user, on any machine and with any installation.

use super::publisher::{first, sign};
use super::world::{HEAD, HostileWorld, MANIFEST, outcome};
use crate::support::programs;
use crate::support::scripted::{Reply, Scripted, ScriptedRequest};
use patcher::Patcher;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

/// Returns the request of a check or for an object; `more` is a header line or empty. Only a
/// manifest may come compressed.
fn expected(path: &str, host: &str, more: &str) -> String {
    let coding = if path.contains("/objects/") || path == HEAD { "identity" } else { "gzip" };
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

fn heads(requests: Vec<ScriptedRequest>) -> Vec<String> {
    requests.into_iter().map(|request| request.head).collect()
}

/// Returns the request without its `Host` line.
fn without_host(head: &str, host: &str) -> String {
    head.replace(&format!("host: {host}\r\n"), "")
}

#[test]
fn two_users_send_the_same_bytes() {
    let (one, two) = (HostileWorld::new(), HostileWorld::new());
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
    assert_eq!(one_head.len(), 2);
    for (at, path) in [HEAD, MANIFEST].into_iter().enumerate() {
        assert_eq!(without_host(&one_head[at], &one.server.host()), without_host(&two_head[at], &two.server.host()));
        assert_eq!(sorted(&one_head[at]), sorted(&expected(path, &one.server.host(), "")));
    }
}

/// A server that names its answers is asked as if it had not: an ETag is a cookie.
#[test]
fn two_histories_leave_no_trace_in_any_request() {
    let (one, two) = (HostileWorld::new(), HostileWorld::new());
    let cookies = |user: &'static str| {
        move |path: &str, bytes: Vec<u8>| {
            let _ = path;
            let lines = format!(
                "ETag: \"{user}\"\r\nLast-Modified: Thu, 01 Jan 1970 00:00:0{} GMT\r\nSet-Cookie: id={user}\r\n",
                user.len()
            );
            Reply::Status(200, lines, bytes)
        }
    };
    for (world, user) in [(&one, "a"), (&two, "bcd")] {
        let reply = cookies(user);
        let files: Vec<(String, Vec<u8>)> = std::iter::once((MANIFEST.to_owned(), world.server.file(MANIFEST)))
            .chain(world.new.all_objects().map(|(path, bytes)| (path, bytes.clone())))
            .collect();
        world.server.follow(move |request| {
            let file = files.iter().find(|(path, _)| *path == request.path);
            file.map_or_else(|| Reply::status(404), |(path, bytes)| reply(path, bytes.clone()))
        });
    }
    // The other installation has checked five times, and has followed a redirect and a 304.
    for _ in 0..5 {
        assert_eq!(two.check(), "update to 2.0.0");
    }
    two.server.take_requests();
    assert_eq!((one.update(), two.update()), ("updated to 2.0.0".to_owned(), "updated to 2.0.0".to_owned()));
    for _ in 0..2 {
        assert_eq!((one.check(), two.check()), ("up to date".to_owned(), "up to date".to_owned()));
    }
    let bytes = |world: &HostileWorld| {
        let host = world.server.host();
        heads(world.server.take_requests()).iter().map(|head| without_host(head, &host)).collect::<Vec<_>>()
    };
    let (one, two) = (bytes(&one), bytes(&two));
    assert!(one.len() > 3);
    assert_eq!(one, two);
    assert!(one.iter().all(|head| !head.contains("if-") && !head.contains("cookie")), "{one:?}");
}

#[test]
fn all_clients_send_the_same_object_requests_and_a_range_only_to_resume() {
    let world = HostileWorld::new();
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
    let world = HostileWorld::new();
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
        assert_eq!(heads.len(), 3);
        assert_eq!(sorted(&heads[0]), sorted(&expected(HEAD, &host, "")));
        assert_eq!(sorted(&heads[1]), sorted(&expected(MANIFEST, &host, "")));
        assert_eq!(sorted(&heads[2]), sorted(&expected("/next", &host, "")));
    }
}

/// The first installation on a platform looks like any other.
#[test]
fn a_first_installation_sends_the_same_bytes_as_any_other() {
    let world = HostileWorld::new();
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
    let world = HostileWorld::new();
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
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[..2], requests[2..]);
    assert_eq!(sorted(&requests[0]), sorted(&expected(HEAD, &world.server.host(), "")));
    assert_eq!(sorted(&requests[1]), sorted(&expected(MANIFEST, &world.server.host(), "")));
}

#[test]
fn a_programs_own_headers_go_to_their_origin_and_nowhere_else() {
    let world = HostileWorld::new();
    let elsewhere = Scripted::in_memory();
    elsewhere.put(MANIFEST, world.server.file(MANIFEST));
    let target = format!("Location: {}core/manifest.xml\r\n", elsewhere.url().replace("//", "//me:too@"));
    world.server.follow(move |_| Reply::Status(302, target.clone(), Vec::new()));
    let config = (world.config())
        .header(world.server.url(), "Authorization", "Bearer of-a-token")
        .header(world.server.url(), "X-Program", "app")
        .header("http://mirror.invalid/", "X-Mirror", "app");
    assert_eq!(super::world::check(&Patcher::new(config).unwrap()), "update to 2.0.0");
    let (asked, led) = (world.server.take_requests(), elsewhere.take_requests());
    assert_eq!(asked[0].header("authorization"), Some("Bearer of-a-token"));
    assert_eq!((asked[0].header("x-program"), asked[0].header("x-mirror")), (Some("app"), None));
    for name in ["authorization", "x-program", "x-mirror", "cookie", "referer"] {
        assert_eq!(led[0].header(name), None, "{name}");
    }
}

/// A mirror is another origin.
#[test]
fn a_mirror_gets_no_header_and_no_password_of_another_origin() {
    let world = HostileWorld::new();
    let mirror = Scripted::in_memory();
    let mut release = world.new.clone();
    release.manifest.meta.base_urls =
        [mirror.url(), world.server.url()].map(|url| format!("{url}core/").parse().unwrap()).into();
    world.publish(&release);
    mirror.put(MANIFEST, world.server.file(MANIFEST));
    release.all_objects().for_each(|(path, bytes)| mirror.put(&path, bytes.clone()));
    std::fs::remove_file(world.core("manifest.xml")).unwrap();
    let patcher = Patcher::new(world.config().header(world.server.url(), "X-Token", "s3cret")).unwrap();
    let from = format!("{}core/manifest.xml", world.server.url().replace("//", "//me:s3cret@"));
    world.server.lie(&release.object_path("bin/app"), Reply::status(404));
    let update = patcher.install("core", &from).unwrap();
    update.download(|_| {}).unwrap().apply().unwrap();
    let (asked, mirrored) = (world.server.take_requests(), mirror.take_requests());
    assert!(!asked.is_empty() && !mirrored.is_empty());
    for request in &asked {
        let sent = (request.header("x-token"), request.header("authorization"));
        assert_eq!(sent, (Some("s3cret"), Some("Basic bWU6czNjcmV0")), "{}", request.head);
    }
    assert!(mirrored.iter().all(|request| !request.head.contains("s3cret") && !request.head.contains("asic")));
    // Neither the root nor a message holds it.
    for entry in walkdir::WalkDir::new(world.root()).into_iter().map(Result::unwrap) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!holds("s3cret") && !holds("bWU6czNjcmV0"), "{:?}", entry.path());
    }
    world.server.follow(|_| Reply::status(500));
    let error = patcher.install("core", &from).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    let error = patcher.install("core", "https://me:s3cret@host:port/").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
}

/// The command line: a site with a password, and headers from a file.
#[test]
fn the_program_uses_secrets_and_shows_none() {
    let world = HostileWorld::new();
    std::fs::write(world.path("key.pem"), &first().pem).unwrap();
    std::fs::write(world.path("headers"), "X-One: s3cret1\n\nhttp://mirror.invalid/ X-Two: s3cret2\n").unwrap();
    let site = world.server.url().replace("//", "//me:s3cret@");
    let run = |more: &[&str]| {
        let mut program = Command::new(programs::patcher());
        program.arg("--root").arg(world.root()).arg("--key").arg(world.path("key.pem")).args([
            "--retries",
            "0",
            "--json",
            "-v",
        ]);
        let output = program.args(more).env_clear().stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        output.status.code()
    };
    let headers = format!("@{}", world.path("headers").display());
    assert_eq!(run(&["--site", &site, "--header", &headers, "check"]), Some(10));
    let asked = world.server.take_requests();
    assert_eq!(
        (asked[0].header("authorization"), asked[0].header("x-one")),
        (Some("Basic bWU6czNjcmV0"), Some("s3cret1"))
    );
    assert_eq!(asked[0].header("x-two"), None);
    assert_eq!(run(&["--header", "X-One: s3cret", "check"]), Some(2));
    // A header for another origin is none for the site, in whatever case its scheme is written.
    assert_eq!(run(&["--site", &site, "--header", "HTTPS://private/ X-Three: s3cret", "check"]), Some(10));
    assert!(world.server.take_requests().iter().all(|asked| asked.header("https").is_none()));
    assert_eq!(run(&["--site", &site, "--header", "ftp://private/ X-Three: s3cret", "check"]), Some(2));
    world.server.follow(|_| Reply::status(500));
    assert_eq!(run(&["--site", &site, "check"]), Some(20));
    assert_eq!(run(&["install", "other", "--from", &site]), Some(20));
    assert_eq!(run(&["--site", "https://me:s3cret@host:port/", "check"]), Some(2));
    assert_eq!(run(&["status"]), Some(0));
}

#[test]
fn a_check_that_finds_nothing_new_is_one_small_request_and_writes_nothing() {
    let world = HostileWorld::new();
    world.server.put(MANIFEST, sign(world.old.body(), &[first()]));
    world.put_head(&world.old);
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
    assert!(up + down < 1500, "{up} bytes up, {down} bytes down");
    assert_eq!(files(), before);
}
