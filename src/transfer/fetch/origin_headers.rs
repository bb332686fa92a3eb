//! Origin headers: headers that the client sends to one origin and nowhere else.
//!
//! An origin is a scheme, a host and a port (RFC 6454). Neither a redirect nor a mirror on another
//! origin gets these headers. The user name and the password of a URL become such a header, so that
//! no message, log or state file can contain them.

use crate::error::{Caller, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::sync::{PoisonError, RwLock};
use url::{Origin, Url};

/// A request header set by the program. `Debug` hides the value, which may be a secret.
#[derive(Clone)]
pub struct RequestHeader {
    /// A URL of the origin that gets the header.
    pub origin: String,
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl fmt::Debug for RequestHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)
    }
}

/// The headers of all origins.
pub struct OriginHeaders(RwLock<Vec<(Origin, HeaderName, HeaderValue)>>);

impl OriginHeaders {
    /// Checks and takes the headers that the program has set.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for an invalid URL, name or value.
    pub fn new(headers: &[RequestHeader]) -> Result<Self> {
        let bad = |name: &str, detail: &str| Caller::BadSetting {
            setting: "header",
            value: name.to_owned(),
            detail: detail.to_owned(),
        };
        let mut parsed = Vec::new();
        for RequestHeader { origin, name, value } in headers {
            let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let Some(url) = url else {
                return Err(bad(name, "it is for no http or https URL").into());
            };
            let (Ok(key), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) else {
                return Err(bad(name, "not a valid name and value of a header").into());
            };
            parsed.push((url.origin(), key, sensitive(value)));
        }
        Ok(Self(RwLock::new(parsed)))
    }

    /// Returns the headers for a request to `url`.
    pub fn for_url(&self, url: &Url) -> HeaderMap {
        let origin = url.origin();
        let headers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_origin = headers.iter().filter(|(other, ..)| *other == origin);
        of_origin.map(|(_, name, value)| (name.clone(), value.clone())).collect()
    }

    /// Moves the user name and the password of `url` into a header for its origin.
    pub fn take_credentials(&self, url: &mut Url) {
        let user = percent_encoding::percent_decode_str(url.username()).collect::<Vec<u8>>();
        let password =
            url.password().map(|password| percent_encoding::percent_decode_str(password).collect::<Vec<u8>>());
        // Both calls fail only for a URL without host, and such a URL has no credentials.
        let _ = (url.set_username(""), url.set_password(None));
        if user.is_empty() && password.is_none() {
            return;
        }
        let pair = [user, password.unwrap_or_default()].join(&b':');
        // Base64 is always a valid value.
        let Ok(value) = HeaderValue::from_str(&basic_authorization(&pair)) else { return };
        let mut headers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let origin = url.origin();
        headers.retain(|(other, name, _)| *other != origin || *name != AUTHORIZATION);
        headers.push((origin, AUTHORIZATION, sensitive(value)));
    }
}

/// Returns the value of `Authorization` for a user name and a password, joined by a colon.
pub(super) fn basic_authorization(pair: &[u8]) -> String {
    format!("Basic {}", BASE64.encode(pair))
}

/// Hides a value in debug output, and keeps it out of the HTTP/2 header tables.
pub(super) fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(origin: &str, name: &str) -> RequestHeader {
        RequestHeader { origin: origin.to_owned(), name: name.to_owned(), value: "secret".to_owned() }
    }

    #[test]
    fn a_header_goes_to_its_origin_and_nowhere_else() {
        let headers = OriginHeaders::new(&[header("https://dl.example.com/apps/", "X-Token")]).unwrap();
        let sent = |url: &str| headers.for_url(&Url::parse(url).unwrap()).contains_key("x-token");
        assert!(sent("https://dl.example.com/other") && sent("https://DL.example.com:443/"));
        for url in ["http://dl.example.com/", "https://dl.example.com:8443/", "https://example.com/", "file:///x"] {
            assert!(!sent(url), "{url}");
        }
    }

    #[test]
    fn the_password_of_a_url_becomes_a_header() {
        let headers = OriginHeaders::new(&[]).unwrap();
        let mut url = Url::parse("https://me%40work:p%20w%C3%A9@dl.example.com/apps/").unwrap();
        headers.take_credentials(&mut url);
        assert_eq!(url.as_str(), "https://dl.example.com/apps/");
        let sent = headers.for_url(&url);
        assert_eq!(sent["authorization"], format!("Basic {}", BASE64.encode("me@work:p wé")));
        assert!(!format!("{sent:?}").contains("Basic"));
        assert!(headers.for_url(&Url::parse("https://mirror.example.com/").unwrap()).is_empty());
    }

    #[test]
    fn headers_without_an_origin_or_a_name_are_refused() {
        for (origin, name) in [("dl.example.com", "X"), ("file:///x", "X"), ("https://h/", "a b"), ("https://h/", "")] {
            assert_eq!(OriginHeaders::new(&[header(origin, name)]).err().unwrap().code(), "bad-setting", "{origin}");
        }
    }
}
