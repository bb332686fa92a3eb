//! The REST API of GitHub, as far as releases and their assets need it.
//!
//! <https://docs.github.com/en/rest/releases>. The token goes to the API and to the upload host that
//! the API names, and nowhere else.

use crate::error::{Error, Result};
use crate::publish::RemoteFile;
use crate::setting::checked_url;
use patcher::internal::error::Caller;
use patcher::internal::fetch;
use patcher::internal::timestamp::Timestamp;
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use std::io::Read as _;
use std::time::Duration;
use url::Url;

/// The API that is used unless `$GITHUB_API_URL` names another one, as GitHub Enterprise needs it.
const DEFAULT_API: &str = "https://api.github.com";
const JSON: &str = "application/vnd.github+json";
const BYTES: &str = "application/octet-stream";
/// Attempts of a request that GitHub answers with a rate limit or a server error.
const MAX_ATTEMPTS: u32 = 4;
/// The longest wait that GitHub may ask for.
const MAX_WAIT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that each request may take, in addition to that for its body.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The slowest upload that is waited for, in bytes per second.
const MIN_UPLOAD_BYTES_PER_SECOND: u64 = 16 << 10;
/// The number of entries that a page of a list has.
const PAGE_ENTRIES: usize = 100;
/// The most pages of a list; GitHub serves at most 10,000 entries.
const MAX_PAGES: usize = 100;
/// The longest answer. A page of 100 assets has about 200 kB.
const MAX_ANSWER_BYTES: u64 = 16 << 20;

/// A release of a repository.
#[derive(Debug, Clone, Deserialize)]
pub struct GitHubRelease {
    pub id: u64,
    pub tag_name: String,
    pub upload_url: String,
    #[serde(default)]
    pub draft: bool,
    /// `true` if GitHub refuses every change.
    #[serde(default)]
    pub immutable: bool,
}

/// A file of a release.
#[derive(Debug, Clone, Deserialize)]
pub struct Asset {
    pub id: u64,
    pub name: String,
    pub size: u64,
    /// `uploaded`, or another word for an upload that was cut off.
    pub state: String,
    /// `sha256:` and the hash; older servers do not tell it.
    #[serde(default)]
    pub digest: Option<String>,
    pub updated_at: Timestamped,
}

/// A time as the API writes it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamped(pub Timestamp);

impl TryFrom<String> for Timestamped {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("`{text}` is no time"))
    }
}

/// A repository, reached by the API.
pub struct Api {
    client: Client,
    base: Url,
    authorization: HeaderValue,
    /// `OWNER/REPO`.
    repository: String,
}

