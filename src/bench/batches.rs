//! `bench batches`: the same prompts of mixed length alone, and with others in flight: which answers change, and by how
//! much the probabilities of their tokens.
//!
//! Twice: with as many requests in flight as the self-test at load grants, which is how answers are served, and with as
//! many as were asked for, which is what the self-test keeps away.

use super::scratch::Scratch;
use super::{BenchError, Figure, Sink};
use crate::gym::ports::{ChatRequest, Checkpoint, Device, PortError, Sampling, Serving};
use crate::models::Written;
use crate::models::embedded::Embedded;
use crate::worker::StudentHost;
use crate::worlds::arithmetic::{Split, evaluation_set};

/// Requests in flight.
const TOGETHER: [u32; 3] = [1, 8, 32];
/// Questions of each of the twelve skills.
const PER_SKILL: usize = 8;
const MAX_TOKENS: u32 = 64;

/// How far answers are from the same ones asked alone.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Apart {
    /// Answers with other tokens.
    answers: usize,
    /// Tokens that are the same with another ln-probability, up to the first that is not the same.
    probabilities: usize,
    /// The largest difference of those ln-probabilities.
    largest: f32,
}

fn apart(alone: &[Written], together: &[Written]) -> Apart {
    let mut apart = Apart::default();
    for (a, b) in alone.iter().zip(together) {
        apart.answers += usize::from(a.tokens != b.tokens);
        let same = a.tokens.iter().zip(&b.tokens).take_while(|(a, b)| a == b).count();
        for (a, b) in a.log_probabilities.iter().zip(&b.log_probabilities).take(same) {
            apart.probabilities += usize::from(a.to_bits() != b.to_bits());
            apart.largest = apart.largest.max((a - b).abs());
        }
    }
    apart
}

/// Questions of the embedded world, every other one answered by a draw.
fn requests() -> Vec<ChatRequest> {
    let problems = evaluation_set(Split::Validation, PER_SKILL);
    let request = |(n, question): (u64, String)| {
        let sampling = if n % 2 == 0 { Sampling::Greedy } else { Sampling::drawn(0.8, 0.95, n) };
        ChatRequest { log_probabilities: true, ..ChatRequest::text(question, sampling, MAX_TOKENS) }
    };
    (0..).zip(problems.into_iter().map(|problem| problem.question)).map(request).collect()
}

/// Measures the embedded student on the processor; `host` makes one.
///
/// # Errors
/// When it cannot be unpacked or served.
pub fn run(mut host: StudentHost, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let scratch = Scratch::new()?;
    let folder = Embedded::Student.folder(scratch.path());
    let folder = folder.map_err(|error| PortError::fatal(error.to_string()))?;
    let checkpoint = Checkpoint::Full { folder };
    let requests = requests();
    let mut backwards = requests.clone();
    backwards.reverse();
    let mut load = |in_flight| {
        let mut student = host(Device::Cpu, Serving { in_flight, ..Serving::default() })?;
        student.refresh(&checkpoint)?;
        Ok::<_, PortError>(student)
    };
    // In the other order: what was asked before must not matter either.
    let mut alone = load(1)?.write(&backwards, 1)?;
    alone.reverse();
    for in_flight in TOGETHER {
        let mut student = load(in_flight)?;
        let granted = student.in_flight();
        let conditions = format!(
            "{}; embedded student, {} questions of mixed length, {} tokens, every other one greedy; {in_flight} in flight \
             asked for, {granted} granted",
            crate::probes::processor_name(),
            requests.len(),
            alone.iter().map(|written| written.tokens.len()).sum::<usize>()
        );
        let mut say = |name: &str, value: f64, unit: &'static str| {
            sink(Figure::new(format!("batches.in_flight{in_flight}.{name}"), value, unit, &conditions));
        };
        say("granted", f64::from(granted), "requests");
        for (way, together) in [("served", granted), ("forced", in_flight)] {
            let Apart { answers, probabilities, largest } =
                apart(&alone, &student.write(&requests, together)?);
            say(&format!("{way}.differing_answers"), answers as f64, "answers");
            say(&format!("{way}.differing_ln_probabilities"), probabilities as f64, "tokens");
            say(&format!("{way}.ln_probability_difference"), f64::from(largest), "nats");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_compared_as_far_as_the_tokens_are_the_same() {
        let written = |tokens: &[u32], log_probabilities: &[f32]| Written {
            tokens: tokens.to_vec(),
            log_probabilities: log_probabilities.to_vec(),
        };
        let alone = [written(&[1, 2, 3], &[-1.0, -2.0, -3.0]), written(&[4], &[-1.0])];
        assert_eq!(apart(&alone, &alone), Apart::default());
        let other = [written(&[1, 5, 3], &[-1.5, -9.0, -9.0]), written(&[4, 6], &[-1.0, -9.0])];
        assert_eq!(apart(&alone, &other), Apart { answers: 2, probabilities: 1, largest: 0.5 });
    }

    #[test]
    fn the_questions_are_of_mixed_length_and_ask_for_probabilities() {
        let requests = requests();
        let lengths: std::collections::BTreeSet<usize> = requests.iter().map(|r| r.prompt.len()).collect();
        assert!(requests.len() == 96 && lengths.len() > 10, "{lengths:?}");
        assert!(requests.iter().all(|request| request.log_probabilities));
    }
}
