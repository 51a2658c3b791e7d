//! What each phase of an iteration asked models, added up from the calls themselves: no total of them is kept.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::store::{At, CallFilter, Patience, Place, Reader, StoreError};
use crate::tui::facts::{Asked, PhaseCalls};

/// Calls that are read at once.
const PAGE: usize = 256;
/// How long calls are read before other news has its turn.
const READING: Duration = Duration::from_millis(300);

/// What was added up so far, by iteration, with the place of the last call in it.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<u32, (Place, PhaseCalls)>);

impl Calls {
    /// The calls of an iteration, and whether these are all of them. Only those that came since are read.
    pub(super) fn of(&mut self, reader: &Reader, iteration: u32) -> Result<(PhaseCalls, bool), StoreError> {
        let until = Instant::now() + READING;
        let filter = CallFilter { iteration: Some(iteration), ..CallFilter::default() };
        let (last, found) = self.0.entry(iteration).or_insert((Place::START, PhaseCalls::new()));
        loop {
            let page = reader.teacher_calls(&filter, At::After(*last), PAGE, Patience::default())?;
            for (place, call) in &page.rows {
                *last = *place;
                let key = (call.context.round, call.context.phase.as_str());
                let sum: &mut Asked = found.entry(key).or_default();
                sum.calls += 1;
                sum.tokens += u64::from(call.prompt_tokens) + u64::from(call.reply_tokens);
            }
            let whole = page.rows.len() < PAGE;
            if whole || Instant::now() >= until {
                return Ok((found.clone(), whole));
            }
        }
    }
}
