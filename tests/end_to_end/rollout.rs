//! Publisher and user both decide which releases a machine is offered.

use crate::support::tree::Tree;
use crate::support::world::World;
use serde_json::json;

#[test]
fn a_release_with_a_rollout_of_0_is_deferred_until_the_rollout_grows() {
    let world = World::honest();
    let (one, two) = (Tree::from_seed(1), Tree::from_seed(1).mutate(2));
    world.publish("1.0.0", &one);
    world.install("core");
    world.publisher.release("core", "2.0.0", &two).with(&["--rollout", "0%"]).sign();
    let deferred = world.user.ok(&["check"])["deferred"].clone();
    assert_eq!(deferred, json!([{ "component": "core", "version": "2.0.0", "why": "paused", "reason": null }]));
    world.user.ok(&["update"]);
    world.user.has("core", &one);
    world.publisher.run_tool(&["resign", "core", "--rollout", "100%"]);
    world.user.json(10, &["check"]);
    // The kill switch also stops a staged release.
    world.user.ok(&["download"]);
    world.publisher.run_tool(&["pause", "core"]);
    assert_eq!(world.user.ok(&["check"])["deferred"][0]["why"], "paused");
    world.publisher.run_tool(&["resign", "core", "--rollout", "100%"]);
    world.user.ok(&["update"]);
    world.user.has("core", &two);
}

#[test]
fn a_skipped_version_is_deferred_and_a_higher_or_critical_one_offered() {
    let world = World::honest();
    let (one, two) = (Tree::from_seed(1), Tree::from_seed(1).mutate(2));
    world.publish("1.0.0", &one);
    world.install("core");
    assert_eq!(world.user.ok(&["skip", "core"]), json!({ "component": "core", "skipped": null }));
    world.publish("2.0.0", &two);
    assert_eq!(world.user.ok(&["skip", "core"]), json!({ "component": "core", "skipped": "2.0.0" }));
    assert_eq!(world.user.ok(&["check"])["deferred"][0]["why"], "skipped");
    world.user.ok(&["update"]);
    world.user.has("core", &one);
    world.publisher.run_tool(&["resign", "core", "--critical"]);
    assert_eq!(world.user.json(10, &["check"])["updates"][0]["critical"], true);
    world.publisher.run_tool(&["resign", "core", "--critical=false"]);
    world.user.ok(&["check"]);
    world.publish("3.0.0", &two);
    assert_eq!(world.user.json(10, &["check"])["updates"][0]["to"], "3.0.0");
}

#[test]
fn an_old_version_is_updated_over_the_stepping_stone() {
    let world = World::honest();
    let trees = [Tree::from_seed(1), Tree::from_seed(1).mutate(2), Tree::from_seed(1).mutate(2).mutate(3)];
    world.publish("1.0.0", &trees[0]);
    world.install("core");
    world.publish("2.0.0", &trees[1]);
    world.publisher.release("core", "3.0.0", &trees[2]).with(&["--min-version", "2.0.0"]).sign();
    let update = world.user.json(10, &["check"])["updates"][0].clone();
    assert_eq!((&update["to"], &update["stepping_stone_to"]), (&json!("2.0.0"), &json!("3.0.0")));
    world.user.ok(&["download"]);
    world.server.take_requests();
    world.user.ok(&["apply"]);
    assert!(world.server.take_requests().is_empty());
    world.user.has("core", &trees[1]);
    let update = world.user.json(10, &["check"])["updates"][0].clone();
    assert_eq!((&update["to"], &update["stepping_stone_to"]), (&json!("3.0.0"), &json!(null)));
    world.user.ok(&["update"]);
    world.user.has("core", &trees[2]);
}

#[test]
fn a_user_of_another_channel_stays_there_when_its_release_is_promoted() {
    let mut world = World::honest();
    let (one, two) = (Tree::from_seed(1), Tree::from_seed(1).mutate(2));
    world.publish("1.0.0", &one);
    world.install("core");
    world.publisher.release("core", "2.0.0", &two).channel("beta").sign();
    world.user.ok(&["check"]);
    world.user.options = ["--channel", "beta"].map(Into::into).to_vec();
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    assert_eq!(world.user.ok(&["status"])["components"][0]["channel"], "beta");
    world.publisher.run_tool(&["promote", "core", "--from", "beta", "--to", "stable"]);
    world.user.options.clear();
    world.user.ok(&["check"]);
    world.user.has("core", &two);
    assert_eq!(world.user.ok(&["status"])["components"][0]["channel"], "stable");
}
