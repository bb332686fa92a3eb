//! Private keys, encrypted by the tool and by openssl, and the three ways to give the passphrase.

use crate::publisher::{Publisher, ToolRun, is_missing};

const PASSPHRASE: &str = "correct horse";
const VARIABLE: &str = "MANIFEST_KEY_PASSPHRASE";

/// Creates a publisher with a file for the right passphrase and one for a wrong one.
fn publisher() -> Publisher {
    let publisher = Publisher::new();
    publisher.write("passphrase", format!("{PASSPHRASE}\r\nnot this line\n"));
    publisher.write("wrong", "Tr0ub4dor&3");
    publisher
}

fn sign_with(publisher: &Publisher, key: &str, file: &str) -> ToolRun {
    publisher.sign(&["--key", key, "--passphrase-file", file])
}

#[test]
fn an_encrypted_key_signs_with_its_passphrase() {
    let publisher = publisher();
    publisher.run_with(&["keygen", "safe", "--bits", "2048", "--encrypt"], &[(VARIABLE, PASSPHRASE)]).ok();
    assert!(publisher.read("safe.key.pem").starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    sign_with(&publisher, "safe.key.pem", "passphrase").ok();
    publisher.verified("site/core/manifest.xml", &["safe.pub.pem"], &[]).unwrap();
    publisher.run_with(&["resign", "core", "--key", "safe.key.pem"], &[(VARIABLE, PASSPHRASE)]).ok();

    let run = sign_with(&publisher, "safe.key.pem", "wrong");
    run.fails(2, "safe.key.pem cannot be opened with this passphrase");
    assert!(!run.err.contains("Tr0ub4dor"), "{}", run.err);
    let resign = ["resign", "core", "--key", "safe.key.pem", "--passphrase-file", "wrong"];
    publisher.run_with(&resign, &[(VARIABLE, PASSPHRASE)]).fails(2, "cannot be opened");
    publisher
        .sign(&["--key", "safe.key.pem"])
        .fails(2, "--passphrase-file, set $MANIFEST_KEY_PASSPHRASE, or run it on");
    sign_with(&publisher, "safe.key.pem", "missing").fails(22, "missing");

    if !is_missing("openssl") {
        publisher.write("passphrase", PASSPHRASE);
        publisher.openssl(&["pkey", "-in", "safe.key.pem", "-passin", "file:passphrase", "-check", "-noout"]);
    }
}

#[test]
fn keys_that_openssl_encrypted_are_opened() {
    if is_missing("openssl") {
        return;
    }
    let publisher = publisher();
    let pass = format!("pass:{PASSPHRASE}");
    let to = ["-topk8", "-in", "release.key.pem", "-passout", &pass, "-out"];
    let pkcs8 = |out: &str, more: &[&str]| publisher.openssl(&[&["pkcs8"], &to[..], &[out], more].concat());
    publisher.openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-aes-256-cbc",
        "-pass",
        &pass,
        "-out",
        "genpkey.pem",
    ]);
    pkcs8("pbkdf2.pem", &["-v2", "aes-256-cbc"]);
    pkcs8("sha512.pem", &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"]);
    pkcs8("scrypt.pem", &["-scrypt", "-scrypt_N", "1024"]);
    for key in ["genpkey.pem", "pbkdf2.pem", "sha512.pem", "scrypt.pem"] {
        // The first one is another key, whose releases the others do not trust.
        let _ = std::fs::remove_dir_all(publisher.path("site"));
        sign_with(&publisher, key, "passphrase").ok();
        sign_with(&publisher, key, "wrong").fails(2, "cannot be opened");
        publisher.sign(&["--key", key]).fails(2, "needs a passphrase");
    }

    publisher.openssl(&[
        "rsa",
        "-traditional",
        "-aes256",
        "-in",
        "release.key.pem",
        "-passout",
        &pass,
        "-out",
        "old.pem",
    ]);
    pkcs8("sha1.pem", &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"]);
    pkcs8("des.pem", &["-v2", "des3"]);
    for key in ["old.pem", "sha1.pem", "des.pem"] {
        sign_with(&publisher, key, "passphrase").fails(2, "openssl pkcs8 -topk8 -v2 aes-256-cbc");
    }

    let curve = ["genpkey", "-algorithm", "ED25519", "-aes-256-cbc", "-pass", &pass, "-out", "curve.pem"];
    publisher.openssl(&curve);
    sign_with(&publisher, "curve.pem", "passphrase").fails(2, "not a usable private key");
}

#[test]
fn a_wrong_passphrase_is_reported_whatever_the_padding() {
    if is_missing("openssl") {
        return;
    }
    let publisher = publisher();
    publisher.openssl(&[
        "pkcs8",
        "-topk8",
        "-in",
        "release.key.pem",
        "-v2",
        "aes-256-cbc",
        "-iter",
        "1",
        "-passout",
        "pass:x",
        "-out",
        "key.pem",
    ]);
    // One of 256 wrong passphrases decrypts to bytes with valid padding that are no key.
    use manifest_tool::signing::passphrase::Passphrases;
    use manifest_tool::signing::private_key::PrivateKey;
    let passphrases = Passphrases { file: Some(publisher.path("guess")) };
    for guess in 0..2_000 {
        publisher.write("guess", guess.to_string());
        let error = PrivateKey::load(&publisher.path("key.pem"), &passphrases).err().unwrap();
        assert_eq!(error.code(), "wrong-passphrase", "{error}");
    }
}

#[test]
fn keygen_makes_no_key_without_the_passphrase() {
    let publisher = publisher();
    publisher.write("empty", "\nsecond line");
    publisher.run(&["keygen", "safe", "--encrypt"]).fails(2, "needs a passphrase");
    publisher.run(&["keygen", "safe", "--encrypt", "--passphrase-file", "empty"]).fails(2, "is empty");
    publisher.run(&["keygen", "safe", "--no-passphrase", "--passphrase-file", "passphrase"]).usage_error();
    publisher.run(&["keygen", "safe", "--no-passphrase", "--encrypt"]).usage_error();
    assert!(!publisher.path("safe.key.pem").exists());
}

#[test]
fn a_passphrase_in_the_build_folder_is_not_published() {
    let publisher = publisher();
    publisher.write("build/passphrase", PASSPHRASE);
    sign_with(&publisher, "release.key.pem", "build/passphrase").fails(2, "move it out");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_asks_for_the_passphrase() {
    use crate::publisher::on_terminal;
    if is_missing("script") {
        return;
    }
    let publisher = publisher();
    let keygen = "keygen safe --bits 2048";
    let run = on_terminal(&publisher, keygen, &format!("{PASSPHRASE}\n{PASSPHRASE} \n"));
    assert!(run.code == 2 && run.out.contains("the two passphrases are not the same"), "{}", run.out);
    assert!(!publisher.path("safe.key.pem").exists());
    let run = on_terminal(&publisher, keygen, &format!("{PASSPHRASE}\n{PASSPHRASE}\n"));
    assert!(run.code == 0 && run.out.contains("New passphrase of safe.key.pem: "), "{}", run.out);
    sign_with(&publisher, "safe.key.pem", "passphrase").ok();
    let run = on_terminal(&publisher, "resign core --key safe.key.pem", &format!("{PASSPHRASE}\n"));
    assert!(run.code == 0 && run.out.contains("Passphrase of safe.key.pem: "), "{}", run.out);
}
