//! Sets of places within one block: the unit of the store's index.

use super::place::BLOCK_BITS;
use crate::gym::rng::mix;

const PLACES: usize = 1 << BLOCK_BITS;
const WORDS: usize = PLACES / 64;
/// From this many members on the bitmap is the smaller form.
const DENSE: usize = PLACES / 16;

/// Which of the 4,096 places of a block belong to a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Members([u64; WORDS]);

impl Members {
    pub(super) fn new() -> Self {
        Self([0; WORDS])
    }

    pub(super) fn set(&mut self, bit: u16, present: bool) {
        let (word, mask) = (usize::from(bit) / 64, 1_u64 << (bit % 64));
        if present {
            self.0[word] |= mask;
        } else {
            self.0[word] &= !mask;
        }
    }

    pub(super) fn contains(&self, bit: u16) -> bool {
        self.0[usize::from(bit) / 64] & (1 << (bit % 64)) != 0
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Keeps what is also in `other`.
    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, other)| *mine &= other);
    }

    /// Keeps what is in exactly one of both.
    pub(super) fn differ(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, other)| *mine ^= other);
    }

    /// The members in rising order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = u16> {
        (0..PLACES as u16).filter(|bit| self.contains(*bit))
    }

    /// The stored form: two bytes per member, or the bitmap where that is no longer.
    pub(super) fn encode(&self) -> Vec<u8> {
        if self.len() < DENSE {
            self.iter().flat_map(u16::to_le_bytes).collect()
        } else {
            self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
        }
    }

    /// Reads the stored form; `None` when it is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut members = Self::new();
        if bytes.len() == WORDS * 8 {
            for (word, bytes) in members.0.iter_mut().zip(bytes.chunks_exact(8)) {
                *word = u64::from_le_bytes(bytes.try_into().ok()?);
            }
            return Some(members);
        }
        if bytes.len() >= DENSE * 2 || !bytes.len().is_multiple_of(2) {
            return None;
        }
        for bytes in bytes.chunks_exact(2) {
            let bit = u16::from_le_bytes(bytes.try_into().ok()?);
            if usize::from(bit) >= PLACES {
                return None;
            }
            members.set(bit, true);
        }
        Some(members)
    }
}

/// A checksum over a stored set and where it belongs: damage is found, intent is not.
pub(super) fn checksum(term: i64, block: i64, bytes: &[u8]) -> i64 {
    let start = mix(mix(term as u64) ^ block as u64 ^ (bytes.len() as u64).rotate_left(32));
    let fold = |hash: u64, chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(hash.rotate_left(5) ^ u64::from_le_bytes(word))
    };
    bytes.chunks(8).fold(start, fold) as i64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_what_was_put_into_it(bits in proptest::collection::btree_set(0_u16..4096, 0..600)) {
            let mut members = Members::new();
            for bit in &bits {
                members.set(*bit, true);
            }
            prop_assert_eq!(members.len(), bits.len());
            prop_assert_eq!(members.iter().collect::<BTreeSet<_>>(), bits.clone());
            let bytes = members.encode();
            prop_assert!(bytes.len() <= 512);
            prop_assert_eq!(Members::decode(&bytes), Some(members.clone()));
            for bit in &bits {
                members.set(*bit, false);
            }
            prop_assert_eq!(members, Members::new());
        }

        #[test]
        fn any_bytes_are_a_set_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..520)) {
            let _ = Members::decode(&bytes);
        }

        #[test]
        fn one_changed_byte_changes_the_checksum(
            bytes in proptest::collection::vec(any::<u8>(), 1..520), at in any::<usize>(), flip in 1_u8..,
        ) {
            let mut other = bytes.clone();
            let at = at % other.len();
            other[at] ^= flip;
            prop_assert_ne!(checksum(3, 9, &bytes), checksum(3, 9, &other));
            prop_assert_ne!(checksum(3, 9, &bytes), checksum(4, 9, &bytes));
        }
    }

    #[test]
    fn sets_meet_and_differ() {
        let of = |bits: &[u16]| {
            let mut members = Members::new();
            for bit in bits {
                members.set(*bit, true);
            }
            members
        };
        let (mut both, mut one) = (of(&[1, 70, 4095]), of(&[1, 70, 4095]));
        both.keep(&of(&[70, 71, 4095]));
        one.differ(&of(&[70, 71, 4095]));
        assert_eq!((both, one), (of(&[70, 4095]), of(&[1, 71])));
    }
}
