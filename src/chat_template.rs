//! The chat template of a model, rendered alike where answers are learned and where they are asked for.
//!
//! A template may ask for the day. It is told one and the same, the one that the templates of Llama 3 fall back to:
//! otherwise a student would be asked under another prompt than it was trained on, and the same question would get
//! another answer tomorrow.

use minijinja::{Environment, Error, ErrorKind, context};
use serde_json::{Value, json};

/// Name of the file with a folder's template, which wins over the one in `tokenizer_config.json`.
pub const FILE: &str = "chat_template.jinja";

/// A compiled template with the special tokens that it may write.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    specials: [String; 3],
}

/// The template in a `tokenizer_config.json`: a text, or the one named `default` of a list.
pub fn written(config: &Value) -> Option<&str> {
    let template = config.get("chat_template")?;
    let default = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some("default");
    let named = || template.as_array()?.iter().find(default)?.get("template")?.as_str();
    template.as_str().or_else(named)
}

/// A special token as `tokenizer_config.json` writes it: text, or an object with `content`.
fn special(config: &Value, field: &str) -> String {
    let token = config.get(field).unwrap_or(&Value::Null);
    token.as_str().or_else(|| token.get("content").and_then(Value::as_str)).unwrap_or("").to_owned()
}

/// The parts of the one day: Friday, 26 July 2024, at midnight.
fn day(format: &str) -> String {
    let parts = [
        ("%d", "26"),
        ("%m", "07"),
        ("%Y", "2024"),
        ("%y", "24"),
        ("%b", "Jul"),
        ("%B", "July"),
        ("%a", "Fri"),
        ("%A", "Friday"),
        ("%H", "00"),
        ("%M", "00"),
        ("%S", "00"),
    ];
    parts.into_iter().fold(format.to_owned(), |text, (part, value)| text.replace(part, value))
}

impl ChatTemplate {
    /// Compiles a template for the special tokens of a `tokenizer_config.json`.
    ///
    /// # Errors
    /// What the engine says.
    pub fn new(template: String, config: &Value) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_lstrip_blocks(true);
        environment.set_trim_blocks(true);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| day(&format));
        environment.add_template_owned("chat", template).map_err(|error| error.to_string())?;
        let specials = ["bos_token", "eos_token", "unk_token"].map(|field| special(config, field));
        Ok(Self { environment, specials })
    }

    /// The text that ends an answer, by its name in the configuration; empty where there is none.
    pub fn eos(&self) -> &str {
        &self.specials[1]
    }

    /// The text of messages, a list of objects with `role` and `content`; with what opens an answer where that is asked
    /// for.
    ///
    /// # Errors
    /// What the engine or the template says.
    pub fn render(&self, messages: &Value, add_generation_prompt: bool) -> Result<String, String> {
        let [bos_token, eos_token, unk_token] = &self.specials;
        let date_string = day("%d %b %Y");
        let context =
            context! { messages, add_generation_prompt, bos_token, eos_token, unk_token, date_string };
        let template = self.environment.get_template("chat");
        template.and_then(|template| template.render(context)).map_err(|error| error.to_string())
    }

    /// The text of one user's message, with what opens the answer.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn question(&self, prompt: &str) -> Result<String, String> {
        self.render(&json!([{ "role": "user", "content": prompt }]), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_does_not_depend_on_the_day() {
        let llama = "{{ bos_token }}{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}\
            {% endif %}Today Date: {{ date_string }}\n{{ messages[0].content }}";
        let template =
            ChatTemplate::new(llama.into(), &json!({ "bos_token": { "content": "<s>" } })).unwrap();
        assert_eq!(template.question("Hi").unwrap(), "<s>Today Date: 26 Jul 2024\nHi");
        let other = "{{ strftime_now('%A, %Y-%m-%d %H:%M') }}";
        let template = ChatTemplate::new(other.into(), &Value::Null).unwrap();
        assert_eq!(template.question("Hi").unwrap(), "Friday, 2024-07-26 00:00");
    }

    #[test]
    fn a_template_is_found_as_text_and_by_the_name_default() {
        assert_eq!(written(&json!({ "chat_template": "a" })), Some("a"));
        let list = json!([{ "name": "tool_use", "template": "b" }, { "name": "default", "template": "c" }]);
        assert_eq!(written(&json!({ "chat_template": list })), Some("c"));
        assert_eq!(written(&json!({ "chat_template": null })), None);
    }

    #[test]
    fn what_a_template_refuses_and_what_is_none_is_told() {
        assert!(ChatTemplate::new("{% for x in %}".into(), &Value::Null).is_err());
        let strict = ChatTemplate::new("{{ raise_exception('only system') }}".into(), &Value::Null).unwrap();
        assert!(strict.question("Hi").unwrap_err().contains("only system"));
    }
}
