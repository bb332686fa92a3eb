//! Resumed downloads, from a server or a disk that lies about the bytes.

use super::table::not_installed;
use super::world::{HostileWorld, update};
use crate::support::scripted::{Reply, answer, content_range};
use crate::support::tree::Tree;
use crate::support::tree::noise;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// A world in which half of the program's object is downloaded.
struct Interrupted {
    world: HostileWorld,
    good: Vec<u8>,
    half: usize,
    path: String,
}

impl Interrupted {
    fn new() -> Self {
        let world = HostileWorld::new();
        let (good, path) = (world.new.objects[0].clone(), world.new.object_path("bin/app"));
        let half = good.len() / 2;
        world.server.lie(&path, Reply::head("200", &format!("Content-Length: {}\r\n", good.len()), &good[..half]));
        assert_eq!(world.update(), "cut-off");
        let interrupted = Self { world, good, half, path };
        assert_eq!(fs::read(interrupted.part()).unwrap(), interrupted.good[..half]);
        interrupted.world.server.take_requests();
        interrupted
    }

    /// Returns the unfinished object's file.
    fn part(&self) -> PathBuf {
        let name = self.path.rsplit('/').next().unwrap().replace(".gz", ".part");
        self.world.state("stage/core/objects").join(name)
    }

    /// Returns the ranges in the requests for the object, each empty for the whole.
    fn take_ranges(&self) -> Vec<String> {
        let requests = self.world.server.take_requests().into_iter().filter(|request| request.path == self.path);
        requests.map(|request| request.header("range").unwrap_or_default().to_owned()).collect()
    }
}

/// Returns the header line and the bytes that complete the object.
fn rest(world: &Interrupted) -> (String, Vec<u8>) {
    (content_range(world.half, world.good.len()), world.good[world.half..].to_vec())
}

#[test]
fn only_the_exact_rest_is_appended() {
    const ONCE: &[&str] = &["rest"];
    const TWICE: &[&str] = &["rest", ""];
    type Answer = fn(&Interrupted) -> Reply;
    fn range(world: &Interrupted, text: &str) -> Reply {
        let (_, rest) = rest(world);
        Reply::Status(206, if text.is_empty() { String::new() } else { format!("Content-Range: {text}\r\n") }, rest)
    }
    // The name, the answer to a request with a range, the outcome, and the requests.
    let rows: &[(&str, Answer, &str, &[&str])] = &[
        ("the rest", |w| Reply::Status(206, rest(w).0, rest(w).1), "updated to 2.0.0", ONCE),
        ("all of it", |w| Reply::Bytes(w.good.clone()), "updated to 2.0.0", ONCE),
        ("all of it, decompressed", |_| Reply::Bytes(noise(2, 5000).repeat(4)), "updated to 2.0.0", ONCE),
        (
            "from the next byte",
            |w| range(w, &format!("bytes {}-{}/{}", w.half + 1, w.good.len() - 1, w.good.len())),
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "from the byte before",
            |w| range(w, &format!("bytes {}-{}/{}", w.half - 1, w.good.len() - 1, w.good.len())),
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "from the start",
            |w| range(w, &format!("bytes 0-{}/{}", w.good.len() - 1, w.good.len())),
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "not to the end",
            |w| range(w, &format!("bytes {}-{}/{}", w.half, w.good.len() - 2, w.good.len())),
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "of a longer object",
            |w| range(w, &format!("bytes {}-{}/{}", w.half, w.good.len() - 1, w.good.len() + 1)),
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "of an object of unknown length",
            |w| range(w, &format!("bytes {}-{}/*", w.half, w.good.len() - 1)),
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "of another unit",
            |w| range(w, &format!("blocks {}-{}/{}", w.half, w.good.len() - 1, w.good.len())),
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "numbers with zeros",
            |w| range(w, &format!("bytes 0{}-{}/{}", w.half, w.good.len() - 1, w.good.len())),
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "numbers too large",
            |_| range_of("bytes 18446744073709551616-18446744073709551617/18446744073709551618"),
            "updated to 2.0.0",
            TWICE,
        ),
        ("garbage for a range", |_| range_of("half"), "updated to 2.0.0", TWICE),
        ("no range", |w| range(w, ""), "updated to 2.0.0", TWICE),
        (
            "several parts",
            |_| {
                Reply::Status(
                    206,
                    "Content-Type: multipart/byteranges; boundary=x\r\n".into(),
                    b"--x\r\n\r\n--x--".to_vec(),
                )
            },
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "nothing to satisfy it",
            |_| Reply::Status(416, "Content-Range: bytes */7\r\n".into(), Vec::new()),
            "updated to 2.0.0",
            TWICE,
        ),
        (
            "other bytes of that length",
            |w| Reply::Status(206, rest(w).0, vec![0; w.good.len() - w.half]),
            "updated to 2.0.0",
            TWICE,
        ),
        ("its last bit flipped", |w| Reply::Status(206, rest(w).0, flip(rest(w).1)), "updated to 2.0.0", TWICE),
        ("a byte more", |w| Reply::Status(206, rest(w).0, [rest(w).1, vec![0]].concat()), "updated to 2.0.0", TWICE),
        ("a byte less", |w| Reply::head("206", &rest(w).0, &rest(w).1[1..]), "updated to 2.0.0", TWICE),
        ("no byte", |w| Reply::head("206", &rest(w).0, b""), "updated to 2.0.0", TWICE),
        ("all of it as the rest", |w| Reply::Status(206, rest(w).0, w.good.clone()), "updated to 2.0.0", TWICE),
        ("no end", |w| Reply::Endless(answer("206", &rest(w).0, b""), vec![0; 1 << 16]), "updated to 2.0.0", TWICE),
        (
            "a rest that is cut off",
            |w| Reply::head("206", &format!("{}Content-Length: 9999\r\n", rest(w).0), &rest(w).1[1..]),
            "cut-off",
            ONCE,
        ),
        ("silence", |w| Reply::Silence(answer("206", &rest(w).0, b"")), "stalled", ONCE),
        ("not modified", |_| Reply::status(304), "http-status", ONCE),
        ("not found", |_| Reply::status(404), "http-status", ONCE),
        (
            "a redirect to itself",
            |w| Reply::Status(302, format!("Location: {}\r\n", w.path), Vec::new()),
            "redirect",
            &["rest", "rest", "rest", "rest"],
        ),
    ];
    for (name, answer, expected, asked) in rows {
        let interrupted = Interrupted::new();
        let before = interrupted.world.snapshot().without_stage();
        let (path, reply) = (interrupted.path.clone(), answer(&interrupted));
        interrupted.world.expect_silence(*expected == "stalled");
        interrupted.world.server.follow(move |request| {
            if request.path == path && request.header("range").is_some() { reply.clone() } else { Reply::Site }
        });
        assert_eq!(interrupted.world.update(), *expected, "{name}");
        let range = format!("bytes={}-", interrupted.half);
        let asked: Vec<&str> = asked.iter().map(|what| if *what == "rest" { &range } else { *what }).collect();
        assert_eq!(interrupted.take_ranges(), asked, "{name}");
        if expected.starts_with("updated") {
            assert_eq!(not_installed(&interrupted.world), None, "{name}");
            continue;
        }
        assert_eq!(before.differences(&interrupted.world.snapshot().without_stage()), "", "{name}");
        interrupted.world.expect_silence(false);
        interrupted.world.server.be_honest();
        assert_eq!(interrupted.world.update(), "updated to 2.0.0", "{name}");
    }
    println!("{} rows", rows.len());
}

