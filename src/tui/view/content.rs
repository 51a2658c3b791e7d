//! The views of the domains: code with its lines numbered, plans of tool calls, what an instance asks.

use serde_json::Value;

use crate::gym::instance::{Content, ProgramTest, ToolCall};
use crate::tui::canvas::{Line, paragraph};
use crate::tui::text::{cut, pieces, width};
use crate::tui::theme::Scope;

/// A text of any domain: fenced code has its lines numbered, a plan of tool calls is a list, the rest is wrapped.
pub(super) fn text(text: &str, columns: usize) -> Vec<Line> {
    if let Some(calls) = calls(text) {
        return plan(&calls, columns);
    }
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("```") {
        if !before.trim().is_empty() {
            lines.extend(paragraph(Scope::Text, before.trim_end_matches('\n'), columns));
        }
        let (code, beyond) = after.split_once("```").unwrap_or((after, ""));
        // The first line behind a fence names the language.
        let (language, body) = code.split_once('\n').unwrap_or(("", code));
        let named = language.trim().chars().all(|c| c.is_ascii_alphanumeric() || "+-_".contains(c));
        lines.extend(self::code(if named { body } else { code }, columns));
        rest = beyond.strip_prefix('\n').unwrap_or(beyond);
    }
    if !rest.trim().is_empty() || lines.is_empty() {
        lines.extend(paragraph(Scope::Text, rest, columns));
    }
    lines
}

/// Code as it is: lines numbered, long ones broken where the room ends, indentation kept.
pub(super) fn code(text: &str, columns: usize) -> Vec<Line> {
    let text = text.trim_end_matches('\n').replace('\t', "    ");
    let margin = text.lines().count().to_string().len().max(2);
    let room = columns.saturating_sub(margin + 2).max(4);
    let mut lines = Vec::new();
    for (n, line) in text.split('\n').enumerate() {
        let mut number = format!("{:>margin$}  ", n + 1);
        let (mut part, mut used) = (String::new(), 0);
        for piece in pieces(line) {
            let wide = width(piece);
            if used + wide > room {
                lines.push(
                    Line::of(Scope::Muted, std::mem::take(&mut number))
                        .with(Scope::Code, std::mem::take(&mut part)),
                );
                number = " ".repeat(margin + 2);
                used = 0;
            }
            part.push_str(piece);
            used += wide;
        }
        lines.push(Line::of(Scope::Muted, number).with(Scope::Code, part));
    }
    lines
}

/// A plan of tool calls, one step below the other.
pub(super) fn plan(calls: &[ToolCall], columns: usize) -> Vec<Line> {
    if calls.is_empty() {
        return vec![Line::of(Scope::Muted, "no call is right")];
    }
    let mut lines = Vec::new();
    for (n, call) in calls.iter().enumerate() {
        lines.push(Line::of(Scope::Muted, format!("{:>2}  ", n + 1)).with(Scope::Code, call.tool.as_str()));
        for (name, value) in &call.arguments {
            let value = match value {
                Value::String(text) => format!("{text:?}"),
                other => other.to_string(),
            };
            let line = Line::of(Scope::Muted, format!("      {name} = "));
            let room = columns.saturating_sub(line.width());
            lines.push(line.with(Scope::Text, cut(&value, room)));
        }
    }
    lines
}

/// A plan written as JSON: a list of objects with a tool and its arguments.
fn calls(text: &str) -> Option<Vec<ToolCall>> {
    let text = text.trim();
    if !text.starts_with('[') {
        return None;
    }
    let steps: Vec<serde_json::Map<String, Value>> = serde_json::from_str(text).ok()?;
    let call = |step: serde_json::Map<String, Value>| {
        let tool = ["tool", "name", "function"].iter().find_map(|key| step.get(*key)?.as_str())?.to_owned();
        let arguments =
            ["arguments", "args", "parameters"].iter().find_map(|key| step.get(*key)?.as_object());
        Some(ToolCall { tool, arguments: arguments.cloned().unwrap_or_default() })
    };
    steps.into_iter().map(call).collect()
}

