//! The configurations that are compiled into the program.

/// Ready configurations by name, as texts. Those that name files of their own are none.
pub const READY: &[(&str, &str)] = &[
    ("quickstart", include_str!("../../configs/quickstart.toml")),
    ("lora", include_str!("../../configs/lora.toml")),
    ("alternating", include_str!("../../configs/alternating.toml")),
    ("open-ended", include_str!("../../configs/open-ended.toml")),
    ("open-ended-no-state", include_str!("../../configs/open-ended-no-state.toml")),
    ("skill-list", include_str!("../../configs/skill-list.toml")),
    ("skill-list-no-state", include_str!("../../configs/skill-list-no-state.toml")),
    ("skill-tree", include_str!("../../configs/skill-tree.toml")),
    ("skill-tree-no-state", include_str!("../../configs/skill-tree-no-state.toml")),
    ("scripted", include_str!("../../configs/scripted.toml")),
];

/// The text of a ready configuration.
pub fn ready(name: &str) -> Option<&'static str> {
    READY.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// What a configuration says of itself: the first sentence of its comment.
pub fn about(text: &str) -> String {
    let comment = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
    let whole = comment.collect::<Vec<_>>().join(" ");
    whole.split_once(". ").map_or(whole.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ready_configuration_says_what_it_is() {
        assert!(READY.iter().all(|(_, text)| about(text).split(' ').count() > 4));
        assert_eq!(about("# One. Two\nname = 1"), "One");
    }
}
