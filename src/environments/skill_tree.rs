//! The skill-tree environment: state out of the episode, actions into the forest.

use std::collections::BTreeMap;

use crate::environments::Scene;
use crate::gym::episode::Episode;
use crate::gym::plan::{Action, Plan, SkillAction};
use crate::gym::ports::{Decision, PlanAids, PlanContext, PortError, SkillState, State};
use crate::gym::report::Report;
use crate::gym::skill_forest::{ActionError, SkillExperience, SkillForest, SkillTree};

/// Lets the policy, or the person in its place, act on the forest. The forest is made at the first plan,
/// from the skills of the validation report, and keeps them for ever.
pub(super) fn plan(
    scene: &Scene,
    episode: &Episode,
    report: &Report,
    context: PlanContext,
    aids: &mut dyn PlanAids,
) -> Result<(Plan, SkillForest), PortError> {
    let (policy, proposal) = (scene.policy.as_ref(), scene.proposal.as_ref());
    let mut forest = if episode.forest.trees.is_empty() {
        SkillForest::new(report.skills.iter().map(|s| s.skill.as_str()))
    } else {
        episode.forest.clone()
    };
    let actions = match &episode.acting {
        Some(actions) => actions.clone(),
        None => decided(scene, &forest, report, context, aids)?,
    };
    let author = if episode.acting.is_some() { "the person" } else { policy.name() };
    let refused = |e: ActionError| PortError::fatal(format!("the action of {author} is wrong: {e}"));
    let explored = |chosen: &SkillAction| match chosen.action {
        Action::Explore { new_subskills, .. } => Some((forest.tree(&chosen.skill)?, new_subskills)),
        Action::Exploit { .. } => None,
    };
    let wanted: Vec<(&SkillTree, u32)> = actions.iter().filter_map(explored).collect();
    let skills: Vec<String> = wanted.iter().map(|(tree, _)| tree.skill.clone()).collect();
    let named: BTreeMap<String, Vec<String>> =
        skills.into_iter().zip(proposal.propose(&wanted, aids)?).collect();
    for (n, chosen) in actions.iter().enumerate() {
        if actions[..n].iter().any(|earlier| earlier.skill == chosen.skill) {
            return Err(refused(ActionError::DuplicateSkill(chosen.skill.clone())));
        }
        let proposed = named.get(&chosen.skill).map_or(&[][..], Vec::as_slice);
        forest.apply(&chosen.skill, &chosen.action, proposed).map_err(refused)?;
        if let Some(tree) = forest.trees.iter_mut().find(|t| t.skill == chosen.skill) {
            tree.history.push(SkillExperience {
                iteration: context.iteration,
                action: chosen.action.clone(),
                accuracy_before: accuracy(report, &chosen.skill),
                accuracy_after: None,
                produced: 0,
            });
        }
    }
    let plan = Plan {
        iteration: context.iteration,
        round: context.round,
        policy: policy.name().to_owned(),
        actions,
        allocations: forest.allocations(),
        edited: episode.acting.is_some(),
    };
    Ok((plan, forest))
}

fn accuracy(report: &Report, skill: &str) -> f64 {
    report.skill(skill).map_or(0.0, |s| s.accuracy.mean)
}

fn decided(
    scene: &Scene,
    forest: &SkillForest,
    report: &Report,
    context: PlanContext,
    aids: &mut dyn PlanAids,
) -> Result<Vec<SkillAction>, PortError> {
    let (policy, proposal) = (scene.policy.as_ref(), scene.proposal.as_ref());
    let state = |tree: &'_ SkillTree| -> (f64, u32, usize) {
        let found = report.skill(&tree.skill).map(|s| s.accuracy);
        (found.map_or(0.0, |a| a.mean), found.map_or(0, |a| a.n), proposal.remaining(tree))
    };
    let skills = forest.trees.iter().map(|tree| {
        let (accuracy, questions, unexplored) = state(tree);
        SkillState { tree, accuracy, questions, unexplored }
    });
    match policy.plan(&State::SkillTree(skills.collect()), context, aids)? {
        Decision::Actions(actions) => Ok(actions),
        Decision::Allocations(_) => Err(PortError::fatal(format!(
            "policy `{}` answers a skill forest with allocations; it does not fit this environment",
            policy.name()
        ))),
    }
}
