//! Mirrors: several base URLs that serve the same objects, in the order in which the client asks.
//!
//! [`try_mirrors`] is the one loop over mirrors, for manifests and for objects: if one mirror
//! fails, the client asks the next. During a download the order adapts. A mirror that fails goes to
//! the end ([`Mirrors::demote`]), and before a large download all mirrors race ([`Mirrors::race`]).
//!
//! # Why a race
//!
//! The publisher lists mirrors in order of preference and does not know which one is fast for a
//! client. All mirrors send the same [`PROBE_BYTES`] of the largest object, and the fastest goes
//! to the front. Its bytes are kept as the beginning of the object. The bytes of the losers are the
//! cost: at most 1/64 of the download ([`RACE_COST_DIVISOR`]). A preferred mirror wins if it takes
//! at most 25 % longer than the fastest, so that noise does not override the publisher.
//!
//! The gain was not measured: it depends on the mirrors and on the user's network. The rule is for
//! a first mirror on another continent, or one that is overloaded but answers.

use super::cancel::CANCEL_POLL_PERIOD;
use super::{ByteRange, CancelToken, Fetch, Request, StallGuard};
use crate::error::{Error, Network, Result};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use url::Url;

/// The bytes that each mirror sends in a race.
pub const PROBE_BYTES: u64 = 64 * 1024;
/// A race may cost 1/64 of the bytes to download.
const RACE_COST_DIVISOR: u64 = 64;

/// The mirrors of one download, shared by all its threads.
#[derive(Debug)]
pub struct Mirrors(Mutex<Vec<Url>>);

impl Mirrors {
    /// Takes the base URLs in the publisher's order of preference.
    pub fn new(urls: Vec<Url>) -> Self {
        Self(Mutex::new(urls))
    }

    /// Returns the base URLs in the order in which to ask them now.
    pub fn in_order(&self) -> Vec<Url> {
        self.lock().clone()
    }

    /// Returns `true` if a download of this size justifies a race.
    ///
    /// Mirrors do not race when one of them is a local folder.
    pub fn is_race_worthwhile(&self, download_bytes: u64) -> bool {
        let urls = self.lock();
        let losers = urls.len().saturating_sub(1) as u64;
        let can_afford = download_bytes / PROBE_BYTES / RACE_COST_DIVISOR >= losers;
        losers > 0 && can_afford && urls.iter().all(|url| url.scheme() != "file")
    }

    /// Moves a mirror that has failed to the end of the order.
    pub fn demote(&self, mirror: &Url) {
        let mut urls = self.lock();
        if let Some(at) = urls.iter().position(|url| url == mirror) {
            urls[at..].rotate_left(1);
        }
    }

