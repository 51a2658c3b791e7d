//! The words of a datum in a person's hands: on the screen, and as a text file for another editor.

use super::text_box::TextBox;
use crate::gym::datum::{TrainingDatum, Wording};

/// Names of the parts, in order.
pub(crate) const PARTS: [&str; 3] = ["question", "response", "answer"];

/// Begins the line above a part in the text file. A line of the text itself that begins so gets one more.
const MARK: char = '%';

/// A datum being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) parts: [TextBox; 3],
    pub(crate) part: usize,
    before: Wording,
}

/// The present words of a datum.
pub(crate) fn wording(datum: &TrainingDatum) -> Wording {
    Wording {
        instruction: datum.instruction.clone(),
        response: datum.response.clone(),
        answer: datum.answer.clone(),
    }
}

impl Draft {
    pub(crate) fn new(datum: &TrainingDatum) -> Self {
        let before = wording(datum);
        let parts = parts(&before).map(|text| TextBox::of(text).at_start());
        Self { id: datum.id.clone(), parts, part: 0, before }
    }

    /// The same draft with other words.
    pub(crate) fn rewritten(self, words: &Wording) -> Self {
        Self { parts: parts(words).map(|text| TextBox::of(text).at_start()), ..self }
    }

    /// The words as they stand.
    pub(crate) fn wording(&self) -> Wording {
        let [instruction, response, answer] = self.parts.each_ref().map(|part| part.text().to_owned());
        Wording { instruction, response, answer: (!answer.trim().is_empty()).then_some(answer) }
    }

    /// The new words.
    ///
    /// # Errors
    /// Why they cannot be taken.
    pub(crate) fn finished(&self) -> Result<Wording, String> {
        sound(self.wording(), &self.before)
    }
}

fn sound(new: Wording, before: &Wording) -> Result<Wording, String> {
    if new == *before {
        return Err("no word was changed".into());
    }
    for (name, text) in [("question", &new.instruction), ("response", &new.response)] {
        if text.trim().is_empty() {
            return Err(format!("the {name} is empty; write one, or cancel"));
        }
    }
    Ok(new)
}

fn parts(wording: &Wording) -> [String; 3] {
    [wording.instruction.clone(), wording.response.clone(), wording.answer.clone().unwrap_or_default()]
}

/// The words as a text file.
pub(crate) fn written(id: &str, wording: &Wording) -> String {
    let mut out = format!(
        "{MARK}# The words of training datum {id}. Change what stands below the three headings, save and leave.\n\
         {MARK}# Leave the file as it is, or empty it, to change nothing. Lines that begin with {MARK}# do not count.\n"
    );
    for (name, text) in PARTS.iter().zip(parts(wording)) {
        out.push(MARK);
        out.push(' ');
        out.push_str(name);
        out.push('\n');
        for line in text.split('\n') {
            if line.starts_with(MARK) {
                out.push(MARK);
            }
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Reads the text file back; `None` when nothing was changed.
///
/// # Errors
/// What is wrong, and in which line.
pub(crate) fn read_back(text: &str, before: &Wording) -> Result<Option<Wording>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut found: [Option<Vec<&str>>; 3] = [None, None, None];
    let mut part: Option<usize> = None;
    for (n, line) in text.strip_suffix('\n').unwrap_or(text).split('\n').enumerate() {
        let at = n + 1;
        let doubled = line.strip_prefix(MARK).filter(|rest| rest.starts_with(MARK));
        match (line.strip_prefix(MARK), doubled) {
            (Some(rest), None) if rest.starts_with('#') => {}
            (Some(rest), None) => {
                let name = rest.trim();
                let known = PARTS.iter().position(|known| *known == name);
                let named = known
                    .ok_or_else(|| format!("line {at}: no part `{name}`; there are {}", PARTS.join(", ")))?;
                if found[named].replace(Vec::new()).is_some() {
                    return Err(format!("line {at}: the part `{name}` comes twice"));
                }
                part = Some(named);
            }
            (_, doubled) => {
                let words = doubled.unwrap_or(line);
                match part.and_then(|part| found[part].as_mut()) {
                    Some(lines) => lines.push(words),
                    None if words.trim().is_empty() => {}
                    None => {
                        return Err(format!(
                            "line {at}: text above the first heading, `{MARK} {}`",
                            PARTS[0]
                        ));
                    }
                }
            }
        }
    }
    let [question, response, answer] = found;
    let whole = |lines: Option<Vec<&str>>, name: &str| {
        lines.map(|lines| lines.join("\n")).ok_or_else(|| format!("the heading `{MARK} {name}` is missing"))
    };
    let (instruction, response) = (whole(question, PARTS[0])?, whole(response, PARTS[1])?);
    let answer = answer.map(|lines| lines.join("\n")).filter(|answer| !answer.trim().is_empty());
    let new = Wording { instruction, response, answer };
    if new == *before { Ok(None) } else { sound(new, before).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(instruction: &str, response: &str, answer: Option<&str>) -> Wording {
        Wording { instruction: instruction.into(), response: response.into(), answer: answer.map(Into::into) }
    }

    #[test]
    fn a_file_that_was_left_alone_changes_nothing() {
        let before = words("2+2?\n% question", "#### 4\n", Some("4"));
        assert_eq!(read_back(&written("i001", &before), &before), Ok(None));
        assert_eq!(read_back(" \n", &before), Ok(None));
    }

    #[test]
    fn changes_come_back_and_mistakes_have_a_line() {
        let before = words("2+2?", "#### 4", Some("4"));
        let text = written("i001", &before);
        let new =
            read_back(&text.replace("2+2?", "3+3?").replace("#### 4", "#### 6"), &before).unwrap().unwrap();
        assert_eq!((new.instruction.as_str(), new.response.as_str()), ("3+3?", "#### 6"));
        let said = |text: String| read_back(&text, &before).unwrap_err();
        assert!(said(text.replace("% response", "% reply")).contains("line 5: no part `reply`"));
        assert!(said(text.replace("% response", "% question")).contains("twice"));
        assert!(said(text.replace("% response\n", "")).contains("`% response` is missing"));
        assert!(said(format!("hm\n{text}")).contains("line 1: text above"));
        assert!(said(text.replace("2+2?", "  ")).contains("the question is empty"));
    }

    proptest! {
        #[test]
        fn any_words_survive(instruction in "[a%# \n日]{0,30}", response in "[a%# \n]{0,30}", answer in proptest::option::of("[1%][a%\n]{0,5}")) {
            let before = words(&instruction, &response, answer.as_deref());
            prop_assert_eq!(read_back(&written("i", &before), &before), Ok(None));
        }
    }
}
