//! The state files: no input makes a reader panic, and what one takes is still the same when it has
//! been written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::state::{
    ActiveUpdates, Choices, History, SeenReleases, Starts, StateFile, Verdicts, WatcherState,
};
use std::fmt::Debug;

fn survives_a_round_trip<F: StateFile + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(state) = F::parse(bytes) {
        assert_eq!(F::parse(state.write().as_bytes()).ok().as_ref(), Some(&state));
    }
}

fuzz_target!(|bytes: &[u8]| {
    survives_a_round_trip::<ActiveUpdates>(bytes);
    survives_a_round_trip::<Choices>(bytes);
    survives_a_round_trip::<History>(bytes);
    survives_a_round_trip::<SeenReleases>(bytes);
    survives_a_round_trip::<Starts>(bytes);
    survives_a_round_trip::<Verdicts>(bytes);
    survives_a_round_trip::<WatcherState>(bytes);
});
