//! The administrator's policy, in a mount namespace with a separate `/etc/patcher`.

use crate::namespace::{in_namespace, objects};
use crate::support::left_out;
use crate::support::scripted::Scripted;
use crate::support::tree::Tree;
use crate::support::world::World;
use serde_json::{Value, json};

/// Puts a copy over `/etc`, with an empty `/etc/patcher`.
const MOUNT: &str = "cp -a /etc $DIR/etc && mount --bind $DIR/etc /etc && rm -rf /etc/patcher && mkdir /etc/patcher";

/// Returns a world with version 1 installed and version 2 published.
fn world() -> World<Scripted> {
    World::outdated().0
}

/// Runs a script under a policy, and returns the objects that it has printed.
///
/// Returns `None` where no policy can belong to the administrator.
fn under(world: &World<Scripted>, policy: &str, script: &str) -> Option<Vec<Value>> {
    if !rustix::process::geteuid().is_root() {
        left_out::report("a policy that belongs to root: this user is another one");
        return None;
    }
    let script = format!("cat > /etc/patcher/policy.toml <<'END'\n{policy}\nEND\n{script}");
    let run = in_namespace(world, MOUNT, &script)?;
    Some(objects(&run))
}

#[test]
fn a_policy_turns_updates_off_and_its_users_are_told() {
    let world = world();
    let script = "P status; P check; P update; P verify; P download";
    let Some(printed) = under(&world, "updates = false", script) else { return };
    let [status, check, update, verify, download] = printed.as_slice() else { panic!("{printed:#?}") };
    assert_eq!(status["policy"], json!({ "path": "/etc/patcher/policy.toml", "rules": ["updates = false"] }));
    for refused in [check, update, download] {
        assert_eq!(refused["error"]["code"], "updates-off", "{refused}");
        assert_eq!(refused["error"]["exit"], 22);
    }
    assert_eq!(verify["components"][0]["damaged"], json!([]));
    assert!(world.server.take_paths().is_empty(), "no server is asked");
    // Without the policy, the update follows.
    assert_eq!(world.user.ok(&["status"])["policy"], Value::Null);
    world.user.ok(&["update"]);
}

#[test]
fn a_staged_update_waits_while_updates_are_off() {
    let world = world();
    world.user.ok(&["download"]);
    let script = "P apply; rm /etc/patcher/policy.toml; P apply";
    let Some(printed) = under(&world, "updates = false", script) else { return };
    assert_eq!(printed[0]["error"]["code"], "updates-off", "{printed:#?}");
    assert_eq!(printed[1]["applied"][0]["to"], "2.0.0", "{printed:#?}");
}

#[test]
fn a_pinned_version_defers_all_others() {
    let world = world();
    let script = "P check; P download; sed -i s/1.0/2.0/ /etc/patcher/policy.toml; P check";
    let Some(printed) = under(&world, "[versions]\ncore = '~1.0'", script) else { return };
    assert_eq!(printed[0]["deferred"][0]["why"], "policy-version", "{printed:#?}");
    assert_eq!(printed[1]["staged"], json!([]));
    assert_eq!(printed[2]["updates"][0]["to"], "2.0.0", "{printed:#?}");
}

#[test]
fn a_release_is_taken_some_days_after_its_first_sight() {
    let world = world();
    // The second check is 6 days and 23 hours after the first sight, the third one 7 days.
    let earlier = |hours: u32| {
        format!(
            "sed -i \"/<release/s/at=\\\"[^\\\"]*/at=\\\"$(date -u -d '-{hours} hours' +%FT%TZ)/\" \"$ROOT/.patcher/sights.xml\""
        )
    };
    let script = format!("P check; {}; P check; {}; P check", earlier(7 * 24 - 1), earlier(7 * 24 + 1));
    let Some(printed) = under(&world, "cooldown-days = 7", &script) else { return };
    assert_eq!(printed[0]["deferred"][0]["why"], "policy-cooldown", "{printed:#?}");
    assert_eq!(printed[1]["deferred"][0]["why"], "policy-cooldown", "{printed:#?}");
    assert_eq!(printed[2]["updates"][0]["to"], "2.0.0", "{printed:#?}");
}

#[test]
fn a_critical_release_of_one_key_has_a_cooldown_too() {
    let world = world();
    world.publisher.run_tool(&["resign", "core", "--critical"]);
    let Some(printed) = under(&world, "cooldown-days = 7", "P check") else { return };
    assert_eq!(printed[0]["deferred"][0]["why"], "policy-cooldown", "{printed:#?}");
}

#[test]
fn downloads_wait_for_their_part_of_the_day() {
    let world = world();
    // Two hours from now, and from an hour ago to two hours from now.
    let hours = |from: i32, to: i32| format!("$(date -d '{from} hours' +%H:00)-$(date -d '{to} hours' +%H:00)");
    let write = |hours: String| format!("echo \"hours = '{hours}'\" > /etc/patcher/policy.toml");
    let script = format!("{}; P check; P update; {}; P update", write(hours(2, 3)), write(hours(-1, 2)));
    let Some(printed) = under(&world, "", &script) else { return };
    assert_eq!(printed[0]["deferred"][0]["why"], "policy-hours", "{printed:#?}");
    assert_eq!(printed[1]["applied"], json!([]));
    assert_eq!(printed[2]["applied"][0]["to"], "2.0.0", "{printed:#?}");
}

#[test]
fn a_root_follows_the_mirror_and_the_channel_of_its_policy() {
    let world = world();
    world.publisher.release("core", "3.0.0", &Tree::from_seed(3)).channel("beta").whole().sign();
    world.server.take_paths();
    let (root, site) = (world.user.root(), world.publisher.site());
    let policy = format!(
        "channel = 'stable'\n[root.'{}']\nchannel = 'beta'\nmirror = '{}'\n[root.'/opt/other']\nupdates = false",
        root.display(),
        site.display(),
    );
    let Some(printed) = under(&world, &policy, "P check") else { return };
    assert_eq!(printed[0]["updates"][0]["to"], "3.0.0", "{printed:#?}");
    assert!(world.server.take_paths().is_empty(), "the mirror is asked, and no server");
}

#[test]
fn a_policy_that_cannot_be_used_stops_updates_and_nothing_else() {
    let world = world();
    let script = "P check; P status; P verify; echo 'updates = true' > /etc/patcher/policy.toml; \
                  chmod 666 /etc/patcher/policy.toml; P check";
    let Some(printed) = under(&world, "update = false", script) else { return };
    assert_eq!(printed[0]["error"]["code"], "policy", "{printed:#?}");
    assert!(printed[0]["error"]["message"].as_str().unwrap().contains("unknown field `update`"), "{printed:#?}");
    assert_eq!(printed[1]["policy"]["error"]["code"], "policy");
    assert_eq!(printed[2]["components"][0]["damaged"], json!([]));
    assert!(printed[3]["error"]["message"].as_str().unwrap().contains("other users"), "{printed:#?}");
}
