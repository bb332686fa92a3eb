//! Installations are counted once a week, if publisher and user both agree.

use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::Tree;
use crate::support::world::World;
use patcher::Timestamp;
use serde_json::json;

/// Returns the counting requests since the last call.
fn counted(world: &World<Scripted>) -> Vec<String> {
    world.server.take_paths().into_iter().filter(|path| path.contains("adoption")).collect()
}

/// Returns a world with version 1.0.0 installed.
fn installed(publisher_counts: bool) -> World<Scripted> {
    let world = World::honest();
    let tree = Tree::from_seed(1);
    let release = world.publisher.release("core", "1.0.0", &tree);
    if publisher_counts {
        release.adoption().sign()
    } else {
        release.sign()
    };
    world.install("core");
    world
}

#[test]
fn an_installation_is_counted_once_a_week_only_if_publisher_and_user_agree() {
    for publisher_counts in [false, true] {
        let world = installed(publisher_counts);
        world.user.ok(&["check"]);
        assert!(counted(&world).is_empty(), "the user has not agreed");
        assert_eq!(world.user.ok(&["adoption", "on"]), json!({ "adoption": true }));
        assert_eq!(world.user.ok(&["status"])["adoption"], true);
        assert!(counted(&world).is_empty(), "only a check counts");
        let before = Timestamp::now().week();
        world.user.ok(&["check"]);
        world.user.ok(&["check"]);
        let found = counted(&world);
        if !publisher_counts {
            assert!(found.is_empty(), "{found:?}: the publisher does not count");
            continue;
        }
        // A week can begin between the two checks.
        assert_eq!(found[0], format!("/core/adoption/{before}/1.0.0"));
        assert!(found.len() == 1 || before != Timestamp::now().week(), "{found:?}");
    }
}

#[test]
fn a_user_who_takes_the_agreement_back_is_not_counted() {
    let world = installed(true);
    world.user.ok(&["adoption", "on"]);
    assert_eq!(world.user.ok(&["adoption", "off"]), json!({ "adoption": false }));
    world.user.ok(&["check"]);
    assert!(counted(&world).is_empty());
    assert_eq!(world.user.ok(&["status"])["adoption"], false);
}

#[test]
fn a_check_does_not_fail_because_of_the_count_and_sends_nothing_that_other_requests_lack() {
    let world = World::scripted(|request| match request.path.contains("adoption") {
        true => Reply::status(500),
        false => Reply::Site,
    });
    world.publisher.release("core", "1.0.0", &Tree::from_seed(1)).adoption().sign();
    world.install("core");
    world.user.ok(&["adoption", "on"]);
    world.server.take_requests();
    assert_eq!(world.user.ok(&["check"])["updates"], json!([]));
    let requests = world.server.take_requests();
    let [check, count] = &requests[..] else { panic!("{} requests", requests.len()) };
    let headers = |head: &str| head.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(headers(&check.head), headers(&count.head));
}
