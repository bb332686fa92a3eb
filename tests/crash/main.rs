//! Crash tests: kills, errors and power cuts at every system call of a swap that changes the disk.
//! After `recover`, the tree is exactly the old or exactly the new one.
//!
//! strace disturbs a program when it enters a call. Every call that is not known to only read is a
//! point, so the points cover all states of the disk. A run tries every [`sample::EVERY`]-th point,
//! other ones each day. `benches/crash.sh` tries all points and writes the tables of
//! `benches/results/crash.md`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up fails")]

/// Makes a test of each scenario for the mode of a module.
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => { $(
        #[test]
        fn $name() {
            if let Some(scene) = crate::scenarios::$name() {
                run(&scene);
            }
        }
    )+ };
}

#[expect(dead_code, reason = "shared with other test programs, which use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod disk;
mod faults;
mod kill;
mod order;
mod power;
mod recovery;
mod sample;
mod scenarios;
mod scene;
mod tally;
mod trace;
