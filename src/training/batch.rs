//! Examples to batches: right-padded, or packed into rows of independent segments.

use std::sync::Arc;

/// One tokenised example: `tokens[..prompt]` is given, the rest is learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) tokens: Vec<u32>,
    pub(super) prompt: usize,
}

/// What one optimiser step sees.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// Number of rows B.
    pub(super) rows: usize,
    /// Tokens per row T.
    pub(super) length: usize,
    /// [B, T] token ids, zero where padded.
    pub(super) tokens: Vec<u32>,
    /// [B, T] index in its row where each token's segment starts.
    pub(super) starts: Arc<Vec<u32>>,
    /// Flat indices of the positions that predict a response token.
    pub(super) predicting: Vec<u32>,
    /// The tokens to predict there.
    pub(super) targets: Vec<u32>,
    /// Tokens that are not padding.
    pub(super) real_tokens: usize,
}

impl Batch {
    fn empty(rows: usize, length: usize) -> Self {
        let size = rows * length;
        Self {
            rows,
            length,
            tokens: vec![0; size],
            starts: Arc::new(Vec::with_capacity(size)),
            predicting: Vec::new(),
            targets: Vec::new(),
            real_tokens: 0,
        }
    }

    fn place(&mut self, row: usize, start: usize, example: &Encoded) {
        let at = row * self.length + start;
        for (index, (slot, token)) in self.tokens.iter_mut().skip(at).zip(&example.tokens).enumerate() {
            *slot = *token;
            if index >= example.prompt.max(1) {
                self.predicting.push((at + index - 1) as u32);
                self.targets.push(*token);
            }
        }
        self.real_tokens += example.tokens.len();
    }

    /// Packed batches of at most `most` tokens with their padding, or one example, in the order given.
    pub(super) fn micro(examples: &[&Encoded], capacity: usize, most: usize) -> Vec<Self> {
        let (mut out, mut rest) = (Vec::new(), examples);
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = |example: &&&Encoded| {
                tokens += example.tokens.len();
                tokens <= most
            };
            let fitting = rest.iter().take_while(fits).count().max(1);
            // Padding makes a batch larger than its examples: fewer of them, until it fits.
            let packed = (1..=fitting).rev().map(|count| (count, Self::packed(&rest[..count], capacity)));
            let small = |(count, batch): &(usize, Self)| *count == 1 || batch.tokens.len() <= most;
            let Some((count, batch)) = { packed }.find(small) else { break };
            out.push(batch);
            rest = &rest[count..];
        }
        out
    }

    /// One example per row, padded on the right to the longest.
    #[cfg_attr(not(test), allow(dead_code))] // the oracle that packing is tested against
    pub(super) fn padded(examples: &[&Encoded]) -> Self {
        let length = examples.iter().map(|example| example.tokens.len()).max().unwrap_or(0);
        let mut batch = Self::empty(examples.len(), length);
        for (row, example) in examples.iter().enumerate() {
            batch.place(row, 0, example);
        }
        batch.starts = Arc::new(vec![0; batch.tokens.len()]);
        batch
    }

    /// First-fit decreasing into rows of at most `capacity` tokens (or the longest example), shrunk to the
    /// fullest row. Padding at a row's end is a segment of its own.
    pub(super) fn packed(examples: &[&Encoded], capacity: usize) -> Self {
        let mut order: Vec<usize> = (0..examples.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(examples[index].tokens.len()));
        let longest = order.first().map_or(0, |&index| examples[index].tokens.len());
        let capacity = capacity.max(longest);
        let mut rows: Vec<(usize, Vec<usize>)> = Vec::new();
        for index in order {
            let size = examples[index].tokens.len();
            match rows.iter_mut().find(|(used, _)| used + size <= capacity) {
                Some((used, members)) => {
                    *used += size;
                    members.push(index);
                }
                None => rows.push((size, vec![index])),
            }
        }
        let length = rows.iter().map(|(used, _)| *used).max().unwrap_or(0);
        let mut batch = Self::empty(rows.len(), length);
        let mut starts = Vec::with_capacity(rows.len() * length);
        for (row, (used, members)) in rows.iter().enumerate() {
            let mut start = 0;
            for &index in members {
                let example = examples[index];
                batch.place(row, start, example);
                starts.extend(std::iter::repeat_n(start as u32, example.tokens.len()));
                start += example.tokens.len();
            }
            starts.extend(std::iter::repeat_n(*used as u32, length - used));
        }
        batch.starts = Arc::new(starts);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(first: u32, length: u32, prompt: usize) -> Encoded {
        Encoded { tokens: (first..first + length).collect(), prompt }
    }

    #[test]
    fn the_loss_covers_the_response_and_nothing_else() {
        let one = example(10, 5, 3);
        let batch = Batch::padded(&[&one, &example(20, 3, 1)]);
        assert_eq!((batch.rows, batch.length, batch.real_tokens), (2, 5, 8));
        assert_eq!(batch.tokens, [10, 11, 12, 13, 14, 20, 21, 22, 0, 0]);
        assert_eq!(batch.predicting, [2, 3, 5, 6]);
        assert_eq!(batch.targets, [13, 14, 21, 22]);
    }

    #[test]
    fn a_batch_with_too_many_tokens_is_split_in_order() {
        let examples: Vec<Encoded> = (0..9).map(|n| example(n * 10, 4 + n % 3, 2)).collect();
        let members: Vec<_> = examples.iter().collect();
        assert_eq!(Batch::micro(&members, 10, 1000).len(), 1);
        let parts = Batch::micro(&members, 10, 20);
        assert!(parts.len() > 2 && parts.iter().all(|part| part.tokens.len() <= 20));
        let targets: usize = parts.iter().map(|part| part.targets.len()).sum();
        assert_eq!(targets, Batch::packed(&members, 10).targets.len());
        assert_eq!(Batch::micro(&members, 10, 1).len(), 9, "one example is the least");
        assert!(Batch::micro(&[], 10, 20).is_empty());
    }

    #[test]
    fn packing_keeps_every_token_and_shrinks_rows() {
        let examples = [example(1, 4, 2), example(5, 6, 2), example(11, 3, 1), example(14, 5, 4)];
        let batch = Batch::packed(&examples.iter().collect::<Vec<_>>(), 10);
        assert_eq!((batch.rows, batch.length), (2, 10));
        assert_eq!(batch.starts[..10], [0, 0, 0, 0, 0, 0, 6, 6, 6, 6]);
        assert_eq!(batch.starts[10..], [0, 0, 0, 0, 0, 5, 5, 5, 8, 8]);
        let mut targets = batch.targets.clone();
        targets.sort_unstable();
        assert_eq!(targets, [3, 4, 7, 8, 9, 10, 12, 13, 18]);
        for (at, target) in batch.predicting.iter().zip(&batch.targets) {
            assert_eq!(batch.tokens[*at as usize + 1], *target);
        }
    }
}
