//! Compares the header with the code. `PATCHER_BLESS=1 cargo test -p libpatcher` writes it anew.

use std::path::Path;

#[test]
fn the_header_is_generated_from_the_code() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(dir.join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new().with_config(config).with_crate(dir).generate().expect("bindings");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let (text, path) = (String::from_utf8(text).unwrap(), dir.join("include/patcher.h"));
    if std::env::var_os("PATCHER_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == text, "{} differs from the code", path.display());
}
