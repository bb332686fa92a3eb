//! Networks whose only way out is a proxy: HTTP, CONNECT and SOCKS5, with or without a password.

use crate::support::left_out;
use crate::support::proxy::{Proxy, Speaks};
use crate::support::run::Run;
use crate::support::scripted::{Reply, Scripted};
use crate::support::server::{Server, ServerKind};
use crate::support::tree::Tree;
use crate::support::world::World;
use std::process::Command;

type Login<'a> = Option<(&'a str, &'a str)>;

/// A user name and password that a URL must escape.
const LOGIN: (&str, &str) = ("me", "se-cret");
const WRONG: (&str, &str) = ("me", "un-known");

/// Creates a world with version 1 on the site, whose user trusts the server and never retries.
fn world(kind: ServerKind) -> Option<(World<Server>, Tree)> {
    let mut world = World::on(kind)?;
    world.user.options = ["--retries", "0"].map(Into::into).to_vec();
    if kind == ServerKind::NginxTls {
        world.user.options.extend(["--cacert".into(), world.server.authority().display().to_string()]);
    }
    let one = Tree::from_seed(1);
    world.publish("1.0.0", &one);
    Some((world, one))
}

/// Installs and updates through a proxy, from a site over http and one over https.
fn everything_goes_by(speaks: Speaks, scheme: &str, login: Login<'_>) {
    for kind in [ServerKind::Nginx, ServerKind::NginxTls] {
        let Some((mut world, one)) = world(kind) else { return };
        let Some(proxy) = Proxy::start(speaks, login) else { return };
        world.user.options.extend(["--proxy".into(), proxy.url(scheme, login)]);
        world.install("core");
        world.user.has("core", &one);
        assert!(proxy.was_used(), "the first installation");
        let two = one.mutate(2);
        world.publish("2.0.0", &two);
        world.user.json(10, &["check"]);
        assert!(proxy.was_used(), "the check");
        world.user.ok(&["update"]);
        world.user.has("core", &two);
        assert!(proxy.was_used(), "the update");
    }
}

#[test]
fn a_site_is_reached_by_an_http_proxy() {
    everything_goes_by(Speaks::Http, "http", None);
}

#[test]
fn a_site_is_reached_by_an_http_proxy_with_a_password() {
    everything_goes_by(Speaks::Http, "http", Some(LOGIN));
}

#[test]
fn a_site_is_reached_by_a_socks_proxy() {
    everything_goes_by(Speaks::Socks5, "socks5", None);
    everything_goes_by(Speaks::Socks5, "socks5h", None);
}

#[test]
fn a_site_is_reached_by_a_socks_proxy_with_a_password() {
    everything_goes_by(Speaks::Socks5, "socks5", Some(LOGIN));
    everything_goes_by(Speaks::Socks5, "socks5h", Some(LOGIN));
}

#[test]
fn a_wrong_proxy_password_is_a_network_error_and_is_not_printed() {
    for (speaks, scheme) in [(Speaks::Http, "http"), (Speaks::Socks5, "socks5")] {
        for kind in [ServerKind::Nginx, ServerKind::NginxTls] {
            let Some((world, _)) = world(kind) else { return };
            let Some(proxy) = Proxy::start(speaks, Some(LOGIN)) else { return };
            let url = world.manifest_url("core");
            // The proxy's answer has its own status only without a tunnel.
            let answers = speaks == Speaks::Http && kind == ServerKind::Nginx;
            let code = if answers { "http-status" } else { "unreachable" };
            for login in [None, Some(WRONG)] {
                let proxy = proxy.url(scheme, login);
                let command = ["--proxy", &proxy, "--json", "-v", "install", "core", "--from", &url];
                let run = world.user.run(&command);
                run.fails(20, code);
                assert!(!format!("{run:?}").contains(WRONG.1), "{run:?}");
                let plain = world.user.run(&["--proxy", &proxy, "-v", "install", "core", "--from", &url]).ends(20);
                assert!(!format!("{plain:?}").contains(WRONG.1), "{plain:?}");
            }
        }
    }
}

#[test]
fn an_invalid_proxy_address_is_reported_without_its_password() {
    let Some((world, _)) = world(ServerKind::Nginx) else { return };
    for proxy in ["ftp://me:se-cret@127.0.0.1", "http://me:se-cret@127.0.0.1:none"] {
        let run = world.user.run(&["--json", "-v", "--proxy", proxy, "check"]);
        run.fails(2, "bad-setting");
        assert!(!format!("{run:?}").contains(LOGIN.1), "{run:?}");
    }
}

#[test]
fn an_unreachable_proxy_is_not_bypassed() {
    let Some((world, _)) = world(ServerKind::Nginx) else { return };
    let url = world.manifest_url("core");
    world.server.take_requests();
    for proxy in ["http://127.0.0.1:9", "socks5://127.0.0.1:9"] {
        let run = world.user.run(&["--proxy", proxy, "--json", "install", "core", "--from", &url]);
        run.fails(20, "unreachable");
        assert!(run.out.contains("by the proxy"), "{run:?}");
    }
    assert!(world.server.take_requests().is_empty());
}

