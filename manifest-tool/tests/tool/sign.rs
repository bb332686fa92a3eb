//! Releases, from a build folder to a site.

use crate::publisher::{Publisher, day};
use patcher::internal::manifest::Manifest;
use std::fs;

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (Publisher::new(), Publisher::new());
    one.sign(&[]).ok();
    two.sign(&[]).ok();
    assert_eq!(one.read("site/core/manifest.xml"), two.read("site/core/manifest.xml"));
    assert_eq!(one.read("build/manifest.xml"), one.read("site/core/manifest.xml"));
    let names = |publisher: &Publisher| {
        publisher.objects().iter().map(|path| path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&one), names(&two));
    assert_eq!(names(&one).len(), 3, "the two files with one content are one object");
    assert_eq!(one.manifest("build/manifest.xml").meta.issued, day(0));
}

#[test]
fn files_that_systems_and_editors_leave_behind_are_not_published() {
    let (clean, littered) = (Publisher::new(), Publisher::new());
    for name in [".DS_Store", "share/Thumbs.db", "share/.app.ini.swp", "bin/app~", "bin/.#app"] {
        littered.write(&format!("build/{name}"), "litter");
    }
    clean.sign(&[]).ok();
    littered.sign(&[]).ok();
    assert_eq!(clean.read("site/core/manifest.xml"), littered.read("site/core/manifest.xml"));
}

#[test]
fn unchanged_content_is_not_compressed_again() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let before = publisher.object_states();
    publisher.write("build/share/new.txt", "new data");
    let out = publisher.sign(&["--channel", "beta"]).ok();
    assert!(out.contains("1 new object,") && out.contains("3 reused"), "{out}");
    let after = publisher.object_states();
    assert_eq!(after.len(), 4);
    assert!(before.iter().all(|state| after.contains(state)));
}

#[test]
fn a_lost_object_is_rebuilt() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let lost = publisher.objects().remove(0);
    let bytes = fs::read(&lost).unwrap();
    fs::write(&lost, "").unwrap();
    publisher.sign(&[]).ok();
    assert_eq!(fs::read(&lost).unwrap(), bytes);
}

#[test]
fn the_sequence_grows_over_all_channels_and_past_manifests_are_kept() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let first = publisher.read("site/core/manifest.xml");
    publisher.sign(&["--channel", "beta"]).ok();
    assert!(!publisher.path("site/core/releases/1.xml").exists());
    publisher.sign(&[]).ok();
    assert_eq!(publisher.read("site/core/releases/1.xml"), first);
    assert_eq!(publisher.manifest("site/core/beta.xml").meta.sequence, 2);
    assert_eq!(publisher.manifest("site/core/manifest.xml").meta.sequence, 3);

    fs::remove_file(publisher.path("site/core/manifest.xml")).unwrap();
    fs::rename(publisher.path("site/core/beta.xml"), publisher.path("site/core/releases/2.xml")).unwrap();
    fs::copy(publisher.path("site/core/releases/2.xml"), publisher.path("site/core/releases/7.xml")).unwrap();
    assert!(publisher.sign(&[]).ok().contains("releases/7.xml is not a release"));
    assert_eq!(publisher.manifest("site/core/manifest.xml").meta.sequence, 3);
}

#[test]
fn a_damaged_manifest_on_the_site_refuses_the_next_release() {
    let publisher = Publisher::new();
    publisher.write("site/core/beta.xml", "<html/>");
    publisher.sign(&[]).fails(21, "beta.xml");
    assert!(!publisher.path("site/core/manifest.xml").exists());
}

#[test]
fn settings_without_a_flag_come_from_the_component_file() {
    let publisher = Publisher::new();
    publisher.run(&["init", "build"]).ok();
    publisher.run(&["init", "build"]).fails(22, "exists already");
    publisher.write(
        "build/component.toml",
        r#"
        name = "core"
        version = "2.1.0"
        urls = ["https://a.example/core/", "https://b.example/core/"]
        channel = "beta"
        platform = "x86_64-linux"
        launch = "bin/app"
        expires = "2d"
        rollout = "10%"
        ignore = ["empty"]
        preserve = ["share/data.txt"]
        executable = ["bin/"]
        [requires]
        runtime = ">=1.2"
        [notes]
        en = "empty"
        de = ["share/data.txt", "https://example.com/"]
    "#,
    );
    publisher.write("build/.patcher/lock", "");
    publisher.write("build/.patcher-new-1a2b", "another `sign` is about to write its manifest");
    publisher.run(&["sign", "build"]).fails(2, "nothing in it");
    publisher.write("build/empty", "The news.");
    publisher.run(&["sign", "build", "--version", "2.2.0"]).ok();
    let Manifest { meta, files, .. } = publisher.manifest("site/core/x86_64-linux/beta.xml");
    assert_eq!((meta.version.to_string(), meta.platform.to_string()), ("2.2.0".into(), "x86_64-linux".into()));
    assert_eq!((meta.base_urls.len(), meta.requires.len()), (2, 1));
    assert_eq!(meta.expires, Some(day(2)));
    assert_eq!(meta.rollout, Some(10));
    let notes: Vec<_> = meta.notes.iter().map(|notes| (notes.language.as_str(), notes.lines[0].as_str())).collect();
    assert_eq!(notes, [("de", "some data"), ("en", "The news.")], "files lie in the build folder");
    let seen: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.executable, file.preserve)).collect();
    assert_eq!(seen, [("bin/app", true, false), ("share/data.txt", false, true), ("share/same.txt", false, false)]);

    publisher.write("build/component.toml", "name = 'core'\nchanel = 'beta'\n");
    publisher.run(&["sign", "build"]).fails(2, "line 2: unknown field `chanel`");
}

