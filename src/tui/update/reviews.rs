//! A person's judgement of data: one with a key, many at once, and other words.

use super::{Effect, commands, overlays};
use crate::gym::datum::Wording;
use crate::gym::episode::Command;
use crate::gym::review::{DataSelection, DatumEdit};
use crate::store::DataFilter;
use crate::tui::action::{Action, Context, Review};
use crate::tui::app::{App, List};
use crate::tui::overlay::{About, Menu, Overlay};
use crate::tui::text_box::TextBox;
use crate::tui::wording::{self, Draft};

/// The data a list names, where a selection can say so.
pub(super) fn selection(filter: &DataFilter) -> Option<DataSelection> {
    let selection = DataSelection {
        iteration: filter.iteration,
        round: filter.round,
        skill: filter.skill.clone(),
        subskill: filter.subskill.clone(),
        verdict: filter.verdict,
        failed_check: filter.failed.clone(),
        ..DataSelection::default()
    };
    let said = DataFilter {
        iteration: selection.iteration,
        round: selection.round,
        skill: selection.skill.clone(),
        subskill: selection.subskill.clone(),
        verdict: selection.verdict,
        failed: selection.failed_check.clone(),
        ..DataFilter::default()
    };
    (said == *filter).then_some(selection)
}

/// What is listed has no verdict to change.
pub(super) fn only_data(app: &App) -> String {
    let key = app.keymap.key(Context::Samples, &Action::OtherList);
    format!("only training data can be reviewed; {key} changes the list")
}

/// A key about the selected datum.
pub(super) fn act(app: &mut App, action: &Action) -> Vec<Effect> {
    let Some(judged) = app.selected_datum().cloned() else {
        app.notice = Some(match app.samples.list {
            List::Training => "no datum is selected".into(),
            List::Predictions | List::Calls => only_data(app),
        });
        return Vec::new();
    };
    let id = judged.datum.id.clone();
    // Said before anything is typed, not after.
    let probe = Command::Review { selection: DataSelection::one(&id), edit: DatumEdit::Accept };
    if let Some(reason) = commands::refusal(app, &probe) {
        app.notice = Some(reason);
        return Vec::new();
    }
    match action {
        Action::Review(Review::Restore) if judged.review.is_none() => {
            app.notice = Some("there is no review of this datum to take back".into());
        }
        Action::Review(review) => {
            let edit = match review {
                Review::Accept => DatumEdit::Accept,
                Review::Reject => DatumEdit::Reject,
                Review::Restore => DatumEdit::Restore,
            };
            return commands::tell(app, Command::Review { selection: DataSelection::one(id), edit });
        }
        Action::EditHere => app.overlay = Some(Overlay::Draft(Draft::new(&judged.datum))),
        Action::EditOutside => return vec![Effect::Write { id, wording: wording::wording(&judged.datum) }],
        Action::Remark => {
            let before = judged.review.and_then(|review| review.note).unwrap_or_default();
            app.overlay = Some(Overlay::Prompt { about: About::Datum { id }, line: TextBox::of(before) });
        }
        _ => {}
    }
    Vec::new()
}

/// A remark on a datum; an empty one takes the earlier one away.
pub(super) fn remark(id: String, text: String) -> Command {
    Command::Review { selection: DataSelection::one(id), edit: DatumEdit::Note { text } }
}

fn reword(id: &str, wording: Wording) -> Command {
    Command::Review { selection: DataSelection::one(id), edit: DatumEdit::Reword { wording } }
}

/// A key while a datum is being written. It was taken out of the state.
pub(super) fn in_draft(app: &mut App, action: &Action, mut draft: Draft) -> Vec<Effect> {
    let columns = crate::tui::view::draft_columns(app);
    let parts = draft.parts.len();
    match action {
        Action::Open => match draft.finished() {
            Ok(new) => {
                let command = reword(&draft.id, new);
                return commands::tell_from(app, command, Overlay::Draft(draft));
            }
            Err(reason) => app.notice = Some(reason),
        },
        Action::Close if draft.finished().is_err_and(|reason| reason.starts_with("no word")) => {
            return Vec::new();
        }
        Action::Close => {
            overlays::ask(app, Menu::Discard { draft });
            return Vec::new();
        }
        Action::EditOutside => {
            let effect = Effect::Write { id: draft.id.clone(), wording: draft.wording() };
            // It stays open below the editor: its words are there until better ones come back.
            app.overlay = Some(Overlay::Draft(draft));
            return vec![effect];
        }
        Action::NextPart => draft.part = (draft.part + 1) % parts,
        Action::PreviousPart => draft.part = (draft.part + parts - 1) % parts,
        Action::Up => draft.parts[draft.part].move_rows(-1, columns),
        Action::Down => draft.parts[draft.part].move_rows(1, columns),
        Action::PageUp => draft.parts[draft.part].move_rows(-8, columns),
        Action::PageDown => draft.parts[draft.part].move_rows(8, columns),
        _ => {}
    }
    app.overlay = Some(Overlay::Draft(draft));
    Vec::new()
}

/// The person's own editor came back. Its words are kept in a draft until the run has them.
pub(super) fn written(app: &mut App, id: &str, result: Result<Option<Wording>, String>) -> Vec<Effect> {
    match result {
        Ok(Some(wording)) => {
            let open = match app.overlay.take() {
                Some(Overlay::Draft(draft)) if draft.id == id => Some(draft),
                other => {
                    app.overlay = other;
                    None
                }
            };
            let datum = app.selected_datum().filter(|judged| judged.datum.id == id);
            let begun = open.or_else(|| datum.map(|judged| Draft::new(&judged.datum)));
            let Some(draft) = begun else { return commands::tell(app, reword(id, wording)) };
            let draft = draft.rewritten(&wording);
            match draft.finished() {
                Ok(new) => commands::tell_from(app, reword(id, new), Overlay::Draft(draft)),
                Err(reason) => {
                    app.notice = Some(reason);
                    app.overlay = Some(Overlay::Draft(draft));
                    Vec::new()
                }
            }
        }
        Ok(None) => {
            app.notice = Some("no word was changed".into());
            Vec::new()
        }
        Err(message) => {
            app.notice = Some(message);
            Vec::new()
        }
    }
}
