//! A server that behaves as GitHub documents its releases: the API, the addresses of downloads, and
//! the storage on another host that they redirect to.
//!
//! - <https://docs.github.com/en/rest/releases>: drafts, assets in the states `starter` and
//!   `uploaded`, `already_exists`, at most 1,000 assets, immutable releases, rate limits.
//! - Downloads redirect to another host, with an address that expires. The storage answers a single
//!   range with 206, and several ranges with 501.

use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tiny_http::{Header, Method, Request, Response, Server};

/// The token that the API accepts.
pub const TOKEN: &str = "secret-token";
const REPOSITORY: &str = "/o/app/releases";
const API: &str = "/api/repos/o/app";
const UPLOADS: &str = "/uploads/";
const MAX_ASSETS: usize = 1000;
const PAGE: usize = 100;

/// Two servers on loopback: GitHub, and the storage of its assets. They stop when dropped.
pub struct GitHubServer {
    state: Arc<Mutex<Repository>>,
    servers: [Arc<Server>; 2],
    threads: Vec<JoinHandle<()>>,
}

/// An error that the server makes once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The upload is cut off: an asset in the state `starter` is left.
    CutOffUpload,
    /// The rate limit is reached for 1 s.
    RateLimit,
    /// The upload is complete, and its answer is lost.
    LostAnswer,
}

#[derive(Default)]
struct Repository {
    releases: Vec<GitHubRelease>,
    /// The assets that were ever uploaded, by their number.
    next_id: u64,
    latest: Option<u64>,
    is_immutable: bool,
    faults: VecDeque<Fault>,
    /// The addresses of the storage that are valid, and the assets that they lead to.
    leases: Vec<(String, Vec<u8>)>,
    /// `METHOD PATH` of each request, in order.
    log: Vec<String>,
    github: String,
    storage: String,
}

struct GitHubRelease {
    id: u64,
    tag: String,
    is_draft: bool,
    is_prerelease: bool,
    assets: Vec<Asset>,
}

struct Asset {
    id: u64,
    name: String,
    bytes: Vec<u8>,
    is_uploaded: bool,
}

impl GitHubServer {
    /// Starts the servers with a repository `o/app` without releases.
    pub fn start() -> Self {
        let servers = [(); 2].map(|()| Arc::new(Server::http("127.0.0.1:0").unwrap()));
        let url = |server: &Server| format!("http://{}", server.server_addr().to_ip().unwrap());
        let repository = Repository {
            next_id: 1,
            github: url(&servers[0]),
            // Another name of the same host is another origin.
            storage: url(&servers[1]).replace("127.0.0.1", "localhost"),
            ..Repository::default()
        };
        let state = Arc::new(Mutex::new(repository));
        let mut threads = Vec::new();
        for (server, answer) in servers.iter().zip([github as Answer, storage as Answer]) {
            // Several connections are served at the same time.
            for _ in 0..4 {
                let (server, state) = (Arc::clone(server), Arc::clone(&state));
                threads.push(std::thread::spawn(move || {
                    while let Ok(request) = server.recv() {
                        answer(&state, request);
                    }
                }));
            }
        }
        Self { state, servers, threads }
    }

    /// Returns the base URL of the newest release's assets.
    pub fn latest(&self) -> String {
        format!("{}{REPOSITORY}/latest/download/", self.lock().github)
    }

    /// Returns the base URL of the assets of a tag.
    pub fn download(&self, tag: &str) -> String {
        format!("{}{REPOSITORY}/download/{tag}/", self.lock().github)
    }

    /// Returns the URL of the API.
    pub fn api(&self) -> String {
        format!("{}/api", self.lock().github)
    }

    /// Makes these errors with the next uploads.
    pub fn fail(&self, faults: &[Fault]) {
        self.lock().faults.extend(faults);
    }

    /// Forgets the errors that were not made yet.
    pub fn fail_no_more(&self) {
        self.lock().faults.clear();
    }

    /// Refuses changes of public releases.
    pub fn make_immutable(&self) {
        self.lock().is_immutable = true;
    }

    /// Adds a release with as many assets, as another program would.
    pub fn crowd(&self, tag: &str, assets: usize) {
        let mut state = self.lock();
        let id = state.take_id();
        let asset = |number: usize| Asset {
            id: u64::MAX - number as u64,
            name: format!("other-{number}"),
            bytes: Vec::new(),
            is_uploaded: true,
        };
        let assets = (0..assets).map(asset).collect();
        state.releases.push(GitHubRelease { id, tag: tag.to_owned(), is_draft: false, is_prerelease: false, assets });
    }

