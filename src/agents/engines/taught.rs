//! A teacher writes the training data: questions out, specifications back, data rendered as the student
//! will see them.

mod answer;
mod recipe;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::answer::{Specification, read};
use self::recipe::Recipe;
use super::{provenance, target};
use crate::gym::datum::{Provenance, TrainingDatum};
use crate::gym::ports::{ChatRequest, Engine, EngineAids, EngineJob, PortError, Question, Sampling, Task};
use crate::gym::rng::CounterRng;
use crate::gym::teacher_call::TeacherCall;

/// How the teacher is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaughtSettings {
    /// Data per question; an allocation of more is asked for in several questions. The embedded teachers are
    /// asked for one at a time, whatever this says.
    #[schemars(range(min = 1))]
    pub data_per_question: u32,
    /// Divides the logits of the teacher; above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub temperature: f64,
    /// Keeps the smallest set of tokens with at least this probability; in `(0, 1]`.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub top_p: f64,
    /// Upper limit of an answer in tokens.
    #[schemars(range(min = 1))]
    pub max_tokens: u32,
    /// How the reasoning is laid out: `plain`, or `headings` with one `## Step 1: ...` per step. Only exercises of
    /// mathematics know it.
    pub layout: Layout,
    /// Most characters of the examples that one question shows; long answers lose their middle, and examples
    /// that do not fit are left out.
    #[schemars(range(min = 1))]
    pub shown_characters: u32,
}

/// How the reasoning of a datum is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// As the teacher likes.
    #[default]
    Plain,
    /// A heading `## Step 1: ...` above every step, as Llama 3 was taught for long solutions.
    Headings,
}

impl Default for TaughtSettings {
    fn default() -> Self {
        Self {
            data_per_question: 10,
            temperature: 0.8,
            top_p: 0.95,
            max_tokens: 4096,
            layout: Layout::Plain,
            shown_characters: 16_000,
        }
    }
}

/// Asks for every allocation in parallel, then once more for what is missing, and gives up what is missing
/// then. Surplus is cut off.
pub struct Taught {
    settings: TaughtSettings,
    task: Arc<dyn Task>,
    recipe: Recipe,
}

/// The part of an allocation that one question asks for.
struct Portion {
    allocation: usize,
    first: u32,
    count: u32,
    written: Vec<(Specification, String)>,
}

impl Taught {
    /// A teacher for the domain of `task`.
    pub fn new(settings: TaughtSettings, task: Arc<dyn Task>) -> Self {
        Self { recipe: Recipe::of(task.domain(), &settings), settings, task }
    }

    fn portions(&self, job: &EngineJob<'_>) -> Vec<Portion> {
        let each = self.settings.data_per_question.max(1);
        let of_allocation = |(allocation, count): (usize, u32)| {
            (0..count.div_ceil(each)).map(move |n| {
                let first = n * each;
                Portion { allocation, first, count: each.min(count - first), written: Vec::new() }
            })
        };
        job.allocations.iter().map(|a| a.count).enumerate().flat_map(of_allocation).collect()
    }

    fn question(
        &self,
        job: &EngineJob<'_>,
        portion: &Portion,
        attempt: u32,
        aids: &dyn EngineAids,
    ) -> Result<Question, PortError> {
        let allocation = &job.allocations[portion.allocation];
        let missing = portion.count - portion.written.len() as u32;
        let item = format!(
            "taught/{}/{}/{}/{}/{attempt}",
            job.iteration, job.round, portion.allocation, portion.first
        );
        let written: Vec<&str> = portion.written.iter().map(|(s, _)| s.question.as_str()).collect();
        let prompt = self.recipe.prompt(allocation, portion.first, missing, &written, aids)?;
        let seed = CounterRng::keyed(job.seed, &item).bits();
        let sampling = Sampling::drawn(self.settings.temperature, self.settings.top_p, seed);
        Ok(Question {
            prompt: prompt.name,
            allocation: Some(portion.allocation as u32),
            request: ChatRequest {
                schema: Some(self.recipe.schema(missing)),
                ..ChatRequest::text(prompt.text, sampling, self.settings.max_tokens)
            },
        })
    }

    /// Asks for what the portions miss and adds what comes back.
    fn ask(
        &self,
        job: &EngineJob<'_>,
        portions: &mut [Portion],
        attempt: u32,
        aids: &mut dyn EngineAids,
    ) -> Result<(), PortError> {
        let short: Vec<usize> =
            (0..portions.len()).filter(|&n| portions[n].written.len() < portions[n].count as usize).collect();
        let questions: Result<Vec<Question>, PortError> =
            short.iter().map(|&n| self.question(job, &portions[n], attempt, aids)).collect();
        let room = |portion: &Portion| portion.count as usize - portion.written.len();
        let holds = |n: usize, reply: &str| {
            let (specifications, _) = read(reply, self.task.domain());
            specifications.len().min(room(&portions[short[n]])) as u64
        };
        let calls: Vec<TeacherCall> = aids.ask_counted(questions?, &holds)?;
        for (&n, call) in short.iter().zip(&calls) {
            let (specifications, fault) = read(&call.reply, self.task.domain());
            if let Some(reason) = fault {
                aids.malformed(call, reason)?;
            }
            let room = room(&portions[n]);
            let new = specifications.into_iter().take(room).map(|s| (s, call.id.clone()));
            portions[n].written.extend(new);
        }
        aids.wrote(portions.iter().map(|p| p.written.len() as u64).sum());
        Ok(())
    }
}

impl Engine for Taught {
    fn name(&self) -> &'static str {
        "taught"
    }

    fn generate(
        &self,
        job: &EngineJob<'_>,
        aids: &mut dyn EngineAids,
    ) -> Result<Vec<TrainingDatum>, PortError> {
        let mut portions = self.portions(job);
        for attempt in 0..2 {
            self.ask(job, &mut portions, attempt, aids)?;
        }
        let mut data = Vec::new();
        for portion in portions {
            for (n, (specification, call)) in portion.written.into_iter().enumerate() {
                let draw = u64::from(portion.first) + n as u64;
                let allocation = &job.allocations[portion.allocation];
                let (skill, subskill) = target(allocation, aids, draw);
                let from = Provenance {
                    teacher_call: Some(call),
                    ..provenance(self.name(), job, portion.allocation, draw)
                };
                let named = (skill.unwrap_or_default(), subskill.unwrap_or_default());
                data.push(self.recipe.render(
                    specification,
                    named,
                    from,
                    self.task.as_ref(),
                    job.seed,
                    aids,
                )?);
            }
        }
        Ok(data)
    }
}
