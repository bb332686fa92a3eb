//! Every rule of trust, broken one at a time.

use super::*;
use crate::formats::manifest::{Signature, with_signatures};
use crate::trust::keys::PublicKey;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use std::sync::LazyLock;

/// Four key pairs, made once. In most tests the first two are trusted and the third is a
/// stranger's.
static KEYS: LazyLock<[RsaPrivateKey; 4]> =
    LazyLock::new(|| std::array::from_fn(|_| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap()));

fn public(index: usize) -> PublicKey {
    let pem = KEYS[index].to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
    PublicKey::from_pem(&pem).unwrap()
}

fn trusted(indices: &[usize], threshold: usize) -> TrustedKeys {
    TrustedKeys::new(indices.iter().map(|index| public(*index)).collect(), threshold).unwrap()
}

fn body(sequence: u64, change: &str) -> String {
    let hash = Sha256::of(b"content");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<manifest format=\"1\">\n  <meta component=\"core\" version=\"1.0.0\" \
         sequence=\"{sequence}\" channel=\"stable\" platform=\"any\" issued=\"2026-01-01T00:00:00Z\" \
         expires=\"2027-01-01T00:00:00Z\">\n    <baseurl href=\"http://localhost/{change}/\"/>\n  </meta>\n  <files>\n    \
         <file path=\"a\" size=\"7\" sha256=\"{hash}\"><gz size=\"9\" sha256=\"{hash}\"/></file>\n  </files>\n</manifest>\n"
    )
}

fn sign(body: &str, signers: &[usize]) -> Vec<u8> {
    let hash = Sha256::of(body.as_bytes());
    let sign = |index: &usize| Signature {
        key: public(*index).id(),
        bytes: KEYS[*index].sign(Pkcs1v15Sign::new::<sha2::Sha256>(), hash.as_bytes()).unwrap(),
    };
    with_signatures(body.as_bytes(), &signers.iter().map(sign).collect::<Vec<_>>())
}

/// Lets a body retire a key.
fn retiring(body: String, key: usize) -> String {
    body.replace("\">\n    <baseurl", &format!("\" retires=\"{}\">\n    <baseurl", public(key).id()))
}

fn target(component: &str, channel: &str, platform: &str) -> ReleaseTarget {
    ReleaseTarget {
        component: component.parse().unwrap(),
        channel: channel.parse().unwrap(),
        platform: platform.parse().unwrap(),
    }
}

fn core() -> ReleaseTarget {
    target("core", "stable", "x86_64-linux")
}

fn check(bytes: Vec<u8>, keys: &TrustedKeys, floors: &[ReleaseOrder]) -> Result<VerifiedManifest, &'static str> {
    let floors: Vec<_> = floors.iter().cloned().map(Floor::Release).collect();
    verify(bytes, keys, &core(), &floors).map_err(|error| crate::Error::from(error).code())
}

fn floor(key: usize, sequence: u64, body: &str) -> ReleaseOrder {
    ReleaseOrder { key: public(key).id(), sequence, body: Sha256::of(body.as_bytes()) }
}

#[test]
fn a_good_manifest_is_trusted() {
    let verified = check(sign(&body(1, ""), &[0]), &trusted(&[0], 1), &[]).unwrap();
    assert_eq!(*verified.order(), floor(0, 1, &body(1, "")));
    verified.fresh("2026-06-01T00:00:00Z".parse().unwrap()).unwrap();
}

#[test]
fn every_flipped_bit_of_the_body_and_its_signature_is_refused() {
    let bytes = sign(&body(1, ""), &[0]);
    let keys = trusted(&[0], 1);
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1 << bit;
            assert!(check(flipped, &keys, &[]).is_err(), "byte {index} bit {bit}");
        }
    }
}

#[test]
fn only_trusted_keys_count() {
    let body = body(1, "");
    assert_eq!(check(sign(&body, &[2]), &trusted(&[0, 1], 1), &[]).unwrap_err(), "unknown-key");
    check(sign(&body, &[2, 0]), &trusted(&[0, 1], 1), &[]).unwrap();
    let forged = with_signatures(body.as_bytes(), &[Signature { key: public(0).id(), bytes: vec![1; 256] }]);
    assert_eq!(check(forged, &trusted(&[0, 1], 1), &[]).unwrap_err(), "bad-signature");
    let long =
        [Signature { key: public(2).id(), bytes: vec![1; 5000] }, Signature { key: public(0).id(), bytes: vec![] }];
    assert_eq!(check(with_signatures(body.as_bytes(), &long), &trusted(&[0], 1), &[]).unwrap_err(), "bad-signature");
}

