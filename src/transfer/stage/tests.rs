//! Fills a stage from a site in memory: complete, damaged, cut off and resumed objects.

use super::*;
use crate::disk::inventory::PathContent;
use crate::disk::layout::{ObjectKind, SiteNames};
use crate::error::{Error, Network};
use crate::formats::manifest::{Object, Platform, SiteLayout};
use crate::transfer::fetch::{Body, ByteRange, CancelToken, Fetch, Mirrors, Request, Retries};
use crate::transfer::plan::{ContentPlan, LocalFile, WholeContent};
use crate::values::rel_path::RelPath;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;
use url::Url;

/// A site with one object. A function of the requested range returns each response.
struct MemorySite<F> {
    answer: F,
    asked: Mutex<Vec<Option<ByteRange>>>,
}

impl<F: Fn(Option<ByteRange>) -> (Box<dyn Read + Send>, u64) + Send + Sync> Fetch for MemorySite<F> {
    fn get(&self, request: &Request<'_>) -> Result<Body> {
        self.asked.lock().unwrap().push(request.range);
        let (reader, offset) = (self.answer)(request.range);
        Ok(Body { offset, ..Body::new(reader, request.url.clone()) })
    }
}

/// A ledger that records nothing.
struct NoLedger;

impl Ledger for NoLedger {
    fn last_url(&self, _: &Sha256) -> Option<Url> {
        None
    }

    fn record(&self, _: Object, _: ObjectKind, _: &Url, _: ObjectEvent) {}
}

/// A body that ends with an error, like a closed connection.
struct CutOff(std::io::Cursor<Vec<u8>>);

impl Read for CutOff {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            count => Ok(count),
        }
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A stage in a temporary root, and a plan for one file of `content`.
struct StageScene {
    _dir: tempfile::TempDir,
    stage: Stage,
    plan: Plan,
    name: String,
    object: Vec<u8>,
}

impl StageScene {
    fn new(content: &[u8], copy: Option<LocalFile>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = InstallRoot::new(dir.path().to_owned());
        let state_dir = crate::state::open_or_create(&root).unwrap();
        let stage = Stage::open(&root, &state_dir, &"core".parse().unwrap()).unwrap();
        let (object, hash) = (gzip(content), Sha256::of(content));
        let gz = Object { size: object.len() as u64, sha256: Sha256::of(&object) };
        let new = PathContent::File { sha256: hash, mode: fs::mode(true) };
        let change = PathChange { path: RelPath::new("a").unwrap(), old: PathContent::Absent, new, saved_from: None };
        let contents = [(
            hash,
            ContentPlan {
                size: content.len() as u64,
                copy,
                is_in_object: false,
                chunks: None,
                whole: WholeContent::Gz(gz),
            },
        )]
        .into();
        let plan = Plan { changes: vec![change], contents, ..Plan::default() };
        Self { _dir: dir, stage, plan, name: format!("{hash}-0"), object }
    }

    /// Fills the stage and returns the last progress.
    fn fill(&self, site: &dyn Fetch, locate: &str) -> Result<Option<Progress>> {
        let mut last = None;
        let transfer = Transfer {
            source: site,
            mirrors: &Mirrors::new(vec![Url::parse("http://localhost/core/").unwrap()]),
            names: &SiteNames::new(SiteLayout::Folders, "core".parse().unwrap(), Platform::any()),
            locate: &|_| PathBuf::from(locate),
            find_local: &|_| None,
            retries: Retries { count: 0, ..Retries::default() },
            parallel: 4,
            ledger: &NoLedger,
            cancel: &CancelToken::default(),
        };
        self.stage.fill(&self.plan, &transfer, |progress| last = Some(progress))?;
        Ok(last)
    }

    /// Returns `true` if the file is staged with its content and mode, and no other file is left.
    fn is_filled(&self) -> bool {
        let wanted = &self.plan.changes[0].new;
        is_staged(&self.stage.files, &self.name, wanted).unwrap()
            && self.stage.files.names().unwrap() == [self.name.as_str()]
            && self.stage.objects.names().unwrap().is_empty()
    }

    fn part(&self) -> PathBuf {
        self.stage.objects.join(&partial(&Sha256::of(&self.object).to_string()))
    }
}

fn site<F>(answer: F) -> MemorySite<F> {
    MemorySite { answer, asked: Mutex::default() }
}

fn whole(bytes: Vec<u8>) -> (Box<dyn Read + Send>, u64) {
    (Box::new(std::io::Cursor::new(bytes)), 0)
}

#[test]
fn an_object_becomes_a_staged_file_and_is_not_asked_for_again() {
    let scene = StageScene::new(b"hello", None);
    let site = site(|_| whole(scene.object.clone()));
    let last = scene.fill(&site, "").unwrap().unwrap();
    assert_eq!((last.bytes_done, last.bytes_total), (scene.object.len() as u64, scene.object.len() as u64));
    assert!(scene.is_filled());
    scene.fill(&site, "").unwrap();
    assert_eq!(site.asked.lock().unwrap().len(), 1);
}

