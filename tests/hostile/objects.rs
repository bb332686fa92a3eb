//! Objects that differ from the manifest, by an attacker or by a careless publisher.

use super::publisher::{Release, first, gzip, sha256, sign};
use super::table::{Row, most_staged, updates};
use super::world::{HEAD, HostileWorld, MANIFEST};
use crate::support::scripted::{Reply, answer};
use crate::support::tree::noise;
use std::io::Write as _;

/// Returns the program's object, its content, and its path on the site.
fn program(world: &HostileWorld) -> (Vec<u8>, Vec<u8>, String) {
    (world.new.objects[0].clone(), noise(2, 5000).repeat(4), world.new.object_path("bin/app"))
}

#[test]
fn an_object_other_than_the_signed_one_is_refused() {
    updates(|world| {
        let (good, raw, path) = program(world);
        let flipped = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 0x40;
            bytes
        };
        let html = b"<html><body>Please log in</body></html>";
        let padded = |length: usize| html.iter().copied().cycle().take(length).collect::<Vec<u8>>();
        let other = world.server.file(&world.new.object_path("lib/data"));
        let zeros = |length: usize| vec![0; length];
        let mut rows = Vec::new();
        let mut add = |name: String, bytes: Vec<u8>, expected| {
            rows.push(Row { name, path: path.clone(), reply: Reply::Bytes(bytes), expected });
        };
        for at in [0, 1, 3, 9, good.len() / 2, good.len() - 8, good.len() - 4, good.len() - 1] {
            // tuf: test_repository_substitutes_target_file
            add(format!("byte {at} flipped"), flipped(&good, at), "object-hash");
        }
        for length in
            [0, 1, 2, 9, 10, 17, 18, good.len() / 4, good.len() / 2, good.len() * 3 / 4, good.len() - 8, good.len() - 1]
        {
            add(format!("its first {length} bytes"), good[..length].to_vec(), "object-size");
        }
        add("its last bytes only".into(), good[1..].to_vec(), "object-size");
        for (name, more) in [
            ("a zero", zeros(1)),
            ("a line feed", b"\n".to_vec()),
            ("itself", good.clone()),
            ("an empty member", gzip(b"")),
            ("a megabyte", zeros(1 << 20)),
            ("as much as the content has", zeros(raw.len())),
        ] {
            add(format!("with {name} after it"), [&good[..], &more].concat(), "object-size");
        }
        add("another object".into(), other, "object-size");
        add("the old program's object".into(), world.old.objects[0].clone(), "object-size");
        add("gzip of other bytes of that size".into(), gzip(&noise(3, 20_000)), "object-size");
        add("zeros of its size".into(), zeros(good.len()), "object-hash");
        add("a web page".into(), html.to_vec(), "object-size");
        add("a web page of its size".into(), padded(good.len()), "object-hash");
        add("a web page of the content's size".into(), padded(raw.len()), "object-size");
        add("its content with a byte flipped".into(), flipped(&raw, 777), "object-size");
        add("its content cut off".into(), raw[..raw.len() - 1].to_vec(), "object-size");
        add("its content and a byte".into(), [&raw[..], b"x"].concat(), "object-size");
        add("its content gzipped twice".into(), gzip(&good), "object-size");
        add("its manifest".into(), world.server.file(MANIFEST), "object-size");
        // tuf: test_client_downloads_expected_file
        add("as it was signed".into(), good.clone(), "updated to 2.0.0");
        add("its content, as a proxy has decompressed it".into(), raw.clone(), "updated to 2.0.0");
        rows
    });
}

#[test]
fn an_objects_encoding_and_type_headers_are_ignored() {
    updates(|world| {
        let (good, raw, path) = program(world);
        let mut rows = Vec::new();
        for (lines, bytes) in [
            ("Content-Encoding: gzip\r\n", &good),
            ("Content-Encoding: x-gzip\r\n", &good),
            ("Content-Encoding: br\r\n", &good),
            ("Content-Encoding: deflate\r\n", &good),
            ("Content-Encoding: zstd, gzip\r\n", &good),
            ("Content-Encoding: identity\r\n", &raw),
            ("Content-Encoding: gzip\r\n", &raw),
            ("Content-Type: text/html\r\n", &good),
            ("Content-Disposition: attachment; filename=../../x\r\n", &good),
            ("Content-Location: /elsewhere\r\nLink: </x>; rel=next\r\nRefresh: 0; url=/x\r\n", &good),
            ("Digest: sha-256=AAAA\r\nContent-MD5: AAAA\r\n", &good),
        ] {
            let name = format!("{} of {} bytes", lines.trim_end(), bytes.len());
            let reply = Reply::Status(200, lines.to_owned(), bytes.clone());
            rows.push(Row { name, path: path.clone(), reply, expected: "updated to 2.0.0" });
        }
        // An object that is compressed once more on the way is not the signed one, with or without
        // the header.
        for lines in ["Content-Encoding: gzip\r\n", "Transfer-Encoding: identity\r\n"] {
            let name = format!("{} over gzip of the gzip", lines.trim_end());
            let reply = Reply::Status(200, lines.to_owned(), gzip(&good));
            rows.push(Row { name, path: path.clone(), reply, expected: "object-size" });
        }
        rows
    });
}

