//! ULIDs: the 26-character identifiers of the field's record files.
//!
//! Ours are derived, not drawn: the first 48 bits order the records of a run, the other 80 come from the
//! run's seed and the record's key, so that two runs of one seed write the same files byte for byte.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::rng::CounterRng;

/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a written ULID.
const LENGTH: usize = 26;

/// 128 bits: 48 of order (a time in milliseconds where the record has one), 80 of randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ulid(u128);

/// Why a text is no ULID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no ULID: 26 characters of 0-9 and A-Z without I, L, O, U, the first at most 7")]
pub struct NoUlid(String);

impl Ulid {
    /// The ULID of the record `key` in a run of `seed`. `order` (48 bits are used) sorts it among the
    /// records of the run.
    pub fn derived(seed: u64, order: u64, key: &str) -> Self {
        let mut rng = CounterRng::keyed(seed, key);
        let random = (u128::from(rng.bits()) << 64 | u128::from(rng.bits())) >> 48;
        Self(u128::from(order & 0xFFFF_FFFF_FFFF) << 80 | random)
    }

    /// The ordering part, 48 bits.
    pub fn order(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |place: usize| char::from(ALPHABET[(self.0 >> (5 * place) & 31) as usize]);
        f.write_str(&(0..LENGTH).rev().map(digit).collect::<String>())
    }
}

impl FromStr for Ulid {
    type Err = NoUlid;

    fn from_str(text: &str) -> Result<Self, NoUlid> {
        let refused = || NoUlid(text.chars().take(40).collect());
        let bytes = text.as_bytes();
        // 26 digits hold 130 bits; the two that do not fit must be zero.
        if bytes.len() != LENGTH || !(b'0'..=b'7').contains(&bytes[0]) {
            return Err(refused());
        }
        let digit = |byte: &u8| ALPHABET.iter().position(|a| *a == byte.to_ascii_uppercase());
        let bits = |sum: u128, byte: &u8| Some(sum << 5 | digit(byte)? as u128);
        bytes.iter().try_fold(0, bits).map(Self).ok_or_else(refused)
    }
}

impl TryFrom<String> for Ulid {
    type Error = NoUlid;

    fn try_from(text: String) -> Result<Self, NoUlid> {
        text.parse()
    }
}

impl From<Ulid> for String {
    fn from(ulid: Ulid) -> Self {
        ulid.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_specification() {
        let ulid: Ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        assert_eq!(ulid.order(), 1_469_922_850_259, "milliseconds of 30 July 2016");
        assert_eq!(ulid.to_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!("01arz3ndektsv4rrffq69g5fav".parse(), Ok(ulid));
    }

    #[test]
    fn what_is_no_ulid() {
        for text in
            ["", "01ARZ3NDEKTSV4RRFFQ69G5FA", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU"]
        {
            assert!(text.parse::<Ulid>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_and_read(seed: u64, order in 0_u64..1 << 48, key in ".{0,20}") {
            let ulid = Ulid::derived(seed, order, &key);
            prop_assert_eq!(ulid.order(), order);
            prop_assert_eq!(ulid.to_string().parse::<Ulid>(), Ok(ulid));
        }

        #[test]
        fn they_sort_by_order(a in 0_u64..1 << 40, b in 0_u64..1 << 40) {
            let (x, y) = (Ulid::derived(1, a, "x"), Ulid::derived(2, b, "y"));
            prop_assert_eq!(a.cmp(&b).then(x.cmp(&y)), x.to_string().cmp(&y.to_string()));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<Ulid>();
        }
    }
}
