//! Names and things the stories are told with.

use crate::gym::rng::CounterRng;

const NAMES: [&str; 16] = [
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jack", "Kate", "Leo", "Mia",
    "Noah", "Olga", "Paul",
];

const THINGS: [&str; 16] = [
    "apples", "pens", "books", "coins", "cards", "stones", "shells", "stamps", "marbles", "cookies", "eggs",
    "balls", "cups", "keys", "roses", "nuts",
];

pub(super) fn is_name(word: &str) -> bool {
    NAMES.contains(&word)
}

pub(super) fn is_thing(word: &str) -> bool {
    THINGS.contains(&word)
}

pub(super) fn name(rng: &mut CounterRng) -> &'static str {
    rng.pick(&NAMES).copied().unwrap_or(NAMES[0])
}

pub(super) fn things(rng: &mut CounterRng) -> &'static str {
    rng.pick(&THINGS).copied().unwrap_or(THINGS[0])
}
