//! Signatures: the signer, the signed bytes, and the one form of a signature line.

use super::publisher::{Key, first, second, sha256, sign, stranger};
use super::table::{checks, manifest, row};
use super::world::{HostileWorld, check};
use crate::support::scripted::Reply;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use patcher::Patcher;
use patcher::internal::manifest::{Signature, with_signatures};
use rsa::{Pkcs1v15Sign, Pss};

const LINE: &str = "  <signature key=";

/// Returns the good manifest, signed by the first key, as text.
fn good(world: &HostileWorld) -> String {
    String::from_utf8(sign(world.new.body(), &[first()])).unwrap()
}

/// Returns the good body with another signature by the first key.
fn with(world: &HostileWorld, bytes: Vec<u8>) -> Vec<u8> {
    with_signatures(world.new.body().as_bytes(), &[Signature { key: first().id, bytes }])
}

/// Returns the good manifest with another signature line.
fn line(world: &HostileWorld, change: impl Fn(&str) -> String) -> String {
    let good = good(world);
    let line = good.lines().find(|line| line.starts_with(LINE)).unwrap();
    good.replacen(line, &change(line), 1)
}

fn unknown(number: u8, body: &[u8]) -> Signature {
    Signature { key: sha256(&[number]), bytes: stranger().sign(body).bytes }
}

#[test]
fn a_manifest_without_a_trusted_signature_over_its_bytes_is_refused() {
    checks(|world| {
        let body = world.new.body();
        let bytes = body.as_bytes();
        let right = first().sign(bytes).bytes;
        let by = |key: &Key, bytes: &[u8]| Signature { key: key.id, bytes: stranger().sign(bytes).bytes };
        let scheme = |scheme: Pkcs1v15Sign, hash: &[u8]| first().private.sign(scheme, hash).unwrap();
        let sha512 = <rsa::sha2::Sha512 as rsa::sha2::Digest>::digest(bytes);
        let hash = sha256(bytes);
        let salted = Pss::new::<rsa::sha2::Sha256>();
        let salted = first().private.sign_with_rng(&mut rsa::rand_core::OsRng, salted, hash.as_bytes()).unwrap();
        let flipped = |at: usize| {
            let mut bytes = right.clone();
            bytes[at] ^= 1;
            bytes
        };
        let swap = |from: &str, to: &str| good(world).replacen(from, to, 1);
        let (one, two) = (first().sign(bytes), second().sign(bytes));
        let swapped = [
            Signature { key: one.key, bytes: two.bytes.clone() },
            Signature { key: two.key, bytes: one.bytes.clone() },
        ];
        let program = &world.new.manifest.files[0].sha256.to_string();
        let old_signature = first().sign(world.old.body().as_bytes());
        vec![
            manifest("unsigned (tuf: test_unsigned_metadata)", bytes, "signature-count"),
            manifest("by a stranger (tuf: test_invalid_initial_root)", sign(bytes, &[stranger()]), "unknown-key"),
            manifest(
                "eight unknown keys",
                with_signatures(bytes, &[0, 1, 2, 3, 4, 5, 6, 7].map(|n| unknown(n, bytes))),
                "unknown-key",
            ),
            manifest(
                "nine unknown keys",
                with_signatures(bytes, &[0, 1, 2, 3, 4, 5, 6, 7, 8].map(|n| unknown(n, bytes))),
                "signature-count",
            ),
            manifest(
                "by a stranger in the name of the key",
                with_signatures(bytes, &[by(first(), bytes)]),
                "bad-signature",
            ),
            manifest(
                "by a stranger in the name of both keys",
                with_signatures(bytes, &[by(first(), bytes), by(second(), bytes)]),
                "bad-signature",
            ),
            manifest("the signature of another release", with_signatures(bytes, &[old_signature]), "bad-signature"),
            manifest("signatures of two keys exchanged", with_signatures(bytes, &swapped), "bad-signature"),
            manifest(
                "one key twice (tuf: test_duplicate_sig_keyids)",
                with_signatures(bytes, &[one.clone(), one.clone()]),
                "signature-repeated",
            ),
            manifest(
                "one key twice, once well",
                with_signatures(bytes, &[by(first(), bytes), one.clone()]),
                "signature-repeated",
            ),
            manifest(
                "an unknown key twice beside a good one",
                with_signatures(bytes, &[unknown(1, bytes), one, unknown(1, bytes)]),
                "signature-repeated",
            ),
            manifest("no bytes in it", with(world, Vec::new()), "bad-signature"),
            manifest("a byte short", with(world, right[1..].to_vec()), "bad-signature"),
            manifest("a byte short at its end", with(world, right[..right.len() - 1].to_vec()), "bad-signature"),
            manifest("a byte longer", with(world, [&right[..], b"\0"].concat()), "bad-signature"),
            manifest("a zero before it", with(world, [b"\0", &right[..]].concat()), "bad-signature"),
            manifest("all zeros", with(world, vec![0; 256]), "bad-signature"),
            manifest("the number one", with(world, [vec![0; 255], vec![1]].concat()), "bad-signature"),
            manifest("larger than the modulus", with(world, vec![255; 256]), "bad-signature"),
            manifest("half a megabyte", with(world, vec![7; 500_000]), "bad-signature"),
            manifest("its first bit flipped", with(world, flipped(0)), "bad-signature"),
            manifest("its last bit flipped", with(world, flipped(255)), "bad-signature"),
            manifest("by PSS (tuf: test_keytype_and_scheme)", with(world, salted), "bad-signature"),
            manifest(
                "over SHA-512 (tuf: test_download_with_unknown_hash_algorithm)",
                with(world, scheme(Pkcs1v15Sign::new::<rsa::sha2::Sha512>(), &sha512)),
                "bad-signature",
            ),
            manifest(
                "over a bare hash",
                with(world, scheme(Pkcs1v15Sign::new_unprefixed(), hash.as_bytes())),
                "bad-signature",
            ),
            manifest("over the hash's hash", with(world, first().sign(hash.as_bytes()).bytes), "bad-signature"),
            manifest("over nothing", with(world, first().sign(b"").bytes), "bad-signature"),
            manifest(
                "another sequence (tuf: test_metadata_bytes_match)",
                swap("sequence=\"20\"", "sequence=\"21\""),
                "bad-signature",
            ),
            manifest("another version", swap("version=\"2.0.0\"", "version=\"2.0.1\""), "bad-signature"),
            manifest("another address", swap("http://127", "http://128"), "bad-signature"),
            manifest("another hash", swap(program, &sha256(b"").to_string()), "bad-signature"),
            manifest("no date of expiry", swap(" expires=\"2999-01-01T00:00:00Z\"", ""), "bad-signature"),
            manifest("a file more", swap("  </files>", "    <file/>\n  </files>"), "bad-signature"),
            manifest("a space more", swap("<files>", "<files >"), "bad-signature"),
            manifest("a line feed more", swap("  <files>", "\n  <files>"), "bad-signature"),
            manifest("a comment", swap("  <files>", "  <!-- --><files>"), "bad-signature"),
            manifest("a byte order mark added", format!("\u{feff}{}", good(world)), "bad-signature"),
            manifest(
                "an entity declared",
                swap("<manifest", "<!DOCTYPE m [<!ENTITY x \"y\">]><manifest"),
                "bad-signature",
            ),
        ]
    });
}

