//! Colours: their names, and the nearest one that a terminal can show.

use ratatui::style::Color;
use serde::Deserialize;

/// How many colours a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Depth {
    /// None: only bold, underline and reverse.
    #[serde(rename = "none")]
    None,
    /// The sixteen of the terminal's own scheme.
    #[serde(rename = "16")]
    Sixteen,
    /// The table of 256.
    #[serde(rename = "256")]
    Table,
    /// Red, green and blue in 256 steps each.
    #[serde(rename = "truecolor")]
    True,
}

impl Depth {
    /// What the environment says. Over SSH `COLORTERM` is lost as a rule; then `colour = "truecolor"` in
    /// `screen.toml` says it.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let forced = variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        if variable("NO_COLOR").is_some() && !forced {
            return Self::None;
        }
        let term = variable("TERM").unwrap_or_default();
        match variable("COLORTERM").as_deref() {
            Some("truecolor" | "24bit") => Self::True,
            _ if term.ends_with("-direct") => Self::True,
            _ if term.contains("256color") => Self::Table,
            _ if matches!(term.as_str(), "dumb" | "vt100" | "vt220") && !forced => Self::None,
            _ => Self::Sixteen,
        }
    }

    /// The nearest colour; `None` where there are none.
    pub(in crate::tui) fn convert(self, colour: Color) -> Option<Color> {
        match (self, colour) {
            (Self::None, _) => None,
            (Self::Table, Color::Rgb(r, g, b)) => Some(Color::Indexed(nearest([r, g, b], 16..=255))),
            (Self::Sixteen, Color::Rgb(r, g, b)) => Some(named(hue([r, g, b]))),
            (Self::Sixteen, Color::Indexed(n)) => Some(named(hue(of_table(n)))),
            _ => Some(colour),
        }
    }
}

/// A colour as a theme file writes it: a name, `0` to `255`, `#rrggbb`, `reset`.
pub(super) fn parse(text: &str) -> Option<Color> {
    text.parse().ok()
}

pub(super) fn unknown(text: &str) -> String {
    format!(
        "`{text}` is no colour; use a name of the palette, one of the 16 names, 0 to 255, #rrggbb or reset"
    )
}

const SIXTEEN: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// Red, green and blue of a place in xterm's table of 256.
pub(super) fn of_table(n: u8) -> [u8; 3] {
    let step = |k: u8| if k == 0 { 0 } else { 55 + 40 * k };
    match n {
        0..=15 => SIXTEEN[usize::from(n)],
        16..=231 => [step((n - 16) / 36), step((n - 16) / 6 % 6), step((n - 16) % 6)],
        232..=255 => [8 + 10 * (n - 232); 3],
    }
}

/// Distance as the eye weighs it, roughly: green counts most.
fn nearest(wanted: [u8; 3], among: std::ops::RangeInclusive<u8>) -> u8 {
    let distance = |n: &u8| {
        let one = |k: usize, weight: i32| {
            let d = i32::from(wanted[k]) - i32::from(of_table(*n)[k]);
            weight * d * d
        };
        one(0, 3) + one(1, 4) + one(2, 2)
    };
    among.min_by_key(distance).unwrap_or(0)
}

/// The place among the sixteen: the hue counts, because soft colours are all nearest to some grey.
fn hue(colour: [u8; 3]) -> u8 {
    let (low, high) = (colour.into_iter().min().unwrap_or(0), colour.into_iter().max().unwrap_or(0));
    if high - low < 40 {
        return match u16::midpoint(low.into(), high.into()) {
            0..=63 => 0,
            64..=178 => 8,
            179..=241 => 7,
            _ => 15,
        };
    }
    let middle = u8::midpoint(low, high);
    let bits = (0..3).fold(0, |bits, k| bits | u8::from(colour[k] > middle) << k);
    if high > 190 { bits + 8 } else { bits }
}

fn named(n: u8) -> Color {
    const NAMES: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    NAMES[usize::from(n.min(15))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_what_a_terminal_shows() {
        let table: [(&[(&str, &str)], Depth); 9] = [
            (&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")], Depth::None),
            (&[("NO_COLOR", ""), ("COLORTERM", "truecolor")], Depth::True),
            (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"), ("TERM", "xterm-256color")], Depth::Table),
            (&[("COLORTERM", "24bit"), ("TERM", "xterm")], Depth::True),
            (&[("TERM", "xterm-direct")], Depth::True),
            (&[("TERM", "screen-256color")], Depth::Table),
            (&[("TERM", "linux")], Depth::Sixteen),
            (&[("TERM", "dumb")], Depth::None),
            (&[], Depth::Sixteen),
        ];
        for (variables, expected) in table {
            let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(Depth::of_environment(get), expected, "{variables:?}");
        }
    }

    #[test]
    fn colours_become_the_nearest_that_can_be_shown() {
        let orange = Color::Rgb(0xff, 0x87, 0x00);
        assert_eq!(Depth::True.convert(orange), Some(orange));
        assert_eq!(Depth::Table.convert(orange), Some(Color::Indexed(208)));
        assert_eq!(Depth::Table.convert(Color::Rgb(8, 8, 8)), Some(Color::Indexed(232)));
        assert_eq!(Depth::Sixteen.convert(Color::Rgb(250, 10, 10)), Some(Color::LightRed));
        assert_eq!(Depth::Sixteen.convert(Color::Indexed(231)), Some(Color::White));
        assert_eq!(Depth::Sixteen.convert(Color::Green), Some(Color::Green));
        assert_eq!(
            Depth::Sixteen.convert(Color::Rgb(0x9c, 0xcc, 0x8f)),
            Some(Color::LightGreen),
            "a soft one too"
        );
        assert_eq!(Depth::Sixteen.convert(Color::Rgb(0x1f, 0x6f, 0x2b)), Some(Color::Green));
        assert_eq!(Depth::Table.convert(Color::Reset), Some(Color::Reset));
        assert_eq!(Depth::None.convert(Color::Green), None);
    }
}