#[test]
fn a_signature_of_another_body_is_refused() {
    let other = String::from_utf8(sign(&body(2, ""), &[0])).unwrap();
    let line = other.lines().find(|line| line.starts_with("  <signature ")).unwrap();
    let mixed = body(1, "").replace("</manifest>", &format!("{line}\n</manifest>"));
    assert_eq!(check(mixed.into_bytes(), &trusted(&[0], 1), &[]).unwrap_err(), "bad-signature");
}

#[test]
fn the_threshold_counts_distinct_good_signatures() {
    let body = body(1, "");
    let keys = trusted(&[0, 1], 2);
    check(sign(&body, &[0, 1]), &keys, &[]).unwrap();
    assert_eq!(check(sign(&body, &[0]), &keys, &[]).unwrap_err(), "threshold");
    assert_eq!(check(sign(&body, &[0, 2]), &keys, &[]).unwrap_err(), "threshold");
    let mut one_bad = SignedBytes::split(sign(&body, &[0, 1])).unwrap();
    one_bad.signatures[1].bytes[0] ^= 1;
    let bytes = with_signatures(&one_bad.body, &one_bad.signatures);
    assert_eq!(check(bytes.clone(), &keys, &[]).unwrap_err(), "bad-signature");
    check(bytes, &trusted(&[0, 1], 1), &[]).expect("a bad signature beside enough good ones does no harm");
}

#[test]
fn a_manifest_is_bound_to_what_it_is_for() {
    let bytes = sign(&body(1, ""), &[0]);
    let code = |target: ReleaseTarget| {
        verify(bytes.clone(), &trusted(&[0], 1), &target, &[]).err().map(|e| crate::Error::from(e).code())
    };
    assert_eq!(code(target("addon", "stable", "any")), Some("wrong-component"));
    assert_eq!(code(target("core", "beta", "any")), Some("wrong-channel"));
    assert_eq!(code(target("core", "stable", "aarch64-macos")), None);
    let linux = body(1, "").replace("\"any\"", "\"x86_64-linux\"");
    let mac = target("core", "stable", "aarch64-macos");
    let refused = verify(sign(&linux, &[0]), &trusted(&[0], 1), &mac, &[]).unwrap_err();
    assert_eq!(crate::Error::from(refused).code(), "wrong-platform");
}

#[test]
fn only_newer_or_the_same_is_taken() {
    let keys = trusted(&[0, 1], 1);
    let floors = [floor(0, 5, &body(5, ""))];
    check(sign(&body(6, ""), &[0]), &keys, &floors).unwrap();
    check(sign(&body(5, ""), &[0]), &keys, &floors).unwrap();
    assert_eq!(check(sign(&body(4, ""), &[0]), &keys, &floors).unwrap_err(), "rollback");
    assert_eq!(check(sign(&body(5, "other"), &[0]), &keys, &floors).unwrap_err(), "sequence-conflict");
    let two = [floor(0, 3, "x"), floor(0, 9, "y")];
    assert_eq!(check(sign(&body(6, ""), &[0]), &keys, &two).unwrap_err(), "rollback", "every floor holds");
}

#[test]
fn a_release_retires_a_key_and_starts_afresh() {
    let keys = trusted(&[0, 1], 1);
    let fast_forwarded = [floor(0, u64::MAX, "x")];
    assert_eq!(check(sign(&body(1, ""), &[1]), &keys, &fast_forwarded).unwrap_err(), "rollback");
    let verified = check(sign(&retiring(body(1, ""), 0), &[1]), &keys, &fast_forwarded).unwrap();
    assert_eq!(*verified.order(), floor(1, 1, &retiring(body(1, ""), 0)));
    let rotated = [floor(1, 1, "y")];
    assert_eq!(check(sign(&body(1_000, ""), &[0]), &keys, &rotated).unwrap_err(), "retired-key");
    assert_eq!(check(sign(&body(1_000, ""), &[0, 1]), &keys, &rotated).unwrap_err(), "retired-key");
    check(sign(&retiring(body(2, ""), 0), &[0, 1]), &keys, &rotated).unwrap();
    check(sign(&body(7, ""), &[0]), &keys, &[floor(1, 7, &body(7, ""))]).expect("that very body again");
    // A key that this client does not know retires nothing.
    let unknown = check(sign(&retiring(body(1, ""), 2), &[0]), &keys, &[]).unwrap();
    assert_eq!(unknown.order().key, public(0).id());
}