fn range_of(text: &str) -> Reply {
    Reply::Status(206, format!("Content-Range: {text}\r\n"), b"x".to_vec())
}

fn flip(mut bytes: Vec<u8>) -> Vec<u8> {
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

#[test]
fn a_wrong_object_is_requested_once_more_and_refused() {
    type Answer = fn(&Interrupted) -> Reply;
    // The name, the answer to every request, the outcome, and the number of requests.
    let rows: &[(&str, Answer, &str, usize)] = &[
        ("other bytes", |w| Reply::Bytes(vec![0; w.good.len()]), "object-hash", 2),
        ("a new object under the old name", |w| Reply::Bytes(w.world.old.objects[0].clone()), "object-size", 2),
        ("nothing", |_| Reply::Bytes(Vec::new()), "object-size", 2),
        ("a part whatever was asked for", |w| Reply::Status(206, rest(w).0, flip(rest(w).1)), "http-status", 2),
        ("another part whatever was asked for", |_| range_of("bytes 0-0/1"), "http-status", 2),
        ("nothing to satisfy it", |_| Reply::status(416), "http-status", 2),
    ];
    for (name, answer, expected, count) in rows {
        let interrupted = Interrupted::new();
        let before = interrupted.world.snapshot().without_stage();
        interrupted.world.server.lie(&interrupted.path, answer(&interrupted));
        assert_eq!(interrupted.world.update(), *expected, "{name}");
        assert_eq!(interrupted.take_ranges().len(), *count, "{name}");
        assert_eq!(before.differences(&interrupted.world.snapshot().without_stage()), "", "{name}");
        interrupted.world.server.be_honest();
        assert_eq!(interrupted.world.update(), "updated to 2.0.0", "{name}");
    }
    println!("{} rows", rows.len());
}

#[test]
fn a_damaged_unfinished_object_is_found() {
    type Change = fn(&Interrupted, &mut Vec<u8>);
    // The name, the change to the unfinished file, and the requests.
    let rows: &[(&str, Change, &[&str])] = &[
        ("its first byte", |_, bytes| bytes[0] ^= 1, &["rest", ""]),
        ("its last byte", |_, bytes| *bytes.last_mut().unwrap() ^= 1, &["rest", ""]),
        ("zeros", |_, bytes| bytes.fill(0), &["rest", ""]),
        ("nothing left", |_, bytes| bytes.clear(), &[""]),
        ("complete and right", |w, bytes| *bytes = w.good.clone(), &[]),
        ("complete and wrong", |w, bytes| *bytes = vec![0; w.good.len()], &[""]),
        ("too long", |w, bytes| *bytes = [&w.good[..], b"x"].concat(), &[""]),
        ("much too long", |_, bytes| *bytes = vec![0; 10 << 20], &[""]),
        ("decompressed", |_, bytes| *bytes = noise(2, 5000).repeat(4), &[""]),
    ];
    for (name, change, asked) in rows {
        let interrupted = Interrupted::new();
        let mut bytes = fs::read(interrupted.part()).unwrap();
        change(&interrupted, &mut bytes);
        fs::write(interrupted.part(), bytes).unwrap();
        interrupted.world.server.be_honest();
        assert_eq!(interrupted.world.update(), "updated to 2.0.0", "{name}");
        let range = format!("bytes={}-", interrupted.half);
        let asked: Vec<&str> = asked.iter().map(|what| if *what == "rest" { &range } else { *what }).collect();
        assert_eq!(interrupted.take_ranges(), asked, "{name}");
        assert_eq!(not_installed(&interrupted.world), None, "{name}");
    }
    println!("{} rows", rows.len());
}

#[test]
fn a_link_in_the_place_of_an_unfinished_object_is_not_followed() {
    let outside = b"not yours";
    type Plant = fn(&Interrupted);
    let rows: &[(&str, Plant)] = &[
        ("a link to a file", |w| symlink(w.world.path("outside"), w.part()).unwrap()),
        ("a link to nothing", |w| symlink(w.world.path("nothing"), w.part()).unwrap()),
        ("a folder", |w| fs::create_dir(w.part()).unwrap()),
        ("a pipe", |w| rustix::fs::mkfifoat(rustix::fs::CWD, w.part(), rustix::fs::Mode::RWXU).unwrap()),
    ];
    for (name, plant) in rows {
        let interrupted = Interrupted::new();
        fs::write(interrupted.world.path("outside"), outside).unwrap();
        fs::remove_file(interrupted.part()).unwrap();
        plant(&interrupted);
        interrupted.world.server.be_honest();
        let before = Tree::read(&interrupted.world.root());
        assert_eq!(interrupted.world.update(), "unsafe-path", "{name}");
        assert_eq!(interrupted.take_ranges(), [""; 0], "{name}");
        assert_eq!(fs::read(interrupted.world.path("outside")).unwrap(), outside, "{name}");
        assert!(!interrupted.world.path("nothing").exists(), "{name}");
        assert_eq!(before.differences(&Tree::read(&interrupted.world.root())), "", "{name}");
    }
    println!("{} rows", rows.len());
}

#[test]
fn a_redirected_download_resumes_at_the_target_or_the_own_address() {
    for gone in [false, true] {
        let world = HostileWorld::new();
        let (good, path) = (world.new.objects[0].clone(), world.new.object_path("bin/app"));
        let half = good.len() / 2;
        world.server.put("/elsewhere", good.clone());
        let cut = answer("200", &format!("Accept-Ranges: bytes\r\nContent-Length: {}\r\n", good.len()), &good[..half]);
        let (object, led, broke) = (path.clone(), AtomicBool::new(false), AtomicBool::new(false));
        world.server.follow(move |request| {
            if request.path == object && !led.swap(true, Ordering::SeqCst) {
                Reply::Status(302, "Location: /elsewhere\r\n".into(), Vec::new())
            } else if request.path == "/elsewhere" && !broke.swap(true, Ordering::SeqCst) {
                Reply::Raw(cut.clone())
            } else if request.path == "/elsewhere" && gone {
                Reply::status(403)
            } else {
                Reply::Site
            }
        });
        let patcher = patcher::Patcher::new(world.config().retries(1)).unwrap();
        assert_eq!(update(&patcher), "updated to 2.0.0");
        let requests = world.server.take_requests().into_iter();
        let asked: Vec<_> = requests
            .filter(|request| request.path == path || request.path == "/elsewhere")
            .map(|request| (request.header("range").unwrap_or_default().to_owned(), request.path))
            .collect();
        let rest = format!("bytes={half}-");
        let mut expected = vec![("", path.as_str()), ("", "/elsewhere"), (&rest, "/elsewhere")];
        expected.extend(gone.then_some((rest.as_str(), path.as_str())));
        let asked: Vec<_> = asked.iter().map(|(range, path)| (range.as_str(), path.as_str())).collect();
        assert_eq!(asked, expected);
    }
}