impl Api {
    /// Takes the token from `$GITHUB_TOKEN`, and the API from `$GITHUB_API_URL`.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] without a token, or for one that is not valid.
    pub fn new(repository: String) -> Result<Self> {
        let bad = |setting, value: &str, detail: String| {
            Error::from(Caller::BadSetting { setting, value: value.to_owned(), detail })
        };
        let token = std::env::var("GITHUB_TOKEN").unwrap_or_default();
        let authorization = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| !token.is_empty());
        let authorization = authorization.map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let detail = "it needs a token with the right to write contents".to_owned();
        let authorization = authorization.ok_or_else(|| bad("GITHUB_TOKEN", "", detail))?;
        let base = std::env::var("GITHUB_API_URL").unwrap_or_else(|_| DEFAULT_API.to_owned());
        let base = checked_url("GITHUB_API_URL", &base, Url::parse(&base))?;
        let client = Client::builder()
            .tls_backend_preconfigured(fetch::tls_config(&[], None)?)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent("manifest-tool")
            .build()
            .map_err(|error| failed("reach", base.as_str(), error.to_string(), error))?;
        Ok(Self { client, base, authorization, repository })
    }

    /// Returns the release with a tag, also one that is still a draft.
    pub fn release(&self, tag: &str) -> Result<Option<GitHubRelease>> {
        if let Some(release) = self.optional(&format!("releases/tags/{tag}"))? {
            return Ok(Some(release));
        }
        // A draft has no tag yet, so only the list shows it.
        let drafts: Vec<GitHubRelease> = self.pages("releases")?;
        Ok(drafts.into_iter().find(|release| release.draft && release.tag_name == tag))
    }

    /// Returns the release that `releases/latest` leads to.
    pub fn latest_release(&self) -> Result<Option<GitHubRelease>> {
        self.optional("releases/latest")
    }

    /// Creates a release that only its owners see.
    pub fn create_draft(&self, tag: &str) -> Result<GitHubRelease> {
        let body = serde_json::json!({ "tag_name": tag, "name": tag, "draft": true });
        let url = self.url("releases")?;
        self.json(&url, &|| self.request(Method::POST, &url, JSON).body(body.to_string()))
    }

    /// Makes a draft public. A release that is not `latest` is a prerelease.
    pub fn publish(&self, release: u64, latest: bool) -> Result<()> {
        let make_latest = if latest { "true" } else { "false" };
        let body = serde_json::json!({ "draft": false, "prerelease": !latest, "make_latest": make_latest });
        let url = self.url(&format!("releases/{release}"))?;
        self.send(&url, &|| self.request(Method::PATCH, &url, JSON).body(body.to_string())).map(drop)
    }

    /// Returns all assets of a release.
    pub fn assets(&self, release: u64) -> Result<Vec<Asset>> {
        self.pages(&format!("releases/{release}/assets"))
    }

    /// Deletes an asset.
    pub fn delete(&self, asset: u64) -> Result<()> {
        let url = self.url(&format!("releases/assets/{asset}"))?;
        self.send(&url, &|| self.request(Method::DELETE, &url, JSON)).map(drop)
    }

    /// Reads a small asset. The redirect to its storage gets no token.
    pub fn read(&self, asset: &Asset, max_bytes: u64) -> Result<RemoteFile> {
        let url = self.url(&format!("releases/assets/{}", asset.id))?;
        let response = self.send(&url, &|| self.request(Method::GET, &url, BYTES))?;
        let mut bytes = Vec::new();
        let read = response.take(max_bytes).read_to_end(&mut bytes);
        read.map_err(|error| failed("read", url.as_str(), error.to_string(), error))?;
        Ok(RemoteFile { bytes, etag: Some(asset.id.to_string()) })
    }

    /// Uploads an asset once, without retries. The outer error is that of the network.
    pub fn upload(
        &self,
        release: &GitHubRelease,
        name: &str,
        content_type: &'static str,
        body: reqwest::blocking::Body,
        size: u64,
    ) -> Result<Uploaded> {
        // The address ends in a template: `…/assets{?name,label}`.
        let address = release.upload_url.split('{').next().unwrap_or_default();
        let mut url = Url::parse(address).map_err(|error| failed("use", address, error.to_string(), error))?;
        if !takes_uploads(&url, &self.base) {
            let detail = format!("uploads go to the host of {} only", self.base);
            return Err(failed("use", address, detail.clone(), detail));
        }
        url.query_pairs_mut().append_pair("name", name);
        let timeout = REQUEST_TIMEOUT + Duration::from_secs(size / MIN_UPLOAD_BYTES_PER_SECOND);
        let request = self.request(Method::POST, &url, JSON).timeout(timeout);
        let request = request.header(CONTENT_TYPE, content_type).header(CONTENT_LENGTH, size).body(body);
        let response = match request.send() {
            Ok(response) => response,
            Err(error) => return Ok(Uploaded::CutOff(innermost(&error))),
        };
        let status = response.status().as_u16();
        let wait = wait_for(response.headers());
        let text = text_of(&url, response).unwrap_or_default();
        match status {
            200..=299 => Ok(Uploaded::Done(parsed(&url, &text)?)),
            422 if text.contains("already_exists") => Ok(Uploaded::Exists),
            403 | 429 if wait.is_some() => Ok(Uploaded::Wait(wait.unwrap_or_default())),
            500..=599 => Ok(Uploaded::CutOff(format!("HTTP status {status}"))),
            _ => Err(refused("send", &url, status, &text)),
        }
    }

    fn request(&self, method: Method, url: &Url, accept: &'static str) -> RequestBuilder {
        let request = self.client.request(method, url.clone()).timeout(REQUEST_TIMEOUT);
        request.header(AUTHORIZATION, self.authorization.clone()).header(ACCEPT, accept)
    }

    fn url(&self, path: &str) -> Result<Url> {
        let url = format!("{}/repos/{}/{path}", self.base.as_str().trim_end_matches('/'), self.repository);
        Url::parse(&url).map_err(|error| failed("use", &url, error.to_string(), error))
    }

    /// Returns `None` for what does not exist.
    fn optional<T: for<'a> Deserialize<'a>>(&self, path: &str) -> Result<Option<T>> {
        let url = self.url(path)?;
        match self.attempt(&url, &|| self.request(Method::GET, &url, JSON))? {
            response if response.status().as_u16() == 404 => Ok(None),
            response => {
                let text = text_of(&url, accepted("read", &url, response)?)?;
                parsed(&url, &text).map(Some)
            }
        }
    }

    fn json<T: for<'a> Deserialize<'a>>(&self, url: &Url, request: &dyn Fn() -> RequestBuilder) -> Result<T> {
        parsed(url, &text_of(url, self.send(url, request)?)?)
    }

    /// Reads all pages of a list.
    fn pages<T: for<'a> Deserialize<'a>>(&self, path: &str) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let url = self.url(&format!("{path}?per_page={PAGE_ENTRIES}&page={page}"))?;
            let some: Vec<T> = self.json(&url, &|| self.request(Method::GET, &url, JSON))?;
            let is_last = some.len() < PAGE_ENTRIES;
            all.extend(some);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    fn send(&self, url: &Url, request: &dyn Fn() -> RequestBuilder) -> Result<Response> {
        accepted("change", url, self.attempt(url, request)?)
    }

    /// Sends a request, again after a rate limit, a server error or a lost connection.
    fn attempt(&self, url: &Url, request: &dyn Fn() -> RequestBuilder) -> Result<Response> {
        let mut attempt = 1;
        loop {
            let wait = match request().send() {
                Ok(response) => match (response.status().as_u16(), wait_for(response.headers())) {
                    (403 | 429, Some(wait)) => wait,
                    (500..=599, _) => backoff(attempt),
                    _ => return Ok(response),
                },
                Err(error) if attempt == MAX_ATTEMPTS => {
                    return Err(failed("reach", url.as_str(), innermost(&error), error));
                }
                Err(_) => backoff(attempt),
            };
            if attempt == MAX_ATTEMPTS || wait > MAX_WAIT {
                return Err(limited(url.as_str(), wait));
            }
            std::thread::sleep(wait);
            attempt += 1;
        }
    }
}

