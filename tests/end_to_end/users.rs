//! One installation for several users: a service updates it, and waits for their programs.

use crate::scene::{Scene, assert_has};
use crate::support::deadline::wait_for;
use crate::support::left_out;
use crate::support::programs;
use patcher::internal::timestamp::Timestamp;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// An installation of root, and another user who runs its program.
struct SharedRoot {
    scene: Scene,
    setpriv: PathBuf,
}

impl SharedRoot {
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            left_out::report("programs of two users need root");
            return None;
        }
        let setpriv = left_out::program("setpriv")?;
        let scene = Scene::new();
        fs::set_permissions(scene.world.user.path("."), Permissions::from_mode(0o777)).unwrap();
        Some(Self { scene, setpriv })
    }

    /// Starts the program as the other user, and waits for its line.
    fn start(&self, lines: usize, todo: &[&str]) -> Child {
        let user = &self.scene.world.user;
        let mut command = Command::new(&self.setpriv);
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(user.component("core").join("app")).arg(user.root()).arg(user.key()).arg(programs::helper());
        command.arg(user.path("lines")).args(todo).args(["/", "exit:0"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        self.scene.lines(lines);
        child
    }
}

#[test]
fn a_service_waits_for_the_programs_of_all_users_until_its_deadline() {
    let Some(shared) = SharedRoot::new() else { return };
    let user = &shared.scene.world.user;
    user.json(10, &["--all-users", "1h", "check"]);
    let end = user.path("end");
    let wait = format!("wait:{}", end.display());

    let mut program = shared.start(1, &[&wait]);
    assert_has(&shared.scene.lines(1)[0], &["version=1 started=UpdatesOff(Service { root: "]);
    user.fails(23, "busy", &["--all-users", "1h", "update"]);
    // Also a process without the option respects the programs.
    user.fails(23, "busy", &["apply"]);
    user.has("core", &shared.scene.one);
    fs::write(&end, "").unwrap();
    program.wait().unwrap();
    user.ok(&["--all-users", "1h", "apply"]);
    user.has("core", &shared.scene.two);
    user.ok(&["confirm"]);

    // The deadline is over.
    fs::remove_file(&end).unwrap();
    let mut program = shared.start(2, &["exit:0", "/", &wait]);
    shared.scene.world.publish("3.0.0", &shared.scene.one);
    let run = user.run(&["--json", "--all-users", "1h", "update"]);
    run.fails(23, "busy");
    assert!(run.out.contains(&format!("held by process {}", program.id())), "{run:?}");
    user.ok(&["--all-users", "0s", "update"]);
    user.has("core", &shared.scene.one);
    fs::write(&end, "").unwrap();
    program.wait().unwrap();
}

#[test]
fn checks_do_not_move_the_deadline_of_a_staged_update() {
    let Some(shared) = SharedRoot::new() else { return };
    let user = &shared.scene.world.user;
    user.json(10, &["--all-users", "3d", "check"]);
    let end = user.path("end");
    let mut program = shared.start(1, &[&format!("wait:{}", end.display())]);
    user.fails(23, "busy", &["--all-users", "3d", "update"]);
    // Four days pass.
    let record = user.state("active-update.xml");
    let text = fs::read_to_string(&record).unwrap();
    let (before, staged) = text.split_once(" staged=\"").unwrap();
    let (_, after) = staged.split_once('"').unwrap();
    let four_days_ago = Timestamp::from_unix(Timestamp::now().unix() - 4 * 86_400);
    fs::write(&record, format!("{before} staged=\"{four_days_ago}\"{after}")).unwrap();
    user.ok(&["--all-users", "3d", "update"]);
    user.has("core", &shared.scene.two);
    fs::write(&end, "").unwrap();
    program.wait().unwrap();
}

#[test]
fn a_program_of_another_user_learns_that_a_new_version_is_in_place() {
    let Some(shared) = SharedRoot::new() else { return };
    let user = &shared.scene.world.user;
    user.json(10, &["--all-users", "1h", "check"]);
    let end = user.path("end");
    let mut program = shared.start(1, &[&format!("watch:{}", end.display()), "exit:0"]);
    shared.scene.world.server.take_paths();
    user.ok(&["--all-users", "0s", "update"]);
    let asked = shared.scene.world.server.take_paths().len();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "2.0.0 is in place\n");
    fs::write(&end, "").unwrap();
    assert!(program.wait().unwrap().success());
    assert!(asked > 0 && shared.scene.world.server.take_paths().is_empty(), "the user's program asked the server");
}

#[test]
fn a_watching_service_applies_an_update_when_the_last_program_ends() {
    let Some(shared) = SharedRoot::new() else { return };
    let user = &shared.scene.world.user;
    user.json(10, &["--all-users", "1h", "check"]);
    let end = user.path("end");
    let mut program = shared.start(1, &[&format!("wait:{}", end.display())]);
    let watch = ["--all-users", "1h", "--json", "watch", "--apply", "--interval", "4m", "--first-within", "0s"];
    let mut service = user.command(&watch).stdout(Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(service.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(events.any(|event| event.contains("\"staged\"")));
    user.has("core", &shared.scene.one);
    fs::write(&end, "").unwrap();
    program.wait().unwrap();
    shared.scene.world.server.take_paths();
    assert!(events.any(|event| event.contains("\"applied\"")));
    assert!(shared.scene.world.server.take_paths().is_empty(), "the swap waits for no check");
    rustix::process::kill_process(rustix::process::Pid::from_child(&service), rustix::process::Signal::TERM).unwrap();
    wait_for("the service's end", || service.try_wait().unwrap());
    user.has("core", &shared.scene.two);
}

#[test]
fn without_a_service_the_program_of_another_user_is_told_whose_it_is() {
    let Some(shared) = SharedRoot::new() else { return };
    let user = &shared.scene.world.user;
    shared.start(1, &["exit:0"]).wait().unwrap();
    assert_has(&shared.scene.lines(1)[0], &["started=UpdatesOff(NotOurs { path: "]);
    assert!(!user.root().join(".patcher-users").exists());
}
