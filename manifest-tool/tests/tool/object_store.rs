//! Sites in a bucket of a real S3 server on loopback: moto (<https://docs.getmoto.org>).

use crate::publisher::{Publisher, ToolRun};
use patcher::internal::digest::Sha256;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = "moto_server";

/// The server with a bucket. It stops when it is dropped.
struct Store {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Store {
    /// Starts the server. Reports a missing one and returns `None`.
    fn start() -> Option<Self> {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let program: Option<PathBuf> =
            std::env::split_paths(&folders).map(|folder| folder.join(PROGRAM)).find(|path| path.is_file());
        let Some(program) = program else {
            assert!(std::env::var_os("CI").is_none(), "CI has {PROGRAM}");
            let _ = writeln!(
                std::io::stderr(),
                "LEFT OUT: {:?} ({PROGRAM} is not installed)",
                std::thread::current().name()
            );
            return None;
        };
        let dir = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p"]).arg(port.to_string()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut store = Self { child, port, dir };
        let deadline = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(store.child.try_wait().unwrap().is_none() && Instant::now() < deadline, "{}", store.log());
            std::thread::yield_now();
        }
        assert!(store.request("PUT", "/updates", "").0.contains(" 200 "));
        // Clients read without credentials.
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::updates/*"}]}"#;
        assert!(store.request("PUT", "/updates?policy", policy).0.contains(" 20"));
        Some(store)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Returns the paths of all uploads below the bucket, in order.
    fn puts(&self) -> Vec<String> {
        let log = self.log();
        let line = |line: &str| Some(line.split_once("\"PUT /updates/")?.1.split_once(' ')?.0.to_owned());
        log.lines().filter_map(line).collect()
    }

    /// Requests a path without a signature, as a client does. Returns head and body of the answer.
    fn request(&self, method: &str, path: &str, body: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let (host, length) = (format!("127.0.0.1:{}", self.port), body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Publishes to a prefix of the bucket.
    fn publish(&self, publisher: &Publisher) -> ToolRun {
        let environment =
            [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("NO_PROXY", "127.0.0.1")];
        let environment = [&environment[..], &[("AWS_CHECKSUM_ALGORITHM", "sha256")]].concat();
        publisher.run_with(&["publish", "site", "s3://updates/apps", "--endpoint", &self.url()], &environment)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bucket_serves_what_was_published_with_the_right_headers() {
    let Some(store) = Store::start() else { return };
    let publisher = Publisher::new();
    publisher.sign_builds(1..=2, &[]);
    assert!(store.publish(&publisher).ok().starts_with("5 objects and 2 manifests sent, "));
    let puts = store.puts();
    assert_eq!(puts.len(), 9);
    assert!(puts[..5].iter().all(|path| path.contains("/objects/")), "{puts:?}");
    assert_eq!(puts[7..], ["apps/core/manifest.xml", "apps/core/latest.xml"], "the head last: {puts:?}");

    // The answer to a client.
    let url = format!("{}/updates/apps/core/manifest.xml", store.url());
    let run = publisher.run_with(&["verify", &url, "--key", "release.pub.pem"], &[("NO_PROXY", "127.0.0.1")]);
    assert!(run.ok().starts_with("1 manifest and 4 objects are sound\n"));
    for path in puts {
        let (head, body) = store.request("GET", &format!("/updates/{path}"), "");
        // The signed hash of the upload, which moto repeats.
        assert!(head.contains(&format!("x-amz-content-sha256: {}\r\n", Sha256::of(&body))), "{path}: {head}");
        let head = head.to_ascii_lowercase();
        let (kind, cache) = match path.rsplit_once('.').unwrap().1 {
            "xml" => ("application/xml", "no-cache"),
            "gz" => ("application/gzip", "public, max-age=31536000, immutable"),
            _ => ("application/octet-stream", "public, max-age=31536000, immutable"),
        };
        assert!(head.contains(&format!("content-type: {kind}\r\n")), "{head}");
        assert!(head.contains(&format!("cache-control: {cache}\r\n")) && !head.contains("content-encoding"), "{head}");
        assert_eq!(body, publisher.read(path.replacen("apps", "site", 1)), "{path}");
    }
}

#[test]
fn publish_uploads_only_new_files_to_a_bucket() {
    let Some(store) = Store::start() else { return };
    let publisher = Publisher::new();
    publisher.sign_builds(1..=1, &[]);
    store.publish(&publisher).ok();
    let before = store.puts().len();
    assert_eq!(store.publish(&publisher).ok(), "0 objects and 0 manifests sent, 0 bytes; 3 objects already there\n");
    assert_eq!(store.puts().len(), before);
    publisher.sign_builds(2..=2, &[]);
    assert!(store.publish(&publisher).ok().starts_with("2 objects and 2 manifests sent, "));
    assert_eq!(store.puts().len(), before + 6, "two manifests, the delta between them and the head");
    let other = Publisher::new();
    other.sign_builds(1..=1, &[]);
    store.publish(&other).fails(21, "sequence 2, and the site has 1");
}

#[test]
fn a_large_object_is_uploaded_in_parts() {
    let Some(store) = Store::start() else { return };
    let publisher = Publisher::new();
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as u8
    };
    publisher.write("build/large.bin", (0..17 << 20).map(|_| next()).collect::<Vec<u8>>());
    publisher.sign(&[]).ok();
    store.publish(&publisher).ok();
    assert_eq!(store.puts().iter().filter(|path| path.contains("partNumber=")).count(), 2, "{:?}", store.puts());
    let url = format!("{}/updates/apps/core/manifest.xml", store.url());
    publisher.run_with(&["verify", &url, "--key", "release.pub.pem"], &[("NO_PROXY", "127.0.0.1")]).ok();
}

#[test]
fn a_store_that_refuses_is_reported() {
    let Some(store) = Store::start() else { return };
    let publisher = Publisher::new();
    publisher.sign_builds(1..=1, &[]);
    let environment = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("NO_PROXY", "127.0.0.1")];
    let publish =
        |place: &str| publisher.run_with(&["publish", "site", place, "--endpoint", &store.url()], &environment);
    publish("s3://elsewhere/apps").fails(20, "s3://elsewhere/apps");
    publish("s3://").fails(2, "bucket");
}

/// Two publishers with different releases under one sequence: the bucket takes one of them.
#[test]
fn of_two_publishers_at_once_one_is_refused() {
    let Some(store) = Store::start() else { return };
    let publishers = [1, 2].map(|build| {
        let publisher = Publisher::new();
        publisher.sign_builds(build..=build, &[]);
        publisher
    });
    let runs = std::thread::scope(|scope| {
        let threads = publishers.each_ref().map(|publisher| scope.spawn(|| store.publish(publisher)));
        threads.map(|thread| thread.join().unwrap())
    });
    let winners = runs.iter().filter(|run| run.code == 0).count();
    assert_eq!(winners, 1, "{:?}", runs.each_ref().map(|run| &run.err));
    let served = store.request("GET", "/updates/apps/core/manifest.xml", "").1;
    let winner = runs.iter().position(|run| run.code == 0).unwrap();
    assert_eq!(served, publishers[winner].read("site/core/manifest.xml"));
}