/// The answer to an upload.
pub enum Uploaded {
    Done(Asset),
    /// The release has an asset of this name.
    Exists,
    /// A rate limit, and the time to wait.
    Wait(Duration),
    /// The connection was lost, or the server failed. A half of the asset may be there.
    CutOff(String),
}

/// Returns the wait before the next attempt: 1, 2 and 4 s.
pub fn backoff(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.saturating_sub(1).min(2))
}

/// Returns how long a rate limit lasts; `None` for an answer without one.
fn wait_for(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    let (remaining, reset) = (number("x-ratelimit-remaining")?, number("x-ratelimit-reset")?);
    let now = u64::try_from(Timestamp::now().unix()).unwrap_or(0);
    (remaining == 0).then(|| Duration::from_secs(reset.saturating_sub(now)))
}

fn accepted(action: &'static str, url: &Url, response: Response) -> Result<Response> {
    let status = response.status().as_u16();
    if response.status().is_success() {
        return Ok(response);
    }
    Err(refused(action, url, status, &text_of(url, response).unwrap_or_default()))
}

/// Returns `true` if the token may go to an upload address that the API names.
///
/// That is an address on the API's own host, or on `uploads.X` for an API on `api.X`.
fn takes_uploads(url: &Url, api: &Url) -> bool {
    let host = api.host_str().unwrap_or_default();
    let upload_host = host.strip_prefix("api.").map(|rest| format!("uploads.{rest}"));
    let is_known_host = url.host_str().is_some_and(|found| found == host || Some(found) == upload_host.as_deref());
    is_known_host && url.scheme() == api.scheme() && url.port_or_known_default() == api.port_or_known_default()
}

