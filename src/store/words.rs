//! Words of a text, the same for what is stored and for what is searched.
//!
//! Splitting here and not in the database means that any text a person types is a legal query, and that a
//! word of a query is never more than one word of the index.

/// Longer words are cut, in texts and queries alike.
const LONGEST: usize = 64;

/// The distinct words of some texts, lower case, sorted. Marks that lower case adds are no part of a word.
pub(super) fn words<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        let runs = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
        found.extend(runs.map(|run| {
            run.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).take(LONGEST).collect()
        }));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Fewer letters are no beginning that is worth looking for: half of all words would have it.
const SHORTEST: usize = 3;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sought {
    /// Words that must all be there.
    whole: Vec<String>,
    /// The beginning of one more.
    begun: Option<String>,
}

impl Sought {
    /// The words of a text. Any word that begins as the last one does will do: a search finds the same while it is
    /// written and once it is. A space or a sign behind it ends it.
    pub(super) fn of(text: &str) -> Self {
        let last = text.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if last.chars().count() >= SHORTEST {
            let whole = words([&text[..text.len() - last.len()]]);
            return Self { whole, begun: words([last]).pop() };
        }
        Self { whole: words([text]), begun: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.begun.is_none()
    }

    /// Whether some texts together have all of this.
    pub(super) fn found_in(&self, texts: &[&str]) -> bool {
        let there = words(texts.iter().copied());
        let begins = |begun: &String| {
            let from = there.partition_point(|word| word < begun);
            there.get(from).is_some_and(|word| word.starts_with(begun.as_str()))
        };
        self.whole.iter().all(|word| there.binary_search(word).is_ok()) && self.begun.iter().all(begins)
    }

    /// The query that finds texts with all of this.
    pub(super) fn query(&self) -> String {
        // The words hold letters and digits only, so that nothing in them can end the quotation.
        let whole = self.whole.iter().map(|word| format!("\"{word}\""));
        let begun = self.begun.iter().map(|word| format!("\"{word}\"*"));
        whole.chain(begun).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_digits_in_lower_case_once() {
        let found = words(["Ann's 12 apples, 12 pears; Äpfel\u{130}", "x^2 * NEAR(\"a\") OR -b"]);
        let expected = ["12", "2", "a", "ann", "apples", "b", "near", "or", "pears", "s", "x", "äpfeli"];
        assert_eq!(found, expected);
        assert_eq!(Sought::of("two apples, two.").query(), "\"apples\" \"two\"");
        assert_eq!(Sought::of("two App").query(), "\"two\" \"app\"*");
        assert_eq!(Sought::of("two ap").query(), "\"ap\" \"two\"");
        assert_eq!(Sought::of("two ").query(), "\"two\"");
        assert!(Sought::of("+ \"").is_empty());
        let texts = ["Ann has 12 apples.", "12 PEARS"];
        for (text, found) in [
            ("apples pears", true),
            ("PEA", true),
            ("pe", false),
            ("pea ", false),
            ("ann app", true),
            ("app ann", false),
            ("12 12", true),
            ("apples plums", false),
        ] {
            assert_eq!(Sought::of(text).found_in(&texts), found, "{text}");
        }
        assert!(words(["+ - * / \" ' ( ) \u{0}"]).is_empty());
        assert_eq!(words(["a".repeat(100).as_str()]), ["a".repeat(64)]);
    }
}