#[test]
fn a_retired_key_does_not_count() {
    let keys = trusted(&[0, 1, 2], 2);
    check(sign(&retiring(body(1, ""), 0), &[1, 2]), &keys, &[]).unwrap();
    assert_eq!(check(sign(&retiring(body(1, ""), 0), &[0, 1]), &keys, &[]).unwrap_err(), "threshold");
    assert_eq!(check(sign(&retiring(body(1, ""), 1), &[0, 1, 2]), &keys, &[]).unwrap_err(), "threshold");
    assert_eq!(check(sign(&retiring(body(1, ""), 2), &[0, 1, 2]), &keys, &[]).unwrap_err(), "threshold");
}

#[test]
fn changing_pairs_of_three_keys_retire_nothing() {
    let keys = trusted(&[0, 1, 2], 2);
    let mut floors = Vec::new();
    for (sequence, pair) in (1..).zip([[0, 1], [1, 2], [0, 2], [0, 1], [1, 2], [0, 1]]) {
        floors = vec![check(sign(&body(sequence, ""), &pair), &keys, &floors).unwrap().order().clone()];
    }
}

#[test]
fn a_stolen_key_lifts_no_old_release() {
    let keys = trusted(&[0, 1, 2], 2);
    let newest = check(sign(&body(30, ""), &[0, 1]), &keys, &[]).unwrap();
    // The signature by the stolen key 2 would make key 1 the second highest signer.
    let replayed = sign(&body(10, ""), &[0, 1, 2]);
    assert_eq!(check(replayed, &keys, std::slice::from_ref(newest.order())).unwrap_err(), "rollback");
}

/// A release in the property test: its sequence, the key that it retires and its signers.
type Case = (u64, Option<usize>, Vec<usize>);

/// Returns the order of a release by a naive oracle; `None` if clients must refuse it.
fn oracle((sequence, retires, signers): &Case, threshold: usize) -> Option<(usize, u64)> {
    let retired = retires.map_or(0, |key| key + 1);
    let counted = signers.iter().filter(|key| **key >= retired).count();
    (counted >= threshold).then_some((retired, *sequence))
}

#[test]
fn only_a_threshold_of_keys_decides_acceptance_and_order() {
    let subsets = |count: usize| {
        (0..1usize << count).map(move |set| (0..count).filter(|key| set >> key & 1 == 1).collect::<Vec<_>>())
    };
    let bodies: Vec<(u64, Option<usize>, String)> = [None, Some(0), Some(1), Some(2), Some(3)]
        .into_iter()
        .flat_map(|retires| [1, 2].map(|sequence| (sequence, retires)))
        .map(|(sequence, retires)| {
            let text = body(sequence, "");
            (sequence, retires, retires.map_or_else(|| text.clone(), |key| retiring(text.clone(), key)))
        })
        .collect();
    // Every signature once: RSA signing dominates the time of this test.
    let signatures: Vec<Vec<Signature>> = bodies
        .iter()
        .map(|(.., text)| {
            (0..4).map(|key| SignedBytes::split(sign(text, &[key])).unwrap().signatures.remove(0)).collect()
        })
        .collect();
    for count in 1..=4 {
        for threshold in 1..=count {
            let keys = trusted(&(0..count).collect::<Vec<_>>(), threshold);
            let mut accepted: Vec<(Case, ReleaseOrder)> = Vec::new();
            for ((sequence, retires, text), made) in bodies.iter().zip(&signatures) {
                if retires.is_some_and(|key| key >= count) {
                    continue;
                }
                for signers in subsets(count).filter(|signers| !signers.is_empty()) {
                    let lines: Vec<_> = signers.iter().map(|key| made[*key].clone()).collect();
                    let result = authenticate(with_signatures(text.as_bytes(), &lines), &keys);
                    let case = (*sequence, *retires, signers);
                    assert_eq!(result.is_ok(), oracle(&case, threshold).is_some(), "{case:?} {threshold} of {count}");
                    accepted.extend(result.ok().map(|verified| (case, verified.order().clone())));
                }
            }
            for (one, order) in &accepted {
                for (other, floor) in &accepted {
                    let expected = oracle(one, threshold).cmp(&oracle(other, threshold));
                    assert_eq!(order.is_after(floor, &keys), expected.is_gt(), "{one:?} after {other:?}");
                    let is_taken = super::check_order(order, &Floor::Release(floor.clone()), &keys).is_ok();
                    assert_eq!(is_taken, expected.is_ge(), "{one:?} over {other:?}");
                    // An attacker who adds or removes signatures of one body changes no order.
                    assert!((one.0, one.1) != (other.0, other.1) || order == floor, "{one:?} {other:?}");
                }
            }
        }
    }
}

