//! Releases for a share of the clients.

use crate::publisher::Publisher;

const LATEST: &str = "site/core/manifest.xml";

fn audience(publisher: &Publisher) -> (Option<u8>, bool) {
    let meta = publisher.manifest(LATEST).meta;
    (meta.rollout, meta.critical)
}

#[test]
fn a_rollout_is_raised_step_by_step_and_nothing_else_changes() {
    let publisher = Publisher::new();
    publisher.write("news.txt", "The news.");
    let out = publisher.sign(&["--rollout", "10%", "--notes", "en=news.txt"]).ok();
    assert!(out.contains("offered to 10% of the clients\n"), "{out}");
    let first = publisher.manifest(LATEST);
    assert_eq!(first.meta.rollout, Some(10));
    publisher.run(&["resign", "core", "--rollout", "50%"]).ok();
    assert_eq!(audience(&publisher), (Some(50), false));
    publisher.run(&["resign", "core"]).ok();
    assert_eq!(audience(&publisher), (Some(50), false), "a renewal leaves it as it is");
    publisher.run(&["resign", "core", "--rollout", "100%"]).ok();
    assert_eq!(audience(&publisher), (None, false));
    let last = publisher.manifest(LATEST);
    assert!(last.same_content(&first));
    assert_eq!((last.meta.sequence, last.meta.notes), (4, first.meta.notes));
}

#[test]
fn a_paused_release_is_offered_to_no_client_even_if_critical() {
    let publisher = Publisher::new();
    let out = publisher.sign(&["--critical"]).ok();
    assert!(out.contains("critical: offered to all clients"), "{out}");
    assert_eq!(audience(&publisher), (None, true));
    let out = publisher.run(&["pause", "core"]).ok();
    assert!(out.contains("paused: offered to no client\n"), "{out}");
    assert_eq!(audience(&publisher), (Some(0), false));
    publisher.run(&["resign", "core", "--rollout", "100%", "--critical"]).ok();
    assert_eq!(audience(&publisher), (None, true));
    publisher.run(&["resign", "core", "--rollout", "0%"]).ok();
    assert_eq!(audience(&publisher), (Some(0), true), "only what is asked for changes");
    publisher.run(&["resign", "core", "--critical=false"]).ok();
    assert_eq!(audience(&publisher), (Some(0), false));
    let out = publisher.run(&["inspect", LATEST]).ok();
    assert!(out.contains("rollout    0%\n") && !out.contains("critical"), "{out}");
    publisher.run(&["pause", "core", "--channel", "beta"]).fails(22, "beta.xml");
}

#[test]
fn an_invalid_rollout_is_refused() {
    let publisher = Publisher::new();
    for wrong in ["101%", "-1%", "1.5%", "%", "256", "ten"] {
        publisher.sign(&[&format!("--rollout={wrong}")]).fails(2, "rollout");
    }
    publisher.sign(&["--rollout", "99"]).ok();
    publisher.run(&["resign", "core", "--rollout", "101%"]).fails(2, "rollout");
    assert_eq!(publisher.manifest(LATEST).meta.sequence, 1);
}
