//! The power fails at each call that changes the disk. After the next mount, `recover` leads to the
//! old or the new version, and a reported success has survived.

use crate::disk::{Cut, Disk};
use crate::sample;
use crate::scene::CrashScene;
use crate::support::left_out;
use crate::support::run::Run;
use crate::tally::Tally;
use crate::trace::KILL;
use std::process::Command;

const MEGABYTES: u64 = 16;

fn run(scene: &CrashScene) {
    if !rustix::process::geteuid().is_root() {
        return left_out::report("only root can mount");
    }
    let points = scene.points("start");
    scene.bring_back("start");
    let user = scene.user();
    let Some(mut disk) = Disk::new(&user.path("disk"), &user.root(), MEGABYTES) else { return };
    Run::of(Command::new("cp").arg("-a").arg(user.path("start").join(".")).arg(user.root())).ends(0);
    let start = user.path("start of disk");
    disk.save(&start);
    for (mode, cut) in [("power cut", Cut::LosingTheLog), ("power cut, log written", Cut::WithTheLog)] {
        let mut tally = Tally::new(mode, scene.name);
        for point in sample::of(points.clone()) {
            disk.bring_back(&start);
            scene.disturb(scene.program(), KILL, &point);
            disk.cut(cut);
            tally.count(&point.to_string(), scene.settle());
        }
        // The power fails right after an undisturbed run has reported its success.
        disk.bring_back(&start);
        let (run, _) = scene.calls(scene.program());
        disk.cut(cut);
        let found = scene.settle().and_then(|end| scene.kept(&run, end));
        tally.count("its end", found);
        tally.close();
    }
}

scenarios! {
    helper, apply, apply_unwatched, apply_over_prepared, two_components, first_install, remove, keep, take_back,
    failing_version,
}
