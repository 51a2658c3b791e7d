//! Plan: the environment shows its state, the policy asks for data.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::Stage;
use super::asking::Asking;
use crate::checks::KNOWN;
use crate::environments::{lists, skill_tree};
use crate::gym::episode::Episode;
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::{
    ChatRequest, EnvironmentKind, Fact, PassRate, PlanAids, PlanContext, PortError, Question, Rendered,
    Teacher,
};
use crate::gym::report::UNSORTED;
use crate::gym::rng::CounterRng;
use crate::gym::skill_forest::ForestChange;
use crate::gym::teacher_call::TeacherCall;

impl Stage<'_, '_, '_> {
    pub(super) fn plan(&mut self) -> Result<Fact, PortError> {
        let (iteration, round) = (self.work.iteration, self.work.round);
        let seed = CounterRng::keyed(self.scene.seed, &format!("plan/{iteration}/{round}")).bits();
        let context = PlanContext { iteration, round, seed };
        let (scene, episode) = (self.scene, self.episode);
        let report = episode.latest_report();
        let report = report.ok_or_else(|| PortError::fatal("no validation report to plan from"))?;
        let kind = episode.rules.environment;
        if kind == EnvironmentKind::SkillTree {
            let mut aids = Aids { asking: Asking::new(self, 0), episode };
            let (plan, forest) = skill_tree::plan(scene, episode, report, context, &mut aids)?;
            let forest = episode.forest.change_to(&forest);
            return Ok(Fact::Planned { plan, forest, teacher_tokens: aids.asking.tokens() });
        }
        let predictions = if scene.hidden {
            Vec::new()
        } else {
            self.ledger.predictions(report.iteration, Split::Validation)?
        };
        let mut aids = Aids { asking: Asking::new(self, 0), episode };
        let plan = lists::plan(scene, episode, &predictions, report, context, &mut aids)?;
        let teacher_tokens = aids.asking.tokens();
        Ok(Fact::Planned { plan, forest: ForestChange::default(), teacher_tokens })
    }
}

/// The aids of one plan phase.
struct Aids<'a, 'm, 'w> {
    asking: Asking<'a, 'm, 'w>,
    episode: &'a Episode,
}

impl Teacher for Aids<'_, '_, '_> {
    fn render(&self, prompt: &str, values: &Value) -> Result<Rendered, PortError> {
        self.asking.render(prompt, values)
    }

    fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<TeacherCall>, PortError> {
        self.asking.ask(questions)
    }

    fn malformed(&mut self, call: &TeacherCall, reason: String) -> Result<(), PortError> {
        self.asking.malformed(call, reason)
    }
}

impl PlanAids for Aids<'_, '_, '_> {
    fn pass_rates(&mut self, samples: u32) -> Result<Vec<PassRate>, PortError> {
        let scene = self.asking.scene;
        if scene.hidden {
            return Ok(Vec::new());
        }
        let task = scene.task.as_ref();
        let instances = task.instances(Split::Validation);
        let right: Vec<(u32, u32)> = if samples == 0 {
            let evaluated = self.episode.latest_report().map_or(0, |report| report.iteration);
            let predictions = self.asking.ledger.predictions(evaluated, Split::Validation)?;
            let correct: HashMap<&str, bool> =
                predictions.iter().map(|p| (p.instance_id.as_str(), p.correct)).collect();
            let of = |id: &String| u32::from(correct.get(id.as_str()).copied().unwrap_or(false));
            instances.iter().map(|instance| (of(&instance.id), 1)).collect()
        } else {
            let prompts: Vec<ChatRequest> = instances.iter().map(|instance| task.request(instance)).collect();
            let answers = self.asking.sampled("pass_rate", &prompts, samples)?;
            let scored = instances.iter().zip(&answers).map(|(instance, answers)| {
                answers.iter().filter(|answer| task.score(instance, answer).1).count() as u32
            });
            scored.map(|right| (right, samples)).collect()
        };
        let rates = instances.iter().zip(right).map(|(instance, (right, answers))| PassRate {
            instance: instance.id.clone(),
            skill: instance.skill.clone().unwrap_or_else(|| UNSORTED.to_owned()),
            right,
            answers,
        });
        Ok(rates.collect())
    }

    fn pool(&self) -> &[TaskInstance] {
        self.asking.scene.task.instances(Split::Pool)
    }

    fn training_accuracy(&self) -> Result<BTreeMap<(String, String), f64>, PortError> {
        // By subskill: the newest round with scores, their sum, their number.
        type Sum = ((u32, u32), f64, u32);
        let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
        self.asking.ledger.each_datum(None, &mut |judged| {
            let Some(score) = judged.checks.iter().find(|c| c.check == KNOWN).and_then(|c| c.score) else {
                return;
            };
            let from = &judged.datum.provenance;
            let round = (from.iteration, from.round);
            let sum = sums.entry((judged.datum.skill, judged.datum.subskill)).or_insert((round, 0.0, 0));
            if sum.0 != round {
                *sum = (round, 0.0, 0);
            }
            sum.1 += score;
            sum.2 += 1;
        })?;
        Ok(sums.into_iter().map(|(name, (_, sum, n))| (name, sum / f64::from(n))).collect())
    }
}
