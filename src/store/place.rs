//! Places: one integer per record that gives its order and tells iteration and round by itself.
//!
//! A place is `newest iteration first | round | ordinal`, 14 + 10 + 23 bits, so that a list is a walk over
//! rising integers, an iteration or a round is a range of them, and a cursor is one number that stays valid
//! while other records come and go. Predictions use the round's bits for their split.

use std::ops::RangeInclusive;

const ROUND_BITS: u32 = 10;
const ORDINAL_BITS: u32 = 23;
const LOW_BITS: u32 = ROUND_BITS + ORDINAL_BITS;
const LAST_ITERATION: u32 = (1 << 14) - 1;
/// Places share a block when they agree in all but these bits.
pub(super) const BLOCK_BITS: u32 = 12;

/// Where a record stands in its list; also a cursor for paging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub(super) i64);

impl Place {
    /// Before every record.
    pub const START: Self = Self(-1);
    /// After every record.
    pub const END: Self = Self(1 << 47);

    /// `None` when a number is too large: 16,384 iterations of 1,024 rounds of 8,388,608 records fit.
    pub(super) fn new(iteration: u32, round: u32, ordinal: usize) -> Option<Self> {
        let newest_first = LAST_ITERATION.checked_sub(iteration)?;
        let fits = round < 1 << ROUND_BITS && ordinal < 1 << ORDINAL_BITS;
        fits.then(|| {
            let (high, middle) = (i64::from(newest_first) << LOW_BITS, i64::from(round) << ORDINAL_BITS);
            Self(high | middle | ordinal as i64)
        })
    }

    /// The iteration it belongs to.
    pub fn iteration(self) -> u32 {
        LAST_ITERATION.saturating_sub((self.0 >> LOW_BITS) as u32)
    }

    /// The round within the iteration.
    pub(super) fn round(self) -> u32 {
        ((self.0 >> ORDINAL_BITS) & ((1 << ROUND_BITS) - 1)) as u32
    }

    /// The same round and ordinal without the iteration: what the predictions of one instance share.
    pub(super) fn low(self) -> i64 {
        self.0 & ((1 << LOW_BITS) - 1)
    }

    /// The place with the same round and ordinal in another iteration.
    pub(super) fn in_iteration(low: i64, iteration: u32) -> Self {
        Self((i64::from(LAST_ITERATION.saturating_sub(iteration)) << LOW_BITS) | low)
    }

    /// The position within iteration and round.
    pub(super) fn ordinal(self) -> usize {
        (self.0 & ((1 << ORDINAL_BITS) - 1)) as usize
    }

    pub(super) fn block(self) -> i64 {
        self.0 >> BLOCK_BITS
    }

    pub(super) fn bit(self) -> u16 {
        (self.0 & ((1 << BLOCK_BITS) - 1)) as u16
    }

    pub(super) fn of_block(block: i64, bit: u16) -> Self {
        Self((block << BLOCK_BITS) | i64::from(bit))
    }
}

/// The blocks of an iteration, of one of its rounds, or of everything. A round without an iteration is no range.
pub(super) fn blocks(iteration: Option<u32>, round: Option<u32>) -> RangeInclusive<i64> {
    let Some(iteration) = iteration else { return 0..=Place::END.block() };
    let first = Place::in_iteration(i64::from(round.unwrap_or(0)) << ORDINAL_BITS, iteration);
    let length = if round.is_some() { 1_i64 << ORDINAL_BITS } else { 1 << LOW_BITS };
    // An iteration beyond the last has no records; its range is that of the last and holds none either,
    // because nothing can be put there.
    first.block()..=Place(first.0 + length - 1).block()
}

/// The part of some blocks that lies in the iterations from the first to the second of a span.
pub(super) fn within(of: RangeInclusive<i64>, span: Option<(u32, u32)>) -> RangeInclusive<i64> {
    let Some((oldest, newest)) = span else { return of };
    let newest = blocks(Some(newest.min(LAST_ITERATION)), None);
    let oldest = blocks(Some(oldest), None);
    // A span without an iteration, or beyond the last one, ends before it begins.
    (*of.start().max(newest.start()))..=(*of.end().min(oldest.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_its_iterations_and_no_other() {
        let of = |iteration| Place::new(iteration, 3, 77).unwrap().block();
        let span = within(blocks(None, None), Some((2, 4)));
        assert!([2, 3, 4].iter().all(|n| span.contains(&of(*n))));
        assert!(!span.contains(&of(1)) && !span.contains(&of(5)));
        assert!(within(blocks(None, None), Some((4, 2))).is_empty());
        assert!(within(blocks(Some(1), None), Some((2, u32::MAX))).is_empty());
        assert_eq!(within(blocks(None, Some(1)), None), blocks(None, None));
    }

    #[test]
    fn newest_first_then_in_order() {
        let of = |i, r, n| Place::new(i, r, n).unwrap();
        assert!(of(2, 0, 0) < of(1, 0, 0) && of(1, 0, 5) < of(1, 1, 0) && of(1, 0, 0) < of(1, 0, 1));
        assert_eq!((of(7, 3, 9).iteration(), of(7, 3, 9).round(), of(7, 3, 9).ordinal()), (7, 3, 9));
        assert_eq!(Place::in_iteration(of(7, 3, 9).low(), 2), of(2, 3, 9));
        assert!(Place::START < of(16_383, 0, 0) && of(0, 1023, 8_388_607) < Place::END);
        assert_eq!(Place::new(16_384, 0, 0), None);
        assert_eq!((Place::new(0, 1024, 0), Place::new(0, 0, 1 << 23)), (None, None));
    }

    #[test]
    fn ranges_hold_their_own_and_nothing_else() {
        let block = |i, r, n| Place::new(i, r, n).unwrap().block();
        let iteration = blocks(Some(3), None);
        assert!(iteration.contains(&block(3, 0, 0)) && iteration.contains(&block(3, 1023, 8_388_607)));
        assert!(!iteration.contains(&block(2, 0, 0)) && !iteration.contains(&block(4, 1023, 8_388_607)));
        let round = blocks(Some(3), Some(1));
        assert!(round.contains(&block(3, 1, 0)) && round.contains(&block(3, 1, 8_388_607)));
        assert!(!round.contains(&block(3, 0, 8_388_607)) && !round.contains(&block(3, 2, 0)));
    }
}