#[test]
fn a_cut_off_or_withheld_object_is_a_network_error() {
    updates(|world| {
        let (good, _, path) = program(world);
        let length = format!("Content-Length: {}\r\n", good.len());
        let chunked = "Transfer-Encoding: chunked\r\n";
        let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        let mut rows = Vec::new();
        let mut add = |name: &str, reply: Reply, expected| {
            rows.push(Row { name: name.to_owned(), path: path.clone(), reply, expected });
        };
        for part in 0..8 {
            let some = &good[..good.len() * part / 8];
            add(&format!("{part}/8 of it, then the end"), Reply::head("200", &length, some), "cut-off");
            add(
                &format!("{part}/8 of it in chunks, then the end"),
                Reply::head("200", chunked, &chunk(some)[..some.len() + 4]),
                "cut-off",
            );
            add(&format!("{part}/8 of it without a length"), Reply::head("200", "", some), "object-size");
        }
        add("nothing after the head", Reply::Silence(answer("200", &length, b"")), "stalled");
        add("nothing after half", Reply::Silence(answer("200", &length, &good[..good.len() / 2])), "stalled");
        add(
            "nothing after the whole, which has no end",
            Reply::Silence(answer("200", chunked, &chunk(&good))),
            "stalled",
        );
        for status in [201, 202, 203, 204, 206, 300, 304, 400, 401, 403, 404, 410, 416, 429, 451, 500, 502, 503, 504] {
            add(
                &format!("status {status}"),
                Reply::Status(
                    status,
                    String::new(),
                    if matches!(status, 204 | 304) { Vec::new() } else { good.clone() },
                ),
                "http-status",
            );
        }
        add("a redirect to FTP", Reply::Status(302, "Location: ftp://127.0.0.1/x\r\n".into(), Vec::new()), "redirect");
        add("a redirect to itself", Reply::Status(301, format!("Location: {path}\r\n"), Vec::new()), "redirect");
        add("no answer", Reply::Raw(Vec::new()), "unreachable");
        add("not HTTP", Reply::Raw(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()), "unreachable");
        add("a length that is too long", Reply::head("200", "Content-Length: 999999999\r\n", &good), "cut-off");
        add(
            "a length that is too short",
            Reply::head("200", &format!("Content-Length: {}\r\n", good.len() - 1), &good),
            "object-size",
        );
        add("a length that is no number", Reply::head("200", "Content-Length: many\r\n", &good), "unreachable");
        add("two lengths", Reply::head("200", &format!("Content-Length: 1\r\n{length}"), &good), "unreachable");
        rows
    });
}

