//! Never half updated: programs that swap are killed, starved and cut off at every call that
//! changes the disk, and what is found after `recover` is exactly the old or exactly the new tree.
//!
//! strace disturbs a program on entering a call. Every call that is not known to only read is
//! disturbed, so that these are all the states that there are. A run tries every
//! [`sample::EVERY`]-th point, other ones each day; `benches/crash.sh` tries all of them and writes
//! the tables of `benches/results/crash.md`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up fails")]

/// Makes a test of a mode out of each scenario.
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