#[test]
fn versions_grow_unless_a_downgrade_is_allowed() {
    let publisher = Publisher::new();
    publisher.sign_as("2.0.0", &[]).ok();
    publisher.sign_as("2.0.0", &[]).ok();
    publisher.write("build/share/new.txt", "new data");
    let before = publisher.objects();
    for version in ["2.0.0", "2.0.0+other", "2.0.0-rc.1", "1.9.9"] {
        publisher.sign_as(version, &[]).fails(2, "--allow-downgrade");
    }
    assert_eq!(publisher.objects(), before);
    publisher.sign_as("1.9.9", &["--channel", "beta"]).ok();
    publisher.sign_as("1.9.9", &["--allow-downgrade"]).ok();
    let meta = publisher.manifest("site/core/manifest.xml").meta;
    assert_eq!((meta.version.to_string().as_str(), meta.sequence), ("1.9.9", 4), "the sequence grows all the same");
}

#[test]
fn notes_are_signed_by_language() {
    let publisher = Publisher::new();
    publisher.write("news.txt", "\u{feff}New:\r\n\t- <fast>\r\n\r\n");
    let notes =
        ["--notes", "en=news.txt", "--notes", "en=https://example.com/news", "--notes", "de=https://example.com/"];
    publisher.sign(&notes).ok();
    let out = publisher.run(&["inspect", "-v", "site/core/manifest.xml"]).ok();
    assert!(out.contains("notes      en, 2 lines, https://example.com/news\n           New:\n"), "{out}");
    assert!(out.contains("notes      de, 0 lines, https://example.com/\n"), "{out}");
    assert_eq!(publisher.manifest("site/core/manifest.xml").meta.notes[0].lines, ["New:", "    - <fast>"]);

    publisher.sign_as("1.0.1", &[]).ok();
    assert!(publisher.manifest("site/core/manifest.xml").meta.notes.is_empty(), "they are of one release");
    publisher.write("odd.txt", "\x1b[31mred");
    publisher.write("long.txt", "x".repeat((64 << 10) + 1));
    publisher.sign_as("1.0.2", &["--notes", "en=odd.txt"]).fails(2, "control character");
    publisher.sign_as("1.0.2", &["--notes", "en=long.txt"]).fails(21, "64 KiB");
    publisher.sign_as("1.0.2", &["--notes", "en=none.txt"]).fails(22, "none.txt");
    publisher.sign_as("1.0.2", &["--notes", "english=news.txt"]).fails(2, "language");
    publisher.sign_as("1.0.2", &["--notes", "news.txt"]).fails(2, "LANG=FILE");
    publisher.sign_as("1.0.2", &["--notes", "en=news.txt", "--notes", "en=news.txt"]).fails(2, "already");
}

#[test]
fn attach_refuses_as_clients_do_before_any_write() {
    for (path, rule) in [
        ("aux.txt", "DOS device"),
        ("a?b", "\\ < >"),
        ("Bin/app", "same name"),
        ("x~1", "short file names"),
        ("bin/MANIFEST .", "dot or a space"),
    ] {
        let publisher = Publisher::new();
        publisher.write(&format!("build/{path}"), "x");
        publisher.sign(&[]).fails(21, rule);
        assert!(!publisher.path("site").exists() && !publisher.path("build/manifest.xml").exists());
    }
    let publisher = Publisher::new();
    publisher.sign(&["--launch", "bin/missing"]).fails(21, "bin/missing");
    publisher.run(&["sign", "nowhere"]).fails(22, "nowhere");
    publisher.sign(&["--platform", "linux"]).fails(2, "platform");
    publisher.sign(&["--expires", "yesterday"]).fails(2, "expires");
    assert!(!publisher.path("site").exists());
}

