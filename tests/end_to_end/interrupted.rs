//! Repeatedly killed downloads from real servers cost little more than undisturbed ones.

use crate::support::deadline::wait_for;
use crate::support::publisher::Published;
use crate::support::server::{PIECE_BYTES, Sent, Server, ServerKind};
use crate::support::tree::{Tree, noise, numbers};
use crate::support::user::User;
use crate::support::world::{Serving as _, World};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

/// The number of times that a download is killed.
const KILLS: usize = 20;
/// The number of objects that a client fetches at a time.
const AT_A_TIME: u64 = 4;
/// The bytes of one object that a server may have sent and a killed client had not written. Two
/// pieces: one in transit, and one that the server sends before it notices the closed connection.
/// The answer's head is added.
const LOST_BYTES: u64 = 2 * PIECE_BYTES + 512;

/// A release during its download.
struct Download<'a> {
    user: &'a User,
    published: &'a Published,
}

impl Download<'_> {
    /// Returns the path, the present bytes and the size of each new object. A staged file counts as
    /// complete.
    fn objects(&self) -> impl Iterator<Item = (String, u64, u64)> {
        let length =
            |name: String| fs::metadata(self.user.state("stage/core").join(name)).ok().map(|found| found.len());
        let new = self.published.manifest.files.iter().filter(|file| file.path.as_str() != "app");
        new.map(move |file| {
            let have = match length(format!("files/{}-0", file.sha256)) {
                Some(_) => file.gz.unwrap().size,
                None => length(format!("objects/{}.part", file.gz.unwrap().sha256)).unwrap_or(0),
            };
            (self.published.object(file.path.as_str()), have, file.gz.unwrap().size)
        })
    }

    fn bytes(&self) -> u64 {
        self.objects().map(|(_, have, _)| have).sum()
    }

    /// Returns the path and the first missing byte of each object that the next run may request.
    fn missing(&self) -> impl Iterator<Item = (String, u64)> {
        self.objects().filter(|(_, have, size)| have < size).map(|(path, have, _)| (path, have))
    }

    /// Kills a download once this many bytes are present.
    fn kill_at(&self, point: u64) {
        let mut command = self.user.command(&["download"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("a point in the download", || (self.bytes() >= point).then_some(()));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it had ended before");
    }
}

/// Adds up the bytes that the server sent for objects.
fn sum(sent: &[Sent]) -> u64 {
    sent.iter().filter(|sent| sent.path.contains("/objects/")).map(|sent| sent.bytes).sum()
}

fn twenty_kills_cost_no_more_than_the_bytes_in_transit(slow: ServerKind, quick: ServerKind) {
    let Some(world) = World::on(slow) else { return };
    let Some(quick) = Server::start(quick, &world.publisher.site()) else { return };
    let one = Tree::default().file("app", b"1", 0o755);
    world.publish("1.0.0", &one);
    world.install("core");
    let undisturbed = User::trusting(&world.publisher);
    undisturbed.ok(&["install", "core", "--from", &world.manifest_url("core")]);
    let two = (1..=8).fold(one, |tree, seed| tree.file(&format!("noise/{seed}"), &noise(seed, 14_000 * seed), 0o644));
    let published = world.publisher.release("core", "2.0.0", &two).whole().sign();
    undisturbed.ok(&["--site", &quick.url(), "download"]);
    let least = sum(&quick.finish());

    let user = &world.user;
    let download = Download { user, published: &published };
    let size: u64 = download.objects().map(|(_, _, size)| size).sum();
    // A run may finish the last tenth before the kill.
    let mut points: Vec<u64> = numbers(KILLS as u64, size / 10 * 9).map(|point| point + 1).take(KILLS).collect();
    points.sort_unstable();
    let mut missing: Vec<(String, u64)> = Vec::new();
    for point in points {
        missing.extend(download.missing());
        download.kill_at(point);
    }
    missing.extend(download.missing());
    user.ok(&["download"]);
    user.ok(&["apply"]);
    user.has("core", &two);

    // Two installations, and one check for all killed downloads.
    let sent = world.server.finish();
    assert_eq!(sent.iter().filter(|sent| sent.path == "/core/manifest.xml").count(), 2, "{sent:#?}");
    assert_eq!(sent.iter().filter(|sent| sent.path == "/core/latest.xml").count(), 1, "{sent:#?}");
    let mut requests: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    let first = published.object("app");
    for sent in sent.iter().filter(|sent| sent.path.contains("/objects/") && sent.path != first) {
        // Each run requests each missing object once, from the first missing byte.
        let known = missing.iter().position(|(path, from)| *path == sent.path && *from == sent.from);
        missing.swap_remove(known.unwrap_or_else(|| panic!("{sent:?} is not what was missing")));
        requests.entry(&sent.path).or_default().push(sent);
    }
    for sent in requests.values_mut() {
        sent.sort();
        for pair in sent.windows(2) {
            let lost = (pair[0].from + pair[0].bytes).saturating_sub(pair[1].from);
            assert!(lost <= LOST_BYTES, "{lost} bytes were sent and not kept: {sent:#?}");
        }
    }
    let resumed = requests.values().flatten().filter(|sent| sent.from > 0).count();
    assert!(resumed >= KILLS, "only {resumed} requests went on with something");
    let more = requests.values().flatten().map(|sent| sent.bytes).sum::<u64>().saturating_sub(least);
    println!("{more} bytes more than {least}; {resumed} requests went on with something");
    assert!(more <= KILLS as u64 * AT_A_TIME * LOST_BYTES, "{more} bytes more than {least}");
}

#[test]
fn by_nginx() {
    twenty_kills_cost_no_more_than_the_bytes_in_transit(ServerKind::NginxSlow, ServerKind::Nginx);
}

#[test]
fn by_apache() {
    twenty_kills_cost_no_more_than_the_bytes_in_transit(ServerKind::ApacheSlow, ServerKind::Apache);
}
