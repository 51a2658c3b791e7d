//! Rows that moved as they are: a terminal moves them itself, for a few bytes.

use ratatui::buffer::{Buffer, Cell};

/// Most rows that a move is looked for.
const FARTHEST: usize = 4;
/// Bytes that a move must save, about: below that much change none is looked for.
const WORTH: usize = 200;
/// Bytes that set the cursor before cells that stand apart, about.
const PLACED: usize = 7;

/// Rows `top..bottom` move by `by` rows, up or down; what is free is blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    top: usize,
    bottom: usize,
    by: usize,
    up: bool,
}

impl Move {
    /// The move that saves most, where one saves enough.
    pub(super) fn find(before: &Buffer, after: &Buffer) -> Option<Self> {
        let rows = usize::from(after.area.height);
        let changed: Vec<usize> = (0..rows).map(|row| cost(before, row, after, row)).collect();
        if changed.iter().sum::<usize>() < WORTH {
            return None;
        }
        let ways = (1..=FARTHEST.min(rows.saturating_sub(1))).flat_map(|by| [(by, true), (by, false)]);
        let (saved, found) = ways.filter_map(|way| best(before, after, &changed, way)).max_by_key(|f| f.0)?;
        (saved >= WORTH).then_some(found)
    }

    /// The bytes of it, with a plain pen.
    pub(super) fn bytes(self) -> String {
        let way = if self.up { 'S' } else { 'T' };
        format!("\x1b[{};{}r\x1b[{}{way}\x1b[r", self.top + 1, self.bottom, self.by)
    }

    /// Does to a buffer what a terminal does to its screen.
    pub(super) fn apply(self, buffer: &mut Buffer) {
        let columns = usize::from(buffer.area.width);
        let rows = &mut buffer.content[self.top * columns..self.bottom * columns];
        let cells = self.by * columns;
        let free = if self.up {
            rows.rotate_left(cells);
            let kept = rows.len() - cells;
            &mut rows[kept..]
        } else {
            rows.rotate_right(cells);
            &mut rows[..cells]
        };
        free.iter_mut().for_each(Cell::reset);
    }
}

/// The best rows to move that way, with the bytes that it saves.
fn best(
    before: &Buffer,
    after: &Buffer,
    changed: &[usize],
    (by, up): (usize, bool),
) -> Option<(usize, Move)> {
    let rows = changed.len();
    // Rows of `after` that may have come from `by` rows below or above, and what each saves: the best run of them.
    let (first, end) = if up { (0, rows - by) } else { (by, rows) };
    let (mut sum, mut start, mut found) = (0_isize, first, None);
    for (row, as_it_is) in changed.iter().enumerate().take(end).skip(first) {
        let from = if up { row + by } else { row - by };
        let saves = *as_it_is as isize - cost(before, from, after, row) as isize;
        if sum <= 0 {
            (sum, start) = (0, row);
        }
        sum += saves;
        if found.is_none_or(|(most, _, _)| sum > most) {
            found = Some((sum, start, row + 1));
        }
    }
    let (sum, start, end) = found?;
    let (top, bottom, free) =
        if up { (start, end + by, end..end + by) } else { (start - by, end, start - by..start) };
    // Rows that become blank are written whole.
    let blank: isize = free.map(|row| written(after, row) as isize - changed[row] as isize).sum();
    let saved = usize::try_from(sum - blank).ok()?;
    Some((saved, Move { top, bottom, by, up }))
}

fn row(buffer: &Buffer, row: usize) -> &[Cell] {
    let columns = usize::from(buffer.area.width);
    &buffer.content[row * columns..(row + 1) * columns]
}

/// Bytes that make one row of the other, about.
fn cost(before: &Buffer, from: usize, after: &Buffer, to: usize) -> usize {
    change(row(before, from).iter().zip(row(after, to)).map(|(a, b)| a != b))
}

/// Bytes that write a row, about.
fn written(buffer: &Buffer, at: usize) -> usize {
    change(row(buffer, at).iter().map(|cell| *cell != Cell::EMPTY))
}

fn change(cells: impl Iterator<Item = bool>) -> usize {
    let (mut bytes, mut apart) = (0, true);
    for changed in cells {
        bytes += if changed { 1 + if apart { PLACED } else { 0 } } else { 0 };
        apart = !changed;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with a head, a foot and lines `from..` between borders.
    fn frame(from: usize) -> Buffer {
        let line = |row: usize| {
            let words = ["trained", "evaluated", "planned", "generated", "checked", "a note of somebody"];
            let said: Vec<_> = (0..6).map(|n| words[((row * 7919) >> n) % words.len()]).collect();
            format!("|{:<78.78}|", format!("{row} {}", said.join(" ")))
        };
        let lines = std::iter::once("the head".to_owned()).chain((from..from + 18).map(line));
        let lines: Vec<String> = lines.chain(std::iter::once("the foot".to_owned())).collect();
        Buffer::with_lines(lines)
    }

    #[test]
    fn lines_that_scrolled_are_moved_and_one_is_written() {
        for (from, to, by, up) in [(0, 1, 1, true), (0, 3, 3, true), (5, 4, 1, false)] {
            let (mut before, after) = (frame(from), frame(to));
            let found = Move::find(&before, &after).unwrap();
            assert_eq!((found.by, found.up), (by, up));
            found.apply(&mut before);
            let left = before.diff(&after);
            assert!(left.len() <= by * 80, "{}", left.len());
        }
    }

    #[test]
    fn what_did_not_move_stays() {
        let (before, mut after) = (frame(0), frame(0));
        assert_eq!(Move::find(&before, &after), None);
        after[(3, 5)] = after[(9, 5)].clone();
        assert_eq!(Move::find(&before, &after), None);
        assert_eq!(Move::find(&before, &frame(900)), None);
    }
}
