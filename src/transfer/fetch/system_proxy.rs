//! The proxy of the system's settings, where neither the program nor the environment names one.
//!
//! Windows and macOS: `hyper-util` reads the registry and the system configuration. GNOME and its
//! relatives: `gsettings` prints the settings; it runs in a desktop session only. None of this
//! evaluates a PAC file.

use hyper_util::client::proxy::matcher::Matcher;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// The time after which the settings are read again: a laptop changes networks.
const READ_PERIOD: Duration = Duration::from_secs(60);

/// The proxies of the system's settings.
#[derive(Debug, Default)]
pub struct SystemProxies(Mutex<Option<(Instant, Arc<SystemSettings>)>>);

/// The settings as they were read last.
#[derive(Debug)]
pub struct SystemSettings {
    /// The proxies and the hosts without one.
    matcher: Matcher,
    /// `true` if the settings name a PAC file, which the client does not evaluate.
    pub has_pac: bool,
}

impl SystemProxies {
    /// Returns the settings, read at most [`READ_PERIOD`] ago.
    pub fn settings(&self) -> Arc<SystemSettings> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read {
            Some((at, settings)) if at.elapsed() < READ_PERIOD => Arc::clone(settings),
            _ => {
                let settings = Arc::new(SystemSettings::read());
                *read = Some((Instant::now(), Arc::clone(&settings)));
                settings
            }
        }
    }
}

impl SystemSettings {
    /// Returns the proxy for a URL; `None` for a direct connection.
    pub fn proxy_for(&self, url: &Url) -> Option<Url> {
        let target = url.as_str().parse().ok()?;
        Url::parse(&self.matcher.intercept(&target)?.uri().to_string()).ok()
    }

    #[cfg(all(feature = "system-proxy", any(windows, target_os = "macos")))]
    fn read() -> Self {
        Self { matcher: Matcher::from_system(), has_pac: false }
    }

    #[cfg(all(feature = "system-proxy", unix, not(target_os = "macos")))]
    fn read() -> Self {
        if gnome::is_desktop(&std::env::var("XDG_CURRENT_DESKTOP").unwrap_or_default()) {
            Self::of_gnome(&gnome::settings().unwrap_or_default())
        } else {
            Self::of_gnome("")
        }
    }

    #[cfg(not(feature = "system-proxy"))]
    fn read() -> Self {
        Self { matcher: Matcher::builder().build(), has_pac: false }
    }

    /// Reads what `gsettings list-recursively org.gnome.system.proxy` prints.
    #[cfg(all(feature = "system-proxy", unix, not(target_os = "macos")))]
    fn of_gnome(text: &str) -> Self {
        let value = |schema: &str, key: &str| gnome::value(text, schema, key).unwrap_or_default();
        let proxy = |scheme: &str, schema: &str| match (value(schema, "host"), value(schema, "port")) {
            (host, port) if host.is_empty() || port == "0" => None,
            (host, port) => Some(format!("{scheme}://{host}:{port}")),
        };
        let mode = value("", "mode");
        let mut builder = Matcher::builder();
        if mode == "manual" {
            // The proxy resolves names, as in the browsers of these desktops.
            let socks = if cfg!(feature = "socks") { proxy("socks5h", ".socks") } else { None };
            let or_socks = |own: Option<String>| own.or_else(|| socks.clone()).unwrap_or_default();
            builder = builder
                .http(or_socks(proxy("http", ".http")))
                .https(or_socks(proxy("http", ".https")))
                .no(gnome::hosts(&value("", "ignore-hosts")));
        }
        Self { matcher: builder.build(), has_pac: mode == "auto" }
    }
}

/// The name of the system's settings, for people.
pub struct SettingsName;

impl fmt::Display for SettingsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match std::env::consts::OS {
            "windows" => "the settings of Windows",
            "macos" => "the settings of macOS",
            _ => "the settings of the desktop",
        })
    }
}

/// The settings of GNOME and of the desktops that use the same schema.
#[cfg(all(feature = "system-proxy", unix, not(target_os = "macos")))]
mod gnome {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// The desktops whose network settings write the schema.
    const DESKTOPS: [&str; 6] = ["GNOME", "Unity", "X-Cinnamon", "MATE", "Budgie", "Pantheon"];
    const SCHEMA: &str = "org.gnome.system.proxy";
    /// The time limit for `gsettings`, which takes about 10 ms.
    const TIME_LIMIT: Duration = Duration::from_secs(2);

