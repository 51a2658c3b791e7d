//! What it means for a call that the engine failed on a prompt.
//!
//! A fault that the sampler found in the model's numbers is the model's: it comes back with every prompt, so trying again
//! only hides it. Anything else may be the prompt's own, which shows when the engine answers another one.

use crate::gym::ports::PortError;

/// Where the engine failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In its own work: queues, grammars, sampling.
    Engine,
    /// In the model's computation.
    Model,
}

/// A failure on a prompt.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// Of the whole call.
    Call(PortError),
    /// Of the prompt alone, if the engine still answers another one; otherwise the call fails with this error.
    Prompt(PortError),
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Call(error)
    }
}

/// Judges what the engine said. `own` is the fault that our sampler found, if it was the one that failed.
pub fn judge(stage: Stage, said: &str, own: Option<&str>) -> Failure {
    match (own, stage) {
        (Some(own), _) => Failure::Call(PortError::fatal(own)),
        (None, Stage::Engine) => Failure::Prompt(stopped(said)),
        (None, Stage::Model) => {
            Failure::Prompt(PortError::fatal(format!("the model failed on a prompt: {}", first_line(said))))
        }
    }
}

/// The engine itself is gone, or speaks nonsense.
pub fn stopped(said: &str) -> PortError {
    PortError::transient(format!("the model's engine stopped: {}. Its log says more", first_line(said)))
}

/// What follows the first line is the library's own trace.
fn first_line(said: &str) -> &str {
    said.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::sampler::SamplerError;

    #[test]
    fn numbers_that_are_none_end_the_call_for_good_in_their_own_words() {
        let own = SamplerError::NotANumber.to_string();
        // The library hands the sampler's error on as one of its own.
        for stage in [Stage::Engine, Stage::Model] {
            let Failure::Call(error) = judge(stage, &own, Some(&own)) else { panic!("{stage:?}") };
            assert!(!error.transient, "trying again finds the same numbers");
            assert!(error.message.contains("training diverged"), "{error}");
            assert!(error.message.contains("trainer.learning_rate"), "no remedy: {error}");
        }
    }

    #[test]
    fn other_failures_may_be_of_the_prompt_alone() {
        let Failure::Prompt(error) = judge(Stage::Model, "no rows\n   0: a trace", None) else { panic!() };
        assert_eq!(
            (error.message.as_str(), error.transient),
            ("the model failed on a prompt: no rows", false)
        );
        let Failure::Prompt(error) = judge(Stage::Engine, "closed", None) else { panic!() };
        assert!(error.transient && error.message.contains("closed"), "{error}");
    }
}
