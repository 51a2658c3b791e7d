//! Reviews: what a person does to data, as one event with the changed data.

use crate::gym::datum::JudgedDatum;
use crate::gym::episode::Event;
use crate::gym::ports::{Ledger, PortError};
use crate::gym::review::{DataSelection, DatumEdit, counts};

/// The event and the data as they are after it. Both are to be committed together.
pub fn review(
    ledger: &dyn Ledger,
    selection: DataSelection,
    edit: DatumEdit,
) -> Result<(Event, Vec<JudgedDatum>), PortError> {
    let before = ledger.selected(&selection)?;
    let after: Vec<JudgedDatum> = before.iter().cloned().map(|datum| edit.apply(datum)).collect();
    let counts = counts(&before, &after);
    let data = after.len() as u32;
    Ok((Event::Reviewed { selection, edit, data, counts }, after))
}