#[test]
fn a_floor_under_a_dropped_key_stands_before_all() {
    let floors = [floor(0, u64::MAX, "x")];
    check(sign(&body(1, ""), &[1]), &trusted(&[1], 1), &floors).unwrap();
    let keys = trusted(&[1], 1);
    assert!(floor(1, 1, "").is_after(&floors[0], &keys));
    assert!(!floors[0].is_after(&floor(1, 1, ""), &keys));
}

#[test]
fn an_expired_manifest_is_verified_but_stale() {
    let verified = check(sign(&body(1, ""), &[0]), &trusted(&[0], 1), &[]).unwrap();
    let code =
        |now: &str| verified.clone().fresh(now.parse().unwrap()).err().map(|error| crate::Error::from(error).code());
    assert_eq!(code("2026-12-31T23:59:59Z"), None);
    assert_eq!(code("2027-01-01T00:00:00Z"), Some("stale"));
}

#[test]
fn a_clock_that_is_behind_is_a_warning() {
    let verified = check(sign(&body(1, ""), &[0]), &trusted(&[0], 1), &[]).unwrap();
    let warning = |now: &str| verified.clone().fresh(now.parse().unwrap()).unwrap().warning();
    assert_eq!(warning("2026-01-01T00:00:00Z"), None);
    assert_eq!(
        warning("2025-12-31T23:59:59Z"),
        Some(TrustWarning::ClockBehind { issued: "2026-01-01T00:00:00Z".parse().unwrap() })
    );
}

#[test]
fn a_compiled_in_floor_is_a_number_under_a_key() {
    let keys = trusted(&[0, 1], 1);
    let floor = Floor::Number { key: public(0).id(), sequence: 5 };
    let code = |body: String, signer| {
        let verified = verify(sign(&body, &[signer]), &keys, &core(), std::slice::from_ref(&floor));
        verified.err().map(|error| crate::Error::from(error).code())
    };
    assert_eq!(code(body(4, ""), 0), Some("rollback"));
    assert_eq!(code(body(5, ""), 0), None);
    assert_eq!(code(body(4, ""), 1), Some("rollback"));
    assert_eq!(code(retiring(body(1, ""), 0), 1), None, "it retires the key of the floor");
}

/// Returns the release of the version 2.0.0 under sequence 41, signed by `signers`, and the stone
/// that names it.
fn stone(signers: &[usize]) -> (Vec<u8>, SteppingStone) {
    let body = body(41, "").replace("version=\"1.0.0\"", "version=\"2.0.0\"");
    let stone = SteppingStone { below: Version::new(2, 0, 0), sequence: 41, body: Sha256::of(body.as_bytes()) };
    (sign(&body, signers), stone)
}

/// Returns the code with which a client that has `installed` refuses a stone; `None` if it accepts
/// it.
fn refused_stone(bytes: Vec<u8>, stone: &SteppingStone, installed: ReleaseOrder) -> Option<&'static str> {
    let result = verify_stepping_stone(bytes, &trusted(&[0, 1], 1), &core(), stone, &[Floor::Release(installed)]);
    result.err().map(|error| crate::Error::from(error).code())
}

#[test]
fn a_stepping_stone_is_taken_although_a_later_release_was_seen() {
    let (bytes, stone) = stone(&[0]);
    let seen = [floor(0, 90, "newest")];
    assert_eq!(check(bytes.clone(), &trusted(&[0, 1], 1), &seen).unwrap_err(), "rollback", "by itself it is too old");
    assert_eq!(refused_stone(bytes, &stone, floor(0, 40, "installed")), None);
}