    /// Returns the names of the assets of a public release, sorted.
    pub fn assets(&self, tag: &str) -> Vec<String> {
        let state = self.lock();
        let release = state.releases.iter().find(|release| release.tag == tag && !release.is_draft);
        let mut names: Vec<String> =
            release.iter().flat_map(|release| &release.assets).map(|a| a.name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Returns `METHOD PATH` of the requests since the last call.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    fn lock(&self) -> MutexGuard<'_, Repository> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GitHubServer {
    fn drop(&mut self) {
        for server in &self.servers {
            (0..4).for_each(|_| server.unblock());
        }
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

type Answer = fn(&Mutex<Repository>, Request);
type Body = Response<Cursor<Vec<u8>>>;

fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).unwrap()
}

fn status(status: u16, message: &str) -> Body {
    let body = serde_json::json!({ "message": message }).to_string();
    Response::from_string(body).with_status_code(status).with_header(header("Content-Type", "application/json"))
}

fn value<'a>(request: &'a Request, name: &'static str) -> Option<&'a str> {
    request.headers().iter().find(|header| header.field.equiv(name)).map(|header| header.value.as_str())
}

/// Answers a request for GitHub itself.
fn github(state: &Mutex<Repository>, mut request: Request) {
    let (method, url) = (request.method().clone(), request.url().to_owned());
    let mut body = Vec::new();
    if request.as_reader().read_to_end(&mut body).is_err() {
        return; // a client may end a connection at any time
    }
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.log.push(format!("{method} {url}"));
    let is_download = url.starts_with(REPOSITORY);
    let is_authorized = value(&request, "Authorization") == Some(&format!("Bearer {TOKEN}"));
    let answer = if is_download {
        assert!(value(&request, "Authorization").is_none(), "a client sends no token");
        Some(state.download(&url[REPOSITORY.len()..]))
    } else if !is_authorized {
        Some(status(401, "Bad credentials"))
    } else if let Some(path) = url.strip_prefix(UPLOADS) {
        state.upload(path, body)
    } else {
        Some(state.api(&method, url.strip_prefix(API).unwrap_or_default(), &body))
    };
    drop(state);
    // Without an answer the connection is closed.
    if let Some(answer) = answer {
        drop(request.respond(answer));
    }
}

/// Answers a request for the storage.
fn storage(state: &Mutex<Repository>, request: Request) {
    let url = request.url().to_owned();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.log.push(format!("STORAGE {}", request.method()));
    let is_clean = ["Authorization", "X-Secret"].iter().all(|name| value(&request, name).is_none());
    let Some(at) = state.leases.iter().position(|(lease, _)| *lease == url) else {
        drop(state);
        return drop(request.respond(status(403, "the address has expired")));
    };
    // The address serves once: the next request finds it expired.
    let (_, bytes) = state.leases.remove(at);
    drop(state);
    if !is_clean {
        return drop(request.respond(status(400, "only one authentication mechanism is allowed")));
    }
    let range = value(&request, "Range").and_then(|range| range.strip_prefix("bytes="));
    let answer = match range {
        Some(ranges) if ranges.contains(',') => status(501, "several ranges are not implemented"),
        Some(range) => {
            let (start, end) = range.split_once('-').unwrap();
            let start: usize = start.parse().unwrap();
            let end = end.parse().map_or(bytes.len(), |end: usize| (end + 1).min(bytes.len()));
            let content = format!("bytes {start}-{}/{}", end - 1, bytes.len());
            Response::from_data(&bytes[start..end]).with_status_code(206).with_header(header("Content-Range", &content))
        }
        None => Response::from_data(bytes),
    };
    drop(request.respond(answer.with_header(header("Accept-Ranges", "bytes"))));
}

impl Repository {
    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Answers a request for `/latest/download/NAME` or `/download/TAG/NAME`.
    fn download(&mut self, path: &str) -> Body {
        if let Some(name) = path.strip_prefix("/latest/download/") {
            let latest = self.releases.iter().find(|release| Some(release.id) == self.latest);
            let Some(latest) = latest else { return status(404, "Not Found") };
            return redirect(&format!("{}{REPOSITORY}/download/{}/{name}", self.github, latest.tag));
        }
        let found = path.strip_prefix("/download/").and_then(|path| path.rsplit_once('/')).and_then(|(tag, name)| {
            let release = self.releases.iter().find(|release| release.tag == tag && !release.is_draft)?;
            release.assets.iter().find(|asset| asset.name == name && asset.is_uploaded)
        });
        match found.map(|asset| asset.bytes.clone()) {
            Some(bytes) => self.lease(bytes),
            None => status(404, "Not Found"),
        }
    }

    /// Redirects to the storage, with an address that serves once.
    fn lease(&mut self, bytes: Vec<u8>) -> Body {
        let lease = format!("/asset?sig={}", self.take_id());
        self.leases.push((lease.clone(), bytes));
        redirect(&format!("{}{lease}", self.storage))
    }

    fn upload(&mut self, path: &str, bytes: Vec<u8>) -> Option<Body> {
        let (release, name) = path.split_once("/assets?name=").unwrap();
        let (id, fault) = (self.take_id(), self.faults.pop_front());
        if fault == Some(Fault::RateLimit) {
            return Some(status(403, "secondary rate limit").with_header(header("Retry-After", "1")));
        }
        let release: u64 = release.parse().unwrap();
        let is_immutable = self.is_immutable;
        let release = self.releases.iter_mut().find(|other| other.id == release).unwrap();
        if is_immutable && !release.is_draft {
            return Some(status(422, "Cannot upload assets to an immutable release."));
        }
        if release.assets.iter().any(|asset| asset.name == name) {
            let body = r#"{"message":"Validation Failed","errors":[{"resource":"ReleaseAsset","code":"already_exists","field":"name"}]}"#;
            return Some(Response::from_string(body).with_status_code(422));
        }
        if release.assets.len() == MAX_ASSETS {
            return Some(status(422, "file count limit reached"));
        }
        let is_cut_off = fault == Some(Fault::CutOffUpload);
        let bytes = if is_cut_off { Vec::new() } else { bytes };
        release.assets.push(Asset { id, name: name.to_owned(), bytes, is_uploaded: !is_cut_off });
        let asset = release.assets.last().unwrap().json();
        match fault {
            Some(_) => None,
            None => Some(Response::from_string(asset.to_string()).with_status_code(201)),
        }
    }

    fn api(&mut self, method: &Method, path: &str, body: &[u8]) -> Body {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let ok = |value: serde_json::Value| Response::from_string(value.to_string());
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let page = query.rsplit_once("&page=").map_or(1, |(_, page)| page.parse::<usize>().unwrap());
        let page = |all: Vec<serde_json::Value>| all.into_iter().skip((page - 1) * PAGE).take(PAGE).collect();
        match (method, &parts[..]) {
            (Method::Get, ["releases", "tags", tag @ ..]) => {
                let found = self.releases.iter().find(|release| release.tag == tag.join("/") && !release.is_draft);
                found.map_or_else(|| status(404, "Not Found"), |release| ok(self.json(release)))
            }
            (Method::Get, ["releases", "latest"]) => {
                let found = self.releases.iter().find(|release| Some(release.id) == self.latest);
                found.map_or_else(|| status(404, "Not Found"), |release| ok(self.json(release)))
            }
            (Method::Get, ["releases"]) => {
                ok(page(self.releases.iter().rev().map(|release| self.json(release)).collect()))
            }
            (Method::Post, ["releases"]) => {
                let (id, tag) = (self.take_id(), json["tag_name"].as_str().unwrap().to_owned());
                let is_draft = json["draft"].as_bool().unwrap_or(false);
                self.releases.push(GitHubRelease { id, tag, is_draft, is_prerelease: false, assets: Vec::new() });
                ok(self.json(self.releases.last().unwrap())).with_status_code(201)
            }
            (Method::Patch, ["releases", id]) => {
                let id: u64 = id.parse().unwrap();
                let release = self.releases.iter_mut().find(|release| release.id == id).unwrap();
                release.is_draft = json["draft"].as_bool().unwrap_or(release.is_draft);
                release.is_prerelease = json["prerelease"].as_bool().unwrap_or(false);
                if json["make_latest"] == "true" {
                    self.latest = Some(id);
                }
                ok(serde_json::json!({ "id": id }))
            }
            (Method::Get, ["releases", id, "assets"]) => {
                let release = self.releases.iter().find(|release| release.id.to_string() == *id).unwrap();
                ok(page(release.assets.iter().map(Asset::json).collect()))
            }
            (Method::Get, ["releases", "assets", id]) => {
                let assets = self.releases.iter().flat_map(|release| &release.assets);
                let found = assets.filter(|asset| asset.id.to_string() == *id).map(|asset| asset.bytes.clone()).next();
                found.map_or_else(|| status(404, "Not Found"), |bytes| self.lease(bytes))
            }
            (Method::Delete, ["releases", "assets", id]) => {
                let is_immutable = self.is_immutable;
                let is_it = |asset: &Asset| asset.id.to_string() == *id;
                let release = self.releases.iter_mut().find(|release| release.assets.iter().any(is_it));
                match release {
                    Some(release) if is_immutable && !release.is_draft => status(422, "the release is immutable"),
                    Some(release) => {
                        release.assets.retain(|asset| !is_it(asset));
                        Response::from_data(Vec::new()).with_status_code(204)
                    }
                    None => status(404, "Not Found"),
                }
            }
            _ => status(404, "Not Found"),
        }
    }

    fn json(&self, release: &GitHubRelease) -> serde_json::Value {
        serde_json::json!({
            "id": release.id,
            "tag_name": release.tag,
            "draft": release.is_draft,
            "prerelease": release.is_prerelease,
            "immutable": self.is_immutable && !release.is_draft,
            "upload_url": format!("{}{UPLOADS}{}/assets{{?name,label}}", self.github, release.id),
        })
    }
}

impl Asset {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.id,
            "name": self.name,
            "size": self.bytes.len(),
            "state": if self.is_uploaded { "uploaded" } else { "starter" },
            "digest": self.is_uploaded.then(|| format!("sha256:{}", patcher::Sha256::of(&self.bytes))),
            "updated_at": "2999-01-01T00:00:00Z",
        })
    }
}

fn redirect(to: &str) -> Body {
    Response::from_data(Vec::new()).with_status_code(302).with_header(header("Location", to))
}
