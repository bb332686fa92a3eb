//! Wrong but signed metadata: rollout, urgency, stepping stones and release notes.

use super::publisher::{Release, first, second, sha256, sign, stranger};
use super::table::{Row, checks, manifest};
use super::world::HostileWorld;
use patcher::internal::keys::{PublicKey, TrustedKeys};
use patcher::internal::manifest::SteppingStone;
use patcher::internal::trust::{Floor, ReleaseOrder, ReleaseTarget, verify_stepping_stone};

const META_END: &str = "  </meta>\n";

/// Makes a row of the good body with one more line at the end of its meta section.
fn added(world: &HostileWorld, more: &str, expected: &'static str) -> Row {
    let body = world.new.body().replacen(META_END, &format!("    {more}\n{META_END}"), 1);
    let shown: String = more.chars().take(70).collect();
    manifest(shown, sign(body, &[first()]), expected)
}

#[test]
fn a_rollout_is_a_percentage_and_critical_a_boolean() {
    checks(|world| {
        let body = world.new.body();
        let row = |attribute: &str, expected| {
            let body = body.replacen("<meta ", &format!("<meta {attribute} "), 1);
            manifest(attribute, sign(body, &[first()]), expected)
        };
        let rollouts = ["100", "101", "256", "266", "18446744073709551615"];
        let numbers = ["", "-1", "+1", "05", "5%", " 5", "1.5", "0x5", "18446744073709551616", "٥"];
        let truths = ["", "1", "yes", "True", " true"];
        let mut rows: Vec<Row> = Vec::new();
        rows.extend(rollouts.map(|text| row(&format!("rollout=\"{text}\""), "manifest-rollout")));
        rows.extend(numbers.map(|text| row(&format!("rollout=\"{text}\""), "manifest-number")));
        rows.extend(truths.map(|text| row(&format!("critical=\"{text}\""), "manifest-boolean")));
        rows.extend([
            row("rollout=\"5\" rollout=\"50\"", "manifest-attribute"),
            row("urgent=\"true\"", "manifest-attribute"),
        ]);
        rows
    });
}

#[test]
fn names_for_people_are_one_line_and_the_icon_is_a_file() {
    checks(|world| {
        let long = "x".repeat(101);
        let names = ["", " ", " a", "a ", "a\u{202e}b", "a\u{2028}b", &long];
        let mut rows: Vec<Row> = Vec::new();
        for key in ["title", "publisher"] {
            let element = |name: &str| format!("<appearance {key}=\"{name}\"/>");
            rows.extend(names.map(|name| added(world, &element(name), "manifest-appearance")));
        }
        rows.extend([
            added(world, "<appearance/>", "manifest-appearance"),
            added(world, "<appearance icon=\"none.png\"/>", "manifest-appearance"),
            added(world, "<appearance icon=\"/bin/app\"/>", "path-absolute"),
            added(world, "<appearance title=\"a\"/><appearance title=\"a\"/>", "manifest-element"),
            added(world, "<appearance title=\"a\" name=\"b\"/>", "manifest-attribute"),
        ]);
        rows
    });
}

