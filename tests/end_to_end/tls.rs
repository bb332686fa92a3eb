//! A site over https, with a certificate of an authority that only this user trusts.

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

/// Counts the connections of a check and a download of many objects, four at a time.
fn connections(kind: Kind) -> Option<Vec<(String, bool)>> {
    let mut world = World::on(kind)?;
    world.user.options.extend(["--cacert".into(), world.server.authority().display().to_string()]);
    let one = Tree::from_seed(1);
    world.publish("1.0.0", &one);
    world.install("core");
    let two = Tree::from_seed(2);
    let objects = world.publisher.release("core", "2.0.0", &two).whole().sign().objects().len();
    let before = world.server.tls_connections();
    world.server.take_requests();
    world.user.ok(&["download"]);
    assert!(world.server.take_requests().len() > objects / 2 && objects > 8, "{objects} objects");
    let new = world.server.tls_connections().difference(&before).cloned().collect::<Vec<_>>();
    Some(new.into_iter().map(|(_, protocol, resumed)| (protocol, resumed)).collect())
}

#[test]
fn a_check_and_download_need_one_connection_by_http_2() {
    let Some(connections) = connections(Kind::NginxHttp2) else { return };
    assert_eq!(connections, [("HTTP/2.0".to_owned(), false)]);
}

#[test]
fn connections_are_used_again_and_so_are_tls_sessions() {
    let Some(connections) = connections(Kind::NginxTls) else { return };
    assert!(connections.len() <= 5, "{connections:?}");
    // A server gives two tickets with each full handshake, each for one connection.
    assert!(connections.iter().filter(|(_, resumed)| !resumed).count() <= 2, "{connections:?}");
}
