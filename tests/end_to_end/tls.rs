//! A site over https, vouched for by an authority that only this user trusts.

use crate::support::server::Kind;
use crate::support::tree::Tree;
use crate::support::world::{Serving as _, World};

#[test]
fn a_site_over_https_needs_an_authority_that_is_trusted() {
    let Some(mut world) = World::on(Kind::NginxTls) else { return };
    let one = Tree::from_seed(1);
    world.publish("1.0.0", &one);
    let url = world.manifest_url("core");
    assert!(url.starts_with("https://"));
    world.user.fails(20, "unreachable", &["install", "core", "--from", &url]);

    let authority = world.server.authority().display().to_string();
    world.user.options.extend(["--cacert".into(), authority]);
    world.install("core");
    world.user.has("core", &one);
    world.publish("2.0.0", &one.mutate(2));
    world.user.ok(&["update"]);
    world.user.has("core", &one.mutate(2));
}

#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let Some(mut world) = World::on(Kind::NginxTls) else { return };
    world.publish("1.0.0", &Tree::from_seed(1));
    let authority = world.server.authority().display().to_string();
    world.user.options.extend(["--cacert".into(), authority]);
    let url = format!("{}unsafe.xml", world.server.url());
    world.server.take_requests();
    world.user.fails(20, "redirect", &["install", "core", "--from", &url]);
    assert_eq!(world.server.take_requests().len(), 1);
}
