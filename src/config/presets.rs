//! Presets of endpoints: what the common servers want, compiled into the program.

use toml::Value;

use super::document::{self, Node};
use super::mistake::Mistake;
use super::suggest::nearest;

/// Presets by name, as texts.
pub const PRESETS: &[(&str, &str)] = &[
    ("azure", include_str!("../../configs/endpoints/azure.toml")),
    ("llama-cpp", include_str!("../../configs/endpoints/llama-cpp.toml")),
    ("ollama", include_str!("../../configs/endpoints/ollama.toml")),
    ("openai", include_str!("../../configs/endpoints/openai.toml")),
    ("openrouter", include_str!("../../configs/endpoints/openrouter.toml")),
    ("sglang", include_str!("../../configs/endpoints/sglang.toml")),
    ("transformers", include_str!("../../configs/endpoints/transformers.toml")),
    ("vllm", include_str!("../../configs/endpoints/vllm.toml")),
];

/// Puts the preset that an endpoint of this layer names below what the layer says of it.
pub(super) fn put_below(layer: Node, mistakes: &mut Vec<Mistake>) -> Node {
    let Node::Table { mut entries, origin } = layer else { return layer };
    if let Some(Node::Table { entries: endpoints, .. }) = entries.get_mut("endpoints") {
        for endpoint in endpoints.values_mut() {
            let Some(Node::Leaf { value: Value::String(name), origin }) = endpoint.get("preset") else {
                continue;
            };
            let preset = PRESETS.iter().find(|(known, _)| known == name);
            match preset.map(|(name, text)| document::parse(text, &format!("preset `{name}`"))) {
                Some(Ok(preset)) => {
                    let own = std::mem::replace(endpoint, Node::empty(origin.clone()));
                    *endpoint = preset.below(own);
                }
                // A preset of ours that is none is found by a test.
                Some(Err(_)) => {}
                None => {
                    let names = || PRESETS.iter().map(|(name, _)| *name);
                    let hint = match nearest(name, names()) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
                    };
                    let message = format!("there is no preset `{}`", name.escape_debug());
                    mistakes.push(Mistake::new(origin, message, hint));
                }
            }
        }
    }
    Node::Table { entries, origin }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::above_defaults;
    use crate::gym::ports::{AdapterServer, Endpoint};

    fn read(text: &str) -> Result<Endpoint, String> {
        let resolved = above_defaults(document::parse(text, "test").unwrap()).map_err(|e| e.to_string())?;
        Ok(resolved.config.endpoints["x"].clone())
    }

    #[test]
    fn every_preset_is_an_endpoint_that_says_what_it_is() {
        for (name, text) in PRESETS {
            let endpoint = read(&format!("[endpoints.x]\npreset = \"{name}\"")).unwrap();
            assert_eq!(endpoint.preset.as_deref(), Some(*name));
            assert!(crate::config::about(text).split(' ').count() > 3, "{name}");
        }
    }

    #[test]
    fn what_is_said_lies_above_the_preset() {
        let text = "[endpoints.x]\nmodel = \"m\"\npreset = \"vllm\"\nurl = \"http://node7:8000/v1\"";
        let endpoint = read(text).unwrap();
        assert_eq!((endpoint.url.as_str(), endpoint.adapters), ("http://node7:8000/v1", AdapterServer::Vllm));
        // A copy of what was resolved means the same.
        let copy = toml::to_string(&std::collections::BTreeMap::from([("x", &endpoint)])).unwrap();
        assert_eq!(read(&copy.replace("[x", "[endpoints.x")).unwrap(), endpoint);
        assert!(read("[endpoints.x]\npreset = \"vlm\"").unwrap_err().contains("did you mean `vllm`?"));
    }
}