/// Runs `check` with these environment variables.
fn check(world: &World<Server>, environment: &[(&str, &str)], more: &[&str]) -> Run {
    let mut command: Command = world.user.command(&[more, &["check"]].concat());
    Run::of(command.envs(environment.iter().copied()))
}

#[test]
fn the_environment_names_proxies_and_exceptions() {
    for (kind, names) in
        [(ServerKind::Nginx, ["http_proxy", "ALL_PROXY"]), (ServerKind::NginxTls, ["https_proxy", "HTTPS_PROXY"])]
    {
        let Some((world, _)) = world(kind) else { return };
        world.install("core");
        let Some(proxy) = Proxy::start(Speaks::Http, Some(LOGIN)) else { return };
        let address = proxy.url("http", Some(LOGIN));
        for name in names {
            check(&world, &[(name, &address)], &[]).ends(0);
            assert!(proxy.was_used(), "{name}");
            check(&world, &[(name, &address), ("no_proxy", "127.0.0.1")], &[]).ends(0);
            check(&world, &[(name, &address), ("NO_PROXY", "127.0.0.0/8")], &[]).ends(0);
            check(&world, &[(name, &address)], &["--no-proxy", "localhost,127.0.0.1"]).ends(0);
            check(&world, &[(name, "http://127.0.0.1:9")], &["--proxy", ""]).ends(0);
            assert!(!proxy.was_used(), "{name}");
        }
        check(&world, &[("HTTP_PROXY", &address)], &[]).ends(0);
        assert!(!proxy.was_used(), "a web server's CGI program gets that from a request");
    }
}

/// The settings of GNOME, kept in a file and not in the database of this session.
#[test]
fn the_settings_of_the_desktop_name_a_proxy_where_the_environment_names_none() {
    let Some(gsettings) = left_out::program("gsettings") else { return };
    let Some((world, _)) = world(ServerKind::Nginx) else { return };
    world.install("core");
    let Some(proxy) = Proxy::start(Speaks::Http, None) else { return };
    let (address, home) = (proxy.url("http", None), world.user.path("settings"));
    let (host, port) = address.trim_end_matches('/').rsplit_once("//").unwrap().1.split_once(':').unwrap();
    let desktop = [
        ("XDG_CURRENT_DESKTOP", "GNOME"),
        ("GSETTINGS_BACKEND", "keyfile"),
        ("XDG_CONFIG_HOME", home.to_str().unwrap()),
    ];
    let set = |schema: &str, key: &str, value: &str| {
        let schema = format!("org.gnome.system.proxy{schema}");
        let status = Command::new(&gsettings).args(["set", &schema, key, value]).envs(desktop).status();
        assert!(status.unwrap().success(), "the package gsettings-desktop-schemas is missing");
    };
    set("", "mode", "manual");
    set("", "ignore-hosts", "[]");
    set(".http", "host", host);
    set(".http", "port", port);
    check(&world, &desktop, &[]).ends(0);
    assert!(proxy.was_used());
    let told = |more: &[&str]| {
        let run = Run::of(world.user.command(&[&["--json"], more, &["doctor"]].concat()).envs(desktop)).ends(0).json();
        let findings = run["findings"].as_array().unwrap().clone();
        let proxy = findings.into_iter().find(|finding| finding["subject"] == "proxy").unwrap();
        proxy["message"].as_str().unwrap().to_owned()
    };
    assert!(told(&[]).ends_with(&format!(": http://{host}:{port}, by the settings of the desktop")), "{}", told(&[]));
    proxy.was_used();
    for environment in [&[("all_proxy", "")][..], &[("XDG_CURRENT_DESKTOP", "")]] {
        check(&world, &[&desktop[..], environment].concat(), &[]).ends(0);
        assert!(!proxy.was_used(), "{environment:?}");
    }
    assert!(told(&["--proxy", ""]).ends_with(": no proxy, by the configuration"));
    assert!(told(&["--no-proxy", "127.0.0.1"]).ends_with(": no proxy, by the list of hosts without one"));
    set("", "mode", "auto");
    assert!(told(&[]).contains("PAC"));
    assert!(!proxy.was_used());
}

#[test]
fn a_proxy_gets_the_password_again_after_a_redirect() {
    let (mut world, _, _, two) = World::outdated();
    let Some(proxy) = Proxy::start(Speaks::Http, Some(LOGIN)) else { return };
    let elsewhere = Scripted::serve(&world.publisher.site(), |_| Reply::Site);
    let target = elsewhere.url();
    world
        .server
        .follow(move |request| Reply::redirect(302, &format!("{}{}", target.trim_end_matches('/'), request.path)));
    world.user.options = ["--retries", "0", "--proxy", &proxy.url("http", Some(LOGIN))].map(Into::into).to_vec();
    world.user.ok(&["update"]);
    world.user.has("core", &two);
    assert!(elsewhere.take_paths().len() > 1 && proxy.was_used());
}
