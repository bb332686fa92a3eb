//! The outcomes of swaps: records for the history, and counts of failures against a release.

use super::SavedFile;
use crate::disk::fs::Dir;
use crate::state::journal::{ComponentSteps, Transaction};
use crate::state::{self, StateFile as _, SwapOutcome, Verdicts};
use crate::values::timestamp::Timestamp;

/// Adds the user's files that were moved beside their paths to the history.
///
/// A failure is ignored: the files are safe without the record.
pub(super) fn record_saved(state_dir: &Dir, transaction: &Transaction, saved: &[SavedFile]) {
    for SavedFile { component, path, saved_as } in saved {
        let of = |steps: &&ComponentSteps| steps.component == *component;
        let steps = transaction.components.iter().find(of).cloned();
        let steps: Vec<ComponentSteps> = steps.into_iter().collect();
        let _ = state::record_outcome(state_dir, &steps, SwapOutcome::Saved { path, saved_as }, Timestamp::now());
    }
}

/// Adds the outcome of a swap to the history and makes it durable.
///
/// After a failure, only the history lacks the outcome.
pub(super) fn record_outcome(state_dir: &Dir, transaction: &Transaction, outcome: SwapOutcome) {
    let _ = state::record_outcome(state_dir, &transaction.components, outcome, Timestamp::now())
        .and_then(|()| state::sync_outcomes(state_dir));
}

/// Counts a failure against the releases of a swap.
///
/// If that cannot be written, the next failure counts as the first one.
pub(super) fn count_failure(state_dir: &Dir, transaction: &Transaction, code: &'static str) {
    record_outcome(state_dir, transaction, SwapOutcome::Failed(code));
    let _ = Verdicts::load_or_default(state_dir).and_then(|mut verdicts| {
        verdicts.count_failed_swap(&transaction.components);
        verdicts.save(state_dir)
    });
}