#[test]
fn every_flipped_bit_of_an_object_is_refused() {
    let scene = StageScene::new(b"hello, hello, hello", None);
    for index in 0..scene.object.len() * 8 {
        let mut flipped = scene.object.clone();
        flipped[index / 8] ^= 1 << (index % 8);
        assert_eq!(
            scene.fill(&site(move |_| whole(flipped.clone())), "").unwrap_err().code(),
            "object-hash",
            "bit {index}"
        );
        assert_eq!(scene.stage.files.names().unwrap().len(), 0);
    }
    scene.fill(&site(|_| whole(scene.object.clone())), "").unwrap();
    assert!(scene.is_filled());
}

#[test]
fn a_signed_object_that_is_no_gzip_of_the_file_is_refused() {
    for object in
        [gzip(b"other"), gzip(b"hello!"), b"hello hello hello".to_vec(), [gzip(b"hello"), b"x".to_vec()].concat()]
    {
        let mut scene = StageScene::new(b"hello", None);
        let gz = Object { size: object.len() as u64, sha256: Sha256::of(&object) };
        scene.plan.contents.values_mut().for_each(|content_plan| content_plan.whole = WholeContent::Gz(gz));
        assert_eq!(scene.fill(&site(move |_| whole(object.clone())), "").unwrap_err().code(), "gzip");
        assert!(scene.stage.files.names().unwrap().iter().all(|name| name.ends_with(".part")));
    }
}

#[test]
fn a_body_that_a_proxy_decompressed_is_taken() {
    let content = b"hello, hello, hello, hello, hello, hello".repeat(100);
    let scene = StageScene::new(&content, None);
    scene.fill(&site(|_| whole(content.clone())), "").unwrap();
    assert!(scene.is_filled());
}

#[test]
fn an_endless_body_is_cut_off() {
    let scene = StageScene::new(b"hello", None);
    let endless = site(|_| (Box::new(std::io::repeat(7)) as Box<dyn Read + Send>, 0));
    assert_eq!(scene.fill(&endless, "").unwrap_err().code(), "object-size");
}

#[test]
fn an_interrupted_object_is_resumed() {
    let scene = StageScene::new(&(0..=255).cycle().take(100_000).collect::<Vec<u8>>(), None);
    let length = scene.object.len() as u64;
    let half = scene.object[..100].to_vec();
    let cut = site(move |_| (Box::new(CutOff(std::io::Cursor::new(half.clone()))) as Box<dyn Read + Send>, 0));
    assert!(matches!(scene.fill(&cut, "").unwrap_err(), Error::Network(Network::CutOff { received: 100, .. })));
    let rest = site(|range: Option<ByteRange>| {
        let from = range.map_or(0, |range| range.start);
        (whole(scene.object[from as usize..].to_vec()).0, from)
    });
    let last = scene.fill(&rest, "").unwrap().unwrap();
    assert_eq!(*rest.asked.lock().unwrap(), [Some(ByteRange::rest(100, length))]);
    assert_eq!(last.bytes_done, length);
    assert!(scene.is_filled());
}

#[test]
fn a_server_that_does_not_resume_starts_over() {
    let scene = StageScene::new(b"hello, hello, hello", None);
    std::fs::write(scene.part(), &scene.object[..5]).unwrap();
    let site = site(|_| whole(scene.object.clone()));
    scene.fill(&site, "").unwrap();
    assert_eq!(site.asked.lock().unwrap().len(), 1);
    assert!(scene.is_filled());
}

#[test]
fn a_resumed_object_with_a_wrong_hash_starts_over_once() {
    let scene = StageScene::new(b"hello, hello, hello", None);
    let rest = |bytes: Vec<u8>| {
        move |range: Option<ByteRange>| {
            let from = range.map_or(0, |range| range.start);
            (whole(bytes[from as usize..].to_vec()).0, from)
        }
    };
    std::fs::write(scene.part(), b"junk!").unwrap();
    let good = site(rest(scene.object.clone()));
    scene.fill(&good, "").unwrap();
    assert_eq!(good.asked.lock().unwrap().len(), 2);
    assert!(scene.is_filled());

    scene.stage.files.remove_file(&scene.name).unwrap();
    std::fs::write(scene.part(), &scene.object[..5]).unwrap();
    let mut other = scene.object.clone();
    other[10] ^= 1;
    let bad = site(rest(other));
    assert_eq!(scene.fill(&bad, "").unwrap_err().code(), "object-hash");
    assert_eq!(bad.asked.lock().unwrap().len(), 2);
}

#[test]
fn a_local_file_is_copied_and_one_that_changed_is_fetched_instead() {
    let dir = tempfile::tempdir().unwrap();
    let local = dir.path().join("local");
    let location = LocalFile { component: None, path: "local".into() };
    std::fs::write(&local, "hello").unwrap();
    let scene = StageScene::new(b"hello", Some(location.clone()));
    let site = site(|_| whole(scene.object.clone()));
    scene.fill(&site, local.to_str().unwrap()).unwrap();
    assert!(scene.is_filled() && site.asked.lock().unwrap().is_empty());

    std::fs::write(&local, "HELLO").unwrap();
    let scene = StageScene::new(b"hello", Some(location));
    let last = scene.fill(&site, local.to_str().unwrap()).unwrap().unwrap();
    assert!(scene.is_filled() && site.asked.lock().unwrap().len() == 1);
    assert_eq!(last.bytes_total, scene.object.len() as u64);
}