#[test]
fn each_rule_of_stepping_stones_has_one_that_breaks_it() {
    let installed = || floor(0, 40, "installed");
    let (bytes, good) = stone(&[0]);
    let as_named = |body: String, signer: usize| {
        let named = SteppingStone { body: Sha256::of(body.as_bytes()), ..good.clone() };
        refused_stone(sign(&body, &[signer]), &named, installed())
    };
    let text = || String::from_utf8(SignedBytes::split(bytes.clone()).unwrap().body).unwrap();
    assert_eq!(as_named(text(), 0), None);
    assert_eq!(as_named(text(), 2), Some("unknown-key"), "the hash alone does not do");
    let forged = with_signatures(text().as_bytes(), &[Signature { key: public(0).id(), bytes: vec![1; 256] }]);
    assert_eq!(refused_stone(forged, &good, installed()), Some("bad-signature"));
    assert_eq!(as_named(text().replace("core", "addon"), 0), Some("wrong-component"));
    assert_eq!(as_named(text().replace("stable", "beta"), 0), Some("wrong-channel"));
    assert_eq!(as_named(text().replace("\"any\"", "\"aarch64-macos\""), 0), Some("wrong-platform"));
    let other = text().replace("localhost", "elsewhere");
    assert_eq!(refused_stone(sign(&other, &[0]), &good, installed()), Some("stepping-stone"), "another release");
    assert_eq!(refused_stone(sign(&other, &[1]), &good, installed()), Some("stepping-stone"), "a later key's");
    assert_eq!(as_named(text().replace("\"41\"", "\"42\""), 0), Some("stepping-stone"), "another sequence");
    assert_eq!(as_named(text().replace("2.0.0", "1.9.9"), 0), Some("stepping-stone"), "a way that leads nowhere");
    assert_eq!(refused_stone(bytes.clone(), &good, floor(0, 42, "x")), Some("rollback"));
    assert_eq!(refused_stone(bytes.clone(), &good, floor(0, 41, "x")), Some("sequence-conflict"));
    assert_eq!(refused_stone(bytes.clone(), &good, floor(0, 41, &text())), Some("stepping-stone"), "installed already");
    assert_eq!(refused_stone(bytes, &good, floor(1, 1, "x")), Some("retired-key"));
}

#[test]
fn a_stepping_stone_keeps_to_the_floor_that_is_compiled_in_and_to_the_threshold() {
    let (bytes, stone) = stone(&[0]);
    let code = |threshold, sequence| {
        let floors = [Floor::Number { key: public(0).id(), sequence }];
        let keys = trusted(&[0, 1], threshold);
        let result = verify_stepping_stone(bytes.clone(), &keys, &core(), &stone, &floors);
        result.err().map(|error| crate::Error::from(error).code())
    };
    assert_eq!(code(1, 41), None);
    assert_eq!(code(1, 42), Some("rollback"));
    assert_eq!(code(2, 41), Some("threshold"));
}

#[test]
fn a_stepping_stone_is_as_fresh_as_the_manifest_that_names_it() {
    let (bytes, stone) = stone(&[0]);
    let keys = trusted(&[0], 1);
    let late = "2027-06-01T00:00:00Z".parse().unwrap();
    let newest = |stones: &str| {
        let body = body(90, "").replace("version=\"1.0.0\"", "version=\"3.0.0\"").replace("2027-01-01", "2028-01-01");
        let body = body.replace("  </meta>", &format!("{stones}  </meta>"));
        check(sign(&body, &[0]), &keys, &[]).unwrap().fresh(late).unwrap()
    };
    let named = format!("<stepping-stone below=\"2.0.0\" sequence=\"41\" body=\"{}\"/>", stone.body);
    let verified = verify_stepping_stone(bytes, &keys, &core(), &stone, &[]).unwrap();
    verified.clone().fresh(late).expect_err("by itself it has expired");
    verified.clone().fresh_as_stepping_stone_of(&newest(&named)).unwrap();
    let refused = verified.fresh_as_stepping_stone_of(&newest("")).unwrap_err();
    assert_eq!(crate::Error::from(refused).code(), "stepping-stone");
}

#[test]
fn requirements_hold_over_the_whole_set() {
    let with = |component: &str, version: &str, requires: &str| {
        let text = body(1, "")
            .replace("core", component)
            .replace("1.0.0", version)
            .replace("  </meta>", &format!("{requires}  </meta>"));
        manifest::parse(text.as_bytes()).unwrap().meta
    };
    let core = with("core", "2.0.0", "<requires component=\"runtime\" version=\">=1.2\"/>");
    let code = |set: &[Meta]| check_requires(set.iter()).err().map(|error| crate::Error::from(error).code());
    assert_eq!(code(&[core.clone(), with("runtime", "1.2.0", "")]), None);
    assert_eq!(code(&[core.clone(), with("runtime", "1.1.9", "")]), Some("requires"));
    assert_eq!(code(&[core]), Some("requires"));
}
