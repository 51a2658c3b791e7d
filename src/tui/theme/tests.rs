use super::*;

fn all() -> Vec<Theme> {
    Themes::built_in().all()
}

fn mistake(text: &str) -> String {
    Draft::parse(text, "my.toml").and_then(|draft| Theme::of(&draft, None)).unwrap_err().to_string()
}

#[test]
fn the_built_in_themes_load() {
    let names = ["terminal", "dark", "light", "high-contrast", "colour-blind", "mono"];
    assert_eq!(Themes::built_in().names(), names);
    assert_eq!(Theme::default().name(), "terminal");
    let read = Themes::read(None, Depth::True).unwrap();
    assert_eq!(read, Themes::built_in());
    let said = read.find("drak").unwrap_err().to_string();
    assert!(said.contains("`drak`") && said.contains("high-contrast"));
    assert_eq!(Themes::read(None, Depth::None).unwrap().names(), ["mono"]);
}

#[test]
fn mono_has_no_colour_and_terminal_only_the_sixteen() {
    let mono = Themes::built_in().take("mono").unwrap();
    for scope in Scope::ALL {
        let (mono, terminal) = (mono.style(*scope), Theme::default().style(*scope));
        assert_eq!((mono.fg, mono.bg), (None, None));
        let wide = |c: Option<Color>| matches!(c, Some(Color::Rgb(..) | Color::Indexed(_)));
        assert!(!wide(terminal.fg) && !wide(terminal.bg));
    }
}

#[test]
fn scopes_fall_back_and_mistakes_are_named_with_their_line() {
    let text =
        "name = 'a'\n[palette]\nsea = '#010203'\n[styles]\ntext = { fg = '7' }\ntitle = { bg = 'sea' }";
    let theme = Theme::of(&Draft::parse(text, "a").unwrap(), None).unwrap();
    assert_eq!(theme.style(Scope::Muted).fg, Some(Color::Indexed(7)));
    assert_eq!(theme.style(Scope::TitleFocus).bg, Some(Color::Rgb(1, 2, 3)));
    assert_eq!(theme.style(Scope::Good).fg, Some(Color::Indexed(7)));
    let said = mistake("name = 'a'\n[styles]\ntitel = {}");
    assert!(said.starts_with("my.toml, line 3: no scope `titel`"), "{said}");
    let said = mistake("name = 'a'\n[styles]\n\ntext = { fg = 'blurple' }");
    assert!(said.starts_with("my.toml, line 4: `blurple` is no colour"), "{said}");
    assert!(mistake("name = 'a'\ncolours = 3").starts_with("my.toml, line 2"));
    assert!(mistake("name = 'a'\n[palette]\nx = 'blurple'").contains("is no colour"));
}

#[test]
fn a_folder_adds_and_replaces_themes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("mine.toml", "name = 'mine'\ninherits = 'dark'\n[palette]\naccent = '#112233'\n");
    write("mono.toml", "name = 'mono'\n[styles]\nkey = { modifiers = ['dim'] }\n");
    write("notes.txt", "not a theme");
    let themes = Themes::read(Some(folder.path()), Depth::True).unwrap();
    let mine = themes.find("mine").unwrap();
    assert_eq!(
        mine.style(Scope::Key).fg,
        Some(Color::Rgb(0x11, 0x22, 0x33)),
        "a palette reaches inherited styles"
    );
    assert_eq!(themes.find("mono").unwrap().style(Scope::Key).add_modifier, Modifier::DIM);
    assert_eq!(themes.names().len(), 7);
    // One may change a built-in theme in part, by its name.
    write("dark.toml", "name = 'dark'\ninherits = 'dark'\n[palette]\naccent = '#445566'\n");
    let themes = Themes::read(Some(folder.path()), Depth::True).unwrap();
    let (dark, plain) = (themes.find("dark").unwrap(), Themes::built_in().take("dark").unwrap());
    assert_eq!(dark.style(Scope::Key).fg, Some(Color::Rgb(0x44, 0x55, 0x66)));
    assert_eq!(dark.style(Scope::Bad), plain.style(Scope::Bad));
    assert_eq!(themes.names()[1], "dark", "it keeps its place");
    write("lost.toml", "name = 'lost'\n\ninherits = 'nowhere'\n");
    let said = Themes::read(Some(folder.path()), Depth::True).unwrap_err().to_string();
    assert!(said.contains("lost.toml, line 3") && said.contains("nowhere"), "{said}");
}

