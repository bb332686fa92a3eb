//! Gets bytes by URL: over HTTP and HTTPS, or from a local folder.
//!
//! This module transports bytes. It verifies neither hashes nor signatures: `trust` does that for
//! manifests and `stage` for objects.
//!
//! ```text
//!   caller (stage, patcher)
//!      │  Request: URL, byte range, cancel token
//!      ▼
//!   Sources ──── file: ────────────────────────────► file.rs
//!      │ http:, https:
//!      ▼
//!   http.rs      redirects, headers, ranges
//!      │  credentials.rs  adds the secrets of this server: origin_headers.rs, queries, fresh ones
//!      │  host_slots.rs   waits for a slot of the host
//!      │  proxy.rs        chooses the proxy; system_proxy.rs reads the system's settings
//!      │  tls.rs          trusts the system's and the program's authorities, has client certificates
//!      │  tls_sessions.rs forgets what servers plant in a TLS handshake
//!      ▼
//!   call.rs      runs the request on its own thread, so that the caller can cancel
//!      │  own_thread.rs   makes and drops the HTTP library's client outside of the caller's threads
//!      │
//!      ▼
//!   Body ──► StallGuard: rejects a stalled body, applies the rate limit
//! ```
//!
//! Read in this order:
//!
//! 1. this file: [`Fetch`], [`Request`] and [`Body`];
//! 2. `http.rs`, then the five files it uses: `host_slots`, `credentials`, `proxy`, `tls`, `call`;
//!    `file.rs` is the same for `file:` URLs;
//! 3. `stall_guard.rs` and `rate_limit.rs`: how a caller reads a body;
//! 4. `retries.rs` repeats a request at one mirror, `mirrors.rs` continues with the next mirror;
//! 5. `manifest.rs` downloads a manifest; `newest.rs` asks a mirror for the newest one. Objects are
//!    downloaded by `stage`.
//!
//! A request contains nothing that a server has sent, such as an ETag or a cookie. A server could
//! otherwise give each client another value and recognise the client by it.

mod call;
mod cancel;
mod credentials;
mod file;
mod host_slots;
mod http;
mod manifest;
mod mirrors;
mod newest;
mod origin_headers;
mod own_thread;
mod proxy;
mod rate_limit;
mod retries;
mod stall_guard;
mod system_proxy;
mod tls;
mod tls_sessions;

pub use cancel::CancelToken;
pub use credentials::{Credentials, CredentialsReason, CredentialsSource};
pub use file::parse_url_or_path;
pub use http::{Http, HttpSettings, MAX_RETRY_AFTER};
pub use manifest::{manifest, small_file};
pub use mirrors::{Mirrors, PROBE_BYTES, no_mirror_left, try_mirrors};
pub use newest::{KnownManifest, Newest, newest};
pub use origin_headers::RequestHeader;
pub use proxy::{ProxyAddress, check_proxy, without_secrets};
pub use rate_limit::{MIN_RATE_LIMIT, RateLimit};
pub use retries::Retries;
pub use stall_guard::StallGuard;
pub use tls::{ClientIdentity, config as tls_config};

use crate::error::{Error, Network, Result};
use std::io::Read;
use std::sync::Arc;
use url::Url;

/// The cost of one request, in bytes that could be transferred in its time.
///
/// Gaps up to this size are fetched rather than splitting the request.
pub const REQUEST_COST_BYTES: u64 = 16 * 1024;

/// A source of manifests and objects.
pub trait Fetch: Send + Sync {
    /// Moves the secrets of `url` to where only requests of its server use them: user name and
    /// password for its origin, the query for the URLs below `base`.
    fn take_credentials(&self, url: &mut Url, base: &Url) {
        let _ = (url, base);
    }

    /// Describes the proxy for a URL and the origin of this setting, without user name and
    /// password.
    fn explain_proxy(&self, url: &Url) -> String {
        let _ = url;
        "no proxy".to_owned()
    }

    /// Sends a request and returns the response, whose body is still to be read.
    ///
    /// # Errors
    /// Any [`Network`] error; [`Error::Cancelled`].
    fn get(&self, request: &Request<'_>) -> Result<Body>;
}

/// A request for a manifest or an object.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The URL to ask.
    pub url: &'a Url,
    /// Allows the server to send the body as gzip. Must be `false` with a range.
    pub accept_gzip: bool,
    /// The part of the object to send. A server without range support sends the whole object.
    pub range: Option<ByteRange>,
    /// The URL that served the earlier part of this object, after redirects.
    ///
    /// It is asked first. If it does not send the range, `url` is asked.
    pub last_url: Option<&'a Url>,
    /// Stops the request and the reading of its body.
    pub cancel: &'a CancelToken,
}

impl<'a> Request<'a> {
    /// Returns a request for everything at `url`.
    pub fn new(url: &'a Url, cancel: &'a CancelToken) -> Self {
        Self { url, accept_gzip: false, range: None, last_url: None, cancel }
    }
}

/// The bytes `start..end` of an object of `total` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The offset of the first byte.
    pub start: u64,
    /// The offset after the last byte.
    pub end: u64,
    /// The size of the whole object in bytes.
    pub total: u64,
}

impl ByteRange {
    /// Returns the bytes from `start` to the end of an object.
    pub fn rest(start: u64, total: u64) -> Self {
        Self { start, end: total, total }
    }

    /// Returns `true` if the range ends where the object ends.
    fn is_rest(self) -> bool {
        self.end >= self.total
    }
}

/// The body of a response, not read yet.
pub struct Body {
    /// Reads the bytes as they were transferred.
    pub reader: Box<dyn Read + Send>,
    /// `true` if the bytes are a gzip of the requested resource.
    pub is_gzip: bool,
    /// The offset of the first byte in the object: the start of the requested range, or 0.
    pub offset: u64,
    /// The URL that served the body, after redirects.
    pub final_url: Url,
    /// `true` if `final_url` supports byte ranges.
    pub accepts_ranges: bool,
    /// The rate limit for reading the body.
    pub rate_limit: Option<Arc<RateLimit>>,
}

impl Body {
    /// Returns the body of a whole object, without range support or rate limit.
    pub fn new(reader: Box<dyn Read + Send>, final_url: Url) -> Self {
        Self { reader, is_gzip: false, offset: 0, final_url, accepts_ranges: false, rate_limit: None }
    }
}

/// The source of a client: HTTP, HTTPS and `file:` URLs.
pub struct Sources {
    http: Http,
}

impl Sources {
    /// Creates a source with these HTTP settings and the proxies of the environment.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](crate::error::Caller::BadSetting) for an invalid proxy, header or
    /// certificate.
    pub fn new(settings: &HttpSettings) -> Result<Self> {
        Ok(Self { http: Http::new(settings)? })
    }
}

impl Fetch for Sources {
    fn take_credentials(&self, url: &mut Url, base: &Url) {
        self.http.take_credentials(url, base);
    }

    fn explain_proxy(&self, url: &Url) -> String {
        if url.scheme() == "file" { "no proxy".to_owned() } else { self.http.explain_proxy(url) }
    }

    fn get(&self, request: &Request<'_>) -> Result<Body> {
        if request.url.scheme() == "file" { file::get(request) } else { self.http.get(request) }
    }
}

/// Returns the error of a URL that could not be reached.
fn unreachable(url: &Url, detail: impl std::fmt::Display) -> Error {
    Network::Unreachable { url: url.to_string(), detail: detail.to_string() }.into()
}
