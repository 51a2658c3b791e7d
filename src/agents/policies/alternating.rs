//! The reference's alternating policy: explore, then spend nothing, then explore again.

use crate::gym::plan::{Action, SkillAction};
use crate::gym::ports::{Policy, SkillState, SkillTreeState};

/// Per skill: no history, explore; at the cap, exploit to zero; else the opposite of the last action,
/// where exploit means that every allocation becomes 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternating {
    /// Subskills an explore action adds.
    pub new_subskills: u32,
    /// Data for each new subskill.
    pub data_per_subskill: u32,
    /// Data per skill after which nothing more is asked for, tested on data already produced.
    pub max_data_per_skill: Option<u32>,
}

impl Alternating {
    fn action(&self, state: &SkillState<'_>) -> Action {
        let explore =
            Action::Explore { new_subskills: self.new_subskills, data_per_subskill: self.data_per_subskill };
        let history = &state.tree.history;
        let produced: u32 = history.iter().map(|e| e.produced).sum();
        let spent = self.max_data_per_skill.is_some_and(|cap| produced >= cap);
        match history.last().map(|e| &e.action) {
            None => explore,
            Some(Action::Exploit { .. }) if !spent => explore,
            Some(_) => zeroing(state),
        }
    }
}

/// The exploit action that sets every allocation of a tree to 0.
fn zeroing(state: &SkillState<'_>) -> Action {
    let delta = |s: &crate::gym::skill_forest::Subskill| (s.name.clone(), -i64::from(s.allocation));
    Action::Exploit { deltas: state.tree.subskills.iter().map(delta).collect() }
}

impl Policy for Alternating {
    fn name(&self) -> &'static str {
        "alternating"
    }

    fn plan(&self, state: &SkillTreeState<'_>, _seed: u64) -> Vec<SkillAction> {
        let act = |s: &SkillState<'_>| SkillAction { skill: s.tree.skill.clone(), action: self.action(s) };
        state.skills.iter().map(act).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::skill_forest::{SkillExperience, SkillForest};

    /// Data per call of one skill whose engine always delivers, subskills without end.
    fn trace(policy: &Alternating, calls: u32) -> Vec<u32> {
        let mut forest = SkillForest::new(["s"]);
        let mut trace = Vec::new();
        for iteration in 1..=calls {
            let tree = forest.trees[0].clone();
            let state = SkillTreeState {
                iteration,
                round: 0,
                skills: vec![SkillState { tree: &tree, accuracy: 0.5, unexplored: 9 }],
            };
            let action = policy.plan(&state, 0).remove(0).action;
            let names: Vec<String> = match &action {
                Action::Explore { new_subskills, .. } => {
                    (0..*new_subskills).map(|n| format!("{iteration}-{n}")).collect()
                }
                Action::Exploit { .. } => Vec::new(),
            };
            forest.apply("s", &action, &names).unwrap();
            let produced = forest.trees[0].allocated();
            forest.trees[0].history.push(SkillExperience {
                iteration,
                action,
                accuracy_before: 0.5,
                accuracy_after: Some(0.5),
                produced,
            });
            trace.push(produced);
        }
        trace
    }

    /// The reference's verified trace of Alternating(2 x 30, cap 200).
    #[test]
    fn the_reference_trace() {
        let policy = Alternating { new_subskills: 2, data_per_subskill: 30, max_data_per_skill: Some(200) };
        assert_eq!(trace(&policy, 10), [60, 0, 60, 0, 60, 0, 60, 0, 0, 0]);
    }

    #[test]
    fn without_a_cap_it_never_ends() {
        let policy = Alternating { new_subskills: 1, data_per_subskill: 5, max_data_per_skill: None };
        assert_eq!(trace(&policy, 5), [5, 0, 5, 0, 5]);
    }
}
