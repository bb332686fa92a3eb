//! Servers that lie, break HTTP, or never finish.

use super::publisher::gzip;
use super::table::{Row, checks, row};
use super::world::{HEAD, HostileWorld, MANIFEST, SHORT_STALL_TIMEOUT, check};
use crate::support::scripted::{Reply, answer};
use patcher::internal::timestamp::Timestamp;
use std::time::{Duration, SystemTime};

const PAGE: &[u8] = b"<!DOCTYPE html><html><body>Please log in to use this network</body></html>\n";

fn good(world: &HostileWorld) -> Vec<u8> {
    world.server.file(MANIFEST)
}

#[test]
fn an_http_error_status_is_reported() {
    checks(|world| {
        let good = good(world);
        let mut rows: Vec<Row> = [
            // tuf: test_timestamp_404
            201, 202, 203, 206, 207, 226, 300, 305, 306, 400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 413, 418,
            425, 426, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 599, 600, 999,
        ]
        .into_iter()
        .map(|status| {
            row(
                format!("status {status} with the manifest"),
                Reply::Status(status, String::new(), good.clone()),
                "http-status",
            )
        })
        .collect();
        rows.extend([204, 205].map(|status| row(format!("status {status}"), Reply::status(status), "http-status")));
        rows.extend([403, 404, 503, 511].map(|status| {
            row(
                format!("status {status} with a page"),
                Reply::Status(status, "Content-Type: text/html\r\n".into(), PAGE.to_vec()),
                "http-status",
            )
        }));
        rows.push(row(
            "a part that nobody asked for",
            Reply::head("206", &format!("Content-Range: bytes 0-{}/{}\r\n", good.len() - 1, good.len()), &good),
            "http-status",
        ));
        rows.push(row(
            "asked for a password",
            Reply::Status(401, "WWW-Authenticate: Basic realm=\"x\"\r\n".into(), Vec::new()),
            "http-status",
        ));
        rows
    });
}

#[test]
fn a_page_that_is_no_manifest_is_refused_with_any_status() {
    checks(|world| {
        let good = good(world);
        let html = "Content-Type: text/html; charset=utf-8\r\n".to_owned();
        let close = |bytes: &[u8]| Reply::head("200", "", bytes);
        let packed = |bytes: &[u8]| Reply::Status(200, "Content-Encoding: gzip\r\n".into(), bytes.to_vec());
        let mut wrong_sum = gzip(&good);
        let sum = wrong_sum.len() - 8;
        wrong_sum[sum] ^= 1;
        let mut rows = vec![
            row("a captive portal's page", Reply::Status(200, html.clone(), PAGE.to_vec()), "manifest-html"),
            row(
                "a page that ends like a manifest",
                Reply::Status(200, html, [PAGE, b"</manifest>\n"].concat()),
                "manifest-html",
            ),
            row("nothing", Reply::status(200), "manifest-end"),
            row("nothing, without a length", close(b""), "manifest-end"),
            row("JSON", Reply::Bytes(b"{\"version\":\"2.0.0\"}\n".to_vec()), "manifest-end"),
            row("an object", Reply::Bytes(world.new.objects[0].clone()), "manifest-end"),
            row("gzipped, and not said so", Reply::Bytes(gzip(&good)), "manifest-end"),
            row(
                "a length that is too short",
                Reply::head("200", &format!("Content-Length: {}\r\n", good.len() - 1), &good),
                "manifest-end",
            ),
            row("a length of zero", Reply::head("200", "Content-Length: 0\r\n", &good), "manifest-end"),
            row("a gzip of something else", packed(&gzip(&vec![0; 10 << 20])), "manifest-end"),
            row("a gzip of what is too large", packed(&gzip(&vec![b'\n'; (64 << 20) + 1])), "manifest-too-large"),
            row("a gzip of a gzip", packed(&gzip(&gzip(&good))), "manifest-end"),
            row("a gzip with something behind it", packed(&[gzip(&good), b"\n".to_vec()].concat()), "cut-off"),
            row("a gzip that breaks off", packed(&gzip(&good)[..500]), "cut-off"),
            row("a gzip without its end", packed(&gzip(&good)[..gzip(&good).len() - 1]), "cut-off"),
            row("a gzip with a wrong sum", packed(&wrong_sum), "cut-off"),
            row("no more than a gzip's first byte", packed(&[0x1f]), "cut-off"),
        ];
        for part in 0..8 {
            let some = &good[..good.len() * part / 8];
            let chunked =
                [format!("{:x}\r\n", some.len()).as_bytes(), some, if part == 0 { b"\r\n" } else { b"\r\n0\r\n\r\n" }]
                    .concat();
            rows.push(row(format!("{part}/8 of it, with a length"), Reply::Bytes(some.to_vec()), "manifest-end"));
            rows.push(row(format!("{part}/8 of it, then the end"), close(some), "manifest-end"));
            rows.push(row(
                format!("{part}/8 of it in chunks"),
                Reply::head("200", "Transfer-Encoding: chunked\r\n", &chunked),
                "manifest-end",
            ));
        }
        rows
    });
}

