//! Several places that hold the same objects: the fastest first, those that failed last.

use super::{CancelToken, Fetch, Request, Response, StallGuard};
use crate::error::{Error, Network, Result};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// How many bytes each mirror is asked for to find the fastest one.
pub const PROBE_BYTES: u64 = 64 * 1024;
/// What one mirror more may cost of a download: a part in so many.
const SMALL_PART: u64 = 64;
/// How long a stopped caller may have to wait.
const TICK: Duration = Duration::from_millis(50);

/// The mirrors of one download, in the order in which they are asked; shared by all that fetch.
#[derive(Debug)]
pub struct Mirrors(Mutex<Vec<Url>>);

impl Mirrors {
    /// In order of preference.
    pub fn new(urls: Vec<Url>) -> Self {
        Self(Mutex::new(urls))
    }

    /// As they are to be asked now.
    pub fn in_order(&self) -> Vec<Url> {
        self.lock().clone()
    }

    /// Whether to find out which is the fastest before so many bytes are fetched. A folder on this machine needs no rival.
    pub fn are_worth_a_probe(&self, bytes: u64) -> bool {
        let urls = self.lock();
        let rivals = urls.len().saturating_sub(1) as u64;
        rivals > 0 && bytes / PROBE_BYTES / SMALL_PART >= rivals && urls.iter().all(|url| url.scheme() != "file")
    }

    /// Asks one that could not be reached, or did not send what it should, after all others from now on.
    pub fn demote(&self, mirror: &Url) {
        let mut urls = self.lock();
        if let Some(at) = urls.iter().position(|url| url == mirror) {
            urls[at..].rotate_left(1);
        }
    }

