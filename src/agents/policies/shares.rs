//! What the policies share that give every skill a part of one number of data.
//!
//! In the skill tree the first plan explores every subskill a skill has; later plans set the allocations by
//! exploit. In the skill list every skill gets its part, and the engine is shown some of its errors.

use super::{exploit_to, misplaced};
use crate::gym::budget::split_by_weight;
use crate::gym::plan::{Action, Allocation, SkillAction};
use crate::gym::ports::{
    Decision, EnvironmentKind, PlanContext, Policy, PortError, SkillErrors, SkillState, State, Trial,
};
use crate::gym::rng::CounterRng;
use crate::gym::skill_forest::SkillTree;

/// Where such policies act.
pub(super) const BY_SKILL: &[EnvironmentKind] = &[EnvironmentKind::SkillTree, EnvironmentKind::SkillList];

/// Most subskills that a first plan explores at once, where there is no end of them.
const MOST_EXPLORED: usize = 8;

/// Most errors of a skill that one question to the engine shows.
const MOST_SHOWN: usize = 20;

/// A skill as a thing to spend data on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arm<'a> {
    /// Name of the skill.
    pub(super) skill: &'a str,
    /// Validation accuracy now, in `0..=1`; `None` where the state is hidden.
    pub(super) accuracy: Option<f64>,
    /// Validation questions behind the accuracy.
    pub(super) questions: u32,
    /// What was tried so far, oldest first.
    pub(super) trials: Vec<Trial>,
}

impl Arm<'_> {
    /// Share of wrong answers; 1 where it is not known, so that unknown skills count the same.
    pub(super) fn error(&self) -> f64 {
        1.0 - self.accuracy.unwrap_or(0.0)
    }

    /// The skill's plays: iterations in which it got data and was tested afterwards, with the discounted
    /// weight of each and the size of the change they brought. A change that the number of questions cannot
    /// tell from chance is shrunk towards 0; a fall counts like a rise, because both say that the skill moves.
    pub(super) fn plays(&self, iteration: u32, discount: f64) -> Vec<(f64, f64)> {
        let weigh = |trial: &Trial| {
            let (gain, p) = (trial.gain()?, trial.before.midpoint(trial.after?));
            let variance = 2.0 * p * (1.0 - p) / f64::from(self.questions.max(1));
            let shrunk = if gain == 0.0 { 0.0 } else { gain.abs() * gain * gain / (gain * gain + variance) };
            let age = iteration.saturating_sub(trial.iteration + 1);
            Some((discount.powi(age as i32), shrunk))
        };
        self.trials.iter().filter(|trial| trial.data > 0).filter_map(weigh).collect()
    }
}

/// A decision that gives every skill its share of `data`.
pub(super) fn share_out(
    policy: &dyn Policy,
    state: &State<'_>,
    context: PlanContext,
    data: u32,
    weights: impl FnOnce(&[Arm<'_>]) -> Vec<f64>,
) -> Result<Decision, PortError> {
    match state {
        State::SkillTree(skills) => {
            let arms: Vec<Arm<'_>> = skills.iter().map(of_tree).collect();
            let quotas = split_by_weight(data, &weights(&arms));
            let act = |(s, quota): (&SkillState<'_>, u32)| SkillAction {
                skill: s.tree.skill.clone(),
                action: action(s, quota),
            };
            Ok(Decision::Actions(skills.iter().zip(quotas).map(act).collect()))
        }
        State::SkillList(skills) => {
            let arms: Vec<Arm<'_>> = skills.iter().map(of_list).collect();
            let quotas = split_by_weight(data, &weights(&arms));
            let allocation = |(s, count): (&SkillErrors<'_>, u32)| Allocation {
                skill: s.skill.to_owned(),
                subskill: String::new(),
                count,
                shown: shown(s, context, MOST_SHOWN),
            };
            Ok(Decision::Allocations(skills.iter().zip(quotas).map(allocation).collect()))
        }
        State::OpenEnded(_) => Err(misplaced(policy, state)),
    }
}

/// Weights that share data evenly among the `count` arms with the highest index. Among equals the one with
/// more errors comes first.
pub(super) fn best(arms: &[Arm<'_>], index: &[f64], count: u32) -> Vec<f64> {
    let mut order: Vec<usize> = (0..arms.len()).collect();
    order.sort_by(|&a, &b| {
        index[b].total_cmp(&index[a]).then_with(|| arms[b].error().total_cmp(&arms[a].error()))
    });
    let chosen = &order[..order.len().min(count.max(1) as usize)];
    (0..arms.len()).map(|n| f64::from(u8::from(chosen.contains(&n)))).collect()
}

/// At most so many of a skill's examples, drawn at random, in the order of the split.
pub(super) fn shown(skill: &SkillErrors<'_>, context: PlanContext, most: usize) -> Vec<String> {
    let mut order: Vec<usize> = (0..skill.examples.len()).collect();
    CounterRng::keyed(context.seed, skill.skill).shuffle(&mut order);
    order.truncate(most);
    order.sort_unstable();
    order.into_iter().map(|n| skill.examples[n].instance.id.clone()).collect()
}

/// Questions to the engine for `data` in all, `each` of them per question, the last one for the rest; every
/// question shows `most` of the instances, drawn anew.
pub(super) fn questions(
    skill: &str,
    data: u32,
    each: u32,
    instances: &[&str],
    most: u32,
    rng: &CounterRng,
) -> Vec<Allocation> {
    let each = each.max(1);
    let question = |n: u32| {
        let mut drawn = instances.to_vec();
        rng.child(u64::from(n)).shuffle(&mut drawn);
        Allocation {
            skill: skill.to_owned(),
            subskill: String::new(),
            count: each.min(data - n * each),
            shown: drawn.into_iter().take(most as usize).map(str::to_owned).collect(),
        }
    };
    (0..data.div_ceil(each)).map(question).collect()
}

fn of_tree<'a>(state: &SkillState<'a>) -> Arm<'a> {
    let SkillState { tree, accuracy, questions, .. } = *state;
    Arm { skill: &tree.skill, accuracy: Some(accuracy), questions, trials: trials(tree) }
}

fn of_list<'a>(skill: &SkillErrors<'a>) -> Arm<'a> {
    let SkillErrors { skill, accuracy, questions, trials, .. } = skill;
    Arm { skill, accuracy: *accuracy, questions: *questions, trials: trials.clone() }
}

/// The history of a tree by iteration: the rounds of one iteration are one trial.
fn trials(tree: &SkillTree) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    for experience in &tree.history {
        match trials.last_mut().filter(|last| last.iteration == experience.iteration) {
            Some(last) => {
                last.data += experience.produced;
                last.after = experience.accuracy_after;
            }
            None => trials.push(Trial {
                iteration: experience.iteration,
                data: experience.produced,
                before: experience.accuracy_before,
                after: experience.accuracy_after,
            }),
        }
    }
    trials
}

fn action(state: &SkillState<'_>, quota: u32) -> Action {
    let subskills = &state.tree.subskills;
    if subskills.is_empty() {
        let new_subskills = state.unexplored.clamp(1, MOST_EXPLORED) as u32;
        // Rounded up: the exact quota is restored by the next plan's exploit.
        return Action::Explore { new_subskills, data_per_subskill: quota.div_ceil(new_subskills) };
    }
    let parts = split_by_weight(quota, &vec![1.0; subskills.len()]);
    let place = |name: &str| subskills.iter().position(|s| s.name == name);
    exploit_to(state, |s| place(&s.name).map_or(0, |n| parts[n]))
}
