//! Numbers in text: finding, tidying, comparing.

/// Every number of a text as written, without thousands separators: `1,234.50` gives `1234.50`.
/// A minus sign belongs to a number when no letter, digit or closing bracket stands before it.
pub fn find(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let digit = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        if !digit(i) {
            i += 1;
            continue;
        }
        let before = |back: usize| i.checked_sub(back).map(|j| chars[j]);
        let negative =
            before(1) == Some('-') && !before(2).is_some_and(|c| c.is_alphanumeric() || c == ')' || c == ']');
        let mut number = String::from(if negative { "-" } else { "" });
        loop {
            if digit(i) {
                number.push(chars[i]);
            } else if chars.get(i) == Some(&'.') && digit(i + 1) && !number.contains('.') {
                number.push('.');
            } else if !thousands(&chars, i) {
                break;
            }
            i += 1;
        }
        found.push(number);
    }
    found
}

/// Whether a comma at `i` groups thousands: exactly three digits follow.
fn thousands(chars: &[char], i: usize) -> bool {
    let digit = |j: usize| chars.get(j).is_some_and(char::is_ascii_digit);
    chars.get(i) == Some(&',') && (1..=3).all(|k| digit(i + k)) && !digit(i + 4)
}

/// A number of digits in its shortest form, however many they are: `17.0` and `017` become `17`. `None` for any other
/// text, `1e3` and `\frac{1}{2}` among them.
pub fn plain(number: &str) -> Option<String> {
    let number = number.trim();
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let sign = &number[..number.len() - unsigned.len()];
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// A number in its shortest form: `17.0` and `017` become `17`, `1e3` becomes `1000`. Texts that are no number stay.
pub fn tidy(number: &str) -> String {
    if let Some(plain) = plain(number) {
        // A double would round the digits behind its sixteenth.
        return plain;
    }
    match number.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => format!("{value}"),
        _ => number.to_owned(),
    }
}

/// A text with every number in it tidied, and spaces around brackets dropped: `( 26.0 - 9.0 )` becomes
/// `(26 - 9)`.
pub fn tidy_all(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, tail) = rest.split_at(start);
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let end = tail.find(|c| !digits(c)).unwrap_or(tail.len());
        let number = tail[..end].trim_end_matches('.');
        out.push_str(before);
        out.push_str(&tidy(number));
        rest = &tail[number.len()..];
    }
    out.push_str(rest);
    out.replace("( ", "(").replace(" )", ")")
}

/// Whether two texts are the same number, up to a relative difference of 1e-9.
pub fn equal(a: &str, b: &str) -> bool {
    let (Ok(a), Ok(b)) = (a.trim().parse::<f64>(), b.trim().parse::<f64>()) else { return false };
    a.is_finite() && b.is_finite() && (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

/// The order-free operand key of a question: its numbers, tidied and sorted. A question without numbers
/// has its words as key, in lower case.
pub fn operand_key(question: &str) -> String {
    let mut numbers: Vec<String> = find(question).iter().map(|n| tidy(n)).collect();
    if numbers.is_empty() {
        return question.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    }
    numbers.sort();
    numbers.join(" ")
}

/// The number that a truth states: itself, or the only one in it, so that `1,000` is 1000 and `$18` is 18 to those
/// who write answers as people do. A text with several numbers states none.
fn stated(truth: &str) -> String {
    if truth.trim().parse::<f64>().is_ok() {
        return truth.to_owned();
    }
    match find(truth).as_slice() {
        [only] => only.clone(),
        _ => truth.to_owned(),
    }
}

/// Judges a response whose answer is a number: the one behind the last answer mark, else the last one.
pub fn score(truth: &str, response: &str) -> (Option<String>, bool) {
    let truth = stated(truth);
    let marked = super::marked_answer(response).and_then(|text| find(text).into_iter().next());
    let answer = marked.or_else(|| find(response).pop());
    let correct = answer.as_ref().is_some_and(|answer| equal(answer, &truth));
    (answer, correct)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_found_as_people_write_them() {
        let cases: [(&str, &[&str]); 6] = [
            ("He paid $1,234.50 for 3.", &["1234.50", "3"]),
            ("5-3=2", &["5", "3", "2"]),
            ("it is -7, or -0.5", &["-7", "-0.5"]),
            ("lists 1,2,3 stay apart", &["1", "2", "3"]),
            ("version 1.2.3", &["1.2", "3"]),
            ("none", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(find(text), expected, "{text}");
        }
    }

    #[test]
    fn tidying_and_comparing() {
        assert_eq!(tidy_all("( 26.0 - 9.50 )=17.0."), "(26 - 9.5)=17.");
        let rows = [
            ("007", "7"),
            ("x", "x"),
            ("-0.50", "-0.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("-0", "-0"),
            ("000.0", "0"),
            ("9007199254740993", "9007199254740993"),
            (".", "."),
            ("-", "-"),
            ("", ""),
        ];
        for (number, expected) in rows {
            assert_eq!(tidy(number), expected, "{number}");
        }
        assert_eq!((plain("1e3"), plain("\\frac12"), plain("inf")), (None, None, None));
        assert!(
            equal("17", " 17.0") && !equal("17", "18") && !equal("17", "seventeen") && !equal("nan", "nan")
        );
    }

    #[test]
    fn a_truth_written_as_people_do_is_its_only_number() {
        for truth in ["1,000", "$1000", "1000 apples", " 1000.0 "] {
            for response in ["so\n#### 1000", "so\n#### 1,000", "#### $1,000.00"] {
                assert!(score(truth, response).1, "{truth}: {response}");
            }
            assert!(!score(truth, "#### 1").1 && !score(truth, "none").1);
        }
        assert!(!score("1/2", "#### 1").1 && !score("1, 2", "#### 1").1 && !score("none", "#### 0").1);
    }

    #[test]
    fn the_key_forgets_order_and_words() {
        assert_eq!(operand_key("Ann has 3 pens and 20 cups"), operand_key("20 plus 3.0?"));
        assert_eq!(operand_key("Which  Colour?"), "which colour?");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,60}") {
            find(&text);
            tidy_all(&text);
            operand_key(&text);
        }

        #[test]
        fn what_a_double_holds_is_tidied_as_it_prints(value in -1e6..1e6_f64, places in 0_usize..6) {
            let written = format!("{value:.places$}");
            prop_assert_eq!(tidy(&written), written.parse::<f64>().unwrap().to_string());
        }
    }
}
