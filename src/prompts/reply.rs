//! Reading what a model answered: whole, or as far as it goes. Any text is read without a panic.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest name that is taken from an answer, in characters.
const LONGEST_NAME: usize = 80;

/// Most brackets of an answer that are tried: each try reads what follows, and an answer may be brackets all over.
const MOST_TRIES: usize = 64;

/// What is said to be the answer: behind the end of a model's thoughts, where it wrote some down. An answer that begins
/// with JSON has none, whatever stands in its texts.
pub fn said(reply: &str) -> &str {
    let start = reply.trim_start();
    if start.starts_with(['{', '[', '`']) {
        return reply;
    }
    match reply.rsplit_once("</think>") {
        Some((_, rest)) => rest,
        // It never came to an answer.
        None if start.starts_with("<think>") => "",
        None => reply,
    }
}

/// What the reading of a bracket came to.
enum Read<T> {
    /// This is meant.
    Meant(T),
    /// It is nothing, for this reason; what follows it may be something.
    Nothing(T, String, Next),
}

/// Where the next bracket is looked for.
enum Next {
    /// Behind the one that was tried: it began no JSON.
    Inside,
    /// Behind the whole value, which is JSON of another form. Counted in the mended text.
    Behind(usize),
    /// Nowhere: the value goes to the end of the answer.
    Nowhere,
}

/// Tries the brackets of an answer until one is what is meant. What prose and formulas have in brackets begins with
/// `begins` seldom, and else is no JSON of the form that is asked for. Without a plausible one the first is tried.
fn tried<T>(
    reply: &str,
    (open, begins): (char, fn(char) -> bool),
    read: impl Fn(&str) -> Read<T>,
) -> Option<Result<T, (T, String)>> {
    let plausible = |rest: &str| rest.trim_start().chars().next().is_none_or(begins);
    let mut rest = said(reply).to_owned();
    let mut first: Option<(T, String)> = None;
    let any = rest.match_indices(open).any(|(at, _)| plausible(&rest[at + 1..]));
    for _ in 0..MOST_TRIES {
        let found = rest.match_indices(open).find(|(at, _)| !any || plausible(&rest[at + 1..]));
        let Some((at, _)) = found else { break };
        let text = mended(&rest[at..]);
        match read(&text) {
            Read::Meant(value) => return Some(Ok(value)),
            Read::Nothing(value, reason, next) => {
                first.get_or_insert((value, reason));
                rest = match next {
                    Next::Inside if any => rest[at + 1..].to_owned(),
                    Next::Behind(end) => text[end..].to_owned(),
                    Next::Inside | Next::Nowhere => break,
                };
            }
        }
    }
    first.map(Err)
}

/// The first JSON object of an answer that has the form; a fence, words and formulas around it are no fault.
///
/// # Errors
/// What is wrong with the first one, for a person.
pub fn object<T: DeserializeOwned>(reply: &str) -> Result<T, String> {
    let read = |text: &str| {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let nothing = |reason: String, next| Read::Nothing(None, reason, next);
        match values.next() {
            Some(Ok(value)) => match serde_json::from_value(value) {
                Ok(value) => Read::Meant(Some(value)),
                Err(error) => {
                    nothing(format!("it has another form: {error}"), Next::Behind(values.byte_offset()))
                }
            },
            Some(Err(error)) if !error.is_eof() => nothing(format!("it is not JSON: {error}"), Next::Inside),
            Some(Err(_)) | None => nothing("it breaks off".to_owned(), Next::Nowhere),
        }
    };
    match tried(reply, ('{', |c| matches!(c, '"' | '}')), read) {
        Some(Ok(Some(value))) => Ok(value),
        Some(Err((_, reason))) => Err(reason),
        Some(Ok(None)) | None => Err("there is no JSON object in it".to_owned()),
    }
}

