//! Which proxy a request goes through: the configuration's, or the environment's as curl reads it.
//!
//! User names and passwords of proxies are in no message and in no `Debug` output.

use crate::error::{Caller, Result};
use hyper_util::client::proxy::matcher::Matcher;
use std::fmt;
use url::Url;

/// What a proxy may speak. `socks5` and `socks4` look names up here, `socks5h` and `socks4a` leave that to the proxy.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// An address as somebody gave it; shown without its user name and password.
#[derive(Clone)]
pub struct ProxyAddress(pub String);

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", after_user(&self.0))
    }
}

/// The proxies for the two schemes of a site, and the hosts that are reached without them.
#[derive(Debug)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Intercepts everything but what is reached directly.
    indirect: Matcher,
}

/// A proxy's address, checked.
struct Proxy(Url);

impl Proxies {
    /// Those that were configured; else those that environment variables name.
    ///
    /// `http_proxy` counts in lower case only, as a web server sets `HTTP_PROXY` from a request's header (CVE-2016-5385);
    /// `https_proxy`, `all_proxy` and `no_proxy` in both, lower case first. An empty `proxy` is none at all.
    /// `no_proxy` holds for proxies from either source.
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for an address that is none: to go without a proxy would tell others what is asked for.
    pub fn new(
        proxy: Option<&ProxyAddress>,
        no_proxy: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let either = |names: [&str; 2]| names.into_iter().find_map(&variable);
        let no_proxy = no_proxy.map(str::to_owned).or_else(|| either(["no_proxy", "NO_PROXY"])).unwrap_or_default();
        let (http, https) = match proxy {
            Some(ProxyAddress(all)) => (Proxy::parse(all)?, Proxy::parse(all)?),
            None => {
                let all = either(["all_proxy", "ALL_PROXY"]);
                let or_all = |own: Option<String>| own.or_else(|| all.clone());
                let http = or_all(variable("http_proxy"));
                let https = or_all(either(["https_proxy", "HTTPS_PROXY"]));
                let parse = |text: Option<String>| text.map_or(Ok(None), |text| Proxy::parse(&text));
                (parse(http)?, parse(https)?)
            }
        };
        Ok(Self { http, https, indirect: Matcher::builder().all("http://any.invalid").no(no_proxy).build() })
    }

    /// The proxy on the way to an address.
    pub fn to(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http }.as_ref()?;
        let asked = url.as_str().parse().ok()?;
        self.indirect.intercept(&asked).map(|_| &proxy.0)
    }
}

impl Proxy {
    /// An address, by http where it does not say; none for an empty text.
    fn parse(text: &str) -> Result<Option<Self>> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let bad = |detail: String| Caller::BadSetting { setting: "proxy", value: after_user(text).to_owned(), detail };
        let mut url = Url::parse(&whole).map_err(|error| bad(error.to_string()))?;
        if !SCHEMES.contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) {
            return Err(bad(format!("not an address by {}", SCHEMES.join(", "))).into());
        }
        if url.port_or_known_default().is_none() {
            url.set_port(Some(1080)).map_err(|()| bad("it can have no port".to_owned()))?;
        }
        Ok(Some(Self(url)))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

/// A proxy's address without its user name and password.
pub fn shown(proxy: &Url) -> String {
    let host = proxy.host_str().unwrap_or_default();
    let port = proxy.port_or_known_default().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}", proxy.scheme())
}

/// What certainly holds no password of an address, well formed or not.
fn after_user(text: &str) -> &str {
    text.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proxies for http and https to `host`, in an environment of these variables.
    fn to(host: &str, proxy: Option<&str>, no_proxy: Option<&str>, environment: &[(&str, &str)]) -> [String; 2] {
        let variable =
            |name: &str| environment.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned());
        let proxies =
            Proxies::new(proxy.map(|text| ProxyAddress(text.to_owned())).as_ref(), no_proxy, variable).unwrap();
        ["http", "https"].map(|scheme| {
            let url = Url::parse(&format!("{scheme}://{host}/")).unwrap();
            proxies.to(&url).map_or_else(|| "-".to_owned(), shown)
        })
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let both = ["http://a:1".to_owned(), "http://a:1".to_owned()];
        let read = |environment: &[(&str, &str)]| to("h", None, None, environment);
        assert_eq!(read(&[("all_proxy", "http://a:1")]), both);
        assert_eq!(read(&[("ALL_PROXY", "a:1")]), both);
        assert_eq!(read(&[("http_proxy", "http://a:1")]), ["http://a:1", "-"]);
        assert_eq!(read(&[("HTTP_PROXY", "http://a:1")]), ["-", "-"]);
        assert_eq!(read(&[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:2")]), ["-", "http://a:1"]);
        assert_eq!(
            read(&[("all_proxy", "socks5h://s"), ("https_proxy", "https://a")]),
            ["socks5h://s:1080", "https://a:443"]
        );
        assert_eq!(read(&[("all_proxy", "http://a:1"), ("http_proxy", "")]), ["-", "http://a:1"]);
    }

    #[test]
    fn the_configuration_comes_first_and_an_empty_proxy_is_none() {
        let environment = [("all_proxy", "http://a:1")];
        assert_eq!(to("h", Some("http://b:2"), None, &environment), ["http://b:2", "http://b:2"]);
        assert_eq!(to("h", Some(""), None, &environment), ["-", "-"]);
    }

    #[test]
    fn hosts_are_excepted_from_proxies_of_either_source() {
        for (proxy, environment) in [(Some("a:1"), &[][..]), (None, &[("all_proxy", "a:1")][..])] {
            for (host, no_proxy) in
                [("h", "h"), ("x.h", "h"), ("x.h", ".h"), ("h", "*"), ("h", "z, h"), ("127.0.0.1", "127.0.0.0/8")]
            {
                assert_eq!(to(host, proxy, Some(no_proxy), environment), ["-", "-"], "{host} {no_proxy}");
            }
            assert_eq!(to("xh", proxy, Some("h"), environment), ["http://a:1", "http://a:1"]);
        }
        assert_eq!(to("h", Some("a:1"), None, &[("NO_PROXY", "h")]), ["-", "-"]);
        assert_eq!(to("h", Some("a:1"), Some(""), &[("NO_PROXY", "h")]), ["http://a:1", "http://a:1"]);
    }

    #[test]
    fn passwords_are_never_shown() {
        for bad in ["ftp://me:secret@h", "http://me:secret@", "http://me:secret@h:port", "me:secret@h:port"] {
            let error = Proxies::new(Some(&ProxyAddress(bad.to_owned())), None, |_| None).unwrap_err();
            assert_eq!(error.code(), "bad-setting");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        let address = ProxyAddress("http://me:secret@h:1".to_owned());
        let proxies = Proxies::new(Some(&address), None, |_| None).unwrap();
        assert!(!format!("{address:?} {proxies:?}").contains("secret"));
        assert_eq!(proxies.to(&Url::parse("http://x").unwrap()).unwrap().password(), Some("secret"));
    }
}
