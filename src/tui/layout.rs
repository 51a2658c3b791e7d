//! Where things go, from the size of the terminal alone.

use std::collections::BTreeSet;

use ratatui::layout::Rect;

/// The four panes, in the order of their digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pane {
    Skills,
    Iterations,
    Machine,
    Samples,
}

impl Pane {
    pub(crate) const ALL: [Self; 4] = [Self::Skills, Self::Iterations, Self::Machine, Self::Samples];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Skills => "Skills",
            Self::Iterations => "Iterations",
            Self::Machine => "Machine",
            Self::Samples => "Samples",
        }
    }

    pub(crate) fn digit(self) -> usize {
        self as usize + 1
    }

    /// The pane `steps` further round the circle.
    pub(crate) fn after(self, steps: usize) -> Self {
        Self::ALL[(self as usize + steps) % Self::ALL.len()]
    }
}

/// Below this width one pane is shown at a time.
const NARROW: u16 = 100;
/// From this width on the right side gets more than half.
const WIDE: u16 = 160;
/// A window smaller than this shows no borders and no extras.
const TINY: (u16, u16) = (36, 10);
/// Rows of the strip that tells of the running phase while its pane is hidden.
const STRIP: u16 = 3;

/// What decides the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape<'a> {
    pub(crate) size: (u16, u16),
    pub(crate) focus: Pane,
    pub(crate) zoom: bool,
    pub(crate) hint: bool,
    /// Panes that are not shown, unless one has the focus.
    pub(crate) hidden: &'a BTreeSet<Pane>,
    /// Rows the machine has to say, in few words and in all.
    pub(crate) machine: (usize, usize),
}

/// The places of one frame. Missing ones are not drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) header: Rect,
    pub(crate) hint: Option<Rect>,
    pub(crate) tabs: Option<Rect>,
    pub(crate) panes: Vec<(Pane, Rect)>,
    pub(crate) strip: Option<Rect>,
    pub(crate) footer: Option<Rect>,
}

impl Places {
    pub(crate) fn of(shape: Shape<'_>) -> Self {
        let (width, height) = shape.size;
        let mut rest = Rect::new(0, 0, width, height);
        let header = take_top(&mut rest, 1);
        let tiny = width < TINY.0 || height < TINY.1;
        let footer = (!tiny).then(|| take_bottom(&mut rest, 1));
        let hint = (shape.hint && height >= 20).then(|| take_top(&mut rest, 1));
        let single = width < NARROW || height < 20 || shape.zoom;
        let tabs = (single && !tiny).then(|| take_top(&mut rest, 1));
        let seen = shape.focus == Pane::Iterations || !(single || shape.hidden.contains(&Pane::Iterations));
        let strip = (!seen && rest.height >= 12).then(|| take_bottom(&mut rest, STRIP));
        let panes = if single { vec![(shape.focus, rest)] } else { several(rest, shape) };
        Self { header, hint, tabs, panes, strip, footer }
    }

    /// The place of a pane, where it is shown.
    pub(crate) fn pane(&self, pane: Pane) -> Option<Rect> {
        self.panes.iter().find(|(p, _)| *p == pane).map(|(_, rect)| *rect)
    }
}

/// What is inside the border of a pane.
pub(crate) fn inside(area: Rect) -> Rect {
    if area.width < 4 || area.height < 3 {
        return area;
    }
    Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
}

/// The shown panes in two columns: skills over iterations, samples over the machine. A column without a pane
/// leaves its room to the other, a hidden pane to the one above or below it.
fn several(area: Rect, shape: Shape<'_>) -> Vec<(Pane, Rect)> {
    let shown = |pane: &Pane| *pane == shape.focus || !shape.hidden.contains(pane);
    let column = |panes: [Pane; 2]| panes.into_iter().filter(shown).collect::<Vec<_>>();
    let (on_left, on_right) =
        (column([Pane::Skills, Pane::Iterations]), column([Pane::Samples, Pane::Machine]));
    let left_width = match (on_left.is_empty(), on_right.is_empty()) {
        (true, _) => 0,
        (false, true) => area.width,
        (false, false) if area.width >= WIDE => area.width * 2 / 5,
        (false, false) => area.width / 2,
    };
    let mut right = area;
    let mut left = take_left(&mut right, left_width);
    let mut places = Vec::new();
    if let [upper, lower] = on_left[..] {
        let rows = (area.height * 11 / 20).min(area.height.saturating_sub(9));
        places.push((upper, take_top(&mut left, rows)));
        places.push((lower, left));
    } else {
        places.extend(on_left.into_iter().map(|pane| (pane, left)));
    }
    if let [upper, lower] = on_right[..] {
        // Everything, where a third of the height is enough for it.
        let (most, (few, all)) = ((area.height / 3).max(5), shape.machine);
        let said = if all + 2 <= usize::from(most) { all } else { few };
        let rows = (said as u16 + 2).clamp(5, most);
        let below = take_bottom(&mut right, rows);
        places.push((lower, below));
        places.push((upper, right));
    } else {
        places.extend(on_right.into_iter().map(|pane| (pane, right)));
    }
    places
}

