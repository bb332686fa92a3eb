//! Several base URLs with a hostile one first: the next mirror helps, and no state is poisoned.

use super::publisher::{Release, first, sign, stranger};
use super::table::not_installed;
use super::world::{HostileWorld, MANIFEST};
use crate::support::scripted::{Reply, Scripted, answer};
use crate::support::tree::noise;

/// A world whose installed release names two mirrors. Both have 2.0.0.
struct HostileMirrors {
    world: HostileWorld,
    second: Scripted,
}

impl HostileMirrors {
    fn new() -> Self {
        let (world, second) = (HostileWorld::new(), Scripted::in_memory());
        let mut mirrors = Self { world, second };
        let named = |release: &Release, sequence: u64| {
            let mut release = release.clone();
            release.manifest.meta.sequence = sequence;
            release.manifest.meta.base_urls.push(format!("{}core/", mirrors.second.url()).parse().unwrap());
            release
        };
        let (mut old, new) = (named(&mirrors.world.old, 11), named(&mirrors.world.new, 20));
        old.manifest.meta.version = "1.1.0".parse().unwrap();
        mirrors.world.publish(&old);
        assert_eq!(mirrors.world.update(), "updated to 1.1.0");
        mirrors.world.publish(&new);
        for (path, bytes) in new.all_objects() {
            mirrors.second.put(&path, bytes.clone());
        }
        mirrors.second.put(MANIFEST, sign(new.body(), &[first()]));
        (mirrors.world.old, mirrors.world.new) = (old, new);
        mirrors.take_paths();
        mirrors
    }

    fn take_paths(&self) -> (Vec<String>, Vec<String>) {
        (self.world.server.take_paths(), self.second.take_paths())
    }
}

/// Returns the defects of a mirror: the name, the reply for the manifest, and the code if both
/// mirrors have the defect.
fn lies(world: &HostileWorld) -> Vec<(&'static str, Reply, &'static str)> {
    let changed = |change: &dyn Fn(&mut Release)| {
        let mut release = world.new.clone();
        change(&mut release);
        Reply::Bytes(sign(release.body(), &[first()]))
    };
    let bad = String::from_utf8(world.server.file(MANIFEST)).unwrap().replacen("2.0.0", "2.0.1", 1);
    vec![
        ("not found", Reply::status(404), "http-status"),
        ("an error", Reply::status(500), "http-status"),
        ("a page", Reply::Bytes(b"<html></html>".to_vec()), "manifest-html"),
        ("nothing", Reply::Bytes(Vec::new()), "manifest-end"),
        ("no answer", Reply::Raw(Vec::new()), "unreachable"),
        ("silence", Reply::Silence(Vec::new()), "stalled"),
        ("cut off", Reply::head("200", "Content-Length: 9999\r\n", b"<?xml"), "cut-off"),
        ("without end", Reply::Endless(b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'x'; 1 << 14]), "unreachable"),
        ("a redirect to itself", Reply::Status(302, format!("Location: {MANIFEST}\r\n"), Vec::new()), "redirect"),
        ("a stranger's", Reply::Bytes(sign(world.new.body(), &[stranger()])), "unknown-key"),
        ("tampered with", Reply::Bytes(bad.into_bytes()), "bad-signature"),
        ("an older one", changed(&|release| release.manifest.meta.sequence = 10), "rollback"),
        ("another one of that number", changed(&|release| release.manifest.meta.sequence = 11), "sequence-conflict"),
        (
            "another component's",
            changed(&|release| release.manifest.meta.component = "addon".parse().unwrap()),
            "wrong-component",
        ),
        (
            "another channel's",
            changed(&|release| release.manifest.meta.channel = "beta".parse().unwrap()),
            "wrong-channel",
        ),
        (
            "expired",
            changed(&|release| {
                release.manifest.meta.sequence = 12;
                release.manifest.meta.expires = Some("2024-01-02T00:00:00Z".parse().unwrap());
            }),
            "stale",
        ),
    ]
}

