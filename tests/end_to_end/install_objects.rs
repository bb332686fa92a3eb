//! First installations by install objects, and the fallbacks where one fails.

use crate::support::publisher::{Published, Publisher};
use crate::support::scripted::{Reply, Scripted};
use crate::support::server::ServerKind;
use crate::support::tree::{Tree, noise};
use crate::support::user::User;
use crate::support::world::World;
use patcher::internal::layout::{ObjectKind, object_path};
use patcher::internal::tables::InstallTable;
use std::fs;
use std::time::Duration;

on_every_server!(an_installation_takes_two_requests);

fn an_installation_takes_two_requests(kind: ServerKind) {
    let Some(world) = World::on(kind) else { return };
    let published = world.publisher.release("core", "1.0.0", &release()).install_object().sign();
    world.install("core");
    world.user.has("core", &release());
    let paths: Vec<String> = world.server.take_requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/core/manifest.xml".to_owned(), object(&published)]);
    assert_eq!(fallbacks(&world.user), 0);
}

/// Makes a release of programs that resemble each other, an empty file, equal files, and noise that
/// cannot be packed.
fn release() -> Tree {
    let mut tree = Tree::from_seed(1).file("share/empty", b"", 0o644);
    let code = noise(7, 100_000);
    for number in 0..20 {
        let text = format!("file {number}\n").repeat(2000);
        tree = tree.file(&format!("lib/{number}.so"), &[&code[number * 1000..], text.as_bytes()].concat(), 0o755);
    }
    tree.file("share/one", b"the same", 0o644).file("share/two", b"the same", 0o755)
}

/// Makes a release whose contents take two blocks.
fn large_release() -> Tree {
    release().file("share/zeros.z", &vec![0; 17_000_000], 0o644)
}

/// Returns the path of the install object, with its leading slash.
fn object(published: &Published) -> String {
    let install = published.manifest.meta.install.unwrap();
    format!("/core/{}", object_path(ObjectKind::Install, &install.object.sha256))
}

fn size(published: &Published) -> u64 {
    published.manifest.meta.install.unwrap().object.size
}

fn fallbacks(user: &User) -> u64 {
    user.ok(&["history"])["updates"][0]["fallbacks"].as_u64().unwrap()
}

fn is_install(path: &str) -> bool {
    path.ends_with(".install")
}

fn is_gz(path: &str) -> bool {
    path.ends_with(".gz")
}

/// Creates a world with one release.
fn world(release: &Tree) -> (World<Scripted>, Published) {
    let world = World::honest();
    let published = world.publisher.release("core", "1.0.0", release).install_object().sign();
    (world, published)
}

/// Every wrong answer costs at most its own bytes: the same run fetches the single files.
#[test]
fn an_install_object_that_fails_is_replaced_by_single_files() {
    let (world, published) = world(&large_release());
    let path = object(&published);
    let good = world.server.file(&path);
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        Reply::Bytes(bytes)
    };
    let other = world.server.file("/core/manifest.xml");
    let replies = [
        ("missing", Reply::status(404)),
        ("another file", Reply::Bytes(other)),
        ("empty", Reply::Bytes(Vec::new())),
        ("cut off in the table", Reply::Bytes(good[..20].to_vec())),
        ("cut off in a block", Reply::Bytes(good[..good.len() - 1000].to_vec())),
        ("too long", Reply::Bytes([&good[..], b"more"].concat())),
        ("endless", Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![0; 4096])),
        ("another magic number", flipped(0)),
        ("another hash in the table", flipped(40)),
        ("the first block damaged", flipped(published.manifest.meta.install.unwrap().table.size as usize + 9)),
        ("a connection that ends", Reply::CutAfter(good.len() / 2)),
    ];
    for (name, reply) in replies {
        let user = User::trusting(&world.publisher);
        let path = path.clone();
        world.server.follow(move |request| if request.path == path { reply.clone() } else { Reply::Site });
        user.ok(&["--retries", "0", "install", "core", "--from", &world.manifest_url("core")]);
        user.has("core", &large_release());
        let requests = world.server.take_paths();
        assert!(requests.iter().any(|path| is_install(path)), "{name}");
        let fetched = requests.iter().filter(|path| is_gz(path)).count();
        // The contents of an object with too many bytes are right, each by its own hash.
        assert_eq!(fetched > 0, name != "too long", "{name}");
        assert_eq!(fallbacks(&user), fetched as u64, "{name} is in the history");
    }
}

#[test]
fn a_damaged_block_costs_only_its_contents() {
    let (world, published) = world(&large_release());
    let mut bytes = world.server.file(&object(&published));
    let last = bytes.len() - 9;
    bytes[last] ^= 0x40;
    world.server.lie(&object(&published), Reply::Bytes(bytes));
    world.install("core");
    world.user.has("core", &large_release());
    let fetched: Vec<String> = world.server.take_paths().into_iter().filter(|path| is_gz(path)).collect();
    assert_eq!(fetched, [published.object("share/zeros.z")]);
}

