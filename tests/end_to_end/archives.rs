//! Updates of archives: the bytes that clients fetch when a member changes.

use crate::support::archive::{lines, zip};
use crate::support::tree::Tree;
use crate::support::user::User;
use crate::support::world::World;
use patcher::internal::tables::UpdateTable;
use std::fs;

/// Returns a jar of three members. Each build adds a line to two of them.
fn jar(build: u32) -> Vec<u8> {
    let member = |word: &str, count: u32, news: u32| {
        let news = (1..=news).map(|build| format!("line of build {build}\n"));
        [news.collect::<String>().into_bytes(), lines(word, count)].concat()
    };
    zip(&[
        ("a.class", member("a", 3000, build)),
        ("b.class", member("b", 2000, 0)),
        ("c.class", member("c", 4000, build)),
    ])
}

fn release(build: u32) -> Tree {
    Tree::default().file("lib/app.jar", &jar(build), 0o644).file(
        "bin/app",
        b"#!/bin/sh\nexec java -jar lib/app.jar\n",
        0o755,
    )
}

#[test]
fn a_change_inside_of_an_archive_costs_little_from_every_release() {
    let world = World::honest();
    let mut users = Vec::new();
    for build in 1..=3 {
        world.publish(&format!("1.{build}.0"), &release(build));
        let user = User::trusting(&world.publisher);
        user.ok(&["install", "core", "--from", &world.manifest_url("core")]);
        users.push(user);
    }
    let latest = world.publish("1.4.0", &release(4));
    for update in &latest.manifest.meta.updates {
        let path = world.publisher.site().join(&latest.update_from(update.from)[1..]);
        let bytes = fs::read(path).unwrap();
        let (table, deltas) = bytes.split_at(update.object.table.size as usize);
        let table = UpdateTable::parse(table, deltas.len() as u64).unwrap();
        assert!(table.rows.iter().all(|row| row.method.as_str() == "inflated1"), "{table:?}");
    }
    for user in &users {
        world.server.take_object_bytes();
        user.ok(&["update"]);
        user.has("core", &release(4));
        let bytes = world.server.take_object_bytes();
        assert!(bytes < 2500, "{bytes} bytes for an archive of {}", jar(4).len());
        let stage = user.component("core").join("../.patcher/stage/core/objects");
        let left: Vec<_> = fs::read_dir(stage).into_iter().flatten().collect();
        assert!(left.is_empty(), "no scratch file stays: {left:?}");
    }
}