fn text_of(url: &Url, response: Response) -> Result<String> {
    let mut text = String::new();
    let read = response.take(MAX_ANSWER_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| failed("read", url.as_str(), innermost(&error), error))?;
    if text.len() as u64 > MAX_ANSWER_BYTES {
        let detail = format!("the answer has more than {MAX_ANSWER_BYTES} bytes");
        return Err(failed("read", url.as_str(), detail.clone(), detail));
    }
    Ok(text)
}

fn parsed<T: for<'a> Deserialize<'a>>(url: &Url, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| failed("read", url.as_str(), error.to_string(), error))
}

/// Returns the error of an answer, with the message of GitHub.
fn refused(action: &'static str, url: &Url, status: u16, text: &str) -> Error {
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    // One line, whatever the server sends.
    let words: Vec<&str> = json["message"].as_str().unwrap_or_default().split_whitespace().collect();
    let message = if words.is_empty() { String::new() } else { format!(": {}", words.join(" ")) };
    failed(action, url.as_str(), format!("HTTP status {status}{message}"), text.to_owned())
}

/// Returns the error of a rate limit that lasts too long.
pub fn limited(place: &str, wait: Duration) -> Error {
    let detail = format!("GitHub asks to wait for {} s", wait.as_secs());
    failed("use", place, detail.clone(), detail)
}

pub fn failed(
    action: &'static str,
    place: &str,
    detail: String,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::ObjectStore { action, place: place.to_owned(), detail, source: source.into() }
}

/// Returns the text of the innermost error, which names the cause.
fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_the_api_and_its_upload_host_only() {
        let takes = |upload: &str, api: &str| takes_uploads(&Url::parse(upload).unwrap(), &Url::parse(api).unwrap());
        for (upload, api) in [
            ("https://uploads.github.com/repos/o/r/releases/1/assets", "https://api.github.com"),
            ("https://uploads.sub.ghe.com/repos/o/r/releases/1/assets", "https://api.sub.ghe.com"),
            ("https://git.example.com/api/uploads/repos/o/r/releases/1/assets", "https://git.example.com/api/v3"),
            ("http://127.0.0.1:8080/upload", "http://127.0.0.1:8080/"),
        ] {
            assert!(takes(upload, api), "{upload}");
        }
        for (upload, api) in [
            ("https://uploads.github.com.evil.example/a", "https://api.github.com"),
            ("https://evil.example/a", "https://api.github.com"),
            ("http://uploads.github.com/a", "https://api.github.com"),
            ("https://uploads.github.com:8443/a", "https://api.github.com"),
            ("https://uploads.example.com/a", "https://git.example.com/api/v3"),
            ("file:///etc/passwd", "https://api.github.com"),
        ] {
            assert!(!takes(upload, api), "{upload}");
        }
    }

    #[test]
    fn a_message_of_the_server_stays_on_one_line() {
        let url = Url::parse("https://api.github.com/").unwrap();
        let error = refused("read", &url, 403, r#"{"message": "no\nerror: all is well\r\n"}"#).to_string();
        assert!(error.ends_with("HTTP status 403: no error: all is well"), "{error}");
    }
}
