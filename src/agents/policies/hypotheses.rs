//! The skill-list policy: for every skill with errors, hypotheses of what is weak, each with data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::misplaced;
use super::shares::shown;
use crate::agents::examples;
use crate::gym::plan::Allocation;
use crate::gym::ports::{
    ChatRequest, Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, Question, Sampling,
    SkillErrors, State,
};
use crate::gym::report::told;
use crate::gym::rng::CounterRng;
use crate::prompts::asking::{Names, ask_names};

/// Asks the teacher what is weak in every skill with errors, and the engine for data on each of its guesses; a
/// guess is a subskill of the plan. Where the teacher is not to be asked, says nothing that can be read, or is
/// shown no errors because the state is hidden, all data of a skill are asked for together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hypotheses {
    /// Whether the teacher guesses what is weak. An engine must be able to write for its words.
    pub ask: bool,
    /// Guesses of what is weak, per skill.
    pub hypotheses: u32,
    /// Data per guess.
    pub specifications: u32,
    /// Most errors of a skill that are shown, drawn at random.
    pub shown: u32,
    /// Most characters of the errors that one question about a skill shows; long answers lose their middle,
    /// and errors that do not fit are left out.
    #[schemars(range(min = 1))]
    pub shown_characters: u32,
    /// Whether only errors are shown; otherwise questions that the student solved as well, drawn with the errors, and a
    /// skill without errors is asked about too.
    pub only_errors: bool,
}

impl Default for Hypotheses {
    fn default() -> Self {
        Self {
            ask: true,
            hypotheses: 5,
            specifications: 5,
            shown: 20,
            shown_characters: 16_000,
            only_errors: true,
        }
    }
}

impl Hypotheses {
    fn question(
        &self,
        (skill, shown): (&SkillErrors<'_>, &[String]),
        names: &Names,
        context: PlanContext,
        aids: &dyn PlanAids,
    ) -> Result<Question, PortError> {
        let chosen = skill.examples.iter().filter(|example| shown.contains(&example.instance.id));
        let values = json!({
            "skill": told(skill.skill),
            "count": names.missing(),
            "known": names.new,
            "solved": !self.only_errors,
            "shown": examples::shown(chosen.cloned(), self.shown_characters),
        });
        let rendered = aids.render("hypotheses", &values)?;
        let item = format!("hypotheses/{}/{}", skill.skill, names.new.len());
        let seed = CounterRng::keyed(context.seed, &item).bits();
        let sampling = Sampling::drawn(0.7, 0.95, seed);
        let schema = json!({
            "type": "object",
            "properties": {"hypotheses": {
                "type": "array", "minItems": names.missing(), "maxItems": names.missing(),
                "items": {"type": "string", "minLength": 1, "maxLength": 80},
            }},
            "required": ["hypotheses"],
            "additionalProperties": false,
        });
        Ok(Question {
            prompt: rendered.name,
            allocation: None,
            request: ChatRequest { schema: Some(schema), ..ChatRequest::text(rendered.text, sampling, 1024) },
        })
    }
}

impl Policy for Hypotheses {
    fn name(&self) -> &'static str {
        "hypotheses"
    }