    /// Requests the same range from all mirrors and moves the fastest to the front.
    ///
    /// Returns the bytes that the winner sent. They are empty if the winner ignored the range.
    /// Returns `None` when no mirror has sent the range; the download then reports why.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn race(
        &self,
        source: &dyn Fetch,
        path: &str,
        range: ByteRange,
        cancel: &CancelToken,
    ) -> Result<Option<Vec<u8>>> {
        let mirrors = self.in_order();
        let stop = CancelToken::default();
        let (sender, results) = channel();
        let winner = std::thread::scope(|scope| {
            for (rank, mirror) in mirrors.iter().enumerate() {
                let (sender, stop) = (sender.clone(), &stop);
                // `send` fails once the race is over.
                scope.spawn(move || drop(sender.send((rank, probe(source, mirror, path, range, stop)))));
            }
            drop(sender);
            let winner = self.wait_for_winner(&mirrors, &results, cancel);
            stop.cancel();
            winner
        })?;
        let Some((rank, bytes)) = winner else { return Ok(None) };
        let mut urls = self.lock();
        if let Some(at) = urls.iter().position(|url| *url == mirrors[rank]) {
            urls[..=at].rotate_right(1);
        }
        Ok(Some(bytes))
    }

    /// Waits for the fastest mirror, and then a quarter longer for the mirrors preferred to it.
    fn wait_for_winner(
        &self,
        mirrors: &[Url],
        results: &Receiver<(usize, Result<Vec<u8>>)>,
        cancel: &CancelToken,
    ) -> Result<Option<(usize, Vec<u8>)>> {
        let start = Instant::now();
        let (mut best, mut deadline): (Option<(usize, Vec<u8>)>, Option<Instant>) = (None, None);
        loop {
            cancel.check()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match results.recv_timeout(left.unwrap_or(CANCEL_POLL_PERIOD).min(CANCEL_POLL_PERIOD)) {
                Ok((rank, Ok(bytes))) if best.as_ref().is_none_or(|(best, _)| rank < *best) => {
                    deadline.get_or_insert_with(|| Instant::now() + start.elapsed() / 4);
                    best = Some((rank, bytes));
                }
                Ok((rank, Err(error))) if error.is_retryable() => self.demote(&mirrors[rank]),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(best),
            }
            let is_most_preferred = best.as_ref().is_some_and(|(rank, _)| *rank == 0);
            if is_most_preferred || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(best);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Url>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `attempt` with each mirror and the URL of `path` there, until one attempt succeeds.
///
/// A refused or failed response leads to the next mirror. Every other error ends the loop.
///
/// # Errors
/// The first [`Error::Refused`]; without one, the first [`Error::Network`]; any other error of an
/// attempt; [`no_mirror_left`] when there is no mirror.
pub fn try_mirrors<T>(
    mirrors: impl IntoIterator<Item = Url>,
    path: &str,
    mut attempt: impl FnMut(&Url, &Url) -> Result<T>,
) -> Result<T> {
    let (mut refused, mut unreachable) = (None, None);
    for mirror in mirrors {
        let Ok(url) = mirror.join(path) else { continue };
        match attempt(&mirror, &url) {
            Err(error @ Error::Refused(_)) => drop(refused.get_or_insert(error)),
            Err(error @ Error::Network(_)) => drop(unreachable.get_or_insert(error)),
            done => return done,
        }
    }
    Err(refused.or(unreachable).unwrap_or_else(|| no_mirror_left(path)))
}

/// Returns the error of a download for which no mirror can be asked.
pub fn no_mirror_left(path: &str) -> Error {
    Network::Unreachable { url: path.to_owned(), detail: "no mirror can be asked now".to_owned() }.into()
}

/// Requests a range from one mirror; returns no bytes if the mirror ignored the range.
///
/// A mirror without range support sends as many bytes from the start of the object. It may win,
/// but its bytes are not those of the range.
fn probe(source: &dyn Fetch, mirror: &Url, path: &str, range: ByteRange, cancel: &CancelToken) -> Result<Vec<u8>> {
    let url = mirror
        .join(path)
        .map_err(|error| Network::Unreachable { url: mirror.to_string(), detail: error.to_string() })?;
    let request = Request { range: Some(range), ..Request::new(&url, cancel) };
    let body = source.get(&request)?;
    let offset = body.offset;
    let mut bytes = Vec::new();
    StallGuard::new(body, &url, cancel).read_exact(range.end.saturating_sub(range.start), |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    if offset != range.start {
        bytes.clear();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::fetch::Body;
    use std::io::Cursor;
    use std::time::Duration;

    /// Mirrors by host name with their response times; `None` for an unreachable one.
    struct FakeMirrors(Vec<(&'static str, Option<Duration>)>);

    impl Fetch for FakeMirrors {
        fn get(&self, request: &Request<'_>) -> Result<Body> {
            let host = request.url.host_str().unwrap();
            let (_, delay) = self.0.iter().find(|(name, _)| *name == host).unwrap();
            let Some(delay) = delay else {
                return Err(Network::Unreachable { url: host.into(), detail: String::new() }.into());
            };
            request.cancel.wait(*delay)?;
            let ByteRange { start, end, .. } = request.range.unwrap();
            let bytes = vec![host.as_bytes()[0]; (end - start) as usize];
            let body = Body::new(Box::new(Cursor::new(bytes)), request.url.clone());
            Ok(Body { offset: start, ..body })
        }
    }

    fn hosts(mirrors: &Mirrors) -> Vec<String> {
        mirrors.in_order().iter().map(|url| url.host_str().unwrap().to_owned()).collect()
    }

    /// Returns the order after a race, and the first byte that the winner sent.
    fn raced(network: &[(&'static str, Option<Duration>)]) -> (Vec<String>, Option<u8>) {
        let urls = network.iter().map(|(name, _)| Url::parse(&format!("http://{name}/")).unwrap()).collect();
        let mirrors = Mirrors::new(urls);
        let source = FakeMirrors(network.to_vec());
        let range = ByteRange { start: 5, end: 5 + PROBE_BYTES, total: 1 << 20 };
        let won = mirrors.race(&source, "object", range, &CancelToken::default()).unwrap();
        assert!(won.as_ref().is_none_or(|bytes| bytes.len() as u64 == PROBE_BYTES));
        (hosts(&mirrors), won.map(|bytes| bytes[0]))
    }

    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);
    const NEVER: Option<Duration> = Some(Duration::from_secs(3600));

    #[test]
    fn the_fastest_mirror_comes_first_and_the_others_keep_their_order() {
        assert_eq!(raced(&[("a", NEVER), ("b", NEVER), ("c", AT_ONCE)]).0, ["c", "a", "b"]);
        assert_eq!(raced(&[("a", AT_ONCE), ("b", NEVER)]), (vec!["a".into(), "b".into()], Some(b'a')));
    }

    #[test]
    fn a_mirror_that_cannot_be_reached_comes_last() {
        assert_eq!(raced(&[("a", None), ("b", AT_ONCE)]), (vec!["b".into(), "a".into()], Some(b'b')));
        assert_eq!(raced(&[("a", None), ("b", None)]).1, None);
    }

    #[test]
    fn a_preferred_mirror_may_be_slightly_slower() {
        let (a, b) = (Duration::from_millis(1100), Duration::from_millis(1000));
        assert_eq!(raced(&[("a", Some(a)), ("b", Some(b))]).0, ["a", "b"]);
    }

    #[test]
    fn a_race_can_be_cancelled() {
        let mirrors = Mirrors::new(vec![Url::parse("http://a/").unwrap()]);
        let cancel = CancelToken::default();
        cancel.cancel();
        let stopped = mirrors.race(&FakeMirrors(vec![("a", NEVER)]), "object", ByteRange::rest(0, 100), &cancel);
        assert_eq!(stopped.unwrap_err().code(), "cancelled");
    }

    #[test]
    fn only_a_large_download_from_several_mirrors_justifies_a_race() {
        let worth = |urls: &[&str], bytes| {
            Mirrors::new(urls.iter().map(|url| Url::parse(url).unwrap()).collect()).is_race_worthwhile(bytes)
        };
        let (a, b, c) = ("http://a/", "https://b/", "http://c/");
        assert!(!worth(&[], u64::MAX));
        assert!(!worth(&[a], u64::MAX));
        assert!(!worth(&[a, b], 64 * PROBE_BYTES - 1));
        assert!(worth(&[a, b], 64 * PROBE_BYTES));
        assert!(!worth(&[a, b, c], 64 * PROBE_BYTES));
        assert!(!worth(&["file:///media/stick/", a], u64::MAX));
    }
}
