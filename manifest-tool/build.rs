//! Embeds the manifest that tells Windows how to run `manifest-tool.exe`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some() {
        let manifest =
            embed_manifest::new_manifest("manifest-tool").remove_dependency("Microsoft.Windows.Common-Controls");
        embed_manifest::embed_manifest(manifest).expect("a manifest for this target");
    }
}
