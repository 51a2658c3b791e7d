//! The tokens of one answer while it is written: chosen on the engine's thread, read on the one that streams.
//!
//! Under a grammar the engine may ask twice for one position: first freely and then, when the grammar refuses the token,
//! on the masked row. Whoever reads in between must not take the refused token for a part of the answer, and where the
//! answer ends must not depend on when somebody looks.

use super::sampler;

/// What was chosen so far.
#[derive(Debug, Clone)]
pub struct Chosen {
    tokens: Vec<u32>,
    /// Nothing where nobody asks for them: each costs a pass over the whole vocabulary.
    log_probabilities: Option<Vec<f32>>,
    /// Position that was asked for last, with [`sampler::log_sum`] of the model's own row for it: a second row
    /// for the same position is that row behind a grammar's mask.
    row: Option<(usize, f64)>,
}

impl Chosen {
    /// Nothing yet; `weighed` says whether the probabilities of the tokens are wanted.
    pub fn new(weighed: bool) -> Self {
        Self { tokens: Vec::new(), log_probabilities: weighed.then(Vec::new), row: None }
    }

    /// Takes the token chosen at a position from a row of logits; a second one for a position replaces the first, and
    /// what followed it. `false` when a token before it was chosen by somebody else.
    #[must_use]
    pub fn put(&mut self, position: usize, token: u32, row: &[f32]) -> bool {
        if self.tokens.len() < position {
            return false;
        }
        self.tokens.truncate(position);
        self.tokens.push(token);
        if let Some(log_probabilities) = &mut self.log_probabilities {
            let whole = match self.row {
                Some((of, whole)) if of == position => whole,
                _ => sampler::log_sum(row),
            };
            self.row = Some((position, whole));
            log_probabilities.truncate(position);
            log_probabilities.push((f64::from(row[token as usize]) - whole) as f32);
        }
        true
    }

    /// The tokens that stand: all but the last, which a grammar may still refuse, to be drawn once more.
    pub fn standing(&self) -> &[u32] {
        &self.tokens[..self.tokens.len().saturating_sub(1)]
    }

    /// All tokens, the end token included, with the natural logarithm of the probability that the model gave each, where
    /// these are wanted.
    pub fn into_parts(self) -> (Vec<u32>, Vec<f32>) {
        (self.tokens, self.log_probabilities.unwrap_or_default())
    }
}

/// How many of these tokens are the answer, where something in them ends it. Under a grammar that is the first
/// special token: a finished grammar forces an end token of its own choice, which the model may not know as one,
/// and would force it again up to the limit. Otherwise it is the token that completes a stop text; `stopped` says
/// whether a beginning of the answer holds one.
///
/// # Errors
/// What `stopped` fails with.
pub fn end<E>(
    tokens: &[u32],
    special: Option<&dyn Fn(u32) -> bool>,
    stopped: &dyn Fn(&[u32]) -> Result<bool, E>,
) -> Result<Option<usize>, E> {
    let place = special.and_then(|special| tokens.iter().position(|token| special(*token)));
    if let Some(place) = place {
        return Ok(Some(place + 1));
    }
    if !stopped(tokens)? {
        return Ok(None);
    }
    // A beginning of so many tokens does not hold a stop text, one of so many does.
    let (mut without, mut with) = (0, tokens.len());
    while with - without > 1 {
        let middle = usize::midpoint(without, with);
        if stopped(&tokens[..middle])? {
            with = middle;
        } else {
            without = middle;
        }
    }
    Ok(Some(with))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The token that ends an answer.
    const END: u32 = 9;
    const ROW: [f32; 10] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];

    /// Where an answer ends: under a grammar at `END`, otherwise with the tokens 7, 8.
    fn ends(tokens: &[u32], grammar: bool) -> Option<usize> {
        let special = |token| token == END;
        let stopped = |tokens: &[u32]| Ok::<_, Infallible>(tokens.windows(2).any(|pair| pair == [7, 8]));
        let found = if grammar {
            end(tokens, Some(&special), &|_| Ok::<_, Infallible>(false))
        } else {
            end(tokens, None, &stopped)
        };
        found.unwrap()
    }

    /// Whenever a reader looks, and however far the engine goes before it hears of the end, the answer is the same.
    fn same_whenever_read(draws: &[(usize, u32)], grammar: bool, expected: &[u32]) {
        let after = |count: usize| {
            let mut chosen = Chosen::new(true);
            for (position, token) in &draws[..count] {
                assert!(chosen.put(*position, *token, &ROW));
            }
            chosen
        };
        let mut ended = 0;
        for looked in 0..=draws.len() {
            if ends(after(looked).standing(), grammar).is_none() {
                continue;
            }
            for heard in looked..=draws.len() {
                let (tokens, log_probabilities) = after(heard).into_parts();
                let end = ends(&tokens, grammar).unwrap();
                assert_eq!(&tokens[..end], expected, "looked after {looked}, heard after {heard}");
                assert_eq!(tokens.len(), log_probabilities.len());
                ended += 1;
            }
        }
        assert!(ended > 0, "no reader ever found the end");
    }

    #[test]
    fn a_token_that_a_grammar_refuses_ends_nothing_whenever_it_is_read() {
        // The end is drawn at once and refused, twice; a token is forced after the end until the engine hears of it.
        let draws = [(0, END), (0, 4), (1, 5), (2, END), (2, 6), (3, END), (4, END), (5, 2), (5, END)];
        same_whenever_read(&draws, true, &[4, 5, 6, END]);
        // With the last token taken for standing, a reader after the first draw would have ended it there.
        let mut early = Chosen::new(true);
        assert!(early.put(0, END, &ROW));
        assert_eq!((ends(early.standing(), true), ends(&early.into_parts().0, true)), (None, Some(1)));
    }

    #[test]
    fn a_stop_text_ends_an_answer_at_the_same_token_however_far_the_engine_went() {
        let draws = [(0, 1), (1, 7), (2, 7), (3, 8), (4, 3), (5, 7), (6, 8), (7, 1)];
        same_whenever_read(&draws, false, &[1, 7, 7, 8]);
    }

    #[test]
    fn without_a_wish_for_probabilities_no_row_is_looked_at() {
        let mut chosen = Chosen::new(false);
        // A row without numbers: whoever reads it fails.
        assert!(chosen.put(0, 3, &[]) && chosen.put(0, 4, &[]) && chosen.put(1, 5, &[]));
        assert_eq!((chosen.standing(), chosen.clone().into_parts()), (&[4][..], (vec![4, 5], Vec::new())));
    }

    #[test]
    fn the_probability_of_a_second_draw_is_of_the_models_own_row() {
        let mut masked = ROW;
        masked[9] = f32::NEG_INFINITY;
        let mut chosen = Chosen::new(true);
        assert!(chosen.put(0, END, &ROW) && chosen.put(0, 8, &masked) && chosen.put(1, 8, &masked));
        let (tokens, log_probabilities) = chosen.clone().into_parts();
        assert_eq!(tokens, [8, 8]);
        let of = |row: &[f32]| (8.0 - sampler::log_sum(row)) as f32;
        assert_eq!(log_probabilities, [of(&ROW), of(&masked)]);
        assert!(!chosen.put(3, 1, &ROW), "a token is missing");
        // An earlier position again: what followed goes.
        assert!(chosen.put(0, 1, &ROW));
        assert_eq!(chosen.into_parts().0, [1]);
    }
}