#[test]
fn stepping_stones_lead_upwards_and_back_in_time() {
    checks(|world| {
        let hash = sha256(b"").to_string();
        let stone = |below: &str, sequence: &str| {
            format!("<stepping-stone below=\"{below}\" sequence=\"{sequence}\" body=\"{hash}\"/>")
        };
        let good = stone("1.5.0", "10");
        let nine: String = (0..9).map(|number| stone(&format!("1.{number}.0"), "1")).collect();
        let cases: Vec<(String, &'static str)> = vec![
            (stone("2.0.1", "1"), "manifest-stepping-stone"),
            (stone("99.0.0", "1"), "manifest-stepping-stone"),
            (stone("1.5.0", "20"), "manifest-stepping-stone"),
            (stone("1.5.0", "21"), "manifest-stepping-stone"),
            (stone("1.5.0", "18446744073709551615"), "manifest-stepping-stone"),
            (format!("{good}{good}"), "manifest-stepping-stone"),
            (format!("{good}{}", stone("1.5.0+build", "10")), "manifest-stepping-stone"),
            (format!("{good}{}", stone("1.5.0-rc.1", "10")), "manifest-stepping-stone"),
            (format!("{good}{}", stone("1.4.9", "11")), "manifest-stepping-stone"),
            (nine, "manifest-element"),
            (stone("1.5", "10"), "manifest-version"),
            (stone("&lt;1.5.0", "10"), "manifest-version"),
            (stone("", "10"), "manifest-version"),
            (stone("1.5.0", "../10"), "manifest-number"),
            (stone("1.5.0", "010"), "manifest-number"),
            (stone("1.5.0", ""), "manifest-number"),
            (good.replace(&hash, ""), "manifest-hash"),
            (good.replace(&hash, &hash.to_uppercase()), "manifest-hash"),
            (good.replace(" below=\"1.5.0\"", ""), "manifest-attribute-missing"),
            (good.replace(" sequence=\"10\"", ""), "manifest-attribute-missing"),
            (good.replace(&format!(" body=\"{hash}\""), ""), "manifest-attribute-missing"),
            (good.replace("/>", " href=\"http://evil.example/\"/>"), "manifest-attribute"),
            (good.replace("/>", "><file/></stepping-stone>"), "manifest-element"),
            (good.replace("stepping-stone", "steppingstone"), "manifest-element"),
        ];
        cases.iter().map(|(more, expected)| added(world, more, expected)).collect()
    });
}

#[test]
fn notes_are_few_plain_lines() {
    checks(|world| {
        let notes = |inner: &str| format!("<notes lang=\"en\">{inner}</notes>");
        let line = "<line text=\"x\"/>";
        let languages: String =
            (0..33).map(|number| format!("<notes lang=\"en-x{number}\" href=\"http://a/\"/>")).collect();
        let mut cases: Vec<(String, &'static str)> = vec![
            ("<notes lang=\"en\"/>".into(), "manifest-notes"),
            (notes(""), "manifest-notes"),
            (notes(&line.repeat(1001)), "manifest-notes"),
            (notes(&format!("<line text=\"{}\"/>", "x".repeat((64 << 10) + 1))), "manifest-notes"),
            (
                notes(&format!("<line text=\"{}\"/>", "ü".repeat(32 << 10))).repeat(2).replacen("en", "de", 1),
                "manifest-notes",
            ),
            (notes(line).repeat(2), "manifest-notes"),
            (notes(line) + &notes(line).replace("\"en\"", "\"EN\""), "manifest-notes"),
            (
                notes(line).replace("\"en\"", "\"en-GB\"") + &notes(line).replace("\"en\"", "\"en-gb\""),
                "manifest-notes",
            ),
            (languages, "manifest-notes"),
            (notes("text"), "manifest-syntax"),
            (notes("<![CDATA[text]]>"), "manifest-syntax"),
            (notes("<line text=\"a\nb\"/>"), "manifest-syntax"),
            (notes("<line text=\"a\tb\"/>"), "manifest-syntax"),
            (notes("<line text=\"&#27;[31m\"/>"), "manifest-syntax"),
            (notes("<line text=\"\u{1b}[31m\"/>"), "manifest-encoding"),
            (notes("<line text=\"\u{9b}31m\"/>"), "manifest-encoding"),
            (notes("<line/>"), "manifest-attribute-missing"),
            (notes("<line text=\"a\" style=\"b\"/>"), "manifest-attribute"),
            (notes("<line text=\"a\"><line text=\"b\"/></line>"), "manifest-element"),
            (notes("<p text=\"a\"/>"), "manifest-element"),
            (notes("<notes lang=\"de\"/>"), "manifest-element"),
            (notes(line).replace(" lang=\"en\"", ""), "manifest-attribute-missing"),
            (notes(line).replace("<notes", "<notes format=\"html\""), "manifest-attribute"),
        ];
        for language in ["", "e", "EN", "english", "en_GB", "en-", "en-G", "../en", "en-abcdefghi", "x-y"] {
            cases.push((notes(line).replace("\"en\"", &format!("\"{language}\"")), "manifest-notes"));
        }
        for address in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "ftp://a/",
            "news.html",
            "//a/b",
            "http://me@a/",
            "http://a/?user=1",
            "http://a/#x",
            "http://a/x y",
            "",
        ] {
            cases.push((format!("<notes lang=\"en\" href=\"{address}\"/>"), "manifest-notes"));
        }
        cases.iter().map(|(more, expected)| added(world, more, expected)).collect()
    });
}

