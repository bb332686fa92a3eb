//! Gets bytes by address. Nothing here decides whether they are the right ones.

mod call;
mod cancel;
mod file;
mod host_slots;
mod http;
mod manifest;
mod mirrors;
mod proxy;
mod rate_limit;
mod retries;
mod stall_guard;
mod tls;

pub use cancel::CancelToken;
pub use file::parse_url_or_path;
pub use http::{Http, HttpSettings, MAX_RETRY_AFTER, RequestHeader};
pub use manifest::{FetchedManifest, manifest};
pub use mirrors::{Mirrors, PROBE_BYTES};
pub use proxy::ProxyAddress;
pub use rate_limit::RateLimit;
pub use retries::Retries;
pub use stall_guard::StallGuard;

use crate::error::{Error, Network, Result};
use std::io::Read;
use std::sync::Arc;
use url::Url;

/// A source of manifests and objects.
pub trait Fetch: Send + Sync {
    /// Asks for what is at an address.
    ///
    /// # Errors
    /// [`Network`] and its kinds.
    fn get(&self, request: &Request<'_>) -> Result<Response>;
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The address.
    pub url: &'a Url,
    /// What the server called the state that is known already.
    pub etag: Option<&'a str>,
    /// Whether it may travel as a gzip; nothing that is resumed may.
    pub may_be_packed: bool,
    /// How many bytes are there already, and how many there must be in all.
    pub resume: Option<(u64, u64)>,
    /// Of what is resumed, no more bytes than these; a server that knows no ranges sends them all.
    pub at_most: Option<u64>,
    /// Where an earlier answer came from after redirects: what is resumed is asked for there first, and at `url` when that
    /// place has no rest of it.
    pub last_url: Option<&'a Url>,
    /// Stops it.
    pub cancel: &'a CancelToken,
}

impl<'a> Request<'a> {
    /// For everything at `url`.
    pub fn new(url: &'a Url, cancel: &'a CancelToken) -> Self {
        Self { url, etag: None, may_be_packed: false, resume: None, at_most: None, last_url: None, cancel }
    }
}

/// What a source answers.
pub enum Response {
    /// It is still what it was.
    NotModified,
    /// Here it is.
    Body(Body),
}

/// The bytes of an answer, to be read to their end.
pub struct Body {
    /// The bytes as they travelled.
    pub reader: Box<dyn Read + Send>,
    /// Whether these are a gzip of what was asked for.
    pub is_packed: bool,
    /// What the server calls this state of it.
    pub etag: Option<String>,
    /// Where the bytes begin: 0, or where it was asked to resume.
    pub from: u64,
    /// Where it came from, after redirects.
    pub final_url: Url,
    /// Whether the rest of it may be asked for there.
    pub ranges: bool,
    /// How fast it may be read.
    pub rate: Option<Arc<RateLimit>>,
}

impl Body {
    /// A whole one of which nothing else is known, as fast as it comes.
    pub fn new(reader: Box<dyn Read + Send>, final_url: Url) -> Self {
        Self { reader, is_packed: false, etag: None, from: 0, final_url, ranges: false, rate: None }
    }
}

/// Fetches over HTTP, HTTPS, or from a folder by a `file:` address.
pub struct Sources {
    http: Http,
}

impl Sources {
    /// With these settings for HTTP and the environment's proxies.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](crate::error::Caller::BadSetting) for a proxy or certificate that is none.
    pub fn new(settings: &HttpSettings) -> Result<Self> {
        Ok(Self { http: Http::new(settings)? })
    }
}

impl Fetch for Sources {
    fn get(&self, request: &Request<'_>) -> Result<Response> {
        if request.url.scheme() == "file" { file::get(request) } else { self.http.get(request) }
    }
}

/// The error of a connection that did not come about.
fn unreachable(url: &Url, detail: impl std::fmt::Display) -> Error {
    Network::Unreachable { url: url.to_string(), detail: detail.to_string() }.into()
}

/// The error of having no mirror that may be asked.
pub(crate) fn no_mirror_left(what: &str) -> Error {
    Network::Unreachable { url: what.to_owned(), detail: "no mirror may be asked for it now".to_owned() }.into()
}