    /// Returns `true` for a desktop that writes the schema. A service has none.
    pub fn is_desktop(current: &str) -> bool {
        current.split(':').any(|name| DESKTOPS.contains(&name))
    }

    /// Returns all settings as text; `None` if they cannot be read.
    pub fn settings() -> Option<String> {
        let mut command = Command::new("gsettings");
        command.args(["list-recursively", SCHEMA]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let start = Instant::now();
        // Its output of about 1 KiB fits into a pipe.
        while child.try_wait().ok()?.is_none() {
            if start.elapsed() > TIME_LIMIT {
                let _ = (child.kill(), child.wait());
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        String::from_utf8(child.wait_with_output().ok()?.stdout).ok()
    }

    /// Returns a value without its quotes.
    pub fn value(text: &str, schema: &str, key: &str) -> Option<String> {
        let start = format!("{SCHEMA}{schema} {key} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&start))?;
        Some(value.trim_matches('\'').to_owned())
    }

    /// Turns a list of hosts, as in `['localhost', '*.example.com']`, into one for `no_proxy`.
    pub fn hosts(list: &str) -> String {
        let names = list.trim_start_matches("@as ").trim_matches(['[', ']']).split(',');
        let names = names.map(|name| name.trim().trim_matches('\'').trim_start_matches("*."));
        names.collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
#[cfg(all(feature = "system-proxy", unix, not(target_os = "macos")))]
mod tests {
    use super::*;

    /// Returns the proxies for http and https URLs of `host`.
    fn to(host: &str, lines: &[&str]) -> [String; 2] {
        let settings = SystemSettings::of_gnome(&lines.join("\n"));
        ["http", "https"].map(|scheme| {
            let url = Url::parse(&format!("{scheme}://{host}/")).unwrap();
            settings.proxy_for(&url).map_or_else(|| "-".to_owned(), |url| url.to_string())
        })
    }

    const MANUAL: &str = "org.gnome.system.proxy mode 'manual'";
    const HTTP: &str = "org.gnome.system.proxy.http host 'a'\norg.gnome.system.proxy.http port 3128";
    const HTTPS: &str = "org.gnome.system.proxy.https host 'b'\norg.gnome.system.proxy.https port 1";
    const SOCKS: &str = "org.gnome.system.proxy.socks host 'c'\norg.gnome.system.proxy.socks port 1080";
    const HOSTS: &str = "org.gnome.system.proxy ignore-hosts ['localhost', '10.0.0.0/8', '::1', '*.example.com']";

    #[test]
    fn manual_settings_of_gnome_name_proxies_and_exceptions() {
        assert_eq!(to("h", &[MANUAL, HTTP, HTTPS]), ["http://a:3128/", "http://b:1/"]);
        assert_eq!(to("h", &[MANUAL, HTTP]), ["http://a:3128/", "-"]);
        #[cfg(feature = "socks")]
        assert_eq!(to("h", &[MANUAL, HTTP, SOCKS]), ["http://a:3128/", "socks5h://c:1080/"]);
        for host in ["localhost", "10.1.2.3", "[::1]", "x.example.com"] {
            assert_eq!(to(host, &[MANUAL, HTTP, HTTPS, HOSTS]), ["-", "-"], "{host}");
        }
        assert_eq!(to("h", &[MANUAL, HTTP, HTTPS, "org.gnome.system.proxy ignore-hosts @as []"])[0], "http://a:3128/");
    }

    #[test]
    fn other_modes_of_gnome_name_no_proxy_and_a_pac_file_is_noticed() {
        let (none, auto) = ("org.gnome.system.proxy mode 'none'", "org.gnome.system.proxy mode 'auto'");
        for (mode, has_pac) in [(none, false), (auto, true)] {
            assert_eq!(to("h", &[mode, HTTP, HTTPS]), ["-", "-"]);
            assert_eq!(SystemSettings::of_gnome(mode).has_pac, has_pac);
        }
        assert_eq!(to("h", &["", HTTP]), ["-", "-"]);
    }

    #[test]
    fn only_desktops_that_write_the_settings_are_asked() {
        for (current, is_asked) in [("GNOME", true), ("ubuntu:GNOME", true), ("KDE", false), ("", false)] {
            assert_eq!(gnome::is_desktop(current), is_asked, "{current}");
        }
    }
}
