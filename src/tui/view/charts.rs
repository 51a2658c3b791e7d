//! The charts over the panes.

use ratatui::layout::Rect;

use super::overlay::panel;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line};
use crate::tui::charts::{self, NAMES};
use crate::tui::theme::Scope;

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, number: usize, skill: usize, recent: bool) {
    let mut title = Line::of(Scope::TitleFocus, " Charts:");
    for (n, name) in NAMES.iter().enumerate() {
        title.push(
            if n == number { Scope::TitleFocus } else { Scope::Muted },
            if n == number { format!(" [{name}]") } else { format!("  {name} ") },
        );
    }
    title.push(Scope::Text, " ");
    let size = (app.size.0.saturating_sub(4), app.size.1.saturating_sub(4));
    let Some(inner) = panel(app, canvas, size, &title) else { return };
    let chart = charts::chart(app, number, skill, recent);
    canvas.line(inner, 0, &Line::of(Scope::Strong, format!(" {}", chart.title)));
    let below = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let lines = charts::plot(&chart, below.width.into(), below.height.into(), app.glyphs);
    canvas.lines(below, &lines, 0);
}
