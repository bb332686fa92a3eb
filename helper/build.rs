//! Embeds the manifest that tells Windows how to run `patcher-helper.exe`.
//!
//! On Linux it leaves the unwinding tables out where nothing unwinds: a panic ends the helper.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some() {
        let manifest =
            embed_manifest::new_manifest("patcher-helper").remove_dependency("Microsoft.Windows.Common-Controls");
        embed_manifest::embed_manifest(manifest).expect("a manifest for this target");
    }
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    // The profile that has `panic = "abort"`.
    if is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") {
        let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo::rerun-if-changed=without-unwinding.ld");
        for argument in ["-Wl,--no-eh-frame-hdr", "-T", &format!("{folder}/without-unwinding.ld")] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
