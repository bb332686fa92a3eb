//! Programs that change a file in a way that its time of change does not show, after the helper has
//! read it.

use crate::support::deadline::wait_for;
use crate::support::left_out;
use crate::support::run::Run;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use std::fs;
use std::process::{Command, Stdio};

/// A program that writes to a mapped file, reports that, and writes again when the test asks for
/// it.
const MAPS: &str = "
import mmap, sys
file = open(sys.argv[1], 'r+b')
memory = mmap.mmap(file.fileno(), 0)
file.close()
memory[0:1] = memory[0:1]
print('mapped', flush=True)
sys.stdin.readline()
memory[0:4] = b'mine'
";
/// One that writes to a file in the second in which the helper has read it.
const WRITES: &str = "
import sys
print('ready', flush=True)
sys.stdin.readline()
open(sys.argv[1], 'r+b').write(b'mine')
";

fn tree(text: &str) -> Tree {
    Tree::default().file("data", text.as_bytes(), 0o644).file("dropped or not", b"1", 0o644)
}

/// Lets `program` run while the helper gets ready, and then change the file `data`. The swap must
/// find the change and keep everything.
fn change_after_the_helper_is_ready(world: &World<Scripted>, program: &str) {
    let Some(python) = left_out::program("python3") else { return };
    world.publish("1.0.0", &tree("one and the same length"));
    world.install("core");
    // The new version drops the file, so that a change that is not found would be lost.
    world.publish("2.0.0", &Tree::default().file("dropped or not", b"2", 0o644));
    world.user.ok(&["download"]);
    let path = world.user.component("core").join("data");
    let mut app = Command::new(python);
    app.args(["-c", program]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut app = app.spawn().unwrap();
    let mut line = [0];
    std::io::Read::read_exact(app.stdout.as_mut().unwrap(), &mut line).unwrap();
    world.user.ok(&["apply", "--wait-pid", &app.id().to_string()]);
    let log = world.user.state("helper.log");
    let has = |words: &str| fs::read_to_string(&log).ok()?.contains(words).then_some(());
    wait_for("the helper", || has("waiting for process"));
    assert!(world.user.state("txn/journal.APPLYING").exists(), "the helper is not ready");
    let before = fs::metadata(&path).unwrap();
    drop(app.stdin.take());
    app.wait().unwrap();
    let after = fs::metadata(&path);
    wait_for("the refusal", || has("(changed)"));
    assert_eq!(&fs::read(&path).unwrap()[..4], b"mine");
    let ctime = |found: &fs::Metadata| {
        use std::os::unix::fs::MetadataExt as _;
        (found.ctime(), found.ctime_nsec())
    };
    if ctime(&before) != ctime(&after.unwrap()) {
        left_out::report("this file system shows every change; the test proves nothing");
    }
    wait_for("the end of the swap", || (!world.user.state("journal").exists()).then_some(()));
}

#[test]
fn a_write_to_a_file_that_was_mapped_before_is_found() {
    change_after_the_helper_is_ready(&World::honest(), MAPS);
}

#[test]
fn a_write_on_a_file_system_with_times_in_seconds_is_found() {
    let (Some(mkfs), Some(mount)) = (left_out::program("mkfs.ext4"), left_out::program("mount")) else { return };
    let world = World::honest();
    let image = world.user.path("image");
    fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
    Run::of(Command::new(mkfs).args(["-q", "-I", "128"]).arg(&image)).ends(0);
    let mounted = Run::of(Command::new(mount).args(["-o", "loop"]).arg(&image).arg(world.user.root()));
    if mounted.code != Some(0) {
        return left_out::report(&format!("a file system cannot be mounted here: {}", mounted.err));
    }
    /// Ends the mount also when the test fails.
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        }
    }
    let _mounted = Mounted(world.user.root());
    change_after_the_helper_is_ready(&world, WRITES);
}