#[test]
fn keys_and_sites_in_the_build_folder_are_not_published() {
    let publisher = Publisher::new();
    publisher.write("build/release.key.pem", publisher.read("release.key.pem"));
    publisher.sign(&["--key", "build/release.key.pem"]).fails(2, "move it out");
    std::fs::remove_file(publisher.path("build/release.key.pem")).unwrap();
    publisher.sign(&["--site", "build/site"]).fails(2, "move it out");
    publisher.sign(&["--key", "release.key.pem", "--key", "./release.key.pem"]).fails(2, "twice");
    assert!(!publisher.path("site").exists() && !publisher.path("build/manifest.xml").exists());
}

#[cfg(unix)]
mod unix {
    use crate::publisher::Publisher;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_symbolic_link_is_a_link_and_one_that_leads_out_is_refused() {
        let publisher = Publisher::new();
        symlink("bin/app", publisher.path("build/start")).unwrap();
        symlink("../share", publisher.path("build/bin/data")).unwrap();
        publisher.sign(&[]).ok();
        let links = publisher.manifest("build/manifest.xml").links;
        let links: Vec<_> = links.iter().map(|link| (link.path.as_str(), link.target.as_str())).collect();
        assert_eq!(links, [("bin/data", "../share"), ("start", "bin/app")]);

        symlink("/etc/passwd", publisher.path("build/passwd")).unwrap();
        publisher.sign_as("1.0.1", &[]).fails(21, "passwd");
    }

    #[test]
    fn a_chain_of_links_is_shortened_and_reported() {
        let publisher = Publisher::new();
        publisher.write("build/lib/libz.so.1.3", "the library");
        symlink("libz.so.1.3", publisher.path("build/lib/libz.so.1")).unwrap();
        symlink("libz.so.1", publisher.path("build/lib/libz.so")).unwrap();
        symlink("lib", publisher.path("build/lib64")).unwrap();
        symlink("../lib64/libz.so", publisher.path("build/share/z")).unwrap();
        let out = publisher.sign(&[]).ok();
        assert!(out.contains("\nlib/libz.so -> libz.so.1.3 (was libz.so.1)\n"), "{out}");
        assert!(out.contains("\nshare/z -> ../lib/libz.so.1.3 (was ../lib64/libz.so)\n"), "{out}");
        assert_eq!(out.matches(" (was ").count(), 2, "{out}");
        let links = publisher.manifest("build/manifest.xml").links;
        let links: Vec<_> = links.iter().map(|link| (link.path.as_str(), link.target.as_str())).collect();
        assert_eq!(
            links,
            [
                ("lib/libz.so", "libz.so.1.3"),
                ("lib/libz.so.1", "libz.so.1.3"),
                ("lib64", "lib"),
                ("share/z", "../lib/libz.so.1.3")
            ]
        );
    }

    #[test]
    fn chains_of_links_that_end_nowhere_or_outside_are_refused() {
        for (first, second) in
            [("b", "a"), ("b", "missing"), ("b", "../build/empty"), ("b", "/etc/passwd"), ("a", "empty")]
        {
            let publisher = Publisher::new();
            symlink(first, publisher.path("build/a")).unwrap();
            symlink(second, publisher.path("build/b")).unwrap();
            publisher.sign(&[]).fails(21, "which is neither a published file");
            assert!(!publisher.path("site").exists());
        }
    }

    #[test]
    fn the_owners_permission_makes_a_file_executable() {
        let publisher = Publisher::new();
        fs::set_permissions(publisher.path("build/bin/app"), fs::Permissions::from_mode(0o744)).unwrap();
        fs::set_permissions(publisher.path("build/empty"), fs::Permissions::from_mode(0o655)).unwrap();
        publisher.sign(&[]).ok();
        let files = publisher.manifest("build/manifest.xml").files;
        let executable: Vec<_> = files.iter().filter(|file| file.executable).map(|file| file.path.as_str()).collect();
        assert_eq!(executable, ["bin/app"]);
    }

    #[test]
    fn names_that_are_not_utf8_and_sockets_are_refused() {
        let publisher = Publisher::new();
        let odd = publisher.path("build").join(OsStr::from_bytes(b"caf\xe9"));
        fs::write(&odd, "").unwrap();
        publisher.sign(&[]).fails(21, "UTF-8");
        fs::remove_file(odd).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(publisher.path("build/socket")).unwrap();
        publisher.sign(&[]).fails(21, "neither a file");
    }

