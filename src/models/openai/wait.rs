//! How long to wait before a request is made again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::date;
use crate::gym::ports::Endpoint;
use crate::gym::rng::CounterRng;

/// Seconds as a duration; what is no length of time is none.
pub(super) fn seconds(length: f64) -> Duration {
    Duration::try_from_secs_f64(length).unwrap_or(Duration::ZERO)
}

/// The wait that a response asks for, in any of its forms: milliseconds, seconds, or a date, which is
/// compared with the server's own clock where it tells it.
pub(super) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(wait) = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
        return Some(seconds(wait / 1000.0));
    }
    let said = text(RETRY_AFTER.as_str())?;
    if let Ok(wait) = said.parse::<f64>() {
        return Some(seconds(wait));
    }
    let until = date::seconds(said)?;
    let here = || now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let now = text(DATE.as_str()).and_then(date::seconds).unwrap_or_else(here);
    Some(Duration::from_secs(u64::try_from(until - now).unwrap_or(0)))
}

/// The wait after failure `n` (from 1) of the request `id` where none was asked for: anything up to a
/// limit that doubles, drawn by the request's own name.
pub(super) fn backoff(endpoint: &Endpoint, id: &str, n: u32) -> Duration {
    let limit = endpoint.retry_first_s * f64::from(2_u32.saturating_pow(n.saturating_sub(1).min(20)));
    let share = CounterRng::keyed(u64::from(n), id).unit();
    seconds(limit.min(endpoint.retry_most_s) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn both_forms_of_retry_after_are_understood() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
        let wait = |pairs: &[(&'static str, &str)]| asked(&headers(pairs), now);
        assert_eq!(wait(&[("retry-after", "120")]), Some(Duration::from_mins(2)));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT")]), Some(Duration::from_secs(7)));
        assert_eq!(
            wait(&[("retry-after-ms", "250"), ("retry-after", "9")]),
            Some(Duration::from_millis(250))
        );
        // The server's clock may be another one.
        let other =
            [("retry-after", "Sun, 06 Nov 1994 10:00:05 GMT"), ("date", "Sun, 06 Nov 1994 10:00:00 GMT")];
        assert_eq!(wait(&other), Some(Duration::from_secs(5)));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(wait(&[("retry-after", "-3")]), Some(Duration::ZERO));
        assert_eq!(wait(&[("retry-after", "later")]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn waits_double_up_to_a_limit_and_are_the_same_every_time() {
        let endpoint = Endpoint::default();
        for n in 1..40 {
            let limit = (0.5 * 2_f64.powi(n - 1)).min(60.0);
            let waits: Vec<Duration> =
                (0..200).map(|item| backoff(&endpoint, &format!("{item}"), n as u32)).collect();
            assert!(waits.iter().all(|wait| wait.as_secs_f64() <= limit));
            let mean = waits.iter().sum::<Duration>().as_secs_f64() / 200.0;
            assert!((0.4..0.6).contains(&(mean / limit)), "{n}: {mean}");
            assert_eq!(waits[7], backoff(&endpoint, "7", n as u32));
        }
    }
}