#[test]
fn a_hostile_first_mirror_leads_to_the_next() {
    let count = lies(&HostileMirrors::new().world).len();
    let mut problems = Vec::new();
    for index in 0..count {
        let mirrors = HostileMirrors::new();
        let (name, reply, _) = lies(&mirrors.world).swap_remove(index);
        mirrors.world.expect_silence(reply.is_silence());
        mirrors.world.server.lie(MANIFEST, reply);
        let outcome = mirrors.world.update();
        if outcome != "updated to 2.0.0" {
            problems.push(format!("{name}: {outcome}"));
        }
    }
    println!("{count} rows");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn if_all_mirrors_are_bad_the_first_refusal_is_reported() {
    let mirrors = HostileMirrors::new();
    let before = mirrors.world.snapshot();
    for (name, reply, expected) in lies(&mirrors.world) {
        if name == "expired" {
            continue;
        }
        mirrors.world.expect_silence(reply.is_silence());
        mirrors.world.server.lie(MANIFEST, reply.clone());
        mirrors.second.lie(MANIFEST, reply);
        assert_eq!(mirrors.world.check(), expected, "{name}");
        assert_eq!(before.differences(&mirrors.world.snapshot()), "", "{name}");
    }
    // A refusal says more than a network error.
    mirrors.world.server.lie(MANIFEST, Reply::status(404));
    mirrors.second.lie(MANIFEST, Reply::Bytes(b"<html></html>".to_vec()));
    assert_eq!(mirrors.world.check(), "manifest-html");
    mirrors.second.be_honest();
    assert_eq!(mirrors.world.update(), "updated to 2.0.0");
}

#[test]
fn a_hostile_object_comes_from_the_next_mirror() {
    let world = HostileWorld::new();
    let good = world.new.objects[0].clone();
    let lies = [
        ("not found", Reply::status(404)),
        ("a page", Reply::Bytes(b"<html></html>".to_vec())),
        ("nothing", Reply::Bytes(Vec::new())),
        ("no answer", Reply::Raw(Vec::new())),
        ("silence", Reply::Silence(answer("200", "", &good[..9]))),
        ("other bytes of its size", Reply::Bytes(vec![0; good.len()])),
        ("half of it", Reply::Bytes(good[..good.len() / 2].to_vec())),
        ("cut off", Reply::head("200", &format!("Content-Length: {}\r\n", good.len()), &good[..good.len() / 2])),
        ("without end", Reply::Endless(answer("200", "", b""), vec![0; 1 << 16])),
        ("a wish to be left alone", Reply::Status(503, "Retry-After: 100\r\n".into(), Vec::new())),
    ];
    for (name, reply) in lies {
        let mirrors = HostileMirrors::new();
        let path = mirrors.world.new.object_path("bin/app");
        mirrors.world.expect_silence(reply.is_silence());
        mirrors.world.server.lie(&path, reply);
        assert_eq!(mirrors.world.update(), "updated to 2.0.0", "{name}");
        assert_eq!(not_installed(&mirrors.world), None, "{name}");
        let (_, second) = mirrors.take_paths();
        // From then on the client asks the unreachable mirror last.
        assert_eq!(second.first(), Some(&path), "{name}");
    }
}

/// Returns the ranges that a server was asked for of an object, each empty for the whole.
fn ranges(server: &Scripted, path: &str) -> Vec<String> {
    let asked = server.take_requests().into_iter().filter(|request| request.path == path);
    asked.map(|request| request.header("range").unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_interrupted_object_is_resumed_at_the_next_mirror() {
    let mirrors = HostileMirrors::new();
    let (good, path) = (mirrors.world.new.objects[0].clone(), mirrors.world.new.object_path("bin/app"));
    let half = good.len() / 2;
    let cut = Reply::head("200", &format!("Content-Length: {}\r\n", good.len()), &good[..half]);
    mirrors.world.server.lie(&path, cut);
    assert_eq!(mirrors.world.update(), "updated to 2.0.0");
    assert_eq!(ranges(&mirrors.second, &path), [format!("bytes={half}-")]);
}

#[test]
fn the_fastest_mirror_is_found_with_bytes_that_are_not_fetched_twice() {
    let mirrors = HostileMirrors::new();
    let mut release = mirrors.world.new.clone().file("large", &noise(7, 5_000_000), false);
    release.manifest.meta.sequence = 30;
    mirrors.world.publish(&release);
    for (path, bytes) in release.all_objects() {
        mirrors.second.put(&path, bytes.clone());
    }
    let path = release.object_path("large");
    mirrors.world.server.lie(&path, Reply::Silence(Vec::new()));
    assert_eq!(mirrors.world.update(), "updated to 2.0.0");
    assert_eq!(ranges(&mirrors.second, &path), ["bytes=0-65535", "bytes=65536-"]);
    assert_eq!(ranges(&mirrors.world.server, &path), ["bytes=0-65535"]);
}

#[test]
fn the_bytes_of_a_hostile_mirror_that_won_the_race_are_dropped() {
    let mirrors = HostileMirrors::new();
    let mut release = mirrors.world.new.clone().file("large", &noise(7, 5_000_000), false);
    release.manifest.meta.sequence = 30;
    mirrors.world.publish(&release);
    for (path, bytes) in release.all_objects() {
        mirrors.second.put(&path, bytes.clone());
    }
    let path = release.object_path("large");
    let total = release.objects.last().unwrap().len();
    let lies = [
        Reply::Status(206, format!("Content-Range: bytes 0-65535/{total}\r\n"), vec![0; 65536]),
        Reply::Bytes(vec![0; 65536]),
        Reply::Bytes(Vec::new()),
        Reply::Status(206, format!("Content-Range: bytes 0-{}/{total}\r\n", total - 1), vec![0; 65536]),
        Reply::Endless(answer("200", "", b""), vec![0; 1 << 16]),
    ];
    for lie in lies {
        mirrors.world.clear_stage();
        mirrors.world.server.lie(&path, lie);
        assert_eq!(mirrors.world.check(), "update to 2.0.0");
        let staged = super::world::within_the_deadline({
            let patcher = mirrors.world.patcher();
            move || {
                let update = patcher.check_component("core").unwrap().update().unwrap();
                update.download(|_| {}).map_or_else(|error| error.to_string(), |_| "staged".to_owned())
            }
        });
        assert_eq!(staged, "staged");
    }
}
