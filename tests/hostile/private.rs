//! Private sites: secret queries and credentials that the program supplies go to their server, and
//! appear nowhere else.

use super::world::{HostileWorld, MANIFEST, check};
use crate::support::scripted::{Reply, Scripted, ScriptedRequest};
use patcher::{Credentials, CredentialsReason, Patcher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

const QUERY: &str = "sv=1&sig=s3cret";

/// Answers with the site if the request has the secret query, and with 403 otherwise.
fn demands_query(request: &ScriptedRequest) -> Reply {
    if request.path.ends_with(&format!("?{QUERY}")) { Reply::Site } else { Reply::status(403) }
}

/// Expects that no file below the install root contains the secret.
fn assert_nowhere(world: &HostileWorld) {
    for entry in walkdir::WalkDir::new(world.root()).into_iter().map(Result::unwrap) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"s3cret"), "{:?}", entry.path());
    }
}

#[test]
fn a_secret_query_is_added_to_each_url_and_stored_nowhere() {
    let world = HostileWorld::new();
    world.server.follow(demands_query);
    let patcher = |site: &str| Patcher::new(world.config().site(site)).unwrap();
    assert_eq!(check(&patcher(&world.server.url())), "http-status");
    let site = format!("{}?{QUERY}", world.server.url());
    let update = patcher(&site).check_component("core").unwrap().update().unwrap();
    update.download(|_| {}).unwrap().apply().unwrap();
    assert!(world.server.take_paths().len() > 3);
    assert_nowhere(&world);
    for status in [403, 500] {
        world.server.follow(move |_| Reply::status(status));
        let error = patcher(&site).check_component("core").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
    let finding = format!("{:?}", patcher(&site).examine());
    assert!(!finding.contains("s3cret"), "{finding}");
    let error = Patcher::new(world.config().site("https://host:port/?sig=s3cret")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
}

#[test]
fn the_query_of_a_first_installation_serves_its_component_only() {
    let world = HostileWorld::new();
    world.server.follow(demands_query);
    let from = format!("{}core/manifest.xml?{QUERY}", world.server.url());
    let patcher = world.patcher();
    patcher.install("core", &from).unwrap().download(|_| {}).unwrap().apply().unwrap();
    assert_nowhere(&world);
    world.server.take_paths();
    assert_eq!(patcher.install("other", &world.server.url()).unwrap_err().code(), "http-status");
    assert!(world.server.take_paths().iter().all(|path| !path.contains("s3cret")));
}

/// A mirror, a redirect to it, and another customer's folder on the same server.
#[test]
fn no_other_server_and_no_other_folder_gets_the_query() {
    let world = HostileWorld::new();
    let elsewhere = Scripted::in_memory();
    elsewhere.put(MANIFEST, world.server.file(MANIFEST));
    let target = format!("{}core/manifest.xml", elsewhere.url());
    world.server.put("/theirs/manifest.xml", world.server.file(MANIFEST));
    let site = format!("{}mine/?{QUERY}", world.server.url());
    for target in [target, "/theirs/manifest.xml".to_owned()] {
        let led = target.clone();
        world.server.follow(move |request| match request.path.starts_with("/mine/") {
            true => Reply::redirect(302, &led),
            false => Reply::Site,
        });
        assert_eq!(check(&Patcher::new(world.config().site(&site)).unwrap()), "update to 2.0.0");
        let (asked, led) = (world.server.take_paths(), elsewhere.take_paths());
        assert!(asked[0].ends_with(QUERY), "{asked:?}");
        let others: Vec<_> = asked.iter().filter(|path| !path.starts_with("/mine/")).chain(&led).collect();
        assert!(!others.is_empty() && others.iter().all(|path| !path.contains("sig")), "{others:?}");
    }
}

/// A server that repeats the query in a redirect, as one that adds a slash does.
#[test]
fn a_query_in_a_redirect_is_not_recorded() {
    let world = HostileWorld::new();
    let object = world.new.object_path("bin/app");
    world.server.follow(move |request| {
        let (path, query) = request.path.split_once('?').unwrap();
        match path == object {
            true => Reply::redirect(302, &format!("{path}-moved?{query}")),
            false if path.ends_with("-moved") => Reply::CutAfter(1000),
            false => Reply::Site,
        }
    });
    let site = format!("{}?{QUERY}", world.server.url());
    world.server.put(
        &format!("{}-moved", world.new.object_path("bin/app")),
        world.server.file(&world.new.object_path("bin/app")),
    );
    let patcher = Patcher::new(world.config().site(site)).unwrap();
    let update = patcher.check_component("core").unwrap().update().unwrap();
    assert_eq!(update.download(|_| {}).unwrap_err().code(), "cut-off");
    let record = std::fs::read_to_string(world.state("active-update.xml")).unwrap();
    assert!(!record.contains("-moved"), "{record}");
    assert_nowhere(&world);
}

#[test]
fn the_program_supplies_fresh_credentials_when_the_server_refuses_the_old_ones() {
    let world = HostileWorld::new();
    let valid = Arc::new(AtomicU32::new(1));
    let accepted = Arc::clone(&valid);
    world.server.follow(move |request| {
        let expected = format!("Bearer {}", accepted.load(Ordering::SeqCst));
        if request.header("authorization") == Some(&expected) { Reply::Site } else { Reply::status(401) }
    });
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&reasons);
    let config = world.config().credentials(world.server.url(), move |reason| {
        log.lock().unwrap().push(reason);
        Some(Credentials::bearer(log.lock().unwrap().len()))
    });
    let patcher = Patcher::new(config).unwrap();
    assert_eq!(check(&patcher), "update to 2.0.0");
    assert_eq!(*reasons.lock().unwrap(), [CredentialsReason::FirstRequest]);
    valid.store(2, Ordering::SeqCst);
    let update = patcher.check_component("core").unwrap().update().unwrap();
    update.download(|_| {}).unwrap().apply().unwrap();
    let refused = CredentialsReason::Refused { status: 401 };
    assert_eq!(*reasons.lock().unwrap(), [CredentialsReason::FirstRequest, refused]);
    // A server that never accepts gets no endless series of requests.
    valid.store(77, Ordering::SeqCst);
    world.server.take_paths();
    assert_eq!(check(&patcher), "http-status");
    assert!(world.server.take_paths().len() <= 2);
    assert_eq!(reasons.lock().unwrap().len(), 2);
}

/// A redirect and a mirror do not make the program reveal its credentials.
#[test]
fn supplied_credentials_go_to_their_server_only() {
    let world = HostileWorld::new();
    let elsewhere = Scripted::in_memory();
    elsewhere.put(MANIFEST, world.server.file(MANIFEST));
    let target = format!("{}core/manifest.xml", elsewhere.url());
    world.server.follow(move |_| Reply::redirect(302, &target));
    let config = world.config().credentials(world.server.url(), |_| Some(Credentials::basic("me", "s3cret")));
    assert_eq!(check(&Patcher::new(config).unwrap()), "update to 2.0.0");
    let (asked, led) = (world.server.take_requests(), elsewhere.take_requests());
    assert_eq!(asked[0].header("authorization"), Some("Basic bWU6czNjcmV0"));
    assert!(!led.is_empty() && led.iter().all(|request| request.header("authorization").is_none()));
}
