//! `waiting.xml`: clean-ups that wait for a component whose disk was not mounted.
//!
//! It has the form of a plan. The journal ends meanwhile, so that the other components can be
//! updated.

use crate::disk::fs::Dir;
use crate::error::Result;
use crate::formats::xml::XmlError;
use crate::state::file::StateFile;
use crate::state::journal::{ComponentSteps, MAX_PLAN_BYTES, Transaction, write_plan};

/// The steps of the components whose clean-ups wait.
#[derive(Debug, Default)]
pub struct WaitingCleanups(pub Transaction);

impl WaitingCleanups {
    /// Adds the steps of components, each in the place of earlier ones. They are durable when this
    /// returns.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn add(state_dir: &Dir, components: Vec<ComponentSteps>) -> Result<()> {
        let Self(mut all) = Self::load_or_default(state_dir)?;
        all.components.retain(|old| components.iter().all(|new| new.component != old.component));
        all.components.extend(components);
        Self(all).save(state_dir)
    }

    /// Writes the steps of the components that still wait; removes the file if none waits.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn keep(state_dir: &Dir, components: Vec<ComponentSteps>) -> Result<()> {
        if components.is_empty() {
            return state_dir.remove_file(Self::NAME);
        }
        Self(Transaction { components, ..Transaction::default() }).save(state_dir)
    }
}

impl StateFile for WaitingCleanups {
    const NAME: &'static str = "waiting.xml";
    const MAX_BYTES: u64 = MAX_PLAN_BYTES;

    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        Transaction::parse(bytes).map(Self)
    }

    fn write(&self) -> String {
        write_plan(&self.0)
    }
}
