//! A site over https, with a certificate of an authority that only this user trusts.

use crate::support::server::ServerKind;
use crate::support::tree::Tree;
use crate::support::world::{Serving as _, World};

#[test]
fn a_site_over_https_needs_an_authority_that_is_trusted() {
    let Some(mut world) = World::on(ServerKind::NginxTls) else { return };
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
    let Some(mut world) = World::on(ServerKind::NginxTls) else { return };
    world.publish("1.0.0", &Tree::from_seed(1));
    let authority = world.server.authority().display().to_string();
    world.user.options.extend(["--cacert".into(), authority]);
    let url = format!("{}unsafe.xml", world.server.url());
    world.server.take_requests();
    world.user.fails(20, "redirect", &["install", "core", "--from", &url]);
    assert_eq!(world.server.take_requests().len(), 1);
}

#[test]
fn a_private_site_gets_a_client_certificate_and_the_query_of_its_url() {
    let Some(mut world) = World::on(ServerKind::NginxPrivate) else { return };
    let one = Tree::from_seed(1);
    world.publish("1.0.0", &one);
    world.user.options.extend(["--cacert".into(), world.server.authority().display().to_string()]);
    let url = world.server.url();
    let site = format!("{url}?sig=s3cret");
    let [certificate, key] = world.server.client_certificate().map(|path| path.display().to_string());
    let both = world.user.path("both.pem");
    std::fs::write(&both, [&key, &certificate].map(|path| std::fs::read_to_string(path).unwrap()).concat()).unwrap();
    let from = |query: &str| format!("{url}core/manifest.xml{query}");
    let identity = ["--client-cert", &certificate, "--client-key", &key];
    let refused = |status: &str, identity: &[&str], from: &str| {
        let run = world.user.run(&[&["--json"], identity, &["install", "core", "--from", from]].concat());
        run.fails(20, "http-status");
        assert!(run.out.contains(&format!("HTTP status {status}")) && !run.out.contains("?sig"), "{}", run.out);
    };
    refused("401", &[], &from("?sig=s3cret"));
    refused("403", &identity, &from("?sig=wrong"));

    world.user.ok(&[&identity[..], &["install", "core", "--from", &from("?sig=s3cret")]].concat());
    world.user.has("core", &one);
    let two = one.mutate(2);
    world.publish("2.0.0", &two);
    world.user.ok(&["--client-cert", both.to_str().unwrap(), "--site", &site, "update"]);
    world.user.has("core", &two);
    for entry in walkdir::WalkDir::new(world.user.root()).into_iter().map(Result::unwrap) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"s3cret"), "{:?}", entry.path());
    }
    // The base URL of the manifest names no origin for the certificate.
    world.user.fails(2, "bad-setting", &[&identity[..], &["check"]].concat());
    // Neither a file without a key nor a key of another certificate is an identity.
    for wrong in [&["--client-cert", &certificate][..], &["--client-cert", &certificate, "--client-key", &certificate]]
    {
        world.user.fails(2, "bad-setting", &[wrong, &["--site", &site, "check"]].concat());
    }
}

/// Counts the connections of a check and a download of many objects, four at a time.
fn connections(kind: ServerKind) -> Option<Vec<(String, bool)>> {
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
    let Some(connections) = connections(ServerKind::NginxHttp2) else { return };
    assert_eq!(connections, [("HTTP/2.0".to_owned(), false)]);
}

#[test]
fn connections_are_used_again_and_so_are_tls_sessions() {
    let Some(connections) = connections(ServerKind::NginxTls) else { return };
    assert!(connections.len() <= 5, "{connections:?}");
    // A server gives two tickets with each full handshake, each for one connection.
    assert!(connections.iter().filter(|(_, resumed)| !resumed).count() <= 2, "{connections:?}");
}