    /// Asks all mirrors for the same [`PROBE_BYTES`] bytes of an object, those after the first `have` of `total`, and puts the
    /// fastest before the others; gives what that one has sent. One that the publisher prefers to it may take a quarter longer.
    ///
    /// None when no mirror has sent them: what is wrong with each will be seen when it is asked again.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn race(
        &self,
        source: &dyn Fetch,
        path: &str,
        (have, total): (u64, u64),
        cancel: &CancelToken,
    ) -> Result<Option<Vec<u8>>> {
        let mirrors = self.in_order();
        let stop = CancelToken::default();
        let (sender, news) = channel();
        let start = Instant::now();
        let won = std::thread::scope(|scope| {
            for (rank, mirror) in mirrors.iter().enumerate() {
                let (sender, stop) = (sender.clone(), &stop);
                // Nobody listens any more when another has won.
                scope.spawn(move || drop(sender.send((rank, probe(source, mirror, path, (have, total), stop)))));
            }
            drop(sender);
            let mut won: Option<(usize, Vec<u8>)> = None;
            let mut end: Option<Instant> = None;
            let ended = loop {
                let left = end.map_or(TICK, |end| end.saturating_duration_since(Instant::now()).min(TICK));
                match (news.recv_timeout(left), cancel.check()) {
                    (_, Err(stopped)) => break Err(stopped),
                    (Err(RecvTimeoutError::Disconnected), _) => break Ok(()),
                    (Ok((rank, Err(error))), _) if error.is_retryable() => self.demote(&mirrors[rank]),
                    (Ok((rank, Ok(bytes))), _) if won.as_ref().is_none_or(|(best, _)| rank < *best) => {
                        end.get_or_insert_with(|| Instant::now() + start.elapsed() / 4);
                        won = Some((rank, bytes));
                    }
                    (Ok(_) | Err(RecvTimeoutError::Timeout), _) => {}
                }
                if won.as_ref().is_some_and(|(rank, _)| *rank == 0) || end.is_some_and(|end| Instant::now() >= end) {
                    break Ok(());
                }
            };
            stop.cancel();
            ended.map(|()| won)
        })?;
        let Some((rank, bytes)) = won else { return Ok(None) };
        let mut urls = self.lock();
        if let Some(at) = urls.iter().position(|url| *url == mirrors[rank]) {
            urls[..=at].rotate_right(1);
        }
        Ok(Some(bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Url>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gets the part of an object from one mirror. A server that knows no ranges has sent other bytes than those asked for: it
/// may have won, but there is nothing to go on with.
fn probe(
    source: &dyn Fetch,
    mirror: &Url,
    path: &str,
    (have, total): (u64, u64),
    cancel: &CancelToken,
) -> Result<Vec<u8>> {
    let url = mirror
        .join(path)
        .map_err(|error| Network::Unreachable { url: mirror.to_string(), detail: error.to_string() })?;
    let request = Request { resume: Some((have, total)), at_most: Some(PROBE_BYTES), ..Request::new(&url, cancel) };
    let Response::Body(body) = source.get(&request)? else {
        return Err(Network::Status { url: url.to_string(), status: 304, retry_after: None }.into());
    };
    let from = body.from;
    let wanted = PROBE_BYTES.min(total.saturating_sub(have)) as usize;
    let mut bytes = vec![0; wanted];
    let mut reader = StallGuard::new(body, &url, cancel);
    let mut read = 0;
    while read < wanted {
        match reader.read(&mut bytes[read..])? {
            0 => return Err(cut_off(&url, read)),
            count => read += count,
        }
    }
    if from != have {
        bytes.clear();
    }
    Ok(bytes)
}

fn cut_off(url: &Url, received: usize) -> Error {
    Network::CutOff { url: url.to_string(), received: received as u64, detail: "too short".to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::fetch::Body;
    use std::io::Cursor;

    /// Mirrors by name, with how long each takes; none for one that cannot be reached.
    struct Network(Vec<(&'static str, Option<Duration>)>);

    impl Fetch for Network {
        fn get(&self, request: &Request<'_>) -> Result<Response> {
            let host = request.url.host_str().unwrap();
            let (_, delay) = self.0.iter().find(|(name, _)| *name == host).unwrap();
            let Some(delay) = delay else {
                return Err(super::Network::Unreachable { url: host.into(), detail: String::new() }.into());
            };
            request.cancel.wait(*delay)?;
            let (from, total) = request.resume.unwrap();
            let bytes = vec![host.as_bytes()[0]; (total - from).min(request.at_most.unwrap()) as usize];
            let body = Body::new(Box::new(Cursor::new(bytes)), request.url.clone());
            Ok(Response::Body(Body { from, ..body }))
        }
    }

    fn hosts(mirrors: &Mirrors) -> Vec<String> {
        mirrors.in_order().iter().map(|url| url.host_str().unwrap().to_owned()).collect()
    }

    /// The order after a race, and the first byte of what has won.
    fn raced(network: &[(&'static str, Option<Duration>)]) -> (Vec<String>, Option<u8>) {
        let urls = network.iter().map(|(name, _)| Url::parse(&format!("http://{name}/")).unwrap()).collect();
        let mirrors = Mirrors::new(urls);
        let source = Network(network.to_vec());
        let won = mirrors.race(&source, "object", (5, 1 << 20), &CancelToken::default()).unwrap();
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
    fn a_little_slower_is_preferred_all_the_same() {
        let (a, b) = (Duration::from_millis(1100), Duration::from_millis(1000));
        assert_eq!(raced(&[("a", Some(a)), ("b", Some(b))]).0, ["a", "b"]);
    }

    #[test]
    fn a_race_can_be_stopped() {
        let mirrors = Mirrors::new(vec![Url::parse("http://a/").unwrap()]);
        let cancel = CancelToken::default();
        cancel.cancel();
        let stopped = mirrors.race(&Network(vec![("a", NEVER)]), "object", (0, 100), &cancel);
        assert_eq!(stopped.unwrap_err().code(), "cancelled");
    }

    #[test]
    fn only_a_large_download_from_several_mirrors_is_worth_a_probe() {
        let worth = |urls: &[&str], bytes| {
            Mirrors::new(urls.iter().map(|url| Url::parse(url).unwrap()).collect()).are_worth_a_probe(bytes)
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