#[test]
fn a_truncated_answer_is_reported() {
    checks(|world| {
        let good = good(world);
        let whole = answer("200", &format!("Content-Length: {}\r\n", good.len()), &good);
        let body = whole.len() - good.len();
        let chunk = "Transfer-Encoding: chunked\r\n";
        let chunked = |text: &str| Reply::head("200", chunk, text.as_bytes());
        let size = format!("{:x}", good.len());
        let text = String::from_utf8_lossy(&good);
        // tuf: test_basic_refresh_trusted_data, with every way in which the answer can fail to
        // arrive
        let mut rows: Vec<Row> = (0..8)
            .map(|part| {
                row(format!("{part}/8 of its head"), Reply::Raw(whole[..body * part / 8].to_vec()), "unreachable")
            })
            .collect();
        rows.extend((0..16).map(|part| {
            row(
                format!("{part}/16 of its body"),
                Reply::Raw(whole[..body + good.len() * part / 16].to_vec()),
                "cut-off",
            )
        }));
        rows.extend([
            row("all but a byte", Reply::Raw(whole[..whole.len() - 1].to_vec()), "cut-off"),
            row(
                "a length that is too long by one",
                Reply::head("200", &format!("Content-Length: {}\r\n", good.len() + 1), &good),
                "cut-off",
            ),
            row("a length of a terabyte", Reply::head("200", "Content-Length: 1099511627776\r\n", &good), "cut-off"),
            row("the largest length", Reply::head("200", "Content-Length: 18446744073709551613\r\n", &good), "cut-off"),
            row("chunks without an end", chunked(&format!("{size}\r\n{text}\r\n")), "cut-off"),
            row("a chunk cut off", chunked(&format!("{size}\r\n{}", &text[..99])), "cut-off"),
            row("a chunk's size cut off", chunked("1"), "cut-off"),
            row("no chunk", chunked(""), "cut-off"),
            row("a chunk's size that is no number", chunked(&format!("many\r\n{text}\r\n0\r\n\r\n")), "cut-off"),
            row("a negative chunk", chunked(&format!("-1\r\n{text}\r\n0\r\n\r\n")), "cut-off"),
            row(
                "a chunk larger than numbers",
                chunked(&format!("fffffffffffffffff\r\n{text}\r\n0\r\n\r\n")),
                "cut-off",
            ),
            row("a chunk longer than it says", chunked(&format!("10\r\n{text}\r\n0\r\n\r\n")), "cut-off"),
            row(
                "a chunk's extension without end",
                Reply::Endless(answer("200", chunk, b"5;"), vec![b'x'; 1 << 14]),
                "cut-off",
            ),
            row(
                "trailers without end",
                Reply::Endless(
                    answer("200", chunk, format!("{size}\r\n{text}\r\n0\r\n").as_bytes()),
                    b"A: b\r\n".repeat(1000),
                ),
                "cut-off",
            ),
        ]);
        rows
    });
}

