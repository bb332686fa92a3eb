//! The rule against downloads on a metered network, with a `busctl` that answers as NetworkManager.

use crate::namespace::{in_namespace, objects};
use crate::support::left_out;
use crate::support::world::World;

/// Puts a copy over `/etc`, with a policy.
const MOUNT: &str = "cp -a /etc \"$DIR/etc\" && mount --bind \"$DIR/etc\" /etc && mkdir -p /etc/patcher \
                     && echo 'metered = false' > /etc/patcher/policy.toml";

#[test]
fn a_metered_network_defers_a_download_until_there_is_another_one() {
    if !rustix::process::geteuid().is_root() {
        return left_out::report("a policy that belongs to root: this user is another one");
    }
    let (world, ..) = World::outdated();
    let script = r#"mkdir "$DIR/bin"; PATH=$DIR/bin:$PATH
says() { printf '#!/bin/sh\n%s\n' "$1" > "$DIR/bin/busctl"; chmod +x "$DIR/bin/busctl"; }
says 'echo u 3'; P check; P download; P doctor
says 'exit 1'; P doctor
says 'echo u 4'; P check; P update"#;
    let Some(run) = in_namespace(&world, MOUNT, script) else { return };
    let printed = objects(&run);
    assert_eq!(printed[0]["deferred"][0]["why"], "policy-metered", "{printed:#?}");
    assert_eq!(printed[1]["staged"], serde_json::json!([]));
    let policy = |found: &serde_json::Value| {
        let findings = found["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["subject"] == "policy").unwrap()["message"].to_string()
    };
    assert!(policy(&printed[2]).contains("; the network is metered"), "{}", policy(&printed[2]));
    assert!(policy(&printed[3]).contains("nothing here knows"), "{}", policy(&printed[3]));
    assert_eq!(printed[4]["updates"][0]["to"], "2.0.0", "{printed:#?}");
    assert_eq!(printed[5]["applied"][0]["to"], "2.0.0", "{printed:#?}");
}
