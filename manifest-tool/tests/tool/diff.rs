//! The output of `diff` for two releases.

use crate::publisher::{Publisher, program};

#[test]
fn a_diff_lists_the_changes_and_their_bytes() {
    let publisher = Publisher::new();
    publisher.write("build/gone", "it goes");
    publisher.sign_builds(1..=1, &[]);
    publisher.run(&["diff", "site/core/manifest.xml", "build/manifest.xml"]).ok();
    publisher.write("build/new", "something new");
    publisher.write("build/copy", "some data");
    std::fs::remove_file(publisher.path("build/gone")).unwrap();
    publisher.write("build/bin/app", program(2));
    publisher.sign_as("1.2.0", &[]).ok();
    let out = publisher.run(&["diff", "site/core/releases/1.xml", "site/core/manifest.xml"]).ok();
    let manifest = publisher.manifest("site/core/manifest.xml");
    let file = |path: &str| manifest.files.iter().find(|file| file.path.as_str() == path).unwrap();
    let (app, new) = (file("bin/app"), file("new"));
    let update = manifest.meta.updates[0].object.object.size;
    let expected = format!(
        "~ {:>11}  bin/app (update object)\n+ {:>11}  copy\n- {:>11}  gone\n+ {:>11}  new (update object)\n\
         1.1.0 -> 1.2.0: 2 added, 1 removed, 1 changed\n{update} bytes to fetch; {} as wholes\n",
        "",
        0,
        0,
        "",
        app.gz.unwrap().size + new.gz.unwrap().size
    );
    assert_eq!(out, expected);
}

#[test]
fn a_release_has_no_difference_from_itself() {
    let publisher = Publisher::new();
    publisher.sign(&[]).ok();
    let out = publisher.run(&["diff", "build/manifest.xml", "build/manifest.xml"]).ok();
    assert_eq!(out, "1.0.0 -> 1.0.0: 0 added, 0 removed, 0 changed\n0 bytes to fetch; 0 as wholes\n");
    publisher.run(&["diff", "build/bin/app", "build/manifest.xml"]).fails(21, "bin/app");
}