/// Objects with the signed hash, by a defective tool or an attacker with the key.
#[test]
fn a_signed_object_that_is_no_gzip_of_its_file_is_refused() {
    let raw = noise(7, 3000).repeat(3);
    let good = gzip(&raw);
    let with_header = |build: fn(flate2::GzBuilder) -> flate2::GzBuilder| {
        let mut encoder = build(flate2::GzBuilder::new()).write(Vec::new(), flate2::Compression::best());
        encoder.write_all(&raw).unwrap();
        encoder.finish().unwrap()
    };
    let set = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let zlib = {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&raw).unwrap();
        encoder.finish().unwrap()
    };
    let end = good.len();
    let mut zeros = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    (0..1600).for_each(|_| zeros.write_all(&[0; 1 << 16]).unwrap());
    let bomb = zeros.finish().unwrap();
    let bomb_of_members: Vec<u8> = gzip(&vec![0; 1 << 16]).repeat(100);
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("a second member", [good.clone(), good.clone()].concat()),
        ("an empty second member", [good.clone(), gzip(b"")].concat()),
        ("an empty member first", [gzip(b""), good.clone()].concat()),
        ("the content in two members", [gzip(&raw[..4500]), gzip(&raw[4500..])].concat()),
        ("a hundred members", bomb_of_members),
        ("a zero after it", [&good[..], b"\0"].concat()),
        ("a zip archive after it", [&good[..], b"PK\x03\x04"].concat()),
        ("a file name in its header", with_header(|header| header.filename("x"))),
        ("a path in its header", with_header(|header| header.filename("../../etc/passwd"))),
        ("a comment in its header", with_header(|header| header.comment("x"))),
        ("an extra field in its header", with_header(|header| header.extra(b"AB\x02\x00xy".to_vec()))),
        ("a flag of text", set(3, 1)),
        ("a flag of a header checksum", set(3, 2)),
        ("a flag that nobody knows", set(3, 0x80)),
        ("another method", set(2, 7)),
        ("another magic", set(0, 0)),
        ("a wrong checksum", set(end - 5, good[end - 5] ^ 1)),
        ("a wrong length", set(end - 1, good[end - 1] ^ 1)),
        ("a block that is broken", set(10, 0xff)),
        ("the end missing", good[..end - 1].to_vec()),
        ("checksum and length missing", good[..end - 8].to_vec()),
        ("half of it", good[..end / 2].to_vec()),
        ("only a header", good[..10].to_vec()),
        ("half a header", good[..5].to_vec()),
        ("nothing", Vec::new()),
        ("other content of that size", gzip(&noise(8, raw.len() as u64))),
        ("a byte less content", gzip(&raw[1..])),
        ("a byte more content", gzip(&[&raw[..], b"x"].concat())),
        ("no content", gzip(b"")),
        ("100 MB of zeros", bomb),
        ("zlib", zlib),
        ("xz", [b"\xfd7zXZ\0".to_vec(), good.clone()].concat()),
        ("bzip2", b"BZh91AY&SY".to_vec()),
        ("zip", b"PK\x03\x04".repeat(99)),
        ("a web page", b"<html></html>".to_vec()),
        ("gzip of the gzip", gzip(&good)),
    ];
    let count = rows.len();
    let world = HostileWorld::new();
    let mut problems = Vec::new();
    let url = format!("{}core/", world.server.url());
    for (index, (name, object)) in rows.into_iter().enumerate() {
        let release = Release::new("core", "1.9.0", 11, &url).file_from("bin/app", &raw, true, object);
        // Another version each time, under its own sequence.
        let mut release = release.file("same", b"same", false);
        release.manifest.meta.sequence += index as u64 + 100;
        world.publish(&release);
        world.check();
        let before = world.snapshot().without_stage();
        let outcome = world.update();
        if outcome != "gzip" {
            problems.push(format!("{name}: {outcome}"));
        }
        let differences = before.differences(&world.snapshot().without_stage());
        if !differences.is_empty() || world.staged_bytes() > most_staged(&world) {
            problems.push(format!("{name}: {differences}, {} bytes staged", world.staged_bytes()));
        }
    }
    println!("{count} rows");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let mut good = world.new.clone();
    good.manifest.meta.sequence = 1000;
    world.publish(&good);
    assert_eq!(world.update(), "updated to 2.0.0");
}

#[test]
fn impossible_sizes_are_reported_before_any_object_request() {
    let world = HostileWorld::new();
    let body = world.new.body();
    let hash = sha256(b"x").to_string();
    let huge = |size: &str, gz: &str| {
        let file = format!(
            "<file path=\"huge\" size=\"{size}\" sha256=\"{hash}\"><gz size=\"{gz}\" sha256=\"{hash}\"/></file>"
        );
        let second = file.replace("huge", "huger").replace(&hash, &sha256(b"y").to_string());
        body.replacen("  </files>", &format!("{file}{second}  </files>"), 1)
    };
    let max = u64::MAX.to_string();
    let half = (1u64 << 63).to_string();
    for (sequence, (size, gz)) in
        [(&max[..], "1"), ("1", &max), (&max, &max), (&half, &half), ("1000000000000000", "1")].into_iter().enumerate()
    {
        let body = huge(size, gz).replacen("sequence=\"20\"", &format!("sequence=\"{}\"", 30 + sequence), 1);
        world.server.put(MANIFEST, sign(body, &[first()]));
        assert_eq!(world.check(), "update to 2.0.0");
        let before = world.snapshot().without_stage();
        world.server.take_requests();
        assert_eq!(world.update(), "no-space", "{size} {gz}");
        assert_eq!(world.server.take_paths(), [HEAD, MANIFEST]);
        assert_eq!(before.differences(&world.snapshot().without_stage()), "");
    }
}

#[test]
fn an_endless_object_is_cut_off_at_its_size() {
    let world = HostileWorld::new();
    let (good, raw, path) = program(&world);
    for (name, start, more) in [
        ("zeros", answer("200", "", b""), vec![0; 1 << 16]),
        ("the object first", answer("200", "", &good), vec![0; 1 << 16]),
        ("the content first", answer("200", "", &raw), vec![0; 1 << 16]),
        (
            "chunks",
            answer("200", "Transfer-Encoding: chunked\r\n", b""),
            [b"10000\r\n".as_slice(), &[7; 1 << 16], b"\r\n"].concat(),
        ),
        ("a length that is too long", answer("200", "Content-Length: 1099511627776\r\n", b""), vec![0; 1 << 16]),
    ] {
        world.server.take_sent();
        world.server.lie(&path, Reply::Endless(start, more));
        assert_eq!(world.update(), "object-size", "{name}");
        assert!(world.staged_bytes() <= most_staged(&world), "{name}: {} bytes are staged", world.staged_bytes());
        // The system's socket buffers hold the rest; the client reads at most one buffer too much.
        assert!(world.server.take_sent() < 32 << 20, "{name}");
        world.clear_stage();
    }
    world.server.be_honest();
    assert_eq!(world.update(), "updated to 2.0.0");
}
