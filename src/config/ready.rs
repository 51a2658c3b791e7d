//! The configurations that are compiled into the program.

/// Ready configurations by name, as texts. `svamp.toml` is none: it names a file of its own.
pub const READY: &[(&str, &str)] = &[
    ("quickstart", include_str!("../../configs/quickstart.toml")),
    ("lora", include_str!("../../configs/lora.toml")),
    ("alternating", include_str!("../../configs/alternating.toml")),
    ("scripted", include_str!("../../configs/scripted.toml")),
];

/// The text of a ready configuration.
pub fn ready(name: &str) -> Option<&'static str> {
    READY.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
