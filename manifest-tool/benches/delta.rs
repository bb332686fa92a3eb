//! Measures deltas between two files: bytes, time and memory of both modes and of bsdiff.
//!
//! `cargo bench -p component-patcher-tool --bench delta -- NAME OLD NEW …` prints two tables with
//! one row for each name. bsdiff is the crate qbsdiff. Each delta is made in a separate process,
//! the three ways in turn, and the median of [`ENCODE_RUNS`] runs counts. Applying includes the
//! hash of the result. The mean of [`APPLY_RUNS`] runs counts, because Linux counts CPU time in
//! steps of milliseconds.

#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use manifest_tool::delta::encode::{encode, program};
use manifest_tool::hashing_sink::HashingSink;
use patcher::internal::delta::{DeltaHeader, DeltaMode, FileSizes, apply};
use patcher::internal::digest::Sha256;
use std::fs::{self, File};
use std::io::{BufWriter, Cursor, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The memory limit for making a delta.
const MEMORY_BYTES: u64 = 4 << 30;
/// The number of times that each delta is made.
const ENCODE_RUNS: usize = 3;
/// The number of times that each delta is applied.
const APPLY_RUNS: usize = 20;

/// The ways to make a delta. `both` makes a delta of each of our modes and keeps the smaller one.
const WAYS: [&str; 3] = ["qbsdiff", "plain", "both"];

/// The cost of making a delta: wall-clock seconds, CPU seconds and peak memory in MB.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    cpu: f64,
    peak: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", way, old, new, patch] => make(way, Path::new(old), Path::new(new), Path::new(patch)),
        ref rows => print(&rows.chunks_exact(3).map(|row| Row::measure(row[0], row[1], row[2])).collect::<Vec<_>>()),
    }
}

/// The figures of two files. Arrays of three have one figure for each of [`WAYS`].
struct Row {
    name: String,
    megabytes: f64,
    bytes: [u64; 3],
    costs: [Cost; 3],
    /// CPU seconds of applying the delta of mode 0 and the delta of both modes.
    applied: [f64; 2],
    is_program: bool,
}

impl Row {
    fn measure(name: &str, old: &str, new: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let patches = WAYS.map(|way| folder.path().join(way));
        let mut costs: [Vec<Cost>; 3] = Default::default();
        for _ in 0..ENCODE_RUNS {
            for ((way, patch), costs) in WAYS.iter().zip(&patches).zip(&mut costs) {
                costs.push(made(way, old, new, patch));
            }
        }
        let [qbsdiff, plain, both] = patches.map(|patch| fs::read(patch).unwrap());
        let sizes = sizes(Path::new(old), Path::new(new));
        let expected = Sha256::of_reader(&mut File::open(new).unwrap()).unwrap();
        Self {
            name: name.into(),
            megabytes: sizes.new as f64 / 1e6,
            bytes: [qbsdiff.len() as u64, plain.len() as u64, both.len() as u64],
            costs: costs.map(|costs| Cost {
                seconds: median(costs.iter().map(|cost| cost.seconds)),
                cpu: median(costs.iter().map(|cost| cost.cpu)),
                peak: median(costs.iter().map(|cost| cost.peak)),
            }),
            applied: [&plain, &both].map(|patch| applied(old, patch, &sizes, expected)),
            is_program: matches!(DeltaHeader::read(&mut &both[..]).unwrap().mode, DeltaMode::Program(_)),
        }
    }
}

fn print(rows: &[Row]) {
    println!(
        "| | MB | qbsdiff, bytes | mode 0, bytes | program1, bytes | mode 0 : program1 | applied, CPU s: mode 0, program1 | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for Row { name, megabytes, bytes: [qbsdiff, plain, both], applied: [plain_cpu, both_cpu], is_program, .. } in rows {
        let program = if *is_program { both.to_string() } else { "not smaller".into() };
        let (gain, ratio) = (*plain as f64 / *both as f64, both_cpu / plain_cpu);
        println!(
            "| {name} | {megabytes:.1} | {qbsdiff} | {plain} | {program} | {gain:.1} | {plain_cpu:.3}, {both_cpu:.3} | {ratio:.1} |"
        );
    }
    println!();
    println!(
        "| made, by qbsdiff / mode 0 / both modes | seconds | of processors | peak, MB | qbsdiff's seconds : mode 0's | its memory | both modes' CPU : mode 0's |"
    );
    println!("|---|---|---|---|---|---|---|");
    for Row { name, costs, .. } in rows {
        let cell = |what: fn(&Cost) -> f64| costs.each_ref().map(|cost| format!("{:.2}", what(cost))).join(" / ");
        let (seconds, cpu, peak) = (cell(|cost| cost.seconds), cell(|cost| cost.cpu), cell(|cost| cost.peak));
        let [qbsdiff, plain, both] = costs;
        println!(
            "| {name} | {seconds} | {cpu} | {peak} | {:.2} | {:.2} | {:.1} |",
            qbsdiff.seconds / plain.seconds,
            qbsdiff.peak / plain.peak,
            both.cpu / plain.cpu
        );
    }
}

fn sizes(old: &Path, new: &Path) -> FileSizes {
    let size = |path| fs::metadata(path).unwrap().len();
    FileSizes { old: size(old), new: size(new) }
}

/// Makes a delta in a separate process, which prints its cost.
fn made(way: &str, old: &str, new: &str, patch: &Path) -> Cost {
    let program = std::env::current_exe().unwrap();
    let out = Command::new(program).args(["make", way, old, new]).arg(patch).output().unwrap();
    assert!(out.status.success(), "{way} of {new}");
    let said = String::from_utf8(out.stdout).unwrap();
    let mut numbers = said.split_whitespace().map(|number| number.parse().unwrap());
    let mut next = || numbers.next().unwrap();
    Cost { seconds: next(), cpu: next(), peak: next() }
}

fn make(way: &str, old: &Path, new: &Path, patch: &Path) {
    let start = Instant::now();
    let mut out = BufWriter::new(File::create(patch).unwrap());
    if way == "qbsdiff" {
        let (old, new) = (fs::read(old).unwrap(), fs::read(new).unwrap());
        qbsdiff::Bsdiff::new(&old, &new).compare(&mut out).unwrap();
    } else {
        let sizes = sizes(old, new);
        // With one byte less than a program delta needs, only mode 0 is tried.
        let all = program::memory_needed(&sizes);
        let limit = if way == "plain" { all - 1 } else { all.max(MEMORY_BYTES) };
        encode(&mut File::open(old).unwrap(), &mut File::open(new).unwrap(), &sizes, limit, &mut out).unwrap();
    }
    out.flush().unwrap();
    println!("{} {} {}", start.elapsed().as_secs_f64(), cpu_seconds(), peak_megabytes());
}

/// Returns the mean CPU seconds of applying a delta. Every result is compared with `expected`.
fn applied(old: &str, patch: &[u8], sizes: &FileSizes, expected: (Sha256, u64)) -> f64 {
    let start = cpu_seconds();
    for _ in 0..APPLY_RUNS {
        let mut made = HashingSink::default();
        apply(File::open(old).unwrap(), Cursor::new(patch), sizes, |_| tempfile::tempfile(), &mut made).unwrap();
        assert_eq!(made.0.finish(), expected);
    }
    (cpu_seconds() - start) / APPLY_RUNS as f64
}

/// Returns the CPU seconds of all threads so far.
///
/// Linux no longer counts threads that have ended.
fn cpu_seconds() -> f64 {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let times = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap());
    times.map(|time| time.split(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>() / 1e9
}

fn peak_megabytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1e3
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
