//! The memory of the real program stays bounded against endless and swelling answers.

#![cfg(target_os = "linux")]

use super::publisher::{Release, first, gzip, sign, stranger};
use super::table::most_staged;
use super::world::{HostileWorld, MANIFEST};
use crate::support::deadline::wait_for;
use crate::support::programs;
use crate::support::run::Run;
use crate::support::scripted::{Reply, answer};
use std::io::Write as _;
use std::process::{Command, Stdio};

const MIB: u64 = 1 << 20;

/// Runs `patcher update`. Returns its output and its peak resident memory in bytes.
fn run(world: &HostileWorld) -> (Run, u64) {
    std::fs::write(world.path("key.pem"), &first().pem).unwrap();
    let mut program = Command::new(programs::patcher());
    program.arg("--root").arg(world.root()).arg("--key").arg(world.path("key.pem"));
    program.args(["--retries", "0", "--stall-timeout", "5", "--json", "update"]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        program.env_remove(name);
    }
    let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    wait_for("the program", || {
        // The high-water mark only grows, so the last readable value counts.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        child.try_wait().unwrap()
    });
    (Run::ended(child.wait_with_output().unwrap()), peak)
}

#[test]
fn memory_stays_bounded_for_every_answer() {
    let world = HostileWorld::new();
    let (honest, usual) = run(&world);
    assert_eq!(honest.code, Some(0), "{honest:?}");
    assert!(usual > 0);
    let zeros = || vec![0; 1 << 16];
    let mut swelling = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    (0..4096).for_each(|_| swelling.write_all(&[0; 1 << 16]).unwrap());
    let swelling = swelling.finish().unwrap();
    let object = |world: &HostileWorld| world.new.object_path("bin/app");
    let tags = |text: &str| {
        Reply::Endless(
            answer("200", "", b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"),
            text.repeat(4096).into_bytes(),
        )
    };
    type Lie<'a> = Box<dyn Fn(&HostileWorld) -> (String, Reply) + 'a>;
    // The name of the answer, its path and reply, the expected code, and the allowed memory above
    // normal.
    let rows: Vec<(&str, Lie, &str, u64)> = vec![
        (
            "a manifest without end",
            Box::new(|_| (MANIFEST.into(), Reply::Endless(answer("200", "", b""), zeros()))),
            "manifest-too-large",
            72 * MIB,
        ),
        (
            "a manifest of tags without end",
            Box::new(|_| (MANIFEST.into(), tags("<a>"))),
            "manifest-too-large",
            72 * MIB,
        ),
        (
            "a manifest of signatures without end",
            Box::new(|_| (MANIFEST.into(), tags("  <signature key=\"\"></signature>\n"))),
            "manifest-too-large",
            72 * MIB,
        ),
        (
            "a large manifest that no trusted key has signed",
            Box::new(|world| {
                let padded = format!("{}  </files>", " ".repeat(60 << 20));
                let large = sign(world.new.body().replacen("  </files>", &padded, 1), &[stranger()]);
                (MANIFEST.into(), Reply::Status(200, "Content-Encoding: gzip\r\n".into(), gzip(&large)))
            }),
            "unknown-key",
            72 * MIB,
        ),
        (
            "headers without end",
            Box::new(|_| (MANIFEST.into(), Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"A: b\r\n".repeat(4096)))),
            "unreachable",
            8 * MIB,
        ),
        (
            "an object without end",
            Box::new(|world| (object(world), Reply::Endless(answer("200", "", b""), zeros()))),
            "object-size",
            8 * MIB,
        ),
        (
            "an object of a terabyte",
            Box::new(|world| {
                (object(world), Reply::Endless(answer("200", "Content-Length: 1099511627776\r\n", b""), zeros()))
            }),
            "object-size",
            8 * MIB,
        ),
        (
            "an object that says it swells",
            Box::new(|world| {
                (object(world), Reply::Status(200, "Content-Encoding: gzip\r\n".into(), swelling.clone()))
            }),
            "object-size",
            8 * MIB,
        ),
    ];
    for (name, lie, code, more) in rows {
        let world = HostileWorld::new();
        let before = world.snapshot().tree;
        let (path, reply) = lie(&world);
        world.server.lie(&path, reply);
        world.server.take_sent();
        let (outcome, peak) = run(&world);
        assert!(outcome.err.is_empty() || outcome.code.is_some(), "{name}: {outcome:?}");
        assert_eq!(outcome.json()["error"]["code"], code, "{name}: {outcome:?}");
        assert!(peak <= usual + more, "{name}: {} MiB, {} usually", peak / MIB, usual / MIB);
        assert!(world.staged_bytes() <= most_staged(&world), "{name}");
        assert!(world.server.take_sent() < more + 80 * MIB, "{name}");
        assert_eq!(before.differences(&world.snapshot().tree), "", "{name}");
    }
    // Signed, so that the client inflates it: 256 MiB of zeros in 20 kB of gzip.
    let world = HostileWorld::new();
    let url = format!("{}core/", world.server.url());
    let bomb = Release::new("core", "2.0.0", 20, &url).file_from("bin/app", &[1; 20_000], true, swelling);
    world.publish(&bomb);
    let (outcome, peak) = run(&world);
    assert_eq!(outcome.json()["error"]["code"], "gzip", "{outcome:?}");
    assert!(peak <= usual + 8 * MIB, "a bomb: {} MiB, {} usually", peak / MIB, usual / MIB);
    assert!(world.staged_bytes() < MIB);
    // The memory for a long list grows no faster than the list.
    let world = HostileWorld::new();
    let body = world.new.body();
    let hash = world.new.manifest.files[0].sha256;
    let files: String = (0..30_000)
        .map(|number| {
            format!(
                "<file path=\"a/{number}\" size=\"1\" sha256=\"{hash}\"><gz size=\"1\" sha256=\"{hash}\"/></file>\n"
            )
        })
        .collect();
    let long = sign(
        body.replacen("  </files>", &format!("{files}  </files>"), 1).replace("launch=\"bin/app\"", "launch=\"none\""),
        &[first()],
    );
    let length = long.len() as u64;
    world.server.lie(MANIFEST, Reply::Bytes(long));
    let (outcome, peak) = run(&world);
    assert_eq!(outcome.json()["error"]["code"], "manifest-launch", "{outcome:?}");
    assert!(peak <= usual + 6 * length, "a long list: {} MiB, {} usually", peak / MIB, usual / MIB);
}