/// Checks an answer for the stepping stone that 2.0.0 (sequence 20) names: 1.5.0 (sequence 15). The
/// client has 1.0.0 (sequence 10).
fn outcome(bytes: Vec<u8>, stone: &SteppingStone) -> &'static str {
    let pems = [&first().pem, &second().pem].map(|pem| PublicKey::from_pem(pem).unwrap());
    let target = ReleaseTarget {
        component: "core".parse().unwrap(),
        channel: "stable".parse().unwrap(),
        platform: "x86_64-linux".parse().unwrap(),
    };
    let installed = Floor::Release(ReleaseOrder { key: first().id, sequence: 10, body: sha256(b"installed") });
    let keys = TrustedKeys::new(pems.into(), 1).unwrap();
    match verify_stepping_stone(bytes, &keys, &target, stone, &[installed]) {
        Ok(_) => "taken",
        Err(refused) => patcher::Error::from(refused).code(),
    }
}

#[test]
fn no_other_release_is_taken_for_a_stepping_stone() {
    let release = |version: &str, sequence: u64| {
        Release::new("core", version, sequence, "http://localhost/core/").file("app", version.as_bytes(), false)
    };
    let real = release("1.5.0", 15);
    let named = |release: &Release| SteppingStone {
        below: "1.5.0".parse().unwrap(),
        sequence: 15,
        body: sha256(release.body().as_bytes()),
    };
    let mut elsewhere = release("1.5.0", 15);
    elsewhere.manifest.meta.channel = "beta".parse().unwrap();
    let mut flipped = sign(real.body(), &[first()]);
    let middle = flipped.len() / 3;
    flipped[middle] ^= 1;
    let signed = |release: &Release, key| sign(release.body(), &[key]);
    for (name, bytes, stone, expected) in [
        ("the stone itself", signed(&real, first()), named(&real), "taken"),
        ("the stone, signed by the next key as well", sign(real.body(), &[first(), second()]), named(&real), "taken"),
        ("signed by a stranger alone", signed(&real, stranger()), named(&real), "unknown-key"),
        ("a flipped bit", flipped, named(&real), "bad-signature"),
        ("an older release with a known hole", signed(&release("1.2.0", 12), first()), named(&real), "stepping-stone"),
        ("a later release", signed(&release("1.9.0", 19), first()), named(&real), "stepping-stone"),
        (
            "made today with a stolen key",
            signed(&release("1.5.0", 15).file("b", b"", false), first()),
            named(&real),
            "stepping-stone",
        ),
        ("one that never ends", signed(&release("1.4.9", 15), first()), named(&release("1.4.9", 15)), "stepping-stone"),
        (
            "under another sequence",
            signed(&release("1.5.0", 16), first()),
            named(&release("1.5.0", 16)),
            "stepping-stone",
        ),
        ("of another channel", signed(&elsewhere, first()), named(&elsewhere), "wrong-channel"),
        ("no manifest", b"<html></html>\n".to_vec(), named(&real), "manifest-html"),
    ] {
        assert_eq!(outcome(bytes, &stone), expected, "{name}");
    }
    let before = release("1.5.0", 9);
    let stone = SteppingStone { sequence: 9, ..named(&before) };
    assert_eq!(outcome(signed(&before, first()), &stone), "rollback", "from before what is installed");
}