#[test]
fn an_answer_that_is_not_http_is_reported() {
    checks(|world| {
        let good = good(world);
        let raw = |text: &str| Reply::Raw([text.as_bytes(), &good].concat());
        let page = String::from_utf8_lossy(PAGE);
        vec![
            row("no answer", Reply::Raw(Vec::new()), "unreachable"),
            row("an empty line", raw("\r\n"), "unreachable"),
            row("the manifest alone", raw(""), "unreachable"),
            row("a page alone", raw(&page), "unreachable"),
            row("SSH", raw("SSH-2.0-OpenSSH_9.9\r\n"), "unreachable"),
            row("SMTP", raw("220 mail ESMTP\r\n"), "unreachable"),
            row("a TLS alert", Reply::Raw(b"\x15\x03\x01\x00\x02\x02\x46".to_vec()), "unreachable"),
            row("HTTP/2", Reply::Raw(b"\0\0\0\x04\0\0\0\0\0".to_vec()), "unreachable"),
            row("HTTP/0.9", raw("<manifest>\r\n"), "unreachable"),
            row("HTTP/3.0", raw("HTTP/3.0 200 OK\r\n\r\n"), "unreachable"),
            row("no version", raw("HTTP/ 200 OK\r\n\r\n"), "unreachable"),
            row("another protocol", raw("ICY 200 OK\r\n\r\n"), "unreachable"),
            row("a status of two digits", raw("HTTP/1.1 20 OK\r\n\r\n"), "unreachable"),
            row("a status of four digits", raw("HTTP/1.1 2000 OK\r\n\r\n"), "unreachable"),
            row("a status that is no number", raw("HTTP/1.1 OK\r\n\r\n"), "unreachable"),
            row("status 000", raw("HTTP/1.1 000 x\r\n\r\n"), "unreachable"),
            row("no colon in a header", raw("HTTP/1.1 200 OK\r\nContent-Length 5\r\n\r\n"), "unreachable"),
            row("a space before a colon", raw("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n"), "unreachable"),
            row("a zero byte in a header", raw("HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"), "unreachable"),
            row("a length that is no number", raw("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), "unreachable"),
            row("a negative length", raw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "unreachable"),
            row(
                "a length larger than numbers",
                raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
                "unreachable",
            ),
            row("two lengths", raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"), "unreachable"),
            row(
                "a status line without end",
                Reply::Endless(b"HTTP/1.1 200 ".to_vec(), vec![b'x'; 1 << 14]),
                "unreachable",
            ),
            row(
                "a header without end",
                Reply::Endless(b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'x'; 1 << 14]),
                "unreachable",
            ),
            row(
                "headers without end",
                Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"A: b\r\n".repeat(1000)),
                "unreachable",
            ),
            row(
                "a thousand headers",
                raw(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(1000))),
                "unreachable",
            ),
            row(
                "a header of a megabyte",
                raw(&format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(1 << 20))),
                "unreachable",
            ),
            row(
                "answers that continue and never answer",
                Reply::Raw(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(3)),
                "unreachable",
            ),
            row(
                "another protocol to switch to",
                raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
                "http-status",
            ),
        ]
    });
}

#[test]
fn a_check_ends_at_its_time_limit_while_bytes_still_arrive() {
    let world = HostileWorld::new();
    let whole = answer("200", "Content-Length: 9999\r\n", &good(&world));
    world.server.lie(MANIFEST, Reply::Trickle(whole, Duration::from_millis(20)));
    let patcher = patcher::Patcher::new(world.config().check_timeout(Duration::from_millis(500))).unwrap();
    assert_eq!(check(&patcher), "timed-out");
}

#[test]
fn a_silent_server_ends_the_download() {
    checks(|world| {
        let good = good(world);
        let whole = answer("200", &format!("Content-Length: {}\r\n", good.len()), &good);
        let body = whole.len() - good.len();
        let second = Duration::from_secs(1);
        vec![
            row("from the start", Reply::Silence(Vec::new()), "stalled"),
            row("in its status line", Reply::Silence(whole[..9].to_vec()), "stalled"),
            row("in its head", Reply::Silence(whole[..body / 2].to_vec()), "stalled"),
            row("after its head", Reply::Silence(whole[..body].to_vec()), "stalled"),
            row("in the middle", Reply::Silence(whole[..body + good.len() / 2].to_vec()), "stalled"),
            row("before the last byte", Reply::Silence(whole[..whole.len() - 1].to_vec()), "stalled"),
            row("after all of it, without a length", Reply::Silence(answer("200", "", &good)), "stalled"),
            row("after continuing", Reply::Silence(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()), "stalled"),
            row("a byte of its head a second", Reply::Trickle(whole.clone(), second), "stalled"),
            row("a byte of its head at a time", Reply::Trickle(whole, SHORT_STALL_TIMEOUT / 20), "stalled"),
        ]
    });
}

