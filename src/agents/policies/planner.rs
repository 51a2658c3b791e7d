//! The planner: a language model decides skill by skill.

mod answer;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::answer::{Limits, read};
use super::{Explore, SKILL_TREE, exploit_to, misplaced};
use crate::gym::plan::{Action, SkillAction};
use crate::gym::ports::{
    ChatRequest, Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, Question, Sampling,
    SkillState, State,
};
use crate::gym::report::told;
use crate::gym::rng::CounterRng;
use crate::gym::skill_forest::{SkillExperience, Subskill};
use crate::prompts::asking::ask_once;

/// What the planner is told of a skill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// What was decided so far and what reward it brought, where the student is trained anew every time.
    #[default]
    Reward,
    /// Validation accuracy, and by subskill the share of its data that the student solved before training.
    /// Needs `checks.known_samples`.
    Training,
}

/// Asks the teacher about every skill, all skills at once. A skill without a history is explored. An answer
/// that cannot be read is asked for again; a skill that never gets a readable one keeps its allocations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Planner {
    /// What the planner is told.
    pub view: View,
    /// The first action on every skill.
    pub first: Explore,
    /// Most subskills an explore action may add.
    pub max_new_subskills: u32,
    /// Most data a subskill may get in one plan.
    pub max_data_per_subskill: u32,
    /// How often a skill is asked about until the answer can be read.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// Divides the teacher's logits; 0 means its most likely answer. An answer asked for again is drawn at
    /// 0.7 at least.
    #[schemars(range(min = 0))]
    pub temperature: f64,
    /// Upper limit of an answer in tokens.
    pub max_tokens: u32,
}

impl Default for Planner {
    fn default() -> Self {
        Self {
            view: View::Reward,
            first: Explore { new_subskills: 5, data_per_subskill: 10 },
            max_new_subskills: 5,
            max_data_per_subskill: 30,
            attempts: 8,
            temperature: 0.0,
            max_tokens: 1024,
        }
    }
}

impl Planner {
    fn question(
        &self,
        state: &SkillState<'_>,
        (context, attempt): (PlanContext, u32),
        aids: &dyn PlanAids,
    ) -> Result<Question, PortError> {
        let rendered = match self.view {
            View::Reward => aids.render("plan_reward", &reward_view(state, context)),
            View::Training => aids.render("plan_training", &self.training_view(state, context, aids)?),
        }?;
        let item = format!("{}/{attempt}", state.tree.skill);
        let seed = CounterRng::keyed(context.seed, &item).bits();
        let sampling = match (attempt, self.temperature) {
            (0, t) if t <= 0.0 => Sampling::Greedy,
            (0, t) => Sampling::drawn(t, 1.0, seed),
            (_, t) => Sampling::drawn(t.max(0.7), 1.0, seed),
        };
        Ok(Question {
            prompt: rendered.name,
            allocation: None,
            request: ChatRequest {
                schema: Some(schema(state)),
                ..ChatRequest::text(rendered.text, sampling, self.max_tokens)
            },
        })
    }

    fn training_view(
        &self,
        state: &SkillState<'_>,
        context: PlanContext,
        aids: &dyn PlanAids,
    ) -> Result<Value, PortError> {
        let skill = &state.tree.skill;
        let known = aids.training_accuracy()?;
        let of = |subskill: &str| known.get(&(skill.clone(), subskill.to_owned())).copied();
        let row = |s: &Subskill| {
            json!({"name": s.name, "allocation": s.allocation, "produced": s.produced,
                   "training": of(&s.name).map(percent)})
        };
        let subskills = &state.tree.subskills;
        // Weighted by allocation, as the reference does.
        let weighted = subskills.iter().filter_map(|s| Some((f64::from(s.allocation), of(&s.name)?)));
        let (sum, weight) = weighted.fold((0.0, 0.0), |(sum, all), (w, rate)| (sum + w * rate, all + w));
        Ok(json!({
            "skill": told(skill),
            "iteration": context.iteration,
            "accuracy": percent(state.accuracy),
            "training": (weight > 0.0).then(|| percent(sum / weight)),
            "total": state.tree.allocated(),
            "unexplored": state.unexplored > 0,
            "most": self.max_data_per_subskill,
            "subskills": subskills.iter().map(row).collect::<Vec<_>>(),
        }))
    }
}