    #[test]
    fn a_web_server_can_read_the_published_files() {
        let publisher = Publisher::new();
        publisher.sign(&[]).ok();
        let mut all = publisher.objects();
        all.push(publisher.path("site/core/manifest.xml"));
        for path in all {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o444, 0o444, "{}", path.display());
        }
    }
}

#[test]
fn init_writes_no_setting_that_was_not_given() {
    let publisher = Publisher::new();
    publisher.run(&["init", "build"]).ok();
    publisher.run(&["sign", "build"]).fails(2, "--component");
    std::fs::remove_file(publisher.path("build/component.toml")).unwrap();
    publisher.run(&["init", "build", "--base-url", "https://a.example/core"]).fails(2, "slash");
    let urls = ["--base-url", "https://a.example/core/", "--base-url", "https://b.example/core/"];
    let out = publisher.run(&[&["init", "build", "--component", "core"][..], &urls].concat()).ok();
    assert!(out.contains("fill in version, then"), "{out}");
    publisher.run(&["sign", "build"]).fails(2, "--version");
    publisher.write("package.json", r#"{"version": "4.5.6"}"#);
    publisher.run(&["sign", "build", "--version-from", "package.json"]).ok();
    let meta = publisher.manifest("site/core/manifest.xml").meta;
    assert_eq!((meta.version.to_string().as_str(), meta.base_urls.len()), ("4.5.6", 2));
}

#[test]
fn a_release_that_hardly_runs_is_a_warning() {
    let publisher = Publisher::new();
    let elf = [b"\x7fELF\x02\x01\x01", &[0; 57][..]].concat();
    publisher.write("build/bin/app", elf);
    let native = "warning: bin/app is a program for Linux or another Unix";
    let not_executable = "warning: the program to start, share/data.txt, is not executable";
    publisher.write("build/component.toml", "executable = ['bin/']");
    assert!(publisher.sign(&[]).ok().contains(native));
    assert!(!publisher.sign_as("1.1.0", &["--platform", "x86_64-linux"]).ok().contains("warning"));
    let out = publisher.sign_as("1.2.0", &["--launch", "share/data.txt"]).ok();
    assert!(out.contains(native) && (out.contains(not_executable) || cfg!(windows)), "{out}");
    let out = publisher.sign_on(day(-400), "1.3.0", &[]).ok();
    assert!(out.contains("expired at"), "{out}");
}

/// Neither the mask of permissions nor the language, the time zone, the order in which files were
/// made, or the number of processors changes a byte.
#[cfg(unix)]
#[test]
fn the_same_build_folder_gives_the_same_site_on_every_machine() {
    use std::process::Command;
    let publisher = Publisher::new();
    let sites = [0o022, 0o077].map(|mask| {
        let site = format!("site-{mask:o}");
        for version in ["1.0.0", "1.1.0"] {
            let build = format!("build-{mask:o}-{version}");
            let mut names: Vec<String> = (0..40).map(|number| format!("lib/é{number}.so")).collect();
            if mask == 0o077 {
                names.reverse();
            }
            for name in names {
                publisher.write(&format!("{build}/{name}"), format!("{version} {name}").repeat(3000));
            }
            let arguments = ["sign", &build, "--site", &site, "--component", "core", "--version", version];
            let url = ["--base-url", "https://dl.example.com/core/"];
            let environment: &[(&str, &str)] = match mask {
                0o022 => &[("LC_ALL", "C"), ("TZ", "UTC"), ("RAYON_NUM_THREADS", "1")],
                _ => &[("LC_ALL", "tr_TR.UTF-8"), ("TZ", "Asia/Tokyo"), ("RAYON_NUM_THREADS", "7")],
            };
            let tool = publisher.command(&[&arguments[..], &url].concat(), environment);
            let mut command = Command::new("sh");
            command.args(["-c", &format!("umask {mask:03o}; exec \"$@\""), "sh"]);
            command.arg(tool.get_program()).args(tool.get_args()).current_dir(publisher.path(""));
            command.envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
            assert!(command.output().unwrap().status.success());
        }
        let dir = publisher.path(&site);
        let files = walkdir::WalkDir::new(&dir).sort_by_file_name().into_iter().map(Result::unwrap);
        // The lock holds the id of the last process.
        let files = files.filter(|entry| entry.file_type().is_file() && entry.file_name() != ".lock");
        files
            .map(|entry| (entry.path().strip_prefix(&dir).unwrap().to_owned(), std::fs::read(entry.path()).unwrap()))
            .collect::<Vec<_>>()
    });
    assert!(sites[0].len() > 80);
    let [one, other] = sites;
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one.0, other.0);
        assert!(one.1 == other.1, "{}", one.0.display());
    }
    assert_eq!(one.len(), other.len());
}