/// The entries of the first JSON list of an answer with one of the form, and what is wrong with it where something
/// is. A list that breaks off keeps its whole entries.
pub fn entries<T: DeserializeOwned>(reply: &str) -> (Vec<T>, Option<String>) {
    let read = |text: &str| {
        let (found, fault) = listed::<T>(&text[1..]);
        if !found.is_empty() {
            return Read::Meant((found, fault));
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let next = match values.next() {
            Some(Ok(_)) => Next::Behind(values.byte_offset()),
            Some(Err(error)) if !error.is_eof() => Next::Inside,
            Some(Err(_)) | None => Next::Nowhere,
        };
        // An empty list may be meant, if no other is.
        Read::Nothing((found, fault), String::new(), next)
    };
    let begins = |c: char| matches!(c, '{' | '[' | ']' | '"' | '-' | 't' | 'f' | 'n') || c.is_ascii_digit();
    match tried(reply, ('[', begins), read) {
        Some(Ok(read) | Err((read, _))) => read,
        None => (Vec::new(), Some("there is no list in it".to_owned())),
    }
}

/// The entries behind the opening bracket of a list.
fn listed<T: DeserializeOwned>(text: &str) -> (Vec<T>, Option<String>) {
    let mut rest = text;
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

/// JSON whose numbers behind `key` are texts: a number of any length keeps its digits as they were written.
pub fn with_texts(reply: &str, key: &str) -> String {
    let key = format!("\"{key}\"");
    let mut out = String::with_capacity(reply.len());
    let mut rest = reply;
    while let Some((before, after)) = rest.split_once(&key) {
        out.push_str(before);
        out.push_str(&key);
        rest = after;
        let Some(value) = after.trim_start().strip_prefix(':').map(str::trim_start) else { continue };
        let sign = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let end = value.find(|c| !sign(c)).unwrap_or(value.len());
        let whole = value[end..].trim_start().starts_with([',', '}']);
        if whole && serde_json::from_str::<serde_json::Number>(&value[..end]).is_ok() {
            out.extend([": \"", &value[..end], "\""]);
            rest = &value[end..];
        }
    }
    out + rest
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
        // As many brackets as an answer can hold must not take as many readings of the whole.
        assert!(read(&"{\"a\"".repeat(20_000)).is_err());
        assert!(entries::<u32>(&"[\"".repeat(20_000)).0.is_empty());
    }

    #[test]
    fn formulas_and_thoughts_before_the_json_are_no_fault() {
        let read = |reply: &str| object::<std::collections::BTreeMap<String, u32>>(reply);
        let list = |reply: &str| entries::<u32>(reply);
        for prose in [
            r"The half is \frac{1}{2}, in [a,b) or {x | x > 0}, see [the note]: ",
            "As a set {} of lists: ",
            "<think>Maybe {\"a\": 9} or [9]? No.</think>\n",
            "Maybe {\"a\": 9} or [9]? No.\n</think>\n```json\n",
            "It is {\"b\": \"x\"}, and {\"c\": {\"a\": 9}}. [[9], [8]] So: ",
        ] {
            if !prose.contains("{}") {
                assert_eq!(read(&format!("{prose}{{\"a\": 1}}")).unwrap()["a"], 1, "{prose}");
            }
            assert_eq!(list(&format!("{prose}{{\"a\": [1, 2]}}")), (vec![1, 2], None), "{prose}");
        }
        assert_eq!(list("the interval [\"a\", 5) and [3, 4]"), (vec![3, 4], None));
        assert_eq!(list("{\"a\": []}"), (Vec::new(), None));
        // Thoughts that never end hold no answer, and an answer about thoughts is one.
        assert!(read("<think>Maybe {\"a\": 9}").unwrap_err().contains("no JSON object"));
        let about = object::<std::collections::BTreeMap<String, String>>(r#"{"a": "</think>"}"#);
        assert_eq!(about.unwrap()["a"], "</think>");
        // What is inside a list or object that breaks off is not the answer.
        assert!(read("{\"a\": {\"a\": 1}, \"b").unwrap_err().contains("breaks off"));
        assert!(list("[{\"a\": [1, 2]}, {").0.is_empty());
    }

    #[test]
    fn numbers_behind_a_key_keep_their_digits() {
        let long = "123456789012345678901234567890";
        let mended =
            with_texts(&format!(r#"[{{"answer" :{long}, "n": 1}}, {{"answer": -0.10 }}]"#), "answer");
        assert_eq!(mended, format!(r#"[{{"answer": "{long}", "n": 1}}, {{"answer": "-0.10" }}]"#));
        for left in
            [r#"{"answer": "7"}"#, r#"{"q": "\"answer\": 7,"}"#, r#"{"answer": 1-1}"#, r#"{"answer": 1"#]
        {
            assert_eq!(with_texts(left, "answer"), left);
        }
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