fn reward_view(state: &SkillState<'_>, context: PlanContext) -> Value {
    let tree = state.tree;
    let past = |e: &SkillExperience| {
        let action = match &e.action {
            Action::Explore { new_subskills, data_per_subskill } => {
                format!("explore {new_subskills} subskills with {data_per_subskill} data each")
            }
            Action::Exploit { deltas } => {
                let changes: Vec<String> = deltas.iter().map(|(name, d)| format!("{name} {d:+}")).collect();
                format!("exploit: {}", changes.join(", "))
            }
        };
        json!({"action": action, "before": percent(e.accuracy_before), "after": e.accuracy_after.map(percent),
               "reward": e.reward().map(percent), "data": e.produced})
    };
    let row = |s: &Subskill| json!({"name": s.name, "allocation": s.allocation, "produced": s.produced});
    json!({
        "skill": told(&tree.skill),
        "iteration": context.iteration,
        "accuracy": percent(state.accuracy),
        "total": tree.allocated(),
        "unexplored": state.unexplored > 0,
        "subskills": tree.subskills.iter().map(row).collect::<Vec<_>>(),
        "history": tree.history.iter().map(past).collect::<Vec<_>>(),
    })
}

/// In percent with one digit behind the point.
fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}

fn schema(state: &SkillState<'_>) -> Value {
    let count = json!({"type": "integer", "minimum": 0});
    let names: Vec<&str> = state.tree.subskills.iter().map(|s| s.name.as_str()).collect();
    let name = if names.is_empty() { json!({"type": "string"}) } else { json!({"enum": names}) };
    json!({
        "type": "object",
        "properties": {
            "reasoning": {"type": "string", "maxLength": 1500},
            "action_type": {"enum": ["explore", "exploit"]},
            "num_new_skills": count,
            "data_allocation_for_new_skills": count,
            "data_allocation_delta": {
                "type": "array",
                "maxItems": names.len(),
                "items": {
                    "type": "object",
                    "properties": {"subskill": name, "delta": {"type": "integer"}},
                    "required": ["subskill", "delta"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["reasoning", "action_type"],
        "additionalProperties": false,
    })
}

impl Policy for Planner {
    fn name(&self) -> &'static str {
        "planner"
    }

    fn about(&self) -> &'static str {
        "a teacher decides skill by skill, told of rewards or of training accuracy"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        SKILL_TREE
    }

    fn asks(&self) -> bool {
        true
    }

    fn plan(
        &self,
        state: &State<'_>,
        context: PlanContext,
        aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let State::SkillTree(skills) = state else { return Err(misplaced(self, state)) };
        let first = |s: &SkillState<'_>| s.tree.history.is_empty().then(|| self.first.action());
        let mut actions: Vec<Option<Action>> = skills.iter().map(first).collect();
        let limits = Limits { new_subskills: self.max_new_subskills, data: self.max_data_per_subskill };
        for attempt in 0..self.attempts.max(1) {
            let open: Vec<usize> = (0..skills.len()).filter(|&n| actions[n].is_none()).collect();
            let questions: Result<Vec<Question>, PortError> =
                open.iter().map(|&n| self.question(&skills[n], (context, attempt), aids)).collect();
            let answers = ask_once(aids, questions?, |n, reply| read(reply, &skills[open[n]], limits))?;
            for (n, action) in open.into_iter().zip(answers) {
                actions[n] = action;
            }
        }
        let chosen = skills.iter().zip(actions).map(|(s, action)| SkillAction {
            skill: s.tree.skill.clone(),
            action: action.unwrap_or_else(|| exploit_to(s, |subskill| subskill.allocation)),
        });
        Ok(Decision::Actions(chosen.collect()))
    }
}