fn channels(colour: Color) -> Option<[f64; 3]> {
    match colour {
        Color::Rgb(r, g, b) => Some([r, g, b].map(|c| f64::from(c) / 255.0)),
        _ => None,
    }
}

fn linear(colour: [f64; 3]) -> [f64; 3] {
    colour.map(|c| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) })
}

/// Relative luminance and contrast ratio of WCAG 2.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let light = |c: [f64; 3]| {
        let [r, g, b] = linear(c);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (light(a), light(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn painted_themes_can_be_read() {
    for (name, text, quiet) in
        [("dark", 7.0, 4.5), ("light", 7.0, 4.5), ("high-contrast", 15.0, 7.0), ("colour-blind", 7.0, 4.5)]
    {
        let theme = Themes::built_in().take(name).unwrap();
        let ground = theme.style(Scope::Text).bg.and_then(channels).expect("a painted ground");
        for scope in Scope::ALL {
            let style = theme.style(*scope);
            if matches!(scope, Scope::Border | Scope::Cursor) {
                continue;
            }
            let fg = style.fg.or(theme.style(Scope::Text).fg).and_then(channels).expect("a colour");
            let bg = style.bg.and_then(channels).unwrap_or(ground);
            let needed = if *scope == Scope::Text { text } else { quiet };
            let found = contrast(fg, bg);
            assert!(found >= needed, "{name}: {} has a contrast of {found:.1}", scope.name());
        }
    }
}

/// What the eye of a person sees who lacks one kind of cone: the matrices of Machado, Oliveira and Fernandes
/// (2009) for full severity, on linear light.
const LACKING: [(&str, [[f64; 3]; 3]); 3] = [
    (
        "red",
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
    ),
    (
        "green",
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
    ),
    (
        "blue",
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ),
];

#[test]
fn the_colour_blind_theme_tells_good_from_bad_without_one_kind_of_cone() {
    let theme = Themes::built_in().take("colour-blind").unwrap();
    let colour = |scope: Scope| linear(theme.style(scope).fg.and_then(channels).unwrap());
    for (cone, matrix) in LACKING {
        let seen = |c: [f64; 3]| matrix.map(|row| (0..3).map(|k| row[k] * c[k]).sum::<f64>().clamp(0.0, 1.0));
        for (a, b) in
            [(Scope::Good, Scope::Bad), (Scope::Explore, Scope::Exploit), (Scope::Chart1, Scope::Chart2)]
        {
            let (one, other) = (seen(colour(a)), seen(colour(b)));
            let apart: f64 = (0..3).map(|k| (one[k] - other[k]).powi(2)).sum::<f64>().sqrt();
            assert!(apart > 0.2, "without {cone}: {} and {} are {apart:.2} apart", a.name(), b.name());
        }
    }
}

#[test]
fn meaning_survives_where_there_are_fewer_colours() {
    for depth in [Depth::Sixteen, Depth::Table] {
        for theme in Themes::read(None, depth).unwrap().all() {
            let looks = |scope| {
                let style = theme.style(scope);
                (style.fg, style.bg, style.add_modifier)
            };
            assert_ne!(looks(Scope::Text), looks(Scope::Selection), "{}", theme.name());
            if theme.name() != "mono" {
                assert_ne!(looks(Scope::Good), looks(Scope::Bad), "{} {depth:?}", theme.name());
            }
        }
    }
    assert!(all().iter().all(|theme| theme.style(Scope::Cursor) != theme.style(Scope::Text)));
}
