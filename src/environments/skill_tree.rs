//! The skill-tree environment: state out of the episode, actions into the forest.

use crate::gym::episode::Episode;
use crate::gym::plan::{Action, Plan};
use crate::gym::ports::{Policy, PortError, SkillState, SkillTreeState, SubskillProposal};
use crate::gym::skill_forest::{SkillExperience, SkillForest};

/// Lets the policy act on the state of iteration `iteration` and applies its actions. The forest is made
/// at the first plan, from the skills of the validation report, and keeps them for ever.
pub fn plan_skill_tree(
    episode: &Episode,
    iteration: u32,
    round: u32,
    policy: &dyn Policy,
    proposal: &dyn SubskillProposal,
    seed: u64,
) -> Result<(Plan, SkillForest), PortError> {
    let report =
        episode.latest_report().ok_or_else(|| PortError::fatal("no validation report to plan from"))?;
    let mut forest = if episode.forest.trees.is_empty() {
        SkillForest::new(report.skills.iter().map(|s| s.skill.as_str()))
    } else {
        episode.forest.clone()
    };
    let accuracy = |skill: &str| report.skill(skill).map_or(0.0, |s| s.accuracy.mean);
    let seen = forest.clone();
    let states = seen.trees.iter().map(|tree| SkillState {
        tree,
        accuracy: accuracy(&tree.skill),
        unexplored: proposal.remaining(tree),
    });
    let state = SkillTreeState { iteration, round, skills: states.collect() };
    let actions = policy.plan(&state, seed);
    for chosen in &actions {
        let tree = seen.tree(&chosen.skill);
        let proposed = match (&chosen.action, tree) {
            (Action::Explore { new_subskills, .. }, Some(tree)) => proposal.propose(tree, *new_subskills),
            _ => Vec::new(),
        };
        let refused = |e| PortError::fatal(format!("policy `{}`: {e}", policy.name()));
        forest.apply(&chosen.skill, &chosen.action, &proposed).map_err(refused)?;
        if let Some(tree) = forest.trees.iter_mut().find(|t| t.skill == chosen.skill) {
            tree.history.push(SkillExperience {
                iteration,
                action: chosen.action.clone(),
                accuracy_before: accuracy(&chosen.skill),
                accuracy_after: None,
                produced: 0,
            });
        }
    }
    let allocations = forest.allocations();
    let plan = Plan { iteration, round, policy: policy.name().to_owned(), actions, allocations };
    Ok((plan, forest))
}
