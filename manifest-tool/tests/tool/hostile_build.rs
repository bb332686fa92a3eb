//! Build folders that an attacker has changed: nothing outside of them, and no secret, is
//! published.

use crate::publisher::{Publisher, day};

const SETTINGS: &str = "name = 'core'\nversion = '1.0.0'\nurls = ['https://dl.example.com/core/']\n";

/// Signs the build folder with these settings in addition to the required ones.
fn sign(publisher: &Publisher, settings: &str, more: &[&str]) -> crate::publisher::ToolRun {
    publisher.write("build/component.toml", format!("{SETTINGS}{settings}"));
    publisher.run(&[&["sign", "build"], more].concat())
}

#[test]
fn notes_lie_in_the_build_folder() {
    let publisher = Publisher::new();
    publisher.write("secret.txt", "a secret");
    publisher.write("build/NEWS.txt", "news");
    let outside = publisher.path("secret.txt").display().to_string();
    let mut paths =
        vec!["../release.key.pem".to_owned(), "../secret.txt".into(), "bin/../../secret.txt".into(), outside];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../secret.txt", publisher.path("build/link.txt")).unwrap();
        std::os::unix::fs::symlink("..", publisher.path("build/up")).unwrap();
        paths.extend(["link.txt".to_owned(), "up/secret.txt".into()]);
    }
    for path in paths {
        sign(&publisher, &format!("ignore = ['link.txt', 'up']\n[notes]\nen = '{path}'\n"), &[])
            .fails(2, "outside of the build");
    }
    assert!(!publisher.path("site").exists());
    sign(&publisher, "ignore = ['link.txt', 'up']\n[notes]\nen = 'NEWS.txt'\n", &[]).ok();
    // A flag is the publisher's own word.
    sign(&publisher, "ignore = ['link.txt', 'up']\n", &["--notes", "en=secret.txt"]).ok();
    sign(&publisher, "ignore = ['link.txt', 'up']\n", &["--notes", "en=release.key.pem"])
        .fails(2, "holds a private key");
}

#[test]
fn a_private_key_is_published_nowhere() {
    let publisher = Publisher::new();
    let key = publisher.read("release.key.pem");
    let embedded = [&b"\x7fELF\0\0"[..], &key, &[0; 5000]].concat();
    for (path, bytes) in [("build/share/data.bin", key.clone()), ("build/bin/tool", embedded)] {
        publisher.write(path, bytes);
        sign(&publisher, "", &[]).fails(2, "holds a private key");
        // The build folder cannot allow it by itself.
        sign(&publisher, "allow = ['**/*']\n", &[]).fails(2, "holds a private key");
        sign(&publisher, "allow-key = ['**/*']\n", &[]).fails(2, "unknown field");
        assert!(!publisher.path("site").exists());
        std::fs::remove_file(publisher.path(path)).unwrap();
    }
    publisher.write("build/NEWS.txt", key.clone());
    sign(&publisher, "ignore = ['NEWS.txt']\n[notes]\nen = 'NEWS.txt'\n", &[]).fails(2, "holds a private key");
    std::fs::remove_file(publisher.path("build/NEWS.txt")).unwrap();
    publisher.write("build/test/keycert.pem", key);
    sign(&publisher, "", &["--allow-key", "test/*.pem"]).ok();
}

#[test]
fn names_of_secrets_are_published_only_if_they_are_allowed() {
    let publisher = Publisher::new();
    for path in [".env", "share/.git/config", ".ssh/known_hosts", "bin/.netrc", "x.key.pem", "share/.ENV.local"] {
        publisher.write(&format!("build/{path}"), "some words");
        sign(&publisher, "", &[]).fails(2, "may hold secrets");
        assert!(!publisher.path("site").exists());
        let first = path.split('/').find(|part| part.starts_with('.') || part.ends_with(".pem")).unwrap();
        sign(&publisher, &format!("allow = ['{first}']\n"), &["--site", "other", "--allow-downgrade"]).ok();
        sign(&publisher, "", &["--site", "other", "--allow-downgrade", "--allow", first]).ok();
        sign(&publisher, &format!("ignore = ['{first}']\n"), &["--site", "other", "--allow-downgrade"]).ok();
        std::fs::remove_file(publisher.path(format!("build/{path}"))).unwrap();
        let _ = std::fs::remove_dir(publisher.path(format!("build/{path}")).parent().unwrap());
    }
}

#[test]
fn a_release_expires_after_180_days_unless_told_otherwise() {
    let publisher = Publisher::new();
    let expires = || publisher.manifest("site/core/manifest.xml").meta.expires;
    assert!(sign(&publisher, "", &[]).ok().contains(&format!("expires {}\n", day(180))));
    assert_eq!(expires(), Some(day(180)));
    assert!(sign(&publisher, "expires = 'never'\n", &[]).ok().contains("never expires\n"));
    assert_eq!(expires(), None);
    sign(&publisher, "expires = 'never'\n", &["--expires", "10d"]).ok();
    assert_eq!(expires(), Some(day(10)));
    std::fs::create_dir(publisher.path("new")).unwrap();
    publisher.run(&["init", "new"]).ok();
    assert!(String::from_utf8(publisher.read("new/component.toml")).unwrap().contains("\nexpires = \"180d\"\n"));
}

#[test]
fn the_tools_warn_30_days_before_a_release_expires() {
    let publisher = Publisher::new();
    for (days, warns) in [("29d", true), ("32d", false)] {
        sign(&publisher, "", &["--expires", days]).ok();
        let outputs = [
            publisher.run(&["verify", "site", "--key", "release.pub.pem"]).ok(),
            publisher.run(&["publish", "site", "www"]).ok(),
        ];
        for out in outputs {
            assert_eq!(out.contains("warning: core, channel stable, expires at"), warns, "{out}");
        }
    }
}
