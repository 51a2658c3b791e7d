//! Reading what a model answered: whole, or as far as it goes. Any text is read without a panic.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest name that is taken from an answer, in characters.
const LONGEST_NAME: usize = 80;

/// The first JSON object of an answer; a fence or words around it are no fault.
///
/// # Errors
/// What is wrong, for a person.
pub fn object<T: DeserializeOwned>(reply: &str) -> Result<T, String> {
    let open = reply.find('{').ok_or_else(|| "there is no JSON object in it".to_owned())?;
    let text = mended(&reply[open..]);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => serde_json::from_value(value).map_err(|e| format!("it has another form: {e}")),
        Some(Err(error)) if error.is_eof() => Err("it breaks off".to_owned()),
        Some(Err(error)) => Err(format!("it is not JSON: {error}")),
        None => Err("it breaks off".to_owned()),
    }
}

/// The entries of the first JSON list of an answer, and what is wrong with it where something is. A list that
/// breaks off keeps its whole entries.
pub fn entries<T: DeserializeOwned>(reply: &str) -> (Vec<T>, Option<String>) {
    let Some(open) = reply.find('[') else {
        return (Vec::new(), Some("there is no list in it".to_owned()));
    };
    let text = mended(&reply[open + 1..]);
    let mut rest = text.as_str();
    let mut found: Vec<T> = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if rest.starts_with(']') {
            return (found, None);
        }
        let place = found.len() + 1;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return (found, Some(format!("entry {place} is not JSON: {error}"))),
            None => return (found, Some("it breaks off".to_owned())),
        };
        rest = &rest[values.byte_offset()..];
        match serde_json::from_value::<T>(value) {
            Ok(entry) => found.push(entry),
            Err(error) => return (found, Some(format!("entry {place} has another form: {error}"))),
        }
    }
}

/// JSON as models write it, made valid: a backslash that begins no escape is doubled, a line break inside a text
/// becomes its escape, a comma before a closing bracket goes. Valid JSON comes back as it is.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut within = false;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        at += c.len_utf8();
        let rest = &text[at..];
        match c {
            '"' => {
                within = !within;
                out.push(c);
            }
            ',' if !within && rest.trim_start().starts_with([']', '}']) => {}
            '\\' if within => {
                let hex = |code: &str| code.len() == 4 && code.bytes().all(|b| b.is_ascii_hexdigit());
                match rest.chars().next() {
                    Some(next @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => {
                        out.push(c);
                        out.push(next);
                        at += 1;
                    }
                    Some('u') if rest.get(1..5).is_some_and(hex) => out.push(c),
                    // The text breaks off here.
                    None => out.push(c),
                    Some(_) => out.push_str("\\\\"),
                }
            }
            '\n' if within => out.push_str("\\n"),
            '\r' if within => out.push_str("\\r"),
            '\t' if within => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out
}

/// Commands of LaTeX whose first letter makes an escape of JSON together with the backslash.
const COMMANDS: &[&str] = &[
    "backslash",
    "bar",
    "begin",
    "beta",
    "bf",
    "big",
    "bigcap",
    "bigcup",
    "bigl",
    "bigr",
    "binom",
    "bmod",
    "bot",
    "boxed",
    "bullet",
    "flat",
    "forall",
    "frac",
    "nabla",
    "neg",
    "neq",
    "nmid",
    "not",
    "notin",
    "rangle",
    "rbrace",
    "rceil",
    "rfloor",
    "rho",
    "right",
    "rightarrow",
    "rm",
    "tan",
    "tanh",
    "tau",
    "text",
    "textbf",
    "textit",
    "textrm",
    "tfrac",
    "theta",
    "tilde",
    "times",
    "to",
    "top",
    "triangle",
];

/// JSON with LaTeX in it whose backslashes were not doubled, which would read `\frac` as a form feed and `rac`:
/// those of commands are doubled. For answers about mathematics only; in a program `\to` may be a tab.
pub fn with_latex(reply: &str) -> String {
    let mut out = String::with_capacity(reply.len());
    let mut rest = reply;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        out.push('\\');
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        rest = after;
        if COMMANDS.contains(&&after[..letters]) {
            out.push('\\');
        } else if let Some(next) = after.chars().next() {
            // Both of a doubled backslash, so that the second begins nothing.
            out.push(next);
            rest = &after[next.len_utf8()..];
        }
    }
    out + rest
}

