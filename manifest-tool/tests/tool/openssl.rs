//! A signature is checked without this project's code, by the commands in the documentation.

use crate::publisher::{Publisher, is_missing};
use std::process::Command;

const CHECK: &str = r"
sed '/^  <signature /d' manifest.xml > body &&
sed -n 's|^  <signature [^>]*>\(.*\)</signature>$|\1|p' manifest.xml | head -1 | base64 -d > sig &&
openssl dgst -sha256 -verify ../release.pub.pem -signature sig body";

#[test]
fn openssl_verifies_a_signed_release() {
    if is_missing("openssl") {
        return;
    }
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let check = || Command::new("sh").args(["-c", CHECK]).current_dir(publisher.path("build")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&check().stdout), "Verified OK\n");
    let body = publisher.run(&["body", "build/manifest.xml"]).ok();
    assert_eq!(body.as_bytes(), publisher.read("build/body"));

    let forged = String::from_utf8(publisher.read("build/manifest.xml")).unwrap().replace("1.0.0", "1.0.1");
    publisher.write("build/manifest.xml", forged);
    assert!(!check().status.success());
}

#[test]
fn keys_that_openssl_made_sign_in_both_forms() {
    if is_missing("openssl") {
        return;
    }
    let publisher = Publisher::new();
    publisher.openssl(&["genrsa", "-out", "pkcs8.pem", "2048"]);
    publisher.openssl(&["rsa", "-traditional", "-in", "pkcs8.pem", "-out", "pkcs1.pem"]);
    publisher.openssl(&["genrsa", "-out", "short.pem", "1024"]);
    publisher.sign(&["--key", "pkcs8.pem"]).ok();
    publisher.sign(&["--key", "pkcs1.pem"]).ok();
    publisher.sign(&["--key", "short.pem"]).fails(2, "1024 bits");
}
