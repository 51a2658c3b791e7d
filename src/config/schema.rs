//! The JSON schema of a configuration, generated from the types.
//!
//! It describes a file above the built-in layer: what the defaults supply is not required.

use std::sync::LazyLock;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value, json};

use super::shape::Shape;
use super::{Config, layers};

/// What the name of a run looks like: a plain folder name.
pub(super) const NAME: &str = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$";
/// [`NAME`] in words.
pub(super) const NAME_RULE: &str = "letters, digits, `-`, `_` or `.`, and no `.` at the beginning";
/// What a device looks like.
pub(super) const DEVICE: &str = "^(cpu|metal|cuda(:[0-9]{1,3})?(, ?cuda:[0-9]{1,3})*)$";
/// [`DEVICE`] in words.
pub(super) const DEVICE_RULE: &str = "`cpu`, `cuda:0` (another index, or several with commas) or `metal`";

/// The schema and the shape that is read from it.
static MADE: LazyLock<(Value, Shape)> = LazyLock::new(|| {
    let schema = make();
    let shape = Shape::read(&schema);
    (schema, shape)
});

/// The schema as a file, with a line end.
pub fn text() -> String {
    format!("{:#}\n", MADE.0)
}

/// The words that a key can be, where it is one of a list; `policy.kind` is such a key.
pub fn choices(key: &str) -> Vec<String> {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    MADE.1.words(&path)
}

/// The shape of a configuration.
pub(super) fn shape() -> &'static Shape {
    &MADE.1
}

fn make() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_deserialize();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<Config>();
    RecursiveTransform(tidy).transform(&mut schema);
    schema.insert("title".to_owned(), "Configuration of dataenvgym".into());
    let mut schema = Value::from(schema);
    relax(&mut schema, &json!(layers::defaults()));
    // One order, whichever map the features of serde_json give us.
    schema.sort_all_objects();
    schema
}

/// Says in the standard's own words what the generator says in formats, and forgets `null`, which TOML has not.
fn tidy(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    match object.remove("format").as_ref().and_then(Value::as_str) {
        Some("uint32") => limit(object, i64::from(u32::MAX)),
        // A whole number of TOML has 64 bits with a sign.
        Some("uint64") => limit(object, i64::MAX),
        _ => {}
    }
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut choices)) = object.remove("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&json!("null")));
        match choices.as_slice() {
            [Value::Object(only)] => {
                for (key, value) in only {
                    object.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
            _ => {
                object.insert("anyOf".to_owned(), choices.into());
            }
        }
    }
    if object.contains_key("properties") {
        object.remove("unevaluatedProperties");
        object.insert("additionalProperties".to_owned(), false.into());
    }
}

fn limit(object: &mut Map<String, Value>, most: i64) {
    object.entry("maximum").or_insert_with(|| most.into());
}

/// Drops the requirement of every key that the defaults supply.
fn relax(schema: &mut Value, defaults: &Value) {
    if let Some(Value::Array(kinds)) = schema.get_mut("oneOf") {
        let same = |kind: &&mut Value| {
            let constant = |(key, value): (&String, &Value)| {
                value.get("const").is_some_and(|word| defaults.get(key) == Some(word))
            };
            kind.get("properties").and_then(Value::as_object).is_some_and(|p| p.iter().any(constant))
        };
        if let Some(kind) = kinds.iter_mut().find(same) {
            relax(kind, defaults);
        }
        return;
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|key| key.as_str().is_none_or(|key| defaults.get(key).is_none()));
        if required.is_empty()
            && let Some(object) = schema.as_object_mut()
        {
            object.remove("required");
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (key, property) in properties {
            if let Some(defaults) = defaults.get(key) {
                relax(property, defaults);
            }
        }
    }
}
