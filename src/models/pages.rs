//! How many tokens to ask for, so that the library's pages hold those that may be there at once.
//!
//! mistral.rs 0.8.1 turns the tokens that it is asked for into whole mebibytes, and these into pages, and rounds down both
//! times; one page it keeps as a placeholder. A request that finds no page waits, or loses the ones it has.

use super::folder::ModelSize;
use crate::gym::ports::Serving;

/// Tokens of a page.
const PAGE: usize = 32;
const MEBIBYTE: usize = 1 << 20;
/// Narrowest number that keys and values are kept in, in bytes: a mebibyte holds the most tokens then.
const NARROWEST: usize = 2;

/// Tokens to ask for, so that every request in flight can fill the whole context.
pub fn tokens(size: &ModelSize, serving: Serving) -> usize {
    let each = size.context.min(serving.context as usize).next_multiple_of(PAGE);
    let requests = serving.in_flight.max(1) as usize;
    // Whatever a damaged file says of its sizes, the answer is a number.
    let numbers = 2_usize.saturating_mul(size.layers).saturating_mul(size.kv_width).max(1);
    let lost = MEBIBYTE.div_ceil(numbers.saturating_mul(NARROWEST));
    each.saturating_mul(requests).saturating_add(2 * PAGE + lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages that the library makes for so many tokens, as its `calculate_cache_config` does, without the placeholder.
    fn pages(tokens: usize, size: &ModelSize, width: usize) -> usize {
        let token = 2 * size.kv_width * size.layers * width;
        (tokens * token / MEBIBYTE) * MEBIBYTE / (token * PAGE) - 1
    }

    #[test]
    fn every_request_in_flight_finds_its_pages() {
        let mut short = 0;
        for (layers, kv_width) in [(24, 128), (28, 512), (32, 1024), (2, 32), (1, 8), (42, 2048)] {
            let size = ModelSize { layers, kv_width, context: 32_768, ..ModelSize::default() };
            for (context, in_flight, width) in
                [(4096, 1, 2), (4096, 16, 2), (8192, 16, 4), (1000, 3, 2), (40_000, 1, 2), (1, 1, 4)]
            {
                let serving = Serving { in_flight, context, ..Serving::default() };
                let longest = (context as usize).min(size.context);
                let needed = in_flight as usize * longest.div_ceil(PAGE);
                let found = pages(tokens(&size, serving), &size, width);
                assert!(found >= needed, "{size:?}, {serving:?}: {found} pages of {needed}");
                // No more than a mebibyte or its like is given away.
                let spare = (found - needed) * PAGE * 2 * kv_width * layers * width;
                assert!(
                    spare <= 2 * MEBIBYTE + 3 * PAGE * 2 * kv_width * layers * width,
                    "{size:?}: {spare}"
                );
                let plain = in_flight as usize * longest;
                let enough = plain * 2 * kv_width * layers * width >= 2 * MEBIBYTE;
                short += usize::from(enough && pages(plain, &size, width) < needed);
            }
        }
        assert!(short > 0, "the tokens alone would do, and there were nothing to round");
    }
}
