//! Measures deltas between two files: bytes and CPU seconds of both modes and of bsdiff as qbsdiff makes it, in one run.
//!
//! `cargo bench -p manifest-tool --bench delta -- NAME OLD NEW …` prints a table with a row for each name. CPU seconds are those of
//! all threads; applying includes the hash of the result, and is the median of several times.

#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use manifest_tool::delta::{encode, program};
use manifest_tool::hashing_sink::HashingSink;
use patcher::delta::{Edge, Header, Mode, apply};
use patcher::digest::Sha256;
use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;

const MEMORY: u64 = 4 << 30;
const TIMES: usize = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    println!(
        "| program | MB | mode 0, bytes | program1, bytes | mode 0 : program1 | qbsdiff, bytes | diff CPU s: qbsdiff, mode 0, both modes | apply CPU s: mode 0, program1 |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for names in arguments.chunks_exact(3) {
        row(&names[0], Path::new(&names[1]), Path::new(&names[2]));
    }
}

fn row(name: &str, old: &Path, new: &Path) {
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let edge = Edge { old: size(old), new: size(new) };
    let made = Sha256::of_reader(&mut File::open(new).unwrap()).unwrap();
    let (bsdiff, bsdiff_cpu) = measured(|| {
        let (old, new, mut patch) = (fs::read(old).unwrap(), fs::read(new).unwrap(), Vec::new());
        qbsdiff::Bsdiff::new(&old, &new).compare(Cursor::new(&mut patch)).unwrap();
        patch
    });
    let encoded = |limit| {
        let mut patch = Vec::new();
        let (mut old, mut new) = (File::open(old).unwrap(), File::open(new).unwrap());
        measured(move || {
            encode(&mut old, &mut new, &edge, limit, &mut patch).unwrap();
            patch
        })
    };
    // With a byte less than it takes, no program's delta is made.
    let (plain, plain_cpu) = encoded(program::memory(&edge) - 1);
    let (both, both_cpu) = encoded(MEMORY.max(program::memory(&edge)));
    let (plain_apply, both_apply) = (applied(old, &plain, &edge, made), applied(old, &both, &edge, made));
    let is_program = matches!(Header::read(&mut &both[..]).unwrap().mode, Mode::Program(_));
    println!(
        "| {name} | {:.1} | {} | {} | {:.1} | {} | {bsdiff_cpu:.2}, {plain_cpu:.2}, {both_cpu:.2} | {plain_apply:.3}, {both_apply:.3} |",
        edge.new as f64 / 1e6,
        plain.len(),
        if is_program { both.len().to_string() } else { "not smaller".into() },
        plain.len() as f64 / both.len() as f64,
        bsdiff.len(),
    );
}

/// The CPU seconds of one application; what it makes is compared each time.
fn applied(old: &Path, patch: &[u8], edge: &Edge, expected: (Sha256, u64)) -> f64 {
    let mut times: Vec<f64> = (0..TIMES)
        .map(|_| {
            let (made, seconds) = measured(|| {
                let mut made = HashingSink::default();
                apply(File::open(old).unwrap(), Cursor::new(patch), edge, &mut made).unwrap();
                made.0.finish()
            });
            assert_eq!(made, expected);
            seconds
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[TIMES / 2]
}

/// The CPU seconds of something, as Linux counts them; no thread that takes part in it may end.
fn measured<T>(action: impl FnOnce() -> T) -> (T, f64) {
    let now = || -> u64 {
        let threads = fs::read_dir("/proc/self/task").unwrap();
        let times = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap());
        times.map(|time| time.split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    let start = now();
    let result = action();
    (result, (now() - start) as f64 / 1e9)
}
