//! A site in a folder, as on a USB stick, without server and network.

use crate::support::publisher::Publisher;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tree::Tree;
use crate::support::user::User;
use std::path::PathBuf;
use std::process::Command;

/// Creates a publisher without a server, and a user without retries.
fn offline() -> (Publisher, User, Tree) {
    let publisher = Publisher::new();
    let mut user = User::trusting(&publisher);
    user.options = ["--retries", "0"].map(Into::into).to_vec();
    let one = Tree::from_seed(1);
    publisher.release("core", "1.0.0", &one).sign();
    (publisher, user, one)
}

/// Copies the present site to a stick.
fn stick(publisher: &Publisher, user: &User) -> PathBuf {
    let stick = user.path("USB stick");
    assert!(Command::new("cp").arg("-r").arg(publisher.site()).arg(&stick).status().unwrap().success());
    stick
}

#[test]
fn a_component_is_installed_from_a_folder_by_path_or_url() {
    let (publisher, _, one) = offline();
    let core = publisher.site().join("core").display().to_string();
    for from in [core.clone(), format!("{core}/"), format!("{core}/manifest.xml"), format!("file://{core}/")] {
        let user = User::trusting(&publisher);
        user.ok(&["install", "core", "--from", &from]);
        user.has("core", &one);
    }
}

#[test]
fn a_folder_serves_check_and_update_instead_of_the_network() {
    let (publisher, mut user, one) = offline();
    user.ok(&["install", "core", "--from", publisher.site().join("core").to_str().unwrap()]);
    user.fails(20, "unreachable", &["check"]);
    let two = one.mutate(2);
    publisher.release("core", "2.0.0", &two).sign();
    let stick = stick(&publisher, &user).display().to_string();
    user.options.extend(["--site".into(), stick]);
    user.json(10, &["check"]);
    user.ok(&["update"]);
    user.has("core", &two);
    user.ok(&["check"]);
}

#[test]
fn a_folder_is_trusted_no_more_than_a_server() {
    let (publisher, mut user, one) = offline();
    user.ok(&["install", "core", "--from", publisher.site().join("core").to_str().unwrap()]);
    let stranger = Publisher::stranger();
    stranger.release("core", "2.0.0", &one.mutate(2)).sign();
    user.options.extend(["--site".into(), stranger.site().display().to_string()]);
    user.fails(21, "unknown-key", &["update"]);
    user.has("core", &one);
}

#[test]
fn a_missing_folder_is_reported_and_may_come_later() {
    let (publisher, mut user, one) = offline();
    user.ok(&["install", "core", "--from", publisher.site().join("core").to_str().unwrap()]);
    user.options.extend(["--site".into(), user.path("USB stick").display().to_string()]);
    user.fails(20, "http-status", &["check"]);
    publisher.release("core", "2.0.0", &one.mutate(2)).sign();
    stick(&publisher, &user);
    user.ok(&["update"]);
    user.has("core", &one.mutate(2));
}

#[test]
fn a_site_option_replaces_the_signed_base_urls() {
    let (mut publisher, mut user, one) = offline();
    let signed = Scripted::serve(&publisher.site(), |_| Reply::Site);
    let other = Scripted::serve(&publisher.site(), |_| Reply::Site);
    publisher.serve_at([signed.url()]);
    publisher.release("core", "2.0.0", &one).sign();
    user.ok(&["install", "core", "--from", publisher.site().join("core").to_str().unwrap()]);
    publisher.release("core", "3.0.0", &one.mutate(2)).sign();
    user.options.extend(["--site".into(), other.url().trim_end_matches('/').to_owned()]);
    user.ok(&["update"]);
    user.has("core", &one.mutate(2));
    assert!(signed.take_paths().is_empty());
    assert!(!other.take_paths().is_empty());
}