/// What an instance asks beside its question: options, code to start from, tests, tools.
pub(super) fn beside(content: &Content, columns: usize) -> Vec<(&'static str, Vec<Line>)> {
    let list = |options: &[String]| options.iter().flat_map(|o| paragraph(Scope::Text, o, columns)).collect();
    match content {
        Content::Mathematics { options, .. } if !options.is_empty() => vec![("options", list(options))],
        Content::VisualQuestionAnswering { choices, .. } if !choices.is_empty() => {
            vec![("choices", list(choices))]
        }
        Content::Mathematics { .. } | Content::VisualQuestionAnswering { .. } => Vec::new(),
        Content::Programming { starter_code, tests, .. } => {
            let mut found = Vec::new();
            if let Some(starter) = starter_code {
                found.push(("code to start from", code(starter, columns)));
            }
            found.push(("tests", tests.iter().flat_map(|test| self::test(test, columns)).collect()));
            found
        }
        Content::ToolUse { tools, .. } => {
            let tool = |tool: &crate::gym::instance::ToolDescription| {
                let line = Line::of(Scope::Code, tool.name.as_str());
                let room = columns.saturating_sub(line.width() + 2);
                line.with(Scope::Muted, format!("  {}", cut(&tool.description, room)))
            };
            vec![("tools on offer", tools.iter().map(tool).collect())]
        }
    }
}

fn test(test: &ProgramTest, columns: usize) -> Vec<Line> {
    let one = |text: &str| cut(text.trim_end_matches('\n'), columns.saturating_sub(10));
    match test {
        ProgramTest::Assertion { code } => vec![Line::of(Scope::Code, cut(code, columns))],
        ProgramTest::StandardInput { input, output } => vec![
            Line::of(Scope::Muted, "input   ").with(Scope::Code, one(input)),
            Line::of(Scope::Muted, "output  ").with(Scope::Code, one(output)),
        ],
    }
}

/// What is right, in the form of its domain; `None` where one line says it.
pub(super) fn truth(content: &Content, columns: usize) -> Option<Vec<Line>> {
    match content {
        Content::Programming { solution, .. } => Some(code(solution.as_deref()?, columns)),
        Content::ToolUse { plan, .. } => Some(self::plan(plan, columns)),
        Content::Mathematics { solution, answer, .. } => {
            let long = answer.contains('\n') || width(answer) + 8 > columns;
            let text = solution.as_ref().or(long.then_some(answer))?;
            Some(paragraph(Scope::Text, text, columns))
        }
        Content::VisualQuestionAnswering { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|l| l.0.iter().map(|piece| piece.text.as_str()).collect()).collect()
    }

    #[test]
    fn code_keeps_its_form_and_its_lines_have_numbers() {
        let text = "Here:\n```python\ndef f(x):\n\treturn x\n```\nDone.";
        assert_eq!(shown(&super::text(text, 40)), ["Here:", " 1  def f(x):", " 2      return x", "Done."]);
        assert_eq!(shown(&code("abcdefgh", 8)), [" 1  abcd", "    efgh"]);
        assert_eq!(shown(&super::text("```x = 1 + 2", 20)), [" 1  x = 1 + 2"]);
        assert_eq!(shown(&super::text("", 20)), [""]);
    }

    #[test]
    fn plans_are_lists_and_other_json_is_text() {
        let text = "[{\"tool\": \"weather\", \"arguments\": {\"city\": \"Bern\", \"days\": 2}}, {\"name\": \"mail\"}]";
        assert_eq!(
            shown(&super::text(text, 40)),
            [" 1  weather", "      city = \"Bern\"", "      days = 2", " 2  mail"]
        );
        assert_eq!(shown(&super::text("[1, 2]", 40)), ["[1, 2]"]);
        assert_eq!(shown(&super::text("[x", 40)), ["[x"]);
    }
}
