//! Manifests that a trusted key signed although they are not format 1: by another tool, or with a
//! stolen key.

use super::publisher::{first, sha256, sign};
use super::table::{Row, checks, manifest, row};
use super::world::HostileWorld;
use crate::support::scripted::Reply;

/// Signs the good body with `from` replaced once, or with `to` inserted if `from` is empty.
fn changed(world: &HostileWorld, from: &str, to: &str, expected: &'static str) -> Row {
    let body = world.new.body();
    assert!(body.contains(from), "{from}");
    let shown: String = to.chars().take(60).collect();
    manifest(format!("{from:?} -> {shown:?}"), sign(body.replacen(from, to, 1), &[first()]), expected)
}

fn all(world: &HostileWorld, rows: &[(&str, &str, &'static str)]) -> Vec<Row> {
    rows.iter().map(|(from, to, expected)| changed(world, from, to, expected)).collect()
}

/// Signs any bytes as a manifest.
fn bytes(name: &str, body: impl AsRef<[u8]>, expected: &'static str) -> Row {
    manifest(name, sign(body, &[first()]), expected)
}

const META_END: &str = "  </meta>\n";
const FILES: &str = "  <files>\n";
const FILES_END: &str = "  </files>\n";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

#[test]
fn bytes_and_declaration() {
    checks(|world| {
        let body = world.new.body();
        let in_version = |bytes: &[u8]| {
            let at = body.find("2.0.0").unwrap();
            [&body.as_bytes()[..at], bytes, &body.as_bytes()[at..]].concat()
        };
        let mut rows = vec![
            bytes("a byte order mark", format!("\u{feff}{body}"), "manifest-encoding"),
            bytes("not UTF-8", in_version(b"\xff"), "manifest-encoding"),
            bytes("an overlong slash", in_version(b"\xc0\xaf"), "manifest-encoding"),
            bytes("a surrogate", in_version(b"\xed\xa0\x80"), "manifest-encoding"),
            bytes("beyond Unicode", in_version(b"\xf4\x90\x80\x80"), "manifest-encoding"),
            bytes("a zero byte", in_version(b"\0"), "manifest-encoding"),
            bytes("an escape", in_version(b"\x1b"), "manifest-encoding"),
            bytes("a delete", in_version(b"\x7f"), "manifest-encoding"),
            bytes("a C1 control", in_version("\u{85}".as_bytes()), "manifest-encoding"),
            bytes("a noncharacter", in_version("\u{fffe}".as_bytes()), "manifest-encoding"),
            bytes("a noncharacter of a higher plane", in_version("\u{10ffff}".as_bytes()), "manifest-encoding"),
            bytes("one carriage return", body.replacen("<files>\n", "<files>\r\n", 1), "manifest-encoding"),
            bytes("Latin 1", in_version(b"\xe9"), "manifest-encoding"),
            bytes("a space before the declaration", format!(" {body}"), "manifest-declaration"),
            bytes("a line before the declaration", format!("\n{body}"), "manifest-declaration"),
        ];
        rows.extend(all(
            world,
            &[
                (DECLARATION, "<?xml version='1.0' encoding='UTF-8'?>", "manifest-declaration"),
                (DECLARATION, "<?xml version=\"1.0\"?>", "manifest-declaration"),
                (DECLARATION, "<?xml version=\"1.1\" encoding=\"UTF-8\"?>", "manifest-declaration"),
                (DECLARATION, "<?xml version=\"1.0\" encoding=\"utf-8\"?>", "manifest-declaration"),
                (DECLARATION, "<?xml version=\"1.0\" encoding=\"UTF-16\"?>", "manifest-declaration"),
                (DECLARATION, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>", "manifest-declaration"),
                (&format!("{DECLARATION}\n"), "", "manifest-declaration"),
                (&format!("{DECLARATION}\n"), DECLARATION, "manifest-declaration"),
            ],
        ));
        rows
    });
}

#[test]
fn xml_beyond_plain_elements_is_refused() {
    checks(|world| {
        let long = format!("{FILES}{}", "<a>".repeat(100_000));
        let attributes: String = (0..40).map(|number| format!(" a{number}=\"\"")).collect();
        let mut rows = all(
            world,
            &[
                (FILES, "  <!-- comment --><files>\n", "manifest-syntax"),
                (FILES, "  <!--><files>\n", "manifest-syntax"),
                (FILES, "  <?pi?><files>\n", "manifest-syntax"),
                (FILES, "  <![CDATA[]]><files>\n", "manifest-syntax"),
                (FILES, "  text<files>\n", "manifest-syntax"),
                (FILES, "  &amp;<files>\n", "manifest-syntax"),
                (FILES, "  &#32;<files>\n", "manifest-syntax"),
                (FILES, "  ]]><files>\n", "manifest-syntax"),
                (FILES, "  \u{a0}<files>\n", "manifest-syntax"),
                (FILES, "  <?xml version=\"1.0\" encoding=\"UTF-8\"?><files>\n", "manifest-syntax"),
                (FILES, "  <x:files>\n", "manifest-syntax"),
                (FILES, "  <Files>\n", "manifest-syntax"),
                (FILES, "  < files>\n", "manifest-syntax"),
                (FILES, "  <>\n", "manifest-syntax"),
                (FILES, "  <files\n", "manifest-syntax"),
                (FILES, "  <files/ x=\"1\">\n", "manifest-syntax"),
                (FILES, "", "manifest-element"),
                (FILES_END, "  </meta>\n  </files>\n", "manifest-syntax"),
                (META_END, "  </meta x=\"1\">\n", "manifest-syntax"),
                (META_END, "  </ meta>\n", "manifest-syntax"),
                (META_END, "  </metas>\n", "manifest-syntax"),
                (META_END, "", "manifest-element"),
                ("<manifest format", "<!DOCTYPE manifest><manifest format", "manifest-syntax"),
                (
                    "<manifest format",
                    "<!DOCTYPE m [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;\">]><manifest format",
                    "manifest-syntax",
                ),
                ("<manifest format", "<!DOCTYPE m SYSTEM \"file:///etc/passwd\"><manifest format", "manifest-syntax"),
                ("<manifest format", "text<manifest format", "manifest-syntax"),
                ("<manifest format", "<manifest xmlns=\"u\" format", "manifest-attribute"),
                ("<manifest format", "<manifest xmlns:x=\"u\" format", "manifest-syntax"),
                ("<manifest format", "<manifest/><manifest format", "manifest-attribute-missing"),
                ("version=\"2.0.0\"", "version=\"&#50;.0.0\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=\"&#x32;.0.0\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=\"&two;\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=\"2&0.0\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=\"2.0.0&amp\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=\"<2.0.0\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=\"2.0.0\n\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=\"\t2.0.0\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=2.0.0", "manifest-syntax"),
                ("version=\"2.0.0\"", "version", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=\"2.0.0", "manifest-syntax"),
                ("version=\"2.0.0\" ", "version=\"2.0.0\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "a:version=\"2.0.0\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "Version=\"2.0.0\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "=\"2.0.0\"", "manifest-syntax"),
                ("version=\"2.0.0\"", "version=\"2.0.0\" version=\"2.0.0\"", "manifest-attribute"),
                ("version=\"2.0.0\"", "version=\"2.0.0\" Version=\"1.0.0\"", "manifest-syntax"),
                ("<meta", &format!("<meta{attributes}"), "manifest-attribute"),
                (FILES, &long, "manifest-element"),
            ],
        );
        let body = world.new.body();
        rows.extend([
            // After the end of the files there is no place for a signature line.
            bytes("a second root", format!("{body}<manifest format=\"1\">\n</manifest>\n"), "signature-line"),
            bytes("an empty root", format!("{DECLARATION}\n<manifest format=\"1\"/>\n</manifest>\n"), "signature-line"),
            bytes("text after the root", format!("{body}text\n</manifest>\n"), "signature-line"),
        ]);
        rows
    });
}

#[test]
fn unknown_elements_and_attributes_are_refused() {
    checks(|world| {
        let nine = format!("{}{META_END}", "    <baseurl href=\"http://a/\"/>\n".repeat(8));
        let body = world.new.body();
        let gz = body.lines().find(|line| line.contains("<gz ")).unwrap();
        let url = body.lines().find(|line| line.contains("<baseurl ")).unwrap();
        let meta = &body[body.find("  <meta").unwrap()..body.find(FILES).unwrap()];
        let files = &body[body.find(FILES).unwrap()..body.find("</manifest>").unwrap()];
        let listed = &files[FILES.len()..files.len() - FILES_END.len()];
        let hash = sha256(b"").to_string();
        let chunks = format!("      <chunks size=\"1\" sha256=\"{hash}\"/>\n");
        all(
            world,
            &[
                ("<manifest format=\"1\">", "<manifest format=\"2\">", "manifest-format"),
                ("<manifest format=\"1\">", "<manifest format=\"01\">", "manifest-format"),
                ("<manifest format=\"1\">", "<manifest format=\"1.0\">", "manifest-format"),
                ("<manifest format=\"1\">", "<manifest format=\"\">", "manifest-format"),
                ("<manifest format=\"1\">", "<manifest>", "manifest-attribute-missing"),
                ("<manifest format=\"1\">", "<manifest format=\"1\" more=\"1\">", "manifest-attribute"),
                ("<manifest format=\"1\">", "<update format=\"1\">", "manifest-element-missing"),
                ("  <meta ", "  <extra/>\n  <meta ", "manifest-element"),
                (FILES, "  <meta/>\n  <files>\n", "manifest-element"),
                (FILES_END, "  </files>\n  <files>\n  </files>\n", "manifest-element"),
                (META_END, "    <note/>\n  </meta>\n", "manifest-element"),
                (META_END, &nine, "manifest-element"),
                (FILES, "  <files>\n    <folder path=\"a\"/>\n", "manifest-element"),
                (FILES, "  <files>\n    <files/>\n", "manifest-element"),
                (FILES, "  <files sorted=\"true\">\n", "manifest-attribute"),
                (gz, &format!("{gz}\n{gz}"), "manifest-element"),
                (gz, &format!("{gz}\n{chunks}{chunks}"), "manifest-element"),
                (gz, &gz.replace("<gz", "<xz"), "manifest-element"),
                (gz, &gz.replace("/>", "><more/></gz>"), "manifest-element"),
                (gz, &gz.replace("<gz", "<gz level=\"9\""), "manifest-attribute"),
                (url, &url.replace("/>", " priority=\"1\"/>"), "manifest-attribute"),
                (url, &url.replace("/>", "><url/></baseurl>"), "manifest-element"),
                ("    <link ", "    <link hard=\"true\" ", "manifest-attribute"),
                ("<file path", "<file mode=\"4755\" path", "manifest-attribute"),
                ("<file path", "<file url=\"http://a/\" path", "manifest-attribute"),
                ("<meta ", "<meta name=\"core\" ", "manifest-attribute"),
                (
                    META_END,
                    "    <requires component=\"addon\" version=\"*\" optional=\"true\"/>\n  </meta>\n",
                    "manifest-attribute",
                ),
                (meta, "", "manifest-element"),
                (files, "", "signature-line"),
                (url, "", "manifest-element-missing"),
                (gz, "", "manifest-element-missing"),
                (listed, "", "manifest-element-missing"),
                (" component=\"core\"", "", "manifest-attribute-missing"),
                (" version=\"2.0.0\"", "", "manifest-attribute-missing"),
                (" sequence=\"20\"", "", "manifest-attribute-missing"),
                (" channel=\"stable\"", "", "manifest-attribute-missing"),
                (" platform=\"any\"", "", "manifest-attribute-missing"),
                (" issued=\"2024-01-01T00:00:00Z\"", "", "manifest-attribute-missing"),
                (" path=\"bin/app\"", "", "manifest-attribute-missing"),
                (" target=\"data\"", "", "manifest-attribute-missing"),
                (" size=\"20000\"", "", "manifest-attribute-missing"),
                (url, "    <baseurl/>", "manifest-attribute-missing"),
                (META_END, "    <requires component=\"addon\"/>\n  </meta>\n", "manifest-attribute-missing"),
                (
                    META_END,
                    &format!("    <update from=\"1\" content=\"{hash}\" size=\"1\" sha256=\"{hash}\"/>\n{META_END}"),
                    "manifest-attribute-missing",
                ),
            ],
        )
    });
}

#[test]
fn every_value_has_one_spelling() {
    checks(|world| {
        let url = format!("{}core/", world.server.url());
        let hash = world.new.manifest.files[0].sha256.to_string();
        let other = hash.replace(|c: char| c.is_ascii_digit(), "0");
        let update = |from: &str, content: &str, table: &str| {
            let object = format!("size=\"9\" sha256=\"{hash}\" table=\"{table}\" table-sha256=\"{hash}\"");
            format!("    <update from=\"{from}\" content=\"{content}\" {object}/>\n")
        };
        let requires = |attributes: &str| format!("    <requires {attributes}/>\n{META_END}");
        let mut rows = Vec::new();
        let mut add = |from: &str, to: &str, expected| rows.push(changed(world, from, to, expected));
        for text in ["+20", " 20", "20 ", "020", "-1", "1e3", "0x14", "20.0", "18446744073709551616", "", "٢٠", "2_0"]
        {
            add("sequence=\"20\"", &format!("sequence=\"{text}\""), "manifest-number");
        }
        for text in ["+20000", "020000", "-20000", "20k", ""] {
            add("size=\"20000\"", &format!("size=\"{text}\""), "manifest-number");
        }
        for text in
            [&hash.to_uppercase(), &hash[1..], &format!("{hash}0"), &format!("sha256:{hash}"), &format!(" {hash}"), ""]
        {
            add(&hash, text, "manifest-hash");
        }
        add(&hash, &hash.replacen(|c: char| c.is_ascii_digit(), "g", 1), "manifest-hash");
        for text in ["yes", "1", "True", "TRUE", "", " true"] {
            add("executable=\"true\"", &format!("executable=\"{text}\""), "manifest-boolean");
        }
        add("executable=\"true\"", "preserve=\"on\"", "manifest-boolean");
        for text in [
            "Core",
            "../core",
            "/core",
            "core/x",
            "?",
            "#",
            "",
            "nul",
            "com1",
            "co re",
            "cöre",
            "_core",
            "-core",
            &"x".repeat(65),
        ] {
            // tuf: test_unusual_role_name
            add("component=\"core\"", &format!("component=\"{text}\""), "manifest-name");
        }
        for text in ["Stable", "../beta", "", "aux"] {
            add("channel=\"stable\"", &format!("channel=\"{text}\""), "manifest-name");
        }
        add(META_END, &format!("{}{META_END}", update("1", "00", "9")), "manifest-hash");
        for spki in ["*", "AAA", &"A".repeat(804)] {
            let freshness = format!("    <freshness spki=\"{spki}\"/>\n");
            add(META_END, &format!("{freshness}{META_END}"), "manifest-freshness");
        }
        let freshness = "    <freshness spki=\"AAAA\"/>\n";
        add(META_END, &format!("{freshness}{freshness}{META_END}"), "manifest-element");
        add(META_END, &format!("{}{META_END}", update("20", &hash, "9")), "manifest-update");
        add(META_END, &format!("{}{META_END}", update("1", &hash, "10")), "manifest-update");
        for (from, content) in [("1", &other), ("2", &hash)] {
            let second = update(from, content, "9");
            add(META_END, &format!("{}{second}{META_END}", update("1", &hash, "9")), "manifest-update");
        }
        for text in ["", "folders", "Flat", "flat ", "deep"] {
            add("platform=\"any\"", &format!("platform=\"any\" layout=\"{text}\""), "manifest-layout");
        }
        // A flat site without an install object has no contents.
        add("platform=\"any\"", "platform=\"any\" layout=\"flat\"", "manifest-element-missing");
        for text in ["linux", "X86_64-linux", "x86_64-", "-linux", "x86_64-linux-gnu", "", "any-any-", "*"] {
            add("platform=\"any\"", &format!("platform=\"{text}\""), "manifest-platform");
        }
        for text in ["2.0", "v2.0.0", "2.0.0.0", "02.0.0", "2.0.0 ", "latest", "", "2.0.0-", "99999999999999999999.0.0"]
        {
            add("version=\"2.0.0\"", &format!("version=\"{text}\""), "manifest-version");
        }
        for text in [
            "2024-02-30T00:00:00Z",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00+00:00",
            "2024-01-01 00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00.5Z",
            "now",
            "",
        ] {
            add("issued=\"2024-01-01T00:00:00Z\"", &format!("issued=\"{text}\""), "manifest-time");
        }
        for text in ["never", "10000-01-01T00:00:00Z", ""] {
            add("expires=\"2999-01-01T00:00:00Z\"", &format!("expires=\"{text}\""), "manifest-time");
        }
        for text in ["2024-01-01T00:00:00Z", "2023-12-31T23:59:59Z", "0000-01-01T00:00:00Z"] {
            add("expires=\"2999-01-01T00:00:00Z\"", &format!("expires=\"{text}\""), "manifest-expires");
        }
        for text in [
            "ftp://example.com/core/",
            "file:///srv/core/",
            "javascript:alert(1)/",
            "core/",
            "//example.com/core/",
            "http://example.com/core",
            "http://example.com/core/?x=/",
            "http://example.com/core/#/",
            "http://user@example.com/core/",
            "http://user:password@example.com/core/",
            "http://@example.com/core/",
            "http:///core/",
            "http:core/",
            "http://example.com/co re/",
            "http:\\\\example.com\\core/",
            "http://[::1/",
            "http://exa mple.com/",
            "",
        ] {
            add(&url, text, "manifest-base-url");
        }
        add(META_END, &requires("component=\"core\" version=\"*\""), "manifest-requires");
        add(
            META_END,
            &requires("component=\"addon\" version=\"*\"/>\n    <requires component=\"addon\" version=\"1\""),
            "manifest-requires",
        );
        add(META_END, &requires("component=\"../addon\" version=\"*\""), "manifest-name");
        add(META_END, &requires("component=\"addon\" version=\"newest\""), "manifest-version");
        add(META_END, &requires("component=\"addon\" version=\"\""), "manifest-version");
        for text in ["bin/none", "bin", "lib/current", "BIN/APP"] {
            add("launch=\"bin/app\"", &format!("launch=\"{text}\""), "manifest-launch");
        }
        rows
    });
}

#[test]
fn a_manifest_above_the_limits_is_refused() {
    checks(|world| {
        let body = world.new.body();
        let files: String = (0..200_001).map(|number| format!("<link path=\"l/{number}\" target=\"x\"/>")).collect();
        let hash = sha256(b"").to_string();
        let file = |number: usize| {
            format!("<file path=\"{number}\" size=\"1\" sha256=\"{hash}\"><gz size=\"1\" sha256=\"{hash}\"/></file>\n")
        };
        let real: String = (0..200_000).map(file).collect();
        let padding = " ".repeat(64 << 20);
        let head = crate::support::scripted::answer("200", "", b"");
        vec![
            bytes(
                "200,000 links too many",
                body.replacen(FILES_END, &format!("{files}{FILES_END}"), 1),
                "manifest-too-many-files",
            ),
            bytes(
                "200,000 files too many",
                body.replacen(FILES_END, &format!("{real}{FILES_END}"), 1),
                "manifest-too-many-files",
            ),
            bytes(
                "64 MiB of white space, signed",
                body.replacen(FILES, &format!("{padding}{FILES}"), 1),
                "manifest-too-large",
            ),
            manifest("a byte more than 64 MiB of nothing", vec![0; (64 << 20) + 1], "manifest-too-large"),
            row("no end", Reply::Endless(head, vec![b'x'; 1 << 16]), "manifest-too-large"),
        ]
    });
}