    fn about(&self) -> &'static str {
        "asks what is weak in every skill with errors, and for data on each guess"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        &[EnvironmentKind::SkillList]
    }

    fn asks(&self) -> bool {
        self.ask
    }

    fn plan(
        &self,
        state: &State<'_>,
        context: PlanContext,
        aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let State::SkillList(skills) = state else { return Err(misplaced(self, state)) };
        let mut skills = skills.clone();
        if !self.only_errors {
            for skill in &mut skills {
                skill.examples.append(&mut skill.solved);
            }
        }
        let weak: Vec<(&SkillErrors<'_>, Vec<String>)> = skills
            .iter()
            .filter(|skill| !skill.examples.is_empty())
            .map(|skill| (skill, shown(skill, context, self.shown as usize)))
            .collect();
        let seen = |skill: &SkillErrors<'_>| skill.examples.iter().any(|e| e.prediction.is_some());
        let wanted = |skill| if self.ask && seen(skill) { self.hypotheses as usize } else { 0 };
        let mut guesses: Vec<Names> =
            weak.iter().map(|(skill, _)| Names { count: wanted(skill), ..Names::default() }).collect();
        ask_names(aids, &mut guesses, |n, names, aids| {
            self.question((weak[n].0, &weak[n].1), names, context, aids)
        })?;
        let allocations = weak.into_iter().zip(guesses).flat_map(|((skill, shown), guesses)| {
            let (guesses, count) = match guesses.new {
                none if none.is_empty() => {
                    (vec![String::new()], self.hypotheses.saturating_mul(self.specifications))
                }
                some => (some, self.specifications),
            };
            guesses.into_iter().map(move |subskill| Allocation {
                skill: skill.skill.to_owned(),
                subskill,
                count,
                shown: shown.clone(),
            })
        });
        Ok(Decision::Allocations(allocations.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Alone, Heart, instances};
    use super::*;
    use crate::gym::ports::Example;
    use crate::gym::prediction::{FinishReason, Prediction};
    use crate::prompts::tests::recorded;

    fn planned(policy: &Hypotheses, hidden: bool, aids: &mut dyn PlanAids) -> Vec<Allocation> {
        let instances = instances("sums", 3);
        let wrong = Prediction {
            instance_id: String::new(),
            response: "It is 77.".into(),
            answer: None,
            correct: false,
            tokens: 1,
            finish: FinishReason::Stop,
        };
        let example = |instance| Example { instance, prediction: (!hidden).then_some(&wrong) };
        let skill = |skill, examples| SkillErrors {
            skill,
            accuracy: None,
            questions: 3,
            examples,
            solved: Vec::new(),
            trials: Vec::new(),
        };
        let state = State::SkillList(vec![
            skill("sums", instances.iter().map(example).collect()),
            skill("solved", Vec::new()),
        ]);
        let context = PlanContext { iteration: 1, round: 0, seed: 1 };
        let Ok(Decision::Allocations(plan)) = policy.plan(&state, context, aids) else { panic!() };
        plan
    }

    #[test]
    fn the_recorded_answers() {
        let policy = Hypotheses { hypotheses: 2, specifications: 3, shown: 2, ..Hypotheses::default() };
        for answer in recorded("hypotheses") {
            let rule = |n: usize, _: &Question| if n == 0 { answer.reply.clone() } else { String::new() };
            let mut heart = Heart::new(&rule);
            let plan = planned(&policy, false, &mut heart);
            assert!(plan.iter().all(|a| a.skill == "sums" && a.shown.len() == 2));
            let named = |a: &Allocation| match a.subskill.as_str() {
                "" => format!("all of the {}", if a.count == 6 { "skill" } else { "wrong number" }),
                name => name.to_owned(),
            };
            let summary: Vec<String> = plan.iter().map(named).collect();
            assert_eq!(summary.join(" | "), answer.expected, "{}", answer.name);
            let asked = &heart.asked[0].request.prompt;
            assert!(
                asked.contains("The student answered: It is 77.") && asked.contains("Write 2"),
                "{asked}"
            );
        }
    }

    #[test]
    fn nobody_is_asked_without_a_teacher_or_without_errors_to_show() {
        let quiet = Hypotheses { ask: false, ..Hypotheses::default() };
        let counts = |policy: &Hypotheses, hidden| -> Vec<u32> {
            planned(policy, hidden, &mut Alone::default()).iter().map(|a| a.count).collect()
        };
        assert_eq!(counts(&quiet, false), [25]);
        assert_eq!(counts(&Hypotheses::default(), true), [25]);
    }
    #[test]
    fn solved_questions_are_shown_when_errors_are_not_all() {
        let instances = instances("sums", 4);
        let prediction = |correct| Prediction {
            instance_id: String::new(),
            response: "It is 77.".into(),
            answer: None,
            correct,
            tokens: 1,
            finish: FinishReason::Stop,
        };
        let (right, wrong) = (prediction(true), prediction(false));
        let of = |range: std::ops::Range<usize>, prediction| {
            instances[range]
                .iter()
                .map(|instance| Example { instance, prediction: Some(prediction) })
                .collect()
        };
        let skill = |skill, examples, solved| SkillErrors {
            skill,
            accuracy: None,
            questions: 4,
            examples,
            solved,
            trials: Vec::new(),
        };
        let state = State::SkillList(vec![
            skill("sums", of(0..1, &wrong), of(1..3, &right)),
            skill("easy", Vec::new(), of(3..4, &right)),
        ]);
        let context = PlanContext { iteration: 1, round: 0, seed: 1 };
        let asked = |only_errors| {
            let policy = Hypotheses { only_errors, hypotheses: 1, ..Hypotheses::default() };
            let rule = |_: usize, _: &Question| r#"{"hypotheses": ["carrying"]}"#.to_owned();
            let mut heart = Heart::new(&rule);
            let Ok(Decision::Allocations(plan)) = policy.plan(&state, context, &mut heart) else { panic!() };
            let shown: Vec<usize> = plan.iter().map(|allocation| allocation.shown.len()).collect();
            (shown, heart.asked[0].request.prompt.clone())
        };
        let (shown, prompt) = asked(true);
        assert!(shown == [1] && prompt.contains("All of them are wrong"), "{shown:?} {prompt}");
        let (shown, prompt) = asked(false);
        assert_eq!((shown, prompt.matches("The student solved it.").count()), (vec![3, 1], 2), "{prompt}");
        assert!(
            prompt.contains("The student answered: It is 77.") && !prompt.contains("All of them"),
            "{prompt}"
        );
    }
}