#[test]
fn a_signature_line_has_one_form() {
    checks(|world| {
        let key = first().id.to_string();
        let bytes = first().sign(world.new.body().as_bytes()).bytes;
        let base64 = STANDARD.encode(&bytes);
        let with_base64 = |text: &str| line(world, |line| line.replace(&base64, text));
        // In base64, 256 bytes end in two characters, of which four bits have no meaning.
        let end = base64.rfind('=').unwrap() - 2;
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let last = alphabet.find(&base64[end..=end]).unwrap();
        let loose = format!("{}{}==", &base64[..end], &alphabet[last + 1..last + 2]);
        let change = |from: &str, to: &str| line(world, |line| line.replacen(from, to, 1));
        vec![
            manifest("the key in upper case", change(&key, &key.to_uppercase()), "signature-line"),
            manifest("a key of 63 digits", change(&key, &key[1..]), "signature-line"),
            manifest("a key of 65 digits", change(&key, &format!("0{key}")), "signature-line"),
            manifest("a key that is no hash", change(&key, "release"), "signature-line"),
            manifest("no key", change(&key, ""), "signature-line"),
            manifest("single quotes", line(world, |line| line.replace('"', "'")), "signature-line"),
            manifest("another attribute", change("key=", "id="), "signature-line"),
            manifest("a second attribute", change("\">", "\" format=\"1\">"), "signature-line"),
            manifest("an attribute before", change("key=", "a=\"b\" key="), "signature-line"),
            manifest("two spaces before the key", change(" key", "  key"), "signature-line"),
            manifest("spaces around =", change("key=", "key = "), "signature-line"),
            manifest("a space before >", change("\">", "\" >"), "signature-line"),
            manifest("a space before the value", change("\">", "\"> "), "signature-line"),
            manifest("a space after it", change("</", " </"), "signature-line"),
            manifest("a space in the end tag", change("</signature>", "</signature >"), "signature-line"),
            manifest("a space at the end", change("</signature>", "</signature> "), "signature-line"),
            manifest("a carriage return", change("</signature>", "</signature>\r"), "signature-line"),
            manifest("an empty element", line(world, |_| format!("{LINE}\"{key}\"/>")), "signature-line"),
            manifest("two on a line", line(world, |line| format!("{line}{line}")), "signature-line"),
            manifest("cut off", line(world, |line| line[..line.len() / 2].to_owned()), "signature-line"),
            manifest(
                "a value in two lines",
                with_base64(&format!("{}\n{}", &base64[..64], &base64[64..])),
                "signature-line",
            ),
            manifest(
                "a space in the value",
                with_base64(&format!("{} {}", &base64[..64], &base64[64..])),
                "signature-line",
            ),
            manifest("no padding", with_base64(&STANDARD_NO_PAD.encode(&bytes)), "signature-line"),
            manifest("too much padding", with_base64(&format!("{base64}=")), "signature-line"),
            manifest("bits that mean nothing", with_base64(&loose), "signature-line"),
            manifest("the alphabet of URLs", with_base64(&URL_SAFE.encode([0xfb; 256])), "signature-line"),
            manifest(
                "hex",
                with_base64(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..511]),
                "signature-line",
            ),
            manifest(
                "an entity in the value",
                with_base64(&base64.replacen('A', "&#65;", 1).replacen(&base64, "&amp;", 1)),
                "signature-line",
            ),
            manifest("CDATA around the value", with_base64(&format!("<![CDATA[{base64}]]>")), "signature-line"),
        ]
    });
}