#[test]
fn redirects_are_followed_three_times_and_never_out_of_http() {
    checks(|world| {
        let to = |status: u16, location: &str| Reply::Status(status, format!("Location: {location}\r\n"), Vec::new());
        let mut rows = Vec::new();
        for status in [301, 302, 303, 307, 308] {
            rows.push(row(format!("{status} to itself"), to(status, MANIFEST), "redirect"));
            rows.push(row(
                format!("{status} to the same elsewhere"),
                to(status, "/elsewhere/manifest.xml"),
                "http-status",
            ));
        }
        for location in [
            "ftp://127.0.0.1/manifest.xml",
            "gopher://127.0.0.1/",
            "javascript:x",
            "about:blank",
            "mailto:a@b",
            "file:///etc/passwd",
            "data:text/plain,x",
            "unix:/run/x",
            "file:/etc/passwd",
        ] {
            rows.push(row(format!("to {location}"), to(302, location), "redirect"));
        }
        rows.push(row("to nowhere", Reply::status(302), "http-status"));
        rows.push(row("to a port that is closed", to(302, "http://127.0.0.1:1/manifest.xml"), "unreachable"));
        rows.push(row("to the port that is none", to(302, "http://127.0.0.1:0/manifest.xml"), "unreachable"));
        rows.push(row("to what is no address", to(302, "http://[::1/"), "http-status"));
        rows.push(row(
            "to TLS where there is none",
            to(302, &format!("https://{}/core/manifest.xml", world.server.host())),
            "stalled",
        ));
        rows.push(row(
            "with the manifest as its body",
            Reply::Status(302, "Location: ftp://x/\r\n".into(), good(world)),
            "redirect",
        ));
        rows
    });
    // The client counts hops over different addresses too, and does not follow the fourth.
    for (hops, expected) in [(1, "update to 2.0.0"), (3, "update to 2.0.0"), (4, "redirect"), (40, "redirect")] {
        let world = HostileWorld::new();
        let good = good(&world);
        world.server.follow(move |request| {
            let hop = request.path.trim_start_matches("/hop/").parse().unwrap_or(0);
            if hop == hops {
                Reply::Bytes(good.clone())
            } else {
                Reply::Status(302, format!("Location: /hop/{}\r\n", hop + 1), Vec::new())
            }
        });
        assert_eq!(world.check(), expected, "{hops} hops");
        assert!(world.server.take_requests().len() <= 8, "four for the head and four for the manifest");
    }
}

#[test]
fn harmless_deviations_are_accepted() {
    checks(|world| {
        let good = good(world);
        let lines = |lines: &str| Reply::Status(200, lines.to_owned(), good.clone());
        let chunked = [format!("{:x}\r\n", good.len()).as_bytes(), &good, b"\r\n0\r\nTrailer: x\r\n\r\n"].concat();
        vec![
            row(
                "packed, and said so",
                Reply::Status(200, "Content-Encoding: GZIP\r\n".into(), gzip(&good)),
                "update to 2.0.0",
            ),
            row("an encoding that it has not", lines("Content-Encoding: gzip\r\n"), "update to 2.0.0"),
            row("an encoding that nobody knows", lines("Content-Encoding: rot13\r\n"), "update to 2.0.0"),
            row("another type", lines("Content-Type: text/html\r\n"), "update to 2.0.0"),
            row("an ETag of a kilobyte", lines(&format!("ETag: \"{}\"\r\n", "x".repeat(1000))), "update to 2.0.0"),
            row("an ETag that is no text", lines("ETag: \"\u{e9}\u{1f600}\"\r\n"), "update to 2.0.0"),
            row(
                "an ETag that looks like XML",
                lines("ETag: \"/><release component='core' sequence='1'\"\r\n"),
                "update to 2.0.0",
            ),
            row("cookies", lines("Set-Cookie: id=1\r\nSet-Cookie: id2=2\r\n"), "update to 2.0.0"),
            row(
                "chunks with a trailer",
                Reply::head("200", "Transfer-Encoding: chunked\r\n", &chunked),
                "update to 2.0.0",
            ),
            row("HTTP/1.0", Reply::Raw([b"HTTP/1.0 200 OK\r\n\r\n", &good[..]].concat()), "update to 2.0.0"),
            row(
                "more after its length",
                Reply::head("200", &format!("Content-Length: {}\r\n", good.len()), &[&good[..], PAGE].concat()),
                "update to 2.0.0",
            ),
        ]
    });
}

