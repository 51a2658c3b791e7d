//! The nearest of a list of words.

/// The candidate with the smallest edit distance, if that is at most half its length and at most 3.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|c| (distance(word, c), c));
    scored.filter(|(d, c)| *d <= (c.chars().count() / 2).clamp(1, 3)).min_by_key(|(d, _)| *d).map(|(_, c)| c)
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let keys = ["iterations", "rounds", "gates"];
        assert_eq!(nearest("itertions", keys), Some("iterations"));
        assert_eq!(nearest("gate", keys), Some("gates"));
        assert_eq!(nearest("modle", ["device", "model"]), Some("model"));
        assert_eq!(nearest("seed", keys), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "ab")), (3, 2));
    }
}