#[test]
fn signature_lines_are_only_before_the_end() {
    checks(|world| {
        let good = good(world);
        let body = world.new.body();
        let line = good.lines().find(|line| line.starts_with(LINE)).unwrap();
        let other = with_signatures(b"", &[unknown(1, body.as_bytes())]);
        let other = String::from_utf8(other).unwrap().replace("</manifest>\n", "");
        let moved = |before: &str| body.replacen(before, &format!("{line}\n{before}"), 1);
        let beside = |before: &str| good.replacen(before, &format!("{other}{before}"), 1);
        let indented = |space: &str| good.replacen("  <signature", &format!("{space}<signature"), 1);
        let crlf = good.replace('\n', "\r\n");
        vec![
            manifest("before the declaration", format!("{line}\n{body}"), "signature-line"),
            manifest("before the root", moved("<manifest"), "signature-line"),
            manifest("in meta", moved("    <baseurl"), "signature-line"),
            manifest("between meta and files", moved("  <files>"), "signature-line"),
            manifest("between files", moved("    <file"), "signature-line"),
            manifest("in a file", moved("      <gz"), "signature-line"),
            manifest("before the end of files", moved("  </files>"), "signature-line"),
            manifest("after the end", format!("{body}{line}\n"), "manifest-end"),
            manifest("another one before the declaration", format!("{other}{good}"), "signature-line"),
            manifest("another one in meta", beside("    <baseurl"), "signature-line"),
            manifest("another one between files", beside("    <file"), "signature-line"),
            manifest("another one after the end", format!("{good}{other}"), "manifest-end"),
            manifest("in a comment", good.replacen(line, &format!("<!--\n{line}\n-->"), 1), "signature-line"),
            manifest(
                "in an attribute of two lines",
                body.replacen("core\"", &format!("core\n{line}\n\""), 1),
                "signature-line",
            ),
            manifest("a line between two", good.replacen(line, &format!("{other}\n{line}"), 1), "signature-line"),
            manifest("an empty line before", good.replacen(line, &format!("\n{line}"), 1), "signature-line"),
            manifest("an empty line after", good.replacen(line, &format!("{line}\n"), 1), "manifest-end"),
            manifest("an element after", good.replacen(line, &format!("{line}\n  <more/>"), 1), "manifest-end"),
            manifest("a comment after", good.replacen(line, &format!("{line}\n<!-- -->"), 1), "manifest-end"),
            manifest("one space before it", indented(" "), "signature-count"),
            manifest("three spaces before it", indented("   "), "signature-count"),
            manifest("a tab before it", indented("\t"), "signature-count"),
            manifest("no space before it", indented(""), "signature-count"),
            manifest("in upper case", good.replace("signature", "SIGNATURE"), "signature-count"),
            manifest("with a prefix", good.replace("<signature", "<ds:signature"), "signature-count"),
            manifest(
                "an unknown one beside, indented otherwise",
                good.replacen(line, &format!(" {other}{line}"), 1),
                "signature-line",
            ),
            manifest("nothing at all", "", "manifest-end"),
            manifest("a line feed", "\n", "manifest-end"),
            manifest("only the last line", "</manifest>\n", "manifest-end"),
            manifest("only the last two lines", format!("{line}\n</manifest>\n"), "signature-line"),
            manifest("no line feed at the end", good.trim_end(), "manifest-end"),
            manifest("a line feed too many", format!("{good}\n"), "manifest-end"),
            manifest("a space at the end", format!("{good} "), "manifest-end"),
            manifest("a zero byte at the end", format!("{good}\0"), "manifest-end"),
            manifest("the whole file twice", format!("{good}{good}"), "signature-line"),
            manifest("a second document", format!("{good}{body}"), "manifest-end"),
            manifest("carriage returns everywhere", crlf, "manifest-end"),
            manifest("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), "manifest-end"),
            manifest("the manifest gzipped", super::publisher::gzip(good.as_bytes()), "manifest-end"),
        ]
    });
}

#[test]
fn enough_good_signatures_suffice_beside_bad_ones() {
    checks(|world| {
        let body = world.new.body();
        let bytes = body.as_bytes();
        let bad = Signature { key: second().id, bytes: vec![1; 256] };
        let others = [1, 2, 3, 4, 5, 6, 7].map(|number| unknown(number, bytes));
        let with = |lines: Vec<Signature>| Reply::Bytes(with_signatures(bytes, &lines));
        vec![
            row(
                "a bad one beside (tuf: test_invalid_sig_in_valid_metadata)",
                with(vec![bad, first().sign(bytes)]),
                "update to 2.0.0",
            ),
            row(
                "seven unknown ones beside",
                with(others.into_iter().chain([first().sign(bytes)]).collect()),
                "update to 2.0.0",
            ),
            row(
                "an unknown one of a kind nobody knows",
                with(vec![first().sign(bytes), Signature { key: sha256(b"later"), bytes: vec![9; 5000] }]),
                "update to 2.0.0",
            ),
        ]
    });
}

/// Cuts the file at every sixteenth of its length, and flips a bit in every sixteenth byte.
#[test]
fn a_truncated_or_flipped_manifest_is_refused() {
    checks(|world| {
        let good = good(world).into_bytes();
        let cut = (0..16).map(|part| {
            let length = good.len() * part / 16;
            manifest(format!("its first {part}/16"), &good[..length], "manifest-end")
        });
        cut.collect()
    });
    let world = HostileWorld::new();
    let good = good(&world).into_bytes();
    let before = world.snapshot();
    for at in (0..good.len()).step_by(16) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at / 16 % 8);
        world.server.lie(super::world::MANIFEST, Reply::Bytes(bytes));
        let outcome = patcher::Patcher::check_component(&world.patcher(), "core").unwrap_err();
        assert_eq!(outcome.exit_code(), 21, "byte {at}: {outcome}");
        assert_eq!(before.differences(&world.snapshot()), "", "byte {at}");
    }
}

