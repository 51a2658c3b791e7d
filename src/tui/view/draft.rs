//! A datum being written.

use ratatui::layout::Rect;

use super::overlay::{panel, place};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line};
use crate::tui::theme::Scope;
use crate::tui::wording::{Draft, PARTS};

fn size(app: &App) -> (u16, u16) {
    (app.size.0.saturating_sub(4).min(110), app.size.1.saturating_sub(3).min(40))
}

/// Columns of the text.
pub(super) fn columns(app: &App) -> usize {
    place(app, size(app)).map_or(1, |area| usize::from(area.width).saturating_sub(3)).max(1)
}

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, draft: &Draft) {
    let title = Line::of(Scope::TitleFocus, format!(" The words of datum {} ", draft.id));
    let Some(inner) = panel(app, canvas, size(app), &title) else { return };
    let columns = columns(app);
    let views: Vec<_> = draft.parts.iter().map(|part| part.view(columns)).collect();
    let heights = shared(inner.height, &[views[0].0.len(), views[1].0.len(), views[2].0.len()], draft.part);
    let mut y = inner.y;
    for (n, (rows, (row, column))) in views.into_iter().enumerate() {
        let here = n == draft.part;
        let area = Rect { y, height: heights[n].min(inner.bottom().saturating_sub(y)), ..inner };
        y += area.height;
        canvas.line(
            area,
            0,
            &Line::of(if here { Scope::TitleFocus } else { Scope::Hint }, format!(" {}", PARTS[n])),
        );
        let below = Rect {
            x: area.x + 2,
            y: area.y + 1,
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(1),
        };
        let visible = usize::from(below.height);
        // The row of the cursor is always in sight.
        let top = if here { (row + 1).saturating_sub(visible) } else { 0 };
        for (at, shown) in rows.into_iter().skip(top).take(visible).enumerate() {
            canvas.line(below, at as u16, &Line::of(Scope::Text, shown));
        }
        if here && visible > 0 {
            canvas.cursor(below.x + column as u16, below.y + (row - top) as u16);
        }
    }
}

/// Rows for each part with its heading: what it needs, the others first when there is not enough.
fn shared(rows: u16, needs: &[usize; 3], focus: usize) -> [u16; 3] {
    let mut heights = needs.map(|need| (need as u16).saturating_add(1));
    while heights.iter().map(|h| u32::from(*h)).sum::<u32>() > u32::from(rows) {
        let largest = |n: &usize| (heights[*n] > if *n == focus { 4 } else { 2 }, *n != focus, heights[*n]);
        let Some(n) = (0..3).filter(|n| heights[*n] > 0).max_by_key(largest) else { break };
        heights[n] -= 1;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_being_written_gets_room_first() {
        assert_eq!(shared(30, &[2, 5, 1], 1), [3, 6, 2]);
        let tight = shared(12, &[40, 40, 1], 1);
        assert_eq!(tight.iter().sum::<u16>(), 12);
        assert!(tight[1] > tight[0]);
        assert_eq!(shared(0, &[1, 1, 1], 0), [0, 0, 0]);
    }
}