#[test]
fn the_second_mirror_makes_good_what_the_first_one_sent_wrong() {
    let mut publisher = Publisher::new();
    let first = Scripted::serve(&publisher.site(), |_| Reply::Site);
    let second = Scripted::serve(&publisher.site(), |_| Reply::Site);
    publisher.serve_at([first.url(), second.url()]);
    let user = User::trusting(&publisher);
    let published = publisher.release("core", "1.0.0", &release()).install_object().sign();
    let mut bytes = first.file(&object(&published));
    let middle = bytes.len() / 2;
    bytes[10] ^= 1;
    bytes[middle] ^= 1;
    first.lie(&object(&published), Reply::Bytes(bytes));
    user.ok(&["install", "core", "--from", &format!("{}core/manifest.xml", first.url())]);
    user.has("core", &release());
    assert_eq!(second.take_paths(), [object(&published)]);
    assert_eq!(fallbacks(&user), 0);
}

#[test]
fn an_interrupted_installation_continues_at_its_byte() {
    let (world, published) = world(&release());
    let (path, half) = (object(&published), size(&published) as usize / 2);
    let cut = path.clone();
    world.server.follow(move |request| match request.path == cut {
        true => Reply::CutAfter(half),
        false if is_gz(&request.path) => Reply::status(503),
        false => Reply::Site,
    });
    world.user.json(20, &["--retries", "0", "install", "core", "--from", &world.manifest_url("core")]);
    world.server.be_honest();
    world.server.take_requests();
    world.install("core");
    world.user.has("core", &release());
    let requests = world.server.take_requests();
    let resumed: Vec<_> = requests.iter().filter(|request| is_install(&request.path)).collect();
    assert_eq!(resumed.len(), 1);
    assert!(resumed[0].first_byte() >= half as u64, "from byte {}", resumed[0].first_byte());
    assert!(!requests.iter().any(|request| is_gz(&request.path)));
}

#[test]
fn a_slow_install_object_is_unpacked_while_it_arrives() {
    let (world, published) = world(&release());
    let piece = size(&published) as usize / 50;
    world.server.follow(move |request| {
        if is_install(&request.path) { Reply::Slowly(piece, Duration::from_millis(2)) } else { Reply::Site }
    });
    world.install("core");
    world.user.has("core", &release());
    assert_eq!(world.server.take_paths(), ["/core/manifest.xml".to_owned(), object(&published)]);
}

#[test]
fn a_repair_of_one_file_fetches_that_file() {
    let (world, published) = world(&release());
    world.install("core");
    world.user.ok(&["confirm"]);
    fs::write(world.user.component("core").join("share/one"), b"damaged").unwrap();
    world.server.take_paths();
    world.user.ok(&["repair", "core"]);
    world.user.has("core", &release());
    assert!(world.server.take_paths().is_empty(), "share/two has the content");
    for path in ["share/one", "share/two"] {
        fs::remove_file(world.user.component("core").join(path)).unwrap();
    }
    world.user.ok(&["repair", "core"]);
    world.user.has("core", &release());
    assert_eq!(world.server.take_paths(), [published.object("share/one")]);
}

/// A client without most of a release takes the install object, and keeps what it has.
#[test]
fn a_repair_of_most_files_uses_the_install_object() {
    let (world, published) = world(&release());
    world.install("core");
    world.user.ok(&["confirm"]);
    fs::remove_dir_all(world.user.component("core").join("lib")).unwrap();
    world.server.take_paths();
    world.user.ok(&["repair", "core"]);
    world.user.has("core", &release());
    assert_eq!(world.server.take_paths(), [object(&published)]);
}

/// A table that a publisher's own key has signed is read as carefully as any other.
#[test]
fn a_signed_table_that_lies_is_no_harm() {
    type Change = fn(&mut InstallTable, &mut Vec<u8>);
    let changes: [(&str, Change); 7] = [
        ("no contents", |table, blocks| {
            (table.contents, table.blocks) = (Vec::new(), Vec::new());
            blocks.clear();
        }),
        ("sizes that do not add up", |table, _| table.blocks[0].packed -= 1),
        ("a huge content", |table, _| table.contents[1].size = u64::MAX),
        ("two contents exchanged", |table, _| table.contents.swap(1, 2)),
        ("a content twice", |table, _| table.contents[2] = table.contents[1]),
        ("blocks of other bytes", |_, blocks| blocks.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1))),
        ("a bomb", |table, blocks| {
            // The block unpacks to more than its size.
            let size = table.blocks[0].size;
            table.blocks[0].size = size / 2;
            table.contents.retain(|content| content.size == 0);
            table
                .contents
                .push(patcher::internal::manifest::Object { size: size / 2, sha256: patcher::Sha256::of(b"") });
            table.blocks.truncate(1);
            blocks.truncate(table.blocks[0].packed as usize);
        }),
    ];
    for (name, change) in changes {
        let (world, _) = world(&release());
        world.publisher.forge_install("core", change);
        world.install("core");
        world.user.has("core", &release());
        assert!(fallbacks(&world.user) > 0, "{name}");
        assert!(world.server.take_paths().iter().any(|path| is_gz(path)), "{name}");
    }
}