#[test]
fn the_threshold_counts_distinct_trusted_keys() {
    let world = HostileWorld::signed_by(&[first(), second()]);
    let patcher = Patcher::new(world.config().threshold(2)).unwrap();
    let body = world.new.body();
    let bytes = body.as_bytes();
    let (one, two) = (first().sign(bytes), second().sign(bytes));
    let as_second = Signature { key: second().id, bytes: one.bytes.clone() };
    let before = world.snapshot();
    for (name, signatures, expected) in [
        ("one of two (tuf: test_snapshot_does_not_meet_threshold)", vec![one.clone()], "threshold"),
        ("the other of two", vec![two.clone()], "threshold"),
        (
            "one and a stranger (tuf: test_snapshot_has_too_few_keys)",
            vec![one.clone(), stranger().sign(bytes)],
            "threshold",
        ),
        ("one twice (tuf: test_duplicate_keys)", vec![one.clone(), one.clone()], "signature-repeated"),
        ("one in the other's name", vec![one.clone(), as_second], "bad-signature"),
        ("strangers alone", vec![stranger().sign(bytes), unknown(1, bytes)], "unknown-key"),
        ("one and a bad one", vec![one.clone(), Signature { key: second().id, bytes: vec![0; 256] }], "bad-signature"),
    ] {
        world.server.lie(super::world::MANIFEST, Reply::Bytes(with_signatures(bytes, &signatures)));
        assert_eq!(check(&patcher), expected, "{name}");
        assert_eq!(before.differences(&world.snapshot()), "", "{name}");
    }
    world.server.lie(super::world::MANIFEST, Reply::Bytes(with_signatures(bytes, &[two, one])));
    assert_eq!(check(&patcher), "update to 2.0.0");
}