/// A name on one line, without control characters and of a bearable length; `None` when nothing is left.
pub fn name(text: &str) -> Option<String> {
    let visible: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = words.chars().take(LONGEST_NAME).collect();
    let name = short.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// The names of the first JSON list of an answer, as far as it goes: texts, or objects with a `name`.
///
/// # Errors
/// What is wrong, when it holds no name.
pub fn names(reply: &str) -> Result<Vec<String>, String> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Entry {
        Name(String),
        Named { name: String },
    }
    let (entries, fault) = entries::<Entry>(reply);
    let plain = |entry: Entry| match entry {
        Entry::Name(text) | Entry::Named { name: text } => name(&text),
    };
    let names: Vec<String> = entries.into_iter().filter_map(plain).collect();
    match fault {
        Some(reason) if names.is_empty() => Err(reason),
        _ => Ok(names),
    }
}

/// What two names have in common that a person would call the same.
pub fn same_name(a: &str, b: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    letters(a) == letters(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn objects_are_found_among_words() {
        let read = |reply: &str| object::<std::collections::BTreeMap<String, u32>>(reply);
        assert_eq!(read("Sure!\n```json\n{\"a\": 1}\n```").unwrap()["a"], 1);
        for (reply, why) in [
            ("", "no JSON object"),
            ("{\"a\": ", "breaks off"),
            ("{a}", "not JSON"),
            ("{\"a\": \"x\"}", "form"),
        ] {
            assert!(read(reply).unwrap_err().contains(why), "{reply}");
        }
        let deep = "{\"a\":".repeat(500);
        assert!(read(&deep).is_err());
    }

    #[test]
    fn names_are_plain_and_short() {
        assert_eq!(name(" Linear\n equations\u{1b}[2J ").as_deref(), Some("Linear equations [2J"));
        assert_eq!(name("\n\t"), None);
        assert_eq!(name(&"x".repeat(500)).unwrap().len(), 80);
        assert!(same_name("Linear_Equations", "linear equations") && !same_name("lines", "line"));
    }

    #[test]
    fn what_models_get_wrong_in_json_is_mended() {
        let read = |reply: &str| {
            object::<std::collections::BTreeMap<String, String>>(reply).map(|fields| fields["a"].clone())
        };
        for (reply, meant) in [
            (r#"{"a": "\(x\) \sqrt{2} \underline{u}",}"#, r"\(x\) \sqrt{2} \underline{u}"),
            ("{\"a\": \"one\ntwo\tthree\"}", "one\ntwo\tthree"),
            (r#"{"a": "é, \u00e9\\ ]"}"#, r"é, é\ ]"),
        ] {
            assert_eq!(read(reply).unwrap(), meant, "{reply}");
        }
        assert_eq!(entries::<u32>("1, 2 [1, 2, ]").0, [1, 2]);
        let latex = r#"{"a": "\frac{1}{2} \times \\theta\n\to \right) \neq, a\nbut \\\\frac"}"#;
        let meant = "\\frac{1}{2} \\times \\theta\n\\to \\right) \\neq, a\nbut \\\\frac";
        assert_eq!(read(&with_latex(latex)).unwrap(), meant);
        assert_eq!(with_latex(r"no \frac\"), r"no \\frac\");
    }

    proptest! {
        #[test]
        fn valid_json_is_left_alone(text in "\\PC{0,40}", numbers in proptest::collection::vec(0_u32..9, 0..4)) {
            let json = serde_json::json!({"a": text, "b": numbers}).to_string();
            prop_assert_eq!(mended(&json), json);
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,200}") {
            let _ = object::<Value>(&text);
            entries::<Value>(&text);
            with_latex(&text);
            name(&text);
        }

        #[test]
        fn a_cut_list_is_never_worse_than_its_whole_entries(count in 0_usize..5, cut in 0_usize..400) {
            let one = r#"{"question": "é?", "reasoning": "", "answer": "4"}"#;
            let text = format!(r#"{{"data": [{}]}}"#, vec![one; count].join(", "));
            let cut: String = text.chars().take(cut).collect();
            let (found, fault) = entries::<Value>(&cut);
            prop_assert_eq!(found.len(), cut.matches(one).count());
            prop_assert_eq!(fault.is_none(), cut.contains(']'));
        }
    }
}