/// Parts of the samples pane: the list, the selected sample. Either may be missing.
pub(crate) fn samples(inner: Rect, reading: bool) -> (Option<Rect>, Option<Rect>) {
    let mut rest = inner;
    if inner.width >= 88 {
        let list = take_left(&mut rest, (inner.width * 2 / 5).clamp(34, 64));
        // One column between them for a line.
        take_left(&mut rest, 1);
        return (Some(list), Some(rest));
    }
    if reading {
        return (None, Some(inner));
    }
    if inner.height >= 11 {
        let list = take_top(&mut rest, (inner.height * 2 / 5).max(4));
        return (Some(list), Some(rest));
    }
    (Some(inner), None)
}

/// Parts of the iterations pane: the table, what goes on now. The table gets at most half.
pub(crate) fn iterations(inner: Rect, rows: usize) -> (Rect, Rect) {
    let mut rest = inner;
    let most = inner.height.saturating_sub((inner.height / 2).max(5));
    let table = take_top(&mut rest, most.min(rows as u16 + 2));
    (table, rest)
}

fn take_top(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    let taken = Rect { height: rows, ..*rest };
    *rest = Rect { y: rest.y + rows, height: rest.height - rows, ..*rest };
    taken
}

fn take_bottom(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    rest.height -= rows;
    Rect { y: rest.y + rest.height, height: rows, ..*rest }
}

fn take_left(rest: &mut Rect, columns: u16) -> Rect {
    let columns = columns.min(rest.width);
    let taken = Rect { width: columns, ..*rest };
    *rest = Rect { x: rest.x + columns, width: rest.width - columns, ..*rest };
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(width: u16, height: u16, zoom: bool) -> Places {
        hiding(width, height, zoom, &BTreeSet::new())
    }

    fn hiding(width: u16, height: u16, zoom: bool, hidden: &BTreeSet<Pane>) -> Places {
        Places::of(Shape {
            size: (width, height),
            focus: Pane::Samples,
            zoom,
            hint: true,
            hidden,
            machine: (6, 12),
        })
    }

    #[test]
    fn the_width_decides_how_many_panes_there_are() {
        assert_eq!(places(200, 55, false).panes.len(), 4);
        assert_eq!(places(120, 40, false).panes.len(), 4);
        let narrow = places(80, 24, false);
        assert_eq!((narrow.panes.len(), narrow.tabs.is_some(), narrow.strip.is_some()), (1, true, true));
        assert_eq!(places(200, 55, true).panes.len(), 1);
        assert_eq!(Pane::Samples.after(1), Pane::Skills);
    }

    proptest! {
        #[test]
        fn the_places_cover_the_screen_once(width in 0_u16..300, height in 0_u16..100, zoom: bool, some in 0_u8..16) {
            let hidden = Pane::ALL.into_iter().filter(|pane| some & (1 << *pane as u8) != 0).collect();
            let p = hiding(width, height, zoom, &hidden);
            let parts = [Some(p.header), p.hint, p.tabs, p.strip, p.footer].into_iter().flatten();
            let all: Vec<Rect> = parts.chain(p.panes.iter().map(|(_, r)| *r)).collect();
            let area: u32 = all.iter().map(|r| u32::from(r.width) * u32::from(r.height)).sum();
            prop_assert_eq!(area, u32::from(width) * u32::from(height));
            for (n, a) in all.iter().enumerate() {
                prop_assert!(a.right() <= width && a.bottom() <= height);
                prop_assert!(all[n + 1..].iter().all(|b| !a.intersects(*b)));
            }
        }
    }
}