/// The client saves `Retry-After`, in seconds and as a date, for the host and every request to it.
#[test]
fn a_retry_after_is_obeyed_for_every_request_to_its_host() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
    for (status, value, left_alone) in [
        (503, "120", true),
        (429, "1000000000000", true),
        (500, &date, true),
        (404, "60", true),
        (503, "0", false),
        (503, "-5", false),
        (503, "soon", false),
        (503, "99999999999999999999999", false),
        (503, "Thu, 01 Jan 1970 00:00:00 GMT", false),
        (200, "120", false),
    ] {
        let world = HostileWorld::new();
        let before = world.snapshot();
        world.server.lie(MANIFEST, Reply::Status(status, format!("Retry-After: {value}\r\n"), PAGE.to_vec()));
        assert_eq!(world.check(), if status == 200 { "manifest-html" } else { "http-status" }, "{value}");
        assert_eq!(world.server.take_paths(), [HEAD, MANIFEST]);
        world.server.be_honest();
        let after = world.snapshot();
        assert_eq!(before.tree.differences(&after.tree), "");
        if left_alone {
            for _ in 0..2 {
                assert_eq!(world.check(), "retry-later", "{value}");
            }
            let url = format!("{}core/manifest.xml", world.server.url());
            assert_eq!(world.patcher().install("core", &url).unwrap_err().code(), "retry-later");
            assert_eq!(world.server.take_paths(), [""; 0], "{value}");
            // The wait is all that the client has saved.
            std::fs::remove_file(world.state("seen.xml")).unwrap();
        }
        assert_eq!(world.update(), "updated to 2.0.0", "{value}");
    }
}

#[test]
fn a_retry_after_on_an_object_counts_for_its_host() {
    let world = HostileWorld::new();
    let path = world.new.object_path("bin/app");
    world.server.lie(&path, Reply::Status(503, "Retry-After: 300\r\n".into(), Vec::new()));
    assert_eq!(world.update(), "http-status");
    world.server.be_honest();
    world.server.take_requests();
    assert_eq!(world.update(), "retry-later");
    assert!(world.server.take_requests().is_empty());
}

#[test]
fn not_modified_is_refused() {
    let world = HostileWorld::new();
    for lines in ["", "ETag: \"one\"\r\n", "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n"] {
        let before = world.snapshot();
        world.server.lie(MANIFEST, Reply::Status(304, lines.to_owned(), Vec::new()));
        assert_eq!(world.check(), "http-status");
        assert_eq!(world.server.take_requests()[0].header("if-none-match"), None);
        assert_eq!(before.differences(&world.snapshot()), "");
    }
    world.server.be_honest();
    assert_eq!(world.update(), "updated to 2.0.0");
}

/// A user who asks does not wait because of an answer to the watcher.
#[test]
fn a_user_asks_again_after_a_minute_although_the_server_wants_to_be_left_alone() {
    let world = HostileWorld::new();
    let site = world.server.file(MANIFEST);
    world.server.lie(MANIFEST, Reply::Status(503, "Retry-After: 86400\r\n".into(), Vec::new()));
    assert_eq!(world.check(), "http-status");
    assert_eq!(world.check(), "retry-later");
    // The request was more than a minute ago.
    let seen = std::fs::read_to_string(world.state("seen.xml")).unwrap();
    let asked = seen.split("asked=\"").nth(1).unwrap().split('"').next().unwrap();
    let earlier = Timestamp::from_unix(asked.parse::<Timestamp>().unwrap().unix() - 61);
    let rewound = seen.replace(&format!("asked=\"{asked}\""), &format!("asked=\"{earlier}\""));
    std::fs::write(world.state("seen.xml"), &rewound).unwrap();
    world.server.take_requests();
    // The server does not answer, and the user asks once a minute at most.
    world.server.lie(MANIFEST, Reply::Status(503, String::new(), Vec::new()));
    assert_eq!(world.check(), "http-status");
    assert_eq!(world.check(), "retry-later");
    assert_eq!(world.server.take_requests().iter().filter(|request| request.path == MANIFEST).count(), 1);
    // Once it answers, it may be asked for everything.
    std::fs::write(world.state("seen.xml"), &rewound).unwrap();
    world.server.be_honest();
    world.server.put(MANIFEST, site);
    assert_eq!(world.update(), "updated to 2.0.0");
    assert!(!std::fs::read_to_string(world.state("seen.xml")).unwrap().contains("<wait"));
}
