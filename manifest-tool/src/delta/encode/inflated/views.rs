//! Views: both files with the contents of the changed streams in place of the streams.

use super::pairing::ChangedStreams;
use super::stream_finder::{FoundStream, inflate};
use patcher::internal::delta::inflated::{NewStream, OldStream, StreamList};

/// The contents to compare, and the list that describes them.
pub struct Views {
    /// The old view.
    pub old: Vec<u8>,
    /// The bytes that the main delta makes.
    pub main: Vec<u8>,
    /// The list. The sizes of own deltas are 0.
    pub list: StreamList,
}

/// Returns the size of both views in bytes.
pub fn size(old_file: &[u8], new_file: &[u8], streams: &ChangedStreams) -> usize {
    let growth = |stream: &FoundStream| stream.length.saturating_sub(stream.range.len());
    let new = streams.new.iter().map(|changed| &changed.stream);
    old_file.len() + new_file.len() + streams.old.iter().chain(new).map(growth).sum::<usize>()
}

impl Views {
    /// Inflates the streams.
    pub fn new(old_file: &[u8], new_file: &[u8], streams: &ChangedStreams) -> Self {
        let mut list = StreamList::default();
        let (mut old, mut end) = (Vec::new(), 0);
        for stream in &streams.old {
            let gap = &old_file[end..stream.range.start];
            old.extend_from_slice(gap);
            old.extend(inflate(&old_file[stream.range.clone()], stream.length));
            list.old.push(OldStream { gap: gap.len() as u64, length: stream.length as u64 });
            end = stream.range.end;
        }
        old.extend_from_slice(&old_file[end..]);
        let (mut main, mut end) = (Vec::new(), 0);
        for changed in &streams.new {
            let stream = &changed.stream;
            let gap = &new_file[end..stream.range.start];
            main.extend_from_slice(gap);
            if changed.base.is_none() {
                main.extend(inflate(&new_file[stream.range.clone()], stream.length));
            }
            list.new.push(NewStream {
                gap: gap.len() as u64,
                length: stream.length as u64,
                parameters: changed.parameters,
                own_delta: changed.base.map(|base| (base, 0)),
            });
            end = stream.range.end;
        }
        main.extend_from_slice(&new_file[end..]);
        list.tail = (new_file.len() - end) as u64;
        Self { old, main, list }
    }
}
